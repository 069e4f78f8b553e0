"""Which trials an estimate needs, and what it gives seed by seed: the step between records and intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.censoring import SUFFIX, companion
from harness.coverage import Need, needs
from harness.ends import Ends, bounded, ends_of
from harness.errors import TaskError
from harness.estimates import Estimate, Replicated, select
from harness.kinds import cell
from harness.looks import Look, reached
from harness.plan import TrialSpec
from harness.rounding import resolution
from harness.stats import CONFIDENCE, Interval
from harness.sweeps import edges
from harness.table import Index, Source, Table
from harness.task import DATA_KINDS, Task

if TYPE_CHECKING:
    import pandas as pd

    from harness.study import Study


_COLUMNS = ("trial_id", "experiment", "method", "seed", "status", "data_kind", "data_name", "seconds", "peak_memory_mib")


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Text as plain objects in one block: estimates take many small selections, each of which would copy every Arrow column."""
    return frame.astype({name: object for name, kind in frame.dtypes.items() if str(kind).startswith("str")}).copy()


Cell = Mapping[str, Any]
"""Columns of a frame of trials, and the values that they have in a part of it."""
_WHOLE: Cell = {}
Range = tuple[float, float]
"""The lowest and the highest value that a number may have."""


def _within(frame: pd.DataFrame, cell: Cell) -> pd.DataFrame:
    for name, value in cell.items():
        if name not in frame:
            return frame.iloc[:0]
        frame = frame[frame[name].isna() if value is None or value != value else frame[name] == value]
    return frame


def _filled(frame: pd.DataFrame, experiment: str) -> pd.DataFrame:
    """An experiment's rows without the columns of others: fewer columns make every selection cheaper."""
    if not experiment or frame.empty:
        return frame
    own = [str(name) for name in frame if str(name).startswith(("param.", "metric."))]
    return frame.drop(columns=[name for name in own if frame[name].isna().all()])


def trials_frame(trials: Sequence[TrialSpec]) -> pd.DataFrame:
    """One row a trial: `trial_id`, `experiment`, `method`, `seed`, `kind` and `data_name` of its data, `param.` and `view.` columns.

    What differs in the seed alone is looked at once: a plan has few cells and many trials.
    """
    import pandas as pd

    cells: dict[tuple[Any, ...], int] = {}
    firsts: list[TrialSpec] = []
    places = np.empty(len(trials), dtype=np.intp)
    for place, trial in enumerate(trials):
        # The trials of a cell share their parameters and data, which live as long as the trials do.
        key = id(trial.params), trial.experiment, trial.method, id(trial.data), trial.views
        number = cells.setdefault(key, len(firsts))
        if number == len(firsts):
            firsts.append(trial)
        places[place] = number
    columns: dict[str, Any] = {
        "experiment": [t.experiment for t in firsts],
        "method": [t.method for t in firsts],
        "kind": [t.data.kind if t.data else "synthetic" for t in firsts],
        "data_name": [t.data.source if t.data else "" for t in firsts],
    }
    for name in dict.fromkeys(name for t in firsts for name in t.params):
        columns[f"param.{name}"] = [cell(t.params.get(name)) for t in firsts]
    for view in dict.fromkeys(view for t in firsts for view in t.views):
        columns[f"view.{view}"] = [view in t.views for t in firsts]
    frame = _plain(pd.DataFrame(columns)).take(places).reset_index(drop=True)
    frame.insert(0, "trial_id", np.array([t.id for t in trials], dtype=object))
    frame.insert(3, "seed", np.array([t.seed for t in trials], dtype=np.int64))
    return frame


def _viewed(frame: pd.DataFrame, planned: pd.DataFrame) -> pd.DataFrame:
    """A boolean column for each view: which trials it asks for is the plan's, not the record's."""
    import pandas as pd

    names = [str(name) for name in planned if str(name).startswith("view.")]
    own, all_of_them = frame["trial_id"].to_numpy(), planned["trial_id"].to_numpy()
    if len(own) == len(all_of_them) and bool((own == all_of_them).all()):
        views = planned[names]
    else:
        places = pd.Index(all_of_them).get_indexer(pd.Index(own))
        views = planned[names].take(places) & (places >= 0)[:, None]
    return pd.concat([frame, views.set_axis(frame.index)], axis=1)


def counted(task: Task) -> set[tuple[str, str]]:
    """(experiment, metric) of metrics that move in steps: of one example, of a timer."""
    return {(own.name, metric.name) for own in task.experiments for metric in own.metrics if metric.counted or metric.timed}


_DEFAULT = object()


