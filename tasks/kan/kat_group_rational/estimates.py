"""The numbers that claims and leaderboard columns are made of: one a seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.estimates import Difference, Estimate, Mean, Of, Transformed, rows_of, select, selected

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Tuned:
    """`metric` of the trial with the lowest `val_loss` over the learning rates, mean over the widths.

    A diverged rate counts as infinitely bad; anything else without a loss, or a width at which every rate diverged, makes it NaN.
    """

    metric: str
    where: Mapping[str, Any]

    def __call__(self, frame: pd.DataFrame) -> float:
        """The estimate in the records of one method and seed."""
        rows = select(frame, self.where)
        if rows.empty or not {"param.width", "metric.val_loss", f"metric.{self.metric}"} <= set(rows):
            return math.nan
        chosen = [selected(rows_of(group), lambda row: (-row["metric.val_loss"],)) for _, group in rows.groupby("param.width")]
        values = [math.nan if row is None else float(row[f"metric.{self.metric}"]) for row in chosen]
        return math.fsum(values) / len(values)


def trained(setting: str) -> dict[str, Any]:
    """The trials that train, in one setting."""
    return {"setting": setting, "part": "quality"}


def timed(setting: str) -> dict[str, Any]:
    """The trials that time steps, in one setting."""
    return {"setting": setting, "part": "cost"}


def tuned(setting: str, metric: str) -> Tuned:
    """`metric` at the best learning rate of the seed."""
    return Tuned(metric, trained(setting))


def gap(setting: str, metric: str, method: str, other: str) -> Difference:
    """`metric` of `method` minus that of `other`, each at its own best learning rate, in the same seed."""
    return Difference(Of(method, tuned(setting, metric)), Of(other, tuned(setting, metric)))


def step_ratio(setting: str, method: str) -> Estimate:
    """Time of a training step over that of the GELU MLP."""
    return Of(method, Mean("step_ratio", timed(setting)))


def times(metric: str, setting: str, method: str, other: str) -> Estimate:
    """How many times larger `metric` is for `method` than for `other` in the cost part, as exp of a paired difference of logarithms."""
    logs = [Of(name, Transformed(_log, Mean(metric, timed(setting)))) for name in (method, other)]
    return Transformed(math.exp, Difference(*logs))


def _log(value: float) -> float:
    """NaN where a ratio would have no meaning."""
    return math.log(value) if value > 0 else math.nan
