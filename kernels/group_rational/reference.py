"""The group rational in plain torch: the truth that the kernels are held to."""

from __future__ import annotations

import torch
from torch import Tensor


def group_rational_reference(x: Tensor, numerator: Tensor, denominator: Tensor) -> Tensor:
    """P(x) / Q(x) with P = sum_i a_i x^i and Q = 1 + sum_j |b_j| |x|^j, coefficients by group of channels.

    x (..., D); numerator (G, 6): a_0 to a_5; denominator (G, 4): b_1 to b_4; G divides D. Low-precision inputs are computed in float32.
    Subgradients at zero: d|b|/db = +1 (so that a coefficient that starts at zero can leave it, as in the authors' kernel) and d|x|/dx = 0.
    Source: arXiv 2409.10594 section 4; Q takes absolute values term by term, as the released kernel evaluates it.
    """
    groups, width = numerator.shape[0], x.shape[-1] // numerator.shape[0]
    dtype = torch.promote_types(x.dtype, torch.float32)
    grouped = x.to(dtype).reshape(*x.shape[:-1], groups, width)
    magnitude = grouped.abs()
    a = numerator.to(dtype)[:, :, None]
    b = torch.where(denominator >= 0, denominator, -denominator).to(dtype)[:, :, None]
    top = a[:, 5]
    for power in range(4, -1, -1):
        top = top * grouped + a[:, power]
    bottom = b[:, 3]
    for power in range(2, -1, -1):
        bottom = bottom * magnitude + b[:, power]
    y: Tensor = top / (1.0 + bottom * magnitude)
    return y.flatten(-2).to(x.dtype)
