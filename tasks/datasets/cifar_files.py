"""CIFAR-10 and CIFAR-100 as they are passed around: the published pickles or binaries, or Parquet files of the Hugging Face hub."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.data import Adopted
from harness.errors import DataError
from tasks.datasets.archives import is_archive, packed_in, unpack_with
from tasks.datasets.cifar_binary import read_binaries
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
    binary_folder: str
    binary_train: Sequence[str]
    binary_test: Sequence[str]
    label_bytes: int
    """In a record of the binary version."""


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
    binary_folder="cifar-10-batches-bin",
    binary_train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    binary_test=("test_batch.bin",),
    label_bytes=1,
)
CIFAR100 = Form(
    num_classes=100,
    folder="cifar-100-python",
    train={"train": "16019d7e3df5f24257cddd939b257f8d"},
    test={"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
    pickle_labels="fine_labels",
    parquet_labels="fine_label",
    binary_folder="cifar-100-binary",
    binary_train=("train.bin",),
    binary_test=("test.bin",),
    label_bytes=2,
)


def adopt_cifar10(path: Path, target: Path) -> Adopted:
    """Write the splits of the user's CIFAR-10."""
    return adopt(CIFAR10, path, target)


def adopt_cifar100(path: Path, target: Path) -> Adopted:
    """Write the splits of the user's CIFAR-100, fine labels."""
    return adopt(CIFAR100, path, target)


def adopt(form: Form, path: Path, target: Path) -> Adopted:
    """The published test set is test; a tenth of the training set, chosen by the pixels, is val. DataError says what is wrong and where.

    Pickles are opened only where their MD5 sums are the published ones, so they are `real`. No sums of the other files are published.
    """
    if is_archive(path):
        raise DataError(f"{path}: an archive: unpack it with `{unpack_with(path)}` and name the folder that comes of it")
    if not path.is_dir():
        raise DataError(f"{path}: not a folder; an archive has to be unpacked first")
    (pixels, labels), published = _read(form, path, "train")
    test, tests_published = _read(form, path, "test")
    held = buckets(pixels) < _HELD_PERCENT
    notes = write_images(
        target,
        {"train": (pixels[~held], labels[~held]), "val": (pixels[held], labels[held]), "test": test},
        num_classes=form.num_classes,
        licence="",
    )
    return Adopted(notes, "real" if published and tests_published else None)


def _read(form: Form, path: Path, part: str) -> tuple[tuple[Pixels, Labels], bool]:
    """Pixels (count, 32, 32, 3) and labels of `train` or `test`, and whether their sums are the published ones."""
    batches, binaries = (form.train, form.binary_train) if part == "train" else (form.test, form.binary_test)
    pickled = _holding(path, form.folder, (*form.train, *form.test))
    binary = _holding(path, form.binary_folder, (*form.binary_train, *form.binary_test))
    if pickled:
        pieces = read_batches(pickled, batches, form.pickle_labels, form.num_classes)
    elif binary:
        pieces = read_binaries(binary, binaries, form.label_bytes, form.num_classes)
    else:
        files = _shards(path, part)
        if not files:
            raise DataError(_nothing(form, path, part))
        pieces = [read_parquet(file, form.parquet_labels, form.num_classes) for file in files]
    return (np.concatenate([pixels for pixels, _ in pieces]), np.concatenate([labels for _, labels in pieces])), pickled is not None


def _holding(path: Path, below: str, names: Sequence[str]) -> Path | None:
    """The folder, this one or the one of the published name in it, that holds any of the files."""
    return next((folder for folder in (path, path / below) if any((folder / name).is_file() for name in names)), None)


def _nothing(form: Form, path: Path, part: str) -> str:
    archive = packed_in(path)
    if archive:
        return f"{path}: holds no files of the set but an archive: unpack it with `{unpack_with(archive)}`"
    names = f"{form.folder}/{next(iter(form.train))} nor {form.binary_folder}/{form.binary_train[0]} nor {part}*.parquet"
    return f"{path}: there is neither {names}, here or one folder below"


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
