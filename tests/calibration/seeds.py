"""Where the seeds of a calibration come from: distributions, each with the value that an interval is to cover and how it is declared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special
from scipy import stats as scipy_stats

from harness.bounds import POSITIVE, SHARE, UNBOUNDED, Bounds

Floats = npt.NDArray[np.float64]
EXAMPLES, ACCURACY = 300, 0.9
PLACE = 3.3
"""Of what is rounded: neither on a step nor half way between two."""


@dataclass(frozen=True)
class Seeds:
    """What a metric gives from seed to seed."""

    name: str
    draw: Callable[[np.random.Generator, tuple[int, int]], Floats]
    """An array (studies, seeds) of values."""
    truth: float
    """The value that an interval on the scale of `bounds` is to cover."""
    bounds: Bounds = UNBOUNDED
    step: float = 0.0
    """As declared: 0 where the task does not say that the metric counts."""
    why: str = ""
    """Why its coverage may lie outside 93 to 97 %."""


def _share_of_logit() -> float:
    counts = np.arange(1, EXAMPLES)
    weights = scipy_stats.binom.pmf(counts, EXAMPLES, ACCURACY)
    return float(special.expit((weights * special.logit(counts / EXAMPLES)).sum() / weights.sum()))


def _rounded(spread: float) -> Callable[[np.random.Generator, tuple[int, int]], Floats]:
    return lambda rng, shape: np.round(rng.normal(PLACE, spread, shape))


def _beta(a: float, b: float) -> Callable[[np.random.Generator, tuple[int, int]], Floats]:
    return lambda rng, shape: rng.beta(a, b, shape)


def _binomial(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return rng.binomial(EXAMPLES, ACCURACY, shape) / EXAMPLES


def _skewed(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return rng.lognormal(0.0, 1.0, shape)


_TAILS = "Heavy tails widen s more often than they move the mean: t covers too much, on both sides alike; no rule mends that."
_SKEW = "The long tail is on one side: a few seeds rarely hold it, so that mean and s are small together. Declare `bounds`."
_LOGIT = "What is left of the skew on the logit scale. No transformation that few seeds could choose mends it: say so below 10 seeds."
_FINE = (
    "No interval is narrower than a step. Where the spread is below one, it covers too much: the resolution is the limit, not the seeds."
)
_HIDDEN = "Equal seeds decide nothing (by rule). Of the others the spread is rounding's: declare that the metric counts."

SEEDS = (
    Seeds("normal", lambda rng, shape: rng.normal(0.7, 2.0, shape), 0.7),
    Seeds("log-normal, positive", _skewed, 1.0, POSITIVE),
    Seeds("log-normal, no bounds declared", _skewed, float(np.exp(0.5)), why=_SKEW),
    Seeds(
        "exponential, positive",
        lambda rng, shape: rng.exponential(1.0, shape),
        float(np.exp(-np.euler_gamma)),
        POSITIVE,
        why="The logarithm of an exponential number is skewed to the other side, less than the number was.",
    ),
    Seeds("t with 3 degrees of freedom", lambda rng, shape: rng.standard_t(3, shape), 0.0, why=_TAILS),
    Seeds("beta(18, 2), share", _beta(18, 2), float(special.expit(special.digamma(18) - special.digamma(2))), SHARE, why=_LOGIT),
    Seeds("beta(2, 2), share", _beta(2, 2), 0.5, SHARE),
    Seeds("beta(18, 2), no bounds declared", _beta(18, 2), 0.9, why=_SKEW),
    Seeds("normal of sd 1 step, counted", _rounded(1.0), PLACE, step=1.0, why=_FINE),
    Seeds("normal of sd 0.3 steps, counted", _rounded(0.3), PLACE, step=1.0, why=_FINE),
    Seeds("normal of sd 0.3 steps, not declared", _rounded(0.3), PLACE, why=_HIDDEN),
    Seeds(f"share of {EXAMPLES} examples, counted", _binomial, _share_of_logit(), SHARE, step=1 / EXAMPLES),
    Seeds(f"share of {EXAMPLES} examples, no bounds", _binomial, ACCURACY, step=1 / EXAMPLES),
)
