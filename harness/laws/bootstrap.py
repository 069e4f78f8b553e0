"""Bootstrap-t intervals: refits of the law to resampled errors, each with its own standard error.

The design is kept (which sizes, which groups), and the errors of the runs are drawn anew: leverage-corrected residuals with a
random sign, or, over clusters such as seeds, all residuals of a cluster times one weight of Webb's six-point distribution.
Resampling whole rows instead loses a group now and then, and percentile intervals cover about 90 % at eight points
(`tests/benchmarks/law_coverage.py` simulates the coverage).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.laws.design import Design
from harness.laws.solver import Array, Problem, jacobian, predict, solve

_WEBB = np.sqrt([0.5, 1.0, 1.5]).tolist()
WEBB = np.array([-_WEBB[2], -_WEBB[1], -_WEBB[0], *_WEBB])


@dataclass(frozen=True)
class Resamples:
    """One row a resample."""

    theta: Array
    """(B, p)."""
    fitted: Array
    """(B, q): the design's quantities."""
    errors: Array
    """(B, q): their standard errors in that resample."""
    converged: NDArray[np.bool_]


def resample(
    design: Design, delta: float, theta: Array, count: int, rng: np.random.Generator, cluster: Sequence[str] | None = None
) -> Resamples:
    """Refit `count` resamples from the optimum `theta` (p,)."""
    problem = design.problem(delta)
    fitted, shares = predict(design.terms, theta[None])
    slope = jacobian(design.terms, shares, theta[None])[0] * np.sqrt(design.weights)
    corrected = (design.log_y - fitted[0]) / np.sqrt(1 - _leverage(slope))
    if cluster is None:
        signs = rng.choice([-1.0, 1.0], size=(count, problem.points))
        drawn = signs * corrected[rng.integers(problem.points, size=(count, problem.points))]
    else:
        codes = np.unique(list(cluster), return_inverse=True)[1]
        drawn = corrected * rng.choice(WEBB, size=(count, codes.max() + 1))[:, codes]
    log_y = fitted + drawn
    solutions = solve(problem, np.repeat(theta[None], count, axis=0), log_y, design.weights)
    errors = standard_errors(design, problem, solutions.theta, log_y, cluster)
    return Resamples(solutions.theta, quantities(design, solutions.theta), errors, solutions.converged)


def quantities(design: Design, theta: Array) -> Array:
    """(B, q): what the design reports, levels and efficiencies as logs."""
    return np.stack([quantity.fitted(theta) for quantity in design.quantities], axis=1)


def covariance(problem: Problem, theta: Array, log_y: Array, weights: Array, cluster: Sequence[str] | None = None) -> Array:
    """(B, p, p): of an M-estimator, Huber's psi and the density of the errors at zero estimated from the residuals.

    A row of weight w (n,) is one error that pulls w times, not w errors. Over clusters the scores of each are summed first
    (cluster-robust), so errors within one may be dependent.
    """
    fitted, shares = predict(problem.terms, theta)
    slope, residual = jacobian(problem.terms, shares, theta), log_y - fitted
    psi = np.clip(residual, -problem.delta, problem.delta)
    weighted = slope * weights
    centre = _central_slope(residual, problem.delta)[:, None, None]
    flat = sum(penalty.metric(theta) for penalty in problem.penalties)
    inverse = np.linalg.pinv(weighted @ np.swapaxes(slope, 1, 2) + flat / centre, rcond=1e-15, hermitian=True)
    # What is known besides the rows has an error of its own, one more of the scores.
    known = sum(inverse @ (penalty.scale * penalty.metric(theta)) @ inverse for penalty in problem.penalties) / centre**2
    if cluster is None:
        spread = (psi * psi).sum(axis=1) / max(problem.points - problem.size, 1)
        # (J'WJ)^-1 J'WWJ (J'WJ)^-1, which for equal weights is the inverse itself.
        even = (
            inverse
            if (weights == weights[0]).all() and not problem.penalties
            else inverse @ weighted @ np.swapaxes(weighted, 1, 2) @ inverse
        )
        return np.asarray(even * spread[:, None, None] / centre**2 + known)
    codes = np.unique(list(cluster), return_inverse=True)[1]
    groups = int(codes.max()) + 1
    scores = (weighted * psi[:, None]) @ np.eye(groups)[codes]
    middle = scores @ np.swapaxes(scores, 1, 2) * (groups / (groups - 1))
    return np.asarray(inverse @ middle @ inverse / centre**2 + known)


def standard_errors(design: Design, problem: Problem, theta: Array, log_y: Array, cluster: Sequence[str] | None = None) -> Array:
    """(B, q): of the design's quantities, by the delta method."""
    spread = covariance(problem, theta, log_y, design.weights, cluster)
    gradients = np.stack([quantity.gradient(theta) for quantity in design.quantities], axis=1)
    return np.asarray(np.sqrt(np.maximum(np.einsum("bqi,bij,bqj->bq", gradients, spread, gradients), 0.0)))


def intervals(estimate: Array, error: Array, resamples: Resamples, degrees: int, confidence: float) -> tuple[Array, Array]:
    """(q,) lows and highs: the estimate minus its error times the quantiles of (resampled - estimate) / resampled error.

    The quantiles are at least Student's with `degrees` of freedom: resampled residuals of few runs have lighter tails than errors.
    """
    kept, tail = resamples.converged, (1 - confidence) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        pivots = (resamples.fitted[kept] - estimate) / resamples.errors[kept]
    low, high = np.nanquantile(pivots, [tail, 1 - tail], axis=0)
    least = float(stats.t.ppf(1 - tail, degrees))
    return np.asarray(estimate - np.maximum(high, least) * error), np.asarray(estimate + np.maximum(-low, least) * error)


def degrees_of_freedom(problem: Problem, cluster: Sequence[str] | None) -> int:
    """Points beyond the parameters, or clusters but one."""
    return problem.points - problem.size if cluster is None else len(set(cluster)) - 1


def _leverage(slope: Array) -> Array:
    """(n,): how far each point pulls its own fitted value, below 1."""
    left = np.linalg.svd(slope.T, full_matrices=False)[0]
    return np.asarray(np.minimum((left * left).sum(axis=1), 0.95))


def _central_slope(residual: Array, delta: float) -> Array:
    """(B,): the mean of psi', from the share of residuals in a zone that is wide enough to hold some."""
    if math.isinf(delta):
        return np.ones(len(residual))
    distance = np.abs(residual)
    zone = np.maximum(delta, 1.4826 * np.median(distance, axis=1) * residual.shape[1] ** -0.2)
    share = (distance <= zone[:, None]).mean(axis=1)
    return np.asarray(np.maximum(share, 1 / residual.shape[1]) * delta / zone)
