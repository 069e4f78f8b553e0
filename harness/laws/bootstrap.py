"""Intervals from refits of the law to resampled data, by a scheme that follows from what the rows are.

Rows, and runs of several rows, are drawn with replacement (Efron, 1979), so each keeps its own size of error; the interval is the
percentile interval of the refits, stretched where rows are few (after Hesterberg, 2015, "What teachers should know about the bootstrap").
Over repetitions of the design, such as five seeds, too few for that, the residuals of a repetition get one random weight (Webb, 2014)
and the interval is a bootstrap-t. So it is, with residuals of one size, where the rows are too few to be drawn.
`docs/calibration-laws.md` has the coverage of each, and of the schemes that were not chosen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.laws.design import Design
from harness.laws.solver import Array, Problem, jacobian, predict, solve
from harness.laws.units import Units

Scheme = Literal["rows", "runs", "repetitions", "residuals"]
_WEBB = np.sqrt([0.5, 1.0, 1.5]).tolist()
WEBB = np.array([-_WEBB[2], -_WEBB[1], -_WEBB[0], *_WEBB])
_LEAST_INFORMATION = 1e-6
"""A draw is used if every direction of theta keeps this share of the table's information."""
PERMUTATIONS = 199
EXACT = 1e-6
"""Differences of log y that count as none."""
_WIDE = 2.0
"""Where each row has a density of its own, a zone that is twice as wide finds errors of different size twice as often."""
_MOST_DRAWS = 2
"""Draws, over the resamples that are wanted, after which the rows are too few to be drawn."""


@dataclass(frozen=True)
class Resamples:
    """One row a resample."""

    scheme: Scheme
    theta: Array
    """(B, p)."""
    fitted: Array
    """(B, q): the design's quantities."""
    errors: Array | None
    """(B, q): their standard errors in that resample, where the scheme needs them."""
    converged: NDArray[np.bool_]


def resample(design: Design, delta: float, theta: Array, count: int, rng: np.random.Generator, units: Units) -> Resamples:
    """Refit `count` resamples from the optimum `theta` (p,)."""
    problem, starts = design.problem(delta), np.repeat(theta[None], count, axis=0)
    fitted, shares = predict(design.terms, theta[None])
    slope = jacobian(design.terms, shares, theta[None])[0] * np.sqrt(design.weights)
    # What is known besides the rows stays as it is when they are drawn: its own error is in the standard errors of a bootstrap-t.
    if units.kind != "repetitions" and not problem.penalties:
        times = _draw(slope, units, count, rng)
        if times is not None:
            solutions = solve(problem, starts, design.log_y, times * design.weights)
            return Resamples(units.kind, solutions.theta, quantities(design, solutions.theta), None, solutions.converged)
    corrected = (design.log_y - fitted[0]) / np.sqrt(1 - _leverage(slope))
    if units.kind == "rows":
        signs = rng.choice([-1.0, 1.0], size=(count, problem.points))
        drawn = signs * corrected[rng.integers(problem.points, size=(count, problem.points))]
    else:
        drawn = corrected * rng.choice(WEBB, size=(count, units.count))[:, units.codes]
    log_y = fitted + drawn
    solutions = solve(problem, starts, log_y, design.weights)
    errors = standard_errors(design, problem, solutions.theta, log_y, units)
    scheme: Scheme = "residuals" if units.kind == "rows" else "repetitions"
    return Resamples(scheme, solutions.theta, quantities(design, solutions.theta), errors, solutions.converged)


