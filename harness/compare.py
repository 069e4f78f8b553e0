"""Two studies against each other, seed by seed: what became better or worse, and which verdicts changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from harness.errors import UsageError
from harness.evidence import Evidence, SeedValues
from harness.leaderboard import columns
from harness.stats import Interval, adjusted, paired_p, seed_interval
from harness.task import Better, Statistic, Task
from harness.verdict import Outcome, decide_claims

if TYPE_CHECKING:
    from harness.study import Study

LEVEL = 0.05
"""Probability that a comparison of two equal studies, all its numbers together, calls anything worse."""

Direction = Literal["better", "worse", "changed", "equal", "undecided", "lost seeds"]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One statistic of one method in both studies. `difference` is after minus before, paired over the seeds that both have."""

    task: str
    scale: str
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

    @property
    def regressions(self) -> list[Change]:
        """What a gate stops for: numbers that are worse beyond chance, and methods that lose seeds they did not lose before."""
        return [change for change in self.changes if change.direction in ("worse", "lost seeds")]


def compare(before: Study, after: Study) -> Comparison:
    """Every number that both studies have. UsageError when they share no task at one scale."""
    scales = {(task.id, scale) for task, scale in before.groups()}
    shared = [(task, scale) for task, scale in after.groups() if (task.id, scale) in scales]
    if not shared:
        raise UsageError(f"{before.name} and {after.name} have no task at one scale in common: there is nothing to compare")
    raw = [change for task, scale in shared for change in _changes(before, after, task, scale)]
    decided = [verdicts for task, scale in shared for verdicts in _verdicts(before, after, task, scale)]
    return Comparison(
        changes=_judged(raw),
        turns=[turn for turn in decided if turn.before != turn.after],
        claims=len(decided),
        mixed=[sentence for task, scale in shared for sentence in _mixed(before, after, task, scale)],
    )


def _changes(before: Study, after: Study, task: Task, scale: str) -> list[Change]:
    old, new = Evidence(before, task, scale), Evidence(after, task, scale)
    methods = [m.name for m in task.methods if all(m.name in set(side.planned["method"]) for side in (old, new))]
    shown, comparable = columns(new)
    found = [
        _change(task, scale, method, column, old.per_seed(column.estimate, method), new.per_seed(column.estimate, method))
        for method in methods
        for column in (shown if comparable else ())
    ]
    return [change for change in found if change is not None]


def _change(task: Task, scale: str, method: str, column: Statistic, old: SeedValues, new: SeedValues) -> Change | None:
    """The numbers as they stand, p not corrected yet; None where neither study has any."""
    seeds = [seed for seed in old.values if seed in new.values]
    differences = [_merit(new.values[seed], column) - _merit(old.values[seed], column) for seed in seeds]
    newly_lost = set(_failed(new)) - set(_failed(old))
    if not (seeds or newly_lost):
        return None
    return Change(
        task=task.id,
        scale=scale,
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


def _verdicts(before: Study, after: Study, task: Task, scale: str) -> list[Turn]:
    old = {verdict.claim: verdict.verdict for verdict in decide_claims(before, task, scale)}
    pairs = [(verdict.claim, old[verdict.claim], verdict.verdict) for verdict in decide_claims(after, task, scale)]
    return [Turn(task=task.id, scale=scale, claim=claim, before=a, after=b) for claim, a, b in pairs if "not tested" not in (a, b)]


def _mixed(before: Study, after: Study, task: Task, scale: str) -> list[str]:
    frames = [study.records(task, scale) for study in (before, after)]
    names = {
        "version": "versions of the task",
        "source_digest": "source of the task",
        "data_fingerprint": "data",
        "device": "device",
        "versions": "library versions",
    }
    apart = [words for column, words in names.items() if set(frames[0][column]) != set(frames[1][column])]
    if _cells(before, task, scale) != _cells(after, task, scale):
        apart.append("parameters that were run, over which statistics are means")
    where = f"{task.id} at scale {scale}"
    said = [f"{where}: the studies differ in {', '.join(apart)}"] if apart else []
    if not columns(Evidence(after, task, scale))[1]:
        said.append(f"{where}: methods ran with different parameters and the task declares no statistics, so only its claims are compared")
    return said


def _cells(study: Study, task: Task, scale: str) -> set[str]:
    trials = [trial for trial in study.plan if (trial.task, trial.scale) == (task.id, scale)]
    return {f"{trial.method} {sorted(trial.params.items())}" for trial in trials}
