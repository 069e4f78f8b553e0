"""The numbers of a phase diagram: cells over two parameters, and where each seed crosses the level."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.censoring import companion
from harness.evidence import Evidence
from harness.report.figures import figure_id, finite, in_order, metric_label, parameter_label, rows_of
from harness.stats import CONFIDENCE
from harness.task import Experiment, Phase
from harness.thresholds import Crossings, crossings, isotonic

if TYPE_CHECKING:
    import pandas as pd

    from harness.table import Floats

_NEVER = {"left": 1, "right": -1}
"""Which bound says that one side of a peak never reaches the level: that of the peak itself."""


@dataclass(frozen=True)
class Cell:
    """One point of the grid, in one panel."""

    x: float
    y: float
    mean: float
    """Over the seeds of which all trials gave a number; NaN without one."""
    seeds: int
    planned: int
    diverged: int
    """Seeds with a trial that diverged."""
    bounds: int = 0
    """Seeds whose number is only a lower bound, and the mean with it."""


@dataclass(frozen=True)
class BoundaryPoint:
    """Where z crosses the level at one value of y, over seeds."""

    y: float
    at: float
    """The median over seeds; the bound that half of them leave, where `side` is not 0."""
    low: float
    """Ends of the interval of the median; infinite where they lie beyond the grid."""
    high: float
    side: int
    """1: the crossing lies at `at` or beyond. -1: at `at` or before."""
    seeds: int
    """Seeds that say where it is, or on which side of the grid."""
    beyond: int
    """Seeds of these that cross nowhere within the grid."""
    planned: int
    confidence: float
    """Of the interval: of n seeds no more than 1 - 2^(1 - n)."""

    def __str__(self) -> str:
        return f"{ {0: '', 1: '>= ', -1: '<= '}[self.side] }{self.at:.3g}"

    @property
    def band(self) -> str:
        """Its interval in words."""
        low, high = ("beyond the grid" if math.isinf(end) else f"{end:.3g}" for end in (self.low, self.high))
        return f"[{low}, {high}]"


@dataclass(frozen=True)
class Panel:
    """One method's phase diagram."""

    method: str
    cells: Sequence[Cell]
    boundaries: Sequence[Sequence[BoundaryPoint]]
    """One, or those on both sides of a peak; by rising y, without the values of y at which nothing can be said."""


@dataclass(frozen=True, kw_only=True)
class PhaseGrid:
    """A phase diagram."""

    id: str
    x_label: str
    y_label: str
    z_label: str
    level: float
    low: float
    """Range of the colours: that of the metric, or else of the means."""
    high: float
    log_x: bool
    log_y: bool
    panels: Sequence[Panel]

    @property
    def cells(self) -> list[Cell]:
        """Those of all panels."""
        return [cell for panel in self.panels for cell in panel.cells]

    @property
    def points(self) -> list[BoundaryPoint]:
        """Those of all boundaries."""
        return [point for panel in self.panels for boundary in panel.boundaries for point in boundary]

    @property
    def measured(self) -> bool:
        """Whether any cell has a number."""
        return any(cell.seeds for cell in self.cells)


def phase_grid(evidence: Evidence, experiment: Experiment, figure: Phase) -> PhaseGrid:
    """What a phase diagram shows of a study."""
    values = _per_seed(evidence, experiment, figure)
    found = {str(method): rows for method, rows in values.groupby("method", sort=False)}
    rises = figure.along == "rises" or (figure.along == "monotone" and _rises(values))
    cells = {method: list(_cells(rows)) for method, rows in found.items()}
    means = [cell.mean for of_method in cells.values() for cell in of_method if cell.seeds]
    bounds = experiment.metric(figure.z).bounds
    return PhaseGrid(
        id=figure_id(evidence, figure),
        x_label=figure.x_label or parameter_label(experiment, figure.x),
        y_label=figure.y_label or parameter_label(experiment, figure.y),
        z_label=metric_label(experiment, figure.z),
        level=figure.level,
        low=bounds.low if math.isfinite(bounds.low) else min(means, default=0.0),
        high=bounds.high if math.isfinite(bounds.high) else max(means, default=1.0),
        log_x=figure.log_x and bool((values["x"] >= 0).all()),
        log_y=figure.log_y and bool((values["y"] >= 0).all()),
        panels=[Panel(name, cells[name], _boundaries(found[name], figure, rises=rises)) for name in in_order(evidence.task, set(found))],
    )


