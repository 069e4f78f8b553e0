"""Published tables, where they are, and tables with planted parameters."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

SHARED = Path(os.environ.get("PAPERTRIAL_SHARED_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
CHINCHILLA = {"A": 406.4, "alpha": 0.34, "B": 410.7, "beta": 0.28, "E": 1.69}
RHO = {"16": 1.0, "4": 0.794, "2": 0.274}
SIZES = np.array([30.5e6, 49.6e6, 102.8e6, 203.2e6, 443.1e6, 822.2e6])


@pytest.fixture
def published() -> Path:
    """The folder of published tables; a machine without them skips."""
    if not (SHARED / "quest" / "runs.csv").exists():
        pytest.skip("the published tables are not on this machine (PAPERTRIAL_SHARED_DATA)")
    return SHARED


def chinchilla_runs(points: int = 60, sigma: float = 0.003, seed: int = 0, ratio: float | None = None) -> pd.DataFrame:
    """Runs at 1e18 to 1e22 FLOPs with the parameters of the Chinchilla paper; `ratio` fixes the tokens a parameter."""
    rng = np.random.default_rng(seed)
    budget = 10 ** rng.uniform(18, 22, points)
    tokens = np.full(points, ratio) if ratio else 10 ** rng.uniform(0.3, 2.5, points)
    n = np.sqrt(budget / 6 / tokens)
    d = tokens * n
    y = CHINCHILLA["A"] * n ** -CHINCHILLA["alpha"] + CHINCHILLA["B"] * d ** -CHINCHILLA["beta"] + CHINCHILLA["E"]
    return pd.DataFrame({"n": n, "d": d, "y": y * np.exp(rng.normal(0, sigma, points))})


def precision_runs(sigma: float = 0.001, seed: int = 0, level: float = 18.6) -> pd.DataFrame:
    """Six sizes at three bit widths."""
    rng, rows = np.random.default_rng(seed), []
    for bits, rho in RHO.items():
        rows += [{"n": n, "bits": bits, "y": level * (n * rho) ** -0.122 + 0.93} for n in SIZES]
    frame = pd.DataFrame(rows)
    frame["y"] *= np.exp(rng.normal(0, sigma, len(frame)))
    return frame
