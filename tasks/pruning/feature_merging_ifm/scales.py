"""The sizes at which the task runs, and what a trial costs there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.task import Experiment, Grid, Resources, Scale
from tasks.blocks.hardware import H100
from tasks.pruning.feature_merging_ifm.claims import IMAGENET, IMAGENET_NETWORKS
from tasks.pruning.feature_merging_ifm.methods import MERGING, REDUCING, WITHOUT_NORM
from tasks.pruning.params import DENSE


@dataclass(frozen=True, kw_only=True)
class Studied:
    """One kind of dense network and all that is done to it; what has no values is left out."""

    network: Mapping[str, Any]
    data: str
    at: Sequence[float]
    """The betas at which complexity is compared between widths and decays: from hardly anything merges to most of it has, because the
    answer depends on it."""
    kept: Sequence[float] = ()
    betas: Sequence[float] = ()
    widths: Sequence[float] = ()
    decays: Sequence[float] = ()
    beta_view: str = "beta"
    resources: Resources | None = None
    """What a trial of these occupies; None: what the scale says."""

    def grids(self, share: Experiment, duplicates: Experiment, threshold: Experiment) -> list[Grid]:
        """The dense network, and every method's trials on it. Without BatchNorm some methods are ifm, or have nothing to restore."""
        norm = self.network.get("norm", True)
        points, data = [self.network], self.data
        grids = [Grid(share, points=points, methods=[DENSE], data=data)]
        if self.kept:
            grids += [
                Grid(share, points=points, axes={"kept": self.kept}, methods=REDUCING if norm else WITHOUT_NORM, data=data),
                Grid(duplicates, points=points, methods=MERGING if norm else MERGING[:1], data=data),
            ]
        views: dict[str, dict[str, Sequence[float]]] = {
            self.beta_view: {"beta": self.betas},
            "width": {"width": self.widths, "beta": self.at},
            "decay": {"decay": self.decays, "beta": self.at},
        }
        merging = MERGING[:2] if norm else MERGING[:1]
        for view, axes in views.items():
            if all(axes.values()):
                grids.append(Grid(threshold, view=view, points=points, axes=axes, methods=merging, data=data))
        return [replace(grid, resources=self.resources) for grid in grids]


_BETAS = (0.01, 0.03, 0.05, 0.07, 0.1, 0.12, 0.15, 0.18, 0.2, 0.22, 0.24, 0.26, 0.3)
"""Of the published sweep, which goes from 0.001 to 0.3. Narrow networks need larger ones: their distances differ less."""
_NARROW_BETAS = (0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.8)
_AT, _AT_NARROW, _AT_PLAIN = (0.1, 0.15, 0.2), (0.3, 0.4, 0.5), (0.03, 0.05, 0.07)
_KEPT = (0.75, 0.5, 0.25, 0.125)
_WIDTHS = (0.25, 0.5, 1.0, 2.0)

IMAGENET_BATCH = 256
"""It tells the trials on ImageNet from those on CIFAR-10."""
_PLAIN = {"arch": "mlp", "norm": False, "width": 1.0, "dense_lr": 0.1}
_SMOKE = (
    Studied(
        network={"arch": "vgg7", "width": 0.125, "dense_epochs": 8.0, "decay": 5e-3},
        data="digits",
        at=(0.4, 0.5),
        kept=(0.75, 0.5),
        betas=(0.4, 0.5, 0.6, 0.8),
        widths=(0.125, 0.25),
        decays=(5e-4, 5e-3, 2e-2),
    ),
    Studied(
        network=_PLAIN | {"dense_epochs": 20.0, "decay": 5e-3},
        data="digits",
        at=(0.1, 0.2),
        kept=(0.5, 0.25, 0.125),
        betas=(0.05, 0.1, 0.2, 0.4, 0.8),
        widths=(0.5, 1.0),
        decays=(1e-3, 5e-3, 1e-2),
    ),
)

_VGG7 = {"arch": "vgg7", "width": 0.25, "dense_epochs": 5.0, "decay": 5e-3, "train_images": 5000, "eval_images": 800}
_LAPTOP = (
    Studied(
        network=_VGG7,
        data="fashion-mnist",
        at=_AT_NARROW,
        kept=(0.9, 0.75, 0.6, 0.5),
        betas=_NARROW_BETAS,
        widths=(0.0625, 0.125, 0.25, 0.375),
    ),
    Studied(network=_VGG7 | {"width": 0.125}, data="fashion-mnist", at=_AT_NARROW, decays=(1e-3, 2e-3, 5e-3, 1e-2, 2e-2)),
    Studied(
        network=_PLAIN | {"dense_epochs": 10.0, "decay": 2e-3, "train_images": 10_000, "eval_images": 2000},
        data="fashion-mnist",
        at=_AT_PLAIN,
        kept=_KEPT,
        betas=(0.02, *_BETAS[1:]),
        widths=_WIDTHS,
        decays=(5e-4, 1e-3, 2e-3, 5e-3, 1e-2),
    ),
)

_GPU = (
    Studied(
        network={"arch": "vgg16", "width": 1.0, "batch": 128, "dense_epochs": 30.0, "dense_lr": 0.1, "augment": True},
        data="photo-patch",
        at=_AT,
        kept=_KEPT,
        betas=_BETAS,
        widths=(0.125, 0.25, 0.5, 1.0),
        decays=(1e-4, 5e-4, 2e-3, 5e-3),
    ),
    Studied(
        network=_PLAIN | {"width": 2.0, "decay": 2e-3, "dense_epochs": 10.0},
        data="fashion-mnist",
        at=_AT_PLAIN,
        kept=_KEPT,
        betas=_BETAS,
        widths=_WIDTHS,
        decays=(5e-4, 1e-3, 2e-3, 5e-3),
    ),
)

