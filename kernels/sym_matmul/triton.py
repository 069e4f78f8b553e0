"""The Triton kernel of symmetric products, and its launch.

One program makes one TILE x TILE tile on or below the diagonal and stores it twice, mirrored: half the multiplications of a plain product.
The grid is linear, matrices outermost, so that a batch of small matrices is one launch and no program exits early. On the diagonal the
lower half of a tile is mirrored, so that the result is symmetric to the last bit. Base offsets are 64-bit; inside a tile 32 bits are enough
unless rows are 2^31/TILE entries or more apart.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.sym_matmul.tiles import SYM_MATMUL, SYM_MATMUL_WIDE


@triton.jit
def sym_matmul_kernel(
    a_ptr,
    b_ptr,
    addend_ptr,
    c_ptr,
    m,
    n,
    triangle,
    alpha,
    beta,
    a_batch,
    a_row,
    b_batch,
    b_row,
    addend_batch,
    addend_row,
    c_batch,
    c_row,
    TILE: tl.constexpr,
    INNER: tl.constexpr,
    ADD: tl.constexpr,
    COMPUTE: tl.constexpr,
    LONG: tl.constexpr,
):
    """C_ij = alpha sum_k A_ik B_jk + beta addend_ij on one tile j <= i, and its mirror image."""
    matrix = (tl.program_id(0) // triangle).to(tl.int64)
    tile = tl.program_id(0) % triangle
    # tile = i (i + 1)/2 + j; the square root is right to one unit.
    i = ((tl.sqrt(8.0 * tile.to(tl.float32) + 1.0) - 1.0) * 0.5).to(tl.int32)
    i = tl.where(i * (i + 1) // 2 > tile, i - 1, i)
    i = tl.where((i + 1) * (i + 2) // 2 <= tile, i + 1, i)
    j = tile - i * (i + 1) // 2
    local = tl.arange(0, TILE)
    row, column = i * TILE + local, j * TILE + local
    line = (local.to(tl.int64) if LONG else local)[:, None]
    inner = tl.arange(0, INNER)
    a_ptr += matrix * a_batch + i.to(tl.int64) * TILE * a_row
    b_ptr += matrix * b_batch + j.to(tl.int64) * TILE * b_row
    a_offset = line * a_row + inner[None, :]
    b_offset = line * b_row + inner[None, :]
    total = tl.zeros((TILE, TILE), dtype=COMPUTE)
    for start in range(0, n, INNER):
        within = (start + inner < n)[None, :]
        a = tl.load(a_ptr + start + a_offset, mask=(row < m)[:, None] & within, other=0.0)
        b = tl.load(b_ptr + start + b_offset, mask=(column < m)[:, None] & within, other=0.0)
        total = tl.dot(a, tl.trans(b), total, input_precision="tf32x3", out_dtype=COMPUTE)
    total = total * alpha
    # Masks that are constant along a row keep stores wide, so the upper half of a diagonal tile is replaced rather than masked out.
    inside = (row < m)[:, None] & (column < m)[None, :]
    if ADD:
        addend_ptr += matrix * addend_batch + i.to(tl.int64) * TILE * addend_row + j * TILE
        addend = tl.load(addend_ptr + line * addend_row + local[None, :], mask=inside, other=0.0)
        total += beta * addend.to(COMPUTE)
    made = total.to(c_ptr.dtype.element_ty)
    if i == j:
        made = tl.where(local[:, None] >= local[None, :], made, tl.trans(made))
    c_ptr += matrix * c_batch
    c_offset = line * c_row + local[None, :]
    tl.store(c_ptr + i.to(tl.int64) * TILE * c_row + j * TILE + c_offset, made, mask=inside)
    mirrored = (column < m)[:, None] & (row < m)[None, :]
    tl.store(c_ptr + j.to(tl.int64) * TILE * c_row + i * TILE + c_offset, tl.trans(made), mask=mirrored)


def launch(a: Tensor, b: Tensor, alpha: float, beta: float, addend: Tensor | None, c: Tensor) -> None:
    """Fill c (batch, m, m) from a and b (batch, m, n) and addend (batch, m, m); the last axis of each is contiguous."""
    batch, m, n = a.shape
    config = (SYM_MATMUL if a.dtype.itemsize == 2 else SYM_MATMUL_WIDE).pick(a.device, m)
    tiles = triton.cdiv(m, config.tiles["TILE"])
    triangle = tiles * (tiles + 1) // 2
    add = c if addend is None else addend
    longest = max(tensor.stride(1) for tensor in (a, b, add, c))
    sym_matmul_kernel[(batch * triangle,)](
        a,
        b,
        add,
        c,
        m,
        n,
        triangle,
        float(alpha),
        float(beta),
        a.stride(0),
        a.stride(1),
        b.stride(0),
        b.stride(1),
        add.stride(0),
        add.stride(1),
        c.stride(0),
        c.stride(1),
        ADD=addend is not None,
        COMPUTE=tl.float64 if a.dtype == torch.float64 else tl.float32,
        LONG=longest * config.tiles["TILE"] >= 2**31,
        **config.launch(),
    )
