"""What the paper and its critics claim, and the numbers that claims and the leaderboard are made of: one a seed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from harness.bounds import CORRELATION
from harness.claims import All, better, exact
from harness.estimates import Curve, Difference, Estimate, Mean, MeanOver, Of, RankCorrelation, Slope, Vectorised
from harness.task import SCALES, Above, Below, Claim, ClaimKind, Experiment, Within
from tasks.pruning.feature_merging_ifm.methods import CLUSTERING, CUTTING, NEED_BATCHNORM

if TYPE_CHECKING:
    from harness.table import Floats, Table

LAYERS = tuple(f"complexity_layer_{depth}" for depth in range(1, 34))
"""Metrics of the layers by depth. 33 axes merge in ResNet-50, the deepest architecture here."""


IMAGENET = "imagenet"
"""The view of the sweeps of beta on ImageNet."""
IMAGENET_NETWORKS = ("resnet18", "resnet34", "resnet50")
"""Those of which the authors have a script."""


def accuracy_lost(parameters_kept: float, norm: bool, **network: Any) -> Estimate:
    """Points of test accuracy lost at so many percent of the parameters: dense minus the curve over betas, which the dense network ends."""
    where = {"norm": norm, **network}
    dense = Mean("dense_accuracy", where)
    return Difference(dense, Curve("parameters_kept", "test_accuracy", where, ends=((100.0, dense),)).at(parameters_kept))


def width_exponent(norm: bool, only: Literal["smallest", "largest", ""] = "") -> MeanOver:
    """b of complexity = a width^b: one threshold for all widths, mean over several of them."""
    return MeanOver("beta", Slope("complexity", "width"), {"norm": norm}, only)


def complexity_accuracy(norm: bool) -> MeanOver:
    """Spearman's rho of complexity and the accuracy of the network before merging, over trainings of one architecture; mean over betas."""
    return MeanOver("beta", RankCorrelation("complexity", "dense_accuracy"), {"norm": norm})


@dataclass(frozen=True)
class MiddleOverEnds(Vectorised):
    """Complexity (share of width) of the middle third of the layers minus that of the first and the last third; mean over trials.

    NaN with fewer than three layers.
    """

    where: Mapping[str, Any] = field(default_factory=dict)
    end: Literal["first", "last", "both"] = "both"
    """The third that the middle is set against."""

    def values(self, table: Table) -> Floats:
        """The difference in one method's records."""
        import numpy as np

        rows = table.select(self.where)
        profiles = np.stack([rows.metric(name) for name in LAYERS], axis=-1)
        if not len(rows):
            return table.nothing()
        return np.asarray(np.mean([self._differences(profiles[:, row]) for row in range(len(rows))], axis=0))

    def _differences(self, profiles: Floats) -> Floats:
        """Of one network, (replicates, layers); NaN where a layer that it has lacks a number."""
        import numpy as np

        profiles = profiles[:, ~np.isnan(profiles).all(axis=0)]
        if profiles.shape[1] < 3:
            return np.full(len(profiles), math.nan)
        third = max(1, round(profiles.shape[1] / 3))
        first, middle, last = profiles[:, :third], profiles[:, third:-third], profiles[:, -third:]
        ends = {"first": first, "last": last, "both": np.concatenate([first, last], axis=1)}[self.end]
        return np.asarray(middle.mean(axis=1) - ends.mean(axis=1))


PUBLISHED, FOLDED, FLOOR = "ifm", "ifm-folded", "random"
_AT_EQUAL_UNITS = "Mean over the shares of channels kept that the scale sweeps; every layer of every method keeps as many. No fine-tuning."
_EXACT = "Whether the rule is exact on duplicates is arithmetic: one trial outside of the tolerance refutes it. 1: nothing is left of it."
_DUPLICATES: tuple[tuple[str, str, bool, ClaimKind, str], ...] = (
    (
        "published",
        PUBLISHED,
        True,
        "control",
        "Two identical channels add up to 4 times the variance; the published rule writes down 2 times.",
    ),
    ("folded", FOLDED, True, "check", "BatchNorm folded into the convolutions first."),
    ("deviations", "ifm-deviations", True, "check", "Deviations added up instead of variances."),
    ("plain", PUBLISHED, False, "check", "Without BatchNorm the rule is exact."),
)
_WORDS = {True: "with BatchNorm", False: "without BatchNorm"}
_SCALES = {True: SCALES, False: [scale for scale in SCALES if scale != "paper"]}


