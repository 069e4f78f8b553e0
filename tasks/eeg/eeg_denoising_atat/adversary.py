"""The adversarial term: a discriminator tells clean segments from filtered ones, the transformer is paid for fooling it.

Both players move at once, with one optimizer and one backward pass: each side sees the other's weights as constants, so that the sum
of both losses has each side's own gradient.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn


class Discriminator(nn.Module):
    """Two convolutions of kernel 9 and stride 4, an average over time, one logit: high for clean. Used in training alone."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(1, 16, 9, stride=4, padding=4), nn.LeakyReLU(0.2), nn.Conv1d(16, 32, 9, stride=4, padding=4), nn.LeakyReLU(0.2)
        )
        self.head = nn.Linear(32, 1)

    def forward(self, segments: Tensor) -> Tensor:
        """(n, t) -> (n,)."""
        logits: Tensor = self.head(self.body(segments[:, None]).mean(-1))
        return logits[:, 0]


def fooling_loss(discriminator: nn.Module, filtered: Tensor) -> Tensor:
    """-log D(filtered) of each segment, (n, t) -> (n,); the discriminator's weights are constants (non-saturating, Goodfellow 2014)."""
    constant = {name: weight.detach() for name, weight in discriminator.named_parameters()}
    logits: Tensor = torch.func.functional_call(discriminator, constant, (filtered,))
    return F.softplus(-logits)


def telling_loss(discriminator: nn.Module, clean: Tensor, filtered: Tensor) -> Tensor:
    """-log D(clean) - log(1 - D(filtered)) of each pair, (n, t) -> (n,); the filtered segments are constants."""
    return F.softplus(-discriminator(clean)) + F.softplus(discriminator(filtered.detach()))
