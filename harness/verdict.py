"""Claims -> verdicts. The interval of the estimate over seeds is compared with the region in which the claim holds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.claims import All
from harness.estimates import Estimate
from harness.evidence import Evidence, SeedValues
from harness.stats import MOST_SEEDS, Interval, Sample, adjusted, number, smallest_error
from harness.task import Aim, Claim, ClaimKind

Outcome = Literal["reproduced", "not reproduced", "inconclusive", "not tested"]
OUTCOMES: tuple[Outcome, ...] = ("reproduced", "not reproduced", "inconclusive", "not tested")
Size = Literal["", "agrees", "differs", "not comparable"]
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
    kind: ClaimKind = "paper"
    group: str = ""
    primary: bool = False
    aim: Aim = "direction"
    margin_source: str = ""
    p: float = math.nan
    """The error at which the claim would be decided on the side where its estimate lies; after Holm's correction where it is primary."""
    effect: float = math.nan
    """Distance of the mean from no effect (from the region's edge where a claim knows none), in standard deviations over seeds."""
    ratio: float = math.nan
    """Our effect over the published one."""
    size: Size = ""
    """Whether the published value lies where one more seed of ours would; only at the paper's scale and data. Empty: none is published."""
    by_chance: float = 0.0
    """Probability of "reproduced" where there is no effect, by the test alone; 0 of a claim whose edge is not that of no effect."""


@dataclass(frozen=True)
class _Finding:
    """What one estimate says of a region."""

    outcome: Outcome
    reason: str
    interval: Interval
    found: SeedValues
    p: float = math.nan
    sample: Sample | None = None


_NOTHING = SeedValues({}, {}, frozenset())


def decide(evidence: Evidence) -> list[Verdict]:
    """A verdict for every claim of one task at one scale; the primary claims of the paper are held together at one interval's error."""
    verdicts = [_verdict(evidence, claim, _find(evidence, claim)) for claim in evidence.task.claims]
    held = _held_together(verdicts, 1 - evidence.confidence)
    return [_standing(claim, verdict, held) for claim, verdict in zip(evidence.task.claims, held, strict=True)]


def _find(evidence: Evidence, claim: Claim) -> _Finding:
    scale = evidence.scale
    if scale not in claim.scales:
        names = " or ".join(claim.scales) or "another"
        return _untested(f"Scale {scale} does not hold the trials that this claim needs; scale {names} does.")
    absent = evidence.absent(claim.estimate)
    if absent:
        return _untested(f"The plan holds no trial of {absent[0]}.")
    if isinstance(claim.estimate, All):
        return _together(evidence, claim, claim.estimate)
    return _one(evidence, claim, claim.estimate)


def _untested(reason: str) -> _Finding:
    return _Finding("not tested", reason, Sample.of([]).interval(), _NOTHING)


def _together(evidence: Evidence, claim: Claim, together: All) -> _Finding:
    """Intersection-union: reproduced when every part is, not reproduced when one is not, beyond what several would give by chance.

    Shown is the part that decides.
    """
    parts = [_one(evidence, claim, part) for part in together.parts]
    against = [part for part in parts if part.outcome == "not reproduced"]
    if against and not claim.exact:
        closest = min(against, key=lambda part: part.p)
        if not closest.p * len(parts) < 1 - evidence.confidence:
            parts = [replace(part, outcome="inconclusive") if part.outcome == "not reproduced" else part for part in parts]
    outcomes = [part.outcome for part in parts]
    order: tuple[Outcome, ...] = ("not reproduced", "not tested", "inconclusive", "reproduced")
    outcome = min(outcomes, key=order.index)
    shown = min((part for part in parts if part.outcome == outcome), key=lambda part: _depth(claim, part.interval.estimate))
    counts = ", ".join(f"{count} {name}" for name, count in Counter(outcomes).items())
    p = min(1.0, shown.p * len(parts)) if outcome == "not reproduced" else max((part.p for part in parts), default=math.nan)
    return replace(shown, outcome=outcome, reason=f"Of {len(parts)} comparisons: {counts}. The closest: {shown.reason}", p=p)


