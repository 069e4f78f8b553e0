"""A data set of one's own: `--data yields=FILE.csv`, a header, eight columns of features, the yield last."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.data import Dataset
from harness.errors import DataError

DATASET = Dataset(
    name="yields",
    description="yields of plots with eight measurements each",
    source="your own file",
    kind="real",
    version=1,
    prepare="",  # nothing is fetched: only your own copy will do
    adopt="own_tasks.datasets.yields:adopt",
    open="own_tasks.datasets.yields:read",
    form="rows of numbers",
)


def adopt(path: Path, target: Path) -> Sequence[str]:
    """Copy the rows that can be read; what is left out is said, and goes into every record."""
    header, *lines = path.read_text().splitlines()
    if header.count(",") != 8:
        raise DataError(f"{path}: nine columns are needed, it has {header.count(',') + 1}")
    bad = [place for place, line in enumerate(lines, start=2) if "" in line.split(",")]
    (target / "rows.csv").write_text("\n".join(line for place, line in enumerate(lines, start=2) if place not in bad))
    return [f"{path.name}, line {place}: left out, it has an empty cell" for place in bad]


def read(folder: Path) -> Mapping[str, Any]:
    """What `trial.dataset()` gives: a half of the rows to train with, a quarter each to select and to test."""
    import numpy as np

    rows = np.loadtxt(folder / "rows.csv", delimiter=",")
    half, quarter = len(rows) // 2, len(rows) // 4
    return {"train": rows[:half], "val": rows[half : half + quarter], "test": rows[half + quarter :]}
