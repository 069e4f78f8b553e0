"""Claims -> verdicts. The interval of the estimate over seeds is compared with the region in which the claim holds."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from harness.asked import asks
from harness.claims import All
from harness.coverage import needs
from harness.estimates import Estimate
from harness.evidence import Evidence, SeedValues
from harness.looks import added
from harness.partial import Partial, Ruling, counted, ruling
from harness.pooling import chosen_values
from harness.rule import INCONCLUSIVE, OUTCOMES, WHYS, Decisions, Outcome, Why, decided, held, standing, together
from harness.sequential import at_looks
from harness.stats import CONFIDENCE, MOST_SEEDS, Interval, Sample, number, smallest_error
from harness.tally import of_settings, of_version, was_tried
from harness.task import Aim, Claim, ClaimKind

__all__ = ["OUTCOMES", "Outcome", "Size", "Verdict", "decide"]

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
    confidence: float = CONFIDENCE
    """Of the interval: at a look of a study that runs until its claims are decided it is wider."""
    censored: int = 0
    """Seeds whose value is only a bound; the interval says on which side."""
    seeds: Mapping[int, float] = field(default_factory=dict)
    """What each seed gave: of a claim over several comparisons, of the one that is shown."""
    of_scale: bool = True
    """Whether the scale holds what the claim needs."""
    version: str = ""
    """Of the task, as its trials have it: `2`; `1, 2` where they are of several."""
    asks: str = ""
    """A digest of what the claim asks, see `harness.asked`."""
    settings: str = ""
    """With which values its trials are not those of the scale, such as `inputs=3`; empty where they are."""

    @property
    def missed(self) -> bool:
        """Whether it is not tested although the scale holds what it needs."""
        return self.verdict == "not tested" and self.of_scale


@dataclass(frozen=True)
class _Finding:
    """What one estimate says of a region."""

    outcome: Outcome
    reason: str
    interval: Interval
    found: SeedValues
    p: float = math.nan
    sample: Sample | None = None
    """None where the interval is not one over seeds."""
    decisions: Decisions | None = None


_NOTHING = SeedValues({}, {}, frozenset())


def decide(evidence: Evidence) -> list[Verdict]:
    """A verdict for every claim of one task at one scale; the primary claims of the paper are held together at one interval's error."""
    found = _at_looks(evidence) if evidence.study.looks else _judged(evidence)
    return _standing(evidence.task.claims, found)


def _judged(evidence: Evidence) -> list[Verdict]:
    verdicts = [_verdict(evidence, claim, _find(evidence, claim)) for claim in evidence.task.claims]
    return _held_together(evidence.task.claims, verdicts, 1 - evidence.confidence)


def _at_looks(evidence: Evidence) -> list[Verdict]:
    """Each claim at the look that decides it; an exact one, which leaves nothing to chance, on all that there is."""
    looks, complete = evidence.study.looks, evidence.looks
    rulings = [_judged(at) for at in complete] or [_judged(evidence.at(looks[0]))]
    everything = _judged(evidence) if any(claim.exact for claim in evidence.task.claims) else rulings[-1]
    extra = added(looks, len(complete), len(evidence.seeds))
    own = [[ruling[place] for ruling in rulings] for place in range(len(rulings[0]))]
    return [whole if whole.exact else at_looks(looks, len(complete), extra, at) for whole, at in zip(everything, own, strict=True)]


def _find(evidence: Evidence, claim: Claim) -> _Finding:
    scale = evidence.scale
    if scale not in claim.scales:
        names = " or ".join(claim.scales) or "another"
        return _untested(f"Scale {scale} does not hold the trials that this claim needs; scale {names} does.")
    absent = evidence.absent(claim.estimate)
    if absent:
        no_trial = f"no trial of {absent[0]}"
        asked_for_less = evidence.part_asked(claim.estimate) or evidence.all_settings()
        return _unasked(evidence, claim, no_trial) if asked_for_less else _untested(f"The plan holds {no_trial}.")
    if isinstance(claim.estimate, All):
        return _together(evidence, claim, claim.estimate)
    return _one(evidence, claim, claim.estimate)


def _unasked(evidence: Evidence, claim: Claim, held: str) -> _Finding:
    fixed = {name for need in needs(claim.estimate) for name in need.where}
    settings = [setting for setting in evidence.all_settings() if setting.partition("=")[0] not in fixed]
    chosen = [word for setting in settings for word in ("--set", setting)]
    command = shlex.join(["papertrial", "run", evidence.task.id, "--scale", evidence.scale, *chosen, "--claim", claim.id])
    return _untested(f"This study's plan does not ask for it (`{command}` does): it holds {held}.")


