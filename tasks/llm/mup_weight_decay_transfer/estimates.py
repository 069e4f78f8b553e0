"""The numbers that claims and leaderboard columns are made of: one a seed.

Slopes are least squares of logarithms over the widths of the scale.
"""

from __future__ import annotations

from typing import Any

from harness.estimates import Difference, Estimate, LogDistance, Magnitude, Of, OptimumShift, Slope, Transformed

SHAPE = ("shape_q10", "shape_q50", "shape_q90", "shape_top")


def rules(setting: str) -> dict[str, Any]:
    """The trials that compare the rules across widths."""
    return {"setting": setting, "part": "rules"}


def gain_slope(setting: str) -> Slope:
    """d log gain / d log width."""
    return Slope("gain", "width", rules(setting))


def kappa(setting: str, name: str = "") -> Slope:
    """Exponent of the width in sigma_top = c sqrt(eta/lambda) d^kappa: of one class, or the mean over classes."""
    return Slope(f"sigma_norm_{name}" if name else "sigma_norm", "width", rules(setting))


def implied_exponent(setting: str) -> Estimate:
    """The exponent of lambda_2 ∝ d^p that keeps sigma_top fixed when eta_2 ∝ 1/d: p = 2 kappa - 1."""
    return Transformed(lambda value: 2.0 * value - 1.0, kappa(setting))


def ratio_slope(setting: str, metric: str) -> Estimate:
    """d log metric / d log(eta/lambda) at a fixed eta*lambda: `balance` c moves eta/lambda by c^2."""
    return Transformed(lambda value: value / 2.0, Slope(metric, "balance", {"setting": setting, "part": "spectra", "replicate": 0}))


def shape_distance(setting: str) -> LogDistance:
    """Between the normalised spectra at the two ends of eta/lambda, 16 times apart."""
    return LogDistance(SHAPE, "balance", {"setting": setting, "part": "spectra", "replicate": 0})


def shape_noise(setting: str) -> LogDistance:
    """The same between two redraws of all random numbers at one eta/lambda: what no rule can beat."""
    return LogDistance(SHAPE, "replicate", {"setting": setting, "part": "spectra", "balance": 1.0})


def lr_shift() -> OptimumShift:
    """Octaves that the best learning-rate multiplier moves per doubling of the width."""
    return OptimumShift("val_loss", "lr_multiplier", "width", {"part": "sweep", "decay_multiplier": 1.0})


def decay_shift() -> OptimumShift:
    """Octaves that the best decay multiplier moves per doubling of the width."""
    return OptimumShift("val_loss", "decay_multiplier", "width", {"part": "sweep", "lr_multiplier": 1.0})


def closer_to_zero(estimate: Estimate, method: str, other: str) -> Difference:
    """|estimate| of `method` minus |estimate| of `other`, in the same seed."""
    return Difference(Magnitude(Of(method, estimate)), Magnitude(Of(other, estimate)))
