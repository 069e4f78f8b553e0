"""What the paper and its critics claim, and the numbers behind it: one a seed. Validation chooses lam; test only reports."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.claims import better
from harness.estimates import Of, Slope, paired
from harness.sweeps import AtLargest, Sweep
from harness.task import Above, Below, Claim, Experiment

if TYPE_CHECKING:
    import pandas as pd

SWEEP = Sweep("lam", by=("val_accuracy", "val_loss"), ties="largest", better=("higher", "lower"))
"""The highest `val_accuracy` once the k largest groups are kept, then the lowest `val_loss`, then the largest lam, for each k."""


@dataclass(frozen=True)
class AtSparsity:
    """Accuracy of the best network with at most k groups an axis on average that a method's sweep offers, mean over architectures and k.

    Offered are, at every lam, the network whose k largest groups an axis are kept, and the one that training left where that has so few
    groups already, wherever they lie. The highest validation accuracy of its own selects.
    """

    split: str
    """Whose accuracy is reported: val or test."""

    def __call__(self, frame: pd.DataFrame) -> float:
        """The estimate in the records of one method and seed."""
        import pandas as pd

        if "metric.nonzero_groups" not in frame or not frame["metric.nonzero_groups"].notna().any():
            return math.nan
        few = frame[frame["metric.nonzero_groups"] <= 1.0]
        sparse = few.assign(**{f"metric.{split}_accuracy": few[f"metric.{split}_accuracy_untruncated"] for split in ("val", "test")})
        return SWEEP.mean(pd.concat([frame, sparse], ignore_index=True), f"metric.{self.split}_accuracy")


_EACH_AT_ITS_BEST = "Each method at the lam with its highest validation accuracy in the seed, after its k largest groups an axis are kept."
_CONTROLS = (
    ("magnitude", "wgsef", "magnitude-finetune", "WGSEF is more accurate than keeping the k largest groups at half time and training on"),
    ("scratch", "wgsef", "k-from-scratch", "WGSEF is more accurate than a network with k groups an axis trained from its own start"),
    ("shrinkage", "wgsef-finetune", "wgsef", "Dropping the penalty at half time, with its k groups kept, makes WGSEF more accurate"),
    ("selection", "wgsef-finetune", "magnitude-finetune", "The k groups that the penalty leaves at half time are better ones to train on"),
)
_RIVALS = (("lasso", "wgsef", "group-lasso", "group lasso"), ("hspg", "wgsef-hspg", "hspg", "HSPG, both with half-space steps"))


def claims(train: Experiment, cost: Experiment) -> list[Claim]:
    """All claims."""
    return [
        *_of_view(train, "units", "hidden units of a two-layer network", ("smoke", "laptop")),
        *_of_view(train, "filters", "filters of a convolutional network", ("laptop", "gpu", "paper")),
        *(
            Claim(
                id=f"C3-{name}",
                statement=f"The time of the {text} grows no faster than linearly with the number of groups: exponent under 1.1",
                source="abstract (linear)",
                estimate=Of("wgsef", cost.within(Slope(f"{name}_seconds", over="groups"))),
                holds=Below(1.1),
                unit="exponent",
                note="Slope of log seconds against log m; the least of several calls at every m.",
            )
            for name, text in (("prox", "prox"), ("value", "penalty's value"))
        ),
    ]


def _of_view(train: Experiment, view: str, where: str, scales: Sequence[str]) -> list[Claim]:
    error, accuracy = train["group_error"].at(view), train["test_accuracy"].at(view)
    exactness = (
        (
            "",
            "wgsef",
            error,
            Below(0.5),
            "Training leaves exactly k non-zero groups an axis, nothing truncated, at the lam that validation chooses",
            "abstract",
            "sum over axes of |non-zero groups - k|; a group is zero when every number in it is exactly 0.",
        ),
        (
            "-largest",
            "wgsef",
            train.within(AtLargest("group_error", "lam"), view),
            Below(0.5),
            "The same at the largest lam of the sweep",
            "abstract",
            "The prox leaves exactly k groups where n_k / n_{k+1} >= (1 + lr lam) / (lr lam): a large lam gets there sooner.",
        ),
        (
            "-lasso",
            "group-lasso",
            error,
            Above(0.5),
            "Group lasso, at the lam that validation chooses, does not end with exactly k groups",
            "control of C1",
            "",
        ),
    )
    return [
        *(
            Claim(
                id=f"C1-{view}{part}",
                statement=f"{says} ({where})",
                source=source,
                estimate=Of(method, estimate),
                holds=holds,
                unit="groups",
                scales=scales,
                note=note,
            )
            for part, method, estimate, holds, says, source, note in exactness
        ),
        *(
            claim
            for name, method, other, text in _RIVALS
            for claim in better(
                f"C2-{view}-{name}",
                method,
                other,
                accuracy,
                says=f"With the k largest groups of every axis kept, the test accuracy is higher than that of {text} ({where})",
                source="abstract (at least as high)",
                scales=scales,
                note=_EACH_AT_ITS_BEST + " The paper's tables were not at hand.",
            )
        ),
        *(
            Claim(
                id=f"C2-{view}-{name}-sparsity",
                statement=f"The best network with at most k groups an axis on average is more accurate than that of {text} ({where})",
                source="abstract (at least as high)",
                estimate=train.within(paired(method, other, AtSparsity("test")), view),
                holds=Above(0.0),
                unit="percentage points",
                scales=scales,
                note="Truncated to k an axis, or as training left it where those are so few groups, wherever they lie; validation picks. "
                "The fairer reading of equal sparsity: group lasso does not know of k, and truncation without training hurts BatchNorm.",
            )
            for name, method, other, text in _RIVALS
        ),
        *(
            claim
            for name, method, other, text in _CONTROLS
            for claim in better(
                f"C2-{view}-{name}",
                method,
                other,
                accuracy,
                says=f"{text} ({where})",
                source="control of C2",
                scales=scales,
                note=_EACH_AT_ITS_BEST,
            )
        ),
    ]
