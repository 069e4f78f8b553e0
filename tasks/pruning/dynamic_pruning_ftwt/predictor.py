"""What decides, from a layer's input, which of its filters to compute."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from tasks.pruning.dynamic_pruning_ftwt.masks import spatial_max

Pool = Literal["avg", "max"]


class Predictor(nn.Module):
    """P(I) = W s(pool(I)) + b: (batch, channels, height, width) -> logits (batch, filters). s is a softmax over the channels, or nothing.

    The paper pools the maximum, the authors' code the average. A 1x1 convolution on one position is this linear map.
    """

    def __init__(self, channels: int, filters: int, *, pool: Pool, softmax: bool, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.pool, self.softmax = pool, softmax
        bound = 1.0 / math.sqrt(channels)
        self.weight = nn.Parameter(torch.empty(filters, channels).uniform_(-bound, bound, generator=generator))
        self.bias = nn.Parameter(torch.empty(filters).uniform_(-bound, bound, generator=generator))

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits; a filter is computed where they are positive (sigmoid above a half)."""
        pooled = inputs.mean(dim=(2, 3)) if self.pool == "avg" else spatial_max(inputs)
        return nn.functional.linear(pooled.softmax(dim=1) if self.softmax else pooled, self.weight, self.bias)

    def multiply_adds(self, positions: int) -> int:
        """Cost of one input with so many positions a channel: the linear map, and one operation an entry that is pooled."""
        filters, channels = self.weight.shape
        return filters * channels + channels * positions


class ConstantPredictor(nn.Module):
    """P(I) = b, the control: the same mask for every input, learned from the same ground truth."""

    def __init__(self, channels: int, filters: int, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(channels)
        self.bias = nn.Parameter(torch.empty(filters).uniform_(-bound, bound, generator=generator))

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits (batch, filters)."""
        return self.bias.expand(len(inputs), -1)

    def multiply_adds(self, positions: int) -> int:  # noqa: ARG002 - a predictor's method
        """Nothing is computed from the input."""
        return 0
