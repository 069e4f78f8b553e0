"""A KAN layer of cubic B-splines (Liu et al. 2024, arXiv 2404.19756), evaluated for all weights as one matrix product.

y_o = sum_i w_oi silu(x_i) + sum_ik c_oik B_k(x_i): the base and the splines of "KAN", section 2.3, with its separate scale of each spline
folded into c, as is usual where speed counts. The knots are even and fixed.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn

_DEGREE, _INTERVALS, _EDGE = 3, 5, 3.0
BASES = _INTERVALS + _DEGREE
"""Splines of one weight: five intervals on [-3, 3], where a normalised input lies."""


def cubic_bases(x: Tensor) -> Tensor:
    """B_k(x), k = 0 to BASES - 1: shape (..., BASES). They sum to one on [-3, 3] and are zero beyond the outer knots.

    With u the distance from a spline's centre in knots, 6 B = (2 - u)_+^3 - 4 (1 - u)_+^3: no recursion over degrees is needed.
    """
    step = 2.0 * _EDGE / _INTERVALS
    centres = torch.arange(BASES, device=x.device, dtype=x.dtype) * step - (_EDGE + step)
    distance = (x.unsqueeze(-1) - centres).abs() / step
    return (F.relu(2.0 - distance) ** 3 - 4.0 * F.relu(1.0 - distance) ** 3) / 6.0


class SplineLayer(nn.Module):
    """(..., d_in) -> (..., d_out)."""

    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__()
        self.base = nn.Linear(d_in, d_out, bias=False)
        self.splines = nn.Linear(d_in * BASES, d_out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The weights' functions of each input, summed."""
        mapped: Tensor = self.base(F.silu(x)) + self.splines(cubic_bases(x).flatten(-2))
        return mapped
