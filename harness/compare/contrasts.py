"""The difference of a number between two studies: its estimate, how well it is known, and what follows from both.

Two studies that share seeds are compared in pairs, which are as many as there are seeds in common; an independent replicate by Welch's
test (Welch, 1947). With five seeds a standard deviation is known to a third, so that a paired difference is tested a second time with a
variance that borrows from the same statistic of the other methods (after Smyth, 2004).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from harness.stats import CONFIDENCE, Interval

POWER = 0.8
_OWN = 0.3
"""Share of the level that the test with the own variance keeps, for a method that is quieter than the others."""


@dataclass(frozen=True)
class Contrast:
    """A difference of means, after minus before."""

    estimate: float
    variance: float
    """Of the estimate; infinite where the seeds are too few to know."""
    df: float
    n: int
    """Seeds in common, or those of the smaller study."""
    borrowed: tuple[float, float] | None = None
    """Variance and degrees of freedom of the second test, where there is one."""

    @property
    def _tests(self) -> list[tuple[float, float, float]]:
        """Share of the level, variance and degrees of freedom of each test."""
        return [(1 - _OWN, *self.borrowed), (_OWN, self.variance, self.df)] if self.borrowed else [(1.0, self.variance, self.df)]

    def interval(self) -> Interval:
        """Student's t interval of the difference."""
        if not self.n or math.isinf(self.variance):
            return Interval(self.estimate, *((-math.inf, math.inf) if self.n else (math.nan, math.nan)), self.n)
        half = float(special.stdtrit(self.df, (1 + CONFIDENCE) / 2)) * math.sqrt(self.variance)
        return Interval(self.estimate, self.estimate - half, self.estimate + half, self.n)


NOTHING = Contrast(math.nan, math.inf, 0.0, 0)


def paired(differences: Sequence[float], step: float = 0.0) -> Contrast:
    """Of differences seed by seed. The spread is at least that of two values which are rounded to multiples of `step`."""
    found, n = np.asarray(differences, dtype=float), len(differences)
    if not n:
        return NOTHING
    if n == 1:
        return replace(NOTHING, estimate=float(found[0]), n=1)
    return Contrast(float(found.mean()), max(_variance(found), 2 * _rounding(step)) / n, n - 1.0, n)


def welch(before: Sequence[float], after: Sequence[float], step: float = 0.0) -> Contrast:
    """Of two independent samples with variances of their own; the degrees of freedom are Welch's (1947)."""
    sides = [np.asarray(side, dtype=float) for side in (before, after)]
    n = min(len(side) for side in sides)
    if not n:
        return NOTHING
    estimate = float(sides[1].mean() - sides[0].mean())
    if n == 1:
        return replace(NOTHING, estimate=estimate, n=1)
    parts = [max(_variance(side), _rounding(step)) / len(side) for side in sides]
    weights = sum(part**2 / (len(side) - 1) for part, side in zip(parts, sides, strict=True))
    return Contrast(estimate, sum(parts), sum(parts) ** 2 / weights if weights else n - 1.0, n)


def moderated(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """Paired contrasts of one statistic in several methods, each with a second variance that borrows from the others.

    An inverse chi-squared prior of the per-seed variances (Smyth, 2004) is read off their median and quartiles, which one method of
    another kind does not move. The second variance is the geometric mean of prior and own, by degrees of freedom; the prior has at most
    n - 2, so that it never outweighs the method's own n - 1. It is never smaller than the own variance: a method that is noisier than
    the others must not pass for quiet. All of this keeps the rate of false alarms where methods differ in noise, which the plain formula
    does not with few methods; docs/calibration-gate.md has the rates.
    """
    known = [c for c in contrasts if 0 < c.variance < math.inf]
    if len(known) < 2:
        return list(contrasts)
    logs, df = np.log([c.variance * c.n for c in known]), np.array([c.df for c in known])
    prior = float(np.median(logs - np.log(special.chdtri(df, 0.5) / df)))
    trust = _prior_df(logs, float(np.median(df)))

    def one(c: Contrast) -> Contrast:
        extra = min(c.df - 1, trust)
        if math.isinf(c.variance) or extra <= 0:
            return c
        own = math.log(c.variance * c.n) if c.variance else -math.inf
        # Without any spread of its own a method has the prior's.
        both = (extra * prior + c.df * own) / (extra + c.df) if c.variance else prior
        return replace(c, borrowed=(math.exp(max(both, own)) / c.n, min(c.df + extra, max(float(df.sum()), c.df))))

    return [one(c) for c in contrasts]


def _prior_df(logs: np.ndarray, df: float) -> float:
    """Degrees of freedom of the prior: how much further apart log variances are than chance puts those of one variance.

    The interquartile range of log chi-squared stands for the standard deviation that moments would give; the excess is the trigamma
    function of half the prior's degrees of freedom.
    """
    low, high = special.chdtri(df, [0.75, 0.25])
    wide = float(np.subtract(*np.quantile(logs, [0.75, 0.25]))) / math.log(high / low)
    excess = float(special.polygamma(1, df / 2)) * (wide**2 - 1)
    return 2 * _inverse_trigamma(excess) if excess > 0 else math.inf


def _inverse_trigamma(value: float) -> float:
    """x > 0 with trigamma(x) = value > 0, by Newton's method on 1 / trigamma, which is convex: it converges from 1/2 + 1/value."""
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(special.polygamma(1, x))
        move = trigamma * (1 - trigamma / value) / float(special.polygamma(2, x))
        x += move
        if abs(move) < 1e-10 * x:
            break
    return x


def p_above(contrast: Contrast, margin: float = 0.0) -> float:
    """One-sided p-value of the difference being at most `margin`; NaN with fewer than two seeds, 1 where no spread is known.

    Of two tests the one that says more, its p-value divided by its share of the level (Bonferroni, with weights).
    """
    if contrast.n < 2 or math.isinf(contrast.variance):
        return math.nan
    found = [
        float(special.stdtr(df, (margin - contrast.estimate) / math.sqrt(variance))) / share
        for share, variance, df in contrast._tests
        if variance > 0
    ]
    return min([1.0, *found])


def p_apart(contrast: Contrast) -> float:
    """Two-sided p-value of the difference being 0; NaN with fewer than two seeds, 1 where no spread is known."""
    return float(np.minimum(1.0, 2 * p_above(replace(contrast, estimate=abs(contrast.estimate)))))


def detectable(contrast: Contrast, level: float, power: float = POWER) -> float:
    """The difference that one of its tests at `level` finds with probability `power`, by the non-central t; infinite where none is."""
    if contrast.n < 2 or math.isinf(contrast.variance):
        return math.inf
    return min(
        (
            float(special.nctdtrinc(df, 1 - power, -float(special.stdtrit(df, share * level)))) * math.sqrt(variance)
            for share, variance, df in contrast._tests
            if variance > 0
        ),
        default=math.inf,
    )


def _variance(values: np.ndarray) -> float:
    """Of a sample; exactly 0 for values that are all equal, whatever rounding the mean adds."""
    return 0.0 if np.all(values == values[0]) else float(values.var(ddof=1))


def _rounding(step: float) -> float:
    """Variance of what rounding to multiples of `step` takes away: uniform over a step."""
    return step**2 / 12
