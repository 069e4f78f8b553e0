"""WHAT: do channels that merge by similarity leave a network's function, and does what is left measure it? IFM, arXiv 2310.06756."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.bounds import CORRELATION, PERCENT, POSITIVE, Bounds
from harness.estimates import Estimate, In, Mean
from harness.task import Experiment, Figure, Metric, Paper, Requirement, Statistic, Task, param
from tasks.pruning.feature_merging_ifm.claims import LAYERS, MiddleOverEnds, accuracy_lost, claims, complexity_accuracy, width_exponent
from tasks.pruning.feature_merging_ifm.memory import memory
from tasks.pruning.feature_merging_ifm.methods import MERGING, METHODS, REDUCING
from tasks.pruning.feature_merging_ifm.scales import scales, seconds
from tasks.pruning.params import DENSE, Brought, network_fields


@dataclass(frozen=True, kw_only=True)
class Share(Brought):
    """A dense network of which every layer keeps the same share of its channels. Nothing is trained afterwards."""

    kept: float = param(1.0, "share of each layer's channels that stays, in whole channels", low=0.001, high=1.0)


@dataclass(frozen=True, kw_only=True)
class Duplicates(Brought):
    """A dense network whose channels are split into exact copies, which changes no output, and merged to as many as there were."""

    copies: int = param(2, "exact copies that every channel is split into", low=2, high=8)


@dataclass(frozen=True, kw_only=True)
class Threshold(Brought):
    """A dense network whose channels merge as long as they are close."""

    beta: float = param(0.1, "a layer merges while its smallest squared distance is at most so much of its largest", low=1e-6, high=1.0)


def _reduced(name: str, unit: str, text: str, **more: Any) -> Metric:
    return Metric(name, unit, more.pop("better", "none"), text, methods=REDUCING, **more)


METRICS = (
    Metric("val_loss", "nats", "lower", "cross-entropy on the validation split", bounds=POSITIVE),
    Metric("val_accuracy", "percent", "higher", "top-1 on the validation split", counted=True, bounds=PERCENT),
    Metric("test_loss", "nats", "lower", "cross-entropy on the test split; selects nothing", bounds=POSITIVE),
    Metric(
        "test_accuracy",
        "percent",
        "higher",
        "top-1 on the test split, without any training after merging or cutting",
        counted=True,
        bounds=PERCENT,
    ),
    Metric(
        "dense_accuracy",
        "percent",
        "none",
        "top-1 on the test split of the network it started from",
        split="test",
        counted=True,
        bounds=PERCENT,
    ),
    Metric("parameters", "count", "none", "learned numbers", bounds=POSITIVE),
    Metric("parameters_kept", "percent", "none", "of the dense network's", bounds=POSITIVE),
    Metric("multiply_adds", "count", "none", "of convolutions and matrix products for one image", bounds=POSITIVE),
    Metric("flops_reduction", "percent", "none", "multiply-adds that are gone"),
    _reduced(
        "output_error",
        "ratio",
        "||logits - dense logits|| / ||dense logits|| on validation images",
        better="lower",
        split="val",
        bounds=POSITIVE,
    ),
    _reduced(
        "complexity",
        "channels",
        "channels left, over all layers that merge: the paper's feature complexity where beta decides",
        bounds=POSITIVE,
    ),
    _reduced("complexity_share", "ratio", "channels left over channels, mean over the layers", bounds=Bounds(0.0, 1.0)),
    *(_reduced(name, "ratio", f"the same of layer {depth}", optional=True) for depth, name in enumerate(LAYERS, start=1)),
    _reduced("merges", "count", "channels that are gone", bounds=POSITIVE),
    _reduced("merge_seconds", "s", "to find and build the smaller network", better="lower", timed=True, bounds=POSITIVE),
)


def _dense_first(method: str, params: Mapping[str, Any]) -> Requirement | None:
    return None if method == DENSE else Requirement(method=DENSE, params=network_fields(params), experiment="share")


_NETWORKS = {True: ("bn", "with BatchNorm"), False: ("plain", "without BatchNorm")}
_SWEEP = "mean over the shares of channels kept"


def _share_columns(norm: bool, name: str) -> list[Statistic]:
    def column(label: str, metric: str, text: str = _SWEEP, **where: float) -> Statistic:
        of = next(one for one in METRICS if one.name == metric)
        estimate = Mean(metric, {"norm": norm, **where})
        return Statistic(name=f"{label}_{name}", estimate=estimate, unit=of.unit, better=of.better, description=text, bounds=of.bounds)

    return [
        column("val_accuracy", "val_accuracy"),
        column("test_accuracy", "test_accuracy", f"{_SWEEP}; of dense: all channels"),
        *(
            column(f"kept_{100 * kept:.0f}", "test_accuracy", f"test accuracy with {100 * kept:g} % of each layer's channels", kept=kept)
            for kept in ((0.75, 0.5) if norm else (0.5, 0.25))
        ),
        column("output_error", "output_error"),
        column("merge_seconds", "merge_seconds"),
    ]


def _threshold_columns(norm: bool, name: str) -> list[Statistic]:
    def column(label: str, view: str, estimate: Estimate, text: str, **about: Any) -> Statistic:
        return Statistic(name=label, estimate=In("threshold", estimate, view), description=text, **about)

    lost, rho = "test accuracy lost at 23 % of the parameters, along the sweep of beta", f"complexity_rho_{name}"
    return [
        column(f"loss_at_23_{name}", "beta", accuracy_lost(23.03, norm), lost, unit="points", better="lower"),
        column(f"width_exponent_{name}", "width", width_exponent(norm), "b of complexity = a width^b, mean over betas"),
        column(f"width_exponent_{name}_low_beta", "width", width_exponent(norm, "smallest"), "at the smallest beta"),
        column(f"width_exponent_{name}_high_beta", "width", width_exponent(norm, "largest"), "at the largest beta"),
        column(
            rho,
            "decay",
            complexity_accuracy(norm),
            "Spearman's correlation of complexity and dense accuracy, mean over betas",
            bounds=CORRELATION,
        ),
        *([column(f"depth_peak_{name}", "width", MiddleOverEnds({"norm": norm}), "complexity share, middle minus ends")] if norm else []),
    ]


def _figure(id: str, title: str, x: str, y: str, view: str, norm: bool, **about: Any) -> Figure:
    name, words = _NETWORKS[norm]
    return Figure(id=f"{id}-{name}", title=f"{title}, {words}", x=x, y=y, view=view, where={"norm": norm}, **about)


_KEPT = "The same share in every layer, no training afterwards. The dense network stands at 1."
_CLIFF = "The published knob: squared distances, as a share of the largest. It is a cliff."
_PLACED = "Each point is a beta, placed by the parameters it left (percent)."
_SLOPE = "Mean over the betas of the scale. A slope of 1 says that wide networks are no more redundant than narrow ones."
_DEPTH = "A step is a layer. Share of its channels that is left, mean over widths and betas."

_RUN = "tasks.pruning.feature_merging_ifm.experiment"
SHARE = Experiment(
    "share",
    params=Share,
    metrics=(
        *METRICS,
        Metric("train_loss", "nats", "lower", "mean over the last steps; none of a checkpoint", methods=(DENSE,), optional=True),
    ),
    run=f"{_RUN}:share",
    requires=_dense_first,
    seconds=seconds,
    memory=memory,
    summary="The dense network, and what is left of it when every layer keeps the same share of its channels.",
    statistics=[column for norm, (name, _) in _NETWORKS.items() for column in _share_columns(norm, name)],
    figures=[_figure("kept", "Channels kept", "kept", "test_accuracy", "", norm, log_x=True, caption=_KEPT) for norm in _NETWORKS],
)
DUPLICATES = Experiment(
    "duplicates",
    params=Duplicates,
    metrics=METRICS,
    run=f"{_RUN}:duplicates",
    methods=MERGING,
    requires=_dense_first,
    seconds=seconds,
    memory=memory,
    summary="Exact copies of every channel merged again: a rule that keeps the function changes no logit.",
    statistics=[
        Statistic(
            name=f"output_error_{name}",
            estimate=Mean("output_error", {"norm": norm}),
            better="lower",
            bounds=POSITIVE,
            description="relative error of the logits",
        )
        for norm, (name, _) in _NETWORKS.items()
    ],
)
THRESHOLD = Experiment(
    "threshold",
    params=Threshold,
    metrics=METRICS,
    run=f"{_RUN}:threshold",
    methods=MERGING,
    requires=_dense_first,
    seconds=seconds,
    memory=memory,
    summary="Channels merged as long as they are close: how many are left is the paper's feature complexity.",
    statistics=[column for norm, (name, _) in _NETWORKS.items() for column in _threshold_columns(norm, name)],
    figures=[
        *(
            figure
            for norm in _NETWORKS
            for figure in (
                _figure("beta", "Threshold", "beta", "test_accuracy", "beta", norm, log_x=True, caption=_CLIFF),
                _figure("parameters", "Parameters left", "beta", "test_accuracy", "beta", norm, at="parameters_kept", caption=_PLACED),
                _figure("complexity", "Complexity at a threshold", "beta", "complexity_share", "beta", norm, log_x=True),
                _figure("width", "Complexity and width", "width", "complexity", "width", norm, log_x=True, log_y=True, caption=_SLOPE),
            )
        ),
        _figure("depth", "Complexity by depth", "step", "complexity_share", "width", True, caption=_DEPTH),
    ],
)

TASK = Task(
    id="feature-merging-ifm",
    version=1,
    paper=Paper(
        arxiv="2310.06756",
        title="Going Beyond Neural Network Feature Similarity: The Network Feature Complexity and Its Interpretation Using Category Theory",
        year=2023,
        code="https://github.com/Ytchen981/Iterative-Feature-Merging",
    ),
    methods=METHODS,
    experiments=(SHARE, DUPLICATES, THRESHOLD),
    scales=scales(SHARE, DUPLICATES, THRESHOLD),
    claims=claims(SHARE, DUPLICATES, THRESHOLD),
    summary="Whether merging similar channels, without data or training, keeps accuracy, and whether what is left measures a network.",
)
