"""Thousands of small robust fits at once: min over theta of sum_i w_i huber(y_i - log sum_k exp(X_k theta)_i), by batched Newton steps.

The exact Hessian of the Huber objective is indefinite away from a solution and singular where few residuals are inside the
quadratic zone, so each step is taken in the metric of the iteratively-reweighted Gauss-Newton matrix (which is positive), with
absolute eigenvalues and a damping that follows the ratio of actual to predicted decrease. That makes it independent of the units of
the parameters. A start has converged when the gradient vanishes relative to the forces that balance in it, and only then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from harness.laws.terms import Array as Array
from harness.laws.terms import Terms

LEAST_SUM = 1e-12
"""Sum of the terms, relative to the largest, below which terms that are subtracted have left no positive y: such a step is refused."""
GRADIENT_TOLERANCE = 1e-7
MOST_ITERATIONS = 400
_CHUNK_FLOATS = 200_000
"""Floats of the largest temporary: about a megabyte, which stays in the cache."""
_LEAST_DAMPING, _MOST_DAMPING, _BACK_OFF, _MOST_STRETCH = 1e-3, 1e12, 4.0, 8.0
_EXACT = 1e-7
"""Mean force, in units of log y, below which residuals are taken for rounding and the gradient is measured against this instead."""


class Penalty(Protocol):
    """What is known besides the rows, as a function of theta (B, p) that is added to the objective."""

    @property
    def scale(self) -> float:
        """Variance of an error in units of the objective: that of the gradient at the truth is `scale` times `metric`."""

    def value(self, theta: Array) -> Array:
        """(B,)."""

    def gradient(self, theta: Array) -> Array:
        """(B, p)."""

    def hessian(self, theta: Array) -> Array:
        """(B, p, p)."""

    def metric(self, theta: Array) -> Array:
        """(B, p, p): positive, near a solution about the second derivative."""


@dataclass(frozen=True)
class Prior:
    """Adds sum_m weights_m (slopes_m @ theta - targets_m)^2 / 2 to the objective."""

    slopes: Array
    """(m, p)."""
    targets: Array
    """(m,)."""
    weights: Array
    """(m,)."""
    scale: float

    def hessian(self, theta: Array) -> Array:
        """(B, p, p): second derivative, the same everywhere."""
        found = (self.slopes.T * self.weights) @ self.slopes
        return np.broadcast_to(found, (len(theta), *found.shape))

    def metric(self, theta: Array) -> Array:
        """(B, p, p)."""
        return self.hessian(theta)

    def value(self, theta: Array) -> Array:
        """(B,)."""
        return np.asarray(0.5 * ((theta @ self.slopes.T - self.targets) ** 2 * self.weights).sum(axis=-1))

    def gradient(self, theta: Array) -> Array:
        """(B, p)."""
        return np.asarray(((theta @ self.slopes.T - self.targets) * self.weights) @ self.slopes)


@dataclass(frozen=True)
class Problem:
    """What every member of a batch has in common.

    `delta` is Huber's, in units of log y; infinite for least squares.
    """

    terms: Terms
    delta: float
    penalties: tuple[Penalty, ...] = ()

    @property
    def points(self) -> int:
        """n."""
        return int(self.terms.shape[1])

    @property
    def size(self) -> int:
        """p."""
        return int(self.terms.shape[2])


@dataclass(frozen=True)
class Solutions:
    """One row a member of the batch."""

    theta: Array
    """(B, p)."""
    objective: Array
    """(B,): the SUM of the weighted Huber losses."""
    gradient: Array
    """(B,): the largest component of the gradient over the sum of the forces w_i |psi_i|."""
    converged: NDArray[np.bool_]
    iterations: NDArray[np.int64]


def predict(terms: Terms, theta: Array) -> tuple[Array, Array]:
    """log y in units of its spread, (B, n), and the share of each term in y, (B, K, n), negative where it is subtracted."""
    logs = terms.logs(theta)
    if logs.shape[1] == 1:
        return logs[:, 0] / terms.spread, np.ones_like(logs)
    top = logs.max(axis=1)
    shares = np.exp(logs - top[:, None]) * terms.signs[:, None]
    total = np.maximum(shares.sum(axis=1), LEAST_SUM)
    shares /= total[:, None]
    return (top + np.log(total)) / terms.spread, shares


def jacobian(terms: Terms, shares: Array, theta: Array) -> Array:
    """Derivative of log y, in units of its spread, with respect to theta: (B, p, n)."""
    found = np.zeros((len(shares), terms.shape[2], terms.shape[1]))
    for k, j in np.argwhere(terms.linear.any(axis=1)):
        found[:, j] += shares[:, k] * (terms.linear[k, :, j] / terms.spread)
    for bend in terms.bends:
        found += (shares[:, bend.term] / terms.spread)[:, None] * bend.slope(theta)
    return found


def huber(residual: Array, delta: float) -> Array:
    """r^2/2 within delta, delta (|r| - delta/2) beyond."""
    if math.isinf(delta):
        return np.asarray(0.5 * residual * residual)
    inside = np.minimum(np.abs(residual), delta)
    return np.asarray(inside * (np.abs(residual) - 0.5 * inside))


def objective(problem: Problem, theta: Array, y: Array, weights: Array) -> Array:
    """(B,): sum over the points of the weighted Huber losses, and the penalties."""
    found = np.asarray((weights * huber(y - predict(problem.terms, theta)[0], problem.delta)).sum(axis=-1))
    for penalty in problem.penalties:
        found = found + penalty.value(theta)
    return found


def gradient(problem: Problem, theta: Array, y: Array, weights: Array) -> Array:
    """(B, p): derivative of `objective`."""
    return _Local.at(problem, theta, y, weights).gradient


def hessian(problem: Problem, theta: Array, y: Array, weights: Array) -> Array:
    """(B, p, p): second derivative of `objective`, one-sided where a residual sits on the edge of Huber's zone."""
    return _Local.at(problem, theta, y, weights).hessian


