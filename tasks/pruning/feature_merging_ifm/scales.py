"""The sizes at which the task runs, and what a trial costs there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.task import Grid, Resources, Scale
from tasks.pruning.feature_merging_ifm.designs import MERGING, WITH_NORM, WITHOUT_NORM
from tasks.pruning.params import DENSE

_FOLDED = ("ifm", "ifm-folded")
_BETAS = (0.01, 0.03, 0.05, 0.07, 0.1, 0.12, 0.15, 0.18, 0.2, 0.22, 0.24, 0.26, 0.3)
"""Of the published sweep, which goes from 0.001 to 0.3. Narrow networks need larger ones: their distances differ less."""
_AT, _AT_NARROW, _AT_PLAIN = (0.1, 0.15, 0.2), (0.3, 0.4, 0.5), (0.03, 0.05, 0.07)
"""Where complexity is compared between networks: from hardly anything merges to most of it has, because the answer depends on it."""
_KEPT = (0.75, 0.5, 0.25, 0.125)


def _grids(
    network: Mapping[str, Any],
    data: str,
    *,
    at: Sequence[float],
    kept: Sequence[float] = (),
    betas: Sequence[float] = (),
    widths: Sequence[float] = (),
    decays: Sequence[float] = (),
) -> list[Grid]:
    """All parts on one kind of network; those without values are left out. `at` are the betas of the parts width and training."""
    norm = bool(network.get("norm", True))
    methods, merging = (WITH_NORM, _FOLDED) if norm else (WITHOUT_NORM, MERGING[:1])
    base = dict(network)
    grids = [Grid(points=[base], methods=[DENSE], data=data)]
    if kept:
        grids.append(Grid(points=[base | {"part": "kept"}], axes={"kept": kept}, methods=methods, data=data))
        planted = base | {"part": "duplicates", "copies": 2, "kept": 0.5}
        grids.append(Grid(points=[planted], methods=MERGING if norm else MERGING[:1], data=data))
    if betas:
        grids.append(Grid(points=[base | {"part": "threshold"}], axes={"beta": betas}, methods=merging, data=data))
    if widths:
        grids.append(Grid(points=[base | {"part": "width"}], axes={"width": widths, "beta": at}, methods=merging, data=data))
    if decays:
        grids.append(Grid(points=[base | {"part": "training"}], axes={"decay": decays, "beta": at}, methods=merging, data=data))
    return grids


_SMOKE_BN = {"arch": "vgg7", "width": 0.125, "dense_epochs": 8.0, "decay": 5e-3}
_SMOKE_PLAIN = {"arch": "mlp", "norm": False, "width": 1.0, "dense_epochs": 20.0, "dense_lr": 0.1, "decay": 5e-3}
SMOKE = Scale(
    description="Does it run: VGG7 of 8 to 32 channels with BatchNorm, and two layers of 256 units without, on 8 x 8 digits",
    grids=[
        *_grids(
            _SMOKE_BN,
            "digits",
            at=(0.4, 0.5),
            kept=(0.75, 0.5),
            betas=(0.4, 0.5, 0.6, 0.8),
            widths=(0.125, 0.25),
            decays=(5e-4, 5e-3, 2e-2),
        ),
        *_grids(
            _SMOKE_PLAIN,
            "digits",
            at=(0.1, 0.2),
            kept=(0.5, 0.25, 0.125),
            betas=(0.05, 0.1, 0.2, 0.4, 0.8),
            widths=(0.5, 1.0),
            decays=(1e-3, 5e-3, 1e-2),
        ),
    ],
    seeds=3,
    time_limit_s=60,
)

_LAPTOP_BN = {"arch": "vgg7", "width": 0.25, "dense_epochs": 5.0, "decay": 5e-3, "train_images": 5000, "eval_images": 800}
_LAPTOP_PLAIN = _SMOKE_PLAIN | {"dense_epochs": 10.0, "decay": 2e-3, "train_images": 10_000, "eval_images": 2000}
_NARROW_BETAS = (0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.8)
LAPTOP = Scale(
    description="VGG7 of 16 to 64 channels with BatchNorm and two layers of 256 units without, on Fashion-MNIST",
    grids=[
        *_grids(
            _LAPTOP_BN, "fashion-mnist", at=_AT_NARROW, kept=(0.9, 0.75, 0.6, 0.5), betas=_NARROW_BETAS, widths=(0.0625, 0.125, 0.25, 0.375)
        ),
        *_grids(_LAPTOP_BN | {"width": 0.125}, "fashion-mnist", at=_AT_NARROW, decays=(1e-3, 2e-3, 5e-3, 1e-2, 2e-2)),
        *_grids(
            _LAPTOP_PLAIN,
            "fashion-mnist",
            at=_AT_PLAIN,
            kept=_KEPT,
            betas=(0.02, *_BETAS[1:]),
            widths=(0.25, 0.5, 1.0, 2.0),
            decays=(5e-4, 1e-3, 2e-3, 5e-3, 1e-2),
        ),
    ],
    seeds=5,
    time_limit_s=300,
)

_GPU_BN = {"arch": "vgg16", "width": 1.0, "batch": 128, "dense_epochs": 30.0, "dense_lr": 0.1, "augment": True}
_GPU_PLAIN = _SMOKE_PLAIN | {"width": 2.0, "decay": 2e-3, "dense_epochs": 10.0}
GPU = Scale(
    description="VGG16 with BatchNorm on photo-patch, two layers of 512 units without on Fashion-MNIST, eight trials to a card",
    grids=[
        *_grids(
            _GPU_BN,
            "photo-patch",
            at=_AT,
            kept=_KEPT,
            betas=_BETAS,
            widths=(0.125, 0.25, 0.5, 1.0),
            decays=(1e-4, 5e-4, 2e-3, 5e-3),
        ),
        *_grids(
            _GPU_PLAIN,
            "fashion-mnist",
            at=_AT_PLAIN,
            kept=_KEPT,
            betas=_BETAS,
            widths=(0.25, 0.5, 1.0, 2.0),
            decays=(5e-4, 1e-3, 2e-3, 5e-3),
        ),
    ],
    seeds=3,
    time_limit_s=600,
    resources=Resources(cpus=1, gpus=0.125),
)

_PUBLISHED_TRAINING = {"batch": 128, "dense_epochs": 160.0, "dense_lr": 0.1, "dense_schedule": "steps", "decay": 1e-4}
_PAPER = _PUBLISHED_TRAINING | {"width": 1.0, "augment": True}
_OTHERS = ("vgg11", "vgg13", "vgg19", "resnet18", "resnet34", "resnet50")
PAPER = Scale(
    description="VGG11-19 and ResNet18-50 on CIFAR-10 (bring it with --data), 160 epochs; betas, widths and decays on VGG16",
    grids=[
        *_grids(
            _PAPER | {"arch": "vgg16"},
            "cifar10",
            at=_AT,
            kept=_KEPT,
            betas=(0.001, *_BETAS),
            widths=(0.25, 0.5, 1.0, 2.0),
            decays=(1e-5, 1e-4, 5e-4, 2e-3),
        ),
        *(grid for arch in _OTHERS for grid in _grids(_PAPER | {"arch": arch}, "cifar10", at=_AT, kept=_KEPT)),
    ],
    seeds=3,
    time_limit_s=24 * 3600,
    resources=Resources(cpus=4, gpus=1),
)

SCALES = {"smoke": SMOKE, "laptop": LAPTOP, "gpu": GPU, "paper": PAPER}

_IMAGES = {"smoke": (1292, 64), "laptop": (53_700, 784), "gpu": (5000, 1024), "paper": (45_000, 1024)}
"""Training images and pixels of one, of each scale's larger set."""


def seconds(scale: str, method: str, params: Mapping[str, Any]) -> float:
    """Expected seconds of one trial: measured on a core of an EPYC server; on a GPU, estimates for an H200."""
    images, pixels = _IMAGES[scale]
    width, deep = float(params["width"]), params["arch"] != "mlp"
    steps = float(params["dense_epochs"]) * (float(params["train_images"]) or images) / float(params["batch"])
    gpu = bool(SCALES[scale].resources.gpus)
    step = 0.015 if gpu else _cpu_step(width, pixels, deep)
    if method == DENSE:
        return (6.0 if gpu else 0.3) + steps * step
    held_out = (float(params["eval_images"]) or 0.2 * images) / 64 * step
    merging = (5.0 if deep else 0.3) * width**2 if gpu else 0.1 + 0.3 * width
    return 0.1 + held_out + merging


def _cpu_step(width: float, pixels: int, deep: bool) -> float:
    """A training step of 64 images: VGG7 by its width and pixels, or two hidden layers of 256 x width."""
    return (0.007 + 0.05 * width + 0.3 * width**2) * (pixels / 784) + 0.001 if deep else 0.0006 + 0.0006 * width**2
