"""Claims whose verdict is another one, and whether what they say changed beyond chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.claims import All
from harness.compare.contrasts import p_apart, paired, welch
from harness.compare.pairs import Pair
from harness.resolution import step
from harness.stats import adjusted
from harness.tally import was_tried
from harness.task import Claim
from harness.verdict import Outcome


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A claim that both studies try. A verdict may turn although its estimate moved by chance alone."""

    task: str
    scale: str
    claim: str
    before: Outcome
    after: Outcome
    exact: bool
    """Whether no chance is in it: it is declared exact."""
    p: float = math.nan
    """Two-sided, of the claim's estimates seed by seed being the same in both studies, after Holm's correction over the claims that were
    reproduced before; NaN: not tested."""
    weakened: bool = False
    """Whether it was reproduced and is not now, whatever it is, and its estimates differ beyond chance."""
    fell: bool = False
    """Whether a gate stops for that."""

    @property
    def turned(self) -> bool:
        """Whether the verdict is another one."""
        return self.before != self.after


def turns(pairs: Sequence[Pair], level: float, *, strict: bool = False) -> list[Turn]:
    """Every claim that both studies of a pair try.

    A claim is weakened when it was reproduced, is not now, and its estimates differ beyond chance. It fell when it is refuted now (with
    `strict`: or is inconclusive, or lost every seed).
    """
    found = [turn for pair in pairs for turn in _decided(pair)]
    held = [place for place, turn in enumerate(found) if turn.before == "reproduced" and not turn.exact]
    for place, p in zip(held, adjusted([found[place].p for place in held]), strict=True):
        found[place] = replace(found[place], p=p)
    falls: tuple[Outcome, ...] = ("not reproduced", "inconclusive", "not tested") if strict else ("not reproduced",)
    for place, turn in enumerate(found):
        weakened = turn.before == "reproduced" and turn.turned and (turn.exact or turn.p <= level)
        found[place] = replace(turn, weakened=weakened, fell=weakened and turn.after in falls)
    return found


def _decided(pair: Pair) -> list[Turn]:
    old, new = (list(filter(was_tried, side.verdicts)) for side in (pair.before, pair.after))
    before = {verdict.claim: verdict.verdict for verdict in old}
    claims = {claim.id: claim for claim in pair.new.task.claims}
    return [
        Turn(
            task=verdict.task,
            scale=verdict.scale,
            claim=verdict.claim,
            before=before[verdict.claim],
            after=verdict.verdict,
            exact=claims[verdict.claim].exact,
            p=_p_apart(claims[verdict.claim], pair),
        )
        for verdict in new
        if verdict.claim in before
    ]


def _p_apart(claim: Claim, pair: Pair) -> float:
    """Of any estimate of the claim having moved: the smallest of its parts, after Bonferroni's correction."""
    if claim.exact:
        return math.nan
    parts = claim.estimate.parts if isinstance(claim.estimate, All) else (claim.estimate,)
    seeds = [(pair.old.per_seed(part), pair.new.per_seed(part)) for part in parts]
    # What lies behind a bound moves unseen.
    values = [(old.values, new.values) for old, new in seeds if not old.ranges and not new.ranges]
    found = [p for old, new in values if not math.isnan(p := _p_of(old, new, pair.is_replicate))]
    return min(1.0, len(found) * min(found)) if found else math.nan


def _p_of(before: Mapping[int, float], after: Mapping[int, float], replicate: bool) -> float:
    seeds = [seed for seed in before if seed in after]
    if replicate:
        return p_apart(welch(list(before.values()), list(after.values()), step=float(step([*before.values(), *after.values()]))))
    rounding = float(step([side[seed] for seed in seeds for side in (before, after)]))
    differences = [after[seed] - before[seed] for seed in seeds]
    return p_apart(paired([0.0 if abs(d) <= rounding else d for d in differences], step=rounding))
