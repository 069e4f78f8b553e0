"""WHAT: does a convex envelope leave exactly k groups, and is the network better than what simpler ways leave? WGSEF, arXiv 2212.12921."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.bounds import PERCENT, POSITIVE, SHARE
from harness.estimates import In, Reading, Slope
from harness.sweeps import Chosen
from harness.task import Better, Experiment, Figure, Method, Metric, Paper, Requirement, Statistic, Task, param
from tasks.blocks.supervision import COST, LATENCY
from tasks.pruning.group_sparsity_wgsef.claims import SWEEP, AtSparsity, claims
from tasks.pruning.group_sparsity_wgsef.scales import PENALISED, memory_cost, memory_train, scales, seconds_cost, seconds_train
from tasks.pruning.params import DENSE, Network, network_fields

METHODS = (
    Method("dense", "control", "all groups, no penalty: what there is to lose"),
    Method("wgsef", "proposed", "proximal SGD with lam S_k on every axis"),
    Method("wgsef-hspg", "proposed", "the same for half of the steps, then half-space steps"),
    Method("group-lasso", "baseline", "proximal SGD with lam sum_j sqrt(|s_j|) ||theta_j||"),
    Method("hspg", "baseline", "the same for half of the steps, then half-space steps"),
    Method("group-lasso-finetune", "baseline", "half of the steps so, keep the k groups of largest norm, train on without penalty"),
    Method("magnitude-finetune", "baseline", "a share of the steps plain, keep the k groups of largest norm, train on"),
    Method("wgsef-finetune", "control", "half of the steps with lam S_k, keep the k groups of largest norm, train on without penalty"),
    Method("k-from-scratch", "control", "the network with k groups an axis, from its own start"),
    Method("random-finetune", "floor", "a share of the steps plain, keep k random groups, train on"),
    Method("one-shot", "floor", "the dense network, the k groups of largest norm kept, no training after it"),
    Method("wgsef-sorted", "rival", "timed: the prox by a binary search over all sorted breakpoints, the value by its closed form"),
)
TIMED = ("wgsef", "group-lasso", "wgsef-sorted")
_LARGEST = "with the k largest groups of every axis kept"


@dataclass(frozen=True, kw_only=True)
class Training(Network):
    """One training at one k. Every method trains for `dense_epochs` at `dense_lr`, as the dense network does."""

    keep: float = param(0.25, "share of every axis' groups to keep: k = max(1, round(keep groups))", low=1e-6, high=1.0)
    lam: float = param(0.1, "strength of the penalty; the prox takes lr lam", low=0.0, high=1e6)
    switch: float = param(
        0.5,
        "share of the steps before the second phase: half-space steps, or fine-tuning of what was kept",
        unit="of the steps",
        low=0.0,
        high=1.0,
    )
    half_space_eps: float = param(0.0, "a group turns to zero where <z, x> < eps ||x||^2", low=0.0, high=0.999)
    gains: str = param(
        "in",
        "a channel's gain and shift of BatchNorm. in: part of its group; follow: not shrunk, zero when the group is; apart: left alone",
        choices=("in", "follow", "apart"),
    )
    rounds: int = param(5, "timed forward passes", unit="calls", low=3, high=1000)


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Seconds of one prox and of one value, on random norms."""

    groups: int = param(65_536, "groups m; k is keep m", unit="groups", low=2, high=100_000_000)
    keep: float = param(0.125, "share of the groups that counts", low=1e-6, high=1.0)
    rounds: int = param(5, "timed calls; the least counts", unit="calls", low=3, high=1000)


def requires(method: str, params: Mapping[str, Any]) -> Requirement | None:
    """Truncation without training needs the dense network; every other method trains from the start that the dense network had."""
    return Requirement(method=DENSE, params=network_fields(params)) if method == "one-shot" else None


_SPARSE = tuple(method.name for method in METHODS if method.name not in (DENSE, "wgsef-sorted"))
_FITTED = tuple(name for name in _SPARSE if name != "one-shot")
_HELD_OUT: tuple[tuple[str, str, Better], ...] = (("loss", "nats", "lower"), ("accuracy", "percent", "higher"))
METRICS = (
    Metric("val_loss", "nats", "lower", f"validation, {_LARGEST}", bounds=POSITIVE),
    Metric("val_accuracy", "percent", "higher", "the same; chooses lam, switch or rate", counted=True, bounds=PERCENT),
    Metric("test_loss", "nats", "lower", f"test, {_LARGEST}", bounds=POSITIVE),
    Metric("test_accuracy", "percent", "higher", "the same; selects nothing", counted=True, bounds=PERCENT),
    *(
        Metric(
            f"{split}_{name}_untruncated",
            unit,
            better,
            f"{split}, the network as training left it",
            methods=_SPARSE,
            counted=name == "accuracy",
            bounds=PERCENT if name == "accuracy" else POSITIVE,
        )
        for split in ("val", "test")
        for name, unit, better in _HELD_OUT
    ),
    Metric("train_loss", "nats", "lower", "mean over the last steps, without the penalty", methods=(DENSE, *_FITTED), bounds=POSITIVE),
    Metric(
        "dense_accuracy",
        "percent",
        "higher",
        "test accuracy of the dense network",
        methods=(DENSE,),
        split="test",
        counted=True,
        bounds=PERCENT,
    ),
    Metric(
        "nonzero_groups",
        "of k",
        "none",
        "groups that are not exactly zero after training, all axes together",
        methods=_SPARSE,
        bounds=POSITIVE,
    ),
    Metric("group_error", "groups", "lower", "|non-zero groups - k|, summed over the axes", methods=_SPARSE, bounds=POSITIVE),
    Metric("exact_k", "share", "higher", "axes with exactly k non-zero groups", methods=_SPARSE, bounds=SHARE),
    Metric("reentries", "count", "lower", "groups that were zero after one step and not after the next", methods=_FITTED, bounds=POSITIVE),
    Metric("group_sparsity", "percent", "higher", "groups that are exactly zero after training", methods=_SPARSE, bounds=PERCENT),
    Metric(
        "penalty",
        "nats",
        "lower",
        "lam R at the end, of the method's own penalty R",
        methods=tuple(name for kind in PENALISED.values() for name in kind),
        bounds=POSITIVE,
    ),
    *COST,
    Metric(
        "flops_reduction_untruncated",
        "percent",
        "higher",
        "flops_reduction after only groups that are exactly zero are removed",
        methods=_SPARSE,
    ),
    *LATENCY,
)

