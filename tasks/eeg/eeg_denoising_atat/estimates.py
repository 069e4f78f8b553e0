"""The numbers that claims and leaderboard columns are made of: one a seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.estimates import Combined, Difference, Estimate, Mean, Of, column, log_log_slope, select

if TYPE_CHECKING:
    import pandas as pd


def scores(artifact: str = "emg", **more: Any) -> dict[str, Any]:
    """The score trials of the main evaluation: every window contaminated, networks of the main width."""
    return {"stage": "score", "artifact": artifact, "contaminated": 1.0, "width": 1.0} | more


def half_clean(**more: Any) -> dict[str, Any]:
    """The score trials in which half of the windows carry no artifact."""
    return scores(contaminated=0.5) | more


def gap(method: str, other: str, metric: str, where: Mapping[str, Any]) -> Estimate:
    """`metric` of `method` minus that of `other`, mean over the levels, in the same seed and on the same windows."""
    return Difference(Of(method, Mean(metric, where)), Of(other, Mean(metric, where)))


def parameters_saved(method: str, other: str) -> Estimate:
    """Percent of the parameters of `other` that `method` does without."""
    where = scores()
    return Combined(_percent_fewer, (Of(method, Mean("parameters", where)), Of(other, Mean("parameters", where))))


def _percent_fewer(counts: Sequence[float]) -> float:
    ours, theirs = counts
    return 100.0 * (1.0 - ours / theirs)


@dataclass(frozen=True)
class SizeExponent:
    """Slope of log `metric` against log parameters over the widths, their means over the matching trials first; NaN under two widths."""

    metric: str
    where: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, frame: pd.DataFrame) -> float:
        """The slope in one seed's records of one method."""
        import numpy as np

        rows = select(frame, self.where)
        if rows.empty or "param.width" not in rows:
            return math.nan
        widths = [group for _, group in rows.groupby("param.width")]
        sizes, values = (
            np.array([column(group, name).to_numpy(dtype=float).mean() for group in widths]) for name in ("parameters", self.metric)
        )
        return log_log_slope(sizes, values)