def solve(problem: Problem, starts: Array, y: Array, weights: Array, *, tolerance: float = GRADIENT_TOLERANCE) -> Solutions:
    """Minimise from every row of `starts` (B, p). `y` (log of the response) and `weights` are (n,) or (B, n)."""
    theta, batch = starts.astype(float), len(starts)
    y, weights = np.broadcast_to(y, (batch, problem.points)), np.broadcast_to(weights, (batch, problem.points))
    here = _Local.at(problem, theta, y, weights)
    relative = here.relative_gradient()
    damping, growth, stretch = np.ones(batch), np.full(batch, _BACK_OFF), np.ones(batch)
    iterations = np.zeros(batch, dtype=np.int64)
    active = np.flatnonzero(relative > tolerance)
    for _ in range(MOST_ITERATIONS):
        if not len(active):
            break
        step, promised = _step(here.gradient[active], here.hessian[active], here.metric[active], damping[active])
        trial = theta[active] + stretch[active, None] * step
        there = _Local.at(problem, trial, y[active], weights[active])
        gained = (here.objective[active] - there.objective) / (promised * stretch[active])
        better = gained > 1e-4
        factor = np.where(gained > 0.75, 0.2, np.where(gained > 0.25, 1.0, np.where(better, 2.0, growth[active])))
        damping[active] = np.maximum(damping[active] * factor, _LEAST_DAMPING)
        growth[active] = np.where(better, _BACK_OFF, 2.0 * growth[active])
        stretch[active] = np.where(gained > 1.5, np.minimum(2.0 * stretch[active], _MOST_STRETCH), 1.0)
        iterations[active] += 1
        moved = active[better]
        theta[moved] = trial[better]
        here.put(moved, there, better)
        relative[moved] = there.relative_gradient()[better]
        active = active[(relative[active] > tolerance) & (damping[active] < _MOST_DAMPING)]
    return Solutions(theta, here.objective, relative, relative <= tolerance, iterations)


