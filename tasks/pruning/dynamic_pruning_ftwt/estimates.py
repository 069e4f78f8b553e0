"""The numbers that claims and leaderboard columns are made of: one a seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any

from harness.estimates import Combined, Difference, Estimate, Magnitude, Mean, Of, select
from tasks.pruning.dynamic_pruning_ftwt.designs import STATIC
from tasks.pruning.estimates import AtReduction, interpolated
from tasks.pruning.params import DENSE

if TYPE_CHECKING:
    import pandas as pd

TARGETS = (0.4, 0.6)
"""Reductions that every dynamic method aims at, at every scale."""


@dataclass(frozen=True)
class Swept:
    """`estimate` on the network that this scale prunes at several reductions; other networks have published thresholds only."""

    estimate: Estimate

    def __call__(self, frame: pd.DataFrame) -> float:
        """The estimate, NaN where no static method was run, or for more than one architecture."""
        archs = frame[frame["method"].isin(STATIC)]["param.arch"].unique()
        return self.estimate(frame[frame["param.arch"] == archs[0]]) if len(archs) == 1 else math.nan


def at(reduction: float) -> dict[str, Any]:
    """The trials that aim at a reduction."""
    return {"reduction": reduction, "threshold": 0.0}


def reached(method: str, metric: str, reduction: float) -> Estimate:
    """A metric of a method that aims at a reduction."""
    return Of(method, Mean(metric, at(reduction)))


@dataclass(frozen=True)
class Gain:
    """Test accuracy of `method` at the reduction that it reached, minus that of `other`'s accuracy-FLOPs curve there, in points."""

    method: str
    other: str
    reduction: float

    @property
    def reads(self) -> tuple[Estimate, ...]:
        """The trials that it stands on."""
        own = reached(self.method, "test_accuracy", self.reduction)
        return own, *(Of(name, Mean("test_accuracy", {"threshold": 0.0})) for name in (self.other, DENSE))

    def __call__(self, frame: pd.DataFrame) -> float:
        """The difference."""
        own = reached(self.method, "flops_reduction", self.reduction)
        rival = AtReduction("test_accuracy", self.other, own, where={"threshold": 0.0})
        return Difference(self.reads[0], rival)(frame)


def gains(method: str, other: str) -> Estimate:
    """`Gain`, mean over the targets."""
    return Swept(Combined(fmean, tuple(Gain(method, other, target) for target in TARGETS)))


@dataclass(frozen=True)
class DropAt:
    """Accuracy drop of one method at a fixed reduction (percent): its own points and the dense network's, joined by lines."""

    reduction: float
    where: Mapping[str, Any] = field(default_factory=lambda: {"threshold": 0.0})

    def __call__(self, frame: pd.DataFrame) -> float:
        """The drop in points, NaN outside the curve."""
        import numpy as np

        rows = select(frame, self.where)
        if not {"metric.flops_reduction", "metric.accuracy_drop"} <= set(rows):
            return math.nan
        reached, drops = (rows[f"metric.{name}"].to_numpy(dtype=float) for name in ("flops_reduction", "accuracy_drop"))
        return interpolated(np.append(reached, 0.0), np.append(drops, 0.0), self.reduction)


def over_targets(method: str, metric: str, less: str = "") -> Estimate:
    """A metric of a method, mean over the targets; minus another metric of the same trials where `less` names one."""
    parts = [reached(method, metric, target) for target in TARGETS]
    if less:
        parts = [Difference(part, reached(method, less, target)) for part, target in zip(parts, TARGETS, strict=True)]
    return Swept(Combined(fmean, tuple(parts)))


def misprediction(method: str) -> Estimate:
    """|predicted - reached| FLOPs reduction, the larger of the targets', in points."""
    parts = [Magnitude(Difference(reached(method, "predicted_reduction", t), reached(method, "flops_reduction", t))) for t in TARGETS]
    return Swept(Combined(max, tuple(parts)))


def published(method: str, metric: str, arch: str, threshold: float, batch: int) -> Estimate:
    """A metric of a network at a published threshold; the batch tells the CIFAR recipe from the ImageNet one."""
    return Of(method, Mean(metric, {"arch": arch, "threshold": threshold, "batch": batch}))
