"""Triton kernels of the group rational, and their launches.

A tile is ROWS x COLUMNS channels of ONE group, so that its ten coefficients are scalars of the program. The backward pass keeps the ten
coefficient sums of each thread in registers over its rows, reduces them once and writes one partial row a program; a second sum in fixed
order finishes: no atomics, so that two runs give the same bits. The two published schedules with atomics are here too, because how much
they cost is a claim on trial: `per_element_atomic` (the first released kernel) and `per_tile_atomic` (FlashKAT, arXiv 2505.13813).
Base offsets are 64-bit; inside a tile 32 bits are enough.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.group_rational.tiles import BACKWARD, FORWARD, PER_ELEMENT_ATOMIC, PER_TILE_ATOMIC


@triton.jit
def _coefficients(numerator_ptr, denominator_ptr, group, COMPUTE: tl.constexpr):
    """a_0 to a_5 and |b_1| to |b_4| of a group, or of a block of groups."""
    a0 = tl.load(numerator_ptr + group * 6).to(COMPUTE)
    a1 = tl.load(numerator_ptr + group * 6 + 1).to(COMPUTE)
    a2 = tl.load(numerator_ptr + group * 6 + 2).to(COMPUTE)
    a3 = tl.load(numerator_ptr + group * 6 + 3).to(COMPUTE)
    a4 = tl.load(numerator_ptr + group * 6 + 4).to(COMPUTE)
    a5 = tl.load(numerator_ptr + group * 6 + 5).to(COMPUTE)
    b1 = tl.abs(tl.load(denominator_ptr + group * 4).to(COMPUTE))
    b2 = tl.abs(tl.load(denominator_ptr + group * 4 + 1).to(COMPUTE))
    b3 = tl.abs(tl.load(denominator_ptr + group * 4 + 2).to(COMPUTE))
    b4 = tl.abs(tl.load(denominator_ptr + group * 4 + 3).to(COMPUTE))
    return a0, a1, a2, a3, a4, a5, b1, b2, b3, b4


@triton.jit
def forward_kernel(
    x_ptr,
    numerator_ptr,
    denominator_ptr,
    y_ptr,
    rows,
    width,
    group_width,
    across,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    COMPUTE: tl.constexpr,
):
    """y = P/Q on one tile. The grid is linear, the `across` column tiles of a row innermost: programs that run together read whole rows."""
    blocks = tl.cdiv(group_width, COLUMNS)
    group = tl.program_id(0) % across // blocks
    column = (tl.program_id(0) % blocks) * COLUMNS + tl.arange(0, COLUMNS)
    tile = tl.program_id(0) // across
    row = tile * ROWS + tl.arange(0, ROWS)
    start = tile.to(tl.int64) * ROWS * width + group * group_width
    offset = tl.arange(0, ROWS)[:, None] * width + column[None, :]
    mask = (row < rows)[:, None] & (column < group_width)[None, :]
    x = tl.load(x_ptr + start + offset, mask=mask, other=0.0).to(COMPUTE)
    a0, a1, a2, a3, a4, a5, b1, b2, b3, b4 = _coefficients(numerator_ptr, denominator_ptr, group, COMPUTE)
    u = tl.abs(x)
    top = ((((a5 * x + a4) * x + a3) * x + a2) * x + a1) * x + a0
    bottom = (((b4 * u + b3) * u + b2) * u + b1) * u + 1.0
    tl.store(y_ptr + start + offset, (top / bottom).to(y_ptr.dtype.element_ty), mask=mask)


@triton.jit
def _terms(x, dy, a0, a1, a2, a3, a4, a5, b1, b2, b3, b4):
    """(dx, h, h y) with h = dy/Q: dx = h (P' - y Q'), the sums over elements of h x^i and -sgn(b_j) h y |x|^j are the rest."""
    u = tl.abs(x)
    sign = tl.where(x > 0, 1.0, tl.where(x < 0, -1.0, 0.0)).to(x.dtype)
    top = ((((a5 * x + a4) * x + a3) * x + a2) * x + a1) * x + a0
    top_slope = (((5.0 * a5 * x + 4.0 * a4) * x + 3.0 * a3) * x + 2.0 * a2) * x + a1
    bottom = (((b4 * u + b3) * u + b2) * u + b1) * u + 1.0
    bottom_slope = (((4.0 * b4 * u + 3.0 * b3) * u + 2.0 * b2) * u + b1) * sign
    inverse = 1.0 / bottom
    y = top * inverse
    h = dy * inverse
    return h * (top_slope - y * bottom_slope), h, h * y


@triton.jit
def backward_kernel(
    dy_ptr,
    x_ptr,
    numerator_ptr,
    denominator_ptr,
    dx_ptr,
    partial_ptr,
    rows,
    width,
    group_width,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    COMPUTE: tl.constexpr,
):
    """dx on the row tiles p, p + P, ... of one column tile, its ten sums to partial[p, column tile, :]; the grid is (column tiles, P)."""
    blocks = tl.cdiv(group_width, COLUMNS)
    group = tl.program_id(0) // blocks
    column = (tl.program_id(0) % blocks) * COLUMNS + tl.arange(0, COLUMNS)
    offset = tl.arange(0, ROWS)[:, None] * width + column[None, :]
    in_group = (column < group_width)[None, :]
    a0, a1, a2, a3, a4, a5, b1, b2, b3, b4 = _coefficients(numerator_ptr, denominator_ptr, group, COMPUTE)
    da0 = tl.zeros((ROWS, COLUMNS), dtype=COMPUTE)
    da1 = tl.zeros((ROWS, COLUMNS), dtype=COMPUTE)
    da2 = tl.zeros((ROWS, COLUMNS), dtype=COMPUTE)
    da3 = tl.zeros((ROWS, COLUMNS), dtype=COMPUTE)
    da4 = tl.zeros((ROWS, COLUMNS), dtype=COMPUTE)
    da5 = tl.zeros((ROWS, COLUMNS), dtype=COMPUTE)
    db1 = tl.zeros((ROWS, COLUMNS), dtype=COMPUTE)
    db2 = tl.zeros((ROWS, COLUMNS), dtype=COMPUTE)
    db3 = tl.zeros((ROWS, COLUMNS), dtype=COMPUTE)
    db4 = tl.zeros((ROWS, COLUMNS), dtype=COMPUTE)
    for tile in range(tl.program_id(1), tl.cdiv(rows, ROWS), tl.num_programs(1)):
        start = tl.cast(tile, tl.int64) * ROWS * width + group * group_width
        mask = (tile * ROWS + tl.arange(0, ROWS) < rows)[:, None] & in_group
        x = tl.load(x_ptr + start + offset, mask=mask, other=0.0).to(COMPUTE)
        dy = tl.load(dy_ptr + start + offset, mask=mask, other=0.0).to(COMPUTE)
        dx, h, hy = _terms(x, dy, a0, a1, a2, a3, a4, a5, b1, b2, b3, b4)
        tl.store(dx_ptr + start + offset, dx.to(dx_ptr.dtype.element_ty), mask=mask)
        u = tl.abs(x)
        square = x * x
        fourth = square * square
        da0 += h
        da1 += h * x
        da2 += h * square
        da3 += h * (square * x)
        da4 += h * fourth
        da5 += h * (fourth * x)
        db1 += hy * u
        db2 += hy * square
        db3 += hy * (square * u)
        db4 += hy * fourth
    row = (tl.program_id(1) * tl.num_programs(0) + tl.program_id(0)) * 10
    tl.store(partial_ptr + row, tl.sum(tl.sum(da0, 0), 0))
    tl.store(partial_ptr + row + 1, tl.sum(tl.sum(da1, 0), 0))
    tl.store(partial_ptr + row + 2, tl.sum(tl.sum(da2, 0), 0))
    tl.store(partial_ptr + row + 3, tl.sum(tl.sum(da3, 0), 0))
    tl.store(partial_ptr + row + 4, tl.sum(tl.sum(da4, 0), 0))
    tl.store(partial_ptr + row + 5, tl.sum(tl.sum(da5, 0), 0))
    tl.store(partial_ptr + row + 6, tl.sum(tl.sum(db1, 0), 0))
    tl.store(partial_ptr + row + 7, tl.sum(tl.sum(db2, 0), 0))
    tl.store(partial_ptr + row + 8, tl.sum(tl.sum(db3, 0), 0))
    tl.store(partial_ptr + row + 9, tl.sum(tl.sum(db4, 0), 0))


@triton.jit
def per_tile_atomic_kernel(
    dy_ptr,
    x_ptr,
    numerator_ptr,
    denominator_ptr,
    dx_ptr,
    sums_ptr,
    rows,
    width,
    group_width,
    across,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    COMPUTE: tl.constexpr,
):
    """FlashKAT's schedule: each tile reduces its ten sums and adds them to the group's with one atomic each. The forward kernel's grid."""
    blocks = tl.cdiv(group_width, COLUMNS)
    group = tl.program_id(0) % across // blocks
    column = (tl.program_id(0) % blocks) * COLUMNS + tl.arange(0, COLUMNS)
    tile = tl.program_id(0) // across
    row = tile * ROWS + tl.arange(0, ROWS)
    start = tile.to(tl.int64) * ROWS * width + group * group_width
    offset = tl.arange(0, ROWS)[:, None] * width + column[None, :]
    mask = (row < rows)[:, None] & (column < group_width)[None, :]
    x = tl.load(x_ptr + start + offset, mask=mask, other=0.0).to(COMPUTE)
    dy = tl.load(dy_ptr + start + offset, mask=mask, other=0.0).to(COMPUTE)
    a0, a1, a2, a3, a4, a5, b1, b2, b3, b4 = _coefficients(numerator_ptr, denominator_ptr, group, COMPUTE)
    dx, h, hy = _terms(x, dy, a0, a1, a2, a3, a4, a5, b1, b2, b3, b4)
    tl.store(dx_ptr + start + offset, dx.to(dx_ptr.dtype.element_ty), mask=mask)
    u = tl.abs(x)
    square = x * x
    fourth = square * square
    sums = sums_ptr + group * 10
    tl.atomic_add(sums, tl.sum(tl.sum(h, 0), 0))
    tl.atomic_add(sums + 1, tl.sum(tl.sum(h * x, 0), 0))
    tl.atomic_add(sums + 2, tl.sum(tl.sum(h * square, 0), 0))
    tl.atomic_add(sums + 3, tl.sum(tl.sum(h * (square * x), 0), 0))
    tl.atomic_add(sums + 4, tl.sum(tl.sum(h * fourth, 0), 0))
    tl.atomic_add(sums + 5, tl.sum(tl.sum(h * (fourth * x), 0), 0))
    tl.atomic_add(sums + 6, tl.sum(tl.sum(hy * u, 0), 0))
    tl.atomic_add(sums + 7, tl.sum(tl.sum(hy * square, 0), 0))
    tl.atomic_add(sums + 8, tl.sum(tl.sum(hy * (square * u), 0), 0))
    tl.atomic_add(sums + 9, tl.sum(tl.sum(hy * fourth, 0), 0))


