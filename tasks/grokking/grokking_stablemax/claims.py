"""The claims, and the names that they and all else of this paper share."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from harness.claims import ablation, better, exact
from harness.estimates import Difference, Reading
from harness.task import Above, Below, Claim, Experiment, Region

ADAMW, PERP, ROLLED, STABLEMAX, SOFTMAX16, SOFTMAX64, FLOOR = (
    "adamw",
    "perp-grad",
    "rolled-perp-grad",
    "stablemax",
    "softmax-float16",
    "softmax-float64",
    "random-labels",
)
DTYPES = ("float16", "float32", "float64")
GENERALISED, FIT = 0.95, 0.999
"""Test accuracy from which on a network counts as generalising, and training accuracy from which on it has fitted."""
_LONG: Sequence[str] = ("gpu", "paper")
_C1 = "section 5 and figure 6: orthogonal gradients generalise at once, without weight decay and without a delay"
_C2 = "abstract, figure 4: StableMax generalises without regularisation where softmax does not"
_C3 = "section 3, figure 2: softmax collapse comes earlier with fewer bits, and generalisation stops with it"
_C4 = "section 4: after the training data are fitted the gradient aligns with the weights, in the last layer up to a cosine of 0.9"


def claims(train: Experiment, threshold: Experiment) -> list[Claim]:
    """All of them. Views: rates without decay in `main`, with it in `plane`, one rate for longer in `collapse`, `long` and `bits`."""
    known, steps = train["test_accuracy"].at(view="main"), train["steps"].at(view="main")
    decayed = Difference(known.of(PERP), train["test_accuracy"].at(view="plane").of(ADAMW))
    long, bits = (train["test_accuracy"].at(view=view) for view in ("long", "bits"))
    stands: Mapping[str, Any] = {"stands_on": ("fits", "floor")}
    late: Mapping[str, Any] = {"source": _C4, "group": "C4", "stands_on": ("fits",)}
    fitted, rise, cosine = (train[name].at(view="main", lr=0.01) for name in ("train_accuracy", "alignment_rise", "alignment"))
    return [
        *better("C1-accuracy", PERP, ADAMW, known, source=_C1, primary=True, group="C1", **stands),
        *better("C1-steps", PERP, ADAMW, steps, source=_C1, group="C1", **stands),
        *ablation("rolled", PERP, ROLLED, known, part="the direction of the weights", stands_on=("floor",)),
        Claim(
            id="C1-decay",
            statement="perp-grad without decay has a higher test accuracy than adamw with the best rate and decay",
            source="section 5 and figure 6, for a transformer; ours for this network",
            estimate=decayed,
            holds=Above(0.0),
            unit="share",
            null=0.0,
            kind="extension",
            stands_on=("floor",),
        ),
        *better("floor", PERP, FLOOR, known, source="control", kind="control", says="perp-grad knows more than random labels teach"),
        _level("fits", "adamw fits its training data", fitted, Above(0.99), source="control", kind="control", null=0.02),
        *_earlier(train),
        _level("C4-rise", "adamw's descent turns to its weights", rise, Above(0.0), null=0.0, **late),
        _level("C4-cosine", "the cosine of the two ends above 0.5", cosine, Above(0.5), published=0.9, null=0.0, **late),
        *better("C2-stablemax", STABLEMAX, ADAMW, long, source=_C2, scales=_LONG, primary=True),
        *better("C3-float64", SOFTMAX64, ADAMW, bits, source=_C3, scales=_LONG, group="C3-stops"),
        *better("C3-float32", ADAMW, SOFTMAX16, bits, source=_C3, scales=_LONG, group="C3-stops"),
        *(
            claim
            for name in DTYPES
            for claim in exact(
                f"threshold-{name}",
                threshold["gap_error"].at(dtype=name),
                tolerance=0.01,
                says=f"softmax collapses in {name} where two logits are log(2 / eps) apart, to 1 %",
                source="equation 2; the closed form is ours",
                kind="check",
            )
        ),
    ]


def _level(id: str, says: str, reading: Reading, holds: Region, **about: Any) -> Claim:
    """What adamw ends at."""
    return Claim(id=id, statement=says, estimate=reading.of(ADAMW), holds=holds, unit=reading.unit, bounds=reading.bounds, **about)


def _earlier(train: Experiment) -> list[Claim]:
    """Of one network: when the loss of half its training pairs has collapsed in each arithmetic."""
    return [
        Claim(
            id=f"C3-{few}-{many}",
            statement=f"half the training pairs collapse earlier in {few} than in {many}",
            source=_C3,
            estimate=Difference(*(train[f"steps_{name}"].at(view="collapse").of(SOFTMAX64) for name in (few, many))),
            holds=Below(0.0),
            unit="steps",
            null=0.0,
            group="C3-earlier",
            primary=few == "float16",
            stands_on=("fits",),
        )
        for few, many in pairwise(DTYPES)
    ]
