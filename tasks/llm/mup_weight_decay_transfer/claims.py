"""What the paper claims, each as a number and the region in which the claim holds, and the numbers behind claims and leaderboard.

Slopes are least squares of logarithms over the widths of the scale. `setting` is the experiment: `ffn` or `lm`.
"""

from __future__ import annotations

from typing import Any

from harness.estimates import Difference, Estimate, In, LogDistance, Magnitude, Of, OptimumShift, Slope, Transformed
from harness.task import Below, Claim, Region, Within

SHAPE = ("shape_q10", "shape_q50", "shape_q90", "shape_top")


def over_widths(setting: str, metric: str) -> In:
    """d log metric / d log width under a rule."""
    return In(setting, Slope(metric, "width"), "rules")


def gain_slope(setting: str) -> In:
    """d log gain / d log width."""
    return over_widths(setting, "gain")


def kappa(setting: str, name: str = "") -> In:
    """Exponent of the width in sigma_top = c sqrt(eta/lambda) d^kappa: of one class, or the mean over classes."""
    return over_widths(setting, f"sigma_norm_{name}" if name else "sigma_norm")


def implied_exponent(setting: str) -> Estimate:
    """The exponent of lambda_2 ∝ d^p that keeps sigma_top fixed when eta_2 ∝ 1/d: p = 2 kappa - 1."""
    return Transformed(lambda value: 2.0 * value - 1.0, kappa(setting))


def ratio_slope(setting: str, metric: str) -> Estimate:
    """d log metric / d log(eta/lambda) at a fixed eta*lambda: `balance` c moves eta/lambda by c^2."""
    return Transformed(lambda value: value / 2.0, In(setting, Slope(metric, "balance", {"replicate": 0}), "spectra"))


def shape_distance(setting: str) -> In:
    """Between the normalised spectra at the two ends of eta/lambda, 16 times apart."""
    return In(setting, LogDistance(SHAPE, "balance", {"replicate": 0}), "spectra")


def shape_noise(setting: str) -> In:
    """The same between two redraws of all random numbers at one eta/lambda: what no rule can beat."""
    return In(setting, LogDistance(SHAPE, "replicate", {"balance": 1.0}), "spectra")


def lr_shift() -> In:
    """Octaves that the best learning-rate multiplier moves per doubling of the width."""
    return In("lm", OptimumShift("val_loss", "lr_multiplier", "width", {"decay_multiplier": 1.0}), "sweep")


def decay_shift() -> In:
    """Octaves that the best decay multiplier moves per doubling of the width."""
    return In("lm", OptimumShift("val_loss", "decay_multiplier", "width", {"lr_multiplier": 1.0}), "sweep")


PROPOSED, BASELINE, RIVAL, STANDARD = "sqrt-width", "constant", "linear-width", "standard-parametrisation"


def _claim(id: str, says: str, estimate: Estimate, holds: Region, **about: Any) -> Claim:
    return Claim(id=id, statement=says, estimate=estimate, holds=holds, **{"source": "abstract", **about})


def _nearer_to_zero(id: str, says: str, estimate: Estimate, than: str, **about: Any) -> Claim:
    """|estimate| of the proposed rule minus that of another, in the same seed."""
    return _claim(id, says, Difference(*(Magnitude(Of(name, estimate)) for name in (PROPOSED, than))), Below(0.0), **about)


def _spectrum_claims(setting: str, where: str, note: str) -> list[Claim]:
    return [
        _claim(
            f"C1-slope-{setting}",
            f"The top singular value grows as (eta/lambda)^0.5 at a fixed width and a fixed eta*lambda ({where})",
            Of(PROPOSED, ratio_slope(setting, "sigma_top")),
            Within(0.45, 0.55),
            published=0.5,
            note=note,
        ),
        _claim(
            f"C1-shape-{setting}",
            f"The shape of the spectrum does not move when eta/lambda moves by a factor of 16 ({where})",
            Of(PROPOSED, Difference(shape_distance(setting), shape_noise(setting))),
            Below(0.05),
            published=0.0,
            unit="relative distance",
            note="Distance between the ends minus the distance between two redraws of one setting; under 5 % counts as the same shape.",
        ),
        _claim(
            f"C2-kappa-{setting}",
            f"sigma_top = c sqrt(eta/lambda) d^kappa with kappa nearer to 0.75 than to 0.5 or 1 ({where})",
            Of(RIVAL, kappa(setting)),
            Within(0.625, 0.875),
            published=0.75,
            note="Measured under linear-width, where eta*lambda and so the approach to the steady state is the same at every width. "
            "0.5 is what independent noise in the updates gives, 1 what aligned updates give.",
        ),
    ]


def _gain_claims(setting: str, where: str, note: str) -> list[Claim]:
    gain, flatter = gain_slope(setting), "lambda_2 ∝ sqrt(d) keeps the sublayer gain flatter over the width than"
    source = "abstract, against the rival rule of arXiv 2510.19093"
    return [
        _nearer_to_zero(f"C3-{setting}", f"{flatter} a constant lambda_2 ({where})", gain, BASELINE, unit="slope", note=note),
        _nearer_to_zero(f"C3-{setting}-vs-linear", f"{flatter} lambda_2 ∝ d ({where})", gain, RIVAL, unit="slope", source=source),
        _claim(
            f"C3-{setting}-invariant",
            f"The sublayer gain does not depend on the width under lambda_2 ∝ sqrt(d) ({where})",
            Of(PROPOSED, gain),
            Within(-0.125, 0.125),
            published=0.0,
            unit="slope",
            note="The region is half of what one rule differs from the next: 0.25 in the slope of one matrix.",
        ),
    ]


_PAIR, _DECODER = "synthetic feed-forward pair", "language model"
_SWEPT: dict[str, Any] = {"unit": "octaves per doubling", "scales": ("laptop", "gpu", "paper")}

CLAIMS = (
    *_spectrum_claims(
        "ffn",
        _PAIR,
        "Exact by symmetry in the steady state (AdamW ignores the scale of gradients, the pair is homogeneous): checks the code.",
    ),
    *_spectrum_claims("lm", _DECODER, "Vector-like parameters and the head keep their own rates."),
    *_gain_claims("ffn", _PAIR, ""),
    *_gain_claims("lm", _DECODER, "With lambda_2 constant, eta*lambda falls as 1/d; the statistic `horizon` says how far each run came."),
    _claim(
        "C4-lr",
        "The best learning rate stays where it is when the width doubles",
        Of(PROPOSED, lr_shift()),
        Within(-0.25, 0.25),
        published=0.0,
        note="All rates move together around eta_2 ∝ 1/d, eta_1 constant. Unscaled rates would be off by one octave.",
        **_SWEPT,
    ),
    *(
        _nearer_to_zero(f"C4-lr-vs-{name}", f"The best learning rate moves less over the width than {where}", lr_shift(), than, **_SWEPT)
        for name, where, than in (
            ("standard", "in the standard parametrisation", STANDARD),
            ("constant", "under a constant lambda_2", BASELINE),
        )
    ),
    _claim(
        "C4-decay",
        "The best decay grows as sqrt(d): around lambda_2 ∝ sqrt(d) it stays where it is when the width doubles",
        Of(PROPOSED, decay_shift()),
        Within(-0.25, 0.25),
        published=0.0,
        note="A constant lambda_2 is right at -0.5 and lambda_2 ∝ d at +0.5: the region is where sqrt(d) is the nearest of the three.",
        **_SWEPT,
    ),
)
