"""What the paper claims, as estimates over records, and the leaderboard's columns.

Every estimate is one number a seed. Slopes are least squares of logarithms over the widths of the scale.
"""

from __future__ import annotations

from typing import Any

from harness.estimates import Difference, Estimate, LogDistance, Magnitude, Mean, Of, OptimumShift, Slope, Transformed
from harness.task import Below, Claim, Statistic, Within

PROPOSED, BASELINE, RIVAL, STANDARD = "sqrt-width", "constant", "linear-width", "standard-parametrisation"
LM_CLASSES = ("qkv", "o", "gate", "up", "down")
FFN_CLASSES = ("in", "out")
SHAPE = ("shape_q10", "shape_q50", "shape_q90", "shape_top")
SWEPT = ("laptop", "gpu", "paper")

_STEADY = "Measured under linear-width, where eta*lambda and so the approach to the steady state is the same at every width."


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


def _spectrum_claims(setting: str, where: str, note: str) -> list[Claim]:
    return [
        Claim(
            id=f"C1-slope-{setting}",
            statement=f"The top singular value grows as (eta/lambda)^0.5 at a fixed width and a fixed eta*lambda ({where})",
            source="abstract",
            estimate=Of(PROPOSED, ratio_slope(setting, "sigma_top")),
            holds=Within(0.45, 0.55),
            published=0.5,
            note=note,
        ),
        Claim(
            id=f"C1-shape-{setting}",
            statement=f"The shape of the spectrum does not move when eta/lambda moves by a factor of 16 ({where})",
            source="abstract",
            estimate=Difference(Of(PROPOSED, shape_distance(setting)), Of(PROPOSED, shape_noise(setting))),
            holds=Below(0.05),
            published=0.0,
            unit="relative distance",
            note="Distance between the ends minus the distance between two redraws; under 5 % counts as the same shape. " + note,
        ),
        Claim(
            id=f"C2-kappa-{setting}",
            statement=f"sigma_top = c sqrt(eta/lambda) d^kappa with kappa nearer to 0.75 than to 0.5 or 1 ({where})",
            source="abstract",
            estimate=Of(RIVAL, kappa(setting)),
            holds=Within(0.625, 0.875),
            published=0.75,
            note=_STEADY + " 0.5 is what independent noise in the updates gives, 1 what aligned updates give.",
        ),
    ]


def _gain_claims(setting: str, where: str, note: str) -> list[Claim]:
    return [
        Claim(
            id=f"C3-{setting}",
            statement=f"lambda_2 ∝ sqrt(d) keeps the sublayer gain flatter over the width than a constant lambda_2 ({where})",
            source="abstract",
            estimate=closer_to_zero(gain_slope(setting), PROPOSED, BASELINE),
            holds=Below(0.0),
            unit="slope",
            note=note,
        ),
        Claim(
            id=f"C3-{setting}-vs-linear",
            statement=f"lambda_2 ∝ sqrt(d) keeps the sublayer gain flatter over the width than lambda_2 ∝ d ({where})",
            source="abstract, against the rival rule of arXiv 2510.19093",
            estimate=closer_to_zero(gain_slope(setting), PROPOSED, RIVAL),
            holds=Below(0.0),
            unit="slope",
        ),
        Claim(
            id=f"C3-{setting}-invariant",
            statement=f"The sublayer gain does not depend on the width under lambda_2 ∝ sqrt(d) ({where})",
            source="abstract",
            estimate=Of(PROPOSED, gain_slope(setting)),
            holds=Within(-0.125, 0.125),
            published=0.0,
            unit="slope",
            note="The region is half of what one rule differs from the next: 0.25 in the slope of one matrix.",
        ),
    ]


