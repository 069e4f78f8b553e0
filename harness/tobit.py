"""The exponent of a power law through points of which some are only lower bounds: Tobin's (1958) model on log-log axes.

`log y = a + b log x + sigma e` with normal e; of a point that was not reached only `log y > log c` is known, and its likelihood is
`Phi((a + b log x - log c) / sigma)`. The maximum is found by EM (Dempster, Laird & Rubin, 1977): a bound is replaced by its mean beyond c,
`mu + sigma h(z)` with z = (log c - mu) / sigma and the inverse Mills ratio h, its variance there is added to sigma^2, and least squares
follows. The spread is found with the slope, seed by seed, which takes at least three reached points, and as many of them as of bounds.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from harness.table import Bools, Floats

FEWEST = 3
"""Reached points that give a line and a spread about it."""
_STEPS = 2000
_STILL = 1e-10
"""Relative change of the slope at which EM stops."""


def identified(bound: Bools) -> Bools:
    """Curves, (...,), with enough reached points beside their bounds, (..., points), for an exponent."""
    reached = (~bound).sum(axis=-1)
    return np.asarray((reached >= FEWEST) & (2 * reached >= bound.shape[-1]))


def censored_slopes(x: Floats, y: Floats, bound: Bools) -> Floats:
    """(curves,): exponents of positive y (curves, points) on positive x (points,), where `bound` marks what is only a lower bound.

    Without a bound it is the least-squares slope. NaN where `identified` says so.
    """
    place = np.log(x) - np.log(x).mean()
    log_y = np.log(y)
    fits = np.stack([np.ones_like(place), place], axis=1)
    # The start is the line through the reached points alone.
    weight = (~bound).astype(float)
    total = weight.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        centre, level = (weight * place).sum(axis=1) / total, (weight * log_y).sum(axis=1) / total
        spread_x = (weight * (place - centre[:, None]) ** 2).sum(axis=1)
        slope = (weight * (place - centre[:, None]) * (log_y - level[:, None])).sum(axis=1) / spread_x
        theta = np.stack([level - slope * centre, slope], axis=1)
        variance = (weight * (log_y - theta @ fits.T) ** 2).sum(axis=1) / total
    usable = identified(bound) & (spread_x > 0)
    theta, variance = np.where(usable[:, None], theta, 0.0), np.where(usable, variance, 1.0)
    solve = np.linalg.pinv(fits)
    tiny = (1e-9 * np.maximum(np.ptp(log_y, axis=1), 1e-12)) ** 2
    for _ in range(_STEPS):
        sigma, mean = np.sqrt(np.maximum(variance, tiny))[:, None], theta @ fits.T
        z = (log_y - mean) / sigma
        mills = math.sqrt(2 / math.pi) / special.erfcx(np.where(bound, z, 0.0) / math.sqrt(2))
        filled = np.where(bound, mean + sigma * mills, log_y)
        own = np.where(bound, sigma**2 * (1 + z * mills - mills**2), 0.0)
        before, theta = theta, filled @ solve.T
        variance = ((filled - theta @ fits.T) ** 2 + own).mean(axis=1)
        if np.abs(theta - before).max() <= _STILL * max(1.0, np.abs(theta).max()):
            break
    return np.where(usable, theta[:, 1], math.nan)
