"""Convolutional networks with a width dial, all made of the same unit."""

from __future__ import annotations

import torch
from torch import nn

from harness.errors import UsageError, unknown
from tasks.blocks.convnets.mlp import MLP
from tasks.blocks.convnets.mobilenet import MobileNet
from tasks.blocks.convnets.resnet import THIN, WIDE, ResNet
from tasks.blocks.convnets.units import ConvUnit, Shape, initialize, units
from tasks.blocks.convnets.vgg import STAGES, VGG

ARCHITECTURES: tuple[str, ...] = (*STAGES, *THIN, *WIDE, "mobilenet-v1", "mobilenet-v2", "mlp")

__all__ = ["ARCHITECTURES", "ConvUnit", "Shape", "convnet", "initialize", "units"]


def convnet(
    arch: str, *, shape: Shape, num_classes: int, width: float = 1.0, norm: bool = True, stream: torch.Generator | None = None
) -> nn.Module:
    """A freshly initialised network from images (batch, *shape) to logits (batch, num_classes); its last layer is `head`.

    `width` multiplies every hidden channel count (rounded, at least 4). `norm=False`: no BatchNorm, convolutions with a bias.
    Weights are drawn from `stream` (torch's global stream without one). UsageError when the image is too small for the architecture.
    """
    if arch not in ARCHITECTURES:
        raise unknown("architecture", arch, ARCHITECTURES)
    if not width > 0:
        raise UsageError(f"the width multiplier of {arch} must be above 0, not {width}")
    model: nn.Module
    if arch == "mlp":
        model = MLP(shape=shape, num_classes=num_classes, width=width)
    else:
        family = VGG if arch in STAGES else MobileNet if arch.startswith("mobilenet") else ResNet
        model = family(arch, shape=shape, num_classes=num_classes, width=width, norm=norm)
    initialize(model, stream)
    return model
