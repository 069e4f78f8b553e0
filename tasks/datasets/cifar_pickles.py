"""The published pickles of CIFAR. A pickle can run any code, so one is opened only if it is the published file, and then only arrays."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import DataError
from tasks.datasets.images import Labels, Pixels

_ROW = 3 * 32 * 32


def read_batches(folder: Path, digests: Mapping[str, str], label_key: str, num_classes: int) -> list[tuple[Pixels, Labels]]:
    """Pixels (count, 32, 32, 3) and labels of each file named in `digests` (file -> MD5)."""
    return [_batch(folder / name, digest, label_key, num_classes) for name, digest in digests.items()]


def _batch(file: Path, digest: str, label_key: str, num_classes: int) -> tuple[Pixels, Labels]:
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{file}: there is no such file, although others of the set are there") from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from None
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != digest:
        raise DataError(f"{file}: its MD5 is {found}, that of the published file {digest}; it was not opened")
    batch = _unpickle(file, content)
    data, labels = (batch.get("data"), batch.get(label_key)) if isinstance(batch, dict) else (None, None)
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != _ROW:
        raise DataError(f"{file}: `data` is not an array of bytes (count, {_ROW})")
    if not isinstance(labels, list) or len(labels) != len(data):
        raise DataError(f"{file}: `{label_key}` is not a list of {len(data)} labels")
    for number, label in enumerate(labels, start=1):
        if not isinstance(label, int) or not 0 <= label < num_classes:
            raise DataError(f"{file}, image {number}: label {label!r} is not in 0 to {num_classes - 1}")
    return data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), np.array(labels, dtype=np.int64)


def _unpickle(file: Path, content: bytes) -> Any:
    """Written by Python 2: its strings, pixels among them, are read as Latin-1."""
    try:
        return _Arrays(io.BytesIO(content), encoding="latin1").load()
    except Exception as error:  # a broken pickle may raise nearly anything
        raise DataError(f"{file}: cannot be unpickled ({error})") from None


class _Arrays(pickle.Unpickler):
    """Builds NumPy arrays and the containers that need no import, and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        """What a pickle names, where it is what an array is made of. UnpicklingError otherwise."""
        if (module, name) in (("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct")):
            return _reconstruct
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no part of an array")


def _reconstruct(kind: Any, shape: Any, dtype: Any) -> Any:
    """An empty array whose contents the pickle sets next, as NumPy's own function of this name does it."""
    return np.ndarray.__new__(kind, shape, dtype)
