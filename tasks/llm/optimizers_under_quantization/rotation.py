"""Rotation by a block Hadamard matrix: it spreads an outlier over its block and changes no product (x H)(W H)^T."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from harness.errors import UsageError
from kernels import hadamard_128
from kernels.fake_quant.hadamard import BLOCK


def hadamard_order(in_features: int) -> int:
    """The largest power of two, up to 128, that divides `in_features`; UsageError for an odd number: nothing would be rotated."""
    order = min(in_features & -in_features, BLOCK)
    if order < 2:
        raise UsageError(f"a rotation needs an even number of input features, not {in_features}")
    return order


def hadamard(order: int, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Tensor:
    """The orthonormal, symmetric Hadamard matrix of a power of two up to 128: the leading block of Sylvester's matrix of order 128."""
    signs = hadamard_128(dtype=dtype, device=device)[:order, :order].sign()
    return signs * (1.0 / math.sqrt(order))


def rotate(x: Tensor, order: int) -> Tensor:
    """x H on each block of `order` neighbouring entries of the last axis, in x's dtype; it is its own inverse. `order` divides the axis."""
    blocks = x.reshape(*x.shape[:-1], x.shape[-1] // order, order)
    return (blocks @ hadamard(order, dtype=x.dtype, device=x.device)).flatten(-2)
