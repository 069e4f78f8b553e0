"""Which differences are beyond chance: one family of primary numbers, on which a gate rests, and the rest, which is described."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from scipy import stats

from harness.compare.changes import Change, Direction, turned
from harness.compare.contrasts import Contrast, detectable, moderated, p_above, p_apart
from harness.partial import FACTOR
from harness.stats import Side, adjusted

LEVEL = 0.05
"""Probability that a gate stops for two equal studies, all that it rests on together."""


@dataclass(frozen=True)
class Tolerance:
    """By how much a number may become worse, in its unit."""

    every: float | None = None
    """Of every primary number that is not named."""
    named: Mapping[str, float] = field(default_factory=dict)
    """Statistic -> its own; a statistic that is named is primary."""

    def of(self, change: Change) -> float | None:
        """The tolerance of a number, None where it has none."""
        return self.named.get(change.statistic, self.every if change.primary else None)


NO_TOLERANCE = Tolerance()


def judged(changes: Sequence[Change], level: float = LEVEL, tolerance: Tolerance = NO_TOLERANCE) -> list[Change]:
    """The same with their directions.

    Primary numbers: a one-sided test each, after Holm's correction (1979) over those that differ; equal ones are no part of the family.
    With a tolerance: whether the loss is shown to be smaller, each by a one-sided test at 5 %. A gate passes only when all of them are,
    so that no correction is needed (intersection-union; Berger, 1982). Others: two-sided, after the correction of Benjamini and Hochberg
    (1995), which bounds the share of chance among those that are called better or worse.
    """
    known = {
        id(c): replace(c, tolerance=tolerance.of(c), primary=(c.primary or c.statistic in tolerance.named) and c.better != "none")
        for c in changes
    }
    found = list(known.values())
    losses = _moderated([c for c in found if c.primary and c.test == "paired" and c.direction == "undecided" and c.known == "exact"])
    found = [replace(c, loss=losses.get(_name(c), c.loss)) for c in found]
    for select, judge in ((_is_exact, _exactly), (_is_tolerated, _not_inferior), (_is_gating, _holm), (_is_described, _described)):
        chosen = [place for place, c in enumerate(found) if c.direction == "undecided" and select(c)]
        for place, change in zip(chosen, judge([found[place] for place in chosen], level), strict=True):
            found[place] = change
    return found


def _name(change: Change) -> tuple[str, ...]:
    return change.task, change.scale, change.experiment, change.statistic, change.method


def _moderated(changes: Sequence[Change]) -> dict[tuple[str, ...], Contrast]:
    """Losses by name, moderated among the methods of one statistic."""
    groups: dict[tuple[str, ...], list[Change]] = defaultdict(list)
    for change in changes:
        groups[_name(change)[:-1]].append(change)
    return {_name(c): loss for group in groups.values() for c, loss in zip(group, moderated([c.loss for c in group]), strict=True)}


def _is_exact(change: Change) -> bool:
    return change.test == "exact"


def _is_tolerated(change: Change) -> bool:
    return change.primary and change.tolerance is not None


def _is_gating(change: Change) -> bool:
    return change.primary and change.tolerance is None


def _is_described(change: Change) -> bool:
    return not change.primary


def _exactly(changes: Sequence[Change], _level: float) -> list[Change]:
    """Chance plays no part: what differs is worse or better, or within its tolerance."""

    def direction(change: Change) -> Direction:
        loss, allowed = change.loss.estimate, change.tolerance
        if math.isnan(loss):
            return "undecided"
        if change.better == "none":
            return "changed"
        if change.primary and allowed is not None:
            return "not inferior" if loss <= allowed else "inferior"
        return "worse" if loss > 0 else "better"

    return [replace(change, direction=direction(change)) for change in changes]


def _not_inferior(changes: Sequence[Change], _level: float) -> list[Change]:
    def judge(change: Change) -> Change:
        margin = change.tolerance or 0.0
        p = _p(change, turned(change.loss), -margin, "at most")
        inferior = _p(change, change.loss, margin, "at least") <= LEVEL
        direction: Direction = "not inferior" if p <= LEVEL else "inferior" if inferior else "may be inferior"
        return replace(change, p=p, direction=direction)

    return [judge(change) for change in changes]


def _holm(changes: Sequence[Change], level: float) -> list[Change]:
    worse = adjusted([_p(c, c.loss, 0.0, "at least") for c in changes])
    better = adjusted([_p(c, turned(c.loss), 0.0, "at most") for c in changes])
    each = level / max(len(changes), 1)

    def judge(change: Change, p_worse: float, p_better: float) -> Change:
        direction: Direction = "worse" if p_worse <= level else "better" if p_better <= level else "undecided"
        return replace(
            change,
            p=p_better if direction == "better" else p_worse,
            direction=direction,
            detectable=detectable(change.loss, each) if change.known == "exact" else math.nan,
        )

    return [judge(*each_one) for each_one in zip(changes, worse, better, strict=True)]


def _p(change: Change, contrast: Contrast, margin: float, side: Side) -> float:
    """As `p_above`; of a loss that is known on one side alone only there, with the caution of `harness.partial` for bounds."""
    p = p_above(contrast, margin)
    if change.known == "exact" or math.isnan(p):
        return p
    return max(min(1.0, FACTOR * p), 0.5**contrast.n) if change.loss_known == side else 1.0


def _p_apart(change: Change) -> float:
    """Two-sided, where the loss lies on the side on which it is known."""
    above = change.loss.estimate > 0
    p = _p(change, change.loss if above else turned(change.loss), 0.0, "at least" if above else "at most")
    return min(1.0, 2 * p) if not math.isnan(p) else p


def _described(changes: Sequence[Change], level: float) -> list[Change]:
    raw = [p_apart(c.loss) if c.known == "exact" else _p_apart(c) for c in changes]
    known = [p for p in raw if not math.isnan(p)]
    corrected = iter(stats.false_discovery_control(known) if known else ())

    def judge(change: Change, p: float) -> Change:
        found = math.nan if math.isnan(p) else float(next(corrected))
        direction: Direction = "undecided"
        if found <= level:
            direction = "changed" if change.better == "none" else "worse" if change.loss.estimate > 0 else "better"
        return replace(change, p=found, direction=direction)

    return [judge(change, p) for change, p in zip(changes, raw, strict=True)]
