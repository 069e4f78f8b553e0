"""The convolutional generator, and the three strided convolutions that it mirrors."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

_STRIDE = 8
"""Three layers of stride two."""


class Generator(nn.Module):
    """Latent numbers and a one-hot label -> windows: a linear layer, then three transposed convolutions (4, 4 and 6 taps, stride 2).

    The output is linear, not tanh as published: z-scores have no bound. Surplus samples at the end are cut off.
    """

    def __init__(self, latent: int, classes: int, shape: tuple[int, int], width: int) -> None:
        super().__init__()
        self.classes, self.shape, self.wide = classes, shape, 4 * width
        self.start = -(-shape[1] // _STRIDE)
        self.expand = nn.Linear(latent + classes, self.wide * self.start)
        self.grow = nn.Sequential(
            nn.ConvTranspose1d(self.wide, 2 * width, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose1d(2 * width, width, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose1d(width, shape[0], 6, 2, 1),
        )

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """(n, latent) and (n,) -> (n, channels, samples)."""
        seed = self.expand(torch.cat([z, F.one_hot(y, self.classes).to(z.dtype)], 1))
        grown: Tensor = self.grow(seed.reshape(len(z), self.wide, self.start))
        return grown[..., : self.shape[1]]


def strided(channels: int, width: int) -> nn.Sequential:
    """Windows -> features: three convolutions of 5 taps and stride 2 with leaky ReLU, (n, 4 width, ceil(samples / 8))."""
    sizes = (channels, width, 2 * width, 4 * width)
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Conv1d(before, after, 5, 2, 2), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers)
