"""ImageNet-1k (Russakovsky et al. 2015): the user's own copy, which may not be passed on."""

from __future__ import annotations

from harness.data import Dataset

DATASET = Dataset(
    name="imagenet",
    description=(
        "Own data only: an ImageFolder (train/<class>/*.JPEG, val/<class>/*.JPEG) of ImageNet-1k or other photographs, or Kaggle's "
        "CLS-LOC tree; val/ may be flat beside its list of labels (the devkit's ground truth with meta.mat, LOC_val_solution.csv, val.csv)"
    ),
    source="image-net.org",
    kind="real",
    version=1,
    prepare="",
    adopt="tasks.datasets.image_folder_index:adopt_folder",
    open="tasks.datasets.image_folder:open_folder",
    size="140 GB, yours to bring; its index is 100 MB",
    form="labelled images",
)
