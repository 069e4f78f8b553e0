"""By how much two values of a metric may differ without meaning anything: rounding, and for shares of examples one example."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

SINGLE = 2.0**-23
"""Relative rounding of single precision, in which trials compute."""


def step(values: npt.ArrayLike, counted: bool = False) -> Any:
    """The resolution of a metric, in its own unit, from its records.

    `values`: (..., records); those that are not finite are left out. The result has the leading shape: a float for one column.
    Rounding is 2**-23 of the largest magnitude. A metric that is `counted` moves in steps of one example, whose size is the smallest
    distance of two values, those apart that only rounding tells apart; from few records it may come out as several examples.
    0 where there is no finite value.
    """
    found = np.asarray(values, dtype=float)
    rounding = SINGLE * np.max(np.abs(found), axis=-1, initial=0.0, where=np.isfinite(found))
    if not counted:
        return rounding
    found = np.sort(np.where(np.isfinite(found), found, np.nan), axis=-1)
    gaps = np.diff(found, axis=-1)
    # Each of two values may be rounded, so that counts that are equal may be twice the rounding apart.
    smallest = np.min(gaps, axis=-1, initial=np.inf, where=gaps > 2 * rounding[..., None])
    return np.where(np.isfinite(smallest), smallest, rounding)[()]
