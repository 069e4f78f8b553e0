"""WHAT: does switching filters for each input beat removing them for all? Fire Together Wire Together, arXiv 2110.08232."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.bounds import PERCENT, POSITIVE, SHARE
from harness.estimates import Mean
from harness.task import Experiment, Figure, Metric, Paper, Statistic, Task, param
from tasks.pruning.dynamic_pruning_ftwt.claims import CURVES, TARGETS, claims, drop_at, on_curves
from tasks.pruning.dynamic_pruning_ftwt.memory import memory
from tasks.pruning.dynamic_pruning_ftwt.methods import GATED, METHODS, STATIC
from tasks.pruning.dynamic_pruning_ftwt.scales import scales, seconds
from tasks.pruning.params import DENSE, Brought, requires_dense


@dataclass(frozen=True, kw_only=True)
class Params(Brought):
    """A network, and how it is pruned and trained on. The defaults are laptop scale."""

    reduction: float = param(0.0, "share of the dense network's multiply-adds to save", low=0.0, high=0.99)
    threshold: float = param(
        0.0,
        "dynamic methods: share r of the heat-map mass to keep (uniform rule: of the filters to drop), as published; "
        "0: found so that the dense network's ground truth saves `reduction`",
        low=0.0,
        high=1.0,
    )
    epochs: float = param(3.0, "training after the dense network's, the same for every method", unit="epochs", low=0.0, high=10_000.0)
    lr: float = param(0.01, "its peak learning rate", low=1e-6, high=10.0)
    schedule: str = param(
        "cosine", "its shape. cosine: to 0; steps: a tenth at 81, 122 and 151 of 200", choices=("cosine", "steps", "constant")
    )
    mask_lr: float = param(0.1, "constant learning rate of the predictors, which are not decayed", low=1e-6, high=10.0)
    cooldown: float = param(0.5, "share of the epochs after which the predictors stand still", low=0.0, high=1.0)
    level_images: int = param(
        256, "training images on which the rule's level and the best constant mask are found", unit="images", low=1, high=1_000_000
    )
    rounds: int = param(5, "rounds of the latency measurement", unit="rounds", low=1, high=10_000)


def _gated(name: str, unit: str, better: Any, text: str, **about: Any) -> Metric:
    return Metric(name, unit, better, text, methods=tuple(GATED), **about)


METRICS = (
    Metric("val_loss", "nats", "lower", "cross-entropy on the validation split", bounds=POSITIVE),
    Metric("test_loss", "nats", "lower", "the same on the test split; selects nothing", bounds=POSITIVE),
    Metric("val_accuracy", "percent", "higher", "top-1 on the validation split", counted=True, bounds=PERCENT),
    Metric("test_accuracy", "percent", "higher", "top-1 on the test split", counted=True, bounds=PERCENT),
    Metric(
        "dense_accuracy", "percent", "higher", "test accuracy of the dense network of the seed", split="test", counted=True, bounds=PERCENT
    ),
    Metric("accuracy_drop", "points", "lower", "dense_accuracy - test_accuracy", split="test", counted=True),
    Metric(
        "train_loss",
        "nats",
        "lower",
        "mean of the last steps, where any are taken; with the mask loss where that is on",
        optional=True,
        bounds=POSITIVE,
    ),
    Metric(
        "multiply_adds",
        "count",
        "lower",
        "of one image; gated: mean over test images, as if switched filters were skipped",
        split="test",
        bounds=POSITIVE,
    ),
    Metric(
        "flops_reduction",
        "percent",
        "higher",
        "saved of the dense network's multiply-adds; predictors and classifier are counted",
        split="test",
    ),
    _gated("flops_reduction_as_published", "percent", "none", "the same as the authors' code counts, faults included", split="test"),
    _gated("flops_std", "percent", "none", "standard deviation of flops_reduction over test images", split="test", bounds=POSITIVE),
    _gated("predicted_reduction", "percent", "none", "flops_reduction of the dense network's ground truth, before any training"),
    _gated("level", "ratio", "none", "the rule's level: share of the mass kept, or of the filters dropped", bounds=SHARE),
    _gated(
        "mask_accuracy",
        "percent",
        "higher",
        "filters as the ground truth has them, mean over layers and test images",
        split="test",
        bounds=PERCENT,
    ),
    _gated(
        "constant_mask_accuracy",
        "percent",
        "none",
        "the same of the best mask for all, chosen on training images",
        split="test",
        bounds=PERCENT,
    ),
    _gated("empty_layers", "percent", "lower", "layers left without a filter, mean over test images", split="test", bounds=POSITIVE),
    Metric("parameters", "count", "none", "numbers of the network as it runs, predictors included", bounds=POSITIVE),
    Metric("parameters_kept", "percent", "lower", "of the dense network's", bounds=POSITIVE),
    Metric(
        "latency_ms",
        "ms",
        "lower",
        "of a batch as the network runs: a gated one computes every filter, a pruned one is smaller",
        split="none",
        timed=True,
        bounds=POSITIVE,
    ),
    Metric(
        "latency_ratio",
        "ratio",
        "lower",
        "latency over that of the dense network, measured in turns",
        split="none",
        timed=True,
        bounds=POSITIVE,
    ),
)

_AT_THE_LAST_TARGET = {
    "test_accuracy": "top-1",
    "flops_reduction": "reached on test images",
    "predicted_reduction": "before training",
    "flops_std": "over test images",
    "mask_accuracy": "filters as the ground truth has them",
    "constant_mask_accuracy": "of the best mask for all inputs",
    "empty_layers": "layers left without a filter",
    "latency_ratio": "time of a batch over the dense network's, in turns",
}


def _mean(name: str, text: str, **where: Any) -> Statistic:
    of = next(metric for metric in METRICS if metric.name == name)
    return Statistic(name=name, estimate=on_curves(Mean(name, where)), unit=of.unit, better=of.better, description=text, bounds=of.bounds)


def _figure(id: str, title: str, y: str, **about: Any) -> Figure:
    return Figure(id=id, title=title, **{"x": "reduction", "y": y, "view": CURVES, **about})


_REACHED = {"at": "flops_reduction", "caption": "Placed at the reduction reached on test images, predictors counted."}

PRUNE = Experiment(
    "prune",
    params=Params,
    metrics=METRICS,
    run="tasks.pruning.dynamic_pruning_ftwt.experiment:run",
    requires=requires_dense,
    seconds=seconds,
    memory=memory,
    statistics=[
        *(
            Statistic(
                name=f"drop_at_{reduction}",
                estimate=on_curves(drop_at(reduction)),
                unit="points",
                better="lower",
                description=f"accuracy lost to the dense network at a FLOPs reduction of {reduction} %, along the method's own curve",
            )
            for reduction in (60, 30)
        ),
        *(_mean(name, f"{text}, aiming at {TARGETS[-1]:.0%}", reduction=TARGETS[-1]) for name, text in _AT_THE_LAST_TARGET.items()),
        _mean("dense_accuracy", "of the seed"),
    ],
    figures=[
        _figure(
            "accuracy-static",
            "Accuracy over FLOPs: FTWT and static pruning",
            "test_accuracy",
            methods=(DENSE, "ftwt-code", "ftwt-no-softmax", *STATIC),
            **_REACHED,
        ),
        _figure(
            "accuracy-dynamic",
            "Accuracy over FLOPs: predictors, controls and L1",
            "test_accuracy",
            methods=(DENSE, *GATED, "l1"),
            **_REACHED,
        ),
        _figure("reached", "FLOPs reduction reached", "flops_reduction", methods=tuple(GATED)),
        _figure("masks", "Agreement of masks with the ground truth", "mask_accuracy"),
        _figure("spread", "Spread of an input's FLOPs", "flops_std"),
        _figure("latency", "Time of a batch over the dense network's", "latency_ratio"),
        _figure("curve", "Training loss", "train_loss", x="step", caption="Mean over the reductions of the scale."),
    ],
)

TASK = Task(
    id="dynamic-pruning-ftwt",
    version=2,
    paper=Paper(
        arxiv="2110.08232",
        title="Fire Together Wire Together: A Dynamic Pruning Approach with Self-Supervised Mask Prediction",
        year=2022,
        authors="Elkerdawy, Elhoushi, Zhang, Ray",
        code="https://github.com/selkerdawy/FTWT",
    ),
    methods=METHODS,
    experiments=(PRUNE,),
    scales=scales(PRUNE),
    claims=claims(PRUNE),
    summary="Whether predicting, for each input, which filters to compute beats removing filters for good at equal FLOPs.",
)