def _per_seed(evidence: Evidence, experiment: Experiment, figure: Phase) -> pd.DataFrame:
    """One row for each method, x, y and seed that is planned: its mean (NaN unless every trial gave a number) as `value`."""
    x, y, z = f"param.{figure.x}", f"param.{figure.y}", f"metric.{figure.z}"
    rows, planned = rows_of(evidence.records, experiment, figure), rows_of(evidence.planned, experiment, figure)
    at = ["method", x, y, "seed"]
    if rows.empty:
        rows = planned.iloc[:0].assign(status="")
    measured = finite(rows[z]) if z in rows else math.nan
    beside = f"metric.{companion(figure.z)}"
    bound = rows[beside] != 0 if beside in rows else False
    known = rows.assign(value=measured, diverged=rows["status"] == "diverged", bound=bound).groupby(at)
    found = known.agg(mean=("value", "mean"), count=("value", "count"), diverged=("diverged", "any"), bound=("bound", "any"))
    joined = planned.groupby(at).size().rename("expected").to_frame().join(found).reset_index()
    whole = joined["count"] == joined["expected"]
    named = joined.rename(columns={x: "x", y: "y"}).astype({"x": float, "y": float})
    value, bound = joined["mean"].where(whole), joined["bound"].eq(True)
    # A lower bound under the level says nothing of the side on which the number lies.
    sided = value.where(~bound | (value > figure.level))
    return named.assign(value=value, sided=sided, bound=bound & whole, diverged=joined["diverged"].eq(True))[
        ["method", "x", "y", "seed", "value", "sided", "bound", "diverged"]
    ]


def _cells(rows: pd.DataFrame) -> Iterator[Cell]:
    by_place = rows.groupby(["y", "x"])
    found = by_place["value"].agg(["mean", "count", "size"]).join(by_place[["diverged", "bound"]].sum())
    for (y, x), mean, count, size, diverged, bounds in found.itertuples(name=None):
        yield Cell(float(x), float(y), float(mean), int(count), int(size), int(diverged), int(bounds))


def _rises(values: pd.DataFrame) -> bool:
    """Whether the means rise along x rather than fall: by the least squares of a monotone curve at each y of each method."""
    misfit = np.zeros(2)
    for _, rows in values.groupby(["method", "y"]):
        means = rows.groupby("x")["value"].mean().to_numpy(dtype=float)
        misfit += [float(np.nansum((curve - isotonic(curve)) ** 2)) for curve in (means, -means)]
    return bool(misfit[0] <= misfit[1])


def _boundaries(rows: pd.DataFrame, figure: Phase, *, rises: bool) -> list[list[BoundaryPoint]]:
    found: dict[str, list[BoundaryPoint]] = {side: [] for side in (_NEVER if figure.along == "peak" else ("",))}
    for y, of_y in rows.groupby("y"):
        kept = of_y[of_y["x"] > 0] if figure.log_x else of_y
        table = kept.pivot(index="seed", columns="x", values="sided").sort_index(axis=1)
        places, curves = table.columns.to_numpy(dtype=float), table.to_numpy(dtype=float)
        for side, part, up in _parts(curves, figure, rises=rises):
            at = np.log(places[part]) if figure.log_x else places[part]
            point = _point(float(str(y)), crossings(at, curves[:, part], figure.level, rises=up), _NEVER.get(side, 0), log=figure.log_x)
            found[side] += [point] if point else []
    return list(found.values())


def _parts(curves: Floats, figure: Phase, *, rises: bool) -> Iterator[tuple[str, slice, bool]]:
    """(side, places, whether z rises) of each stretch of x on which z is monotone."""
    if figure.along != "peak":
        yield "", slice(None), rises
        return
    known = np.isfinite(curves).any(axis=0)
    if known.any():
        peak = int(np.argmax(np.where(known, np.nansum(curves, axis=0) / np.maximum(np.isfinite(curves).sum(axis=0), 1), -math.inf)))
        yield "left", slice(0, peak + 1), True
        yield "right", slice(peak, None), False


def _point(y: float, crossed: Crossings, never: int, *, log: bool) -> BoundaryPoint | None:
    """The median over seeds with its interval by order statistics: what lies beyond the grid has a rank too. None where nothing is said."""
    known = np.isfinite(crossed.at)
    at, side = (np.exp(crossed.at[known]) if log else crossed.at[known]), crossed.side[known]
    ranked = np.sort(np.where(side == 0, at, np.where(side > 0, math.inf, -math.inf))) if len(at) else at
    middle = ranked[(len(ranked) - 1) // 2 : len(ranked) // 2 + 1]
    if not len(at) or (middle[0] == -math.inf and middle[-1] == math.inf):
        return None
    beyond = int(middle[-1] == math.inf) - int(middle[0] == -math.inf)
    if never and beyond == never:
        return None
    # A bound that holds for all of the seeds on that side.
    median = float(middle.mean() if not log or beyond else np.sqrt(middle[0] * middle[-1]))
    bound = {0: median, 1: min(at[side == 1], default=median), -1: max(at[side == -1], default=median)}[beyond]
    rank, confidence = _rank(len(ranked))
    ends = float(ranked[rank - 1]), float(ranked[-rank])
    return BoundaryPoint(y, float(bound), *ends, beyond, len(ranked), int((side != 0).sum()), len(known), confidence)


def _rank(seeds: int) -> tuple[int, float]:
    """The rank k for which the k-th smallest and the k-th largest of n enclose the median at 95 %, at least 1, and their confidence."""
    from scipy.stats import binom

    inner = [k for k in range(1, seeds // 2 + 1) if 1 - 2 * binom.cdf(k - 1, seeds, 0.5) >= CONFIDENCE]
    rank = max(inner, default=1)
    return rank, max(0.0, float(1 - 2 * binom.cdf(rank - 1, seeds, 0.5)))


def phase_notes(grid: PhaseGrid) -> list[str]:
    """What a reader must know of the picture, in sentences."""
    cells, points = grid.cells, grid.points
    empty, diverged = sum(not cell.seeds for cell in cells), sum(cell.diverged > 0 for cell in cells)
    censored, lost = sum(point.side != 0 for point in points), sum(point.seeds < point.planned for point in points)
    least = min((point.confidence for point in points), default=0.0)
    bounded = sum(cell.bounds > 0 for cell in cells)
    partial = sum(0 < cell.seeds < cell.planned for cell in cells)
    notes = [
        f"Colour: the mean of {grid.z_label} over seeds.",
        f"Line: the median over seeds of where a seed crosses {grid.level:g} along {grid.x_label}"
        + (f"; band: its interval by order statistics ({100 * least:.0f} % or more)." if least else "."),
        f"Open triangles: half of the seeds or more cross nowhere within the grid, whose edge is a bound ({censored} of {len(points)})."
        if censored
        else "",
        f"Hatched: no trial gave a number ({empty} of {len(cells)} cells)." if empty else "",
        f"Crosses: a trial diverged ({diverged} of {len(cells)} cells)." if diverged else "",
        f"Dots: the mean is only a lower bound ({bounded} of {len(cells)} cells)." if bounded else "",
        f"Some seeds are lost or not there yet in {partial} of {len(cells)} cells." if partial else "",
        f"The boundary leaves out seeds without a number beside the crossing at {lost} of {len(points)} places." if lost else "",
    ]
    return [note for note in notes if note]
