"""Claims -> verdicts. The interval of the estimate over seeds is compared with the region in which the claim holds."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.evidence import Evidence, SeedValues
from harness.stats import Interval, seed_interval, seeds_to_decide
from harness.task import Claim, Task

if TYPE_CHECKING:
    from harness.study import Study

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


def decide(study: Study) -> list[Verdict]:
    """A verdict for every claim of every (task, scale) of the study, in the plan's order."""
    return [verdict for task, scale in study.groups() for verdict in decide_claims(study, task, scale)]


def decide_claims(study: Study, task: Task, scale: str) -> list[Verdict]:
    """A verdict for every claim of one task at one scale."""
    evidence = Evidence(study, task, scale)
    return [_decide(evidence, claim) for claim in task.claims]


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
    found = evidence.per_seed(claim.estimate)
    outcome, reason = _outcome(claim, found)
    return _verdict(evidence, claim, found, outcome, reason)


def _outcome(claim: Claim, found: SeedValues) -> tuple[Outcome, str]:
    values = list(found.values.values())
    interval = seed_interval(values)
    if found.lost:
        # Deciding on the seeds that survived would favour whatever fails: a method must not win by diverging.
        return "inconclusive", _lost_reason(found)
    if not values:
        return "not tested", "No seed has all the records that this claim needs yet."
    if len(values) < 2:
        return "inconclusive", "One seed gives no interval; at least two are needed."
    if interval.inside(claim.holds):
        return "reproduced", f"The whole interval lies where the claim holds ({claim.holds})."
    if interval.outside(claim.holds):
        return "not reproduced", f"The whole interval lies where the claim does not hold ({claim.holds})."
    return "inconclusive", f"The interval straddles the edge of where the claim holds ({claim.holds}); {_more_seeds(claim, values)}."


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


def _verdict(evidence: Evidence, claim: Claim, found: SeedValues, outcome: Outcome, reason: str) -> Verdict:
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
        reason=reason,
        note=claim.note,
    )
