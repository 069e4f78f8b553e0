"""Two hidden layers on the flattened image: the smallest net with channels to prune."""

from __future__ import annotations

import math

import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn

from tasks.blocks.convnets.units import Shape, scaled


class MLP(nn.Module):
    """Linear, ReLU, linear, ReLU, linear; 256 hidden units a layer at width 1."""

    def __init__(self, *, shape: Shape, num_classes: int, width: float) -> None:
        super().__init__()
        hidden = scaled(256, width)
        self.first = nn.Linear(math.prod(shape), hidden)
        self.second = nn.Linear(hidden, hidden)
        self.head = nn.Linear(hidden, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channels, height, width) -> logits (batch, num_classes)."""
        logits: Tensor = self.head(F.relu(self.second(F.relu(self.first(images.flatten(1))))))
        return logits
