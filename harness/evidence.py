"""Which trials an estimate needs, and what it gives seed by seed: the step between records and intervals."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from harness import params
from harness.cells import Cells
from harness.censoring import SUFFIX
from harness.coverage import Need, needs
from harness.ends import Ends, bounded, ends_of
from harness.errors import TaskError
from harness.estimates import Estimate, Replicated, select
from harness.looks import Look, reached
from harness.plan import TrialSpec, today, versions
from harness.rounding import resolution
from harness.settings import nearest, written
from harness.stats import CONFIDENCE, Interval
from harness.sweeps import edges
from harness.table import Index, Table
from harness.task import DATA_KINDS, Task
from harness.trial_rows import WHOLE, Cell, Rows, within

if TYPE_CHECKING:
    import pandas as pd


Range = tuple[float, float]
"""The lowest and the highest value that a number may have."""


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
class Evidence(Rows):
    """The plan and the records of one task at one scale, ready to be asked."""

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

    def per_seed(self, estimate: Estimate, method: str | None = None, experiment: str = "", cell: Cell = WHOLE) -> SeedValues:
        """`estimate` on each seed's records, once all that it needs has left a record.

        Records are those of one method, of one experiment, if given, and where the columns in `cell` have its values.
        """
        read = self.rows_read(estimate, within(self.cells_of(experiment, method), cell))
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

    def settings(self, estimate: Estimate) -> str:
        """With which values the trials that `estimate` reads are not those of the scale, such as `inputs=3`; empty where they are."""
        read = self.rows_read(estimate, self.cells).index.tolist() if self._apart else []
        names = [name for row in read for name in self._apart.get(row, ())]
        return "; ".join(written(names, [self._firsts[row] for row in read]))

    def all_settings(self) -> list[str]:
        """The same of all trials, as `--set` takes them."""
        return written([name for names in self._apart.values() for name in names], [self._firsts[row] for row in self._apart])

    @cached_property
    def _apart(self) -> dict[int, list[str]]:
        """By row of `cells` whose trials the scale does not plan: the parameters in which they differ, see `settings.nearest`."""
        usual, keys = self._usual, {*self._scale["key"]}
        defaults = {own.name: params.resolve(own, {}) for own in self.task.experiments}
        others = [row for row, key in enumerate(self._keys) if key not in keys] if usual else []
        found = {row: nearest(self._firsts[row], usual, defaults.get(self._firsts[row].experiment, {})) for row in others}
        return {row: names for row, names in found.items() if names}

    def _of_scale(self, estimate: Estimate, method: str | None = None, experiment: str = "", cell: Cell = WHOLE) -> pd.DataFrame:
        """The rows of `_scale` that `estimate` reads, narrowed down as `per_seed` is."""
        return self.rows_read(estimate, within(select(self._scale, {}, experiment=experiment, method=method), cell))

    @cached_property
    def _usual(self) -> list[TrialSpec]:
        """One seed of what the scale plans today."""
        return today(self.task, self.scale)

    @cached_property
    def _scale(self) -> pd.DataFrame:
        """What the scale plans today: columns of `cells`, and what trials that ask for the same have in common, `key`."""
        cells = Cells.of(self._usual)
        return cells.frame().assign(key=[_key(first) for first in cells.firsts])

    @cached_property
    def _keys(self) -> list[str]:
        """The key of the trials in each row of `cells`."""
        return [_key(first) for first in self._firsts]

    @cached_property
    def _firsts(self) -> list[TrialSpec]:
        """The first of the trials in each row of `cells`."""
        return [self.study.cells.firsts[cell] for cell in self._numbering[1].tolist()]

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
        whole = versions(self._firsts)
        return versions(self._firsts[row] for row in self.rows_read(estimate, self.cells).index) or whole if "," in whole else whole

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

    def _ends(self, estimate: Estimate, table: Table) -> list[Range]:
        try:
            found = ends_of(estimate, table)
        except Exception as error:
            raise TaskError(f"task {self.task.id}: an estimate raised {type(error).__name__}: {error} ({estimate!r})") from error
        return list(zip(found.low.tolist(), found.high.tolist(), strict=True))


def _key(trial: TrialSpec) -> str:
    """What trials of a cell have in common with those of a plan on other data: these may stand in for what a grid names."""
    return json.dumps([trial.experiment, trial.method, dict(trial.params)], sort_keys=True)


def _shown(low: float, high: float) -> float:
    if math.isfinite(low):
        return (low + high) / 2 if math.isfinite(high) else low
    return high if math.isfinite(high) else math.nan