def claims(share: Experiment, duplicates: Experiment, threshold: Experiment) -> Sequence[Claim]:
    """All claims, on what the experiments measure."""
    return [
        *_of_networks(share, threshold, norm=True),
        *_of_networks(share, threshold, norm=False),
        *_folding(share),
        *_imagenet(threshold),
        Claim(
            id="C3-bn",
            statement="Feature complexity, as a share of width, rises, then falls with depth: highest in the middle (with BatchNorm)",
            source="section on depth",
            estimate=All(tuple(threshold.within(Of(PUBLISHED, MiddleOverEnds({"norm": True}, end)), "width") for end in ("first", "last"))),
            holds=Above(0.0),
            unit="share of width",
            primary=True,
            null=0.0,
            note="Middle third of the layers minus the first, and minus the last third; mean over widths and betas. The count of channels "
            "rises with depth in any VGG whatever merges, hence the share. Networks of two hidden layers have no middle.",
        ),
        *(
            claim
            for name, method, norm, kind, note in _DUPLICATES
            for claim in exact(
                f"X-duplicates-{name}",
                duplicates["output_error"].at(norm=norm),
                method=method,
                holds=Below(1e-3),
                says=f"Merging exact duplicates with {method} leaves the network's function as it is ({_WORDS[norm]})",
                source="the notion of functionally equivalent features",
                unit="relative error of the logits",
                null=1.0,
                kind=kind,
                scales=_SCALES[norm],
                note=f"{note} {_EXACT}",
            )
        ),
    ]


def _imagenet(threshold: Experiment) -> Iterator[Claim]:
    """What the paper concedes: on ImageNet little can go."""
    source = "second-hand: on ImageNet only 5 to 10 % of the parameters can go (torchvision's networks; no table at hand)"
    note = "Along the sweep of beta, linearly between its points. With a checkpoint all seeds agree: --seeds 2 is enough."
    about: dict[str, Any] = {"source": source, "unit": "percentage points", "group": "C1-imagenet", "null": 0.0, "scales": ("paper",)}
    for arch in IMAGENET_NETWORKS:
        lost = {kept: threshold.within(Of(PUBLISHED, accuracy_lost(kept, True, arch=arch)), IMAGENET) for kept in (95.0, 85.0)}
        yield Claim(
            id=f"C1-imagenet-{arch}-some",
            statement=f"IFM takes 5 % of the parameters of an ImageNet {arch} for under 5 points of accuracy, without data or training",
            estimate=lost[95.0],
            holds=Below(5.0),
            aim="not worse",
            margin_source="ours: the five points of C1-loss, for `can go`",
            note=note,
            **about,
        )
        yield Claim(
            id=f"C1-imagenet-{arch}-no-more",
            statement=f"Taking 15 % of the parameters of an ImageNet {arch} costs over 5 points",
            estimate=lost[85.0],
            holds=Above(5.0),
            note=f"{note} 15 %, because 10 % are said to go yet.",
            **about,
        )


def _folding(share: Experiment) -> list[Claim]:
    """What the published treatment of BatchNorm costs on trained networks."""
    accuracy = share["test_accuracy"].at(norm=True)
    control: dict[str, Any] = {"source": "control of C1", "kind": "control"}
    says = "IFM with BatchNorm folded first keeps more test accuracy than {}, at equal channels"
    return [
        *better(
            "C1-bn-folded",
            FOLDED,
            PUBLISHED,
            accuracy,
            says=says.format("as published"),
            note="What the published treatment of BatchNorm costs on trained networks.",
            **control,
        ),
        *better(
            "C1-bn-folded-vs-l2-in-out",
            FOLDED,
            "l2-in-out",
            accuracy,
            says=says.format("cutting by the product of norms"),
            note=_AT_EQUAL_UNITS,
            stands_on=("C1-bn-floor-l2-in-out",),
            **control,
        ),
    ]


