"""Triton kernels of QuEST's quantizer, and their launches.

Forward: a program owns ROWS whole rows. The first pass sums the squares of x, because an orthogonal H keeps them: rms(x H) = rms(x).
The second pass multiplies 128 columns at a time by the matrix of signs (exact in every dtype, so that products are exact too) on tensor
cores, scales, rounds and stores; it finds x in the L2 cache. Backward has no tie between columns: a program takes BLOCKS blocks of a row
block. Rounding is (t + c) - c with c = 1.5 * 2^23 (2^52 in float64): to nearest even, as torch.round. Row offsets are 64-bit.
"""

from __future__ import annotations

import functools

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.fake_quant.hadamard import BLOCK, eighths
from kernels.fake_quant.tiles import QUEST_BACKWARD, QUEST_BACKWARD_FLOAT32, QUEST_FORWARD, QUEST_FORWARD_FLOAT32

_NORM = tl.constexpr(128.0**-0.5)
_WIDTH = tl.constexpr(BLOCK)


@triton.jit
def _rne(t):
    """To the nearest integer, ties to even, for |t| < 2^22."""
    magic: tl.constexpr = 6755399441055744.0 if t.dtype == tl.float64 else 12582912.0
    return (t + magic) - magic


@triton.jit
def _transform(x, signs, COMPUTE: tl.constexpr):
    """x H. float32 goes through tensor cores in two exact halves of 11 bits: the signs need no third product, as tf32x3 would make."""
    if x.dtype == tl.float32:
        high = (x.to(tl.int32, bitcast=True) & -8192).to(tl.float32, bitcast=True)
        v = tl.dot(x - high, signs, input_precision="tf32")
        v = tl.dot(high, signs, v, input_precision="tf32")
    else:
        v = tl.dot(x, signs, out_dtype=COMPUTE)
    return v * _NORM


@triton.jit
def quest_forward_kernel(
    x_ptr,
    signs_ptr,
    q_ptr,
    mask_ptr,
    rows,
    columns,
    x_stride,
    q_stride,
    clip,
    steps,
    offset,
    ROWS: tl.constexpr,
    COMPUTE: tl.constexpr,
):
    """q and the trust mask of ROWS rows."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, _WIDTH)
    inside = (row < rows)[:, None]
    x_ptrs = x_ptr + row[:, None] * x_stride + column[None, :]
    squares = tl.zeros((ROWS, _WIDTH), dtype=COMPUTE)
    for start in range(0, columns, _WIDTH):
        x = tl.load(x_ptrs + start, mask=inside, other=0.0).to(COMPUTE)
        squares += x * x
    sigma = tl.sqrt(tl.sum(squares, 1) / columns)[:, None]
    scale = clip * sigma + 1e-8
    step = scale * (2.0 / steps)
    inverse = 1.0 / step
    trust = sigma * (clip / steps)
    signs = tl.load(signs_ptr + tl.arange(0, _WIDTH)[:, None] * _WIDTH + column[None, :])
    out = row[:, None] * q_stride + column[None, :]
    for start in range(0, columns, _WIDTH):
        x = tl.load(x_ptrs + start, mask=inside, other=0.0)
        v = _transform(x, signs, COMPUTE)
        clipped = tl.minimum(tl.maximum(v, -scale), scale)
        q = step * (_rne(clipped * inverse + offset) - offset)
        tl.store(q_ptr + out + start, q.to(q_ptr.dtype.element_ty), mask=inside)
        tl.store(mask_ptr + out + start, (tl.abs(q - v) <= trust).to(tl.int8), mask=inside)


@triton.jit
def quest_backward_kernel(
    dq_ptr,
    mask_ptr,
    signs_ptr,
    dx_ptr,
    rows,
    columns,
    dq_stride,
    dx_stride,
    ROWS: tl.constexpr,
    BLOCKS: tl.constexpr,
    COMPUTE: tl.constexpr,
):
    """dx = (dq * mask) H on ROWS rows and BLOCKS blocks of 128 columns."""
    chunks = tl.cdiv(columns, BLOCKS * _WIDTH)
    row = (tl.program_id(0) // chunks).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    first = (tl.program_id(0) % chunks) * (BLOCKS * _WIDTH)
    column = tl.arange(0, _WIDTH)
    inside = (row < rows)[:, None]
    signs = tl.load(signs_ptr + tl.arange(0, _WIDTH)[:, None] * _WIDTH + column[None, :])
    dq_ptrs = dq_ptr + row[:, None] * dq_stride + column[None, :]
    out = row[:, None] * dx_stride + column[None, :]
    for start in range(first, tl.minimum(first + BLOCKS * _WIDTH, columns), _WIDTH):
        dq = tl.load(dq_ptrs + start, mask=inside, other=0.0)
        trusted = tl.load(mask_ptr + out + start, mask=inside, other=0)
        kept = tl.where(trusted != 0, dq, 0.0).to(dq.dtype)
        dx = _transform(kept, signs, COMPUTE)
        tl.store(dx_ptr + out + start, dx.to(dx_ptr.dtype.element_ty), mask=inside)


def _compute(x: Tensor) -> tl.dtype:
    return tl.float64 if x.dtype == torch.float64 else tl.float32


@functools.cache
def _signs(dtype: torch.dtype, device: torch.device) -> Tensor:
    return eighths(dtype, device).mul(8)


def launch_quest_forward(x: Tensor, clip: float, steps: int, offset: float, q: Tensor, mask: Tensor) -> None:
    """Fill q (M, K) and mask (M, K, boolean, the layout of q) from x (M, K) whose rows are contiguous."""
    rows, columns = x.shape
    config = (QUEST_FORWARD if x.dtype.itemsize == 2 else QUEST_FORWARD_FLOAT32).pick(x.device, x.numel())
    quest_forward_kernel[(triton.cdiv(rows, config.tiles["ROWS"]),)](
        x,
        _signs(x.dtype, x.device),
        q,
        mask.view(torch.int8),
        rows,
        columns,
        x.stride(0),
        q.stride(0),
        clip,
        float(steps),
        offset,
        COMPUTE=_compute(x),
        **config.launch(),
    )


def launch_quest_backward(dq: Tensor, mask: Tensor, dx: Tensor) -> None:
    """Fill dx (M, K), of the mask's layout, from dq (M, K) whose rows are contiguous."""
    rows, columns = dq.shape
    config = (QUEST_BACKWARD if dq.dtype.itemsize == 2 else QUEST_BACKWARD_FLOAT32).pick(dq.device, dq.numel())
    tiles = config.tiles
    grid = (triton.cdiv(rows, tiles["ROWS"]) * triton.cdiv(columns, tiles["BLOCKS"] * BLOCK),)
    quest_backward_kernel[grid](
        dq,
        mask.view(torch.int8),
        _signs(dq.dtype, dq.device),
        dx,
        rows,
        columns,
        dq.stride(0),
        dx.stride(0),
        COMPUTE=_compute(dq),
        **config.launch(),
    )