def _draw(slope: Array, units: Units, count: int, rng: np.random.Generator) -> Array | None:
    """(count, n): how often each row is drawn; None where draws seldom determine the law that `slope` (p, n) belongs to."""
    size, whole = len(slope), slope @ slope.T
    if not np.trace(whole) > 0:
        return None  # no row moves with any parameter
    if np.linalg.matrix_rank(whole, hermitian=True) < size:
        whole = whole + 1e-9 * np.trace(whole) * np.eye(size)
    white = np.linalg.inv(np.linalg.cholesky(whole)) @ slope
    outer = (white[:, None] * white[None]).reshape(size * size, -1)
    kept: list[Array] = []
    for _ in range(_MOST_DRAWS):
        times = rng.multinomial(units.count, np.full(units.count, 1 / units.count), size=count)[:, units.codes].astype(float)
        least = np.linalg.eigvalsh((times @ outer.T).reshape(-1, size, size))[:, 0]
        kept.append(times[least > _LEAST_INFORMATION])
        if sum(map(len, kept)) >= count:
            return np.concatenate(kept)[:count]
    return None


def quantities(design: Design, theta: Array) -> Array:
    """(B, q): what the design reports, levels and efficiencies as logs."""
    return np.stack([quantity.fitted(theta) for quantity in design.quantities], axis=1)


def covariance(problem: Problem, theta: Array, log_y: Array, weights: Array, units: Units) -> Array:
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
    if units.kind == "rows":
        spread = (psi * psi).sum(axis=1) / max(problem.points - problem.size, 1)
        # (J'WJ)^-1 J'WWJ (J'WJ)^-1, which for equal weights is the inverse itself.
        even = (
            inverse
            if (weights == weights[0]).all() and not problem.penalties
            else inverse @ weighted @ np.swapaxes(weighted, 1, 2) @ inverse
        )
        return np.asarray(even * spread[:, None, None] / centre**2 + known)
    groups = units.count
    scores = (weighted * psi[:, None]) @ np.eye(groups)[units.codes]
    middle = scores @ np.swapaxes(scores, 1, 2) * (groups / (groups - 1))
    return np.asarray(inverse @ middle @ inverse / centre**2 + known)


def standard_errors(design: Design, problem: Problem, theta: Array, log_y: Array, units: Units) -> Array:
    """(B, q): of the design's quantities, by the delta method."""
    spread = covariance(problem, theta, log_y, design.weights, units)
    return _delta_method(design, theta, spread)