def _of_networks(share: Experiment, threshold: Experiment, *, norm: bool) -> list[Claim]:
    """What is asked of networks with and without BatchNorm."""
    short, where = "bn" if norm else "plain", _WORDS[norm]
    here: dict[str, Any] = {"scales": _SCALES[norm], "primary": norm}
    return [
        *_rivals(share, norm=norm),
        Claim(
            id=f"C1-loss-{short}",
            statement=f"IFM down to 23 % of the parameters costs under 5 points of test accuracy, without data or training ({where})",
            source="abstract; VGG16 on CIFAR-10: 93.51 -> 91.78 at 23.03 % of the parameters (second-hand, without the table's number)",
            estimate=threshold.within(Of(PUBLISHED, accuracy_lost(23.03, norm)), "beta"),
            holds=Below(5.0),
            published=1.73 if norm else None,
            unit="percentage points",
            group="C1",
            aim="not worse",
            margin_source="ours: five points, three times the published loss, for `small`",
            null=0.0,
            note="Along the sweep of beta, linearly between its points. Published for VGG16 alone.",
            **here,
        ),
        Claim(
            id=f"C2-{short}",
            statement=f"Feature complexity grows with width, but slower: C = a W^b with b between 0 and 1 ({where})",
            source="abstract; section on width",
            estimate=threshold.within(Of(PUBLISHED, width_exponent(norm)), "width"),
            holds=Within(0.0, 1.0),
            unit="log channels / log width",
            group="C2",
            null=0.0,
            note="Channels left in all layers, one beta for all widths; mean over the scale's betas, on which b depends (see leaderboard). "
            "b = 1 says that no width is more redundant than another, b = 0 that what is left has nothing to do with width.",
            **here,
        ),
        Claim(
            id=f"C4-{short}",
            statement=f"Of networks of one architecture, those of higher feature complexity are more accurate ({where})",
            source="abstract",
            estimate=threshold.within(Of(PUBLISHED, complexity_accuracy(norm)), "decay"),
            holds=Above(0.0),
            unit="Spearman's rho",
            group="C4",
            null=0.0,
            bounds=CORRELATION,
            note="Within a seed and beta, over networks that differ in weight decay alone; mean over betas. Accuracy before merging.",
            **here,
        ),
    ]


def _rivals(share: Experiment, *, norm: bool) -> list[Claim]:
    """IFM against what else needs no data and no training, and whether that is better than random channels."""
    short, where, accuracy = "bn" if norm else "plain", _WORDS[norm], share["test_accuracy"].at(norm=norm)
    rivals = [rival for rival in (*CUTTING, *CLUSTERING) if norm or rival not in NEED_BATCHNORM]
    says = f"IFM as published keeps more test accuracy than {{}}, at equal channels ({where})"
    floor = f"{{}} keeps more test accuracy than random channels, at equal channels ({where})"
    own: dict[str, Any] = {
        "kind": "extension",
        "source": "ours: what else needs no data and no training; the paper compares with INN alone",
    }
    lowest: dict[str, Any] = {"kind": "control", "source": "control of C1: the floor"}
    here: dict[str, Any] = {"scales": _SCALES[norm], "note": _AT_EQUAL_UNITS}
    found: list[Claim] = []
    for rival in rivals:
        about = lowest if rival == FLOOR else own | {"stands_on": (f"C1-{short}-floor-{rival}",)}
        found += better(f"C1-{short}-vs-{rival}", PUBLISHED, rival, accuracy, says=says, **about, **here)
    for rival in rivals:
        if rival != FLOOR:
            found += better(f"C1-{short}-floor-{rival}", rival, FLOOR, accuracy, says=floor.format(rival), **lowest, **here)
    return found
