"""Layers of a LLaMA-style decoder: RMSNorm, rotary positions, causal attention, SwiGLU. No biases anywhere."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * gain over the last axis (Zhang & Sennrich 2019). Shape (..., width) is kept."""

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> (..., width)."""
        return F.rms_norm(x, (x.shape[-1],), self.gain.to(x.dtype), self.eps)


def rotary_angles(length: int, head_dim: int, base: float = 10_000.0) -> tuple[Tensor, Tensor]:
    """Cosines and sines, each (length, head_dim / 2): position p turns pair i by the angle p * base^(-2i/head_dim) (Su et al. 2021)."""
    frequency = base ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    angle = torch.outer(torch.arange(length, dtype=torch.float64), frequency)
    return angle.cos().float(), angle.sin().float()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pairs (x_i, x_{i + head_dim/2}) of (..., length, head_dim) by their positions, in single precision or better."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1).to(x.dtype)


class Attention(nn.Module):
    """Causal multi-head self-attention with rotary positions.

    The three projections lie in one matrix `qkv` of shape (3 width, width), rows in the order q, k, v: AdamW works entry by
    entry, so this trains exactly as three matrices would. The head's width is fixed and heads are added with the width, so
    that the 1/sqrt(head_dim) of the scores is the same constant at every width.
    """

    def __init__(self, width: int, head_dim: int) -> None:
        super().__init__()
        if width % head_dim or head_dim % 2:
            raise ValueError(f"width {width} is not a multiple of head_dim {head_dim}, or head_dim is odd")
        self.head_dim = head_dim
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """(batch, length, width) -> (batch, length, width)."""
        batch, length, width = x.shape
        heads = self.qkv(x).view(batch, length, 3, width // self.head_dim, self.head_dim).permute(2, 0, 3, 1, 4)
        query_key = rotate(heads[:2], cos, sin)
        mixed = F.scaled_dot_product_attention(query_key[0], query_key[1], heads[2], is_causal=True)
        mapped: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return mapped


class SwiGLU(nn.Module):
    """down(silu(gate x) * up x) (Shazeer 2020)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, hidden, bias=False)
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> (..., width)."""
        mapped: Tensor = self.down(F.silu(self.gate(x)) * self.up(x))
        return mapped
