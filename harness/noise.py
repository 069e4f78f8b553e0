"""How often a claim comes out "reproduced" where there is no effect: what its region and estimate ask of chance alone.

A study is redrawn without any effect. Every number of every trial is the mean of its experiment plus independent noise of one spread, so
that methods and parameters are exchangeable. What does not vary between the seeds of the recorded study is no measurement (a count of
parameters) and stays as it is recorded. The redrawn studies are then judged by the rule that judges a real one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.bounds import POSITIVE, UNBOUNDED, Bounds
from harness.censoring import companion
from harness.claims import All
from harness.coverage import needs, parts
from harness.ends import Ends, ends_of, reads_bounds
from harness.estimates import Estimate, Replicated, Vectorised, values_of
from harness.evidence import counted
from harness.fitted import Fitted
from harness.partial import Partial, ruling
from harness.plan import Overrides, expand, placeholders
from harness.resolution import SINGLE, step
from harness.rounding import Resolution, resolution
from harness.rule import NOT_TESTED, REPRODUCED, WHYS, Decisions, Outcomes, decided, held, standing, together
from harness.stats import CONFIDENCE, Samples, smallest_error
from harness.table import Floats, Source, Table
from harness.task import Claim, Experiment, Metric, Task
from harness.trial_rows import trials_frame

if TYPE_CHECKING:
    import pandas as pd

Cell = tuple[Any, ...]
"""Method and parameters of a trial."""
NOT_DRAWN = -1


@dataclass(frozen=True)
class Scatter:
    """How a metric is redrawn: on the scale of its bounds a normal number, the same for every trial of its experiment."""

    centre: float = 0.0
    spread: float = 1.0
    bounds: Bounds = UNBOUNDED
    cut: bool = False
    """Whether it is drawn as it is and cut at its bounds, at which recorded values lie."""
    step: float = 0.0
    """Of one example; 0 where it moves freely."""

    @classmethod
    def of(cls, metric: Metric, cells: Sequence[Floats]) -> Scatter:
        """From recorded values, an array over seeds for each cell: their mean, and the spread inside cells, pooled.

        Numbers that are all positive are log-normal where the metric declares no bounds.
        """
        values = np.concatenate([*cells, np.empty(0)])
        if not len(values):
            return cls(bounds=metric.bounds)
        bounds = metric.bounds if metric.bounds.bounded or not (values > 0).all() else POSITIVE
        cut = not np.isfinite(bounds.scaled(values)).all()
        scaled = [values if cut else bounds.scaled(values) for values in cells]
        freedom = sum(len(one) - 1 for one in scaled)
        squares = sum(float(((one - one.mean()) ** 2).sum()) for one in scaled)
        centre = float(np.concatenate(scaled).mean())
        spread = math.sqrt(squares / freedom) if freedom else 0.0
        return cls(centre, spread, bounds, cut, float(step(values, True)) if metric.counted else 0.0)

    def level(self, aside: float) -> float:
        """The centre, moved aside by so many spreads."""
        scaled = self.centre + aside * self.spread
        return float(scaled if self.cut else self.bounds.back(scaled))

    def draw(self, random: np.random.Generator, shape: tuple[int, int]) -> Floats:
        """Numbers of this scatter."""
        scaled = self.centre + self.spread * random.normal(size=shape)
        values = np.asarray(scaled if self.cut else self.bounds.back(scaled))
        if self.step:
            values = np.round(values / self.step) * self.step
        return np.clip(values, self.bounds.low, self.bounds.high)


@dataclass(frozen=True, eq=False)
class Redrawn:
    """Studies without any effect: a table whose replicates are the seeds of one study after another."""

    task: Task
    scale: str
    plan: pd.DataFrame
    """The trials of one seed."""
    table: Table
    levels: Table
    """Two replicates without noise: every number at its metric's centre, and beside it, each metric by another number of spreads."""
    studies: int
    seeds: int

    def first(self, studies: int) -> Redrawn:
        """The first of the studies."""
        some = self.table.of_replicates(range(min(studies, self.studies) * self.seeds))
        return Redrawn(self.task, self.scale, self.plan, some, self.levels, min(studies, self.studies), self.seeds)


