"""What the paper claims, each as a number and the region in which the claim holds, and the numbers behind claims and leaderboard.

Slopes are least squares of logarithms over the widths of the scale. `setting` is the experiment: `ffn` or `lm`.
"""

from __future__ import annotations

import math
from typing import Any

from harness.bounds import POSITIVE
from harness.estimates import Combined, Difference, Estimate, In, LogDistance, Magnitude, Of, OptimumShift, Slope, Transformed
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


def shape_share(setting: str) -> Estimate:
    """`shape_distance` over the log distance that the top singular value moves by at the same two ends: 1 where noise alone moves both."""
    norm = In(setting, LogDistance(("sigma_top",), "balance", {"replicate": 0}), "spectra")
    return Combined(lambda parts: parts[0] / parts[1] if parts[1] > 0 else math.nan, (shape_distance(setting), norm))


def lr_shift() -> In:
    """Octaves that the best learning-rate multiplier moves per doubling of the width."""
    return In("lm", OptimumShift("val_loss", "lr_multiplier", "width", {"decay_multiplier": 1.0}), "sweep")


def decay_shift() -> In:
    """Octaves that the best decay multiplier moves per doubling of the width."""
    return In("lm", OptimumShift("val_loss", "decay_multiplier", "width", {"lr_multiplier": 1.0}), "sweep")


PROPOSED, BASELINE, RIVAL, STANDARD = "sqrt-width", "constant", "linear-width", "standard-parametrisation"
_OWN: dict[str, Any] = {"kind": "control", "source": "control: the rule must gain on what it replaces"}
_NEAREST = "ours: the exponents that other theories give are as far on either side"


def _claim(id: str, says: str, estimate: Estimate, holds: Region, **about: Any) -> Claim:
    return Claim(id=id, statement=says, estimate=estimate, holds=holds, **{"source": "abstract", **about})


def _nearer_to_zero(id: str, says: str, estimate: Estimate, than: str, **about: Any) -> Claim:
    """|estimate| of the proposed rule minus that of another, in the same seed."""
    difference = Difference(*(Magnitude(Of(name, estimate)) for name in (PROPOSED, than)))
    return _claim(id, says, difference, Below(0.0), null=0.0, **about)


def _spectrum_claims(setting: str, where: str, note: str, **about: Any) -> list[Claim]:
    return [
        _claim(
            f"C1-slope-{setting}",
            f"The top singular value grows as (eta/lambda)^0.5 at a fixed width and a fixed eta*lambda ({where})",
            Of(PROPOSED, ratio_slope(setting, "sigma_top")),
            Within(0.45, 0.55),
            published=0.5,
            null=0.0,
            unit="exponent",
            aim="equivalent",
            margin_source="ours: a tenth of the exponent",
            note=note,
            **about,
        ),
        _claim(
            f"C1-shape-{setting}",
            f"The shape of the spectrum moves by less than a tenth of what its top does when eta/lambda moves by a factor of 16 ({where})",
            Of(PROPOSED, shape_share(setting)),
            Below(0.1),
            null=1.0,
            bounds=POSITIVE,
            unit="ratio of log distances",
            aim="equivalent",
            margin_source="ours: a tenth of the distance of the norms",
            note="Where neither moves, noise has them as far apart: a ratio near 1. `shape_noise` is the distance between two redraws.",
            **about,
        ),
    ]


def _kappa_claim(setting: str, where: str, **about: Any) -> Claim:
    return _claim(
        f"C2-kappa-{setting}",
        f"sigma_top = c sqrt(eta/lambda) d^kappa with kappa nearer to 0.75 than to 0.5 or 1 ({where})",
        Of(RIVAL, kappa(setting)),
        Within(0.625, 0.875),
        published=0.75,
        unit="exponent",
        aim="equivalent",
        margin_source=_NEAREST,
        group="C2-kappa",
        note="Measured under linear-width, where eta*lambda and so the approach to the steady state is the same at every width. "
        "0.5 is what independent noise in the updates gives, 1 what aligned updates give.",
        **about,
    )


def _gain_claims(setting: str, where: str, **about: Any) -> list[Claim]:
    gain, flatter = gain_slope(setting), "lambda_2 ∝ sqrt(d) keeps the sublayer gain flatter over the width than"
    rival: dict[str, Any] = {"source": "control: the rival rule of arXiv 2510.19093", "kind": "control", "unit": "slope"}
    return [
        _nearer_to_zero(f"C3-{setting}", f"{flatter} a constant lambda_2 ({where})", gain, BASELINE, unit="slope", group="C3", **about),
        _nearer_to_zero(f"C3-{setting}-vs-linear", f"{flatter} lambda_2 ∝ d ({where})", gain, RIVAL, **rival),
        _claim(
            f"C3-{setting}-invariant",
            f"The sublayer gain does not depend on the width under lambda_2 ∝ sqrt(d) ({where})",
            Of(PROPOSED, gain),
            Within(-0.125, 0.125),
            published=0.0,
            null=0.0,
            unit="slope",
            aim="equivalent",
            margin_source="ours: half of what one rule differs from the next, 0.25 in the slope of one matrix",
            group="C3-invariant",
            stands_on=(f"C3-{setting}",),
        ),
    ]


_PAIR, _DECODER = "synthetic feed-forward pair", "language model"
_SWEPT: dict[str, Any] = {"unit": "octaves per doubling", "scales": ("laptop", "gpu", "paper")}
_FIXED: dict[str, Any] = {"published": 0.0, "null": 0.0, "aim": "equivalent", "primary": True}

CLAIMS = (
    *_spectrum_claims(
        "ffn",
        _PAIR,
        "Exact by symmetry in the steady state (AdamW ignores the scale of gradients, the pair is homogeneous): checks the code.",
        kind="check",
    ),
    _kappa_claim("ffn", _PAIR),
    *_spectrum_claims("lm", _DECODER, "Vector-like parameters and the head keep their own rates.", primary=True),
    _kappa_claim("lm", _DECODER, primary=True),
    *_gain_claims("ffn", _PAIR),
    *_gain_claims(
        "lm",
        _DECODER,
        primary=True,
        note="With lambda_2 constant, eta*lambda falls as 1/d; the statistic `horizon` says how far each run came.",
    ),
    _claim(
        "C4-lr",
        "The best learning rate stays where it is when the width doubles",
        Of(PROPOSED, lr_shift()),
        Within(-0.25, 0.25),
        margin_source="ours: a quarter of the octave that unscaled rates would be off by",
        stands_on=("C4-lr-vs-standard",),
        note="All rates move together around eta_2 ∝ 1/d, eta_1 constant.",
        **_FIXED,
        **_SWEPT,
    ),
    *(
        _nearer_to_zero(
            f"C4-lr-vs-{name}", f"The best learning rate moves less over the width than {where}", lr_shift(), than, **_OWN, **_SWEPT
        )
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
        margin_source="ours: a constant lambda_2 is right at -0.5 and lambda_2 ∝ d at +0.5; within it sqrt(d) is the nearest",
        **_FIXED,
        **_SWEPT,
    ),
)
