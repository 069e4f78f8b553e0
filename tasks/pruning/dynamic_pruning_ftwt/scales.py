"""The sizes at which the task runs, and what a trial costs there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from harness.task import Experiment, Grid, Resources, Scale
from tasks.blocks.hardware import H100
from tasks.pruning.dynamic_pruning_ftwt.claims import CURVES, TARGETS
from tasks.pruning.dynamic_pruning_ftwt.methods import CRITERIA, GATED, SCRATCH, SFP
from tasks.pruning.dynamic_pruning_ftwt.published import CIFAR_BATCH, IMAGENET_BATCH, PUBLISHED, Published
from tasks.pruning.params import DENSE, Brought

CURVE = (0.4, 0.7, 0.9)
"""Reductions of the static curves. A dynamic method often saves more than it aims at: the last bounds what it reaches."""
SCRATCH_CURVE = (0.4, 0.7, 0.85)
"""The narrowest network from scratch has four filters a layer."""
READ_AS_CURVES = ("ftwt-uniform", "ftwt-constant")
"""Dynamic methods that claims read at another's reduction, so that their curves have to bound it too."""

_SMALL = {"arch": "vgg7", "width": 0.125, "batch": 32, "dense_lr": 0.1, "lr": 0.05}
_SMOKE = _SMALL | {"dense_epochs": 6.0, "epochs": 3.0, "eval_images": 250, "level_images": 128}
_LAPTOP = _SMALL | {"dense_epochs": 8.0, "epochs": 3.0, "train_images": 4000}
_GPU = {
    **{"batch": CIFAR_BATCH, "width": 1.0, "dense_epochs": 20.0, "dense_lr": 0.1, "epochs": 10.0, "lr": 0.01, "augment": True},
    **{"precision": "bfloat16", "level_images": 512, "rounds": 20},
}
_CIFAR = {
    **{"batch": CIFAR_BATCH, "width": 1.0, "dense_epochs": 200.0, "dense_lr": 0.1, "dense_schedule": "cifar-steps", "decay": 5e-4},
    **{"epochs": 200.0, "lr": 0.01, "schedule": "steps", "augment": True, "level_images": 2048, "rounds": 50},
}
_IMAGENET = _CIFAR | {
    **{
        "batch": IMAGENET_BATCH,
        "dense_epochs": 90.0,
        "dense_schedule": "steps",
        "epochs": 60.0,
        "decay": 1e-4,
        "precision": "bfloat16",
        "level_images": 512,
    },
}


def _curves(prune: Experiment, network: dict[str, Any], data: str) -> list[Grid]:
    """The dense network, dynamic methods at their targets, static ones along their curves."""
    # Only what the dense network depends on, so that this is the trial that the others need.
    alone = {field.name: network[field.name] for field in fields(Brought) if field.name in network}
    along: dict[tuple[str, ...], tuple[float, ...]] = {
        tuple(GATED): TARGETS,
        READ_AS_CURVES: CURVE[-1:],
        (*CRITERIA, SFP): CURVE,
        (SCRATCH,): SCRATCH_CURVE,
    }
    return [
        Grid(prune, view=CURVES, points=[alone], methods=(DENSE,), data=data),
        *(
            Grid(prune, view=CURVES, points=[network], axes={"reduction": reductions}, methods=methods, data=data)
            for methods, reductions in along.items()
        ),
    ]


def _at_threshold(prune: Experiment, row: Published, recipe: dict[str, Any], data: str, resources: Resources | None = None) -> Grid:
    point = recipe | {"arch": row.arch, "threshold": row.threshold}
    return Grid(prune, points=[point], methods=(row.method,), data=data, resources=resources)


def scales(prune: Experiment) -> dict[str, Scale]:
    """The scales of the one experiment."""
    return {
        "smoke": Scale(
            description="Does it run: a VGG of six narrow convolutions on 8 x 8 digits",
            grids=_curves(prune, _SMOKE, "digits"),
            seeds=3,
            time_limit_s=120,
        ),
        "laptop": Scale(
            description="A VGG of six convolutions (8 to 32 filters) on photo-patch, 8 epochs dense, then 3 of every method",
            grids=_curves(prune, _LAPTOP, "photo-patch"),
            seeds=5,
            time_limit_s=300,
        ),
        "gpu": Scale(
            description="VGG-16 swept, ResNet-56 and MobileNetV1 at a published threshold, on photo-patch; eight trials to a card",
            grids=[
                *_curves(prune, _GPU | {"arch": "vgg16"}, "photo-patch"),
                *(_at_threshold(prune, row, _GPU, "photo-patch") for row in PUBLISHED if row.at_gpu),
            ],
            seeds=3,
            time_limit_s=300,
            resources=Resources(cpus=1, gpus=0.125),
            hardware=H100,
        ),
        "paper": Scale(
            description="CIFAR-10 and ImageNet-1k at published thresholds (yours, or --only data=cifar10); VGG-16 against static methods",
            grids=[
                *_curves(prune, _CIFAR | {"arch": "vgg16"}, "cifar10"),
                *(_at_threshold(prune, row, _CIFAR, "cifar10") for row in PUBLISHED if row.batch == CIFAR_BATCH),
                *(
                    _at_threshold(prune, row, _IMAGENET, "imagenet", Resources(cpus=16, gpus=1))
                    for row in PUBLISHED
                    if row.batch == IMAGENET_BATCH
                ),
            ],
            seeds=3,
            time_limit_s=14 * 24 * 3600,
            resources=Resources(cpus=4, gpus=0.25),
            hardware=H100,
        ),
    }


_IMAGES = {"smoke": 1_200, "laptop": 5_000, "gpu": 5_000, "paper": 45_000}
_PER_IMAGE = {"smoke": 1e-4, "laptop": 4.6e-4, "gpu": 2e-4, "paper": 1.5e-4}
"""Seconds of training an image; on a GPU estimates for an H200, of which scale gpu gives a trial an eighth, CIFAR-10 at paper a quarter."""
_START = {"smoke": 0.3, "laptop": 1.0, "gpu": 5.0, "paper": 20.0}


def seconds(scale: str, method: str, params: Mapping[str, Any]) -> float:
    """Expected seconds of one trial: measured on a busy core of an EPYC server; on a GPU estimates."""
    imagenet = params["batch"] == IMAGENET_BATCH
    images = 1_250_000 if imagenet else params["train_images"] or _IMAGES[scale]
    per_image = 6e-4 if imagenet else _PER_IMAGE[scale]
    return _START[scale] + _dense_epochs(method, params) * images * per_image


def _dense_epochs(method: str, params: Mapping[str, Any]) -> float:
    """Epochs of the dense network that take as long: gates and targets cost a fifth, a narrow network saves about as much."""
    if method == DENSE:
        return 0.0 if params["checkpoint"] else float(params["dense_epochs"])
    if method == SCRATCH:
        return 0.8 * float(params["dense_epochs"] + params["epochs"])
    return float(params["epochs"]) * (1.2 if method in GATED else 1.0)
