"""Functions drawn from a Gaussian process that is conditioned on data. Everything is float64."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular

Floats = npt.NDArray[np.float64]


def rbf_posterior(x: Floats, y: Floats, ridge: float, sigma: float = 1.0) -> tuple[Floats, Floats]:
    """Mean (m,) and covariance (m, m) at the last m rows of x (n + m, d), given y (n,) at the first n, by Cholesky.

    The kernel is exp(-|x - x'|^2 / (2 sigma^2)). `ridge` is added to the diagonal of the training kernel: a variance of noise, without
    which the factorisation fails. ValueError where it is too small.
    """
    squares, n = (x**2).sum(1), len(y)
    kernel = np.exp(-np.maximum(squares[:, None] + squares - 2.0 * x @ x.T, 0.0) / (2.0 * sigma**2))
    try:
        root = np.linalg.cholesky(kernel[:n, :n] + ridge * np.eye(n))
    except np.linalg.LinAlgError:
        raise ValueError(f"a ridge of {ridge:g} is too small for the kernel of {n} examples: rounding makes it indefinite") from None
    across = solve_triangular(root, kernel[:n, n:], lower=True)
    return across.T @ solve_triangular(root, y, lower=True), kernel[n:, n:] - across.T @ across
