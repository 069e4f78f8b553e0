"""What the paper claims, each as a number and the region in which the claim holds."""

from __future__ import annotations

from harness.estimates import Difference, Of
from harness.task import Below, Claim, Within
from tasks.llm.mup_weight_decay_transfer.estimates import (
    closer_to_zero,
    decay_shift,
    gain_slope,
    kappa,
    lr_shift,
    ratio_slope,
    shape_distance,
    shape_noise,
)

PROPOSED, BASELINE, RIVAL, STANDARD = "sqrt-width", "constant", "linear-width", "standard-parametrisation"
SWEPT = ("laptop", "gpu", "paper")

_STEADY = "Measured under linear-width, where eta*lambda and so the approach to the steady state is the same at every width."


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
            note="Distance between the ends minus the distance between two redraws of one setting; under 5 % counts as the same shape.",
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
        "Exact by symmetry in the steady state (AdamW ignores the scale of gradients, the pair is homogeneous): checks the code.",
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
        note="All rates move together around eta_2 ∝ 1/d, eta_1 constant. Unscaled rates would be off by one octave.",
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
        scales=SWEPT,
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
