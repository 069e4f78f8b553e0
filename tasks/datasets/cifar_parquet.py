"""CIFAR in Parquet, as the Hugging Face hub has it: `img` holds encoded images, another column the labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import DataError
from tasks.datasets.images import Labels, Pixels
from tasks.datasets.photographs import read_photograph

_SHAPE = (32, 32, 3)


def read_parquet(file: Path, label_column: str, num_classes: int) -> tuple[Pixels, Labels]:
    """Pixels (count, 32, 32, 3) and labels (count,); DataError names the row, counted from 1."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pixels: list[Pixels] = []
    labels: list[int] = []
    try:
        table = pq.ParquetFile(file)
        names = table.schema_arrow.names
        if not {"img", label_column} <= set(names):
            raise DataError(f"{file}: has no `img` and `{label_column}` columns (columns: {', '.join(names)})")
        for batch in table.iter_batches(columns=["img", label_column]):
            for image, label in zip(batch.column("img").to_pylist(), batch.column(label_column).to_pylist(), strict=True):
                where = f"{file}, row {len(labels) + 1}"
                pixels.append(_decode(image, where))
                labels.append(_label(label, label_column, num_classes, where))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file}: not a Parquet file that can be read ({error})") from None
    if not labels:
        raise DataError(f"{file}: holds no rows")
    return np.stack(pixels), np.array(labels, dtype=np.int64)


def _decode(image: Any, where: str) -> Pixels:
    content = image.get("bytes") if isinstance(image, dict) else image
    if not isinstance(content, bytes):
        raise DataError(f"{where}: `img` holds no bytes of an image")
    try:
        pixels = np.asarray(read_photograph(content).image)
    except ValueError as error:
        raise DataError(f"{where}: not an image that can be read ({error})") from None
    if pixels.shape != _SHAPE:
        raise DataError(f"{where}: an image of {pixels.shape[1]} x {pixels.shape[0]} pixels instead of 32 x 32")
    return pixels


def _label(label: Any, column: str, num_classes: int, where: str) -> int:
    if not isinstance(label, int) or not 0 <= label < num_classes:
        raise DataError(f"{where}: `{column}` is {label!r}, not in 0 to {num_classes - 1}")
    return label