def unlike_errors(design: Design, delta: float, theta: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """(q,) and (PERMUTATIONS, q): robust over plain standard errors at `theta` (p,), and the same with residuals that changed places.

    The robust errors let each row have its own size and density of error (the sandwich of White, 1980, and Powell, 1991). Where sizes
    do not belong to rows, residuals may change places, so the second are what chance makes of the first.
    """
    problem = design.problem(delta)
    fitted, shares = predict(problem.terms, theta[None])
    slope, residual = jacobian(problem.terms, shares, theta[None])[0], (design.log_y - fitted)[0]
    orders = rng.permuted(np.tile(np.arange(problem.points), (PERMUTATIONS, 1)), axis=1)
    drawn = residual[np.concatenate([np.arange(problem.points)[None], orders])]
    inside, zone = _zone(drawn, delta, _WIDE)
    density = np.ones(drawn.shape) if math.isinf(delta) else inside * (delta / zone)
    weighted = slope * design.weights
    inverse = np.linalg.pinv((weighted * density[:, None]) @ slope.T, rcond=1e-12, hermitian=True)
    scores = weighted * np.clip(drawn, -delta, delta)[:, None]
    spread = inverse @ scores @ np.swapaxes(scores, 1, 2) @ inverse * (problem.points / (problem.points - problem.size))
    robust = _delta_method(design, np.repeat(theta[None], len(drawn), axis=0), spread)
    plain = standard_errors(design, problem, theta[None], design.log_y, Units("rows", np.arange(problem.points)))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = robust / plain
    return np.asarray(ratios[0]), np.asarray(ratios[1:])


def _delta_method(design: Design, theta: Array, spread: Array) -> Array:
    gradients = np.stack([quantity.gradient(theta) for quantity in design.quantities], axis=1)
    return np.asarray(np.sqrt(np.maximum(np.einsum("bqi,bij,bqj->bq", gradients, spread, gradients), 0.0)))


def intervals(estimate: Array, error: Array, resamples: Resamples, degrees: float, units: int, confidence: float) -> tuple[Array, Array]:
    """(q,) lows and highs, from an `estimate` and its plain `error` (q,), by the scheme of the resamples.

    The ends of a percentile interval of n units with nu degrees of freedom lie t_nu sqrt(n / nu) / z times as far from the estimate as
    the quantiles: the mean of normal numbers then has Student's interval. A bootstrap-t takes the quantiles of (resampled - estimate) /
    resampled error, at least Student's: resampled residuals of few runs have lighter tails than errors.
    """
    kept, tail = resamples.converged, (1 - confidence) / 2
    least = float(stats.t.ppf(1 - tail, degrees))
    if resamples.errors is None:
        stretch = stretched(degrees, units, confidence)
        with np.errstate(invalid="ignore"):
            low, high = np.quantile(resamples.fitted[kept], [tail, 1 - tail], axis=0)
        return np.asarray(estimate + stretch * (low - estimate)), np.asarray(estimate + stretch * (high - estimate))
    with np.errstate(divide="ignore", invalid="ignore"):
        pivots = (resamples.fitted[kept] - estimate) / resamples.errors[kept]
        low, high = np.nanquantile(pivots, [tail, 1 - tail], axis=0)
    return np.asarray(estimate - np.maximum(high, least) * error), np.asarray(estimate + np.maximum(-low, least) * error)


def stretched(degrees: float, units: int, confidence: float) -> float:
    """How many times as far from the estimate as the quantiles of the refits the ends of a percentile interval lie."""
    tail = (1 - confidence) / 2
    return float(stats.t.ppf(1 - tail, degrees)) * math.sqrt(units / degrees) / float(stats.norm.ppf(1 - tail))


def deviations(resamples: Resamples, i: int, estimate: float, error: float, stretch: float) -> Array:
    """Quantity `i` minus its `estimate`, as it may truly be, in each resample that converged: the other way round in a bootstrap-t."""
    kept = resamples.converged
    apart = resamples.fitted[kept, i] - estimate
    return np.asarray(apart * stretch if resamples.errors is None else -apart / resamples.errors[kept, i] * error)


def degrees_of_freedom(problem: Problem, residual: Array, resamples: Resamples, units: Units) -> float:
    """Of an interval: rows beyond the parameters, or runs and repetitions but one.

    Only residuals (n,) within Huber's delta shrink when parameters follow them, so where rows are drawn only their share counts.
    """
    if units.kind != "rows":
        return units.count - 1
    share = float((np.abs(residual) <= problem.delta).mean()) if resamples.scheme == "rows" else 1.0
    return max(problem.points - share * problem.size, 1.0)


def _leverage(slope: Array) -> Array:
    """(n,): how far each point pulls its own fitted value, below 1."""
    left = np.linalg.svd(slope.T, full_matrices=False)[0]
    return np.asarray(np.minimum((left * left).sum(axis=1), 0.95))


def _zone(residual: Array, delta: float, width: float = 1.0) -> tuple[NDArray[np.bool_], Array]:
    """Which residuals (B, n) lie in a zone around 0 that is wide enough to hold some, and its half-width (B, 1)."""
    distance = np.abs(residual)
    zone = np.maximum(delta, width * 1.4826 * np.median(distance, axis=1) * residual.shape[1] ** -0.2)[:, None]
    return distance <= zone, zone


def _central_slope(residual: Array, delta: float) -> Array:
    """(B,): the mean of psi', from the share of residuals near 0."""
    if math.isinf(delta):
        return np.ones(len(residual))
    inside, zone = _zone(residual, delta)
    return np.asarray(np.maximum(inside.mean(axis=1), 1 / residual.shape[1]) * delta / zone[:, 0])