def _untested(reason: str) -> _Finding:
    return _Finding("not tested", reason, Sample.of([]).interval(), _NOTHING)


def _together(evidence: Evidence, claim: Claim, every: All) -> _Finding:
    """Intersection-union: reproduced when every part is, not reproduced when one is not, beyond what several would give by chance.

    Shown is the part that decides.
    """
    parts = [_one(evidence, claim, part) for part in every.parts]
    if unasked := next((part for part in parts if part.decisions is None), None):
        return unasked
    whole = together([part.decisions for part in parts if part.decisions], exact=claim.exact, error=1 - evidence.confidence)
    outcome = OUTCOMES[int(whole.outcomes[0])]
    if outcome != "not reproduced":
        parts = [replace(part, outcome="inconclusive") if part.outcome == "not reproduced" else part for part in parts]
    shown = min((part for part in parts if part.outcome == outcome), key=lambda part: _depth(claim, part.interval.estimate))
    counts = ", ".join(f"{count} {name}" for name, count in Counter(part.outcome for part in parts).items())
    reason = f"Of {len(parts)} comparisons: {counts}. The closest: {shown.reason}"
    return replace(shown, outcome=outcome, reason=reason, p=float(whole.p[0]))


def _depth(claim: Claim, mean: float) -> float:
    """How far the mean lies inside the region: the smallest is the comparison that the claim comes closest to failing on."""
    return min(mean - claim.holds.low, claim.holds.high - mean) if math.isfinite(mean) else -math.inf


def _one(evidence: Evidence, claim: Claim, estimate: Estimate) -> _Finding:
    found = evidence.per_seed(estimate)
    if found.unasked and not found.values and not found.lost and (part := evidence.part_asked(estimate)):
        return _unasked(evidence, claim, f"{part[0]} of the {part[1]} trials a seed that it reads")
    step, rounding = evidence.resolution(estimate)
    sample = Sample.of(list(found.values.values()), step=step, rounding=rounding, bounds=claim.bounds)
    if found.ranges:
        return _of_bounds(evidence, claim, found, Partial(found.ends, step, rounding, claim.bounds))
    own = evidence.own_interval(estimate)
    interval = own(evidence.confidence) if own else sample.interval(evidence.confidence)
    p = smallest_error(own, claim.holds) if own else sample.p(claim.holds)
    decisions = decided(
        np.array([[*found.values.values(), *(math.nan for _ in found.lost)]]),
        claim.holds,
        exact=claim.exact,
        ends=(np.array([interval.low]), np.array([interval.high])),
        p=np.array([p]),
        error=1 - evidence.confidence,
    )
    over_seeds = None if own else sample
    reason = _reason(WHYS[int(decisions.why[0])], claim, found, over_seeds, interval)
    if through := evidence.through_bounds(estimate):
        reason += f" In {through} of {len(found.values)} seeds it reads numbers that were not reached, as bounds."
    return _Finding(OUTCOMES[int(decisions.outcomes[0])], reason, interval, found, p, over_seeds, decisions)


def _of_bounds(evidence: Evidence, claim: Claim, found: SeedValues, partial: Partial) -> _Finding:
    """Seeds of which censoring leaves some known on one side only."""
    interval, error = partial.interval(evidence.confidence), 1 - evidence.confidence
    if found.lost:
        ruled = Ruling(INCONCLUSIVE, math.nan, f"{_lost_reason(found)} Of the others {counted(partial)}.")
    else:
        ruled = ruling(partial, claim.holds, exact=claim.exact, error=error)
    decisions = Decisions(np.array([ruled.outcome]), np.array([ruled.p]), np.array([WHYS.index("bounds")]))
    return _Finding(OUTCOMES[ruled.outcome], ruled.reason, interval, found, ruled.p, None, decisions)


def _reason(why: Why, claim: Claim, found: SeedValues, sample: Sample | None, interval: Interval) -> str:
    values = list(found.values.values())
    if why == "all lost":
        return f"Every seed with records was lost, {len(found.lost)} of them ({_losses(found)})."
    if why == "lost":
        return _lost_reason(found)
    if why == "exact":
        return _exactly(claim, values)
    if why == "straddles":
        return f"The interval straddles the edge of where the claim holds ({claim.holds}). {_more_seeds(claim, sample, interval)}"
    return {
        "no seed": "No seed has all the records that this claim needs yet.",
        "one seed": "One seed gives no interval; at least two are needed.",
        "no spread": f"All {len(values)} seeds give {number(interval.estimate)}: without spread only an exact claim is decided.",
        "inside": f"The whole interval lies where the claim holds ({claim.holds}).{_of_points(sample, interval)}",
        "outside": f"The whole interval lies where the claim does not hold ({claim.holds}).{_of_points(sample, interval)}",
    }[why]


