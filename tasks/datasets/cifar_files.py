"""CIFAR-10 and CIFAR-100 as they are passed around: the published pickles, or the Parquet files of the Hugging Face hub."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.errors import DataError
from tasks.datasets.cifar_parquet import read_parquet
from tasks.datasets.cifar_pickles import read_batches
from tasks.datasets.images import Labels, Pixels, buckets, write_images

_HELD_PERCENT = 10
_SHARD = re.compile(r".*-(?P<number>\d+)-of-(?P<total>\d+)\.parquet")


@dataclass(frozen=True)
class Form:
    """What a set looks like on disk. The MD5 sums are those that torchvision's `CIFAR10` and `CIFAR100` check."""

    num_classes: int
    folder: str
    train: Mapping[str, str]
    """Pickle -> MD5."""
    test: Mapping[str, str]
    pickle_labels: str
    parquet_labels: str


CIFAR10 = Form(
    num_classes=10,
    folder="cifar-10-batches-py",
    train={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    },
    test={"test_batch": "40351d587109b95175f43aff81a1287e"},
    pickle_labels="labels",
    parquet_labels="label",
)
CIFAR100 = Form(
    num_classes=100,
    folder="cifar-100-python",
    train={"train": "16019d7e3df5f24257cddd939b257f8d"},
    test={"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
    pickle_labels="fine_labels",
    parquet_labels="fine_label",
)


def adopt_cifar10(path: Path, target: Path) -> list[str]:
    """Write the splits of the user's CIFAR-10."""
    return adopt(CIFAR10, path, target)


def adopt_cifar100(path: Path, target: Path) -> list[str]:
    """Write the splits of the user's CIFAR-100, fine labels."""
    return adopt(CIFAR100, path, target)


def adopt(form: Form, path: Path, target: Path) -> list[str]:
    """The published test set is test; a tenth of the training set, chosen by the pixels, is val. DataError says what is wrong and where."""
    if not path.is_dir():
        raise DataError(f"{path}: not a folder; an archive has to be unpacked first")
    pixels, labels = _read(form, path, "train")
    held = buckets(pixels) < _HELD_PERCENT
    test = _read(form, path, "test")
    return write_images(
        target,
        {"train": (pixels[~held], labels[~held]), "val": (pixels[held], labels[held]), "test": test},
        num_classes=form.num_classes,
        licence="",
    )


def _read(form: Form, path: Path, part: str) -> tuple[Pixels, Labels]:
    """Pixels (count, 32, 32, 3) and labels of `train` or `test`."""
    batches = form.train if part == "train" else form.test
    for folder in (path, path / form.folder):
        if any((folder / name).is_file() for name in (*form.train, *form.test)):
            pieces = read_batches(folder, batches, form.pickle_labels, form.num_classes)
            break
    else:
        files = _shards(path, part)
        if not files:
            raise DataError(f"{path}: there is neither {form.folder}/{next(iter(batches))} nor {part}*.parquet, here or one folder below")
        pieces = [read_parquet(file, form.parquet_labels, form.num_classes) for file in files]
    return np.concatenate([pixels for pixels, _ in pieces]), np.concatenate([labels for _, labels in pieces])


def _shards(path: Path, part: str) -> list[Path]:
    """The Parquet files of `train` or `test`: all of one folder, and as many as their names say (`train-00000-of-00002.parquet`)."""
    files = sorted(file for pattern in (".", "*") for file in path.glob(f"{pattern}/{part}*.parquet"))
    folders = sorted({file.parent for file in files})
    if len(folders) > 1:
        raise DataError(f"{path}: {part}*.parquet lie in {len(folders)} folders ({', '.join(map(str, folders))}): name one of them")
    named = [match for file in files if (match := _SHARD.fullmatch(file.name))]
    totals = sorted({int(match["total"]) for match in named})
    if len(totals) > 1:
        raise DataError(f"{folders[0]}: {part}*.parquet are parts of {totals[0]} and of {totals[1]} files: two copies of one set")
    there = {int(match["number"]) for match in named}
    missing = next((number for total in totals for number in range(total) if number not in there), None)
    if missing is not None:
        raise DataError(f"{folders[0]}: of {totals[0]} files {part}-*.parquet, number {missing:05} is missing")
    return files
