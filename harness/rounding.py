"""What rounding may hide of an estimate: how its metrics' steps carry over to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from harness.estimates import Difference, Estimate, In, Mean, MeanOver, Of, RankCorrelation, RankTrend, Reading
from harness.resolution import step as step_of
from harness.table import Floats, Table


class Resolution(NamedTuple):
    """The smallest distance that a number can move by, 0 where it moves freely, and the distance that arithmetic alone may make.

    Of each of several studies, (studies,).
    """

    step: Floats
    rounding: Floats


def resolution(
    estimate: Estimate,
    table: Table,
    counted: Collection[tuple[str, str]],
    experiment: str = "",
    studies: int = 1,
    whole: Table | None = None,
) -> Resolution:
    """The resolution of an estimate on the records in `table`; `counted` holds (experiment, metric) of metrics that count examples.

    The table's replicates are those of one study after another. Both sides of a difference may be half a step off, so that its step is the
    sum of theirs; a mean never has a larger one than its parts. A rank correlation over k points moves by 12 / (k (k^2 - 1)) when two
    neighbours change places. Other estimates bend the scale of what they read: they move freely. Where all records that an estimate reads
    agree, the step is that of the experiment's other records, found in `whole` (None: in `table`).
    """
    whole = whole or table
    if isinstance(estimate, Of):
        return resolution(estimate.estimate, table.select({}, method=estimate.method), counted, experiment, studies, whole)
    if isinstance(estimate, In):
        rows = table.select({}, experiment=estimate.experiment, view=estimate.view)
        return resolution(estimate.estimate, rows, counted, estimate.experiment, studies, whole)
    if isinstance(estimate, Difference):
        left, right = (resolution(side, table, counted, experiment, studies, whole) for side in (estimate.left, estimate.right))
        return Resolution(left.step + right.step, left.rounding + right.rounding)
    if isinstance(estimate, MeanOver):
        return resolution(estimate.estimate, table.select(estimate.where), counted, experiment, studies, whole)
    if isinstance(estimate, RankTrend | RankCorrelation):
        return _of_ranks(estimate, table.select(estimate.where), studies)
    if isinstance(estimate, Reading) and not estimate.logged:
        rows = estimate.rows(table)
        others = whole.select({}, experiment=estimate.experiment) if (estimate.experiment, estimate.metric) in counted else None
        return _of_metric(estimate.metric, rows, others, studies)
    if isinstance(estimate, Mean):
        others = whole.select({}, experiment=experiment) if (experiment, estimate.metric) in counted else None
        return _of_metric(estimate.metric, table.select(estimate.where), others, studies)
    return _free(studies)


_CELLS = 256
"""More tell nothing new, and redrawn studies have many."""


def _free(studies: int) -> Resolution:
    return Resolution(np.zeros(studies), np.zeros(studies))


def _of_metric(metric: str, rows: Table, others: Table | None, studies: int) -> Resolution:
    """`others`: the experiment's records where the metric counts examples, None where it does not."""
    values = rows.metric(metric).reshape(studies, -1)
    rounding = np.asarray(step_of(values))
    if others is None:
        return Resolution(np.zeros(studies), rounding)
    step = np.asarray(step_of(values, counted=True))
    if (step > rounding).all():
        return Resolution(step, rounding)
    return Resolution(np.where(step > rounding, step, _inside_cells(metric, others, studies)), rounding)


def _inside_cells(metric: str, rows: Table, studies: int) -> Floats:
    """The smallest step between seeds of one cell, over the first cells.

    Cells may count different numbers of examples, as those of a sweep of the size of a split do: two of their shares lie as close to each
    other as the product of the two numbers allows, which is the step of neither.
    """
    values = rows.metric(metric)
    smallest = np.full(studies, np.inf)
    for places in rows.alike(("method", *rows.parameters))[:_CELLS]:
        own = values[:, places].reshape(studies, -1)
        step, rounding = (np.asarray(step_of(own, counted=is_counted)) for is_counted in (True, False))
        smallest = np.where(step > rounding, np.minimum(smallest, step), smallest)
    return np.where(np.isfinite(smallest), smallest, np.asarray(step_of(values.reshape(studies, -1))))


def _of_ranks(estimate: RankTrend | RankCorrelation, rows: Table, studies: int) -> Resolution:
    if isinstance(estimate, RankTrend):
        points = len(rows.groups(f"param.{estimate.over}"))
    else:
        seeds = [rows.column(name).tolist() for name in ("seed", "method") if rows.has(name)]
        points = min(Counter(zip(*seeds, strict=True)).values(), default=0)
    step = 12.0 / (points * (points**2 - 1)) if points > 1 else 0.0
    return Resolution(np.full(studies, step), np.zeros(studies))
