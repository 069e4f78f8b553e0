"""The one-dimensional U-Net that removes noise, with and without the skips of its decoder."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

_CONDITION = 128
"""Numbers that describe noise level and label."""
MULTIPLIERS = (1, 2, 4)
_GROUPS = 4


def time_embedding(steps: Tensor, size: int = _CONDITION) -> Tensor:
    """Sines and cosines of the noise level at geometric frequencies from 1 to 1e-4, (n, size) (Vaswani et al. 2017)."""
    half = size // 2
    rates = torch.exp(-math.log(10_000.0) / half * torch.arange(half, device=steps.device, dtype=torch.float32))
    angles = steps.float().unsqueeze(1) * rates
    return torch.cat([angles.sin(), angles.cos()], 1)


class FiLM(nn.Module):
    """x (1 + s) + b with scale and shift from the condition (Perez et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(_CONDITION, 2 * channels)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(n, channels, t) and (n, 128) -> (n, channels, t)."""
        scale, shift = self.linear(condition).unsqueeze(2).chunk(2, 1)
        modulated: Tensor = x * (1.0 + scale) + shift
        return modulated


class ResidualBlock(nn.Module):
    """Two convolutions of 3 taps, group norm, SiLU and FiLM after each; the first may be dilated."""

    def __init__(self, before: int, after: int, dilation: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv1d(before, after, 3, padding=dilation, dilation=dilation)
        self.second = nn.Conv1d(after, after, 3, padding=1)
        self.first_norm, self.second_norm = nn.GroupNorm(_GROUPS, after), nn.GroupNorm(_GROUPS, after)
        self.first_film, self.second_film = FiLM(after), FiLM(after)
        self.pass_on = nn.Conv1d(before, after, 1) if before != after else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(n, before, t) -> (n, after, t)."""
        h = self.first_film(F.silu(self.first_norm(self.first(x))), condition)
        h = self.second_film(F.silu(self.second_norm(self.second(h))), condition)
        passed: Tensor = h + self.pass_on(x)
        return passed


class UNet(nn.Module):
    """Noisy windows, noise level and label -> what the objective asks for.

    Levels of width, 2 width and 4 width channels at 1, 1/2 and 1/4 of the samples; `blocks` residual blocks on either side of each. With
    `skips` every decoder block reads the encoder's block of its level beside its input; without, the encoder's features reach the
    decoder through the bottleneck alone. Label `classes` is the null label. Samples that are no multiple of 4 are padded with the last one.
    """

    def __init__(self, shape: tuple[int, int], classes: int, width: int, blocks: int, *, skips: bool) -> None:
        super().__init__()
        self.null, self.skips = classes, skips
        self.embedding = nn.Embedding(classes + 1, _CONDITION)
        self.condition = nn.Sequential(nn.Linear(_CONDITION, _CONDITION), nn.SiLU(), nn.Linear(_CONDITION, _CONDITION))
        sizes = [width * multiplier for multiplier in MULTIPLIERS]
        self.enter = nn.Conv1d(shape[0], width, 3, padding=1)
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        before = width
        for level, size in enumerate(sizes):
            self.down.append(_level(before, size, blocks, dilation=2**level))
            self.shrink.append(nn.Conv1d(size, size, 4, 2, 1) if size != sizes[-1] else nn.Identity())
            before = size
        self.middle = ResidualBlock(before, before)
        self.up, self.grow = nn.ModuleList(), nn.ModuleList()
        for size in reversed(sizes):
            self.up.append(_level(before, size, blocks, read=size if skips else 0))
            self.grow.append(nn.ConvTranspose1d(size, size, 4, 2, 1) if size != sizes[0] else nn.Identity())
            before = size
        self.leave = nn.Conv1d(before, shape[0], 3, padding=1)

    def forward(self, x: Tensor, steps: Tensor, y: Tensor) -> Tensor:
        """(n, channels, t), noise levels (n,) and labels (n,) -> (n, channels, t)."""
        condition = self.condition(time_embedding(steps) + self.embedding(y))
        samples = x.shape[-1]
        if samples % 4:
            x = F.pad(x, (0, -samples % 4), mode="replicate")
        h, seen = self.enter(x), []
        for level, shrink in zip(self.down, self.shrink, strict=True):
            for block in _blocks(level):
                h = block(h, condition)
                seen.append(h)
            h = shrink(h)
        h = self.middle(h, condition)
        for level, grow in zip(self.up, self.grow, strict=True):
            for block in _blocks(level):
                h = block(torch.cat([h, seen.pop()], 1) if self.skips else h, condition)
            h = grow(h)
        left: Tensor = self.leave(h)[..., :samples]
        return left


def _level(before: int, size: int, blocks: int, *, dilation: int = 1, read: int = 0) -> nn.ModuleList:
    """`blocks` blocks of `size` channels; each reads `read` more channels beside its input."""
    return nn.ModuleList(ResidualBlock((size if index else before) + read, size, dilation) for index in range(blocks))


def _blocks(level: nn.Module) -> nn.ModuleList:
    assert isinstance(level, nn.ModuleList)
    return level
