"""Images in IDX files, the form of MNIST and its relatives."""

from __future__ import annotations

import gzip
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.errors import DataError
from tasks.datasets.fashion_mnist import FOLDER, PACKAGE
from tasks.datasets.images import Labels, Pixels, buckets, write_images

_FOLDERS = (".", "raw", "*/raw")
"""Beside the given path: as downloaded, and where torchvision puts them."""


def prepare_package(archives: Sequence[Path], target: Path) -> None:
    """Write the splits of the IDX files of a Debian package."""
    (package,) = archives
    _write(package / FOLDER, target, licence=PACKAGE.licence)


def adopt_idx(path: Path, target: Path) -> None:
    """Write the splits of the user's own IDX files."""
    _write(path, target, licence="")


def _write(folder: Path, target: Path, *, licence: str) -> None:
    """The file's own test set is test; a tenth of its training set, chosen by the pixels, is val."""
    pixels, labels = read_pair(folder, "train")
    held = buckets(pixels) < 10
    splits = {"train": (pixels[~held], labels[~held]), "val": (pixels[held], labels[held]), "test": read_pair(folder, "t10k")}
    if splits["test"][0].shape[1:] != pixels.shape[1:]:
        raise DataError(f"{folder}: test images are {splits['test'][0].shape[1:3]} pixels, training images {pixels.shape[1:3]}")
    write_images(target, splits, num_classes=int(labels.max()) + 1, licence=licence)  # type: ignore[arg-type]


def read_pair(folder: Path, part: str) -> tuple[Pixels, Labels]:
    """Images (count, height, width, 1) and labels (count,) of `train` or `t10k`."""
    images, labels = _find(folder, f"{part}-images", "idx3-ubyte"), _find(folder, f"{part}-labels", "idx1-ubyte")
    pixels, marks = read_idx(images, axes=3), read_idx(labels, axes=1)
    if len(pixels) != len(marks):
        raise DataError(f"{labels}: {len(marks)} labels for the {len(pixels)} images of {images.name}")
    return pixels[..., None], marks.astype(np.int64)


def _find(folder: Path, stem: str, kind: str) -> Path:
    names = [f"{stem}{mark}{kind}{suffix}" for mark in "-." for suffix in ("", ".gz")]
    for place in _FOLDERS:
        for name in names:
            for file in sorted(folder.glob(f"{place}/{name}")):
                return file
    raise DataError(f"{folder}: there is no {names[0]} (or .gz), neither here nor under raw/")


def read_idx(file: Path, *, axes: int) -> Pixels:
    """The bytes of an IDX file of unsigned bytes: magic 0x0000 08 <axes>, a big-endian 32-bit size for each axis, then the values."""
    try:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{file}: cannot be read ({error})") from None
    if content[:4] != bytes([0, 0, 8, axes]):
        raise DataError(f"{file}: not an IDX file of unsigned bytes with {axes} axes")
    header = 4 + 4 * axes
    if len(content) < header:
        raise DataError(f"{file}: ends within its header")
    shape = tuple(int(size) for size in np.frombuffer(content[4:header], dtype=">u4"))
    if len(content) - header != math.prod(shape):
        raise DataError(f"{file}: {len(content)} bytes are not what its header says ({' x '.join(map(str, shape))})")
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)