@dataclass
class _Local:
    """Objective and derivatives at the present points of a batch."""

    objective: Array
    gradient: Array
    hessian: Array
    metric: Array
    forces: Array
    floor: Array

    @classmethod
    def at(cls, problem: Problem, theta: Array, y: Array, weights: Array) -> _Local:
        rows = max(1, _CHUNK_FLOATS // (problem.points * problem.size))
        parts = [cls._at(problem, theta[i : i + rows], y[i : i + rows], weights[i : i + rows]) for i in range(0, len(theta), rows)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__))

    @classmethod
    def _at(cls, problem: Problem, theta: Array, y: Array, weights: Array) -> _Local:
        terms, delta = problem.terms, problem.delta
        fitted, shares = predict(terms, theta)
        slope = jacobian(terms, shares, theta)
        residual = np.subtract(y, fitted, out=fitted)
        distance = np.abs(residual)
        bounded = np.minimum(distance, delta)
        pull = weights * np.copysign(bounded, residual)
        # The curvature of log sum exp is that of its terms less the square of its slope.
        curvature = weights * (distance <= delta) + pull * terms.spread
        secant = weights if math.isinf(delta) else weights * (delta / np.maximum(distance, delta))
        across = np.swapaxes(slope, 1, 2)
        second = _of_terms(terms, theta, shares * (pull / terms.spread)[:, None])
        found = cls(
            objective=np.einsum("bi,bi,bi->b", weights, bounded, distance - 0.5 * bounded),
            gradient=-(slope @ pull[..., None])[..., 0],
            hessian=(slope * curvature[:, None]) @ across - second,
            metric=(slope * secant[:, None]) @ across,
            forces=np.abs(pull).sum(axis=1),
            floor=_EXACT * weights.sum(axis=1),
        )
        for penalty in problem.penalties:
            own = penalty.gradient(theta)
            found.objective += penalty.value(theta)
            found.gradient += own
            found.hessian += penalty.hessian(theta)
            found.metric += penalty.metric(theta)
            found.forces += np.abs(own).max(axis=1)
        return found

    def put(self, rows: NDArray[np.int64], other: _Local, chosen: NDArray[np.bool_]) -> None:
        for name in _Local.__dataclass_fields__:
            getattr(self, name)[rows] = getattr(other, name)[chosen]

    def relative_gradient(self) -> Array:
        return np.asarray(np.abs(self.gradient).max(axis=1) / np.maximum(self.forces, self.floor))


def second_derivative(terms: Terms, theta: Array, pull: Array) -> Array:
    """(B, p, p): of log y, in units of its spread, summed over the points with weights `pull` (B, n)."""
    shares = predict(terms, theta)[1]
    slope = jacobian(terms, shares, theta)
    squares = (slope * (pull * terms.spread)[:, None]) @ np.swapaxes(slope, 1, 2)
    return np.asarray(_of_terms(terms, theta, shares * (pull / terms.spread)[:, None]) - squares)


def _of_terms(terms: Terms, theta: Array, pulls: Array) -> Array:
    """(B, p, p): what the terms add to it, each pulled at by `pulls` (B, K, n), which are used up."""
    size = theta.shape[1]
    found = _bent(terms, theta, pulls)
    outer = (terms.linear[..., :, None] * terms.linear[..., None, :]).reshape(-1, size * size)
    return np.asarray(found + (pulls.reshape(len(theta), -1) @ outer).reshape(-1, size, size))


def _bent(terms: Terms, theta: Array, pulls: Array) -> Array:
    """(B, p, p): what terms with bends add to the second derivative of log y, pulled at by `pulls` (B, K, n), which become zero there."""
    found = np.zeros((len(theta), theta.shape[1], theta.shape[1]))
    for k, slope in terms.slopes(theta).items():
        found += (slope * pulls[:, k, None]) @ np.swapaxes(slope, 1, 2)
    for bend in terms.bends:
        found += bend.curvature(theta, pulls[:, bend.term])
    for k in {bend.term for bend in terms.bends}:
        pulls[:, k] = 0.0
    return found


def _step(gradient: Array, hessian: Array, metric: Array, damping: Array) -> tuple[Array, Array]:
    """The damped Newton step in the metric, (B, p), and the decrease that the quadratic model promises, (B,)."""
    diagonal = np.arange(metric.shape[1])
    largest = metric[:, diagonal, diagonal].max(axis=1, keepdims=True)
    metric[:, diagonal, diagonal] += 1e-10 * largest + 1e-300
    root = np.linalg.inv(np.linalg.cholesky(metric))
    values, vectors = np.linalg.eigh(root @ hessian @ np.swapaxes(root, 1, 2))
    axes = np.swapaxes(vectors, 1, 2) @ root
    pull = -(axes @ gradient[..., None])[..., 0]
    move = pull / (np.maximum(np.abs(values), 1e-8) + damping[:, None])
    promised = (pull * move - 0.5 * np.abs(values) * move * move).sum(axis=1)
    return (np.swapaxes(axes, 1, 2) @ move[..., None])[..., 0], np.maximum(promised, 1e-300)