def redraw(
    task: Task, scale: str, *, studies: int, random: np.random.Generator, records: pd.DataFrame | None = None, seeds: int | None = None
) -> Redrawn:
    """Studies of a task at a scale. `records` are those of a study of the task, at any scale; without them numbers are standard normal."""
    plan = trials_frame(expand(task, scale, Overrides(seeds=1), placeholders(task, scale)))
    seeds = seeds or task.scale(scale).seeds
    replicates = studies * seeds
    drawn: dict[str, Floats] = {}
    still: dict[str, Floats] = {}
    for experiment in task.experiments:
        rows = np.flatnonzero((plan["experiment"] == experiment.name).to_numpy())
        keys = _cells(plan.iloc[rows], experiment)
        recorded = _recorded(records, experiment)
        for metric in experiment.metrics if len(rows) else ():
            values = drawn.setdefault(f"metric.{metric.name}", np.full((replicates, len(plan)), math.nan))
            found = {key: numbers[metric.name] for key, numbers in recorded.items() if metric.name in numbers}
            there = [_returned(metric, key, recorded) for key in keys]
            own = [key for key, is_there in zip(keys, there, strict=True) if is_there]
            level = still.setdefault(f"metric.{metric.name}", np.full((2, len(plan)), math.nan))
            recorded_alike = _without_spread(own, found)
            if recorded_alike is not None:
                values[:, rows[there]] = level[:, rows[there]] = recorded_alike
            else:
                scatter = Scatter.of(metric, [*found.values()])
                values[:, rows[there]] = scatter.draw(random, (replicates, len(own)))
                level[:, rows[there]] = [[scatter.level(0.0)], [scatter.level(0.1 * len(still))]]
            if metric.censored and (ends := _cut_offs(metric, experiment, records)):
                at = np.array([ends.get(key, max(ends.values())) for key in own])
                beside = drawn.setdefault(f"metric.{companion(metric.name)}", np.zeros((replicates, len(plan))))
                beside[:, rows[there]] = values[:, rows[there]] >= at
                values[:, rows[there]] = np.minimum(values[:, rows[there]], at)
    return Redrawn(task, scale, plan, _table(plan, drawn, replicates, seeds), _table(plan, still, 2, 1), studies, seeds)


def _cells(frame: pd.DataFrame, experiment: Experiment) -> list[Cell]:
    names = [f"param.{name}" for name in experiment.parameters]
    columns = [frame[name].tolist() if name in frame else [None] * len(frame) for name in names]
    values = zip(frame["method"].tolist(), *columns, strict=True)
    return [tuple(None if value != value else value for value in row) for row in values]


def _recorded(records: pd.DataFrame | None, experiment: Experiment) -> dict[Cell, dict[str, Floats]]:
    """Numbers of an experiment by cell and metric, over the seeds that ended ok: those that most of these seeds returned."""
    if records is None:
        return {}
    own = records[(records["experiment"] == experiment.name) & (records["status"] == "ok")]
    places: dict[Cell, list[int]] = {}
    for place, key in enumerate(_cells(own, experiment)):
        places.setdefault(key, []).append(place)
    names = [metric.name for metric in experiment.metrics if f"metric.{metric.name}" in own]
    columns = {name: own[f"metric.{name}"].to_numpy(dtype=float) for name in names}
    found: dict[Cell, dict[str, Floats]] = {}
    for key, rows in places.items():
        numbers = {name: column[rows][np.isfinite(column[rows])] for name, column in columns.items()}
        found[key] = {name: values for name, values in numbers.items() if 2 * len(values) > len(rows)}
    return found


