"""Triton kernels of StableMax cross-entropy, and their launches.

Forward keeps r, the sum of s over the classes that are not the label: loss = log(1 + r / s_y) then has full relative precision however
small it is, and so has the label's gradient -(r / S) / (1 + |x_y|). In float32 the loss of a fitted row would round to zero in the plain
form log S - log s_y, which is why the authors compute in float64. r is summed with compensation (Kahan), a lane at a time, and the lanes by
a tree. Backward is one pass over independent tiles: 1 / S and r / S come from the forward pass, because a thread that treats few classes of
many rows would repeat their divisions for every element. Row offsets are 64-bit. No atomics: two runs give the same bits.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.stablemax_ce.tiles import BACKWARD, FORWARD, fitted


@triton.jit
def _stablemax(x):
    """(s(x), 1 / (1 + |x|)): s is 1 + x for x >= 0 and the inverse itself for x < 0; NaN stays NaN, s(-inf) = 0."""
    magnitude = 1.0 + tl.abs(x)
    inverse = 1.0 / magnitude
    return tl.where(x < 0, inverse, magnitude), inverse


@triton.jit
def forward_kernel(
    logits_ptr,
    labels_ptr,
    loss_ptr,
    inverse_total_ptr,
    wrong_ptr,
    rows,
    classes,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    COMPUTE: tl.constexpr,
):
    """Losses of ROWS rows, with 1 / S and r / S, the share of s that is not the label's."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    in_rows = row < rows
    label = tl.load(labels_ptr + row, mask=in_rows, other=0)
    column = tl.arange(0, COLUMNS)
    pointers = logits_ptr + row[:, None] * classes + column[None, :]
    total = tl.zeros((ROWS, COLUMNS), dtype=COMPUTE)
    lost = tl.zeros((ROWS, COLUMNS), dtype=COMPUTE)
    for start in range(0, classes, COLUMNS):
        mask = in_rows[:, None] & (start + column < classes)[None, :]
        x = tl.load(pointers + start, mask=mask, other=-float("inf")).to(COMPUTE)
        s, _ = _stablemax(x)
        s = tl.where((start + column)[None, :] == label[:, None], 0.0, s) - lost
        summed = total + s
        lost = (summed - total) - s
        total = summed
    rest = tl.sum(total, 1) - tl.sum(lost, 1)
    # A label that is no class reads no memory and makes everything of its row NaN.
    known = (label >= 0) & (label < classes)
    x_label = tl.load(logits_ptr + row * classes + label, mask=in_rows & known, other=0.0).to(COMPUTE)
    s_label, _ = _stablemax(tl.where(known, x_label, float("nan")))
    ratio = rest / s_label
    # log(1 + ratio) from a logarithm that is exact to a rounding: what 1 + ratio rounds off is given back by ratio / (u - 1).
    u = 1.0 + ratio
    precise = tl.where(u == 1.0, ratio, tl.log(u) * (ratio / tl.where(u == 1.0, 1.0, u - 1.0)))
    usable = (ratio < 1e30) & (s_label < float("inf"))
    loss = tl.where(usable, precise, tl.log(rest + s_label) - tl.log(s_label))
    inverse_total = 1.0 / (rest + s_label)
    tl.store(loss_ptr + row, loss, mask=in_rows)
    tl.store(inverse_total_ptr + row, inverse_total, mask=in_rows)
    tl.store(wrong_ptr + row, rest * inverse_total, mask=in_rows)


@triton.jit
def backward_kernel(
    logits_ptr,
    dloss_ptr,
    labels_ptr,
    inverse_total_ptr,
    wrong_ptr,
    dlogits_ptr,
    rows,
    classes,
    across,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    COMPUTE: tl.constexpr,
):
    """s'(x_k) / S, and -(r / S) / (1 + |x_y|) at the label, times dloss, on one tile; the `across` tiles of a row lie side by side."""
    row = (tl.program_id(0) // across).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = (tl.program_id(0) % across) * COLUMNS + tl.arange(0, COLUMNS)
    in_rows = row < rows
    label = tl.load(labels_ptr + row, mask=in_rows, other=0)
    dloss = tl.load(dloss_ptr + row, mask=in_rows, other=0.0).to(COMPUTE)
    at_class = dloss * tl.load(inverse_total_ptr + row, mask=in_rows, other=0.0)
    at_label = -dloss * tl.load(wrong_ptr + row, mask=in_rows, other=0.0)
    offset = row[:, None] * classes + column[None, :]
    mask = in_rows[:, None] & (column < classes)[None, :]
    x = tl.load(logits_ptr + offset, mask=mask, other=0.0).to(COMPUTE)
    _, inverse = _stablemax(x)
    slope = tl.where(x < 0, inverse * inverse, 1.0)
    dx = tl.where(column[None, :] == label[:, None], inverse * at_label[:, None], slope * at_class[:, None])
    tl.store(dlogits_ptr + offset, dx.to(dlogits_ptr.dtype.element_ty), mask=mask)


def _compute(logits: Tensor) -> tl.dtype:
    return tl.float64 if logits.dtype == torch.float64 else tl.float32


def launch_forward(logits: Tensor, labels: Tensor, *results: Tensor) -> None:
    """Fill loss, 1 / S and r / S (M,), in the kernels' arithmetic, from contiguous logits (M, C) and labels (M,)."""
    rows, classes = logits.shape
    config = fitted(FORWARD.pick(logits.device, logits.numel()), classes)
    grid = (triton.cdiv(rows, config.tiles["ROWS"]),)
    forward_kernel[grid](logits, labels, *results, rows, classes, COMPUTE=_compute(logits), **config.launch())


def launch_backward(logits: Tensor, *rows_and_result: Tensor) -> None:
    """From contiguous logits (M, C) and dloss, labels, 1 / S and r / S (M,), fill the last tensor, dlogits (M, C)."""
    rows, classes = logits.shape
    config = fitted(BACKWARD.pick(logits.device, logits.numel()), classes)
    across = triton.cdiv(classes, config.tiles["COLUMNS"])
    grid = (triton.cdiv(rows, config.tiles["ROWS"]) * across,)
    backward_kernel[grid](logits, *rows_and_result, rows, classes, across, COMPUTE=_compute(logits), **config.launch())