@triton.jit
def per_element_atomic_kernel(
    dy_ptr,
    x_ptr,
    numerator_ptr,
    denominator_ptr,
    dx_ptr,
    sums_ptr,
    elements,
    width,
    group_width,
    BLOCK: tl.constexpr,
    COMPUTE: tl.constexpr,
):
    """The first released schedule: flat blocks, coefficients gathered by element, ten atomics an element."""
    index = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = index < elements
    group = (index % width) // group_width
    x = tl.load(x_ptr + index, mask=mask, other=0.0).to(COMPUTE)
    dy = tl.load(dy_ptr + index, mask=mask, other=0.0).to(COMPUTE)
    a0, a1, a2, a3, a4, a5, b1, b2, b3, b4 = _coefficients(numerator_ptr, denominator_ptr, group, COMPUTE)
    dx, h, hy = _terms(x, dy, a0, a1, a2, a3, a4, a5, b1, b2, b3, b4)
    tl.store(dx_ptr + index, dx.to(dx_ptr.dtype.element_ty), mask=mask)
    u = tl.abs(x)
    square = x * x
    fourth = square * square
    sums = sums_ptr + group * 10
    tl.atomic_add(sums, h, mask=mask)
    tl.atomic_add(sums + 1, h * x, mask=mask)
    tl.atomic_add(sums + 2, h * square, mask=mask)
    tl.atomic_add(sums + 3, h * (square * x), mask=mask)
    tl.atomic_add(sums + 4, h * fourth, mask=mask)
    tl.atomic_add(sums + 5, h * (fourth * x), mask=mask)
    tl.atomic_add(sums + 6, hy * u, mask=mask)
    tl.atomic_add(sums + 7, hy * square, mask=mask)
    tl.atomic_add(sums + 8, hy * (square * u), mask=mask)
    tl.atomic_add(sums + 9, hy * fourth, mask=mask)