@dataclass(frozen=True)
class SeedValues:
    """What an estimate gave: a number per usable seed, and the seeds that will never give one."""

    values: Mapping[int, float]
    """Of a number that is only known to lie in a range the finite end, the middle of two, NaN without one."""
    lost: Mapping[int, Mapping[str, int]]
    """Lost seed -> how many of its trials ended in each status that is not `ok`; empty when all did well."""
    waiting: frozenset[int]
    """Seeds of which a needed trial has left no record yet."""
    ranges: Mapping[int, Range] = field(default_factory=dict)
    """Lowest and highest value in the seeds of which censoring leaves it open, see `harness.ends`."""

    @property
    def ends(self) -> Ends:
        """Lowest and highest value of all seeds that give one, (seeds,)."""
        return self.ends_of([*self.values])

    def ends_of(self, seeds: Sequence[int]) -> Ends:
        """Of some of them."""
        found = [self.ranges.get(seed, (self.values[seed], self.values[seed])) for seed in seeds]
        return Ends(np.array([low for low, _ in found]), np.array([high for _, high in found]))


@dataclass(frozen=True, eq=False)
class Evidence:
    """The plan and the records of one task at one scale, ready to be asked."""

    study: Study = field(repr=False)
    task: Task
    scale: str
    look: Look | None = None
    """Ask the seeds of this look alone, at its level."""

    @cached_property
    def looks(self) -> list[Evidence]:
        """The evidence at each look of the study that is complete, the first one first."""
        looks = self.study.looks
        return [self.at(look) for look in looks[: reached(looks, self._trials, set(self.records["trial_id"]))]]

    def at(self, look: Look) -> Evidence:
        """The evidence at a look."""
        return replace(self, look=look)

    @cached_property
    def seeds(self) -> list[int]:
        """Planned seeds in the plan's order, which later commands only add to; up to those of the look."""
        planned = dict.fromkeys(t.seed for t in self.study.plan if t.task == self.task.id and t.scale == self.scale)
        return list(planned)[: self.look.seeds if self.look else None]

    @cached_property
    def records(self) -> pd.DataFrame:
        """One row a record, with the columns that an estimate may read, and what it is, cost and was made of."""
        frame = self.study.records(self.task, self.scale)
        frame = frame[frame["seed"].isin(self.seeds)] if self.look else frame
        kept = [name for name in frame if name in _COLUMNS or str(name).startswith(("param.", "metric."))]
        return _viewed(_plain(_marked(frame[kept].reset_index(drop=True), self.task)), self._planned)

    @cached_property
    def planned(self) -> pd.DataFrame:
        """One row a planned trial: the columns of `trials_frame`, and whether it is `recorded`."""
        planned, recorded = self._planned["trial_id"].to_numpy(), self.records["trial_id"].to_numpy()
        whole = len(planned) == len(recorded) and bool((planned == recorded).all())
        return self._planned.assign(recorded=True if whole else self._planned["trial_id"].isin(recorded))

    @cached_property
    def _planned(self) -> pd.DataFrame:
        return trials_frame(self._trials)

    @cached_property
    def _trials(self) -> list[TrialSpec]:
        seeds = set(self.seeds)
        return [t for t in self.study.plan if t.task == self.task.id and t.scale == self.scale and t.seed in seeds]

    @cached_property
    def chosen(self) -> dict[str, list[str]]:
        """By experiment the parameters of which the plan has several values and the task's own scale one: `--set` asked for them."""
        found: dict[str, list[str]] = {}
        for name in self.experiments:
            rows, own = self.planned_of(name), [grid for grid in self.task.scale(self.scale).grids if grid.experiment.name == name]
            # A plan of before may lack a parameter that the task has by now.
            planned = [(parameter, f"param.{parameter}") for parameter in self.task.experiment(name).parameters]
            several = [parameter for parameter, column in planned if column in rows and rows[column].nunique(dropna=False) > 1]
            # What a grid leaves out has the parameter's default, which is one value more.
            declared = {p: {repr(v) for g in own for point in g.points for v in g.axes.get(p, (point.get(p, _DEFAULT),))} for p in several}
            if names := [parameter for parameter, values in declared.items() if len(values) <= 1]:
                found[name] = names
        return found

    @cached_property
    def experiments(self) -> list[str]:
        """Experiments of which the plan has a trial, in the task's order."""
        found = set(self.planned["experiment"])
        return [experiment.name for experiment in self.task.experiments if experiment.name in found]

    @cached_property
    def _seeds(self) -> dict[tuple[str, str | None, str], dict[Any, pd.DataFrame]]:
        return {}

    @cached_property
    def _plans(self) -> dict[tuple[str, str | None], pd.DataFrame]:
        return {}

    def _by_seed(self, experiment: str, method: str | None, cell: Cell = _WHOLE) -> dict[Any, pd.DataFrame]:
        key = experiment, method, repr(cell)
        if key not in self._seeds:
            self._seeds[key] = dict(iter(self._read(experiment, method, cell).groupby("seed")))
        return self._seeds[key]

    def _read(self, experiment: str, method: str | None, cell: Cell) -> pd.DataFrame:
        return _filled(_within(select(self.records, {}, experiment=experiment, method=method), cell), experiment)

    def _alike(self, rows: pd.DataFrame) -> Iterator[tuple[list[Any], Index]]:
        """Seeds whose rows are of the same trials but for the seed, with the places of these, (seeds, rows of one seed)."""
        order = np.argsort(rows["seed"].to_numpy(), kind="stable")
        seeds, starts, counts = np.unique(rows["seed"].to_numpy()[order], return_index=True, return_counts=True)
        numbers = self._rows.loc[rows.index].to_numpy()[order]
        for count in dict.fromkeys(counts.tolist()):
            own = np.flatnonzero(counts == count)
            places = starts[own][:, None] + np.arange(count)
            _, kinds = np.unique(numbers[places], axis=0, return_inverse=True)
            for kind in dict.fromkeys(kinds.tolist()):
                found = kinds == kind
                yield seeds[own[found]].tolist(), order[places[found]]

    @cached_property
    def _stacks(self) -> dict[tuple[str, str | None, str], list[tuple[list[Any], Table]]]:
        return {}

    def _tables(self, experiment: str, method: str | None, cell: Cell = _WHOLE) -> list[tuple[list[Any], Table]]:
        """Seeds whose trials agree in all but what they left, with one table of them."""
        key = experiment, method, repr(cell)
        if key not in self._stacks:
            rows = self._read(experiment, method, cell)
            self._stacks[key] = [(seeds, _stacked(rows, places)) for seeds, places in self._alike(rows)]
        return self._stacks[key]

    @cached_property
    def _rows(self) -> pd.Series[int]:
        """A number for what each record is one of, the seed apart."""
        own = [str(name) for name in self.records if str(name).startswith(("param.", "view."))]
        return self.records.groupby(["experiment", "method", *own], dropna=False, sort=False).ngroup()

    def planned_of(self, experiment: str, method: str | None = None) -> pd.DataFrame:
        """The planned trials of an experiment (of all, if empty) and a method (of all, if None)."""
        key = experiment, method
        if key not in self._plans:
            self._plans[key] = select(self.planned, {}, experiment=experiment, method=method)
        return self._plans[key]

    def rows_read(self, estimate: Estimate, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of `frame` (records or planned) that `estimate` reads, each once."""
        leaves = [need.rows(frame).index for need in needs(estimate)]
        index = leaves[0]
        for leaf in leaves[1:]:
            index = index.union(leaf)
        return frame if len(index) == len(frame) else frame.loc[index]

    def absent(self, estimate: Estimate) -> list[Need]:
        """What `estimate` reads that the plan does not hold at all."""
        return [need for need in needs(estimate) if need.rows(self.planned).empty]

    def per_seed(self, estimate: Estimate, method: str | None = None, experiment: str = "", cell: Cell = _WHOLE) -> SeedValues:
        """`estimate` on each seed's records, once all that it needs has left a record.

        Records are those of one method, of one experiment, if given, and where the columns in `cell` have its values.
        """
        planned = self.rows_read(estimate, _within(self.planned_of(experiment, method), cell))
        complete = planned.groupby("seed")["recorded"].all()
        values: dict[int, float] = {}
        lost: dict[int, Mapping[str, int]] = {}
        whole = set(complete.index[complete])
        found: dict[Any, Range] = {}
        for seeds, table in self._tables(experiment, method, cell):
            usable = [place for place, seed in enumerate(seeds) if seed in whole]
            if usable:
                numbers = self._ends(estimate, table.of_replicates(usable))
                found |= dict(zip((seeds[place] for place in usable), numbers, strict=True))
        ranges: dict[int, Range] = {}
        for seed in sorted(found):
            low, high = found[seed]
            if math.isfinite(low) and low == high:
                values[int(seed)] = low
            elif low < high:
                values[int(seed)], ranges[int(seed)] = _shown(low, high), (low, high)
            else:
                status = self.rows_read(estimate, self._by_seed(experiment, method, cell)[seed])["status"]
                lost[int(seed)] = {str(name): int(count) for name, count in status[status != "ok"].value_counts().items()}
        return SeedValues(values, lost, frozenset(int(seed) for seed in complete.index[~complete]), ranges)

    def through_bounds(self, estimate: Estimate) -> int:
        """Seeds in which `estimate` reads a bound of a censored metric."""
        if not any(bool(self.records[name].any()) for name in self.records if str(name).endswith(SUFFIX)):
            return 0
        return sum(int(bounded(estimate, table).sum()) for _, table in self._tables("", None))

    @property
    def confidence(self) -> float:
        """Of the intervals that decide."""
        return 1 - self.look.level if self.look else CONFIDENCE

    def resolution(self, estimate: Estimate) -> tuple[float, float]:
        """What rounding may hide of `estimate`: the step of what it counts, and of arithmetic."""
        step, rounding = resolution(estimate, self._whole, counted(self.task))
        return float(step[0]), float(rounding[0])

    @cached_property
    def _whole(self) -> Table:
        return Table.of(self.records)

    def own_interval(self, estimate: Estimate) -> Callable[[float], Interval] | None:
        """The interval, by its confidence, of an estimate whose unit of replication is not the seed alone; None for all others."""
        if not isinstance(estimate, Replicated):
            return None
        planned = self.rows_read(estimate, self.planned)
        complete = planned.groupby("seed")["recorded"].all()
        usable = [
            (table, [place for place, seed in enumerate(seeds) if complete.get(seed, False)]) for seeds, table in self._tables("", None)
        ]
        return estimate.interval([table.of_replicates(places) for table, places in usable if places])

    def data_kind(self, estimate: Estimate | None = None, experiment: str = "") -> str:
        """Kinds of the data behind the records (of the plan, before there are any) that `estimate` reads, joined with ` + `."""
        records = select(self.records, {}, experiment=experiment)
        found = set((records if estimate is None else self.rows_read(estimate, records))["data_kind"].unique())
        if not found:
            planned = self.planned_of(experiment)
            found = set((planned if estimate is None else self.rows_read(estimate, planned))["kind"])
        return " + ".join([kind for kind in DATA_KINDS if kind in found] + sorted(found - set(DATA_KINDS)))

    def edges(self, estimate: Estimate) -> list[str]:
        """Sweeps behind `estimate` that select at the edge of what was swept, such as `kat: lr at its largest (0.01) in 2 of 5 seeds`."""
        found: dict[str, set[Any]] = {}
        seeds = self._by_seed("", None)
        for need in needs(estimate):
            for seed, frame in seeds.items() if need.sweep and need.method else ():
                for edge in edges(need.sweep, need.rows(frame)) if need.sweep else ():
                    found.setdefault(f"{need.method}: {edge}", set()).add(seed)
        return [f"{edge} in {len(where)} of {len(seeds)} seeds" for edge, where in found.items()]

    def _ends(self, estimate: Estimate, table: Table) -> list[Range]:
        try:
            found = ends_of(estimate, table)
        except Exception as error:
            raise TaskError(f"task {self.task.id}: an estimate raised {type(error).__name__}: {error} ({estimate!r})") from error
        return list(zip(found.low.tolist(), found.high.tolist(), strict=True))


def _stacked(rows: pd.DataFrame, places: Index) -> Table:
    """A replicate for each row of `places`, (replicates, rows of one): columns are taken whole, no frame is made of a seed."""
    first = places[0]
    source = Source(
        frozenset(str(name) for name in rows),
        len(places),
        places.shape[1],
        fixed=lambda name: rows[name].to_numpy()[first],
        varying=lambda name: rows[name].to_numpy()[places],
        frame=lambda replicate: rows.iloc[places[replicate]],
    )
    return Table(source, np.arange(places.shape[1]))


def _shown(low: float, high: float) -> float:
    if math.isfinite(low):
        return (low + high) / 2 if math.isfinite(high) else low
    return high if math.isfinite(high) else math.nan


def _marked(frame: pd.DataFrame, task: Task) -> pd.DataFrame:
    """With the companion of every censored metric: 1 in a row that does not say what its number is, so that it passes for no value."""
    declared = [(own.name, metric.name) for own in task.experiments for metric in own.metrics if metric.censored]
    for name in dict.fromkeys(name for _, name in declared):
        column, own = f"metric.{companion(name)}", frame["experiment"].isin([where for where, other in declared if other == name])
        said = frame[column].fillna(1.0) if column in frame else 1.0
        frame = frame.assign(**{column: np.where(own, said, 0.0)})
    return frame