_COLUMNS: tuple[tuple[str, str], ...] = (
    ("val_accuracy", "k groups an axis kept; chooses lam, switch or rate"),
    ("test_accuracy", "k groups an axis kept, at the setting that validation chose"),
    ("test_accuracy_untruncated", "as training left it, however many groups that is"),
    ("nonzero_groups", "non-zero groups after training over k: 1 is exact"),
    ("exact_k", "of the axes: exactly k non-zero groups"),
    ("reentries", "groups that were zero and came back"),
    ("flops_reduction", "after the rest is removed for real"),
    ("latency_ratio", "time of a forward pass over the dense network's, in turns"),
)
_SWEPT = ("wgsef", "wgsef-hspg", "wgsef-finetune", "group-lasso", "hspg", "group-lasso-finetune")


def _statistics(view: str) -> list[Statistic]:
    by_name = {metric.name: metric for metric in METRICS}
    return [
        *(
            Statistic(
                name=f"{name}_{view}",
                estimate=Reading("train", name, view, sweep=SWEEP),
                unit=by_name[name].unit,
                better=by_name[name].better,
                bounds=by_name[name].bounds,
                description=text,
            )
            for name, text in _COLUMNS
        ),
        Statistic(
            name=f"test_accuracy_sparse_{view}",
            estimate=In("train", AtSparsity("test"), view),
            unit="percent",
            better="higher",
            bounds=PERCENT,
            description="best by validation among truncated and untruncated networks with at most k groups an axis on average",
        ),
        Statistic(
            name=f"lam_{view}", estimate=In("train", Chosen("lam", SWEEP), view), description="that validation chose", bounds=POSITIVE
        ),
    ]


def _figures(view: str, where: str) -> list[Figure]:
    caption = "Every penalty has its own range of lam."
    over_lam: dict[str, Any] = {"x": "lam", "view": view, "methods": _SWEPT, "log_x": True, "caption": caption}
    return [
        Figure(id=f"accuracy-{view}", title=f"Validation accuracy with k groups kept, {where}", y="val_accuracy", **over_lam),
        Figure(id=f"groups-{view}", title=f"Non-zero groups over k, {where}", y="nonzero_groups", log_y=True, **over_lam),
        Figure(
            id=f"untruncated-{view}",
            title=f"Validation accuracy as training left the network, over its non-zero groups, {where}",
            y="val_accuracy_untruncated",
            at="nonzero_groups",
            **over_lam
            | {
                "methods": tuple(name for name in _SWEPT if not name.endswith("finetune")),
                "caption": "Non-zero groups over k, mean over seeds of every lam; 1 is the budget.",
            },
        ),
        Figure(
            id=f"count-{view}",
            title=f"Non-zero groups over k during training, {where}",
            x="step",
            y="nonzero_groups",
            view=view,
            log_y=True,
            caption="At the beginning of every epoch; mean over the lam of the scale.",
        ),
    ]


TRAIN = Experiment(
    "train",
    summary="train, truncate to k, measure",
    params=Training,
    methods=(DENSE, *_SPARSE),
    metrics=METRICS,
    tuned=SWEEP,
    run="tasks.pruning.group_sparsity_wgsef.experiment:run",
    requires=requires,
    seconds=seconds_train,
    memory=memory_train,
    statistics=[*_statistics("units"), *_statistics("filters")],
    figures=[*_figures("units", "hidden units"), *_figures("filters", "filters")],
)
TIME = Experiment(
    "cost",
    summary="seconds of prox and value on random norms",
    params=Timing,
    methods=TIMED,
    metrics=[
        Metric("prox_seconds", "s", "lower", "the shortest of several proxes of one set of norms", timed=True, bounds=POSITIVE),
        Metric("value_seconds", "s", "lower", "the shortest of several evaluations of the penalty", timed=True, bounds=POSITIVE),
    ],
    run="tasks.pruning.group_sparsity_wgsef.cost:run",
    seconds=seconds_cost,
    memory=memory_cost,
    statistics=[
        Statistic(
            name=f"{name}_exponent",
            estimate=Slope(f"{name}_seconds", over="groups"),
            better="lower",
            description="slope of log seconds against log groups",
        )
        for name in ("prox", "value")
    ],
    figures=[
        Figure(id=name, title=f"Seconds of one {name}", x="groups", y=f"{name}_seconds", log_x=True, log_y=True)
        for name in ("prox", "value")
    ],
)

TASK = Task(
    id="group-sparsity-wgsef",
    version=2,
    paper=Paper(
        arxiv="2212.12921",
        title="Learning k-Level Structured Sparse Neural Networks Using Group Envelope Regularization",
        year=2022,
    ),
    methods=METHODS,
    experiments=(TRAIN, TIME),
    scales=scales(TRAIN, TIME),
    claims=claims(TRAIN, TIME),
    summary="Whether a convex envelope leaves exactly k filters, and better ones than group lasso, magnitudes or a smaller network.",
)
