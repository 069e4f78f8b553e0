"""What is known of parameters before the rows are seen: a Gaussian on an exponent, or on the log of a positive parameter.

A prior is worth an observation of the parameter with that standard error. In the units of the objective its weight is the variance of
the errors over that of the prior, and with Huber's loss E psi^2 / E psi' stands for the former (Huber, 1981); it is taken
from the fit without the prior.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.errors import UsageError, unknown
from harness.laws.design import Design, Quantity
from harness.laws.law import Law
from harness.laws.solver import Array, Prior, predict

Gaussian = tuple[float, float]
"""Mean and standard deviation of a parameter in raw units."""


@dataclass(frozen=True)
class Known:
    """A prior on one coordinate: `slope @ theta + constant` is `mean` give or take `sd`."""

    label: str
    quantity: Quantity
    mean: float
    sd: float


def check(law: Law, priors: Mapping[str, Gaussian]) -> None:
    """UsageError for a prior that is not on a free parameter, or has no spread."""
    choices = [name for name in law.free if name not in law.efficiencies]
    for name, (mean, sd) in priors.items():
        if name not in choices:
            raise unknown(f"free parameter of law {law.name}", name, choices)
        if not (sd > 0 and math.isfinite(mean) and math.isfinite(sd)):
            raise UsageError(f"a prior on {name} needs a positive spread: {name}=0.34+-0.05; --fix {name}={mean:g} has none")
        if name in law.positive and not mean > 0:
            raise UsageError(f"a prior on {name} needs a positive value, not {mean:g}")


def known(design: Design, priors: Mapping[str, Gaussian]) -> list[Known]:
    """The priors on the parameters of every family."""
    found = []
    for one in design.quantities:
        if isinstance(one, Quantity) and one.name in priors:
            mean, sd = priors[one.name]
            fitted = (math.log(mean), sd / mean) if one.logarithmic else (mean, sd)
            found.append(Known(one.label, one, *fitted))
    return found


def error_scale(design: Design, delta: float, theta: Array) -> tuple[float, float]:
    """Standard deviation of the errors, and their variance in units of the objective, from the residuals at `theta` (p,)."""
    residual = design.log_y - predict(design.terms, theta[None])[0][0]
    count = len(residual)
    left = count / max(count - len(theta), 1)
    inside = max(float(np.mean(np.abs(residual) <= delta)), 1 / count)
    scale = left * float(np.mean(np.clip(residual, -delta, delta) ** 2)) / inside
    return math.sqrt(left * float(np.mean(residual**2))), scale


def penalty(scale: float, priors: list[Known]) -> Prior:
    """The priors in units of the objective, in which an error has the variance `scale`."""
    slopes = np.array([one.quantity.numerator.slope for one in priors])
    targets = np.array([one.mean - one.quantity.numerator.constant for one in priors])
    return Prior(slopes, targets, scale / np.array([one.sd for one in priors]) ** 2, scale)


def notes(priors: list[Known], theta: Array) -> list[str]:
    """What each prior says beside what the rows alone say, at the optimum `theta` without it."""
    found = []
    for one in priors:
        alone, mean = (float(one.quantity.reported(np.array([value]))[0]) for value in (one.quantity.fitted(theta[None])[0], one.mean))
        spread = one.sd * mean if one.quantity.logarithmic else one.sd
        found.append(f"prior on {one.label}: {mean:.4g} ± {spread:.2g}; the rows alone say {alone:.4g}")
    return found