def _cut_offs(metric: Metric, experiment: Experiment, records: pd.DataFrame | None) -> dict[Cell, float]:
    """Where trials of a cell gave a censored metric up, of those cells in which some did."""
    beside = f"metric.{companion(metric.name)}"
    if records is None or beside not in records:
        return {}
    own = records[(records["experiment"] == experiment.name) & (records["status"] == "ok") & (records[beside] == 1)]
    found: dict[Cell, float] = {}
    for key, value in zip(_cells(own, experiment), own[f"metric.{metric.name}"].tolist(), strict=True):
        found[key] = min(value, found.get(key, math.inf))
    return found


def _returned(metric: Metric, key: Cell, recorded: Mapping[Cell, Mapping[str, Floats]]) -> bool:
    return metric.name in recorded[key] if key in recorded else metric.optional or metric.returned_by(key[0])


def _without_spread(keys: Sequence[Cell], found: Mapping[Cell, Floats]) -> Floats | None:
    """A metric's recorded number in each cell, where none varies between seeds: the mean of all in a cell without one."""
    several = [values for values in found.values() if len(values) > 1]
    if not several or any(np.ptp(values) > 2 * SINGLE * np.abs(values).max() for values in several):
        return None
    middle = float(np.mean([values.mean() for values in found.values()]))
    return np.array([float(found[key].mean()) if key in found else middle for key in keys])


def _table(plan: pd.DataFrame, drawn: Mapping[str, Floats], replicates: int, seeds: int) -> Table:
    import pandas as pd

    fixed = plan.drop(columns=["trial_id", "seed", "kind"]).assign(status="ok")
    kept: dict[int, pd.DataFrame] = {}

    def frame(replicate: int) -> pd.DataFrame:
        if replicate not in kept:
            numbers = pd.DataFrame({name: values[replicate] for name, values in drawn.items()}, index=fixed.index)
            kept[replicate] = pd.concat([fixed.assign(seed=replicate % seeds), numbers], axis=1)
        return kept[replicate]

    source = Source(
        frozenset([*map(str, fixed), *drawn]) - {"status"},
        replicates,
        len(plan),
        fixed=lambda name: fixed[name].to_numpy(),
        varying=lambda name: drawn[name],
        frame=frame,
    )
    return Table(source, np.arange(len(plan)))


_FEW = 20
"""Redrawn studies that tell whether an estimate varies at all."""


@dataclass(frozen=True)
class Rate:
    """How redrawn studies decide a claim, as shares of them."""

    claim: Claim
    studies: int
    reproduced: float
    refuted: float
    """"not reproduced"."""
    inconclusive: float
    varies: bool = True
    """Whether redrawn seeds differ in its estimate: what is alike in every seed of the record leaves nothing to chance."""


@dataclass(frozen=True)
class FamilyRate:
    """Share of redrawn studies with at least one false "reproduced" among some claims."""

    claims: int
    studies: int
    wrong: int

    @property
    def rate(self) -> float:
        """The share; 0 where no claim is asked."""
        return self.wrong / self.studies if self.studies else 0.0


@dataclass(frozen=True)
class NoiseRates:
    """What chance alone makes of a task at a scale."""

    task: Task
    scale: str
    seeds: int
    rates: Sequence[Rate]
    primary: FamilyRate
    """Of the primary claims, held together."""
    family: FamilyRate
    """Of all claims whose edge is no effect, each by itself but for the primary ones."""


def judged(redrawn: Redrawn, *, slow: int) -> tuple[Outcomes, Outcomes]:
    """Outcomes of every claim in every redrawn study, (claims, studies): each claim alone, and after what claims mean for each other.

    Claims whose estimate reads frames, fits a law, or brings an interval of its own, cost a study each: only the first `slow` studies
    decide them, in the others they are NOT_DRAWN.
    """
    claims, few = redrawn.task.claims, redrawn.first(slow)
    alone = np.full((len(claims), redrawn.studies), NOT_TESTED, dtype=np.intp)
    p = np.full((len(claims), redrawn.studies), math.nan)
    for place, claim in enumerate(claims):
        if not is_planned(redrawn, claim):
            continue
        alone[place] = NOT_DRAWN
        if slow or _is_fast(claim.estimate):
            found = decisions(redrawn if _is_fast(claim.estimate) else few, claim)
            alone[place, : len(found.outcomes)], p[place, : len(found.p)] = found.outcomes, found.p
    tried = np.array([[is_planned(redrawn, claim)] for claim in claims], dtype=bool).reshape(-1, 1)
    together_, _ = held(alone, p, claims, 1 - CONFIDENCE, tried)
    return alone, standing(together_, claims)


