"""What the paper and its critics claim, and the numbers that claims and the leaderboard are made of: one a seed."""

from __future__ import annotations

from statistics import fmean
from typing import Any

from harness.bounds import POSITIVE
from harness.claims import All, better
from harness.estimates import Combined, Curve, CurveAt, Difference, Estimate, In, Mean, Of, paired, ratio
from harness.task import Above, Below, Claim, Experiment, Within
from tasks.pruning.dynamic_pruning_ftwt.methods import CRITERIA, SFP, STATIC
from tasks.pruning.dynamic_pruning_ftwt.published import RIVALS, published_claims
from tasks.pruning.params import DENSE

CURVES = "curves"
"""The view of the network that a scale prunes at several reductions by every method."""
TARGETS = (0.4, 0.6)
"""Reductions that every dynamic method aims at, at every scale."""

CODE, CAPTION, PLAIN, CONSTANT, FLOOR = "ftwt-code", "ftwt-paper", "ftwt-no-softmax", "ftwt-constant", "random"


def on_curves(estimate: Estimate) -> In:
    """`estimate` on the network of the curves; other networks have published thresholds only."""
    return In("prune", estimate, CURVES)


def drop_at(reduction: float) -> CurveAt:
    """Accuracy drop of one method at a fixed reduction (percent), in points: along its own curve, which begins at the dense network."""
    return Curve("flops_reduction", "accuracy_drop", ends=((0.0, 0.0),)).at(reduction)


def _reached(method: str, metric: str, target: float) -> Of:
    return Of(method, Mean(metric, {"reduction": target}))


_CURVE = Curve("flops_reduction", "test_accuracy", ends=((0.0, Of(DENSE, Mean("test_accuracy"))),))
"""Test accuracy of a method over the reduction that it reached, from the dense network on."""


def gain(method: str, other: str, target: float) -> Difference:
    """Test accuracy of a method at the reduction it reached, minus that of the other's accuracy-FLOPs curve there, in points."""
    return Difference(_reached(method, "test_accuracy", target), _CURVE.of(other, _reached(method, "flops_reduction", target)))


def gains(method: str, other: str) -> In:
    """`gain`, mean over the targets."""
    return on_curves(Combined(fmean, tuple(gain(method, other, target) for target in TARGETS)))


def over_random(method: str) -> In:
    """Accuracy of a method's curve minus that of random filters, where FTWT as released is compared with it; mean over the targets."""
    places = [_reached(CODE, "flops_reduction", target) for target in TARGETS]
    return on_curves(Combined(fmean, tuple(Difference(_CURVE.of(method, at), _CURVE.of(FLOOR, at)) for at in places)))


def mispredictions(method: str) -> All:
    """Reached minus predicted FLOPs reduction at each target, in points."""
    pairs = [[_reached(method, metric, target) for metric in ("flops_reduction", "predicted_reduction")] for target in TARGETS]
    return All(tuple(on_curves(Difference(*pair)) for pair in pairs))


_MATCHED = (
    "Test accuracy at the FLOPs reduction that FTWT reached, predictors counted, against the rival's curve interpolated there; mean over "
    "the targets of 40 and 60 %. Every rival has the same training after the dense network."
)
_SEES = "control: a dynamic method has to see its input"
_FIGURE = "abstract; results figure of the repository"


_NOT_COMPARED = ("bn-scale", "group-norm")
"""Static criteria that the paper's tables do not hold."""


def _matched(id: str, method: str, other: str, *, source: str, says: str = "", note: str = "", **about: Any) -> Claim:
    """A method is more accurate than another, at equal FLOPs."""
    return Claim(
        id=id,
        statement=f"{says or f'{method} is more accurate than {other}'}, at equal FLOPs",
        source=source,
        estimate=gains(method, other),
        holds=Above(0.0),
        unit="percentage points",
        note=f"{_MATCHED} {note}".rstrip(),
        null=0.0,
        **about,
    )


def _static(rival: str) -> Claim:
    about: dict[str, Any] = {"group": "C1", "source": "abstract", "stands_on": (f"control-floor-{rival}",)}
    if rival == FLOOR:
        about = {"source": "control of C1: the floor", "kind": "control"}
    elif rival in _NOT_COMPARED:
        about |= {"source": "ours: no table of the paper has it", "kind": "extension", "group": ""}
    elif rival in RIVALS:
        found = RIVALS[rival]
        note = f"Published on ImageNet, {found.text} The gain is that of FTWT's published points, joined by lines, at the rival's FLOPs."
        about |= {"source": _FIGURE, "published": found.gain, "note": note}
    return _matched(f"C1-{rival}", CODE, rival, primary=rival in CRITERIA[:3] or rival == SFP, **about)


