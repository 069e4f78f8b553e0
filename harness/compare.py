"""Two studies against each other, seed by seed: what became better or worse, and which verdicts changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.errors import UsageError
from harness.evidence import Evidence, SeedValues
from harness.judgement import Judgement, Ruling
from harness.kinds import text
from harness.leaderboard import columns, is_comparable
from harness.stats import Interval, adjusted, paired_p, seed_interval
from harness.study import Study
from harness.task import Better, Experiment, Statistic
from harness.verdict import Outcome

LEVEL = 0.05
"""Probability that a comparison of two equal studies, all its numbers together, calls anything worse."""

Direction = Literal["better", "worse", "changed", "equal", "undecided", "lost seeds"]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One statistic of one method in both studies. `difference` is after minus before, paired over the seeds that both have."""

    task: str
    scale: str
    experiment: str
    method: str
    statistic: str
    unit: str
    better: Better
    before: Interval
    after: Interval
    difference: Interval
    p: float
    """Two-sided, of the paired t test, after Holm's correction over all numbers of the comparison; NaN without two common seeds."""
    direction: Direction


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A claim whose verdict is another one."""

    task: str
    scale: str
    claim: str
    before: Outcome
    after: Outcome

    @property
    def lost(self) -> bool:
        """Whether the claim was reproduced and is now refuted."""
        return (self.before, self.after) == ("reproduced", "not reproduced")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What two studies have in common and how it differs."""

    changes: Sequence[Change]
    turns: Sequence[Turn]
    claims: int
    """Claims that both studies decide."""
    mixed: Sequence[str]
    """What else differs between the studies than the numbers, a sentence each."""
    unfinished: int
    """Trials that the later study plans and has no record of: a gate cannot pass over them."""

    @property
    def regressions(self) -> list[Change]:
        """What a gate stops for: numbers that are worse beyond chance, and methods that lose seeds they did not lose before."""
        return [change for change in self.changes if change.direction in ("worse", "lost seeds")]


def compare(before: Judgement, after: Judgement) -> Comparison:
    """Every number that both studies have. UsageError when they share no task at one scale."""
    old = {_key(ruling): ruling for ruling in before.rulings}
    shared = [(old[_key(ruling)], ruling) for ruling in after.rulings if _key(ruling) in old]
    if not shared:
        raise UsageError(f"{before.study.name} and {after.study.name} have no task at one scale in common: there is nothing to compare")
    turns = [turn for pair in shared for turn in _verdicts(*pair)]
    return Comparison(
        changes=_judged([change for pair in shared for change in _changes(*pair)]),
        turns=[turn for turn in turns if turn.before != turn.after],
        claims=len(turns),
        unfinished=_without_record(after.study),
        mixed=[
            *(
                f"{side.study.name}: {count} of {len(side.study.plan)} planned trials have no record yet"
                for side in (before, after)
                if (count := _without_record(side.study))
            ),
            *(f"{side.study.name}: {damage}" for side in (before, after) for damage in side.study.damages),
            *(sentence for pair in shared for sentence in _mixed(*pair)),
        ],
    )


def _without_record(study: Study) -> int:
    return len(study.plan) - len(study.frame)


def _key(ruling: Ruling) -> tuple[str, str]:
    return ruling.evidence.task.id, ruling.evidence.scale


def _changes(before: Ruling, after: Ruling) -> list[Change]:
    old, new = before.evidence, after.evidence
    found = [
        _change(new, experiment, method.name, column, *(side.per_seed(column.estimate, method.name, name) for side in (old, new)))
        for name in new.experiments
        if name in old.experiments
        for experiment in [new.task.experiment(name)]
        for method in new.task.methods
        if not any(side.planned_of(name, method.name).empty for side in (old, new))
        for column in columns(new, experiment)
        if is_comparable(new, experiment, column)
    ]
    return [change for change in found if change is not None]


def _change(evidence: Evidence, experiment: Experiment, method: str, column: Statistic, old: SeedValues, new: SeedValues) -> Change | None:
    """The numbers as they stand, p not corrected yet; None where neither study has any."""
    seeds = [seed for seed in old.values if seed in new.values]
    differences = [_merit(new.values[seed], column) - _merit(old.values[seed], column) for seed in seeds]
    newly_lost = set(_failed(new)) - set(_failed(old))
    if not (seeds or newly_lost):
        return None
    return Change(
        task=evidence.task.id,
        scale=evidence.scale,
        experiment=experiment.name,
        method=method,
        statistic=column.name,
        unit=column.unit,
        better=column.better,
        before=seed_interval([old.values[seed] for seed in seeds]),
        after=seed_interval([new.values[seed] for seed in seeds]),
        difference=seed_interval(differences),
        p=paired_p(differences),
        direction="lost seeds" if newly_lost else "undecided",
    )


def _failed(values: SeedValues) -> Mapping[int, Mapping[str, int]]:
    """Seeds lost to trials that did not end ok; an undefined statistic is nobody's failure."""
    return {seed: counts for seed, counts in values.lost.items() if counts}


def _merit(value: float, column: Statistic) -> float:
    return abs(value) if column.better == "zero" else value


def _judged(changes: Sequence[Change]) -> list[Change]:
    return [
        replace(change, p=p, direction=_direction(change, p)) for change, p in zip(changes, adjusted([c.p for c in changes]), strict=True)
    ]


def _direction(change: Change, p: float) -> Direction:
    difference = change.difference
    if change.direction == "lost seeds":
        return "lost seeds"
    if difference.n and difference.low == difference.high == 0.0:
        return "equal"
    if not p < LEVEL:
        return "undecided"
    if change.better == "none":
        return "changed"
    return "better" if (difference.estimate > 0) == (change.better == "higher") else "worse"


def _verdicts(before: Ruling, after: Ruling) -> list[Turn]:
    old = {verdict.claim: verdict.verdict for verdict in before.verdicts}
    pairs = [(verdict, old[verdict.claim], verdict.verdict) for verdict in after.verdicts if verdict.claim in old]
    return [Turn(task=v.task, scale=v.scale, claim=v.claim, before=a, after=b) for v, a, b in pairs if "not tested" not in (a, b)]


def _mixed(before: Ruling, after: Ruling) -> list[str]:
    old, new = before.evidence, after.evidence
    frames = [side.study.records(side.task, side.scale) for side in (old, new)]
    names = {
        "version": "versions of the task",
        "source_digest": "source of the task",
        "data_fingerprint": "data",
        "device": "device",
        "versions": "library versions",
    }
    apart = [words for column, words in names.items() if set(frames[0][column]) != set(frames[1][column])]
    if _cells(old) != _cells(new):
        apart.append("parameters that were run, over which statistics are means")
    where = f"{new.task.id} at scale {new.scale}"
    said = [f"{where}: the studies differ in {', '.join(apart)}"] if apart else []
    for name in new.experiments:
        experiment = new.task.experiment(name)
        unequal = [column.name for column in columns(new, experiment) if not is_comparable(new, experiment, column)]
        if unequal:
            said.append(
                f"{where}, experiment {name}: methods ran with different parameters and no statistics are declared, so only claims are "
                f"compared there, not {', '.join(unequal)}"
            )
    return said


def _cells(evidence: Evidence) -> set[str]:
    names = [str(name) for name in evidence.planned if str(name).startswith("param.")]
    return set(evidence.planned[["experiment", "method", *names]].map(text).agg(" ".join, axis=1))
