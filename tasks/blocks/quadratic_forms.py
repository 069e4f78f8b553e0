"""The law of Q = floor + sum_i w_i (g_i + b_i)^2 of independent standard Gaussians g_i: cumulants, and the chance that it is small.

Such is the test error of a Gaussian process. Chances are natural logarithms, for they may be exp(-100,000).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy import optimize, special

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class QuadraticForm:
    """Weights w_i > 0 and b_i, both (k,), and the part of Q that does not vary."""

    weights: Floats
    shifts: Floats
    floor: float = 0.0

    @staticmethod
    def of(mean: Floats, covariance: Floats, smallest: float = 1e-14) -> QuadraticForm:
        """That of |z|^2 / m for z ~ N(mean (m,), covariance (m, m)).

        Directions with less than `smallest` of the largest variance are taken as fixed: they are rounding.
        """
        variances, basis = np.linalg.eigh(covariance)
        along, free = basis.T @ mean, variances > smallest * variances[-1]
        shifts = along[free] / np.sqrt(variances[free])
        return QuadraticForm(variances[free] / len(mean), shifts, float((along[~free] ** 2).sum() / len(mean)))

    def cumulant(self, order: int) -> float:
        """2^(r-1) (r-1)! sum w^r (1 + r b^2); the first has the floor."""
        own = 2.0 ** (order - 1) * math.factorial(order - 1) * float((self.weights**order * (1.0 + order * self.shifts**2)).sum())
        return own + (self.floor if order == 1 else 0.0)

    def draws(self, count: int, stream: np.random.Generator) -> Floats:
        """(count,) values of Q."""
        return self.floor + (stream.standard_normal((count, len(self.weights))) + self.shifts) ** 2 @ self.weights

    def log_chance(self, level: float) -> float:
        """log P(Q <= level) by the saddlepoint of the cumulant generating function (Lugannani and Rice 1980): -inf at and below the floor.

        Its relative error stays bounded in the lower tail, where nothing can be drawn.
        """
        if level <= self.floor:
            return -math.inf
        s = self._saddle(level)
        left = 1.0 - 2.0 * s * self.weights
        generated = float((-0.5 * np.log(left) + s * self.weights * self.shifts**2 / left).sum())
        spread = float((2.0 * self.weights**2 / left**2 + 4.0 * self.weights**2 * self.shifts**2 / left**3).sum())
        root = math.copysign(math.sqrt(max(0.0, 2.0 * (s * (level - self.floor) - generated))), s)
        if abs(root) < 1e-3:  # at the mean both terms below are infinite; their difference is this
            skew = self.cumulant(3) / self.cumulant(2) ** 1.5
            return math.log(0.5 + (skew / 6.0 + root) / math.sqrt(2.0 * math.pi))
        if root > 0.0:
            upper = special.ndtr(-root) - math.exp(-0.5 * root**2) / math.sqrt(2 * math.pi) * (1.0 / root - 1.0 / (s * math.sqrt(spread)))
            return math.log1p(-min(float(upper), 1.0 - 1e-16))
        mills = math.sqrt(math.pi / 2.0) * float(special.erfcx(-root / math.sqrt(2.0)))
        return -0.5 * root**2 - 0.5 * math.log(2.0 * math.pi) + math.log(mills + 1.0 / root - 1.0 / (s * math.sqrt(spread)))

    def tilted(self, level: float, count: int, stream: np.random.Generator) -> float:
        """The same by importance sampling from Gaussians under which Q is `level` on average: an independent route, as noisy as draws."""
        s = min(0.0, self._saddle(level)) if level > self.floor else -math.inf
        if s == -math.inf:
            return -math.inf
        left = 1.0 - 2.0 * s * self.weights
        drawn = stream.standard_normal((count, len(self.weights))) / np.sqrt(left) + self.shifts / left
        q = drawn**2 @ self.weights
        generated = float((-0.5 * np.log(left) + s * self.weights * self.shifts**2 / left).sum())
        inside = q <= level - self.floor
        return float(special.logsumexp(generated - s * q[inside]) - math.log(count)) if inside.any() else -math.inf

    def _saddle(self, level: float) -> float:
        """s with K'(s) = level - floor; K' rises from 0 at -inf to inf at 1 / (2 max w)."""
        w, squares, aim = self.weights, self.shifts**2, level - self.floor

        def excess(s: float) -> float:
            left = 1.0 - 2.0 * s * w
            return math.log(float((w / left * (1.0 + squares / left)).sum()) / aim)

        low = -1.0 / aim
        while excess(low) > 0.0:
            low *= 4.0
        return float(optimize.brentq(excess, low, 0.5 / float(w.max()) * (1.0 - 1e-12), xtol=1e-14 * abs(low), rtol=1e-13, maxiter=500))


def generated_cumulants(mean: Floats, covariance: Floats, orders: int) -> list[float]:
    """The first cumulants of |z|^2 / m for z ~ N(mean (m,), covariance (m, m)) by a route without eigenvalues.

    They are derivatives at s = 0, by automatic differentiation, of log E exp(s Q), which is
    -log det(I - 2 s C / m) / 2 + s / m mu (I - 2 s C / m)^-1 mu.
    """
    mu, c, size = torch.tensor(mean), torch.tensor(covariance), len(mean)
    s, found = torch.zeros((), dtype=torch.float64, requires_grad=True), []
    left = torch.eye(size, dtype=torch.float64) - 2.0 * s * c / size
    value = -0.5 * torch.logdet(left) + s / size * (mu @ torch.linalg.solve(left, mu))
    for _ in range(orders):
        (value,) = torch.autograd.grad(value, s, create_graph=True)
        found.append(float(value.detach()))
    return found


def matched_log_chance(mean: float, variance: float, level: float) -> float:
    """log P(Q <= level) of a scaled chi-square with this mean and variance (Satterthwaite 1946), also where the chance underflows."""
    shape, x = mean**2 / variance, level * mean / variance
    found = float(special.gammainc(shape, x))
    if found > 1e-290:
        return math.log(found)
    series = 1.0 + float(np.cumprod(x / (shape + np.arange(1.0, 10_000.0))).sum())
    return shape * math.log(x) - x - float(special.gammaln(shape + 1.0)) + math.log(series)
