"""The kernel product in plain torch, a block of rows at a time: the truth that the kernels are held to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from kernels.gram_matmul.pointwise import Pointwise, apply, gaussian

BLOCK_ELEMENTS = 1 << 24
"""Entries of K that one block of rows holds at most (a single row may hold more)."""

Block = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Pointwise], Tensor]


def gram_matmul_reference(
    x: Tensor,
    y: Tensor,
    v: Tensor,
    kernel: Pointwise,
    *,
    block: Block | None = None,
    block_elements: int = BLOCK_ELEMENTS,
) -> Tensor:
    """K v with K_ij the map `kernel` of rows x_i and y_j; x (N, D), y (M, D), v (M, P), the result (N, P) in v's dtype.

    Memory is O(block_elements + (N + M)(D + P)), also under autograd: with more than one block each is computed again in the backward pass.
    `block` replaces `kernel_block` (a compiled one). Low-precision inputs are computed in float32.
    """
    block = kernel_block if block is None else block
    dtype = compute_dtype(x, y, v)
    if kernel.of_correlations:
        x, y = unit_rows(x, dtype), unit_rows(y, dtype)
    xs, ys, x_norms, y_norms = prepared(x, y, dtype, kernel)
    columns = v.to(xs.dtype)
    rows = max(1, block_elements // max(1, len(y)))
    if len(x) <= rows:
        return block(xs, ys, x_norms, y_norms, columns, kernel).to(v.dtype)
    parts = [
        checkpoint(block, part, ys, norms, y_norms, columns, kernel, use_reentrant=False)
        for part, norms in zip(torch.split(xs, rows), torch.split(x_norms, rows), strict=True)
    ]
    return torch.cat(parts).to(v.dtype)


def mmd2_reference(x: Tensor, y: Tensor, gammas: Sequence[float], *, block: Block | None = None) -> Tensor:
    """Unbiased MMD^2 as its definition says: the mean of k over the pairs i != j of x, the same of y, less twice the mean between them."""

    def mean(a: Tensor, b: Tensor, *, same: bool) -> Tensor:
        ones = torch.ones_like(b[:, :1], dtype=compute_dtype(b))
        total = gram_matmul_reference(a, b, ones, gaussian(gammas), block=block).double().sum()
        return (total - len(gammas) * len(a)) / (len(a) * (len(a) - 1)) if same else total / (len(a) * len(b))

    return mean(x, x, same=True) + mean(y, y, same=True) - 2.0 * mean(x, y, same=False)


def kernel_block(x: Tensor, y: Tensor, x_norms: Tensor, y_norms: Tensor, v: Tensor, kernel: Pointwise) -> Tensor:
    """K v for the rows at hand, from what `prepared` returns. Entries are clamped to where the map is defined: rounding can leave it."""
    products = x @ y.T
    if kernel.of_correlations:
        return apply(kernel, products.clamp(-1.0, 1.0)) @ v
    return apply(kernel, (x_norms[:, None] + y_norms[None, :] - 2.0 * products).clamp(min=0.0)) @ v


def compute_dtype(*tensors: Tensor) -> torch.dtype:
    """float64 when one of the tensors is, else float32."""
    return torch.float64 if any(tensor.dtype == torch.float64 for tensor in tensors) else torch.float32


def unit_rows(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Rows scaled to length 1 in `dtype`; a row of zeros stays one."""
    x = x.to(dtype)
    lengths: Tensor = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    return x / lengths.masked_fill(lengths == 0.0, 1.0)


def prepared(x: Tensor, y: Tensor, dtype: torch.dtype, kernel: Pointwise) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x, y and their squared norms: `centred` for maps of distances; unit rows stay what they are."""
    if not kernel.of_correlations:
        return centred(x, y, dtype)
    return x.to(dtype), y.to(dtype), x.new_ones(len(x), dtype=dtype), y.new_ones(len(y), dtype=dtype)


def centred(x: Tensor, y: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x and y about a common centre in `dtype`, and their squared norms, (N,) and (M,).

    |x|^2 + |y|^2 - 2 x.y cancels when the data lie far from the origin. The centre ignores entries that are not finite, so that one bad row
    stays one bad row: its squared norm, when it is not finite, is NaN.
    """
    x, y = x.to(dtype), y.to(dtype)
    pooled = [part.detach().nan_to_num(0.0, 0.0, 0.0).sum(0) for part in (x, y)]
    centre = (pooled[0] + pooled[1]) / max(1, len(x) + len(y))
    x, y = x - centre, y - centre
    norms = [part.square().sum(-1) for part in (x, y)]
    marked = [torch.where(norm.isfinite(), norm, torch.nan) for norm in norms]
    return x, y, marked[0], marked[1]
