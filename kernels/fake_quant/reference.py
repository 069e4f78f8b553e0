"""Fake quantization in plain torch: the truth that the kernels are held to."""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.fake_quant import grid
from kernels.fake_quant.hadamard import block_hadamard


def quest_quantize_reference(x: Tensor, bits: float) -> tuple[Tensor, Tensor]:
    """(q, mask) of x (..., K), both in Hadamard space: q in x's dtype, mask boolean. Low-precision inputs are computed in float32.

    v = x H by blocks of 128; sigma = sqrt(mean of v^2 over the row), not the standard deviation; s = clip_b sigma + 1e-8;
    step = 2s/(n - 1) for n levels; q = step (rne(clip(v, -s, s)/step + o) - o), o = 1/2 for an even n and 0 for an odd one;
    mask = |q - v| <= clip_b sigma/(n - 1). The gradient is straight-through where the mask holds and zero elsewhere; the scale has none.
    Source: QuEST (arXiv 2502.05003) and its released base_linear.py.
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    clip, steps, offset = grid.CLIPS[bits], grid.levels(bits) - 1, grid.offset(bits)
    v = block_hadamard(x.to(dtype))
    with torch.no_grad():
        sigma = v.square().mean(-1, keepdim=True).sqrt()
        scale = clip * sigma + 1e-8
        step = scale * (2 / steps)
        q = step * (torch.round(torch.clamp(v, -scale, scale) / step + offset) - offset)
        mask = (q - v).abs() <= sigma * (clip / steps)
    trusted = torch.where(mask, v, 0.0)
    # The difference is exactly zero, so that q stays on its grid to the last bit.
    return (q + (trusted - trusted.detach())).to(x.dtype), mask


def rowwise_absmax_quantize_reference(x: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """(levels, scale) of x (..., K): int8 (..., K) and float32 (..., 1), levels = rne(x/scale), scale = max|row| / (2^(bits-1) - 1).

    Ties are judged on x times the largest level over the maximum, which is exact up to the division for inputs of 8 or 11 bits. A row of
    zeros has scale 0 and levels 0; a row that holds NaN or infinity has scale NaN and levels 0.
    """
    largest = grid.largest_level(bits)
    dtype = torch.promote_types(x.dtype, torch.float32)
    wide = x.to(dtype)
    peak = wide.abs().amax(-1, keepdim=True)
    finite = peak.isfinite()
    # Large rows are shrunk by a power of two first: their product with the largest level would overflow.
    shrink = torch.where(peak > 1.0, 2.0**-8, 1.0).to(dtype)
    bottom = torch.where(finite & (peak > 0), peak * shrink, 1.0)
    levels = torch.round(torch.where(finite, wide, 0.0) * (largest * shrink) / bottom)
    scale = torch.where(finite, peak / largest, float("nan"))
    return levels.to(torch.int8), scale.to(torch.float32)


def rowwise_absmax_fake_quant_reference(x: Tensor, bits: int) -> Tensor:
    """levels * scale in x's dtype; rows that hold NaN or infinity come out NaN."""
    levels, scale = rowwise_absmax_quantize_reference(x, bits)
    return (levels.to(torch.promote_types(x.dtype, torch.float32)) * scale).to(x.dtype)