def rates(redrawn: Redrawn, *, slow: int) -> NoiseRates:
    """How the claims of a task come out of redrawn studies; `slow` as in `judged`."""
    claims = redrawn.task.claims
    alone, whole = judged(redrawn, slow=slow)
    planned = np.array([is_planned(redrawn, claim) for claim in claims], dtype=bool)
    family = np.array([is_at_its_edge(claim) for claim in claims], dtype=bool) & planned
    primary = np.array([claim.primary and is_false(claim) for claim in claims], dtype=bool) & planned
    return NoiseRates(
        redrawn.task,
        redrawn.scale,
        redrawn.seeds,
        [
            _rate(claim, own[own != NOT_DRAWN], varies=_varies(redrawn, claim))
            for claim, own, there in zip(claims, alone, planned, strict=True)
            if there
        ],
        _family(whole[primary]),
        _family(whole[family]),
    )


def is_planned(redrawn: Redrawn, claim: Claim) -> bool:
    """Whether the scale holds the trials that a claim needs."""
    return redrawn.scale in claim.scales and all(len(need.rows(redrawn.plan)) for need in needs(claim.estimate))


def is_false(claim: Claim) -> bool:
    """Whether a claim is wrong where there is no effect, as far as it says what that is: an equivalence is right then."""
    return not claim.exact and (claim.null is None or claim.null not in claim.holds)


def is_at_its_edge(claim: Claim) -> bool:
    """Whether no effect is the edge of the region, so that the test alone errs at its nominal level."""
    return not claim.exact and claim.null in (claim.holds.low, claim.holds.high)


def decisions(redrawn: Redrawn, claim: Claim) -> Decisions:
    """What each redrawn study says of a claim, before the primary ones are held together."""
    asked = claim.estimate.parts if isinstance(claim.estimate, All) else (claim.estimate,)
    found = [_one(redrawn, claim, part) for part in asked]
    return found[0] if len(found) == 1 else together(found, exact=claim.exact, error=1 - CONFIDENCE)


def _one(redrawn: Redrawn, claim: Claim, estimate: Estimate) -> Decisions:
    shape = (redrawn.studies, redrawn.seeds)
    values = values_of(estimate, redrawn.table).reshape(shape)
    values = np.where(np.isfinite(values), values, math.nan)
    shift = to_null(redrawn, claim, estimate)
    values = claim.bounds.back(claim.bounds.scaled(values) + shift)
    if isinstance(estimate, Replicated):
        ends, p = _own(redrawn, claim, estimate)
    else:
        hidden = resolution(estimate, redrawn.table, counted(redrawn.task), studies=redrawn.studies)
        samples = Samples.of(values, step=hidden.step, rounding=hidden.rounding, bounds=claim.bounds)
        ends, p = samples.interval(CONFIDENCE), samples.p(claim.holds)
    found = decided(values, claim.holds, exact=claim.exact, ends=ends, p=p, error=1 - CONFIDENCE)
    if isinstance(estimate, Replicated) or not reads_bounds(estimate, redrawn.table):
        return found
    known = ends_of(estimate, redrawn.table)
    low, high = (
        claim.bounds.back(claim.bounds.scaled(np.clip(end, *_span(claim))) + shift).reshape(shape) for end in (known.low, known.high)
    )
    return _with_bounds(found, claim, low, high, hidden)


def _span(claim: Claim) -> tuple[float, float]:
    return claim.bounds.low, claim.bounds.high


