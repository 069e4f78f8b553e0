"""The gather-square-product in plain torch: the truth that the kernels are held to."""

from __future__ import annotations

from torch import Tensor


def onehot_square_reference(pairs: Tensor, u: Tensor, v: Tensor, w: Tensor) -> Tensor:
    """out_b = (u[m_b] + v[n_b])^2 w for pairs (m_b, n_b): a two-layer network with square activation on concatenated one-hot vectors.

    pairs (..., B, 2) int64; u, v (..., P, N); w (..., N, C), with the same leading axes; out (..., B, C) in their dtype.
    Source: the network of arXiv 2310.13061, after 2301.02679.
    """
    shape = (*pairs.shape[:-1], u.shape[-1])
    # gather, because take_along_dim takes an index modulo the rows and would hide one that is no row.
    first, second = (table.gather(-2, pairs[..., i, None].expand(shape)) for i, table in enumerate((u, v)))
    return (first + second).square() @ w
