"""The sizes at which the task runs, and what a trial costs there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.params import resolve
from harness.task import Experiment, Grid, Resources, Scale
from tasks.blocks.hardware import H100
from tasks.blocks.memory import gib
from tasks.pruning.memory import peak_gib, side

PENALISED: Mapping[str, Sequence[str]] = {
    "envelope": ("wgsef", "wgsef-hspg"),
    "selector": ("wgsef-finetune",),
    "lasso": ("group-lasso", "hspg"),
    "lasso-selector": ("group-lasso-finetune",),
}
"""Methods with a lam to choose. The penalties differ in size, and one that only selects may be weaker: each has its own range."""
HALF_SPACE = ("wgsef-hspg", "hspg")
_SWITCHES: Mapping[int, Sequence[float]] = {3: (0.25, 0.5, 0.75), 5: (0.1, 0.25, 0.5, 0.75, 0.9)}
"""When plain training is cut, for methods that have no lam: as many values as the others have lam."""
_RATES: Mapping[int, Sequence[float]] = {3: (0.5, 1.0, 2.0), 5: (0.25, 0.5, 1.0, 2.0, 4.0)}
"""Rates of the network from scratch, over that of the dense one."""

Sweeps = Mapping[str, Sequence[float]]
Network = Mapping[str, Any]


def _networks(train: Experiment, view: str, network: Network, data: str, sweeps: Sweeps, without: Sequence[str] = ()) -> list[Grid]:
    """Every method on one network, each with as many settings to choose among, the dense one and the truncation with one.

    `network` may hold `keep` too; methods in `without` are left out.
    """
    dense = {name: value for name, value in network.items() if name != "keep"}
    draws = len(sweeps["envelope"])
    rates = [float(resolve(train, dict(dense))["dense_lr"]) * factor for factor in _RATES[draws]]
    scratch = [{**network, "dense_lr": rate} for rate in rates]
    cut: Mapping[str, Sequence[float]] = {"switch": _SWITCHES[draws]}
    return [
        Grid(train, view=view, points=[dense], methods=["dense"], data=data),
        Grid(train, view=view, points=[network], methods=["one-shot"], data=data),
        Grid(train, view=view, points=scratch, methods=["k-from-scratch"], data=data),
        Grid(train, view=view, points=[network], axes=cut, methods=["magnitude-finetune", "random-finetune"], data=data),
        *(
            Grid(
                train,
                view=view,
                points=[network],
                axes={"lam": sweep},
                methods=[name for name in PENALISED[kind] if name not in without],
                data=data,
            )
            for kind, sweep in sweeps.items()
        ),
    ]


def _timings(cost: Experiment, sizes: Sequence[int]) -> list[Grid]:
    """Timings; the slow rival, which no claim reads, in fewer calls."""
    rounds = {"wgsef": 15, "group-lasso": 15, "wgsef-sorted": 3}
    return [Grid(cost, points=[{"rounds": calls}], axes={"groups": sizes}, methods=[method]) for method, calls in rounds.items()]


_UNITS: Network = {"arch": "mlp", "width": 0.25, "dense_lr": 0.1, "keep": 0.125}
_ON_UNITS: Sweeps = {
    "envelope": (0.15, 0.3, 1.0),
    "selector": (0.03, 0.1, 0.3),
    "lasso": (0.025, 0.045, 0.07),
    "lasso-selector": (0.01, 0.025, 0.045),
}
_SMALL: Network = {"arch": "vgg7", "width": 0.25, "batch": 32, "dense_epochs": 5.0, "train_images": 3000, "eval_images": 1500}
_ON_FILTERS: Sweeps = {
    "envelope": (0.2, 0.4, 1.0),
    "selector": (0.03, 0.1, 0.3),
    "lasso": (0.02, 0.021, 0.023),
    "lasso-selector": (0.003, 0.01, 0.02),
}
_GPU: Network = {"batch": 128, "precision": "bfloat16", "augment": True}
_WIDE: Sweeps = {
    "envelope": (0.1, 0.3, 1.0),
    "selector": (0.03, 0.1, 0.3),
    "lasso": (0.003, 0.01, 0.03),
    "lasso-selector": (0.003, 0.01, 0.03),
}
_PAPER: Network = {"width": 1.0, "dense_lr": 0.1, "dense_epochs": 200.0, "batch": 128, "augment": True}
_WIDEST: Sweeps = {
    "envelope": (0.01, 0.03, 0.1, 0.3, 1.0),
    "selector": (0.01, 0.03, 0.1, 0.3, 1.0),
    "lasso": (0.0003, 0.001, 0.003, 0.01, 0.03),
    "lasso-selector": (0.0003, 0.001, 0.003, 0.01, 0.03),
}
_SHARES = {"gpu": Resources(cpus=1, gpus=0.125), "paper": Resources(cpus=8, gpus=1)}


def scales(train: Experiment, cost: Experiment) -> dict[str, Scale]:
    """The four scales."""
    published = [(arch, keep) for arch in ("vgg16", "resnet18", "mobilenet-v1") for keep in (0.125, 0.25, 0.5)]
    half = {"arch": "vgg16", "width": 0.5, "train_images": 20_000, "dense_epochs": 6.0}
    resnet = {"arch": "resnet20", "width": 1.0, "dense_epochs": 30.0}
    return {
        "smoke": Scale(
            description="Does it run: two hidden layers of 64 units on 8 x 8 digits, k = 8 of each",
            grids=[
                *_networks(train, "units", {**_UNITS, "dense_epochs": 20.0}, "digits", _ON_UNITS),
                *_timings(cost, (16_384, 131_072, 1_048_576)),
            ],
            seeds=3,
            time_limit_s=60,
        ),
        "laptop": Scale(
            description="The same for longer, and six convolutions of 16 to 64 filters on Fashion-MNIST, a quarter of the "
            "filters kept, there without half-space steps",
            grids=[
                *_networks(train, "units", {**_UNITS, "dense_epochs": 60.0}, "digits", _ON_UNITS),
                *_networks(train, "filters", _SMALL, "fashion-mnist", _ON_FILTERS, HALF_SPACE),
                *_timings(cost, (16_384, 65_536, 262_144, 1_048_576)),
            ],
            seeds=5,
            time_limit_s=300,
        ),
        "gpu": Scale(
            description="Half-width VGG16 on Fashion-MNIST and ResNet-20 on photo patches, a quarter of the filters kept; "
            "eight trials to a card",
            grids=[
                *_networks(train, "filters", {**_GPU, **half}, "fashion-mnist", _WIDE),
                *_networks(train, "filters", {**_GPU, **resnet}, "photo-patch", _WIDE),
                *_timings(cost, (1_048_576, 4_194_304, 16_777_216)),
            ],
            seeds=3,
            time_limit_s=600,
            resources=_SHARES["gpu"],
            hardware=H100,
        ),
        "paper": Scale(
            description="VGG16, ResNet-18 and MobileNetV1 on CIFAR-10 (bring it with --data), 200 epochs, three k and five lam each",
            grids=[
                *(
                    grid
                    for arch, keep in published
                    for grid in _networks(train, "filters", {**_PAPER, "arch": arch, "keep": keep}, "cifar10", _WIDEST)
                ),
                *_timings(cost, (1_048_576, 4_194_304, 16_777_216, 67_108_864)),
            ],
            seeds=3,
            time_limit_s=2 * 24 * 3600,
            resources=_SHARES["paper"],
            hardware=H100,
        ),
    }


_TRAIN_IMAGES = {"mlp": 1300, "vgg7": 3000, "vgg16": 55_000, "resnet20": 5000, "resnet18": 45_000, "mobilenet-v1": 45_000}
"""Training images of the data that the scales give each architecture, where no parameter says how many."""
_IMAGE_SECONDS = {"mlp": 1.1e-5, "vgg7": 7.0e-4}
"""Forward, backward and step on one quiet core of an EPYC server."""
_TRAINED = {"one-shot": 0.0, "k-from-scratch": 0.5}
"""What a method trains, as a share of the dense network's training, where it is not all of it."""
_GPU_FLOPS = {"vgg16": 3.1e8, "resnet20": 4.1e7, "resnet18": 5.6e8, "mobilenet-v1": 4.7e7}
"""Multiply-adds of one 32 x 32 image at width 1."""


