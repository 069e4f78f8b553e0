"""Which law do the rows prefer: information criteria, leave-one-out error, and error where the largest scale is held out."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, stats

from harness.laws import holdout, starts
from harness.laws.design import Design, build
from harness.laws.fit import optimum
from harness.laws.holdout import LARGEST, HeldOut, held_rows
from harness.laws.law import Law
from harness.laws.prediction import finite_or_none
from harness.laws.result import Fit, Part
from harness.laws.rows import Options, shared_parameters
from harness.laws.solver import Array, huber, objective, predict, solve

MOST_REFITS = 500
"""Refits that leave-one-out may take: with fewer rows each goes from more starts."""
LEAST_RMS = 1e-150
"""Residuals below this count as this: an exact fit has an infinite likelihood, and the square must not vanish."""


@dataclass(frozen=True)
class Score:
    """A candidate on the rows of one fit; lower is better in every number."""

    group: str
    candidate: str
    parameters: int
    objective: float
    aicc: float
    bic: float
    left_out: float
    """Root mean square error of log y at each row or run, predicted from the others; NaN where one cannot be spared."""
    left_out_unit: str
    """`row`, `run` or `repetition`: what is left out."""
    held_out: HeldOut

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        plain = {name: finite_or_none(value) if isinstance(value, float) else value for name, value in vars(self).items()}
        return plain | {"held_out": self.held_out.to_json()}


def compare(fit: Fit, held: float | Collection[int] = LARGEST) -> list[Score]:
    """The fitted law, its nested laws (a term fewer), and, where families share parameters, the law with separate fits.

    `held` is the share of rows, by compute, or the numbers of the rows that are held out.
    """
    return [score for part in fit.parts for score in _scores(fit, part, held_rows(part, held))]


def _scores(fit: Fit, part: Part, held: holdout.Mask) -> list[Score]:
    law = part.design.law
    found = [_score(fit, part, law.name, part.design, held)]
    for nested in nested_laws(law):
        found.append(_score(fit, part, nested.name, build(nested, part.rows, part.design.shared & set(nested.parameters)), held))
    families = len(set(part.rows.family))
    if fit.shared and families > 1:
        free = shared_parameters(law, families, Options(separate=True))
        separate = build(law, part.rows, free)
        if separate.terms.shape[2] < len(part.numbers):
            found.append(_score(fit, part, f"{law.name}, nothing shared", separate, held))
    return found


def nested_laws(law: Law) -> list[Law]:
    """The law without each of its terms, as long as a term with a power is left and no efficiency is lost."""
    candidates = [law.without(term.level) for term in law.terms] if len(law.terms) > 1 else []
    return [other for other in candidates if any(term.powers for term in other.terms) and other.efficiencies == law.efficiencies]


def _score(fit: Fit, part: Part, name: str, design: Design, held: holdout.Mask) -> Score:
    found, best = optimum(design, part.delta)
    theta = found.theta[best]
    residual = design.log_y - predict(design.terms, theta[None])[0][0]
    size = design.terms.shape[2]
    aicc, bic = criteria(residual, part.delta, size, design.weights)
    resamples = 0 if part.resamples is None else len(part.resamples.converged)
    return Score(
        group=part.group,
        candidate=name,
        parameters=size,
        objective=float(found.objective[best]),
        aicc=aicc,
        bic=bic,
        left_out=_left_out(design, part),
        left_out_unit=part.units.kind.removesuffix("s"),
        held_out=holdout.score(part, design, held, resamples, fit.confidence, fit.seed),
    )


def criteria(residual: Array, delta: float, parameters: int, weights: Array | float = 1.0) -> tuple[float, float]:
    """AICc and BIC under the error law that Huber's loss belongs to (Gaussian core, exponential tails), its scale fitted too."""
    points, count = len(residual), parameters + 1
    deviance = 2 * _negative_log_likelihood(residual, delta, weights)
    correction = 2 * count * (count + 1) / (points - count - 1) if points > count + 1 else math.inf
    return deviance + 2 * count + correction, deviance + count * math.log(points)


def _negative_log_likelihood(residual: Array, delta: float, weights: Array | float) -> float:
    points, spread = len(residual), max(float(np.sqrt(np.mean(weights * residual**2))), LEAST_RMS)
    if math.isinf(delta):
        return points * (math.log(spread * math.sqrt(2 * math.pi)) + 0.5)
    loss = float((weights * huber(residual, delta)).sum())

    def value(log_scale: float) -> float:
        scale = math.exp(log_scale)
        ratio = delta / scale
        tails = 2 * math.exp(-0.5 * ratio**2) / ratio if ratio < 38 else 0.0
        core = math.sqrt(2 * math.pi) * (2 * float(stats.norm.cdf(ratio)) - 1)
        return points * (log_scale + math.log(core + tails)) + loss / scale**2

    centre = math.log(max(spread, math.sqrt(delta * spread)))
    bounds = (min(math.log(spread), math.log(delta)) - 5, centre + 5)
    return float(optimize.minimize_scalar(value, bounds=bounds, method="bounded", options={"xatol": 1e-10}).fun)


def _left_out(design: Design, part: Part) -> float:
    """Refit without each unit and predict it, from starts that do not know the optimum of all rows; NaN where one cannot be spared."""
    units = part.units
    out = np.arange(units.count)[:, None] == units.codes
    weights = ~out * design.weights
    if ((weights > 0).sum(axis=1) < design.terms.shape[2]).any() or not all(design.terms.at(~rows).determined() for rows in out):
        return math.nan
    grid = _best_starts(design, part.delta, max(1, MOST_REFITS // units.count))
    count = len(grid)
    found = solve(design.problem(part.delta), np.tile(grid, (units.count, 1)), design.log_y, np.repeat(weights, count, axis=0))
    ends = np.where(found.converged, found.objective, np.inf).reshape(-1, count)
    if not np.isfinite(ends.min(axis=1)).all():
        return math.nan
    best = found.theta.reshape(units.count, count, -1)[np.arange(units.count), ends.argmin(axis=1)]
    residual = design.log_y - predict(design.terms, best)[0]
    return float(np.sqrt(np.mean(residual[out] ** 2)))


def _best_starts(design: Design, delta: float, count: int) -> Array:
    """The starts of the law's grid that begin lowest."""
    grid = np.unique(starts.data_grid(design), axis=0)
    height = objective(design.problem(delta), grid, design.log_y, design.weights)
    return grid[np.argsort(height, kind="stable")[:count]]
