"""The network that every pruning paper starts from: parameters that its `Params` inherits, and the trial that trains it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.task import Requirement, param
from tasks.blocks.supervision import Supervised

DENSE = "dense"
"""The method that trains the network all others prune."""

_ARCHITECTURES = (
    *("vgg7", "vgg11", "vgg13", "vgg16", "vgg19", "resnet8", "resnet20", "resnet56", "resnet18", "resnet34", "resnet50"),
    *("mobilenet-v1", "mobilenet-v2", "mlp"),
)
"""Those of `tasks.blocks.convnets`, which imports torch; a test compares them."""


@dataclass(frozen=True, kw_only=True)
class Network(Supervised):
    """A dense network and its training. The trial that trains it depends on these parameters alone, so that all methods share it."""

    arch: str = param("vgg7", "architecture of the dense network", choices=_ARCHITECTURES)
    width: float = param(0.25, "multiplier of every hidden channel count", low=0.01, high=16.0)
    norm: bool = param(True, "BatchNorm behind every convolution (false: convolutions with a bias)")
    dense_epochs: float = param(10.0, "training of the dense network", unit="epochs", low=0.0, high=10_000.0)
    dense_lr: float = param(0.05, "its peak learning rate (SGD, momentum 0.9)", low=1e-6, high=10.0)
    dense_schedule: str = param(
        "cosine",
        "its learning rate. cosine: to 0; steps: a tenth from 50 % and again from 75 % on",
        choices=("cosine", "steps", "constant"),
    )


@dataclass(frozen=True, kw_only=True)
class Brought(Network):
    """A dense network that is trained here, or that the user brings.

    The schedule `cifar-steps` is for setting results beside FTWT's CIFAR tables: with 200 epochs it is what their networks were trained by.
    """

    dense_schedule: str = param(
        "cosine",
        "its learning rate. cosine: to 0; steps: a tenth from 50 % and again from 75 % on; "
        "cifar-steps: a tenth from 81, 122 and 151 of 200 on (FTWT's authors)",
        choices=("cosine", "steps", "cifar-steps", "constant"),
    )
    checkpoint: str = param(
        "",
        "file of a trained network, which is then not trained here (torchvision's names, FTWT's or IFM's CIFAR names, or ours)",
        file=True,
    )
    checkpoint_inputs: str = param(
        "data",
        "the images it was trained on. data: as the set normalises them (ImageNet's usual mean and deviation for an ImageFolder); "
        "cifar: those of FTWT's code (deviation 0.20); unit: pixels from 0 to 1, as IFM's code has them",
        choices=("data", "cifar", "unit"),
    )


def network_fields(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters in `params` that the dense network depends on."""
    return {field.name: params[field.name] for field in dataclasses.fields(Brought) if field.name in params}


def requires_dense(method: str, params: Mapping[str, Any]) -> Requirement | None:
    """The dense network of the same parameters; the dense trial itself needs none."""
    return None if method == DENSE else Requirement(method=DENSE, params=network_fields(params))
