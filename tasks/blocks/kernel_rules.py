"""Rules that predict from a kernel between new points and examples, without holding more of it than a block."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from kernels.gram_matmul.op import gram_matmul
from kernels.gram_matmul.pointwise import dual_polynomial
from tasks.blocks.hermite_duals import HermiteActivation

MANY = 4_000_000
"""Pairs of a point and an example from which a limit kernel is summed by `gram_matmul`, which never stores it."""
_LAYERS = 200
"""Enough for correlations up to 1 - 1e-12: each layer doubles the distance to 1, or nearly so, and then divides by A'^2."""


def kernel_sum(points: Tensor, x: Tensor, weights: Tensor, kernel: Callable[[Tensor], Tensor]) -> Tensor:
    """sum_i weights_i K(<point, x_i>) for each of (m, d) points over (n, d) examples: (m,). On a CPU a block stays in the cache."""
    return torch.cat([kernel(rows @ x.T) @ weights for rows in torch.split(points, _rows(x))])


def limit_sum(points: Tensor, x: Tensor, weights: Tensor, activation: HermiteActivation) -> Tensor:
    """`kernel_sum` of the limit kernel of an activation, up to one positive factor: of many pairs it is that of `_LAYERS` layers."""
    if len(points) * len(x) < MANY:
        return kernel_sum(points, x, weights, activation.limit_kernel)
    return gram_matmul(points, x, weights[:, None], kernel=dual_polynomial(activation.squares, layers=_LAYERS))[:, 0]


def nearest(points: Tensor, x: Tensor, labels: Tensor) -> Tensor:
    """The label (m,) of the example of the largest inner product, which is the nearest neighbour of unit vectors."""
    return torch.cat([labels[(rows @ x.T).argmax(1)] for rows in torch.split(points, _rows(x))])


def log_interpolation(between: Tensor, own: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """K(x, X) K(X, X)^-1 y from log kernels between points and examples (m, n) and among examples (n, n): values and scores, (m,).

    Kernels may underflow where signs of their sums do not: scores are the values, each over a positive scale of its own. `own` has 0 on
    its diagonal, `between` is on the same scale.
    """
    weights = torch.linalg.solve(own.exp().fill_diagonal_(1.0), labels)
    largest = between.max(1, keepdim=True).values
    scores = (between - largest).exp() @ weights
    return largest[:, 0].exp() * scores, scores


def _rows(x: Tensor) -> int:
    return int(max(1, (2**16 if x.device.type == "cpu" else 2**26) // len(x)))


def leave_one_out_ridge(gram: Tensor, labels: Tensor, ridges: Sequence[float]) -> tuple[float, Tensor]:
    """The ridge of the least leave-one-out squared error, and the dual weights (n,) of kernel ridge regression with it.

    Left out, example i has the residual alpha_i / (K + ridge)^-1_ii with alpha = (K + ridge)^-1 y (Rasmussen and Williams 2006, eq. 5.12).
    """
    values, vectors = torch.linalg.eigh(gram)
    along, squares = vectors.T @ labels, vectors.square()

    def fitted(ridge: float) -> tuple[float, float, Tensor]:
        inverse = 1.0 / (values.clamp_min(0.0) + ridge)
        alpha = vectors @ (inverse * along)
        return float((alpha / (squares @ inverse)).square().mean()), ridge, alpha

    _, ridge, alpha = min((fitted(ridge) for ridge in ridges), key=lambda found: found[0])
    return ridge, alpha
