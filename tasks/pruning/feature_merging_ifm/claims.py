"""What the paper and its critics claim, and the numbers that claims and the leaderboard are made of: one a seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from harness.claims import better
from harness.estimates import Curve, Difference, Estimate, Mean, MeanOver, Of, RankCorrelation, Slope, select
from harness.task import SCALES, Above, Below, Claim, Experiment
from tasks.pruning.feature_merging_ifm.methods import CLUSTERING, CUTTING, NEED_BATCHNORM

if TYPE_CHECKING:
    import pandas as pd

LAYERS = tuple(f"complexity_layer_{depth}" for depth in range(1, 34))
"""Metrics of the layers by depth. 33 axes merge in ResNet-50, the deepest architecture here."""


def accuracy_lost(parameters_kept: float, norm: bool) -> Estimate:
    """Points of test accuracy lost at so many percent of the parameters: dense minus the curve over betas, which the dense network ends."""
    where = {"norm": norm}
    dense = Mean("dense_accuracy", where)
    return Difference(dense, Curve("parameters_kept", "test_accuracy", where, ends=((100.0, dense),)).at(parameters_kept))


def width_exponent(norm: bool, only: Literal["smallest", "largest", ""] = "") -> MeanOver:
    """b of complexity = a width^b: one threshold for all widths, mean over several of them."""
    return MeanOver("beta", Slope("complexity", "width"), {"norm": norm}, only)


def complexity_accuracy(norm: bool) -> MeanOver:
    """Spearman's rho of complexity and the accuracy of the network before merging, over trainings of one architecture; mean over betas."""
    return MeanOver("beta", RankCorrelation("complexity", "dense_accuracy"), {"norm": norm})


@dataclass(frozen=True)
class MiddleOverEnds:
    """Complexity (share of width) of the middle third of the layers minus that of the first and the last third; mean over trials.

    NaN with fewer than three layers.
    """

    where: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, frame: pd.DataFrame) -> float:
        """The difference in one seed's records of one method."""
        rows = select(frame, self.where).reindex(columns=[f"metric.{name}" for name in LAYERS])
        profiles = [[float(value) for value in row if not math.isnan(value)] for row in rows.to_numpy(dtype=float)]
        if not profiles or min(map(len, profiles)) < 3:
            return math.nan
        return math.fsum(map(_middle_over_ends, profiles)) / len(profiles)


def _middle_over_ends(profile: list[float]) -> float:
    third = max(1, round(len(profile) / 3))
    middle, ends = profile[third:-third], profile[:third] + profile[-third:]
    return math.fsum(middle) / len(middle) - math.fsum(ends) / len(ends)


PUBLISHED, FOLDED = "ifm", "ifm-folded"
_AT_EQUAL_UNITS = "Mean over the shares of channels kept that the scale sweeps; every layer of every method keeps as many. No fine-tuning."
_DUPLICATES = (
    ("published", PUBLISHED, True, "Two identical channels add up to 4 times the variance; the published rule writes down 2 times."),
    ("folded", FOLDED, True, "BatchNorm folded into the convolutions first."),
    ("deviations", "ifm-deviations", True, "Deviations added up instead of variances."),
    ("plain", PUBLISHED, False, "Without BatchNorm the rule is exact."),
)
_WORDS = {True: "with BatchNorm", False: "without BatchNorm"}
_SCALES = {True: SCALES, False: [scale for scale in SCALES if scale != "paper"]}


def claims(share: Experiment, duplicates: Experiment, threshold: Experiment) -> Sequence[Claim]:
    """All claims, on what the experiments measure."""
    accuracy, folding_first = share["test_accuracy"].at(norm=True), "IFM with BatchNorm folded first keeps more test accuracy than"
    return [
        *_of_networks(share, threshold, norm=True),
        *_of_networks(share, threshold, norm=False),
        *better(
            "C1-bn-folded",
            FOLDED,
            PUBLISHED,
            accuracy,
            says=f"{folding_first} as published, at equal channels",
            source="control of C1",
            note="What the published treatment of BatchNorm costs on trained networks.",
        ),
        *better(
            "C1-bn-folded-vs-l2-in-out",
            FOLDED,
            "l2-in-out",
            accuracy,
            says=f"{folding_first} cutting by the product of norms, at equal channels",
            source="control of C1",
            note=_AT_EQUAL_UNITS,
        ),
        Claim(
            id="C3-bn",
            statement="Feature complexity, as a share of width, rises, then falls with depth: highest in the middle (with BatchNorm)",
            source="section on depth",
            estimate=threshold.within(Of(PUBLISHED, MiddleOverEnds({"norm": True})), "width"),
            holds=Above(0.0),
            unit="share of width",
            note="Middle third of the layers minus the first and last third, mean over widths and betas. The count of channels rises with "
            "depth in any VGG whatever merges, hence the share. Networks of two hidden layers have no middle.",
        ),
        *(
            Claim(
                id=f"X-duplicates-{name}",
                statement=f"Merging exact duplicates with {method} leaves the network's function as it is ({_WORDS[norm]})",
                source="the notion of functionally equivalent features",
                estimate=duplicates["output_error"].at(norm=norm).of(method),
                holds=Below(1e-3),
                unit="relative error of the logits",
                scales=_SCALES[norm],
                note=note,
            )
            for name, method, norm, note in _DUPLICATES
        ),
    ]


def _of_networks(share: Experiment, threshold: Experiment, *, norm: bool) -> list[Claim]:
    """What is asked of networks with and without BatchNorm."""
    short, where, scales = "bn" if norm else "plain", _WORDS[norm], _SCALES[norm]
    return [
        *better(
            f"C1-{short}-vs",
            PUBLISHED,
            [rival for rival in (*CUTTING, *CLUSTERING) if norm or rival not in NEED_BATCHNORM],
            share["test_accuracy"].at(norm=norm),
            says=f"IFM as published keeps more test accuracy than {{}}, at equal channels ({where})",
            source="abstract, against what else needs no data and no training",
            scales=scales,
            note=_AT_EQUAL_UNITS,
        ),
        Claim(
            id=f"C1-loss-{short}",
            statement=f"IFM down to 23 % of the parameters costs under 5 points of test accuracy, without data or training ({where})",
            source="VGG16 on CIFAR-10: 93.51 -> 91.78 at 23.03 % of the parameters",
            estimate=threshold.within(Of(PUBLISHED, accuracy_lost(23.03, norm)), "beta"),
            holds=Below(5.0),
            published=1.73 if norm else None,
            unit="percentage points",
            scales=scales,
            note="Along the sweep of beta, linearly between its points. Published for VGG16 alone; 5 points are our reading of `small`.",
        ),
        Claim(
            id=f"C2-{short}",
            statement=f"Feature complexity grows slower than width: C = a W^b with b < 1 ({where})",
            source="abstract; section on width",
            estimate=threshold.within(Of(PUBLISHED, width_exponent(norm)), "width"),
            holds=Below(1.0),
            unit="log channels / log width",
            scales=scales,
            note="Channels left in all layers, one beta for all widths; mean over the scale's betas, on which b depends (see leaderboard). "
            "b = 1 says that no width is more redundant than another.",
        ),
        Claim(
            id=f"C4-{short}",
            statement=f"Of networks of one architecture, those of higher feature complexity are more accurate ({where})",
            source="abstract",
            estimate=threshold.within(Of(PUBLISHED, complexity_accuracy(norm)), "decay"),
            holds=Above(0.0),
            unit="Spearman's rho",
            scales=scales,
            note="Within a seed and beta, over networks that differ in weight decay alone; mean over betas. Accuracy before merging.",
        ),
    ]
