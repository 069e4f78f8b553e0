"""What two studies have in common, how it differs, and whether a gate passes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from harness.compare import comparability
from harness.compare.changes import Change, changes
from harness.compare.comparability import ALLOWED, Obstacle
from harness.compare.family import LEVEL, NO_TOLERANCE, Tolerance, judged
from harness.compare.pairs import Pair
from harness.compare.turns import Turn, turns
from harness.errors import UsageError, unknown
from harness.judgement import Judgement

_STOPS = ("worse", "inferior", "may be inferior")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Every number and claim that two studies share."""

    changes: Sequence[Change]
    claims: Sequence[Turn]
    """Claims that both studies decide."""
    obstacles: Sequence[Obstacle]
    """Why a gate cannot judge."""
    remarks: Sequence[str]
    """What else differs or is left out, a sentence each."""
    level: float
    """Of the tests of primary numbers, all together."""
    replicate: bool
    """Whether the studies share no seed."""

    @property
    def primary(self) -> list[Change]:
        """Numbers on which a gate rests."""
        return [change for change in self.changes if change.primary]

    @property
    def turns(self) -> list[Turn]:
        """Claims whose verdict is another one."""
        return [turn for turn in self.claims if turn.turned]

    @property
    def regressions(self) -> list[Change]:
        """Numbers that a gate stops for: primary ones that are worse, and methods that lose seeds they did not lose before."""
        return [c for c in self.changes if c.direction == "lost seeds" or (c.primary and c.direction in _STOPS)]

    @property
    def fallen(self) -> list[Turn]:
        """Claims that a gate stops for."""
        return [turn for turn in self.claims if turn.fell]


def compare(
    before: Judgement,
    after: Judgement,
    *,
    allow: Collection[str] = (),
    tolerance: Tolerance = NO_TOLERANCE,
    strict: bool = False,
) -> Comparison:
    """Every number that both studies have.

    allow: words of `ALLOWED`, differences that are meant. strict: a claim that falls from reproduced to inconclusive counts too, and
    half of the level goes to the claims. UsageError when the studies share no task at one scale, for a word that is unknown, and for a
    tolerance of a statistic that neither has.
    """
    for word in allow:
        if word not in ALLOWED:
            raise unknown("--allow", word, ALLOWED)
    old = {(ruling.evidence.task.id, ruling.evidence.scale): ruling for ruling in before.rulings}
    pairs = [Pair(same, new) for new in after.rulings if (same := old.get((new.evidence.task.id, new.evidence.scale)))]
    if not pairs:
        raise UsageError(f"{before.study.name} and {after.study.name} have no task at one scale in common: there is nothing to compare")
    level = LEVEL / 2 if strict else LEVEL
    numbers = [change for pair in pairs for change in changes(pair)]
    for name in tolerance.named:
        if name not in {change.statistic for change in numbers}:
            raise unknown("statistic", name, sorted({change.statistic for change in numbers}))
    found = judged(numbers, level, tolerance)
    claims = turns(pairs, level, strict=strict)
    obstacles = [
        *comparability.obstacles(before, after, pairs),
        *comparability.of_changes(found),
        *comparability.of_claims(pairs),
    ]
    if not (claims or any(change.primary for change in found)):
        obstacles.append(Obstacle("nothing to judge: no number that ranks methods and no decided claim in common"))
    return Comparison(
        changes=found,
        claims=claims,
        obstacles=[obstacle for obstacle in obstacles if obstacle.allowed_by not in allow],
        remarks=[
            *(
                f"{side.study.name}: {count} of {len(side.study.plan)} planned trials have no record yet"
                for side in (before, after)
                if (count := comparability.without_record(side.study))
            ),
            *(f"{side.study.name}: {damage}" for side in (before, after) for damage in side.study.damages),
            *(obstacle.sentence for obstacle in obstacles if obstacle.allowed_by in allow),
            *comparability.remarks(pairs),
        ],
        level=level,
        replicate=any(pair.is_replicate for pair in pairs),
    )