def _with_bounds(found: Decisions, claim: Claim, low: Floats, high: Floats, hidden: Resolution) -> Decisions:
    """What studies (studies, seeds) with a bound among their seeds say instead."""
    outcomes, p, why = found.outcomes.copy(), found.p.copy(), found.why.copy()
    steps, roundings = (np.broadcast_to(np.asarray(size, dtype=float), len(low)) for size in (hidden.step, hidden.rounding))
    for study in np.flatnonzero((low < high).any(axis=1)):
        partial = Partial(Ends(low[study], high[study]), float(steps[study]), float(roundings[study]), claim.bounds)
        ruled = ruling(partial, claim.holds, exact=claim.exact, error=1 - CONFIDENCE)
        outcomes[study], p[study], why[study] = ruled.outcome, ruled.p, WHYS.index("bounds")
    return Decisions(outcomes, p, why)


def to_null(redrawn: Redrawn, claim: Claim, estimate: Estimate) -> float:
    """What moves an estimate to the claim's `null`, on the scale of its bounds, where it follows the levels of the metrics.

    Chance gives a level nowhere to be (a share, the difference of two metrics): only the claim can say where no effect is. Contrasts of
    methods and trends over parameters are at home where the exchangeable numbers put them, selection included.
    """
    if claim.null is None:
        return 0.0
    scaled = claim.bounds.scaled(values_of(estimate, redrawn.levels))
    if not np.isfinite(scaled).all():
        return 0.0
    shift = float(claim.bounds.scaled(claim.null) - scaled[0])
    follows = abs(scaled[1] - scaled[0]) > 1e-6 * (abs(scaled[0]) + abs(scaled[1]))
    return shift if follows and math.isfinite(shift) else 0.0


def _own(redrawn: Redrawn, claim: Claim, estimate: Replicated) -> tuple[tuple[Floats, Floats], Floats]:
    """Ends and p of intervals that the estimate makes itself, study by study."""
    ends, p = [], []
    for study in range(redrawn.studies):
        own = estimate.interval([redrawn.table.of_replicates(range(study * redrawn.seeds, (study + 1) * redrawn.seeds))])
        ends.append((own(CONFIDENCE).low, own(CONFIDENCE).high))
        p.append(smallest_error(own, claim.holds))
    return (np.array([low for low, _ in ends]), np.array([high for _, high in ends])), np.array(p)


def _is_fast(estimate: Estimate) -> bool:
    """Whether an estimate and all its parts compute many studies at once. A law takes a search for each seed of each of them."""
    fast = isinstance(estimate, Vectorised | All) and not isinstance(estimate, Replicated | Fitted)
    return fast and all(map(_is_fast, parts(estimate)))


def _varies(redrawn: Redrawn, claim: Claim) -> bool:
    """Whether seeds of the first studies differ; taken for granted of an estimate that is slow."""
    asked = claim.estimate.parts if isinstance(claim.estimate, All) else (claim.estimate,)
    few = redrawn.first(_FEW)
    if not all(map(_is_fast, asked)):
        return True
    numbers = (values[np.isfinite(values)] for values in (values_of(part, few.table) for part in asked))
    return any(len(values) > 0 and float(np.ptp(values)) > 0.0 for values in numbers)


def _rate(claim: Claim, outcomes: Outcomes, *, varies: bool) -> Rate:
    shares = np.bincount(outcomes, minlength=4) / max(len(outcomes), 1)
    reproduced, refuted, inconclusive = (float(share) for share in shares[:3])
    return Rate(claim, len(outcomes), reproduced, refuted, inconclusive, varies)


def _family(outcomes: Outcomes) -> FamilyRate:
    """Over the studies in which all of the claims were decided."""
    common = outcomes[:, (outcomes != NOT_DRAWN).all(axis=0)] if len(outcomes) else outcomes[:, :0]
    return FamilyRate(len(outcomes), common.shape[1], int((common == REPRODUCED).any(axis=0).sum()))
