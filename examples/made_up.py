"""Writes the two tables of this folder. Both are made up by formula: nobody measured them.

`yields.csv`: 400 rows of eight standard normal numbers, the yield 0.5 x1 - 0.2 x2 + 0.1 x3 and noise of standard deviation 1.
`runs.csv`: losses 1.7 + 400 / n^0.34 + 410 / d^0.28 (Chinchilla's form) with 0.3 % of log-normal noise.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np


def yields() -> list[list[str]]:
    """Header and rows of `yields.csv`."""
    draw = np.random.default_rng(0)
    x, noise = draw.standard_normal((400, 8)), draw.standard_normal(400)
    y = x @ [0.5, -0.2, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0] + noise
    return [[*(f"x{i}" for i in range(1, 9)), "yield"], *([f"{v:.4f}" for v in row] for row in np.column_stack([x, y]))]


def runs() -> list[list[str]]:
    """Header and rows of `runs.csv`."""
    draw = np.random.default_rng(1)
    cells = [(n, d) for n in np.geomspace(1e7, 1e9, 5) for d in np.geomspace(1e9, 3e10, 4)]
    losses = [(1.7 + 400 / n**0.34 + 410 / d**0.28) * np.exp(0.003 * draw.standard_normal()) for n, d in cells]
    return [["params", "tokens", "loss"], *([f"{n:.0f}", f"{d:.0f}", f"{loss:.5f}"] for (n, d), loss in zip(cells, losses, strict=True))]


def write(path: Path, rows: Iterable[Sequence[str]]) -> None:
    """One table."""
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    here = Path(__file__).parent
    write(here / "yields.csv", yields())
    write(here / "runs.csv", runs())
