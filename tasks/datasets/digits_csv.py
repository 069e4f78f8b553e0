"""The table of 8 x 8 digits: 64 values of 0 to 16 and the digit in each line."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.errors import DataError
from tasks.datasets.images import Labels, Pixels, buckets, write_images
from tasks.datasets.signatures import unpacked
from tasks.datasets.text_splits import Split

SHA256 = "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8"
"""Of the unpacked table: "Optical Recognition of Handwritten Digits" (Alpaydin & Kaynak 1998), the 1,797 of the UCI test set."""
_LICENCE = "CC-BY-4.0 (UCI Machine Learning Repository, data set 80)"


def prepare_digits(_archives: Sequence[Path], target: Path) -> None:
    """Write the splits of the table that the installed scikit-learn ships; no code of it is imported."""
    found = importlib.util.find_spec("sklearn")
    if found is None or not found.submodule_search_locations:
        raise DataError("the digits come with scikit-learn, which is not installed: pip install 'papertrial[data]'")
    table = Path(found.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
    content = unpacked(table)
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise DataError(f"{table}: its SHA-256 is not {SHA256}")
    _write(table, content, target)


def adopt_digits(path: Path, target: Path) -> list[str]:
    """Write the splits of the user's own table."""
    return _write(path, unpacked(path), target)


def _write(table: Path, content: bytes, target: Path) -> list[str]:
    """Split 70 : 15 : 15 by the pixels and write; the values 0 to 16 become 0 to 240."""
    pixels, labels = _parse(table, content)
    bucket = buckets(pixels)
    chosen: dict[Split, np.ndarray] = {"train": bucket < 70, "val": (bucket >= 70) & (bucket < 85), "test": bucket >= 85}
    return write_images(target, {split: (pixels[rows], labels[rows]) for split, rows in chosen.items()}, num_classes=10, licence=_LICENCE)


def _parse(table: Path, content: bytes) -> tuple[Pixels, Labels]:
    rows = []
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            row = [float(value) for value in line.split(b",")]
        except ValueError:
            raise DataError(f"{table}, line {number}: holds something that is no number") from None
        if b"_" in line:  # Python reads 1_0 as 10
            raise DataError(f"{table}, line {number}: holds something that is no number")
        if len(row) != 65 or not all(value in range(17) for value in row[:64]) or row[64] not in range(10):
            raise DataError(f"{table}, line {number}: must hold 64 values of 0 to 16, all of them whole, and a digit")
        rows.append(row)
    if not rows:
        raise DataError(f"{table}: holds no lines")
    values = np.array(rows)
    return (values[:, :64] * 15).astype(np.uint8).reshape(-1, 8, 8, 1), values[:, 64].astype(np.int64)