def _compute(x: Tensor) -> tl.dtype:
    return tl.float64 if x.dtype == torch.float64 else tl.float32


def launch_forward(x: Tensor, numerator: Tensor, denominator: Tensor, y: Tensor) -> None:
    """Fill y (M, D) from contiguous x (M, D), numerator (G, 6) and denominator (G, 4)."""
    (rows, width), groups = x.shape, len(numerator)
    config = FORWARD.pick(x.device, x.numel())
    across = groups * triton.cdiv(width // groups, config.tiles["COLUMNS"])
    grid = (triton.cdiv(rows, config.tiles["ROWS"]) * across,)
    forward_kernel[grid](x, numerator, denominator, y, rows, width, width // groups, across, COMPUTE=_compute(x), **config.launch())


def launch_backward(dy: Tensor, x: Tensor, numerator: Tensor, denominator: Tensor, dx: Tensor, schedule: str) -> Tensor:
    """Fill dx (M, D) and return the sums (G, 10) of h x^0..x^5 and h y |x|^1..|x|^4, in the kernels' arithmetic."""
    (rows, width), groups = x.shape, len(numerator)
    compute = torch.float64 if x.dtype == torch.float64 else torch.float32
    arguments = (dy, x, numerator, denominator, dx)
    if schedule == "two_stage":
        options = BACKWARD.pick(x.device, x.numel()).launch()
        blocks = triton.cdiv(width // groups, options["COLUMNS"])
        programs = min(options.pop("PROGRAMS"), triton.cdiv(rows, options["ROWS"]))
        partial = torch.empty(programs, groups, blocks, 10, dtype=compute, device=x.device)
        backward_kernel[(groups * blocks, programs)](*arguments, partial, rows, width, width // groups, COMPUTE=_compute(x), **options)
        return partial.sum((0, 2))
    sums = torch.zeros(groups, 10, dtype=compute, device=x.device)
    if schedule == "per_tile_atomic":
        config = PER_TILE_ATOMIC.pick(x.device, x.numel())
        across = groups * triton.cdiv(width // groups, config.tiles["COLUMNS"])
        grid = (triton.cdiv(rows, config.tiles["ROWS"]) * across,)
        per_tile_atomic_kernel[grid](*arguments, sums, rows, width, width // groups, across, COMPUTE=_compute(x), **config.launch())
        return sums
    config = PER_ELEMENT_ATOMIC.pick(x.device, x.numel())
    per_element_atomic_kernel[(triton.cdiv(x.numel(), config.tiles["BLOCK"]),)](
        *arguments, sums, x.numel(), width, width // groups, COMPUTE=_compute(x), **config.launch()
    )
    return sums
