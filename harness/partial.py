"""What seeds decide of which some are only bounds: intervals that take a bound for a value on the side on which it is one.

Where a seed's value is at least y, the mean is at least that of the y: what lies above an edge with the bounds as values lies above it with
the values, and nothing follows for what lies below. A t interval of values with a bound among them has one end, therefore, and the other
stays open: an interval over all values that the bounds allow would have none, because a value that grows widens it faster than it moves it.

Bounds such as min(x, c) are skewed, and t tests of them reject up to 1.6 times as often as promised. A p-value is doubled
therefore where a seed is a bound, and it is never below 2^-n: so often all of n bounds lie on one side of the median by chance. Under five
seeds bounds decide nothing. docs/verdicts.md has the rates that this gives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from harness.bounds import UNBOUNDED, Bounds
from harness.ends import Ends, side
from harness.rule import INCONCLUSIVE, NOT_REPRODUCED, REPRODUCED
from harness.stats import CONFIDENCE, Floats, Interval, Sample, Side
from harness.task import Region

FACTOR = 2.0
"""Of a p-value where a seed is a bound."""
_WORDS: dict[Side, str] = {
    "at least": "lower bounds",
    "at most": "upper bounds",
    "between": "known to a range",
    "unknown": "open on both sides",
}
FEWEST = 5
"""Seeds with which the signs of bounds alone are as rare as one error in twenty, 2^-n."""


@dataclass(frozen=True)
class Partial:
    """The seeds of one number, of which some are known on one side only."""

    ends: Ends
    """(seeds,)."""
    step: float = 0.0
    rounding: float = 0.0
    bounds: Bounds = UNBOUNDED

    @property
    def n(self) -> int:
        """Seeds."""
        return len(self.ends.low)

    @property
    def bounded(self) -> int:
        """Seeds whose value is not known."""
        return int((~self.ends.exact).sum())

    @property
    def side(self) -> Side:
        """On which side the mean is known."""
        return side(float(self.ends.low.min(initial=math.inf)), float(self.ends.high.max(initial=-math.inf))) if self.bounded else "exact"

    def sample(self, values: Floats) -> Sample | None:
        """Of one end of all seeds; None where one of them has none."""
        if not np.isfinite(values).all():
            return None
        return Sample.of(values.tolist(), step=self.step, rounding=self.rounding, bounds=self.bounds)

    @property
    def shown(self) -> Sample | None:
        """Of the end that is known, the lower one where both are; None where neither is."""
        return self.sample(self.ends.low) or self.sample(self.ends.high)

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """The mean of the known end and its limit; the other end is that of the bounds of the number, or infinite."""
        low, high = self.sample(self.ends.low), self.sample(self.ends.high)
        wide = 1 - (1 - confidence) / FACTOR
        lowest = self.bounds.low if low is None else self._limit(low, wide).low
        highest = self.bounds.high if high is None else self._limit(high, wide).high
        known = [own.estimate for own in (low, high) if own is not None]
        kind: Side = "between" if len(known) == 2 else "unknown" if not known else "at least" if low is not None else "at most"
        return Interval(sum(known) / len(known) if known else math.nan, lowest, highest, self.n, kind)

    def _limit(self, sample: Sample, confidence: float) -> Interval:
        """Equal bounds have no spread, and lie where they are."""
        if sample.decidable or self.n < 2:
            return sample.interval(confidence)
        return Interval(sample.estimate, sample.estimate, sample.estimate, self.n)

    def p(self, region: Region) -> tuple[float, float]:
        """The errors at which the seeds would not yet decide that the mean lies in a region, and outside: 1 where the unknown could."""
        edges = [(edge, above) for edge, above in ((region.low, True), (region.high, False)) if math.isfinite(edge)]
        within = max((self._beyond(edge, above) for edge, above in edges), default=1.0)
        return within, min((self._beyond(edge, not above) for edge, above in edges), default=1.0)

    def _beyond(self, edge: float, above: bool) -> float:
        """That the mean is not above (below) an edge."""
        values = self.ends.low if above else self.ends.high
        sample, sign = self.sample(values), 1.0 if above else -1.0
        if sample is None or not (sample.estimate - edge) * sign > 0:
            return 1.0
        least = 0.5**self.n
        if not sample.decidable:
            # Equal bounds are those of one budget, no agreement: their signs count.
            return least if self.bounded == self.n else 1.0
        return min(1.0, max(FACTOR * sample.p(Region(low=edge)), least))


@dataclass(frozen=True)
class Ruling:
    """What seeds with bounds among them say of a claim."""

    outcome: int
    """A place in `harness.rule.OUTCOMES`."""
    p: float
    reason: str


def ruling(partial: Partial, region: Region, *, exact: bool, error: float) -> Ruling:
    """A verdict that no value behind a bound could overturn; inconclusive, and why, otherwise."""
    said = counted(partial)
    if exact:
        return _exactly(partial, region, said)
    if partial.n < 2:
        return Ruling(INCONCLUSIVE, math.nan, f"One seed gives no interval; at least two are needed ({said}).")
    within, outside = partial.p(region)
    p = min(within, outside)
    if p < error:
        place, where = (REPRODUCED, "where the claim holds") if within <= outside else (NOT_REPRODUCED, "where the claim does not hold")
        return Ruling(place, p, f"The mean lies {where} ({region}) whatever the numbers behind the bounds are: {said}.")
    if p >= 1.0:
        return Ruling(INCONCLUSIVE, p, f"The numbers behind the bounds could overturn what the others say: {said}.")
    few = partial.n < FEWEST
    why = f"under {FEWEST} seeds bounds decide nothing" if few else f"the interval straddles the edge of where the claim holds ({region})"
    return Ruling(INCONCLUSIVE, p, f"{said[0].upper()}{said[1:]}. With the bounds as values {why}.")


def _exactly(partial: Partial, region: Region, said: str) -> Ruling:
    low, high = partial.ends.low, partial.ends.high
    gone = (high <= region.low) | (low >= region.high)
    if gone.any():
        return Ruling(NOT_REPRODUCED, math.nan, f"Exact: {int(gone.sum())} of {partial.n} values lie outside ({region}); {said}.")
    # Behind a bound lies a number, so that a region without an end holds what is open to it.
    if (((low > region.low) | (region.low == -np.inf)) & ((high < region.high) | (region.high == np.inf))).all():
        return Ruling(REPRODUCED, math.nan, f"Exact: every value lies where the claim holds ({region}), whatever the bounds hide; {said}.")
    return Ruling(INCONCLUSIVE, math.nan, f"Exact, and the numbers behind the bounds may lie outside ({region}): {said}.")


def counted(partial: Partial) -> str:
    """`3 of 5 seeds are lower bounds: not reached within the budget`."""
    kinds: dict[Side, int] = {}
    for low, high in zip(partial.ends.low.tolist(), partial.ends.high.tolist(), strict=True):
        kinds[side(low, high)] = kinds.get(side(low, high), 0) + 1
    found = [f"{kinds[kind]} of {partial.n} seeds are {word}" for kind, word in _WORDS.items() if kind in kinds]
    return f"{' and '.join(found)}: not reached within the budget"
