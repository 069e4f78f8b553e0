"""Columns of leaderboards, as builders."""

from __future__ import annotations

from collections.abc import Iterable

from harness.estimates import Reading
from harness.task import Metric, Statistic


def columns(experiment: str, metrics: Iterable[Metric], view: str = "", *, named: str = "{metric}") -> list[Statistic]:
    """A column for each metric of an experiment, its mean over the trials of a view; `named` may hold {metric} and {view}."""
    return [
        Statistic(
            name=named.format(metric=metric.name, view=view),
            estimate=Reading(experiment, metric.name, view),
            unit=metric.unit,
            better=metric.better,
            description=metric.description,
            bounds=metric.bounds,
        )
        for metric in metrics
    ]
