"""CIFAR's binary version: records of label bytes and 3,072 bytes of pixels, the red plane first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.errors import DataError
from harness.shown import reason_of
from tasks.datasets.images import Labels, Pixels

_PIXELS = 3 * 32 * 32


def read_binaries(folder: Path, names: Sequence[str], label_bytes: int, num_classes: int) -> list[tuple[Pixels, Labels]]:
    """Pixels (count, 32, 32, 3) and labels (count,) of each file; of several label bytes the last counts (CIFAR-100: coarse, fine)."""
    return [_records(folder / name, label_bytes, num_classes) for name in names]


def _records(file: Path, label_bytes: int, num_classes: int) -> tuple[Pixels, Labels]:
    try:
        content = np.frombuffer(file.read_bytes(), np.uint8)
    except FileNotFoundError:
        raise DataError(f"{file}: there is no such file, although others of the set are there") from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({reason_of(error)})") from None
    size = label_bytes + _PIXELS
    if not len(content) or len(content) % size:
        raise DataError(f"{file}: {len(content)} bytes are not records of {size} ({label_bytes} of labels, {_PIXELS} of pixels)")
    rows = content.reshape(-1, size)
    labels = rows[:, label_bytes - 1].astype(np.int64)
    if labels.max() >= num_classes:
        number = int((labels >= num_classes).argmax())
        raise DataError(f"{file}, image {number + 1}: label {labels[number]} is not in 0 to {num_classes - 1}")
    return rows[:, label_bytes:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels
