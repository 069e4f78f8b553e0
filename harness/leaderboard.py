"""Methods ranked: per experiment and scale one row a method, one column a statistic, every number with its interval over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from harness.cost import Cost, cost, unequal_tuning
from harness.coverage import needs
from harness.errors import TaskError
from harness.estimates import Estimate, In, Of, select
from harness.evidence import Evidence, SeedValues
from harness.pooling import MOST, Pool, pool
from harness.ranking import Contender, Standing, standings
from harness.stats import Interval
from harness.task import Experiment, Method, Role, Statistic
from harness.trial_rows import Cell

if TYPE_CHECKING:
    import pandas as pd

UNEQUAL = "unequal cells"
WIDE = 5
"""More statistics than this are read down, not across."""
_ALL: Cell = {}
UNRANKED: tuple[Role, ...] = ("control", "floor")
"""What others are measured by is no contender: an ablation, a bound such as held-out data, a floor."""
_NONE = Interval(math.nan, math.nan, math.nan, 0)


@dataclass(frozen=True)
class Entry:
    """One statistic of one method."""

    interval: Interval
    lost: int = 0
    """Seeds that will never give a number."""
    note: str = ""
    """Why there is no number."""
    seeds: Contender | None = None
    """What each seed gave; None where methods are not compared."""

    @property
    def text(self) -> str:
        """The number with its interval and how many seeds it has when some were lost, or why there is none."""
        seeds = self.interval.n + self.lost
        if not self.interval.n:
            return f"– ({self.note})" if self.note else "–"
        notes = [f"{self.interval.n}/{seeds} seeds"] if self.lost else []
        notes += [f"{self.censored}/{self.interval.n} not reached"] if self.censored else []
        return f"{self.interval} ({', '.join(notes)})" if notes else str(self.interval)

    @property
    def censored(self) -> int:
        """Seeds whose number is only known on one side, or not at all, because a metric was not reached."""
        return len(self.seeds.ranges) if self.seeds else 0


@dataclass(frozen=True)
class Row:
    """One method. `standing` is None while the ranking statistic has no number, and for what is no contender."""

    method: str
    role: Role
    standing: Standing | None
    cost: Cost
    trials_ok: int
    trials_failed: int
    entries: Mapping[str, Entry]
    cells: Mapping[str, Mapping[str, Entry]]
    """The entries in each of the board's cells alone, by its label: of those statistics that are a mean over them."""


@dataclass(frozen=True)
class Board:
    """The leaderboard of one experiment at one scale, best method first."""

    task: str
    scale: str
    experiment: str
    statistics: Sequence[Statistic]
    rows: Sequence[Row]
    ranked_by: str
    """Name of the statistic that ranks, empty when none does."""
    data_kind: str
    planned: int
    recorded: int
    pools: Mapping[str, Pool | None]
    """What each statistic is a mean over."""
    cells: Sequence[str]
    """Labels of the cells that rows show one by one; empty where there are none, or too many."""

    @property
    def unequal_tuning(self) -> str:
        """Which contenders had more trials to choose among than others, in words; empty where none had."""
        return unequal_tuning({row.method: row.cost.tuning for row in self.rows if row.role not in UNRANKED})

    @property
    def standings(self) -> list[Standing]:
        """Of the contenders that have a number."""
        return [row.standing for row in self.rows if row.standing is not None]

    @property
    def label(self) -> str:
        """Task and experiment, as headings have it."""
        return f"{self.task}, experiment {self.experiment}"


def boards(evidence: Evidence) -> list[Board]:
    """One board for every experiment that the plan of a task at a scale has trials of."""
    return [board(evidence, evidence.task.experiment(name)) for name in evidence.experiments]


def board(evidence: Evidence, experiment: Experiment) -> Board:
    """The leaderboard of one experiment; methods without a planned trial of it are left out."""
    shown = columns(evidence, experiment)
    comparable = {column.name for column in shown if is_comparable(evidence, experiment, column)}
    ranking = next((column for column in shown if column.better != "none" and column.name in comparable), None)
    planned = evidence.cells_of(experiment.name)
    methods = [method for method in evidence.task.methods if method.name in set(planned["method"])]
    pools = {column.name: pool(evidence, experiment, column) for column in shown if column.name in comparable}
    splits = _splits(shown, pools, ranking)
    steps = {column.name: _resolution(evidence, experiment, column)[0] for column in shown if column.name in comparable}
    rows = [_row(evidence, experiment, method, shown, steps, ranking, splits) for method in methods]
    return Board(
        task=evidence.task.id,
        scale=evidence.scale,
        experiment=experiment.name,
        statistics=shown,
        rows=_ranked(rows, ranking, exact=experiment.exact),
        ranked_by=ranking.name if ranking else "",
        data_kind=evidence.data_kind(experiment=experiment.name),
        planned=int(planned["trials"].sum()),
        recorded=int(planned["recorded"].sum()),
        pools=pools,
        cells=[split.pool.label(cell) for split in splits for cell in split.pool.cells],
    )


@dataclass(frozen=True)
class _Split:
    """Columns that are shown in each cell of what they are a mean over."""

    pool: Pool
    columns: Sequence[Statistic]


def _splits(shown: Sequence[Statistic], pools: Mapping[str, Pool | None], ranking: Statistic | None) -> list[_Split]:
    """Of the number that ranks, and where the board has few columns of all that are a mean over the same."""
    found = pools.get(ranking.name) if ranking else None
    if ranking is None or found is None or len(found.cells) > MOST:
        return []
    return [_Split(found, [column for column in shown if pools.get(column.name) == found] if len(shown) <= WIDE else [ranking])]


def columns(evidence: Evidence, experiment: Experiment) -> Sequence[Statistic]:
    """The experiment's statistics, or else every metric, once a view that the plan has of it."""
    if experiment.statistics is not None:
        return experiment.statistics
    rows = evidence.cells_of(experiment.name)
    views = [name for name in evidence.task.views(experiment.name) if name in _views_of(rows)]
    found = [
        Statistic(
            name="_".join([metric.name, *([view.replace("-", "_")] if view else [])]),
            estimate=experiment[metric.name].at(view),
            unit=metric.unit,
            better=metric.better,
            description=metric.description,
            bounds=metric.bounds,
        )
        for view in (views or [""])
        for metric in experiment.metrics
    ]
    names = [statistic.name for statistic in found]
    for name in names:
        if names.count(name) > 1:
            raise TaskError(f"experiment {experiment.name}: two metrics and views make one column {name!r}; call a view otherwise")
    return found


def is_comparable(evidence: Evidence, experiment: Experiment, column: Statistic) -> bool:
    """Whether a column sets methods against each other at the same parameters, but for what is swept: a mean over others compares those.

    A statistic that the experiment declares is its author's answer to that.
    """
    if experiment.statistics is not None:
        return True
    (need,) = needs(column.estimate)
    return equal_cells(evidence, experiment, need.view)


def equal_cells(evidence: Evidence, experiment: Experiment, view: str = "") -> bool:
    """Whether all methods that the plan has in an experiment, or a view of it, run at the same parameters but for what is swept."""
    rows = select(evidence.cells_of(experiment.name), {}, view=view)
    swept = {f"param.{name}" for name in (experiment.tuned.over if experiment.tuned else ())}
    names = [str(column) for column in rows if str(column).startswith("param.") and column not in swept]
    cells = rows.drop_duplicates(["method", *names])
    if not names:
        return True
    return bool((cells.groupby(names, dropna=False)["method"].nunique() == cells["method"].nunique()).all())