def _depth(claim: Claim, mean: float) -> float:
    """How far the mean lies inside the region: the smallest is the comparison that the claim comes closest to failing on."""
    return min(mean - claim.holds.low, claim.holds.high - mean) if math.isfinite(mean) else -math.inf


def _one(evidence: Evidence, claim: Claim, estimate: Estimate) -> _Finding:
    found = evidence.per_seed(estimate)
    step, rounding = evidence.resolution(estimate)
    sample = Sample.of(list(found.values.values()), step=step, rounding=rounding, bounds=claim.bounds)
    own = evidence.own_interval(estimate)
    interval = own(evidence.confidence) if own else sample.interval(evidence.confidence)
    p = smallest_error(own, claim.holds) if own else sample.p(claim.holds)
    outcome, reason = _outcome(evidence, claim, found, sample, interval, p)
    return _Finding(outcome, reason, interval, found, p, sample)


def _outcome(evidence: Evidence, claim: Claim, found: SeedValues, sample: Sample, interval: Interval, p: float) -> tuple[Outcome, str]:
    values = list(found.values.values())
    if found.lost:
        # Deciding on the seeds that survived would favour whatever fails: a method must not win by diverging.
        return "inconclusive", _lost_reason(found)
    if not values:
        return "not tested", "No seed has all the records that this claim needs yet."
    if claim.exact:
        return _exactly(claim, values)
    if len(values) < 2:
        return "inconclusive", "One seed gives no interval; at least two are needed."
    if math.isnan(p):
        return "inconclusive", f"All {len(values)} seeds give {number(interval.estimate)}: without spread only an exact claim is decided."
    if p < 1 - evidence.confidence and interval.inside(claim.holds):
        return "reproduced", f"The whole interval lies where the claim holds ({claim.holds})."
    if p < 1 - evidence.confidence and interval.outside(claim.holds):
        return "not reproduced", f"The whole interval lies where the claim does not hold ({claim.holds})."
    return (
        "inconclusive",
        f"The interval straddles the edge of where the claim holds ({claim.holds}). {_more_seeds(claim, sample, interval)}",
    )


def _exactly(claim: Claim, values: list[float]) -> tuple[Outcome, str]:
    """A statement without chance: one value outside the region refutes it."""
    outside = [value for value in values if value not in claim.holds]
    if outside:
        return "not reproduced", f"Exact: {len(outside)} of {len(values)} values lie outside ({claim.holds}), such as {outside[0]:g}."
    return "reproduced", f"Exact: every value lies where the claim holds ({claim.holds})."


def _more_seeds(claim: Claim, sample: Sample, interval: Interval) -> str:
    """How many seeds would decide with 80 % power, were the effect as large as the interval's far end or as its middle."""
    middle = sample.seeds(claim.holds)
    ends = [sample.seeds(claim.holds, at=end) for end in (interval.low, interval.high)]
    fewest = min((n for n in (*ends, middle) if n is not None), default=None)
    if fewest is None:
        return f"No number of seeds up to {MOST_SEEDS:,} would decide at the present mean and spread."
    many = f"{middle:,} seeds" if middle is not None else f"more than {MOST_SEEDS:,} seeds"
    null = claim.null is not None and interval.low <= claim.null <= interval.high
    words = f"With 80 % power {many} would decide an effect of the present size; by the interval it may take {fewest:,} or never"
    return words + (", and no effect is as possible." if null else ".")


def _lost_reason(found: SeedValues) -> str:
    seeds = len(found.values) + len(found.lost)
    statuses: Counter[str] = Counter()
    for counts in found.lost.values():
        statuses.update(counts)
    trials = ", ".join(f"{count} {status}" for status, count in statuses.most_common())
    why = [f"trials that did not end ok: {trials}"] if trials else []
    why += [_UNDEFINED] if any(not counts for counts in found.lost.values()) else []
    return f"{len(found.lost)} of {seeds} seeds were lost and the others do not decide alone ({'; '.join(why)})."


