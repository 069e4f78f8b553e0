"""CIFAR-100 (Krizhevsky 2009) with its fine labels: the user's own copy."""

from __future__ import annotations

from harness.data import Dataset

DATASET = Dataset(
    name="cifar100",
    description=(
        "Own data only: 60,000 photographs, 32 x 32 colour, 100 classes. Folder cifar-100-python (`real` by its MD5 sums) or "
        "cifar-100-binary, the one that holds it, or Parquet files train*.parquet and test*.parquet with `img` and `fine_label`, also in a "
        "cache of the Hugging Face hub"
    ),
    source="cs.toronto.edu",
    kind="real",
    version=1,
    prepare="",
    adopt="tasks.datasets.cifar_files:adopt_cifar100",
    open="tasks.datasets.images:open_images",
    size="170 MB, yours to bring; 185 MB prepared",
    form="labelled images",
)
