"""Images in IDX files, the form of MNIST and its relatives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.errors import DataError
from tasks.datasets.fashion_mnist import FOLDER, PACKAGE
from tasks.datasets.images import Labels, Pixels, buckets, write_images
from tasks.datasets.signatures import unpacked
from tasks.datasets.text_splits import Split

_FOLDERS = (".", "raw", "*/raw")
"""Beside the given path: as downloaded, and where torchvision puts them."""
_KINDS = {8: "unsigned bytes", 9: "signed bytes", 11: "16-bit integers", 12: "32-bit integers", 13: "32-bit floats", 14: "64-bit floats"}


def prepare_package(archives: Sequence[Path], target: Path) -> None:
    """Write the splits of the IDX files of a Debian package."""
    (package,) = archives
    _write(package / FOLDER, target, licence=PACKAGE.licence)


def adopt_idx(path: Path, target: Path) -> list[str]:
    """Write the splits of the user's own IDX files."""
    return _write(path, target, licence="")


def _write(folder: Path, target: Path, *, licence: str) -> list[str]:
    """The file's own test set is test; a tenth of its training set, chosen by the pixels, is val."""
    place = _place(folder)
    pixels, labels = read_pair(place, "train")
    held = buckets(pixels) < 10
    splits: dict[Split, tuple[Pixels, Labels]] = {
        "train": (pixels[~held], labels[~held]),
        "val": (pixels[held], labels[held]),
        "test": read_pair(place, "t10k"),
    }
    if splits["test"][0].shape[1:] != pixels.shape[1:]:
        raise DataError(f"{place}: test images are {splits['test'][0].shape[1:3]} pixels, training images {pixels.shape[1:3]}")
    num_classes = int(labels.max()) + 1
    empty = sorted(set(range(num_classes)) - set(labels.tolist()))
    notes = [f"no training image has label {', '.join(map(str, empty))}, which counts as a class all the same"] if empty else []
    return [*notes, *write_images(target, splits, num_classes=num_classes, licence=licence)]


def _place(folder: Path) -> Path:
    """The one folder in which training images lie; all four files are read from it."""
    names = _names("train-images", "idx3-ubyte")
    for place in _FOLDERS:
        found = sorted({file.parent for name in names for file in folder.glob(f"{place}/{name}")})
        if len(found) > 1:
            raise DataError(f"{folder}: there are {len(found)} sets ({', '.join(map(str, found))}): name the folder of one")
        if found:
            return found[0]
    raise DataError(f"{folder}: there is no {names[0]} (or .gz), neither here nor under raw/")


def read_pair(folder: Path, part: str) -> tuple[Pixels, Labels]:
    """Images (count, height, width, 1) and labels (count,) of `train` or `t10k`."""
    images, labels = _find(folder, f"{part}-images", "idx3-ubyte"), _find(folder, f"{part}-labels", "idx1-ubyte")
    pixels, marks = read_idx(images, axes=3), read_idx(labels, axes=1)
    if len(pixels) != len(marks):
        raise DataError(f"{labels}: {len(marks)} labels for the {len(pixels)} images of {images.name}")
    return pixels[..., None], marks.astype(np.int64)


def _names(stem: str, kind: str) -> list[str]:
    return [f"{stem}{mark}{kind}{suffix}" for mark in "-." for suffix in ("", ".gz")]


def _find(folder: Path, stem: str, kind: str) -> Path:
    """The unpacked file, where a packed one lies beside it."""
    names = _names(stem, kind)
    for name in names:
        if (folder / name).exists():
            return folder / name
    raise DataError(f"{folder}: there is no {names[0]} (or .gz)")


def read_idx(file: Path, *, axes: int) -> Pixels:
    """The bytes of an IDX file of unsigned bytes: magic 0x0000 08 <axes>, a big-endian 32-bit size for each axis, then the values.

    The file may be packed with gzip, whatever its name. DataError says what it is instead; a file of nothing is none.
    """
    content = unpacked(file)
    if content[:4] != bytes([0, 0, 8, axes]):
        raise DataError(f"{file}: not an IDX file of unsigned bytes with {axes} axes{_instead(content[:4])}")
    header = 4 + 4 * axes
    if len(content) < header:
        raise DataError(f"{file}: ends within its header")
    shape = tuple(int(size) for size in np.frombuffer(content[4:header], dtype=">u4"))
    if len(content) - header != math.prod(shape) or not math.prod(shape):
        raise DataError(f"{file}: {len(content)} bytes are not what its header says ({' x '.join(map(str, shape))})")
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)


def _instead(magic: bytes) -> str:
    """What the first four bytes say that it is."""
    if not magic:
        return ": it is empty"
    if len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in _KINDS:
        return f": its values are {_KINDS[magic[2]]}, its axes {magic[3]}"
    return ""
