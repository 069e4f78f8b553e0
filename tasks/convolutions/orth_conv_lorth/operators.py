"""Strided convolutions as linear maps: singular values, how far from orthogonal, and the regulariser that says so of the kernel alone.

A kernel is (filters M, channels C, k, k). The map takes C channels of (stride N)^2 pixels to M channels of N^2 pixels.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor

Padding = Literal["circular", "zeros"]


def apply(kernel: Tensor, x: Tensor, stride: int, padding: Padding) -> Tensor:
    """(n, C, stride N, stride N) -> (n, M, N, N)."""
    before, after = (kernel.shape[-1] - 1) // 2, kernel.shape[-1] // 2
    sides = (before, after, before, after)
    padded = F.pad(x, sides, mode="circular") if padding == "circular" else F.pad(x, sides)
    return F.conv2d(padded, kernel, stride=stride)


def dense(kernel: Tensor, stride: int, size: int, padding: Padding) -> Tensor:
    """The map as a matrix (M N^2, C (stride N)^2), column by column: `apply` on every pixel."""
    shape = (kernel.shape[1], stride * size, stride * size)
    pixels = torch.eye(shape[0] * shape[1] * shape[2], dtype=kernel.dtype).view(-1, *shape)
    return apply(kernel, pixels, stride, padding).flatten(1).T


def singular_values(kernel: Tensor, stride: int, size: int) -> Tensor:
    """(N^2, min(M, C stride^2)) of the map with circular padding: of one matrix a frequency (Sedghi, Gupta & Long 2019).

    A stride makes stride^2 channels of each, one a phase: x[stride n + p]. Where the kernel is wider than the image it wraps around.
    """
    filters, channels, width, _ = kernel.shape
    side = stride * size
    wrapped = torch.zeros(filters, channels, side, side, dtype=kernel.dtype)
    at = torch.arange(width) % side
    wrapped.index_put_((*torch.meshgrid(torch.arange(filters), torch.arange(channels), at, at, indexing="ij"),), kernel, accumulate=True)
    phases = wrapped.view(filters, channels, size, stride, size, stride).permute(0, 1, 3, 5, 2, 4)
    blocks = torch.fft.fft2(phases).flatten(1, 3).permute(2, 3, 0, 1)
    sigma: Tensor = torch.linalg.svdvals(blocks)
    return sigma.flatten(0, 1)


def frobenius_error(sigma: Tensor) -> float:
    """||A A^T - I||_F (or ||A^T A - I||_F, of the smaller side) from all singular values of A."""
    return float((sigma.square() - 1.0).square().sum().sqrt())


def spectral_error(sigma: Tensor) -> float:
    """||A A^T - I||_2, of the smaller side."""
    return float((sigma.square() - 1.0).abs().max())


def lorth(kernel: Tensor, stride: int) -> Tensor:
    """L_orth(K) = ||conv(K, K, padding P, stride S) - I_r0||_F^2, less M - C S^2 where that is positive; P = floor((k - 1) / S) S.

    Wang et al. 2020 (arXiv 1911.12207); the paper's Theorem 1 says what it is of the map.
    """
    filters, channels, width, _ = kernel.shape
    reach = (width - 1) // stride
    overlaps = F.conv2d(kernel, kernel, stride=stride, padding=reach * stride)
    target = torch.zeros_like(overlaps)
    target[:, :, reach, reach] = torch.eye(filters, dtype=kernel.dtype, device=kernel.device)
    return (overlaps - target).square().sum() - max(0, filters - channels * stride**2)


def kernel_orthogonality(kernel: Tensor) -> Tensor:
    """||R R^T - I||_F^2 of the kernel as a matrix R of M rows and C k^2 columns (of the smaller side): blind to how windows overlap."""
    rows = kernel.flatten(1)
    rows = rows if len(rows) <= rows.shape[1] else rows.T
    return (rows @ rows.T - torch.eye(len(rows), dtype=kernel.dtype, device=kernel.device)).square().sum()


def exists(filters: int, channels: int, width: int, stride: int) -> bool:
    """Whether an orthogonal convolution of that shape exists with circular padding: M <= C k^2 where M <= C S^2, else S <= k."""
    return filters <= channels * width**2 if filters <= channels * stride**2 else stride <= width


def alpha(filters: int, channels: int, width: int, stride: int) -> float:
    """The constant of err_s^2 <= alpha L_orth: M (2 floor((k - 1) / S) + 1)^2 where M <= C S^2, C (2 k - 1)^2 where M >= C S^2."""
    rows, columns = filters * (2 * ((width - 1) // stride) + 1) ** 2, channels * (2 * width - 1) ** 2
    square = channels * stride**2
    return float(min(rows, columns) if filters == square else rows if filters < square else columns)
