"""Numbers that two studies share: a statistic of a method in both, and the contrast of its seeds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from harness.compare.contrasts import NOTHING, Contrast, paired, welch
from harness.compare.pairs import Pair
from harness.coverage import needs
from harness.ends import Ends
from harness.evidence import Evidence, SeedValues
from harness.kinds import text
from harness.leaderboard import columns, is_comparable
from harness.partial import Partial
from harness.ranking import distances
from harness.resolution import step
from harness.stats import Interval, Side, seed_interval
from harness.task import Better, Experiment, Metric, Statistic

Direction = Literal["better", "worse", "changed", "equal", "undecided", "lost seeds", "not inferior", "may be inferior", "inferior"]
Test = Literal["paired", "Welch", "exact"]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One statistic of one method in both studies."""

    task: str
    scale: str
    experiment: str
    method: str
    statistic: str
    unit: str
    better: Better
    primary: bool
    """Whether a gate rests on it: it ranks the experiment's methods, or the user gave it a tolerance. Others are described."""
    test: Test
    """`paired` over common seeds, `Welch` for an independent replicate; `exact` where no method's number depends on the seed."""
    values: tuple[Sequence[float], Sequence[float]]
    """Before and after, a value a seed: of common seeds, of all in an independent replicate."""
    loss: Contrast
    """The difference turned so that above 0 is worse (of the distances from zero, where zero is best)."""
    known: Side = "exact"
    """On which side the difference is known where seeds are bounds: a number that was not reached may be any larger one."""
    ends: tuple[Ends, Ends] | None = None
    """Lowest and highest of the values before and after, where some are bounds."""
    same_cells: bool
    """Whether both studies have it from the same parameters."""
    p: float = math.nan
    """Adjusted for its family: one-sided by Holm where it is primary, two-sided by Benjamini and Hochberg elsewhere; NaN: not tested."""
    tolerance: float | None = None
    detectable: float = math.nan
    """Of a primary number: the regression that would have been seen in 80 % of studies like these."""
    direction: Direction = "undecided"

    @property
    def before(self) -> Interval:
        """The mean over seeds before."""
        return self._mean(0)

    @property
    def after(self) -> Interval:
        """The mean over seeds after."""
        return self._mean(1)

    def _mean(self, place: int) -> Interval:
        return Partial(self.ends[place]).interval() if self.ends else seed_interval(self.values[place])

    @property
    def difference(self) -> Interval:
        """After minus before (of the distances from zero, where zero is best)."""
        found = turned(self.loss).interval() if self.better == "higher" else self.loss.interval()
        open_ = {"at least": (found.low, math.inf), "at most": (-math.inf, found.high)}.get(self.known, (found.low, found.high))
        return replace(found, low=open_[0], high=open_[1], side=self.known)

    @property
    def loss_known(self) -> Side:
        """On which side the loss is known."""
        flipped: dict[Side, Side] = {"at least": "at most", "at most": "at least"}
        return flipped.get(self.known, self.known) if self.better == "higher" else self.known


def changes(pair: Pair) -> list[Change]:
    """Every number that both have, not judged yet; equal and lost ones say so already."""
    ranking = {board.experiment: board.ranked_by for board in pair.before.boards}
    return [
        change
        for name in pair.new.experiments
        if name in pair.old.experiments
        for experiment in [pair.new.task.experiment(name)]
        for column in columns(pair.new, experiment)
        if all(is_comparable(side, experiment, column) for side in (pair.old, pair.new))
        for change in _Column(pair, experiment, column, ranking.get(name) == column.name).changes()
    ]


