"""Where methods stand among each other: not one place, but all places that chance leaves open."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from harness.bounds import UNBOUNDED, Bounds
from harness.ends import Ends
from harness.partial import Partial
from harness.stats import CONFIDENCE, Interval, Sample, adjusted
from harness.task import Better, Region

LEVEL = 1 - CONFIDENCE
"""Probability that one comparison of a board, all of them together, is wrong."""
MANY = 1_000
"""Seeds."""
DRAWS = 10_000
"""Bootstrap draws behind a probability: its Monte-Carlo error is at most 0.005."""
_TIE = 2.0**-40
"""Relative difference of two means that only the order of a sum makes."""


@dataclass(frozen=True)
class Contender:
    """What the seeds of one method gave in the number that ranks."""

    method: str
    values: Mapping[int, float]
    """By seed."""
    lost: int = 0
    """Seeds that will never give a number."""
    resolution: tuple[float, float] = (0.0, 0.0)
    """The smallest distance that the number can move by, and what arithmetic may make."""
    bounds: Bounds = field(default=UNBOUNDED)
    ranges: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    """Lowest and highest value of the seeds of which censoring leaves it open; `values` hold the end that is known."""

    @property
    def ends(self) -> Ends:
        """Of all seeds."""
        return self.at([*self.values])

    def at(self, seeds: Sequence[int]) -> Ends:
        """Lowest and highest value of some seeds."""
        found = [self.ranges.get(seed, (self.values[seed],) * 2) for seed in seeds]
        return Ends(np.array([low for low, _ in found]), np.array([high for _, high in found]))

    @property
    def interval(self) -> Interval:
        """Over seeds; one-sided where some are bounds."""
        return Partial(self.ends, *self.resolution, self.bounds).interval() if self.ranges else self.sample.interval()

    @cached_property
    def sample(self) -> Sample:
        """Its mean on the scale of the bounds."""
        step, rounding = self.resolution
        return Sample.of([*self.values.values()], step=step, rounding=rounding, bounds=self.bounds)

    def merit(self, better: Better) -> tuple[float, float]:
        """What is sure of it, then what a bound leaves possible: the larger, the better; NaN without a number.

        A time of which some seeds are lower bounds may be any larger one, so that a method does not lead because its budget was small.
        """
        if not self.ranges:
            return (float(_merit(self.sample.estimate, better)),) * 2
        ends = Ends(*(np.array([self._mean(end)]) for end in (self.ends.low, self.ends.high)))
        found = {"higher": ends, "lower": -ends}.get(better, -distances(ends))
        return float(found.low[0]), float(found.high[0])

    def _mean(self, values: npt.NDArray[np.float64]) -> float:
        """On the scale of the bounds; infinite where a seed is."""
        far = values[np.isinf(values)]
        return float(far[0]) if len(far) else Sample.of(values.tolist(), bounds=self.bounds).estimate


@dataclass(frozen=True)
class Standing:
    """The places of a method, 1 the best, that paired comparisons leave open."""

    low: int
    """1 + the number of methods that are significantly better."""
    high: int
    """The number of methods less those that are significantly worse."""
    p_best: float = math.nan
    """Probability that it is the best, by bootstrap over seeds; NaN where that is not asked."""
    behind: Interval | None = None
    """The number less that of the best, paired by seed; for a number that is best at zero, of the distances. None for the best itself."""

    def __str__(self) -> str:
        return f"{self.low}" if self.low == self.high else f"{self.low}–{self.high}"


def standings(contenders: Sequence[Contender], better: Better, *, exact: bool = False) -> dict[str, Standing]:
    """The standing of each contender that has a number, by its name; none where only one has.

    All pairs are compared by a paired t test over the seeds that both have, together at LEVEL by Holm's correction (1979): with that
    probability or more all ranges hold the true places at once (Al Mohamad, Goeman & van Zwet 2022). A method that lost seeds comes
    after all that lost none: it must not win by failing. `exact` numbers leave nothing to chance: one differs where every seed says so.
    """
    ranked = [own for own in contenders if own.values]
    if len(ranked) < 2:
        return {}
    pairs = [(a, b) for a, b in itertools.combinations(ranked, 2) if bool(a.lost) == bool(b.lost)]
    found = [_compared(a, b, better, exact) for a, b in pairs]
    wins = {(a.method, b.method) for a in ranked for b in ranked if b.lost and not a.lost}
    for (a, b), (_, sign), p in zip(pairs, found, adjusted([p for p, _ in found]), strict=True):
        if p < LEVEL:
            wins.add((a.method, b.method) if sign > 0 else (b.method, a.method))
    whole = [own for own in ranked if not own.lost]
    best = max(whole, key=lambda own: own.merit(better), default=None)
    # Seeds that are bounds say of no draw who is the best.
    chances = {} if exact or any(own.ranges for own in whole) else p_best(whole, better)
    return {
        own.method: Standing(
            low=1 + sum((other.method, own.method) in wins for other in ranked),
            high=len(ranked) - sum((own.method, other.method) in wins for other in ranked),
            p_best=chances.get(own.method, math.nan),
            behind=None if best is None or own is best or own.lost else _behind(own, best, better),
        )
        for own in ranked
    }


def p_best(contenders: Sequence[Contender], better: Better) -> dict[str, float]:
    """The share of DRAWS of seeds, each drawn for all methods at once, in which a method has the best mean; equal ones share a draw.

    Empty under two methods, or two seeds that all have.
    """
    seeds = sorted(set.intersection(*(set(own.values) for own in contenders))) if len(contenders) > 1 else []
    if len(seeds) < 2:
        return {}
    bounds = [own.sample.bounds for own in contenders]
    values = [np.array([own.values[seed] for seed in seeds], dtype=float) for own in contenders]
    drawn = drawn_means(np.stack([np.asarray(own.scaled(numbers)) for own, numbers in zip(bounds, values, strict=True)]))
    means = [own.back(found) for own, found in zip(bounds, drawn, strict=True)]
    merits = _merit(np.stack(means), better)
    winners = merits >= merits.max(axis=0) - _TIE * np.abs(merits).max(axis=0)
    shares = (winners / winners.sum(axis=0)).mean(axis=1)
    return {own.method: float(share) for own, share in zip(contenders, shares, strict=True)}


def drawn_means(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Means of DRAWS of seeds, (methods, DRAWS), of values (methods, seeds).

    Of MANY seeds they are drawn from the normal distribution of such means, with what methods have in common: the weights of each seed in
    each draw would fill the memory, and no number of draws that is taken here tells the two apart.
    """
    seeds = values.shape[1]
    if seeds < MANY:
        return np.stack([_draws(seeds) @ own for own in values])
    # Methods with equal values have equal draws, to the last bit.
    different, places = np.unique(values, axis=0, return_inverse=True)
    middle = different.mean(axis=1, keepdims=True)
    directions, lengths, _ = np.linalg.svd(different - middle, full_matrices=False)
    normal = np.random.default_rng(0).normal(size=(len(lengths), DRAWS))
    return np.asarray((middle + (directions * lengths) @ normal / seeds)[places])