def _floor(rival: str) -> Claim:
    return Claim(
        id=f"control-floor-{rival}",
        statement=f"{rival} is more accurate than random filters, at the FLOPs where FTWT is compared with it",
        source=f"control of C1-{rival}: who loses to random filters is no rival",
        estimate=over_random(rival),
        holds=Above(0.0),
        unit="percentage points",
        kind="control",
        null=0.0,
        note="Both curves at the reduction that ftwt-code reached; mean over the targets of 40 and 60 %.",
    )


def claims(prune: Experiment) -> list[Claim]:
    """All claims, on what the experiment measures."""
    control: dict[str, Any] = {"source": "control of C1", "kind": "control", "stands_on": ("control-floor-l1",)}
    bound = "An oracle has to compute every filter first: it bounds any predictor."
    return [
        *map(_static, STATIC),
        *(_floor(rival) for rival in STATIC if rival != FLOOR),
        _matched("C1-paper-vs-l1", CAPTION, "l1", **control),
        _matched("C1-no-softmax-vs-l1", PLAIN, "l1", **control),
        _matched("C1-oracle-vs-l1", "ftwt-oracle", "l1", note=bound, **control),
        Claim(
            id="C3",
            statement="The FLOPs reduction is known before training: the dense network's ground truth misses it by under 5 points",
            source="abstract (no number there; the five points are ours)",
            estimate=mispredictions(CODE),
            holds=Within(-5.0, 5.0),
            unit="percentage points",
            primary=True,
            aim="equivalent",
            margin_source="ours: five points, a quarter of the distance between the two targets",
            note="Reached minus predicted, at each of the two targets. Predicted on training images, reached on test images.",
        ),
        _matched(
            "C4",
            CODE,
            "ftwt-uniform",
            says="Keeping a share of the heat-map mass beats keeping the same number of filters everywhere",
            source="control: inferred from the method; no table at hand",
            kind="control",
        ),
        _matched(
            "control-constant",
            CODE,
            CONSTANT,
            says="FTWT is more accurate with its predictor than with a bias alone in the predictor's place",
            source=_SEES,
            note="The constant predictor learns one mask for all inputs from the same ground truth: static pruning by FTWT's rule.",
            kind="control",
        ),
        *_masks(prune),
        *_latency(prune),
        *published_claims(prune),
    ]


def _masks(prune: Experiment) -> list[Claim]:
    agreement, constant = (prune[name].at(CURVES) for name in ("mask_accuracy", "constant_mask_accuracy"))
    return [
        *(
            Claim(
                id=f"control-masks-{method.removeprefix('ftwt-')}",
                statement=f"The predictor of {method} meets the ground truth better than the best mask that is the same for every input",
                source=_SEES,
                estimate=Difference(agreement.of(method), constant.of(method)),
                holds=Above(0.0),
                unit="percentage points",
                kind="control",
                null=0.0,
                note="The constant mask is each filter's majority on training images; both are measured on test images.",
            )
            for method in (CODE, CAPTION, PLAIN)
        ),
        Claim(
            id="control-spread",
            statement="The FLOPs of FTWT as released differ between inputs, by a standard deviation of over one point",
            source=_SEES,
            estimate=paired(CODE, CONSTANT, prune["flops_std"].at(CURVES)),
            holds=Above(1.0),
            unit="percentage points",
            kind="control",
            null=0.0,
            note="Less that of one mask for all inputs, which is 0. Anything above 0 is dynamic in name; that it be over a point is ours.",
        ),
        *better(
            "control-softmax",
            PLAIN,
            CAPTION,
            agreement,
            says="Without its softmax the maximum-pooling predictor meets the ground truth better",
            source="control: a softmax over C pooled channels hands on inputs of the order of 1/C",
            kind="control",
        ),
    ]


def _latency(prune: Experiment) -> list[Claim]:
    control: dict[str, Any] = {"holds": Below(1.0), "unit": "ratio", "kind": "control", "null": 1.0, "bounds": POSITIVE}
    took = prune["latency_ratio"].at(CURVES)
    return [
        Claim(
            id="control-latency",
            statement="A batch takes less time through the gated network than through the dense one",
            source="control: FLOPs are counted as if switched filters were skipped (the poster lists latency as open)",
            estimate=ratio(CODE, DENSE, took),
            note="Every filter is still computed, as in the authors' code, and predictors come on top. Measured in turns within a trial.",
            **control,
        ),
        Claim(
            id="control-latency-static",
            statement="A batch takes less time through the network that L1 pruning made smaller than through the dense one",
            source="control of control-latency",
            estimate=ratio("l1", DENSE, took),
            note="The filters are physically gone. Mean over the reductions of its curve.",
            **control,
        ),
    ]