def _row(
    evidence: Evidence,
    experiment: Experiment,
    method: Method,
    shown: Sequence[Statistic],
    steps: Mapping[str, float],
    ranking: Statistic | None,
    splits: Sequence[_Split],
) -> Row:
    recorded = int(evidence.cells_of(experiment.name, method.name)["recorded"].sum())
    good = len(evidence.ended_ok(experiment.name, method.name))
    entry = partial(_entry, evidence, experiment, method.name)
    entries = {column.name: entry(column, steps.get(column.name)) for column in shown}
    cells = {
        split.pool.label(cell): {column.name: entry(column, steps[column.name], cell) for column in split.columns}
        for split in splits
        for cell in split.pool.cells
    }
    return Row(
        method=method.name,
        role=method.role,
        standing=None,
        cost=cost(evidence, experiment, method.name, shown, ranking),
        trials_ok=good,
        trials_failed=recorded - good,
        entries=entries,
        cells=cells,
    )


def _entry(evidence: Evidence, experiment: Experiment, method: str, column: Statistic, step: float | None, cell: Cell = _ALL) -> Entry:
    """`step` is the smallest distance of a column's numbers; None where methods are not compared."""
    if step is None:
        return Entry(_NONE, note=UNEQUAL)
    found = evidence.per_seed(column.estimate, method, "" if _reads_beyond(experiment, column) else experiment.name, cell)
    # With every trial ok and no seed giving a number, this method's cells do not define the statistic: nothing was lost.
    defined = bool(found.values) or any(found.lost.values())
    lost = len(found.lost) if defined else 0
    rounding = _resolution(evidence, experiment, column, method)[1]
    seeds = Contender(method, found.values, lost, (step, rounding), column.bounds, found.ranges)
    interval = seeds.interval
    return Entry(interval, lost, "" if interval.n or cell else _why(evidence, experiment, method, column, found), seeds)


def _reads_beyond(experiment: Experiment, column: Statistic) -> bool:
    """Whether a column names trials of another experiment, such as a baseline's."""
    return any(need.experiment not in ("", experiment.name) for need in needs(column.estimate))


def _resolution(evidence: Evidence, experiment: Experiment, column: Statistic, method: str = "") -> tuple[float, float]:
    """Step and rounding of one method; or of all, whose many values tell best how large a single step is."""
    estimate: Estimate = Of(method, column.estimate) if method else column.estimate
    return evidence.resolution(estimate if _reads_beyond(experiment, column) else In(experiment.name, estimate))


def _why(evidence: Evidence, experiment: Experiment, method: str, column: Statistic, found: SeedValues) -> str:
    """Why a method has no number in a column."""
    if any(found.lost.values()):
        return f"{len(found.lost)}/{len(found.lost)} seeds lost"
    if found.waiting:
        return "not recorded yet"
    planned = evidence.cells_of(experiment.name, method)
    read = needs(column.estimate)
    if all(need.rows(planned).empty for need in read):
        views = [need.view for need in read if need.view and need.view not in _views_of(planned)]
        return f"not in view {views[0]}" if views else "not planned"
    metrics = [experiment.metric(need.metric) for need in read if need.metric in {metric.name for metric in experiment.metrics}]
    return "not measured" if any(metric.methods and method not in metric.methods for metric in metrics) else "undefined"


def _views_of(planned: pd.DataFrame) -> set[str]:
    return {str(name).removeprefix("view.") for name in planned if str(name).startswith("view.") and planned[name].any()}


def _ranked(rows: Sequence[Row], ranking: Statistic | None, *, exact: bool) -> list[Row]:
    """Best first, contenders with their standing among each other. A method that lost seeds comes after all that lost none."""
    if ranking is None:
        return list(rows)
    found = {row.method: row.entries[ranking.name].seeds or Contender(row.method, {}) for row in rows}
    places = standings([found[row.method] for row in rows if row.role not in UNRANKED], ranking.better, exact=exact)
    keys = {name: _order(own, ranking) for name, own in found.items()}
    return [replace(row, standing=places.get(row.method)) for row in sorted(rows, key=lambda row: keys[row.method])]


def _order(own: Contender, ranking: Statistic) -> tuple[bool, bool, float, float]:
    """Without a number last, with lost seeds before that; where bounds leave the mean open what is sure of it counts first."""
    sure, possible = own.merit(ranking.better)
    nothing = math.isnan(sure)
    return nothing, own.lost > 0, 0.0 if nothing else -sure, 0.0 if nothing else -possible