_PUBLISHED_TRAINING = {"batch": 128, "dense_epochs": 160.0, "dense_lr": 0.1, "dense_schedule": "steps", "decay": 1e-4}
_PUBLISHED = _PUBLISHED_TRAINING | {"width": 1.0, "augment": True}
_IMAGENET_TRAINING = {"batch": IMAGENET_BATCH, "dense_epochs": 90.0, "dense_lr": 0.1, "dense_schedule": "steps", "decay": 1e-4}
_IMAGENET_BETAS = (0.01, 0.03, 0.05, 0.07, 0.1, 0.12, 0.14, 0.15, 0.18, 0.2, 0.25, 0.3)
"""Those of the authors' script for ImageNet, and two beyond, so that the curve reaches what cannot go."""
_PAPER = (
    Studied(
        network=_PUBLISHED | {"arch": "vgg16"},
        data="cifar10",
        at=_AT,
        kept=_KEPT,
        betas=(0.001, *_BETAS),
        widths=_WIDTHS,
        decays=(1e-5, 1e-4, 5e-4, 2e-3),
    ),
    *(
        Studied(network=_PUBLISHED | {"arch": arch}, data="cifar10", at=_AT, kept=_KEPT)
        for arch in ("vgg11", "vgg13", "vgg19", "resnet18", "resnet34", "resnet50")
    ),
    *(
        Studied(
            network=_IMAGENET_TRAINING | {"arch": arch, "width": 1.0, "precision": "bfloat16"},
            data="imagenet",
            at=(),
            betas=_IMAGENET_BETAS,
            beta_view=IMAGENET,
            resources=Resources(cpus=16, gpus=1),
        )
        for arch in IMAGENET_NETWORKS
    ),
)


def scales(*experiments: Experiment) -> dict[str, Scale]:
    """The scales, with grids of the experiments `share`, `duplicates` and `threshold`."""

    def grids(studied: Sequence[Studied]) -> list[Grid]:
        return [grid for one in studied for grid in one.grids(*experiments)]

    return {
        "smoke": Scale(
            description="Does it run: VGG7 of 8 to 32 channels with BatchNorm, and two layers of 256 units without, on 8 x 8 digits",
            grids=grids(_SMOKE),
            seeds=3,
            time_limit_s=60,
        ),
        "laptop": Scale(
            description="VGG7 of 16 to 64 channels with BatchNorm and two layers of 256 units without, on Fashion-MNIST",
            grids=grids(_LAPTOP),
            seeds=5,
            time_limit_s=300,
        ),
        "gpu": Scale(
            description="VGG16 with BatchNorm on photo-patch, two layers of 512 units without on Fashion-MNIST, eight trials to a card",
            grids=grids(_GPU),
            seeds=3,
            time_limit_s=600,
            resources=Resources(cpus=1, gpus=0.125),
            hardware=H100,
        ),
        "paper": Scale(
            description="VGG11-19 and ResNet18-50 on CIFAR-10, the sweeps on VGG16; ResNet18-50 on ImageNet-1k (bring both with --data)",
            grids=grids(_PAPER),
            seeds=3,
            time_limit_s=4 * 24 * 3600,
            resources=Resources(cpus=4, gpus=0.25),
            hardware=H100,
        ),
    }


_IMAGES = {"smoke": (1292, 64), "laptop": (53_700, 784), "gpu": (5000, 1024), "paper": (45_000, 1024)}
"""Training images and pixels of one, of each scale's larger set."""


def seconds(scale: str, method: str, params: Mapping[str, Any]) -> float:
    """Expected seconds of one trial: measured on a core of an EPYC server; on a GPU, estimates for an H200."""
    if params["batch"] == IMAGENET_BATCH:
        return _imagenet_seconds(method, params)
    images, pixels = _IMAGES[scale]
    width, deep, gpu = float(params["width"]), params["arch"] != "mlp", scale in ("gpu", "paper")
    steps = float(params["dense_epochs"]) * (float(params["train_images"]) or images) / float(params["batch"])
    step = 0.015 if gpu else _cpu_step(width, pixels, deep)
    if method == DENSE:
        return (6.0 if gpu else 0.3) + (0.0 if params["checkpoint"] else steps * step)
    held_out = (float(params["eval_images"]) or 0.2 * images) / 64 * step
    merging = (5.0 if deep else 0.3) * width**2 if gpu else 0.1 + 0.3 * width
    return 0.1 + held_out + merging


_PER_PHOTOGRAPH = 6e-4
"""Seconds to learn from one on an H100, an estimate; measuring takes a third."""


def _imagenet_seconds(method: str, params: Mapping[str, Any]) -> float:
    """Training, where there is any, both held-out splits, and merging up to 512 channels a layer."""
    held_out = 80_000 * _PER_PHOTOGRAPH / 3
    training = 0.0 if method != DENSE or params["checkpoint"] else float(params["dense_epochs"]) * 1_250_000 * _PER_PHOTOGRAPH
    return 30.0 + held_out + training + (0.0 if method == DENSE else 60.0)


def _cpu_step(width: float, pixels: int, deep: bool) -> float:
    """A training step of 64 images: VGG7 by its width and pixels, or two hidden layers of 256 x width."""
    return (0.007 + 0.05 * width + 0.3 * width**2) * (pixels / 784) + 0.001 if deep else 0.0006 + 0.0006 * width**2