def _held_together(verdicts: Sequence[Verdict], error: float) -> list[Verdict]:
    """Primary claims decide only what Holm's correction over them leaves: one wrong verdict among them is as rare as of one interval."""
    family = [place for place, v in enumerate(verdicts) if v.primary and not v.exact and v.verdict in ("reproduced", "not reproduced")]
    counted = sum(v.primary and not v.exact and v.verdict != "not tested" for v in verdicts)
    # Claims that are undecided alone have the largest p: they count in Holm's number of hypotheses and change nothing else.
    found = adjusted([verdicts[place].p for place in family] + [1.0] * (counted - len(family)))
    held = list(verdicts)
    for place, p in zip(family, found, strict=False):
        verdict = replace(verdicts[place], p=p)
        if not p < error:
            alone = f"Alone it would be {verdict.verdict}, but not as one of {counted} primary claims (Holm's p = {p:.2g})."
            verdict = replace(verdict, verdict="inconclusive", reason=f"{alone} {verdict.reason}")
        held[place] = verdict
    return held


def _standing(claim: Claim, verdict: Verdict, verdicts: Sequence[Verdict]) -> Verdict:
    """A claim decides nothing where a claim that it stands on does not hold."""
    others: Mapping[str, Verdict] = {other.claim: other for other in verdicts}
    under = [others[id] for id in claim.stands_on]
    failed = [other for other in under if other.verdict == "not reproduced"]
    if failed and verdict.verdict != "not tested":
        reason = f"It stands on {failed[0].claim}, which does not hold: {failed[0].statement}. Judged alone: {verdict.verdict}."
        return replace(verdict, verdict="not tested", reason=reason)
    open_ = [other.claim for other in under if other.verdict != "reproduced"]
    if open_ and verdict.verdict in ("reproduced", "not reproduced"):
        return replace(verdict, reason=f"{verdict.reason} It stands on {', '.join(open_)}, which is undecided here.")
    return verdict


def _verdict(evidence: Evidence, claim: Claim, finding: _Finding) -> Verdict:
    kind = evidence.data_kind(claim.estimate)
    published = None if claim.published is None or math.isnan(claim.published) else claim.published
    decides: Literal["value", "direction"] = "value" if evidence.scale == "paper" and kind == "real" else "direction"
    edges = evidence.edges(claim.estimate)
    sample = finding.sample or Sample.of([])
    null = claim.null if claim.null is not None else _nearest(claim, sample.estimate)
    return Verdict(
        task=evidence.task.id,
        claim=claim.id,
        statement=claim.statement,
        source=claim.source,
        verdict=finding.outcome,
        interval=finding.interval,
        holds=str(claim.holds),
        n=finding.interval.n,
        lost=len(finding.found.lost),
        scale=evidence.scale,
        data_kind=kind,
        published=published,
        unit=claim.unit,
        decides=decides,
        reason=" ".join([finding.reason, *([f"The sweep is cut at its edge: {'; '.join(edges)}."] if edges else [])]),
        note=claim.note,
        exact=claim.exact,
        kind=claim.kind,
        group=claim.group,
        primary=claim.primary,
        aim=claim.aim,
        margin_source=claim.margin_source,
        p=math.nan if claim.exact else finding.p,
        effect=math.nan if claim.exact else sample.effect(null),
        ratio=_ratio(sample.estimate, published, claim.null or 0.0),
        size=_size(sample, published, decides),
        by_chance=(1 - evidence.confidence) / 2 if claim.null in (claim.holds.low, claim.holds.high) and not claim.exact else 0.0,
    )


def _nearest(claim: Claim, estimate: float) -> float:
    edges = [edge for edge in (claim.holds.low, claim.holds.high) if math.isfinite(edge)]
    return min(edges, key=lambda edge: abs(edge - estimate)) if edges and math.isfinite(estimate) else math.nan


def _ratio(estimate: float, published: float | None, null: float) -> float:
    return (estimate - null) / (published - null) if published is not None and published != null else math.nan


def _size(sample: Sample, published: float | None, decides: Literal["value", "direction"]) -> Size:
    if published is None or not sample.n:
        return ""
    if decides == "direction" or not sample.decidable:
        return "not comparable"
    range_ = sample.prediction()
    return "agrees" if range_.low <= published <= range_.high else "differs"
