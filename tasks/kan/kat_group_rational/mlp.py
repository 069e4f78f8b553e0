"""What stands between the attentions: MLP, SwiGLU, GR-KAN or a B-spline KAN, all with about the parameters of the GELU MLP."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn

from kernels import group_rational
from tasks.blocks.layers import SwiGLU
from tasks.kan.kat_group_rational import coefficients
from tasks.kan.kat_group_rational.coefficients import Coefficients
from tasks.kan.kat_group_rational.methods import Design
from tasks.kan.kat_group_rational.spline import BASES, SplineLayer

_RATIO = 4


class GroupRational(nn.Module):
    """A rational of each channel: the numerator (1, 6) is shared by all channels, the denominator (groups, 4) by those of a group."""

    def __init__(self, start: Coefficients, groups: int, schedule: str | None = None) -> None:
        super().__init__()
        self.numerator = nn.Parameter(torch.tensor([start.numerator]))
        self.denominator = nn.Parameter(torch.tensor([start.denominator] * groups))
        self.schedule = schedule

    def forward(self, x: Tensor) -> Tensor:
        """(..., channels) -> (..., channels)."""
        if self.schedule is None:
            return group_rational(x, self.numerator, self.denominator)
        return group_rational(x, self.numerator, self.denominator, backend="triton", schedule=self.schedule)


class GeluMLP(nn.Module):
    """fc2(gelu(fc1(x))), hidden width 4 d."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, _RATIO * width)
        self.fc2 = nn.Linear(_RATIO * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> (..., width)."""
        mapped: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return mapped

    def gains(self) -> tuple[float, float]:
        """alpha of what comes before fc1 (nothing: 1) and before fc2."""
        return 1.0, coefficients.gain(coefficients.gelu)


class RationalMLP(nn.Module):
    """GR-KAN: fc2(act2(fc1(act1(x)))), hidden width 4 d; act1 starts as the identity, act2 as `start`."""

    def __init__(self, width: int, groups: int, start: Coefficients, schedule: str | None) -> None:
        super().__init__()
        self.start = start
        self.act1 = GroupRational(coefficients.IDENTITY, groups, schedule)
        self.fc1 = nn.Linear(width, _RATIO * width)
        self.act2 = GroupRational(start, groups, schedule)
        self.fc2 = nn.Linear(_RATIO * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> (..., width)."""
        mapped: Tensor = self.fc2(self.act2(self.fc1(self.act1(x))))
        return mapped

    def gains(self) -> tuple[float, float]:
        """alpha of act1 and of act2 as they start."""
        return coefficients.gain(coefficients.IDENTITY), coefficients.gain(self.start)


class SplineMLP(nn.Module):
    """Two B-spline KAN layers, d -> hidden -> d. Each of their weights is BASES + 1 numbers, so the hidden width is narrower."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.layer1 = SplineLayer(width, hidden)
        self.layer2 = SplineLayer(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> (..., width)."""
        mapped: Tensor = self.layer2(self.layer1(x))
        return mapped


def make_mlp(design: Design, width: int, groups: int) -> nn.Module:
    """The design's network of (..., width) -> (..., width), with as many parameters as `GeluMLP` to the nearest hidden unit."""
    parameters = 2 * _RATIO * width**2 + (_RATIO + 1) * width
    if design.mlp == "gelu":
        return GeluMLP(width)
    if design.mlp == "swiglu":
        return SwiGLU(width, round(parameters / (3 * width)))
    if design.mlp == "spline":
        return SplineMLP(width, max(1, round(parameters / (2 * width * (BASES + 1)))))
    start = coefficients.SWISH if design.start == "swish" else coefficients.GELU
    return RationalMLP(width, groups if design.grouped else 1, start, design.schedule)


@torch.no_grad()
def preserve_variance(mlp: nn.Module, std: float) -> None:
    """Turn weights that were drawn as N(0, std^2) into N(0, alpha / d_in), the same random numbers rescaled."""
    if not isinstance(mlp, GeluMLP | RationalMLP):
        raise TypeError(f"the variance-preserving start is not defined for {type(mlp).__name__}")
    for linear, alpha in zip((mlp.fc1, mlp.fc2), mlp.gains(), strict=True):
        linear.weight.mul_(math.sqrt(alpha / linear.in_features) / std)
