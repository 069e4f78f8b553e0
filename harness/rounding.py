"""What rounding may hide of an estimate: how its metrics' steps carry over to it."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, NamedTuple

from harness.estimates import Difference, Estimate, In, Mean, MeanOver, Of, RankCorrelation, RankTrend, Reading, column, select
from harness.resolution import step as step_of

if TYPE_CHECKING:
    import pandas as pd


class Resolution(NamedTuple):
    """The smallest distance that a number can move by, 0 where it moves freely, and the distance that arithmetic alone may make."""

    step: float
    rounding: float


FREE = Resolution(0.0, 0.0)


def resolution(estimate: Estimate, frame: pd.DataFrame, counted: Collection[tuple[str, str]], experiment: str = "") -> Resolution:
    """The resolution of an estimate on the records in `frame`; `counted` holds (experiment, metric) of metrics that count examples.

    Both sides of a difference may be half a step off, so that its step is the sum of theirs; a mean never has a larger one than its
    parts. A rank correlation over k points moves by 12 / (k (k^2 - 1)) when two neighbours change places. Other estimates bend the scale
    of what they read: they move freely.
    """
    if isinstance(estimate, Of):
        return resolution(estimate.estimate, select(frame, {}, method=estimate.method), counted, experiment)
    if isinstance(estimate, In):
        rows = select(frame, {}, experiment=estimate.experiment, view=estimate.view)
        return resolution(estimate.estimate, rows, counted, estimate.experiment)
    if isinstance(estimate, Difference):
        sides = [resolution(side, frame, counted, experiment) for side in (estimate.left, estimate.right)]
        return Resolution(sum(side.step for side in sides), sum(side.rounding for side in sides))
    if isinstance(estimate, MeanOver):
        return resolution(estimate.estimate, select(frame, estimate.where), counted, experiment)
    if isinstance(estimate, RankTrend | RankCorrelation):
        return _of_ranks(estimate, select(frame, estimate.where))
    if isinstance(estimate, Reading) and not estimate.logged:
        rows = select(frame, estimate.where, experiment=estimate.experiment, view=estimate.view)
        return _of_metric(estimate.metric, rows, (estimate.experiment, estimate.metric) in counted)
    if isinstance(estimate, Mean):
        return _of_metric(estimate.metric, select(frame, estimate.where), (experiment, estimate.metric) in counted)
    return FREE


def _of_metric(metric: str, rows: pd.DataFrame, counted: bool) -> Resolution:
    values = column(rows, metric).to_numpy(dtype=float)
    return Resolution(float(step_of(values, counted)) if counted else 0.0, float(step_of(values)))


def _of_ranks(estimate: RankTrend | RankCorrelation, rows: pd.DataFrame) -> Resolution:
    if rows.empty:
        return FREE
    if isinstance(estimate, RankTrend):
        points = int(rows[f"param.{estimate.over}"].nunique()) if f"param.{estimate.over}" in rows else 0
    else:
        points = int(rows.groupby(["seed", "method"]).size().min())
    return Resolution(12.0 / (points * (points**2 - 1)), 0.0) if points > 1 else FREE
