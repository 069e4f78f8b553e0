"""The exact Wasserstein-1 distance between samples."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import optimize, sparse, spatial, stats

Points = npt.NDArray[np.float64]


def wasserstein_1(x: Points, y: Points, x_weights: Points | None = None, y_weights: Points | None = None) -> float:
    """W1 for the Euclidean distance between weighted samples (n, d) and (m, d), or (n,) and (m,); equal weights unless given.

    One dimension: the area between the distribution functions. Equal sizes without weights: the best assignment, O(n^3). Otherwise a
    linear program with n m variables, so small samples only.
    """
    x, y = (np.asarray(points, dtype=np.float64) for points in (x, y))
    x, y = (points[:, None] if points.ndim == 1 else points for points in (x, y))
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"samples of {x.shape[1]} and of {y.shape[1]} dimensions have no distance")
    if x.shape[1] == 1:
        return float(stats.wasserstein_distance(x[:, 0], y[:, 0], x_weights, y_weights))
    cost = spatial.distance.cdist(x, y)
    if x_weights is None and y_weights is None and len(x) == len(y):
        rows, columns = optimize.linear_sum_assignment(cost)
        return float(cost[rows, columns].mean())
    return _program(cost, _shares(x_weights, len(x)), _shares(y_weights, len(y)))


def _shares(weights: Points | None, count: int) -> Points:
    found = np.ones(count) if weights is None else np.asarray(weights, dtype=np.float64)
    shares: Points = found / found.sum()
    return shares


def _program(cost: Points, supply: Points, demand: Points) -> float:
    """min <P, cost> over P >= 0 with row sums `supply` and column sums `demand`."""
    n, m = cost.shape
    rows = sparse.kron(sparse.eye(n), np.ones((1, m)))
    columns = sparse.kron(np.ones((1, n)), sparse.eye(m))
    found = optimize.linprog(cost.ravel(), A_eq=sparse.vstack([rows, columns]), b_eq=np.concatenate([supply, demand]), method="highs")
    if not found.success:
        raise ArithmeticError(f"the transport program was not solved: {found.message}")
    return float(found.fun)


def floor_between_samples(draw: npt.NDArray[np.float64], splits: int, generator: np.random.Generator) -> tuple[float, float]:
    """Mean and standard deviation of W1 between two random halves of one sample (n, d): what equal distributions show at this size."""
    found = []
    half = len(draw) // 2
    for _ in range(splits):
        order = generator.permutation(len(draw))
        found.append(wasserstein_1(draw[order[:half]], draw[order[half : 2 * half]]))
    return float(np.mean(found)), float(np.std(found, ddof=1))
