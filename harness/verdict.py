"""Claims -> verdicts. The interval of the estimate over seeds is compared with the region in which the claim holds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from harness.claims import All
from harness.evidence import Evidence, SeedValues
from harness.stats import Interval, seed_interval, seeds_to_decide
from harness.task import Claim

Outcome = Literal["reproduced", "not reproduced", "inconclusive", "not tested"]
OUTCOMES: tuple[Outcome, ...] = ("reproduced", "not reproduced", "inconclusive", "not tested")
_TOO_MANY_SEEDS = 10_000
_UNDEFINED = "the estimate is undefined although every trial went well, such as an optimum at the edge of the sweep"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the records say about one claim."""

    task: str
    claim: str
    statement: str
    source: str
    verdict: Outcome
    interval: Interval
    holds: str
    """The region, as text."""
    n: int
    """Seeds behind the interval."""
    lost: int
    """Seeds that will never give an estimate."""
    scale: str
    data_kind: str
    published: float | None
    unit: str
    decides: Literal["value", "direction"]
    """`value` only at the paper's scale on real data; anything less can decide a direction, never the paper's number."""
    reason: str
    """One plain sentence."""
    note: str = ""
    exact: bool = False
    """Every seed's value decided by itself, so that the interval says nothing."""


def decide(evidence: Evidence) -> list[Verdict]:
    """A verdict for every claim of one task at one scale."""
    return [_decide(evidence, claim) for claim in evidence.task.claims]


def _decide(evidence: Evidence, claim: Claim) -> Verdict:
    scale = evidence.scale
    absent = evidence.absent(claim.estimate)
    nothing = SeedValues({}, {}, frozenset())
    if scale not in claim.scales:
        names = " or ".join(claim.scales) or "another"
        return _verdict(
            evidence, claim, nothing, "not tested", f"Scale {scale} does not hold the trials that this claim needs; scale {names} does."
        )
    if absent:
        return _verdict(evidence, claim, nothing, "not tested", f"The plan holds no trial of {absent[0]}.")
    if isinstance(claim.estimate, All):
        return _decide_together(evidence, claim, claim.estimate)
    found = evidence.per_seed(claim.estimate)
    outcome, reason = _outcome(claim, found)
    return _verdict(evidence, claim, found, outcome, reason, evidence.edges(claim.estimate))


def _decide_together(evidence: Evidence, claim: Claim, together: All) -> Verdict:
    """Intersection-union: reproduced when every part is, not reproduced when one is not. The part shown is the one that decides."""
    parts = [(found := evidence.per_seed(part), *_outcome(claim, found)) for part in together.parts]
    outcomes = [outcome for _, outcome, _ in parts]
    order: tuple[Outcome, ...] = ("not reproduced", "not tested", "inconclusive", "reproduced")
    outcome = min(outcomes, key=order.index)
    deciding = [part for part in parts if part[1] == outcome]
    found, _, reason = min(deciding, key=lambda part: _depth(claim, part[0]))
    counts = ", ".join(f"{count} {name}" for name, count in Counter(outcomes).items())
    return _verdict(
        evidence, claim, found, outcome, f"Of {len(parts)} comparisons: {counts}. The closest: {reason}", evidence.edges(together)
    )


def _depth(claim: Claim, found: SeedValues) -> float:
    """How far the mean lies inside the region: the smallest is the comparison that the claim comes closest to failing on."""
    mean = seed_interval(list(found.values.values())).estimate
    return min(mean - claim.holds.low, claim.holds.high - mean) if math.isfinite(mean) else -math.inf


def _outcome(claim: Claim, found: SeedValues) -> tuple[Outcome, str]:
    values = list(found.values.values())
    interval = seed_interval(values)
    if found.lost:
        # Deciding on the seeds that survived would favour whatever fails: a method must not win by diverging.
        return "inconclusive", _lost_reason(found)
    if not values:
        return "not tested", "No seed has all the records that this claim needs yet."
    if claim.exact:
        return _exactly(claim, values)
    if len(values) < 2:
        return "inconclusive", "One seed gives no interval; at least two are needed."
    if interval.inside(claim.holds):
        return "reproduced", f"The whole interval lies where the claim holds ({claim.holds})."
    if interval.outside(claim.holds):
        return "not reproduced", f"The whole interval lies where the claim does not hold ({claim.holds})."
    return "inconclusive", f"The interval straddles the edge of where the claim holds ({claim.holds}); {_more_seeds(claim, values)}."


def _exactly(claim: Claim, values: list[float]) -> tuple[Outcome, str]:
    """A statement without chance: one value outside the region refutes it."""
    outside = [value for value in values if value not in claim.holds]
    if outside:
        return "not reproduced", f"Exact: {len(outside)} of {len(values)} values lie outside ({claim.holds}), such as {outside[0]:g}."
    return "reproduced", f"Exact: every value lies where the claim holds ({claim.holds})."


def _more_seeds(claim: Claim, values: list[float]) -> str:
    seeds = seeds_to_decide(values, claim.holds)
    if seeds is None:
        return "the mean lies on the edge, so that no number of seeds would decide at the present mean"
    many = f"more than {_TOO_MANY_SEEDS:,}" if seeds > _TOO_MANY_SEEDS else f"about {seeds:,}"
    return f"{many} seeds would decide at the present mean and spread"


def _lost_reason(found: SeedValues) -> str:
    seeds = len(found.values) + len(found.lost)
    statuses: Counter[str] = Counter()
    for counts in found.lost.values():
        statuses.update(counts)
    trials = ", ".join(f"{count} {status}" for status, count in statuses.most_common())
    why = [f"trials that did not end ok: {trials}"] if trials else []
    why += [_UNDEFINED] if any(not counts for counts in found.lost.values()) else []
    return f"{len(found.lost)} of {seeds} seeds were lost and the others do not decide alone ({'; '.join(why)})."


def _verdict(evidence: Evidence, claim: Claim, found: SeedValues, outcome: Outcome, reason: str, edges: Sequence[str] = ()) -> Verdict:
    interval = seed_interval(list(found.values.values()))
    kind = evidence.data_kind(claim.estimate)
    return Verdict(
        task=evidence.task.id,
        claim=claim.id,
        statement=claim.statement,
        source=claim.source,
        verdict=outcome,
        interval=interval,
        holds=str(claim.holds),
        n=interval.n,
        lost=len(found.lost),
        scale=evidence.scale,
        data_kind=kind,
        published=None if claim.published is None or math.isnan(claim.published) else claim.published,
        unit=claim.unit,
        decides="value" if evidence.scale == "paper" and kind == "real" else "direction",
        reason=" ".join([reason, *([f"The sweep is cut at its edge: {'; '.join(edges)}."] if edges else [])]),
        note=claim.note,
        exact=claim.exact,
    )
