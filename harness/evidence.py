"""Which trials an estimate needs, and what it gives seed by seed: the step between records and intervals."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from harness.cells import Cells, plain
from harness.censoring import SUFFIX, companion
from harness.coverage import Need, needs
from harness.ends import Ends, bounded, ends_of
from harness.errors import TaskError
from harness.estimates import Estimate, Replicated, select
from harness.looks import Look, reached
from harness.plan import TrialSpec, today, versions
from harness.rounding import resolution
from harness.stats import CONFIDENCE, Interval
from harness.sweeps import edges
from harness.table import Bools, Index, Source, Table, missing
from harness.task import DATA_KINDS, Task

if TYPE_CHECKING:
    import pandas as pd

    from harness.study import Study


_COLUMNS = ("trial_id", "experiment", "method", "seed", "status", "data_kind", "data_name", "seconds", "peak_memory_mib", "energy_j")


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


def trials_frame(trials: Sequence[TrialSpec]) -> pd.DataFrame:
    """One row a trial: `trial_id` and `seed` beside the columns of `Cells.frame`."""
    cells = Cells.of(trials)
    return _expanded(cells.frame(), cells.numbers, np.array([t.id for t in trials], dtype=object), cells.seeds)


def _expanded(cells: pd.DataFrame, numbers: Index, ids: npt.NDArray[Any], seeds: npt.NDArray[np.int64]) -> pd.DataFrame:
    frame = cells.take(numbers).reset_index(drop=True)
    frame.insert(0, "trial_id", ids)
    frame.insert(3, "seed", seeds)
    return frame


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
    unasked: frozenset[int] = frozenset()
    """Seeds without a value of which the plan asks for a part of the scale's trials alone: these are not lost."""

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
        trials = [self.study.plan[place] for place in self._trials.tolist()]
        return [self.at(look) for look in looks[: reached(looks, trials, set(self.records["trial_id"]))]]

    def at(self, look: Look) -> Evidence:
        """The evidence at a look."""
        return replace(self, look=look)

    @cached_property
    def seeds(self) -> list[int]:
        """Planned seeds in the plan's order, which later commands only add to; up to those of the look."""
        import pandas as pd

        planned = pd.unique(self.study.cells.seeds[self._of_all_looks])
        found: list[int] = planned[: self.look.seeds if self.look else None].tolist()
        return found

    @cached_property
    def _of_all_looks(self) -> Index:
        cells = self.study.cells
        own = np.array([(first.task, first.scale) == (self.task.id, self.scale) for first in cells.firsts], dtype=bool)
        return np.flatnonzero(own[cells.numbers])

    @cached_property
    def _trials(self) -> Index:
        """Places in the study's plan."""
        return self._of_all_looks[np.isin(self._seeds_of(self._of_all_looks), self.seeds)] if self.look else self._of_all_looks

    def _seeds_of(self, trials: Index) -> npt.NDArray[np.int64]:
        return self.study.cells.seeds[trials]

    @cached_property
    def _numbering(self) -> tuple[Index, Index]:
        """Of each planned trial the row of `cells`, and of each of these its place in the study's cells."""
        import pandas as pd

        numbers, cells = pd.factorize(self.study.cells.numbers[self._trials])
        return numbers.astype(np.intp), np.asarray(cells, dtype=np.intp)

    @cached_property
    def _records(self) -> Index:
        """Rows of the study's frame: the records of the planned trials, in its order."""
        places = self.study.places
        own = np.zeros(len(self.study.plan) + 1, dtype=bool)
        own[self._trials] = True
        return np.flatnonzero(own[places])

    @cached_property
    def _cells_of_records(self) -> Index:
        """Of each record the row of `cells`."""
        _, cells = self._numbering
        own = np.zeros(len(self.study.cells.firsts), dtype=np.intp)
        own[cells] = np.arange(len(cells))
        return own[self.study.cells.numbers[self.study.places[self._records]]]

    @cached_property
    def _recorded(self) -> Bools:
        """Which of the planned trials left a record."""
        found = np.zeros(len(self.study.plan), dtype=bool)
        found[self.study.places[self._records]] = True
        return found[self._trials]

    @cached_property
    def cells(self) -> pd.DataFrame:
        """One row a planned cell, trials that differ in the seed alone: the columns of `Cells.frame`, its `trials` and those `recorded`."""
        numbers, cells = self._numbering
        every = self.study.cells.frame(cells)
        trials, recorded = (np.bincount(own, minlength=len(cells)) for own in (numbers, numbers[self._recorded]))
        return every.assign(trials=trials, recorded=recorded)

    def cells_of(self, experiment: str, method: str | None = None) -> pd.DataFrame:
        """The planned cells of an experiment (of all, if empty) and a method (of all, if None)."""
        key = experiment, method
        if key not in self._cells:
            self._cells[key] = select(self.cells, {}, experiment=experiment, method=method)
        return self._cells[key]

    @cached_property
    def _cells(self) -> dict[tuple[str, str | None], pd.DataFrame]:
        return {}

    @cached_property
    def records(self) -> pd.DataFrame:
        """One row a record, with the columns that an estimate may read, and what it is, cost and was made of."""
        frame = self.study.frame[_columns_kept(self.study.frame)]
        frame = plain(frame if len(self._records) == len(frame) else frame.iloc[self._records]).reset_index(drop=True)
        return frame.assign(**{name: self._column(name) for name in [*self._companions, *self._views]}).copy()

    @cached_property
    def planned(self) -> pd.DataFrame:
        """One row a planned trial: the columns of `trials_frame`, and whether it is `recorded`."""
        ids = np.array([self.study.plan[place].id for place in self._trials.tolist()], dtype=object)
        cells = self.cells.drop(columns=["trials", "recorded"])
        return _expanded(cells, self._numbering[0], ids, self._seeds_of(self._trials)).assign(recorded=self._recorded)

    @cached_property
    def _views(self) -> list[str]:
        return [str(name) for name in self.cells if str(name).startswith("view.")]

    @cached_property
    def _companions(self) -> dict[str, list[str]]:
        """Columns that say of a censored metric whether it is a bound, and the experiments that declare it."""
        found: dict[str, list[str]] = {}
        for own in self.task.experiments:
            for metric in own.metrics:
                if metric.censored:
                    found.setdefault(f"metric.{companion(metric.name)}", []).append(own.name)
        return found

    @cached_property
    def _names(self) -> frozenset[str]:
        """Columns of the records."""
        return frozenset([*_columns_kept(self.study.frame), *self._companions, *self._views])

    @cached_property
    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {}

    def _column(self, name: str) -> npt.NDArray[Any]:
        """A column of the records, (records,): which view holds a trial is the plan's to say, not the record's."""
        if name not in self._arrays:
            if name in self._views:
                found = self.cells[name].to_numpy()[self._cells_of_records]
            elif name in self._companions:
                found = self._said(name)
            else:
                found = self._kept(name)
            self._arrays[name] = found
        return self._arrays[name]

    def _kept(self, name: str) -> npt.NDArray[Any]:
        whole = self.study.frame[name]
        return (whole if len(self._records) == len(whole) else whole.iloc[self._records]).to_numpy()

    def _said(self, name: str) -> npt.NDArray[np.float64]:
        """Of a censored metric: 1 in a row that does not say what its number is, so that it passes for no value."""
        own = self.cells["experiment"].isin(self._companions[name]).to_numpy()[self._cells_of_records]
        said = np.asarray(self._kept(name), dtype=float) if name in self.study.frame else np.ones(len(own))
        return np.where(own, np.where(np.isnan(said), 1.0, said), 0.0)

    @cached_property
    def chosen(self) -> dict[str, list[str]]:
        """By experiment the parameters of which the plan has several values and the task's own scale one: `--set` asked for them."""
        found: dict[str, list[str]] = {}
        for name in self.experiments:
            rows, own = self.cells_of(name), [grid for grid in self.task.scale(self.scale).grids if grid.experiment.name == name]
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
        found = set(self.cells["experiment"])
        return [experiment.name for experiment in self.task.experiments if experiment.name in found]

    @cached_property
    def _stacks(self) -> dict[tuple[str, str | None, str], list[tuple[list[int], Table]]]:
        return {}

    def _tables(self, experiment: str, method: str | None, cell: Cell = _WHOLE) -> list[tuple[list[int], Table]]:
        """Seeds whose trials agree in all but what they left, with one table of them."""
        key = experiment, method, repr(cell)
        if key not in self._stacks:
            rows = self.rows_of(_within(self.cells_of(experiment, method), cell))
            names = self._filled(rows) if experiment else self._names
            self._stacks[key] = [(seeds, self._stacked(places, names)) for seeds, places in self._alike(rows)]
        return self._stacks[key]

    def rows_of(self, cells: pd.DataFrame) -> Index:
        """The records of some rows of `cells`, by their places in `records`."""
        return np.flatnonzero(self._members(cells.index)[self._cells_of_records])

    def _members(self, cells: pd.Index[int]) -> Bools:
        """Which rows of `cells` these are."""
        found = np.zeros(len(self.cells), dtype=bool)
        found[cells] = True
        return found

    def _filled(self, rows: Index) -> frozenset[str]:
        """Columns without those of other experiments, which are empty."""
        own = [name for name in self._names if name.startswith(("param.", "metric."))]
        return self._names - {name for name in own if len(rows) and self._is_empty(self._column(name), rows)}

    @staticmethod
    def _is_empty(column: npt.NDArray[Any], rows: Index) -> bool:
        # Most are told by their first row.
        return bool(missing(column[rows[:1]])[0] and missing(column[rows]).all())

    def _alike(self, rows: Index) -> Iterator[tuple[list[int], Index]]:
        """Seeds whose records are of the same cells in the same order, with their rows, (seeds, rows of one seed)."""
        rows = rows[np.argsort(self._column("seed")[rows], kind="stable")]
        own = self._column("seed")[rows]
        starts = np.flatnonzero(np.concatenate([np.ones(min(len(own), 1), dtype=bool), own[1:] != own[:-1]]))
        seeds, counts = own[starts], np.diff(np.append(starts, len(own)))
        for count in dict.fromkeys(counts.tolist()):
            same = np.flatnonzero(counts == count)
            found = rows[starts[same][:, None] + np.arange(count)]
            for kind in _kinds(self._cells_of_records[found]):
                yield seeds[same[kind]].tolist(), found[kind]

    def _stacked(self, places: Index, names: frozenset[str]) -> Table:
        """A replicate for each row of `places`, (replicates, rows of one): columns are taken whole, no frame is made of a seed."""
        first = places[0]
        source = Source(
            names,
            len(places),
            places.shape[1],
            fixed=lambda name: self._column(name)[first],
            varying=lambda name: self._column(name)[places],
            frame=lambda replicate: self.records.iloc[places[replicate]][[name for name in self.records if name in names]],
        )
        return Table(source, np.arange(places.shape[1]))

    def rows_read(self, estimate: Estimate, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of `frame` (cells, records or planned) that `estimate` reads, each once."""
        leaves = [need.rows(frame).index for need in needs(estimate)]
        index = leaves[0]
        for leaf in leaves[1:]:
            index = index.union(leaf)
        return frame if len(index) == len(frame) else frame.loc[index]

    def trials_read(self, estimate: Estimate) -> int:
        """How many planned trials `estimate` reads."""
        return int(self.rows_read(estimate, self.cells)["trials"].sum())

    def ids_read(self, estimate: Estimate) -> list[str]:
        """Ids of the planned trials that `estimate` reads, in the plan's order."""
        own = self._members(self.rows_read(estimate, self.cells).index)[self._numbering[0]]
        return [self.study.plan[place].id for place in self._trials[own].tolist()]

    def absent(self, estimate: Estimate) -> list[Need]:
        """What `estimate` reads that the plan does not hold at all."""
        return [need for need in needs(estimate) if need.rows(self.cells).empty]

    def per_seed(self, estimate: Estimate, method: str | None = None, experiment: str = "", cell: Cell = _WHOLE) -> SeedValues:
        """`estimate` on each seed's records, once all that it needs has left a record.

        Records are those of one method, of one experiment, if given, and where the columns in `cell` have its values.
        """
        read = self.rows_read(estimate, _within(self.cells_of(experiment, method), cell))
        whole, waiting = self._complete(read)
        found: dict[int, Range] = {}
        for seeds, table in self._tables(experiment, method, cell):
            usable = [place for place, seed in enumerate(seeds) if seed in whole]
            if usable:
                numbers = self._ends(estimate, table.of_replicates(usable))
                found |= dict(zip((seeds[place] for place in usable), numbers, strict=True))
        values: dict[int, float] = {}
        ranges: dict[int, Range] = {}
        without: list[int] = []
        for seed in sorted(found):
            low, high = found[seed]
            if math.isfinite(low) and low == high:
                values[seed] = low
            elif low < high:
                values[seed], ranges[seed] = _shown(low, high), (low, high)
            else:
                without.append(seed)
        parts = self._parts(read, self._of_scale(estimate, method, experiment, cell)) if without and not self._is_whole else {}
        lost = [seed for seed in without if seed not in parts]
        return SeedValues(values, self._statuses(read, lost), waiting, ranges, frozenset(without) - frozenset(lost))

    def part_asked(self, estimate: Estimate) -> tuple[int, int] | None:
        """Where a plan asks for a part of what `estimate` reads: its trials of the least seed, and how many the scale plans."""
        if self._is_whole:
            return None
        read, scale = self.rows_read(estimate, self.cells), self._of_scale(estimate)
        found = self._parts(read, scale)
        least = min(found.values()) if found else 0
        return (least, len(scale)) if found or (read.empty and not scale.empty) else None

    def _parts(self, read: pd.DataFrame, scale: pd.DataFrame) -> dict[int, int]:
        """Seed -> trials of some rows of `cells`, where they are a part of those that the scale plans, as after `--claim` or `--trial`.

        Nothing where a command chose other values than those of the scale: nobody knows what the whole of these is.
        """
        if not {self._keys[row] for row in read.index.tolist()} <= {*scale["key"]}:
            return {}
        own = self._members(read.index)[self._numbering[0]]
        seeds, counts = np.unique(self._seeds_of(self._trials)[own], return_counts=True)
        return {seed: count for seed, count in zip(seeds.tolist(), counts.tolist(), strict=True) if count < len(scale)}

    def _of_scale(self, estimate: Estimate, method: str | None = None, experiment: str = "", cell: Cell = _WHOLE) -> pd.DataFrame:
        """The rows of `_scale` that `estimate` reads, narrowed down as `per_seed` is."""
        return self.rows_read(estimate, _within(select(self._scale, {}, experiment=experiment, method=method), cell))

    @cached_property
    def _scale(self) -> pd.DataFrame:
        """What the scale plans today: columns of `cells`, and what trials that ask for the same have in common, `key`."""
        cells = Cells.of(today(self.task, self.scale))
        return cells.frame().assign(key=[_key(first) for first in cells.firsts])

    @cached_property
    def _keys(self) -> list[str]:
        """The key of the trials in each row of `cells`."""
        return [_key(self.study.cells.firsts[cell]) for cell in self._numbering[1].tolist()]

    @cached_property
    def _is_whole(self) -> bool:
        """Whether the plan has all of the scale's trials in every seed."""
        keys = {*self._scale["key"]}
        own = np.array([key in keys for key in self._keys], dtype=bool)[self._numbering[0]]
        seeds = self._seeds_of(self._trials)
        counts = np.unique(seeds[own], return_counts=True)[1]
        return len(counts) == len(self.seeds) and bool((counts >= len(self._scale)).all())

    def versions(self, estimate: Estimate) -> str:
        """Versions of the task, of the planned trials that `estimate` reads: `2`, or `1, 2`. Of all trials where it reads none."""
        firsts = [self.study.cells.firsts[cell] for cell in self._numbering[1].tolist()]
        whole = versions(firsts)
        return versions(firsts[row] for row in self.rows_read(estimate, self.cells).index) or whole if "," in whole else whole

    def sources(self, estimate: Estimate) -> list[str]:
        """Digests of the sources of the task that measured what `estimate` reads."""
        codes, digests = self._digests
        if len(digests) > 1:
            read = self.rows_of(self.rows_read(estimate, self.cells))
            digests = [digests[code] for code in np.unique(codes[read]).tolist()]
        return sorted({*digests} - {""})

    @cached_property
    def _digests(self) -> tuple[Index, list[str]]:
        """Of each record the place of its source's digest in the list of these."""
        import pandas as pd

        whole = self.study.frame["source_digest"]
        codes, digests = pd.factorize(whole if len(self._records) == len(whole) else whole.iloc[self._records])
        return codes, digests.tolist()

    def _complete(self, cells: pd.DataFrame) -> tuple[frozenset[int], frozenset[int]]:
        """Seeds of which all trials of some rows of `cells` left a record, and seeds of which one did not yet."""
        members = self._members(cells.index)
        key = members.tobytes()
        if key not in self._completed:
            seeds, own = self._seeds_of(self._trials), members[self._numbering[0]]
            waiting = frozenset(np.unique(seeds[own & ~self._recorded]).tolist())
            planned = self.seeds if bool(own.all()) else np.unique(seeds[own]).tolist()
            self._completed[key] = frozenset(planned) - waiting, waiting
        return self._completed[key]

    @cached_property
    def _completed(self) -> dict[bytes, tuple[frozenset[int], frozenset[int]]]:
        return {}

    def _statuses(self, cells: pd.DataFrame, seeds: Sequence[int]) -> dict[int, Mapping[str, int]]:
        """Of each of the seeds how many of its records of some rows of `cells` ended in each status that is not ok, most first."""
        found: dict[int, Mapping[str, int]] = {seed: {} for seed in seeds}
        if seeds:
            rows = self.rows_of(cells)
            rows = rows[np.asarray(self._column("status")[rows] != "ok", dtype=bool)]
            counts: dict[int, Counter[str]] = {}
            for seed, status in zip(self._column("seed")[rows].tolist(), self._column("status")[rows].tolist(), strict=True):
                counts.setdefault(seed, Counter())[str(status)] += 1
            found |= {seed: dict(counts[seed].most_common()) for seed in seeds if seed in counts}
        return found

    def through_bounds(self, estimate: Estimate) -> int:
        """Seeds in which `estimate` reads a bound of a censored metric."""
        if not any(bool(self._column(name).any()) for name in self._names if name.endswith(SUFFIX)):
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
        """All records: as replicates where all seeds are alike, else one below the other."""
        tables = self._tables("", None)
        if len(tables) == 1:
            return tables[0][1]
        source = Source(
            self._names,
            1,
            len(self._records),
            fixed=self._column,
            varying=lambda name: self._column(name)[None],
            frame=lambda _: self.records,
            kinds=self._cells_of_records,
            of_kinds=lambda name: self.cells[name].to_numpy() if name in self._of_cells else None,
        )
        return Table(source, np.arange(source.rows))

    @cached_property
    def _of_cells(self) -> frozenset[str]:
        """Columns that the records of a cell share."""
        own = {str(name) for name in self.cells if str(name).startswith(("param.", "view."))}
        return self._names & (own | {"experiment", "method"})

    def own_interval(self, estimate: Estimate) -> Callable[[float], Interval] | None:
        """The interval, by its confidence, of an estimate whose unit of replication is not the seed alone; None for all others."""
        if not isinstance(estimate, Replicated):
            return None
        whole, _ = self._complete(self.rows_read(estimate, self.cells))
        usable = [(table, [place for place, seed in enumerate(seeds) if seed in whole]) for seeds, table in self._tables("", None)]
        return estimate.interval([table.of_replicates(places) for table, places in usable if places])

    def data_kind(self, estimate: Estimate | None = None, experiment: str = "") -> str:
        """Kinds of the data behind the records (of the plan, before there are any) that `estimate` reads, joined with ` + `."""
        cells = self.cells_of(experiment)
        cells = cells if estimate is None else self.rows_read(estimate, cells)
        found = set(self.study.frame["data_kind"].iloc[self._records[self.rows_of(cells)]].unique())
        if not found:
            found = set(cells["kind"])
        return " + ".join([kind for kind in DATA_KINDS if kind in found] + sorted(found - set(DATA_KINDS)))

    def edges(self, estimate: Estimate) -> list[str]:
        """Sweeps behind `estimate` that select at the edge of what was swept, such as `kat: lr at its largest (0.01) in 2 of 5 seeds`."""
        found: dict[str, set[int]] = {}
        tables = self._tables("", None)
        for need in needs(estimate):
            met: dict[int, list[str]] = {}
            for seeds, table in tables if need.sweep and need.method else ():
                rows = table.select(need.where, experiment=need.experiment, view=need.view, method=need.method)
                met |= {seeds[place]: own for place, own in (edges(need.sweep, rows) if need.sweep else {}).items()}
            for seed in sorted(met):
                for edge in met[seed]:
                    found.setdefault(f"{need.method}: {edge}", set()).add(seed)
        total = sum(len(seeds) for seeds, _ in tables)
        return [f"{edge} in {len(where)} of {total} seeds" for edge, where in found.items()]

    def seeds_of(self, cells: pd.Index[int]) -> int:
        """Of how many seeds trials of some rows of `cells`, by their index, are planned."""
        return len(np.unique(self._seeds_of(self._trials)[self._members(cells)[self._numbering[0]]]))

    def ended_ok(self, experiment: str, method: str) -> Index:
        """The records of a method's trials that ended ok, by their places in `records`."""
        rows = self.rows_of(self.cells_of(experiment, method))
        good: Bools = np.asarray(self._column("status")[rows] == "ok", dtype=bool)
        found: Index = rows[good]
        return found

    def over(self, rows: Index, name: str) -> pd.Series[float]:
        """A column of some records, by their places in `records`; NaN without the column."""
        import pandas as pd

        return pd.Series(self._column(name)[rows] if name in self._names else np.full(len(rows), math.nan), dtype=float)

    def _ends(self, estimate: Estimate, table: Table) -> list[Range]:
        try:
            found = ends_of(estimate, table)
        except Exception as error:
            raise TaskError(f"task {self.task.id}: an estimate raised {type(error).__name__}: {error} ({estimate!r})") from error
        return list(zip(found.low.tolist(), found.high.tolist(), strict=True))


def _columns_kept(frame: pd.DataFrame) -> list[str]:
    """The columns of a study's frame that verdicts and leaderboards read."""
    return [str(name) for name in frame if name in _COLUMNS or str(name).startswith(("param.", "metric."))]


def _key(trial: TrialSpec) -> str:
    """What trials of a cell have in common with those of a plan on other data: these may stand in for what a grid names."""
    return json.dumps([trial.experiment, trial.method, dict(trial.params)], sort_keys=True)


def _kinds(numbers: Index) -> list[Index]:
    """The rows of `numbers` that are equal, (rows of a kind,) each, the kind of the first row first."""
    if (numbers == numbers[0]).all():
        return [np.arange(len(numbers))]
    _, kinds = np.unique(numbers, axis=0, return_inverse=True)
    return [np.flatnonzero(kinds == kind) for kind in dict.fromkeys(kinds.tolist())]


def _shown(low: float, high: float) -> float:
    if math.isfinite(low):
        return (low + high) / 2 if math.isfinite(high) else low
    return high if math.isfinite(high) else math.nan