def _of_points(sample: Sample | None, interval: Interval) -> str:
    """Over what the interval is, where it is not over seeds."""
    return f" It is an interval over {interval.n} of what is compared, not over seeds." if sample is None else ""


def _exactly(claim: Claim, values: list[float]) -> str:
    """A statement without chance: one value outside the region refutes it."""
    outside = [value for value in values if value not in claim.holds]
    if outside:
        return f"Exact: {len(outside)} of {len(values)} values lie outside ({claim.holds}), such as {outside[0]:g}."
    return f"Exact: every value lies where the claim holds ({claim.holds})."


def _more_seeds(claim: Claim, sample: Sample | None, interval: Interval) -> str:
    """How many seeds would decide with 80 % power, were the effect as large as the interval's far end or as its middle."""
    if sample is None:
        return f"{_of_points(sample, interval).strip()} More seeds alone do not decide."
    middle = sample.seeds(claim.holds)
    ends = [sample.seeds(claim.holds, at=end) for end in (interval.low, interval.high)]
    fewest = min((n for n in (*ends, middle) if n is not None), default=None)
    if fewest is None:
        return f"No number of seeds up to {MOST_SEEDS:,} would decide at the present mean and spread."
    words = f"With 80 % power it takes {_seeds(middle)} at the present effect, and {fewest:,} to never by the ends of the interval"
    if sample.step and sample.hides(claim.holds):
        alone = replace(sample, step=0.0).seeds(claim.holds)
        words = (
            f"The estimate lies within {sample.step / 2:.3g} of the edge, half a step of what is counted, where no number of seeds "
            f"decides; with 80 % power mean and spread alone would take {_seeds(alone)}. "
            f"By the ends of the interval it takes {fewest:,} to never"
        )
    null = claim.null is not None and interval.low <= claim.null <= interval.high
    return words + ("; it is also compatible with no effect." if null else ".")


def _seeds(count: int | None) -> str:
    return f"{count:,} seeds" if count is not None else f"more than {MOST_SEEDS:,} seeds"


def _lost_reason(found: SeedValues) -> str:
    seeds = len(found.values) + len(found.lost)
    return f"{len(found.lost)} of {seeds} seeds were lost and the others do not decide alone ({_losses(found)})."


def _losses(found: SeedValues) -> str:
    statuses: Counter[str] = Counter()
    for counts in found.lost.values():
        statuses.update(counts)
    trials = ", ".join(f"{count} {status}" for status, count in statuses.most_common())
    why = [f"trials that did not end ok: {trials}"] if trials else []
    why += [_UNDEFINED] if any(not counts for counts in found.lost.values()) else []
    return "; ".join(why)


def _held_together(claims: Sequence[Claim], verdicts: Sequence[Verdict], error: float) -> list[Verdict]:
    """Verdicts on single claims with the primary ones held together."""
    alone = np.array([[OUTCOMES.index(verdict.verdict)] for verdict in verdicts], dtype=np.intp).reshape(-1, 1)
    tried = np.array([[was_tried(verdict)] for verdict in verdicts], dtype=bool).reshape(-1, 1)
    outcomes, p = held(alone, np.array([[verdict.p] for verdict in verdicts]).reshape(-1, 1), claims, error, tried)
    counted = sum(verdict.primary and not verdict.exact and bool(own) for verdict, own in zip(verdicts, tried[:, 0], strict=True))
    found = []
    for verdict, outcome, corrected in zip(verdicts, outcomes[:, 0].tolist(), p[:, 0].tolist(), strict=True):
        reason = verdict.reason
        if OUTCOMES[outcome] != verdict.verdict:
            single = f"Alone it would be {verdict.verdict}, but not as one of {counted} primary claims (Holm's p = {corrected:.2g})."
            reason = f"{single} {reason}"
        found.append(replace(verdict, verdict=OUTCOMES[outcome], p=corrected, reason=reason))
    return found


