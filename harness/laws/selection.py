"""Which law do the rows prefer: information criteria, leave-one-out error, and error on the largest scale when it is held out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, stats

from harness.laws.design import Design, build
from harness.laws.fit import optimum
from harness.laws.law import Law
from harness.laws.result import Fit, Part, finite_or_none
from harness.laws.rows import Options, shared_parameters
from harness.laws.solver import Array, huber, predict, solve

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
    """Root mean square error of log y at each row, predicted from the others; NaN where a row cannot be spared."""
    extrapolated: float
    """The same at the rows of the largest first column, predicted from all smaller ones."""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {name: finite_or_none(value) if isinstance(value, float) else value for name, value in vars(self).items()}


def compare(fit: Fit) -> list[Score]:
    """The fitted law, its nested laws (a term fewer), and, where families share parameters, the law with separate fits."""
    return [score for part in fit.parts for score in _scores(fit, part)]


def _scores(fit: Fit, part: Part) -> list[Score]:
    law = part.design.law
    found = [_score(part, law.name, part.design)]
    for nested in nested_laws(law):
        found.append(_score(part, nested.name, build(nested, part.rows, part.design.shared & set(nested.parameters))))
    families = len(set(part.rows.family))
    if fit.shared and families > 1:
        free = shared_parameters(law, families, Options(separate=True))
        separate = build(law, part.rows, free)
        if separate.terms.shape[2] < len(part.numbers):
            found.append(_score(part, f"{law.name}, nothing shared", separate))
    return found


def nested_laws(law: Law) -> list[Law]:
    """The law without each of its terms, as long as a term with a power is left and no efficiency is lost."""
    candidates = [law.without(term.level) for term in law.terms] if len(law.terms) > 1 else []
    return [other for other in candidates if any(term.powers for term in other.terms) and other.efficiencies == law.efficiencies]


def _score(part: Part, name: str, design: Design) -> Score:
    found, best = optimum(design, part.delta)
    theta = found.theta[best]
    residual = design.log_y - predict(design.terms, theta[None])[0][0]
    points, size = design.terms.shape[1:]
    aicc, bic = criteria(residual, part.delta, size, design.weights)
    largest = next(iter(part.rows.x.values()))
    held = largest >= largest.max() * (1 - 1e-9)
    return Score(
        group=part.group,
        candidate=name,
        parameters=size,
        objective=float(found.objective[best]),
        aicc=aicc,
        bic=bic,
        left_out=_held_out(design, part.delta, theta, [np.arange(points) == i for i in range(points)]),
        extrapolated=_held_out(design, part.delta, theta, [held]),
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


def _held_out(design: Design, delta: float, theta: Array, held: Sequence[np.ndarray]) -> float:
    """Refit without each set of rows and predict it; NaN where the rest does not determine the law."""
    weights = np.array([~rows for rows in held]) * design.weights
    if ((weights > 0).sum(axis=1) < design.terms.shape[2]).any() or not all(design.terms.at(~rows).determined() for rows in held):
        return math.nan
    found = solve(design.problem(delta), np.repeat(theta[None], len(held), axis=0), design.log_y, weights)
    if not found.converged.all():
        return math.nan
    residual = design.log_y - predict(design.terms, found.theta)[0]
    return float(np.sqrt(np.mean(np.concatenate([residual[i, rows] for i, rows in enumerate(held)]) ** 2)))