def seconds_cost(scale: str, _method: str, params: Mapping[str, Any]) -> float:
    """Expected seconds of one timing."""
    gpu = scale in _SHARES
    return (2.0 if gpu else 0.2) + float(params["rounds"]) * float(params["groups"]) * (1e-9 if gpu else 1e-7)


def seconds_train(scale: str, method: str, params: Mapping[str, Any]) -> float:
    """Expected seconds of one training: measured on a core of an EPYC server; on a GPU, estimates for an H200."""
    arch = params["arch"]
    images = _TRAINED.get(method, 1.0) * float(params["train_images"] or _TRAIN_IMAGES.get(arch, 50_000)) * float(params["dense_epochs"])
    if scale not in _SHARES:
        return 0.3 + images * _IMAGE_SECONDS.get(arch, 7e-4) * max(1.0, 4.0 * float(params["width"])) + (1.0 if arch != "mlp" else 0.0)
    steps = images / float(params["batch"])
    arithmetic = 6.0 * images * _GPU_FLOPS.get(arch, 5e8) * float(params["width"]) ** 2 / (1e14 * _SHARES[scale].gpus)
    return 5.0 + max(steps * 0.025, arithmetic)


def memory_cost(_scale: str, _method: str, params: Mapping[str, Any]) -> float:
    """Expected peak GiB of one timing: norms, their order and a dozen rows in double precision beside them."""
    return gib(_BYTES_A_GROUP * float(params["groups"]))


def memory_train(scale: str, method: str, params: Mapping[str, Any]) -> float:
    """Expected peak GiB of one training: half-space steps hold the groups as they were before the step, and their products."""
    return peak_gib(params, side(scale, params), networks=7.0 if method in HALF_SPACE else 5.0)


_BYTES_A_GROUP = 100.0