def _standing(claims: Sequence[Claim], verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Every claim only where those that it stands on hold."""
    outcomes = np.array([[OUTCOMES.index(verdict.verdict)] for verdict in verdicts], dtype=np.intp).reshape(-1, 1)
    stand = {claim.id: OUTCOMES[place] for claim, place in zip(claims, standing(outcomes, claims)[:, 0].tolist(), strict=True)}
    return [_on_ground(claim, verdict, stand, verdicts) for claim, verdict in zip(claims, verdicts, strict=True)]


def _on_ground(claim: Claim, verdict: Verdict, stand: Mapping[str, Outcome], verdicts: Sequence[Verdict]) -> Verdict:
    """Says what a claim stands on where that does not hold, decides nothing itself, or is undecided."""
    others: Mapping[str, Verdict] = {other.claim: other for other in verdicts}
    under = [others[id] for id in claim.stands_on]
    if stand[claim.id] != verdict.verdict:
        failed = next((other for other in under if other.verdict == "not reproduced"), None)
        if failed:
            why = f"{failed.claim}, which does not hold: {failed.statement}"
        else:
            fallen = next(other.claim for other in under if stand[other.claim] == "not tested")
            why = f"{fallen}, which decides nothing here"
        return replace(verdict, verdict=stand[claim.id], reason=f"It stands on {why}. Judged alone: {verdict.verdict}.")
    if verdict.verdict in ("reproduced", "not reproduced"):
        for word, of in (("undecided", "inconclusive"), ("not tested", "not tested")):
            if open_ := [other.claim for other in under if other.verdict == of]:
                verdict = replace(verdict, reason=f"{verdict.reason} It stands on {', '.join(open_)}, {word} here.")
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
        n=len(finding.found.values),
        lost=len(finding.found.lost),
        scale=evidence.scale,
        data_kind=kind,
        published=published,
        unit=claim.unit,
        decides=decides,
        reason=" ".join([finding.reason, *_reservations(evidence, claim, finding, edges)]),
        note=claim.note,
        exact=claim.exact,
        kind=claim.kind,
        group=claim.group,
        primary=claim.primary,
        aim=claim.aim,
        margin_source=claim.margin_source,
        p=math.nan if claim.exact else finding.p,
        effect=math.nan if claim.exact else sample.effect(null),
        ratio=math.nan if finding.found.ranges else _ratio(finding.interval.estimate, published, claim.null or 0.0),
        size=_size(finding, published, decides),
        confidence=evidence.confidence,
        censored=len(finding.found.ranges),
        seeds=finding.found.values,
        of_scale=evidence.scale in claim.scales,
        version=evidence.versions(claim.estimate),
        asks=asks(claim),
        settings=evidence.settings(claim.estimate),
        by_chance=(1 - CONFIDENCE) / 2 if claim.null in (claim.holds.low, claim.holds.high) and not claim.exact else 0.0,
    )


def _reservations(evidence: Evidence, claim: Claim, finding: _Finding, edges: Sequence[str]) -> Iterator[str]:
    """What to know before a verdict is believed."""
    version, sources = evidence.versions(claim.estimate), evidence.sources(claim.estimate)
    if version != str(evidence.task.version):
        yield f"Its trials are {of_version(version, evidence.task)}."
    if settings := evidence.settings(claim.estimate):
        yield f"Its trials are {of_settings(settings, evidence.scale)}."
    if len(sources) > 1:
        yield f"Its trials ran on {len(sources)} different versions of the task's source ({', '.join(sources)})."
    if finding.found.values and (part := evidence.part_asked(claim.estimate)):
        yield f"This study's plan holds {part[0]} of the {part[1]} trials a seed that it reads at scale {evidence.scale}."
    if edges:
        yield f"The sweep is cut at its edge: {'; '.join(edges)}."
    if values := chosen_values(evidence, claim.estimate):
        yield f"It is one number over {values}, of which the task has one value: run them as studies of their own to tell them apart."


def _nearest(claim: Claim, estimate: float) -> float:
    edges = [edge for edge in (claim.holds.low, claim.holds.high) if math.isfinite(edge)]
    return min(edges, key=lambda edge: abs(edge - estimate)) if edges and math.isfinite(estimate) else math.nan


def _ratio(estimate: float, published: float | None, null: float) -> float:
    return (estimate - null) / (published - null) if published is not None and published != null else math.nan


def _size(finding: _Finding, published: float | None, decides: Literal["value", "direction"]) -> Size:
    if published is None or not finding.interval.n:
        return ""
    if decides == "direction" or finding.found.ranges or not (finding.sample is None or finding.sample.decidable):
        return "not comparable"
    range_ = finding.sample.prediction() if finding.sample else finding.interval
    return "agrees" if range_.low <= published <= range_.high else "differs"
