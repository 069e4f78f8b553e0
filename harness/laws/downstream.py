"""Downstream accuracy of runs that were not made, in two stages: loss from a scaling law, accuracy from loss (Gadre et al., 2403.08540;
Bhagia et al., 2412.04403).

The uncertainty of both stages is carried through by their resamples: each gives a loss and a curve, and a new run adds a residual of
either stage. An interval is at least Student's with the fewer degrees of freedom of the two.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy import stats

from harness.errors import DataError, UsageError
from harness.laws.law import Law
from harness.laws.prediction import Predicted, Prediction, beyond, finite_or_none, terms_at
from harness.laws.result import Fit, Part
from harness.laws.solver import Array, predict

LOSS = "loss"


def check(first: Law, second: Law) -> None:
    """UsageError unless `second` reads the loss that `first` gives."""
    if LOSS not in {column.name for column in second.columns}:
        raise UsageError(f"--through is for laws of loss, such as sigmoid, not {second.name}")
    if LOSS in {column.name for column in first.columns}:
        raise UsageError(f"--through takes a law that gives a loss, such as chinchilla, not {first.name}")


def constraints(second: Law, wanted: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """Fixed parameters of the first and of the second law: a name that both have is the second's."""
    own = {name: value for name, value in wanted.items() if name in second.parameters}
    return {name: value for name, value in wanted.items() if name not in own}, own


def through(first: Fit, second: Fit) -> list[Prediction]:
    """The response of `second` at the losses that `first` predicts. Groups go together by name; a fit without groups serves all."""
    rng, found = np.random.default_rng(first.seed), []
    for part in first.parts:
        for prediction, (i, one) in zip(part.predictions, _points(part), strict=True):
            label = prediction.group or part.group
            other = _partner(second, label)
            found.append(_chained(part, other, i, one, prediction, label, first.confidence, rng))
    return found


def _points(part: Part) -> list[tuple[int, Predicted]]:
    return [(i, one) for i, one in enumerate(part.design.quantities) if isinstance(one, Predicted)]


def _partner(fit: Fit, label: str) -> Part:
    for part in fit.parts:
        if part.group == label or label in part.rows.group or len(set(part.rows.group)) == len(fit.parts) == 1:
            return part
    raise DataError(f"{fit.source}: {label} has a loss but no {fit.columns[fit.law.y.name]}")


def _chained(
    part: Part, other: Part, i: int, one: Predicted, prediction: Prediction, label: str, confidence: float, rng: np.random.Generator
) -> Prediction:
    log_loss = float(one.fitted(part.theta[None])[0])
    group = label if label in other.rows.group else other.rows.group[0]

    def curve(log_x: Array, theta: Array) -> Array:
        """log y of the second law at (B,) losses with (B, p) or (1, p) parameters."""
        terms = terms_at(
            other.design, other.rows, {LOSS: np.exp(log_x)}, [other.rows.family[other.rows.group.index(group)]] * len(log_x), group
        )
        logs = predict(terms, theta)[0]
        return logs[0] if len(theta) == 1 else np.diagonal(logs)

    value = float(np.exp(curve(np.array([log_loss]), other.theta[None])[0]))
    outside = ", ".join(filter(None, (prediction.beyond, beyond(other.rows, {LOSS: math.exp(log_loss)}))))
    reason = prediction.reason or next((estimate.reason for estimate in other.estimates if "resample" in estimate.reason), "")
    if reason or part.resamples is None or other.resamples is None:
        return Prediction(label, one.at, value, None, None, None, None, reason or "no resamples were asked for", outside)
    kept = part.resamples.converged & other.resamples.converged
    ends = (prediction.low, prediction.high)
    # The resamples give the shape of the law's interval, the other way round where it is a bootstrap-t's.
    drawn = part.resamples.fitted[kept, i] - log_loss
    scale = math.log((ends[1] or 1.0) / (ends[0] or 1.0)) / float(np.ptp(np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])))
    losses, theta = log_loss + _side(part) * drawn * scale, other.resamples.theta[kept]
    tail, degrees = (1 - confidence) / 2, min(part.degrees, other.degrees)
    least = float(stats.t.ppf(1 - tail, degrees))

    def band(log_x: Array, noise: Array | float) -> tuple[float, float]:
        centre = curve(log_x, other.theta[None])
        logs = centre + _side(other) * (curve(log_x, theta) - centre) + noise
        low, high = np.quantile(logs, [tail, 1 - tail])
        half = least * float(np.std(logs))
        return float(np.exp(min(low, math.log(value) - half))), float(np.exp(max(high, math.log(value) + half)))

    law = band(losses, 0.0)
    run = band(losses + _noise(part, len(losses), rng), _noise(other, len(losses), rng))
    low, high, new_low, new_high = (finite_or_none(end) for end in (*law, *run))
    return Prediction(label, one.at, value, low, high, new_low, new_high, "", outside)


def _side(part: Part) -> int:
    return 1 if part.resamples is not None and part.resamples.errors is None else -1


def _noise(part: Part, count: int, rng: np.random.Generator) -> Array:
    """Residuals of a fit, corrected for its degrees of freedom, with random signs."""
    points, size = part.design.terms.shape[1:]
    residuals = (part.residuals / part.design.terms.spread) * math.sqrt(points / max(points - size, 1))
    return np.asarray(rng.choice(residuals, count) * rng.choice([-1.0, 1.0], count))
