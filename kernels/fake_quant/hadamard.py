"""The block Hadamard transform. A reshape and a matrix product are at the roof already, so it has no kernel."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

BLOCK = 128
_ROOT_HALF = 0.5**0.5


def hadamard_128(*, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Tensor:
    """The orthonormal, symmetric Hadamard matrix of order 128 in Sylvester's order: H[i, j] = (-1)^popcount(i & j) / sqrt(128)."""
    return eighths(dtype, torch.device(device)) * _ROOT_HALF


def block_hadamard(x: Tensor) -> Tensor:
    """x H on each block of 128 neighbouring entries of the last axis, in x's dtype; it is its own inverse.

    x (..., K) with K a multiple of 128; ValueError otherwise. Differentiable. (x H)(w H)^T = x w^T for any x (..., K) and w (N, K).
    """
    if x.ndim < 1 or x.shape[-1] % BLOCK:
        raise ValueError(f"block_hadamard: the last axis of x {tuple(x.shape)} is not a multiple of {BLOCK}")
    if not x.dtype.is_floating_point:
        raise TypeError(f"block_hadamard: x must be a floating-point tensor, not {x.dtype}")
    # Entries of +-1/8 are exact in every dtype: rounding 1/sqrt(128) to bfloat16 would shrink every result by the same 0.1 percent.
    blocks = x.reshape(*x.shape[:-1], x.shape[-1] // BLOCK, BLOCK) @ eighths(x.dtype, x.device)
    return (blocks * _ROOT_HALF).flatten(-2)


def eighths(dtype: torch.dtype, device: torch.device) -> Tensor:
    """sqrt(2) H: the signs over 8, exact in every floating dtype."""
    return _build(dtype, device) if torch.compiler.is_compiling() else _kept(dtype, device)


@functools.cache
def _kept(dtype: torch.dtype, device: torch.device) -> Tensor:
    # Made outside inference mode: a later training step must be able to save it for its backward pass.
    with torch.inference_mode(False):
        return _build(dtype, device)


def _build(dtype: torch.dtype, device: torch.device) -> Tensor:
    index = torch.arange(BLOCK, device=device)
    common = index[:, None] & index[None, :]
    parity = torch.zeros_like(common)
    for bit in range(7):
        parity = parity ^ (common >> bit & 1)
    return ((1 - 2 * parity).to(torch.float64) / 8).to(dtype)
