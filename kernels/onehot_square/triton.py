"""Triton kernels of the gather-square-product, and their launches.

Forward gathers two table rows an example, adds and squares them in registers and multiplies by w: hidden activations are never stored.
Backward has two kernels, which gather again. `tables` makes dh = 2 h (dout w^T) a tile of examples at a time and scatters it by a product
with the one-hot matrix of the examples' indices, which a comparison makes in registers: sums in fixed order, no atomics, no sorting, so
that two runs give the same bits. It costs 4 B N P multiplications and additions more, on tensor cores. `readout` makes dw = (h^2)^T dout.
float32 is multiplied in three tf32 products (22 bits), half precision in its own and scattered in tf32. A program belongs to one member:
a member that diverged hurts no other. Base offsets are 64-bit; inside a member 32 bits are enough.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.configs import Tunable
from kernels.onehot_square.tiles import FORWARD, READOUT, TABLES, fitted


@triton.jit
def _pairs(pairs_ptr, example, examples, rows):
    """First and second index of these examples; -1 past the last one, -2 where it is no row."""
    inside = example < examples
    first = tl.load(pairs_ptr + example * 2, mask=inside, other=-1)
    second = tl.load(pairs_ptr + example * 2 + 1, mask=inside, other=-1)
    first = tl.where(inside & ((first < 0) | (first >= rows)), -2, first).to(tl.int32)
    second = tl.where(inside & ((second < 0) | (second >= rows)), -2, second).to(tl.int32)
    return first, second


@triton.jit
def _hidden(u_ptr, v_ptr, first, second, unit, width, COMPUTE: tl.constexpr):
    """h = u[first] + v[second] (examples, units); NaN for an index that is no row, which is not read, and 0 past the last example."""
    mask = ((first >= 0) & (second >= 0))[:, None] & (unit < width)[None, :]
    u = tl.load(u_ptr + first[:, None] * width + unit[None, :], mask=mask, other=0.0).to(COMPUTE)
    v = tl.load(v_ptr + second[:, None] * width + unit[None, :], mask=mask, other=0.0).to(COMPUTE)
    return tl.where(((first == -2) | (second == -2))[:, None], float("nan"), u + v)


@triton.jit
def forward_kernel(
    pairs_ptr,
    u_ptr,
    v_ptr,
    w_ptr,
    out_ptr,
    pairs_member,
    examples,
    rows,
    width,
    classes,
    EXAMPLES: tl.constexpr,
    WIDTH: tl.constexpr,
    CLASSES: tl.constexpr,
    COMPUTE: tl.constexpr,
):
    """out on one tile; the grid is linear, members outermost, tiles of classes innermost."""
    across, down = tl.cdiv(classes, CLASSES), tl.cdiv(examples, EXAMPLES)
    member = (tl.program_id(0) // (across * down)).to(tl.int64)
    example = (tl.program_id(0) // across) % down * EXAMPLES + tl.arange(0, EXAMPLES)
    column = (tl.program_id(0) % across) * CLASSES + tl.arange(0, CLASSES)
    first, second = _pairs(pairs_ptr + member * pairs_member, example, examples, rows)
    u_ptr += member * rows * width
    v_ptr += member * rows * width
    w_ptr += member * width * classes
    total = tl.zeros((EXAMPLES, CLASSES), dtype=COMPUTE)
    for start in range(0, width, WIDTH):
        unit = start + tl.arange(0, WIDTH)
        h = _hidden(u_ptr, v_ptr, first, second, unit, width, COMPUTE)
        mask = (unit < width)[:, None] & (column < classes)[None, :]
        w = tl.load(w_ptr + unit[:, None] * classes + column[None, :], mask=mask, other=0.0)
        total = tl.dot((h * h).to(w.dtype), w, total, input_precision="tf32x3", out_dtype=COMPUTE)
    mask = (example < examples)[:, None] & (column < classes)[None, :]
    out_ptr += member * examples * classes
    tl.store(out_ptr + example[:, None] * classes + column[None, :], total.to(out_ptr.dtype.element_ty), mask=mask)


@triton.jit
def _scattered(row, index, dh, total, HALVES: tl.constexpr):
    """total[r] plus the sum of dh over the examples whose index is row r. One-hot factors are exact in tf32, so that float32 needs no third
    product: two halves of dh, of 11 bits each."""
    hot = (row[:, None] == index[None, :]).to(dh.dtype)
    if HALVES:
        high = (dh.to(tl.int32, bitcast=True) & -8192).to(tl.float32, bitcast=True)
        total = tl.dot(hot, dh - high, total, input_precision="tf32")
        return tl.dot(hot, high, total, input_precision="tf32")
    return tl.dot(hot, dh, total, input_precision="tf32", out_dtype=dh.dtype)


@triton.jit
def tables_kernel(
    dout_ptr,
    pairs_ptr,
    u_ptr,
    v_ptr,
    w_ptr,
    du_ptr,
    dv_ptr,
    pairs_member,
    examples,
    rows,
    width,
    classes,
    EXAMPLES: tl.constexpr,
    WIDTH: tl.constexpr,
    ROWS: tl.constexpr,
    CLASSES: tl.constexpr,
    COMPUTE: tl.constexpr,
    HALVES: tl.constexpr,
):
    """du and dv on ROWS table rows and WIDTH hidden units, over all examples; the grid is linear, members outermost, rows innermost."""
    down, across = tl.cdiv(rows, ROWS), tl.cdiv(width, WIDTH)
    member = (tl.program_id(0) // (across * down)).to(tl.int64)
    row = (tl.program_id(0) % down) * ROWS + tl.arange(0, ROWS)
    unit = (tl.program_id(0) // down) % across * WIDTH + tl.arange(0, WIDTH)
    pairs_ptr += member * pairs_member
    u_ptr += member * rows * width
    v_ptr += member * rows * width
    w_ptr += member * width * classes
    dout_ptr += member * examples * classes
    du = tl.zeros((ROWS, WIDTH), dtype=COMPUTE)
    dv = tl.zeros((ROWS, WIDTH), dtype=COMPUTE)
    for start in range(0, examples, EXAMPLES):
        example = start + tl.arange(0, EXAMPLES)
        pulled = tl.zeros((EXAMPLES, WIDTH), dtype=COMPUTE)
        for column in range(0, classes, CLASSES):
            output = column + tl.arange(0, CLASSES)
            mask = (example < examples)[:, None] & (output < classes)[None, :]
            dout = tl.load(dout_ptr + example[:, None] * classes + output[None, :], mask=mask, other=0.0)
            mask = (unit < width)[:, None] & (output < classes)[None, :]
            w = tl.load(w_ptr + unit[:, None] * classes + output[None, :], mask=mask, other=0.0)
            pulled = tl.dot(dout, tl.trans(w), pulled, input_precision="tf32x3", out_dtype=COMPUTE)
        first, second = _pairs(pairs_ptr, example, examples, rows)
        h = _hidden(u_ptr, v_ptr, first, second, unit, width, COMPUTE)
        dh = 2.0 * h * pulled
        du = _scattered(row, first, dh, du, HALVES)
        dv = _scattered(row, second, dh, dv, HALVES)
    mask = (row < rows)[:, None] & (unit < width)[None, :]
    offset = member * rows * width + row[:, None] * width + unit[None, :]
    tl.store(du_ptr + offset, du.to(du_ptr.dtype.element_ty), mask=mask)
    tl.store(dv_ptr + offset, dv.to(dv_ptr.dtype.element_ty), mask=mask)


@triton.jit
def readout_kernel(
    dout_ptr,
    pairs_ptr,
    u_ptr,
    v_ptr,
    dw_ptr,
    pairs_member,
    examples,
    rows,
    width,
    classes,
    EXAMPLES: tl.constexpr,
    WIDTH: tl.constexpr,
    CLASSES: tl.constexpr,
    COMPUTE: tl.constexpr,
):
    """dw = (h^2)^T dout on one tile, over all examples; the grid is linear, members outermost, tiles of classes innermost."""
    across, down = tl.cdiv(classes, CLASSES), tl.cdiv(width, WIDTH)
    member = (tl.program_id(0) // (across * down)).to(tl.int64)
    unit = (tl.program_id(0) // across) % down * WIDTH + tl.arange(0, WIDTH)
    column = (tl.program_id(0) % across) * CLASSES + tl.arange(0, CLASSES)
    pairs_ptr += member * pairs_member
    u_ptr += member * rows * width
    v_ptr += member * rows * width
    dout_ptr += member * examples * classes
    dw = tl.zeros((WIDTH, CLASSES), dtype=COMPUTE)
    for start in range(0, examples, EXAMPLES):
        example = start + tl.arange(0, EXAMPLES)
        first, second = _pairs(pairs_ptr, example, examples, rows)
        h = _hidden(u_ptr, v_ptr, first, second, unit, width, COMPUTE)
        mask = (example < examples)[:, None] & (column < classes)[None, :]
        dout = tl.load(dout_ptr + example[:, None] * classes + column[None, :], mask=mask, other=0.0)
        dw = tl.dot(tl.trans((h * h).to(dout.dtype)), dout, dw, input_precision="tf32x3", out_dtype=COMPUTE)
    mask = (unit < width)[:, None] & (column < classes)[None, :]
    dw_ptr += member * width * classes
    tl.store(dw_ptr + unit[:, None] * classes + column[None, :], dw.to(dw_ptr.dtype.element_ty), mask=mask)


def _sizes(pairs: Tensor, u: Tensor, w: Tensor) -> dict[str, int]:
    return {"EXAMPLES": pairs.shape[1], "ROWS": u.shape[1], "WIDTH": u.shape[2], "CLASSES": w.shape[2]}


def _launch(tunable: Tunable, sizes: dict[str, int], members: int, device: torch.device) -> tuple[dict[str, Any], dict[str, int]]:
    """Options of a launch, and how many tiles each size has."""
    config = tunable.pick(device, members * sizes["EXAMPLES"] * sizes["WIDTH"] * sizes["CLASSES"])
    tiles = fitted(config, sizes)
    return config.launch() | tiles, {name: triton.cdiv(sizes[name], tile) for name, tile in tiles.items()}


def launch_forward(pairs: Tensor, u: Tensor, v: Tensor, w: Tensor, out: Tensor) -> None:
    """Fill out (M, B, C) from u, v (M, P, N) and w (M, N, C), contiguous, and pairs (M, B, 2), contiguous but for the first axis."""
    sizes = _sizes(pairs, u, w)
    options, count = _launch(FORWARD, sizes, len(u), u.device)
    grid = (len(u) * count["EXAMPLES"] * count["CLASSES"],)
    forward_kernel[grid](pairs, u, v, w, out, pairs.stride(0), *sizes.values(), COMPUTE=_compute(u), **options)


def launch_tables(dout: Tensor, pairs: Tensor, u: Tensor, v: Tensor, w: Tensor, du: Tensor, dv: Tensor) -> None:
    """Fill du and dv (M, P, N) from contiguous dout (M, B, C) and what the forward pass took."""
    sizes = _sizes(pairs, u, w)
    options, count = _launch(TABLES, sizes, len(u), u.device)
    grid = (len(u) * count["WIDTH"] * count["ROWS"],)
    tensors = (dout, pairs, u, v, w, du, dv)
    tables_kernel[grid](*tensors, pairs.stride(0), *sizes.values(), COMPUTE=_compute(u), HALVES=u.dtype == torch.float32, **options)


def launch_readout(dout: Tensor, pairs: Tensor, u: Tensor, v: Tensor, dw: Tensor) -> None:
    """Fill dw (M, N, C) from contiguous dout (M, B, C) and what the forward pass took."""
    sizes = _sizes(pairs, u, dw)
    options, count = _launch(READOUT, sizes, len(u), u.device)
    grid = (len(u) * count["WIDTH"] * count["CLASSES"],)
    readout_kernel[grid](dout, pairs, u, v, dw, pairs.stride(0), *sizes.values(), COMPUTE=_compute(u), **options)


def _compute(tensor: Tensor) -> tl.dtype:
    return tl.float64 if tensor.dtype == torch.float64 else tl.float32
