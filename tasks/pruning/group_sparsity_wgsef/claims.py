"""What the paper and its critics claim, each as a number and the region in which the claim holds."""

from __future__ import annotations

from harness.estimates import Of, Slope
from harness.task import Above, Below, Claim
from tasks.pruning.group_sparsity_wgsef.estimates import TIMED, AtLargest, chosen, gap, sparse_gap, trained

_EACH_AT_ITS_BEST = "Each method at the lam with its highest validation accuracy in the seed, after its k largest groups an axis are kept."
_POINTS = "percentage points"


def _setting_claims(setting: str, where: str, scales: tuple[str, ...]) -> list[Claim]:
    exact, better = _exactness(setting, where, scales), _accuracy(setting, where, scales)
    return [*exact, *better, *_controls(setting, where, scales)]


def _exactness(setting: str, where: str, scales: tuple[str, ...]) -> list[Claim]:
    return [
        Claim(
            id=f"C1-{setting}",
            statement=f"Training leaves exactly k non-zero groups an axis, nothing truncated, at the lam that validation chooses ({where})",
            source="abstract",
            estimate=Of("wgsef", chosen(setting, "group_error")),
            holds=Below(0.5),
            unit="groups",
            scales=scales,
            note="sum over axes of |non-zero groups - k|; a group is zero when every number in it is exactly 0.",
        ),
        Claim(
            id=f"C1-{setting}-largest",
            statement=f"The same at the largest lam of the sweep ({where})",
            source="abstract",
            estimate=Of("wgsef", AtLargest("metric.group_error", trained(setting))),
            holds=Below(0.5),
            unit="groups",
            scales=scales,
            note="The prox leaves exactly k groups where n_k / n_{k+1} >= (1 + lr lam) / (lr lam): a large lam gets there sooner.",
        ),
        Claim(
            id=f"C1-{setting}-lasso",
            statement=f"Group lasso, at the lam that validation chooses, does not end with exactly k groups ({where})",
            source="control of C1",
            estimate=Of("group-lasso", chosen(setting, "group_error")),
            holds=Above(0.5),
            unit="groups",
            scales=scales,
        ),
    ]


def _accuracy(setting: str, where: str, scales: tuple[str, ...]) -> list[Claim]:
    pairs = (("lasso", "wgsef", "group-lasso", "group lasso"), ("hspg", "wgsef-hspg", "hspg", "HSPG, both with half-space steps"))
    at_k = [
        Claim(
            id=f"C2-{setting}-{name}",
            statement=f"With the k largest groups of every axis kept, the test accuracy is higher than that of {text} ({where})",
            source="abstract (at least as high)",
            estimate=gap(setting, method, other),
            holds=Above(0.0),
            unit=_POINTS,
            scales=scales,
            note=_EACH_AT_ITS_BEST + " The paper's tables were not at hand.",
        )
        for name, method, other, text in pairs
    ]
    as_trained = [
        Claim(
            id=f"C2-{setting}-{name}-sparsity",
            statement=f"The best network with at most k groups an axis on average is more accurate than that of {text} ({where})",
            source="abstract (at least as high)",
            estimate=sparse_gap(setting, method, other),
            holds=Above(0.0),
            unit=_POINTS,
            scales=scales,
            note="Truncated to k an axis, or as training left it where those are so few groups, wherever they lie; validation picks. "
            "The fairer reading of equal sparsity: group lasso does not know of k, and truncation without training is hard on BatchNorm.",
        )
        for name, method, other, text in pairs
    ]
    return [*at_k, *as_trained]


def _controls(setting: str, where: str, scales: tuple[str, ...]) -> list[Claim]:
    rows = (
        (
            "magnitude",
            "wgsef",
            "magnitude-finetune",
            "WGSEF is more accurate than keeping the k largest groups at half time and training on",
        ),
        ("scratch", "wgsef", "k-from-scratch", "WGSEF is more accurate than a network with k groups an axis trained from its own start"),
        ("shrinkage", "wgsef-finetune", "wgsef", "Dropping the penalty at half time, with its k groups kept, makes WGSEF more accurate"),
        (
            "selection",
            "wgsef-finetune",
            "magnitude-finetune",
            "The k groups that the penalty leaves at half time are better ones to train on",
        ),
    )
    return [
        Claim(
            id=f"C2-{setting}-{name}",
            statement=f"{text} ({where})",
            source="control of C2",
            estimate=gap(setting, method, other),
            holds=Above(0.0),
            unit=_POINTS,
            scales=scales,
            note=_EACH_AT_ITS_BEST,
        )
        for name, method, other, text in rows
    ]


def _cost_claims() -> list[Claim]:
    return [
        Claim(
            id=f"C3-{name}",
            statement=f"The time of the {text} grows no faster than linearly with the number of groups: exponent under 1.1",
            source="abstract (linear)",
            estimate=Of("wgsef", Slope(f"{name}_seconds", over="groups", where=TIMED)),
            holds=Below(1.1),
            unit="exponent",
            note="Slope of log seconds against log m; the least of several calls at every m.",
        )
        for name, text in (("prox", "prox"), ("value", "penalty's value"))
    ]


CLAIMS = (
    *_setting_claims("units", "hidden units of a two-layer network", ("smoke", "laptop")),
    *_setting_claims("filters", "filters of a convolutional network", ("laptop", "gpu", "paper")),
    *_cost_claims(),
)