CLAIMS = (
    *_spectrum_claims(
        "ffn",
        "synthetic feed-forward pair",
        "Exact by symmetry once the start is forgotten: AdamW ignores the gradients' scale and the network is homogeneous, so this checks the code.",
    ),
    *_spectrum_claims("lm", "language model", "Vector-like parameters and the head keep their own rates."),
    *_gain_claims("ffn", "synthetic feed-forward pair", ""),
    *_gain_claims(
        "lm", "language model", "With lambda_2 constant, eta*lambda falls as 1/d; the statistic `horizon` says how far each run came."
    ),
    Claim(
        id="C4-lr",
        statement="The best learning rate stays where it is when the width doubles",
        source="abstract",
        estimate=Of(PROPOSED, lr_shift()),
        holds=Within(-0.25, 0.25),
        published=0.0,
        unit="octaves per doubling",
        scales=SWEPT,
        note="All rates move together around eta_2 ∝ 1/d, eta_1 constant. The region is a quarter of the octave that an unscaled rate would be off.",
    ),
    Claim(
        id="C4-lr-vs-standard",
        statement="The best learning rate moves less over the width than in the standard parametrisation",
        source="abstract",
        estimate=closer_to_zero(lr_shift(), PROPOSED, STANDARD),
        holds=Below(0.0),
        unit="octaves per doubling",
        scales=SWEPT,
    ),
    Claim(
        id="C4-lr-vs-constant",
        statement="The best learning rate moves less over the width than under a constant lambda_2",
        source="abstract",
        estimate=closer_to_zero(lr_shift(), PROPOSED, BASELINE),
        holds=Below(0.0),
        unit="octaves per doubling",
        scales=("gpu", "paper"),
    ),
    Claim(
        id="C4-decay",
        statement="The best decay grows as sqrt(d): around lambda_2 ∝ sqrt(d) it stays where it is when the width doubles",
        source="abstract",
        estimate=Of(PROPOSED, decay_shift()),
        holds=Within(-0.25, 0.25),
        published=0.0,
        unit="octaves per doubling",
        scales=SWEPT,
        note="A constant lambda_2 is right at -0.5 and lambda_2 ∝ d at +0.5: the region is where sqrt(d) is the nearest of the three.",
    ),
)


def _slope_statistics() -> list[Statistic]:
    columns = []
    for setting, classes in (("ffn", FFN_CLASSES), ("lm", LM_CLASSES)):
        columns.append(Statistic(f"gain_slope_{setting}", gain_slope(setting), better="zero", description="d log gain / d log width"))
        columns.append(
            Statistic(f"sigma_slope_{setting}", Slope("sigma_top", "width", rules(setting)), better="zero", description="mean over classes")
        )
        columns += [
            Statistic(f"sigma_slope_{setting}_{name}", Slope(f"sigma_top_{name}", "width", rules(setting)), better="zero")
            for name in classes
        ]
        columns.append(Statistic(f"kappa_{setting}", kappa(setting), description="width exponent of sigma_top / sqrt(eta/lambda)"))
        columns += [Statistic(f"kappa_{setting}_{name}", kappa(setting, name)) for name in classes]
        columns.append(
            Statistic(f"implied_exponent_{setting}", implied_exponent(setting), description="p of lambda_2 ∝ d^p that would fix sigma_top")
        )
        columns.append(
            Statistic(f"kappa_entry_{setting}", Slope("entry_norm", "width", rules(setting)), description="0 in the steady state")
        )
        columns.append(
            Statistic(f"horizon_{setting}", Mean("horizon", rules(setting)), description="mean eta*lambda*T: steady above about 3")
        )
        columns.append(Statistic(f"ratio_slope_entry_{setting}", ratio_slope(setting, "entry_rms"), description="0.5 in the steady state"))
        columns.append(Statistic(f"shape_distance_{setting}", shape_distance(setting), better="zero"))
        columns.append(Statistic(f"shape_noise_{setting}", shape_noise(setting), description="floor of shape_distance"))
    return columns


STATISTICS = (
    Statistic("val_loss_rules", Mean("val_loss", rules("lm")), unit="nats/token", better="lower", description="mean over widths"),
    *_slope_statistics(),
    Statistic("gain_slope_lm_attention", Slope("gain_attention", "width", rules("lm")), better="zero"),
    Statistic("gain_slope_lm_mlp", Slope("gain_mlp", "width", rules("lm")), better="zero"),
    Statistic("lr_shift", lr_shift(), unit="octaves per doubling", better="zero"),
    Statistic("decay_shift", decay_shift(), unit="octaves per doubling", better="zero"),
)
