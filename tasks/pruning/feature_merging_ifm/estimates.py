"""The numbers that claims and leaderboard columns are made of: one a seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from harness.estimates import Difference, Estimate, Mean, Of, Slope, select
from tasks.pruning.feature_merging_ifm.metrics import DEEPEST, layer_metric

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LossAt:
    """Test accuracy that is lost when `parameters_kept` percent of the parameters are left: dense minus the method's curve, interpolated.

    The curve runs through the matching trials and the dense network at 100 %; NaN outside it or when a trial of it has no number.
    """

    parameters_kept: float
    where: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, frame: pd.DataFrame) -> float:
        """The loss in one seed's records of one method, percentage points."""
        import numpy as np

        rows = select(frame, self.where)
        names = ["metric.parameters_kept", "metric.test_accuracy", "metric.dense_accuracy"]
        if rows.empty or not set(names) <= set(rows):
            return math.nan
        kept, accuracy, dense = rows.sort_values([names[0], names[1]])[names].to_numpy(dtype=float).T
        if not np.isfinite([kept, accuracy, dense]).all() or kept[0] > self.parameters_kept:
            return math.nan
        lost = dense - accuracy
        return float(np.interp(self.parameters_kept, [*kept, 100.0], [*lost, 0.0]))


@dataclass(frozen=True)
class MeanOverBetas:
    """`estimate` of the trials of each beta on their own, then the mean: one threshold for all networks that are compared, several of them.

    `only` picks the smallest or the largest beta instead.
    """

    estimate: Estimate
    where: Mapping[str, Any] = field(default_factory=dict)
    only: Literal["smallest", "largest", ""] = ""

    def __call__(self, frame: pd.DataFrame) -> float:
        """The mean in one seed's records of one method."""
        rows = select(frame, self.where)
        if rows.empty or "param.beta" not in rows:
            return math.nan
        betas = sorted(rows["param.beta"].unique())
        betas = {"smallest": betas[:1], "largest": betas[-1:], "": betas}[self.only]
        return math.fsum(self.estimate(rows[rows["param.beta"] == beta]) for beta in betas) / len(betas)


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's correlation of two metrics over the trials of a seed; NaN under three trials or when either does not vary."""

    x: str
    y: str

    def __call__(self, frame: pd.DataFrame) -> float:
        """The correlation in one seed's records of one method."""
        names = [f"metric.{self.x}", f"metric.{self.y}"]
        if len(frame) < 3 or not set(names) <= set(frame) or frame[names].isna().to_numpy().any():
            return math.nan
        ranks = frame[names].rank()
        return float(ranks.iloc[:, 0].corr(ranks.iloc[:, 1])) if (ranks.nunique() > 1).all() else math.nan


def width_exponent(norm: bool, only: Literal["smallest", "largest", ""] = "") -> MeanOverBetas:
    """b of complexity = a width^b."""
    return MeanOverBetas(Slope("complexity", "width"), {"part": "width", "norm": norm}, only)


def complexity_accuracy(norm: bool) -> MeanOverBetas:
    """Spearman's rho of complexity and the accuracy of the network before merging, over trainings of one architecture."""
    return MeanOverBetas(RankCorrelation("complexity", "dense_accuracy"), {"part": "training", "norm": norm})


@dataclass(frozen=True)
class MiddleOverEnds:
    """Complexity (share of width) of the middle third of the layers minus that of the first and the last third; mean over trials.

    NaN with fewer than three layers.
    """

    where: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, frame: pd.DataFrame) -> float:
        """The difference in one seed's records of one method."""
        rows = select(frame, self.where)
        names = [f"metric.{layer_metric(depth)}" for depth in range(1, DEEPEST + 1)]
        profiles = [[float(value) for value in row if not math.isnan(value)] for row in rows.reindex(columns=names).to_numpy(dtype=float)]
        if not profiles or min(map(len, profiles)) < 3:
            return math.nan
        return math.fsum(map(_middle_over_ends, profiles)) / len(profiles)


def _middle_over_ends(profile: list[float]) -> float:
    third = max(1, round(len(profile) / 3))
    middle, ends = profile[third:-third], profile[:third] + profile[-third:]
    return math.fsum(middle) / len(middle) - math.fsum(ends) / len(ends)


def gap(method: str, other: str, where: Mapping[str, Any], metric: str = "test_accuracy") -> Difference:
    """`metric` of `method` minus that of `other`, mean over the same shares of channels kept, in the same seed."""
    return Difference(Of(method, Mean(metric, where)), Of(other, Mean(metric, where)))