@lru_cache(maxsize=8)
def _draws(seeds: int) -> npt.NDArray[np.float64]:
    """(DRAWS, seeds): the share of a draw that each seed has."""
    return np.random.default_rng(0).multinomial(seeds, np.full(seeds, 1 / seeds), size=DRAWS) / seeds


def _merit(values: npt.ArrayLike, better: Better) -> npt.NDArray[np.float64]:
    found = np.asarray(values, dtype=float)
    return found if better == "higher" else -found if better == "lower" else -np.abs(found)


def _compared(a: Contender, b: Contender, better: Better, exact: bool) -> tuple[float, float]:
    """The p-value that two methods do not differ, and a sign that is positive where the first is better.

    Of two distances from zero the smaller is found by two tests, of a - b and of a + b, that must both reject: where their signs agree,
    |a| is larger than |b| (an intersection-union test, Berger 1982).
    """
    seeds = [seed for seed in a.values if seed in b.values]
    step, rounding = (sum(both) for both in zip(a.resolution, b.resolution, strict=True))
    if a.ranges or b.ranges:
        return _compared_bounds(a.at(seeds), b.at(seeds), better, (step, rounding), exact)
    p, sign = 0.0, -1.0 if better != "higher" else 1.0
    for other in (-1.0,) if better != "zero" else (-1.0, 1.0):
        sample = [a.values[seed] + other * b.values[seed] for seed in seeds]
        mean = math.fsum(sample)
        if exact:
            own = 0.0 if sample and min(x * math.copysign(1.0, mean) for x in sample) > rounding else 1.0
        else:
            own = Sample.of(sample, step=step, rounding=rounding).p(Region(low=0.0))
        p, sign = max(p, 1.0 if math.isnan(own) else own), sign * math.copysign(1.0, mean)
    return p, sign


def distances(ends: Ends) -> Ends:
    """From zero."""
    low, high = np.abs(ends.low), np.abs(ends.high)
    return Ends(np.where((ends.low <= 0) & (ends.high >= 0), 0.0, np.minimum(low, high)), np.maximum(low, high))


def _compared_bounds(a: Ends, b: Ends, better: Better, resolution: tuple[float, float], exact: bool) -> tuple[float, float]:
    """As `_compared`, where bounds are among the seeds: what no number behind them could overturn."""
    p, sign = 0.0, -1.0 if better != "higher" else 1.0
    for difference in (a - b,) if better != "zero" else (a - b, a - -b):
        above, below = Partial(difference, *resolution).p(Region(low=0.0))
        if exact:
            above = 0.0 if (difference.low > resolution[1]).all() else 1.0
            below = 0.0 if (difference.high < -resolution[1]).all() else 1.0
        p, sign = max(p, min(above, below)), sign * (1.0 if above <= below else -1.0)
    return p, sign


def _behind(own: Contender, best: Contender, better: Better) -> Interval:
    if own.ranges or best.ranges:
        seeds = [seed for seed in own.values if seed in best.values]
        step, rounding = (sum(each) for each in zip(own.resolution, best.resolution, strict=True))
        mine, theirs = (distances(each.at(seeds)) if better == "zero" else each.at(seeds) for each in (own, best))
        return Partial(mine - theirs, step, rounding).interval()
    signs = [math.copysign(1.0, each.sample.estimate) if better == "zero" else 1.0 for each in (own, best)]
    differences = [signs[0] * own.values[seed] - signs[1] * best.values[seed] for seed in own.values if seed in best.values]
    step, rounding = (sum(each) for each in zip(own.resolution, best.resolution, strict=True))
    return Sample.of(differences, step=step, rounding=rounding).interval()
