"""The numbers that claims and leaderboard columns are made of: one a seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.estimates import Estimate, Mean, Of, Slope, select
from tasks.eeg.eeg_artifact_synthesis.params import COMMON

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LogRatio:
    """log10 of `left` over `right` in the same seed: 1 is ten times as much. NaN unless both are positive."""

    left: Estimate
    right: Estimate

    @property
    def reads(self) -> tuple[Estimate, ...]:
        """Whose trials have to be there before a seed counts."""
        return (self.left, self.right)

    def __call__(self, frame: pd.DataFrame) -> float:
        """The ratio in the records of one seed."""
        left, right = self.left(frame), self.right(frame)
        return math.log10(left / right) if 0.0 < left < math.inf and 0.0 < right < math.inf else math.nan


@dataclass(frozen=True)
class AtLargest:
    """`estimate` of the matching trials at the largest `over` that a scale runs: the whole budget, where smaller ones are swept."""

    estimate: Estimate
    over: str
    where: Mapping[str, Any]

    def __call__(self, frame: pd.DataFrame) -> float:
        """The estimate in the records of one seed."""
        rows, name = select(frame, self.where), f"param.{self.over}"
        return self.estimate(rows[rows[name] == rows[name].max()]) if name in rows and len(rows) else math.nan


def scored(protocol: str = COMMON, part: str = "main") -> dict[str, Any]:
    """The scores of a part in a protocol."""
    return {"stage": "score", "part": part, "protocol": protocol}


def of(method: str, metric: str, protocol: str = COMMON) -> Of:
    """`metric` of a method in a protocol, trained with the scale's whole budget."""
    return Of(method, Mean(metric, scored(protocol)))


def trend(method: str, over: str) -> Of:
    """Slope of log band error against the log of what a part sweeps: `budget`, or `sampling_steps` in the part steps."""
    return Of(method, Slope("band_error", over, scored(part={"budget": "budget", "sampling_steps": "steps"}[over])))


def ratio(method: str, other: str, metric: str = "band_error", protocol: str = COMMON) -> LogRatio:
    """log10 of `metric` of `method` over that of `other`, in the same protocol."""
    return LogRatio(of(method, metric, protocol), of(other, metric, protocol))
