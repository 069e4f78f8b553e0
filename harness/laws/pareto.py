"""Accuracy against FLOPs: the Pareto front of each group, and how much lies under it.

The area is the mean of the best y within a budget over log FLOPs, on the range of budgets that all groups have: the hypervolume of
the front per unit of log FLOPs. The best of several runs is biased under resampling, so intervals come from whole repetitions:
one front a seed, Student's t over the seeds, paired between groups.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from harness.errors import DataError
from harness.laws import formula, table
from harness.laws.prediction import finite_or_none
from harness.laws.rows import Options, check_clusters, complete
from harness.laws.solver import Array
from harness.stats import Interval, seed_interval

if TYPE_CHECKING:
    import pandas as pd

FORMULA = "area = mean over log flops of the best y within that budget"
SUMMARY = "accuracy-vs-FLOPs fronts and the area under them, between groups"
HEADINGS = ("group", "runs", "on the front", "area", "minus the first group's")


@dataclass(frozen=True)
class Front:
    """A group's front: runs that no cheaper or equally cheap run of the group beats."""

    group: str
    runs: int
    points: Sequence[tuple[float, float]]
    """(FLOPs, y), by FLOPs."""
    area: Interval
    difference: Interval


@dataclass(frozen=True)
class Pareto:
    """Fronts of all groups on the range of FLOPs that they share."""

    source: str
    better: str
    low: float
    high: float
    fronts: Sequence[Front]
    notes: Sequence[str]

    def rows(self) -> list[tuple[str, ...]]:
        """Rows under `HEADINGS`."""
        return [
            (f.group or "all", str(f.runs), str(len(f.points)), str(f.area), "–" if not i else str(f.difference))
            for i, f in enumerate(self.fronts)
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        fronts = [
            {"group": f.group, "runs": f.runs, "front": [list(point) for point in f.points]}
            | {"area": _interval(f.area), "difference_to_first": _interval(f.difference)}
            for f in self.fronts
        ]
        return {
            "law": "pareto",
            "source": self.source,
            "better": self.better,
            "flops": [self.low, self.high],
            "fits": fronts,
            "notes": list(self.notes),
        }


def fit(
    frame: pd.DataFrame, used: Mapping[str, str], options: Options, *, better: Literal["higher", "lower"], source: str = "table"
) -> Pareto:
    """Fronts and areas of the groups; with `options.cluster` (seeds) intervals too. Raises DataError naming row and column."""
    frame = formula.columns(frame, used.values(), source)
    frame = complete(frame, used.values(), source) if options.skip_empty else frame
    flops, y = (table.positive(frame, used[name], source, allow_gap=options.allow_gap) for name in ("flops", "y"))
    labels = table.labels(frame, options.group, source)
    seeds = table.clusters(frame, options.cluster, source)
    check_clusters(seeds, options.cluster, source)
    table.one_decimal_mark(frame, list(used.values()), source)
    names, sign = list(dict.fromkeys(labels)), 1.0 if better == "higher" else -1.0
    repeats = list(dict.fromkeys(seeds)) if seeds else [""]
    cells = {
        (name, seed): np.array([a == name and (seeds is None or b == seed) for a, b in zip(labels, seeds or labels, strict=True)])
        for name in names
        for seed in repeats
    }
    for (name, seed), mask in cells.items():
        if not mask.any():
            raise DataError(f"{source}: {name} has no row with {options.cluster}={seed}, so the groups cannot be paired")
    low, high = (max(flops[m].min() for m in cells.values()), min(flops[m].max() for m in cells.values()))
    if not low < high:
        raise DataError(f"{source}: the groups share no range of {used['flops']}")
    areas = {key: sign * area(flops[mask], sign * y[mask], low, high) for key, mask in cells.items()}
    fronts = []
    for name in names:
        own = np.array([label == name for label in labels])
        values = [areas[name, seed] for seed in repeats]
        apart = [areas[name, seed] - areas[names[0], seed] for seed in repeats]
        points = [(float(f), float(v)) for f, v in front(flops[own], sign * y[own])]
        fronts.append(Front(name, int(own.sum()), [(f, sign * v) for f, v in points], seed_interval(values), seed_interval(apart)))
    told = [*used.values(), *options.group, *([options.cluster] if options.cluster else [])]
    notes = table.repeated(frame, told, "no front changes by them")
    notes += [] if seeds else ["no interval for the areas: name the column of repetitions with --cluster, such as seed"]
    return Pareto(source, better, float(low), float(high), fronts, notes)


def front(flops: Array, y: Array) -> list[tuple[float, float]]:
    """Points of the front, higher y being better, by FLOPs."""
    found: list[tuple[float, float]] = []
    for i in np.lexsort((-y, flops)):
        if not found or y[i] > found[-1][1]:
            found.append((flops[i], y[i]))
    return found


def area(flops: Array, y: Array, low: float, high: float) -> float:
    """Mean of the best y so far over log FLOPs between `low` (where at least one run is affordable) and `high`."""
    points = front(flops, y)
    edges = [low, *(f for f, _ in points if low < f < high), high]
    best = [max(v for f, v in points if f <= edge) for edge in edges[:-1]]
    widths = np.diff(np.log(edges))
    return float(np.dot(best, widths) / math.log(high / low))


def _interval(interval: Interval) -> dict[str, float | int | None]:
    return {"estimate": interval.estimate, "low": finite_or_none(interval.low), "high": finite_or_none(interval.high), "n": interval.n}
