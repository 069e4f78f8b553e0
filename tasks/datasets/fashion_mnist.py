"""Fashion-MNIST (Xiao, Rasul & Vollgraf 2017), out of the Debian archive or from the user's own IDX files."""

from __future__ import annotations

from harness.data import Dataset, DebianPackage

FOLDER = "usr/share/datasets/fashion-mnist"
PACKAGE = DebianPackage(
    name="dataset-fashion-mnist",
    files={
        f"{FOLDER}/train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
        f"{FOLDER}/train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
        f"{FOLDER}/t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
        f"{FOLDER}/t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
    },
    licence="MIT (Zalando SE)",
)

DATASET = Dataset(
    name="fashion-mnist",
    description=(
        "70,000 pictures of clothes, 28 x 28 grey, 10 classes. Fetched with apt-get (Debian and its relatives; no root). "
        "Own data: a folder with the four IDX files (.gz or not) of this or any other set of MNIST's form"
    ),
    source="debian-fashion-mnist",
    kind="stand-in",
    version=1,
    prepare="tasks.datasets.idx:prepare_package",
    adopt="tasks.datasets.idx:adopt_idx",
    open="tasks.datasets.images:open_images",
    archives=(PACKAGE,),
    size="31 MB to fetch, 55 MB prepared",
    form="labelled images",
)
