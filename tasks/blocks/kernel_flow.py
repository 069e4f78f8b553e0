"""Gradient flow of a function in the space of a kernel: what a network does whose tangent kernel does not move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class KernelFlow:
    """df/dt = K(., X) (y - f(X)), solved by one eigendecomposition for all times and points (Jacot et al. 2018, Section 5).

    Gradient descent at rate eta on half the sum of squares is at time eta times its steps. Everything is float64.
    """

    values: Tensor
    """(n,): eigenvalues of K(X, X), the largest first. What rounding made negative is 0."""
    vectors: Tensor
    """(n, n): eigenvectors as columns."""
    residual: Tensor
    """(n, t): y - f(X) at time 0, along the eigenvectors."""

    @classmethod
    def of(cls, kernel: Tensor, residual: Tensor) -> KernelFlow:
        """From K(X, X), (n, n), and y - f(X) at the start, (n, t) or (n,)."""
        values, vectors = torch.linalg.eigh(kernel.double())
        vectors = vectors.flip(1)
        return cls(values.flip(0).clamp_min(0.0), vectors, vectors.T @ residual.double().reshape(len(kernel), -1))

    def left(self, time: float) -> Tensor:
        """(n, t): y - f(X) at that time along the eigenvectors; each falls at the rate of its eigenvalue."""
        return (-self.values * time).exp().unsqueeze(1) * self.residual

    def moved(self, cross: Tensor, time: float) -> Tensor:
        """f_time - f_0 at other points, (m, t), from K(points, X), (m, n): K(., X) K^-1 (1 - e^(-K time)) (y - f_0)."""
        held = self.values > 0.0
        pace = torch.where(held, -torch.expm1(-self.values * time) / self.values.where(held, 1.0), time)
        return cross.double() @ (self.vectors @ (pace.unsqueeze(1) * self.residual))

    def error(self, cross: Tensor, targets: Tensor, time: float) -> float:
        """Mean square of what is between f_time - f_0 and `targets` (m, t) at other points."""
        return float((self.moved(cross, time) - targets).square().mean())

    def times(self, count: int) -> list[float]:
        """So many times at even ratios, from before the first eigenvector is learned until long after the last one is."""
        return np.geomspace(0.01 / float(self.values[0]), 100.0 / float(self.values[-1]), count).tolist()  # type: ignore[no-any-return]


def fall_exponent(values: Sequence[float], times: Sequence[float], left: Sequence[Sequence[float]]) -> float:
    """The power of an eigenvalue that the rate grows as at which what is `left` along its eigenvectors falls: 1 in kernel flow.

    `left` has for each eigenvalue the squared residual at all `times`. The rate is one over the time at which it first is e^-2 of its
    start, or over the last time where it never is, which bounds the rate from above.
    """
    rates = []
    for curve in left:
        logs = np.log(np.asarray(curve) / curve[0])
        below = np.flatnonzero(logs <= -2.0)
        if len(below) == 0:
            rates.append(1.0 / times[-1])
        else:
            around = slice(below[0] - 1, below[0] + 1)
            rates.append(1.0 / float(np.interp(2.0, -logs[around], np.asarray(times)[around])))
    return float(np.polyfit(np.log(values), np.log(rates), 1)[0])
