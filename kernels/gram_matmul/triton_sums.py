"""The Triton kernel of 1'K c and c'K c for columns c of +-1 and a symmetric mixture of Gaussians K, and its launch.

A program owns ROWS points, loads them once (they are at most `HELD` wide), and goes through the columns of K from its diagonal block on:
what lies beyond counts twice. K is cut in two TF32 numbers that carry 22 bits of it; +-1 is one exactly, so that two products do what
three do in general. Partial sums, a row a program, are added in float64 in a fixed order.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.gram_matmul.pointwise import Pointwise
from kernels.gram_matmul.tiles import SUMS, WIDEST
from kernels.gram_matmul.triton import _compute, _constants, _mixture


@triton.jit
def _high(value):
    """The TF32 part of a float32: 10 bits after the leading one."""
    return (value.to(tl.int32, bitcast=True) & -8192).to(tl.float32, bitcast=True)


@triton.jit
def _tile(
    x, x_low, x_ptr, x_norm, norm_ptr, column, n, depth, mixture_ptr,
    DEPTH: tl.constexpr, TERMS: tl.constexpr, LADDER: tl.constexpr, COMPUTE: tl.constexpr,
):  # fmt: skip
    """A tile of K, 0 in columns that are not there."""
    k = tl.arange(0, DEPTH)
    y = tl.load(x_ptr + column.to(tl.int64)[None, :] * depth + k[:, None], mask=(column < n)[None, :] & (k < depth)[:, None], other=0.0)
    if tl.float64 == COMPUTE:
        products = tl.dot(x, y, out_dtype=COMPUTE)
    else:
        # What "tf32x3" does, with the cut of x out of the loop.
        y_high = _high(y)
        products = tl.dot(x_low, y_high, input_precision="tf32", out_dtype=COMPUTE)
        products = tl.dot(x, y - y_high, products, input_precision="tf32", out_dtype=COMPUTE)
        products = tl.dot(x, y_high, products, input_precision="tf32", out_dtype=COMPUTE)
    y_norm = tl.load(norm_ptr + column, mask=column < n, other=0.0)
    distances = x_norm[:, None] + y_norm[None, :] - 2.0 * products
    kernel = _mixture(tl.where(distances < 0.0, 0.0, distances), mixture_ptr, TERMS, LADDER)
    return tl.where((column < n)[None, :], kernel, 0.0)


@triton.jit
def _signed(kernel, sign_ptr, column, channel, n, width, total, COMPUTE: tl.constexpr):
    """total + kernel c."""
    signs = tl.load(
        sign_ptr + channel.to(tl.int64)[None, :] * n + column[:, None], mask=(column < n)[:, None] & (channel < width)[None, :], other=0.0
    )
    if tl.float64 == COMPUTE:
        return tl.dot(kernel, signs, total, out_dtype=COMPUTE)
    high = _high(kernel)
    total = tl.dot(high, signs, total, input_precision="tf32", out_dtype=COMPUTE)
    return tl.dot(kernel - high, signs, total, input_precision="tf32", out_dtype=COMPUTE)


@triton.jit
def sums_kernel(
    x_ptr, norm_ptr, sign_ptr, mixture_ptr, linear_ptr, quadratic_ptr, n, depth, width,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr, WIDTH: tl.constexpr, TERMS: tl.constexpr,
    LADDER: tl.constexpr, COMPUTE: tl.constexpr,
):  # fmt: skip
    """Partial sums of a program's rows: signs come as (width, n), results are (programs, WIDTH)."""
    program = tl.program_id(0)
    row = program * ROWS + tl.arange(0, ROWS)
    channel = tl.arange(0, WIDTH)
    k = tl.arange(0, DEPTH)
    x_norm = tl.load(norm_ptr + row, mask=row < n, other=0.0)
    x = tl.load(x_ptr + row.to(tl.int64)[:, None] * depth + k[None, :], mask=(row < n)[:, None] & (k < depth)[None, :], other=0.0)
    x_low = x
    if tl.float64 != COMPUTE:
        x_low = x - _high(x)
        x = _high(x)
    own = tl.zeros((ROWS, WIDTH), dtype=COMPUTE)
    for start in range(program * ROWS, tl.minimum(n, (program + 1) * ROWS), COLUMNS):
        column = start + tl.arange(0, COLUMNS)
        tile = _tile(x, x_low, x_ptr, x_norm, norm_ptr, column, n, depth, mixture_ptr, DEPTH, TERMS, LADDER, COMPUTE)
        own = _signed(tile, sign_ptr, column, channel, n, width, own, COMPUTE)
    inside = (row < n)[:, None]
    place = sign_ptr + channel.to(tl.int64)[None, :] * n + row[:, None]
    signs = tl.load(place, mask=inside & (channel < width)[None, :], other=0.0)
    linear = tl.sum(tl.where(inside, own, 0.0), 0)
    quadratic = tl.sum(tl.where(inside, signs * own, 0.0), 0)
    beyond = tl.zeros((ROWS, WIDTH), dtype=COMPUTE)
    across = tl.zeros((ROWS,), dtype=COMPUTE)
    for start in range((program + 1) * ROWS, n, COLUMNS):
        column = start + tl.arange(0, COLUMNS)
        tile = _tile(x, x_low, x_ptr, x_norm, norm_ptr, column, n, depth, mixture_ptr, DEPTH, TERMS, LADDER, COMPUTE)
        beyond = _signed(tile, sign_ptr, column, channel, n, width, beyond, COMPUTE)
        across += tl.sum(tile, 1)
    # Read again: the signs need not be kept over the loop.
    signs = tl.load(place, mask=inside & (channel < width)[None, :], other=0.0)
    linear += tl.sum(tl.where(inside, beyond + signs * across[:, None], 0.0), 0)
    quadratic += 2.0 * tl.sum(tl.where(inside, signs * beyond, 0.0), 0)
    found = program * WIDTH + channel
    tl.store(linear_ptr + found, linear)
    tl.store(quadratic_ptr + found, quadratic)


def launch_sums(x: Tensor, norms: Tensor, signs: Tensor, kernel: Pointwise) -> tuple[Tensor, Tensor]:
    """(1'K c, c'K c) in float64, each (P,), from contiguous centred x (N, D), its squared norms and signs (N, P), all of one dtype."""
    n, depth = x.shape
    config = SUMS.pick(x.device, n * n)
    mixture, ladder = _constants(kernel.gammas, kernel.weights, x.device, x.dtype)
    launch = config.launch() | {"DEPTH": max(16, triton.next_power_of_2(depth))}
    found = []
    for part in signs.split(WIDEST, 1):
        padded = max(16, triton.next_power_of_2(part.shape[1]))
        partial = torch.empty(2, triton.cdiv(n, config.tiles["ROWS"]), padded, dtype=x.dtype, device=x.device)
        sums_kernel[(partial.shape[1],)](
            x, norms, part.T.contiguous(), mixture, partial[0], partial[1], n, depth, part.shape[1],
            WIDTH=padded, TERMS=len(kernel.weights), LADDER=ladder, COMPUTE=_compute(x), **launch,
        )  # fmt: skip
        found.append(partial.double().sum(1)[:, : part.shape[1]])
    linear, quadratic = torch.cat(found, 1)
    return linear, quadratic
