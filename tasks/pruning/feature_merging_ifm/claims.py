"""What the paper and its critics claim, each as a number and the region in which the claim holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.estimates import Mean, Of
from harness.task import SCALES, Above, Below, Claim
from tasks.pruning.feature_merging_ifm.estimates import LossAt, MiddleOverEnds, complexity_accuracy, gap, width_exponent

PUBLISHED, FOLDED = "ifm", "ifm-folded"
_RIVALS = {
    "random": "cutting channels at random",
    "l2": "cutting those with the smallest incoming weights",
    "l2-in-out": "cutting those with the smallest product of incoming and outgoing norms",
    "fpgm": "cutting those nearest to the geometric median",
    "group-norm": "cutting by DepGraph's group norm",
    "kmeans": "k-means clusters of the same features",
    "kmeans-repair": "k-means clusters with their variance restored",
}
_AT_EQUAL_UNITS = "Mean over the shares of channels kept that the scale sweeps; every layer of every method keeps as many. No fine-tuning."


def of(part: str, norm: bool) -> dict[str, Any]:
    """The trials of a part, on networks with or without BatchNorm."""
    return {"part": part, "norm": norm}


def _named(norm: bool) -> tuple[str, str]:
    return ("bn", "with BatchNorm") if norm else ("plain", "without BatchNorm")


def _scales(norm: bool) -> Sequence[str]:
    return SCALES if norm else [scale for scale in SCALES if scale != "paper"]


def _accuracy_claims(norm: bool, rivals: Sequence[str]) -> list[Claim]:
    short, where = _named(norm)
    return [
        Claim(
            id=f"C1-{short}-vs-{rival}",
            statement=f"IFM as published keeps more test accuracy than {_RIVALS[rival]}, at equal channels ({where})",
            source="abstract, against what else needs no data and no training",
            estimate=gap(PUBLISHED, rival, of("kept", norm)),
            holds=Above(0.0),
            unit="percentage points",
            scales=_scales(norm),
            note=_AT_EQUAL_UNITS,
        )
        for rival in rivals
    ]


def _loss_claim(norm: bool) -> Claim:
    short, where = _named(norm)
    return Claim(
        id=f"C1-loss-{short}",
        statement=f"IFM down to 23 % of the parameters costs under 5 points of test accuracy, without data or training ({where})",
        source="VGG16 on CIFAR-10: 93.51 -> 91.78 at 23.03 % of the parameters",
        estimate=Of(PUBLISHED, LossAt(23.03, of("threshold", norm))),
        holds=Below(5.0),
        published=1.73 if norm else None,
        unit="percentage points",
        scales=_scales(norm),
        note="Along the sweep of beta, linearly between its points. Published for VGG16 alone; 5 points are our reading of `small`.",
    )


def _complexity_claims(norm: bool) -> list[Claim]:
    short, where = _named(norm)
    return [
        Claim(
            id=f"C2-{short}",
            statement=f"Feature complexity grows slower than width: C = a W^b with b < 1 ({where})",
            source="abstract; section on width",
            estimate=Of(PUBLISHED, width_exponent(norm)),
            holds=Below(1.0),
            unit="log channels / log width",
            scales=_scales(norm),
            note="Channels left in all layers, one beta for all widths; mean over the scale's betas, on which b depends (see leaderboard). "
            "b = 1 says that no width is more redundant than another.",
        ),
        Claim(
            id=f"C4-{short}",
            statement=f"Of networks of one architecture, those of higher feature complexity are more accurate ({where})",
            source="abstract",
            estimate=Of(PUBLISHED, complexity_accuracy(norm)),
            holds=Above(0.0),
            unit="Spearman's rho",
            scales=_scales(norm),
            note="Within a seed and beta, over networks that differ in weight decay alone; mean over betas. Accuracy before merging.",
        ),
    ]


def _duplicate_claim(name: str, method: str, norm: bool, note: str) -> Claim:
    where = _named(norm)[1]
    return Claim(
        id=name,
        statement=f"Merging exact duplicates with {method} leaves the network's function as it is ({where})",
        source="the notion of functionally equivalent features",
        estimate=Of(method, Mean("output_error", of("duplicates", norm))),
        holds=Below(1e-3),
        unit="relative error of the logits",
        scales=_scales(norm),
        note=note,
    )


_SUMS_VARIANCES = "Two identical channels add up to 4 times the variance; the published rule writes down 2 times."

CLAIMS = (
    *_accuracy_claims(True, list(_RIVALS)),
    *_accuracy_claims(False, [rival for rival in _RIVALS if rival != "kmeans-repair"]),
    Claim(
        id="C1-bn-folded",
        statement="IFM keeps more test accuracy when BatchNorm is folded into the convolutions first, at equal channels",
        source="control of C1",
        estimate=gap(FOLDED, PUBLISHED, of("kept", True)),
        holds=Above(0.0),
        unit="percentage points",
        note="What the published treatment of BatchNorm costs on trained networks.",
    ),
    Claim(
        id="C1-bn-folded-vs-l2-in-out",
        statement="IFM with BatchNorm folded first keeps more test accuracy than cutting by the product of norms, at equal channels",
        source="control of C1",
        estimate=gap(FOLDED, "l2-in-out", of("kept", True)),
        holds=Above(0.0),
        unit="percentage points",
        note=_AT_EQUAL_UNITS,
    ),
    _loss_claim(True),
    _loss_claim(False),
    *_complexity_claims(True),
    *_complexity_claims(False),
    Claim(
        id="C3-bn",
        statement="Feature complexity, as a share of width, rises and then falls with depth: highest in the middle layers (with BatchNorm)",
        source="section on depth",
        estimate=Of(PUBLISHED, MiddleOverEnds(of("width", True))),
        holds=Above(0.0),
        unit="share of width",
        note="Middle third of the layers minus the first and last third, mean over widths and betas. The count of channels rises with "
        "depth in any VGG whatever merges, hence the share. Networks of two hidden layers have no middle.",
    ),
    _duplicate_claim("X-duplicates-published", PUBLISHED, True, _SUMS_VARIANCES),
    _duplicate_claim("X-duplicates-folded", FOLDED, True, "BatchNorm folded into the convolutions first."),
    _duplicate_claim("X-duplicates-deviations", "ifm-deviations", True, "Deviations added up instead of variances."),
    _duplicate_claim("X-duplicates-plain", PUBLISHED, False, "Without BatchNorm the rule is exact."),
)
