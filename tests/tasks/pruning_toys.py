"""A toy pruning task on planted images, and networks with lived-in weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from harness import params
from harness.artifacts import Artifacts
from harness.checkpoints import Checkpoints
from harness.plan import DataRef, TrialSpec
from harness.store import StudyStore
from harness.task import Experiment, Grid, Method, Paper, Scale, Task, param
from harness.trial import Trial
from tasks.blocks.complexity import Shape
from tasks.blocks.convnets import ConvUnit, convnet
from tasks.blocks.training import generator
from tasks.datasets.images import Images
from tasks.pruning.axes import Axis
from tasks.pruning.params import Network, requires_dense

MakeTrial = Callable[..., Trial]
SHAPE = (3, 16, 16)
NETS = ("vgg7", "resnet8", "resnet50", "mobilenet-v1", "mobilenet-v2", "mlp")
REF = DataRef("planted", "planted", "synthetic", "0")
TINY = {"arch": "mlp", "width": 0.1, "dense_epochs": 4.0, "dense_lr": 0.1, "batch": 16, "decay": 0.0}


@dataclass(frozen=True, kw_only=True)
class Params(Network):
    """The network and one parameter of its pruning."""

    reduction: float = param(0.5, "share of the multiply-adds to save", low=0.0, high=1.0)


PRUNE = Experiment("prune", params=Params, metrics=[], run="tasks.pruning.dense:train_dense", requires=requires_dense)
TASK = Task(
    id="toy-pruning",
    version=1,
    paper=Paper(arxiv="0", title="Toy", year=2026),
    methods=[Method("dense", "baseline"), Method("l1", "baseline"), Method("ours", "proposed")],
    experiments=[PRUNE],
    scales={
        "smoke": Scale(
            description="toy",
            seeds=2,
            time_limit_s=60,
            grids=[Grid(PRUNE, axes={"reduction": (0.3, 0.5)}, points=[TINY], methods=["l1", "ours"], data="planted")],
        )
    },
    claims=[],
)


def planted(*, train: int = 100, val: int = 30, test: int = 40) -> Images:
    """4 x 4 grey images; the class says which of four quadrants is bright. The first pixel's noise makes every image unique."""
    draw = np.random.default_rng(0)
    pixels, labels = {}, {}
    for split, count in (("train", train), ("val", val), ("test", test)):
        labels[split] = draw.integers(0, 4, count)
        pixels[split] = draw.integers(0, 100, (count, 4, 4, 1)).astype(np.uint8)
        for image, label in zip(pixels[split], labels[split], strict=True):
            row, column = 2 * (label // 2), 2 * (label % 2)
            image[row : row + 2, column : column + 2] += 120
    values = pixels["train"].astype(float) / 255.0
    return Images(pixels, labels, 4, (float(values.mean()),), (float(values.std()),))


def maker(folder: Path, images: Images) -> MakeTrial:
    """Trials of the toy task; what they keep and their checkpoints lie under `folder`."""
    store = StudyStore(str(folder), "study")

    def make(method: str, values: Mapping[str, Any] | None = None, *, seed: int = 0, requires: str = "") -> Trial:
        resolved = params.resolve(PRUNE, TINY | dict(values or {}))
        spec = TrialSpec(
            task=TASK.id,
            version=1,
            scale="smoke",
            experiment="prune",
            method=method,
            params=resolved,
            seed=seed,
            data=REF,
            requires=requires,
        )
        return Trial(PRUNE, spec, open_data=lambda _: images, artifacts=Artifacts(store), checkpoints=Checkpoints(store))

    return make


def lived_in(arch: str, shape: Shape, *, width: float = 0.1, norm: bool = True, classes: int = 10) -> nn.Module:
    """A float64 network in evaluation mode whose running statistics, gains, biases and weights are all away from where they start."""
    stream = generator(7)
    model = convnet(arch, shape=shape, num_classes=classes, width=width, norm=norm, stream=stream).double()
    with torch.no_grad():
        for name, value in [*model.named_parameters(), *model.named_buffers()]:
            if name.endswith("running_var") or (name.endswith("norm.weight")):
                value.copy_(0.5 + torch.rand(value.shape, generator=stream, dtype=torch.float64))
            elif name.endswith("bias") or name.endswith("running_mean"):
                value.copy_(0.3 * torch.randn(value.shape, generator=stream, dtype=torch.float64))
    return model.eval()


class Flattened(nn.Module):
    """A convolution whose 4 x 4 positions all reach a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.unit = ConvUnit(3, 6, 3)
        self.hidden = nn.Linear(6 * 16, 9)
        self.head = nn.Linear(9, 10)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, 3, 16, 16) -> (batch, 10)."""
        logits: Tensor = self.head(F.relu(self.hidden(F.max_pool2d(self.unit(images), 4).flatten(1))))
        return logits


def net(arch: str, *, norm: bool = True) -> nn.Module:
    return Flattened().double().eval() if arch == "flattened" else lived_in(arch, SHAPE, norm=norm)


def third(axes: list[Axis], *, shift: int = 0) -> dict[str, Tensor]:
    """About a third of every axis, at random places, moved on by `shift`."""
    draw = generator(3)
    return {a.name: ((torch.randperm(a.size, generator=draw)[: max(1, a.size // 3)] + shift) % a.size).sort().values for a in axes}
