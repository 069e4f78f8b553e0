"""Accuracy at matched cost: one method's curve read at the reduction that another method reached."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.estimates import Estimate, Mean, Of, column, rows_of, select, selected
from tasks.pruning.params import DENSE

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@dataclass(frozen=True)
class AtReduction:
    """`metric` of a method's curve over the reached reduction, at the reduction `at`, linearly between the two points beside it.

    The curve's points are the trials of `method` that match `where`, and the dense network at a reduction of 0 (unless `dense` is
    empty). Trials that agree in `target`, the parameter that asks for a reduction, are one point: of these the one with the highest
    `val_accuracy` counts, never the one that looks best on test. NaN outside the curve (nothing is extrapolated), and when a
    trial of the curve is missing its numbers; a diverged trial among several of a target counts as infinitely bad.
    """

    metric: str
    method: str
    at: Estimate
    """Percent of the dense network's multiply-adds, such as Of("ftwt", Mean("flops_reduction", {...}))."""
    where: Mapping[str, Any] = field(default_factory=dict)
    target: str = "reduction"
    reached: str = "flops_reduction"
    chosen_by: str = "val_accuracy"
    dense: str = DENSE
    dense_where: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reads(self) -> tuple[Estimate, ...]:
        """Whose trials have to be there before a seed counts: those of the curve, the dense network, and what `at` reads."""
        dense = (Of(self.dense, Mean(self.metric, self.dense_where)),) if self.dense else ()
        return (Of(self.method, Mean(self.metric, self.where)), *dense, self.at)

    def __call__(self, frame: pd.DataFrame) -> float:
        """The estimate in the records of one seed."""
        import numpy as np

        rows = select(frame[frame["method"] == self.method], self.where)
        if rows.empty or f"param.{self.target}" not in rows:
            return math.nan
        points = [self._point(group) for _, group in rows.groupby(f"param.{self.target}")]
        if self.dense:
            dense = select(frame[frame["method"] == self.dense], self.dense_where)
            points.append((0.0, float(column(dense, self.metric).to_numpy(dtype=float).mean()) if len(dense) else math.nan))
        x, y = (np.array(axis) for axis in zip(*sorted(points), strict=True))
        return interpolated(x, y, self.at(frame))

    def _point(self, group: pd.DataFrame) -> tuple[float, float]:
        """(reduction, metric) of the trial that val chooses among those of one target."""
        best = selected(rows_of(group), lambda row: (row.get(f"metric.{self.chosen_by}", math.nan),)) or {}
        return float(best.get(f"metric.{self.reached}", math.nan)), float(best.get(f"metric.{self.metric}", math.nan))


def interpolated(x: np.ndarray, y: np.ndarray, at: float) -> float:
    """The piecewise linear curve through (x, y) at `at`; the mean of y where x repeats; NaN outside, or when any number is not finite."""
    import numpy as np

    if not (math.isfinite(at) and np.isfinite(x).all() and np.isfinite(y).all()) or len(x) == 0:
        return math.nan
    knots = np.unique(x)
    if not knots[0] <= at <= knots[-1]:
        return math.nan
    return float(np.interp(at, knots, [y[x == knot].mean() for knot in knots]))
