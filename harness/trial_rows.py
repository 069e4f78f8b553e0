"""The planned trials of one task at one scale with their records: as rows, as cells, and as one table of all seeds that are alike."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from harness.cells import Cells, plain
from harness.censoring import companion
from harness.estimates import select
from harness.looks import Look
from harness.plan import TrialSpec
from harness.table import Bools, Index, Source, Table, missing
from harness.task import Task

if TYPE_CHECKING:
    import pandas as pd

    from harness.study import Study

_COLUMNS = ("trial_id", "experiment", "method", "seed", "status", "data_kind", "data_name", "seconds", "peak_memory_mib", "energy_j")

Cell = Mapping[str, Any]
"""Columns of a frame of trials, and the values that they have in a part of it."""
WHOLE: Cell = {}


def within(frame: pd.DataFrame, cell: Cell) -> pd.DataFrame:
    """The rows of `frame` in which each column of `cell` has its value."""
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


@dataclass(frozen=True, eq=False)
class Rows:
    """The plan and the records of one task at one scale."""

    study: Study = field(repr=False)
    task: Task
    scale: str
    look: Look | None = None
    """Ask the seeds of this look alone, at its level."""

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
    def experiments(self) -> list[str]:
        """Experiments of which the plan has a trial, in the task's order."""
        found = set(self.cells["experiment"])
        return [experiment.name for experiment in self.task.experiments if experiment.name in found]

    @cached_property
    def _stacks(self) -> dict[tuple[str, str | None, str], list[tuple[list[int], Table]]]:
        return {}

    def _tables(self, experiment: str, method: str | None, cell: Cell = WHOLE) -> list[tuple[list[int], Table]]:
        """Seeds whose trials agree in all but what they left, with one table of them."""
        key = experiment, method, repr(cell)
        if key not in self._stacks:
            rows = self.rows_of(within(self.cells_of(experiment, method), cell))
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


def _columns_kept(frame: pd.DataFrame) -> list[str]:
    """The columns of a study's frame that verdicts and leaderboards read."""
    return [str(name) for name in frame if name in _COLUMNS or str(name).startswith(("param.", "metric."))]


def _kinds(numbers: Index) -> list[Index]:
    """The rows of `numbers` that are equal, (rows of a kind,) each, the kind of the first row first."""
    if (numbers == numbers[0]).all():
        return [np.arange(len(numbers))]
    _, kinds = np.unique(numbers, axis=0, return_inverse=True)
    return [np.flatnonzero(kinds == kind) for kind in dict.fromkeys(kinds.tolist())]