@dataclass(frozen=True)
class _Column:
    """A statistic of an experiment in both studies."""

    pair: Pair
    experiment: Experiment
    column: Statistic
    ranks: bool

    def changes(self) -> Iterator[Change]:
        """One for each method that both plan and that has a number, or loses it."""
        both = [
            (method.name, self._values(self.pair.old, method.name), self._values(self.pair.new, method.name))
            for method in self.pair.new.task.methods
            if not any(side.cells_of(self.experiment.name, method.name).empty for side in (self.pair.old, self.pair.new))
        ]
        every = [side for _, old, new in both for side in (old, new)]
        exact = self._is_exact(every)
        # What a clock says is common to all seeds of a study: the machine's load that day. Seeds are no replicates of it.
        primary = self.ranks and not any(metric.timed for metric in self._metrics())
        example = 0.0 if exact else self._example(every)
        for method, old, new in both:
            found = self._change(method, old, new, exact, primary, example)
            if found is not None:
                yield found

    def _values(self, side: Evidence, method: str) -> SeedValues:
        # A column that names trials of another experiment, such as a baseline's, reads beyond its own.
        beyond = any(need.experiment not in ("", self.experiment.name) for need in needs(self.column.estimate))
        return side.per_seed(self.column.estimate, method, "" if beyond else self.experiment.name)

    def _metrics(self) -> list[Metric]:
        """What it reads, as far as metrics are named."""
        task = self.pair.new.task
        found = [(task.experiment(need.experiment or self.experiment.name), need.metric) for need in needs(self.column.estimate)]
        return [metric for experiment, name in found for metric in experiment.metrics if metric.name == name]

    def _example(self, sides: Sequence[SeedValues]) -> float:
        """The size of one step of a number that moves in steps, as either study tells it; 0 for others.

        These are shares of examples, and numbers that some seeds of a method have in common while others do not.
        """
        metrics, read = self._metrics(), needs(self.column.estimate)
        found: list[np.ndarray] = []
        if metrics and all(metric.counted and metric.unit == self.column.unit for metric in metrics):
            for side in (self.pair.old, self.pair.new):
                for metric, need in zip(metrics, read, strict=True):
                    rows = side.records[side.records["experiment"] == (need.experiment or self.experiment.name)]
                    found.append(rows[f"metric.{metric.name}"].to_numpy(dtype=float) if f"metric.{metric.name}" in rows else np.empty(0))
        elif any(1 < len(set(side.values.values())) < len(side.values) for side in sides):
            found = [np.array(list(side.values.values())) for side in sides]
        steps = [(float(step(values, counted=True)), float(step(values))) for values in found]
        return min((example for example, rounding in steps if example > rounding), default=0.0)

    def _is_exact(self, sides: Sequence[SeedValues]) -> bool:
        """Whether no seed moves it, in any method of either study. One seed says so only where the experiment is declared exact."""
        values = [list(side.values.values()) for side in sides if side.values]
        least = 1 if self.experiment.exact else 2
        return bool(values) and all(len(found) >= least and max(found) - min(found) <= step(found) for found in values)

    def _change(self, method: str, old: SeedValues, new: SeedValues, exact: bool, primary: bool, example: float) -> Change | None:
        seeds = [seed for seed in old.values if seed in new.values]
        lost = _newly_lost(old, new, self.pair.is_replicate)
        sides = [list(s.values.values()) if self.pair.is_replicate else [s.values[seed] for seed in seeds] for s in (old, new)]
        if not (all(sides) or lost):
            return None
        merits = [[abs(value) if self.column.better == "zero" else value for value in side] for side in sides]
        rounding = float(step([*merits[0], *merits[1]]))
        difference, equal = self._contrast(merits, exact, rounding, max(rounding, example))
        known: Side = "exact"
        if old.ranges or new.ranges:
            equal = _alike(old, new)
            difference, known = self._bounded(old.ends_of(seeds), new.ends_of(seeds))
        return Change(
            task=self.pair.new.task.id,
            scale=self.pair.new.scale,
            experiment=self.experiment.name,
            method=method,
            statistic=self.column.name,
            unit=self.column.unit,
            better=self.column.better,
            primary=primary,
            test="exact" if exact and not (old.ranges or new.ranges) else "Welch" if self.pair.is_replicate else "paired",
            values=(sides[0], sides[1]),
            loss=turned(difference) if self.column.better == "higher" else difference,
            known=known,
            ends=(_of(old, seeds, self.pair.is_replicate), _of(new, seeds, self.pair.is_replicate)) if old.ranges or new.ranges else None,
            same_cells=self._same_cells(method),
            direction="lost seeds" if lost else "equal" if equal else "undecided",
        )

    def _contrast(self, merits: Sequence[Sequence[float]], exact: bool, rounding: float, resolution: float) -> tuple[Contrast, bool]:
        """After minus before, and whether they are equal: what rounding moves is no difference, and neither is one example a seed."""
        if exact:
            both = [float(np.mean(side)) if side else math.nan for side in merits]
            difference = both[1] - both[0]
            equal = abs(difference) <= rounding
            return Contrast(0.0 if equal else difference, 0.0, math.inf, min(map(len, merits))), equal
        if self.pair.is_replicate:
            values = {value for side in merits for value in side}
            return welch(merits[0], merits[1], step=resolution), bool(values) and max(values) - min(values) <= rounding
        differences = [after - before for before, after in zip(*merits, strict=True)]
        if differences and all(abs(difference) <= resolution * (1 + 1e-6) for difference in differences):
            return paired([0.0 for _ in differences]), True
        return paired(differences, step=resolution), False

    def _bounded(self, before: Ends, after: Ends) -> tuple[Contrast, Side]:
        """After minus before where seeds are bounds: what is sure of it, and on which side. Of independent studies nothing is."""
        sides = [distances(side) if self.column.better == "zero" else side for side in (before, after)]
        found = sides[1] - sides[0]
        if not self.pair.is_replicate and np.isfinite(found.low).all():
            return paired(found.low.tolist()), "at least"
        if not self.pair.is_replicate and np.isfinite(found.high).all():
            return paired(found.high.tolist()), "at most"
        return replace(NOTHING, n=len(found.low)), "unknown"

    def _same_cells(self, method: str) -> bool:
        before, after = self.pair.cells
        return before.keys() == after.keys() or self._cells(self.pair.old, method) == self._cells(self.pair.new, method)

    def _cells(self, side: Evidence, method: str) -> set[tuple[str, ...]]:
        rows = side.rows_read(self.column.estimate, side.cells_of(self.experiment.name, method))
        names = sorted(str(name) for name in rows if str(name).startswith("param."))
        pairs = [[f"{name}={text(value)}" for value in rows[name]] for name in names if rows[name].notna().any()]
        return set(zip(*pairs, strict=True))


def _of(side: SeedValues, seeds: Sequence[int], replicate: bool) -> Ends:
    return side.ends if replicate else side.ends_of(seeds)


def _alike(old: SeedValues, new: SeedValues) -> bool:
    """Whether both say the same of every seed, its bounds included."""
    known = {seed: value for seed, value in old.values.items() if not math.isnan(value)}
    return dict(old.ranges) == dict(new.ranges) and all(value == new.values.get(seed) for seed, value in known.items())


def _newly_lost(old: SeedValues, new: SeedValues, replicate: bool) -> bool:
    """Whether trials ended badly that did not before, at seeds which both studies tried; more of them than before, in a replicate."""
    before, after = failed(old), failed(new)
    if replicate:
        return len(after) > len(before)
    return any(seed in old.values or seed in old.lost for seed in set(after) - set(before))


def failed(values: SeedValues) -> Mapping[int, Mapping[str, int]]:
    """Seeds lost to trials that did not end ok; an undefined statistic is nobody's failure."""
    return {seed: counts for seed, counts in values.lost.items() if counts}


def turned(contrast: Contrast) -> Contrast:
    """The same difference the other way round."""
    return replace(contrast, estimate=-contrast.estimate)
