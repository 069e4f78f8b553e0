"""The parts of every convolutional net: one convolution with its normalisation and activation, and how they start."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from harness.errors import UsageError

Shape = tuple[int, int, int]
"""(channels, height, width) of an image."""


class ConvUnit(nn.Module):
    """activation(norm(conv(x))). Every convolution of every net is in one, so that papers can wrap, gate or inspect them."""

    conv: nn.Conv2d
    norm: nn.BatchNorm2d | nn.Identity
    activation: nn.ReLU | nn.ReLU6 | nn.Identity

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        norm: bool = True,
        activation: nn.ReLU | nn.ReLU6 | nn.Identity | None = None,
    ) -> None:
        """Padded so that stride 1 keeps the size. Without `norm` the convolution has a bias. `activation` is a ReLU unless given."""
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=not norm)
        self.norm = nn.BatchNorm2d(outputs) if norm else nn.Identity()
        self.activation = nn.ReLU() if activation is None else activation

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, height, width) -> (batch, outputs, height / stride, width / stride), rounded up."""
        y: Tensor = self.activation(self.norm(self.conv(x)))
        return y


def units(model: nn.Module) -> dict[str, ConvUnit]:
    """Every convolution of `model` by its dotted name, in the order of evaluation (a shortcut after the path it is added to)."""
    return {name: module for name, module in model.named_modules() if isinstance(module, ConvUnit)}


def scaled(channels: int, width: float) -> int:
    """A hidden channel count at a width multiplier: rounded, at least 4."""
    return max(4, round(channels * width))


def check_size(arch: str, shape: Shape, least: int) -> None:
    """UsageError when an image is smaller than the architecture takes."""
    if min(shape[1:]) < least:
        raise UsageError(f"{arch} takes images of at least {least} x {least} pixels, these have {shape[1]} x {shape[2]}")


def initialize(model: nn.Module, stream: torch.Generator | None = None) -> None:
    """Kaiming normal (He et al. 2015): by fan-out for convolutions, by fan-in for hidden linear layers. Biases are 0.

    The weights of the last linear layer, `head`, have the variance of torch's uniform default, 1 / (3 fan-in).
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            receptive = module.kernel_size[0] * module.kernel_size[1]
            std = math.sqrt(2.0 / (receptive * module.out_channels / module.groups))
        elif isinstance(module, nn.Linear):
            std = math.sqrt((1.0 / 3.0 if name == "head" else 2.0) / module.in_features)
        else:
            continue
        nn.init.normal_(module.weight, std=std, generator=stream)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
