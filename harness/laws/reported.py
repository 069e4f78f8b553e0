"""From the coordinates of an optimum and its resamples to what people read: parameters, what follows from them, predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from harness.laws.bootstrap import Resamples, deviations, stretched
from harness.laws.derived import Derived
from harness.laws.design import Design, Quantity, Reported, Rows
from harness.laws.prediction import Predicted, Prediction, beyond, new_run
from harness.laws.result import Estimate
from harness.laws.solver import Array, predict

R = TypeVar("R", bound=Reported)


@dataclass(frozen=True, kw_only=True)
class Findings:
    """An optimum with the interval of each of the design's quantities, or the reason why it has none."""

    design: Design
    rows: Rows
    theta: Array
    lows: Array
    """(q,), on the fitted scale."""
    highs: Array
    errors: Array
    """(q,): standard errors."""
    reasons: Sequence[str]
    drawn: Resamples | None
    degrees: float
    units: int
    """Rows, runs or repetitions."""
    confidence: float

    def parameters(self) -> list[Estimate]:
        """Every parameter of the law in the order of its formula, those that are fixed too."""
        law = self.design.law
        found = [self._estimate(i, one, law.meanings[one.name]) for i, one in self._of(Quantity)]
        found += [Estimate(name, "", law.meanings[name], value, None, None, "", fixed=True) for name, value in law.fixed.items()]
        for name, other in law.ties.items():
            if other in law.fixed:
                found.append(Estimate(name, "", law.meanings[name], law.fixed[other], None, None, "", fixed=True))
        return sorted(found, key=lambda estimate: law.parameters.index(estimate.name))

    def derived(self) -> list[Estimate]:
        """What follows from the parameters."""
        return [self._estimate(i, one, one.meaning) for i, one in self._of(Derived)]

    def predictions(self, rng: np.random.Generator) -> list[Prediction]:
        """The law at the points that were asked for."""
        return [self._prediction(i, one, rng) for i, one in self._of(Predicted)]

    def _of(self, kind: type[R]) -> list[tuple[int, R]]:
        return [(i, one) for i, one in enumerate(self.design.quantities) if isinstance(one, kind)]

    def _ends(self, i: int, one: Reported) -> tuple[float, Array, str]:
        """The value, its interval, and the reason why that is none."""
        value = float(one.reported(one.fitted(self.theta[None]))[0])
        ends, reason = one.reported(np.array([self.lows[i], self.highs[i]])), self.reasons[i]
        if not np.isfinite(value):
            reason = reason or "an exponent is not positive, so there is no optimum"
        elif not reason and not np.isfinite(ends).all():
            reason = "the resamples put no bound on it"
        return value, ends, reason

    def _estimate(self, i: int, one: Reported, meaning: str) -> Estimate:
        value, ends, reason = self._ends(i, one)
        low, high = (None, None) if reason else ends.tolist()
        return Estimate(one.name, one.group, meaning, value, low, high, reason)

    def _prediction(self, i: int, one: Predicted, rng: np.random.Generator) -> Prediction:
        value, ends, reason = self._ends(i, one)
        outside = beyond(self.rows, one.at)
        if reason or self.drawn is None:
            return Prediction(one.group, one.at, value, None, None, None, None, reason, outside)
        fitted, count, error = float(one.fitted(self.theta[None])[0]), len(self.rows.y), float(self.errors[i])
        apart = deviations(self.drawn, i, fitted, error, stretched(self.degrees, self.units, self.confidence))
        residuals = self.design.log_y - predict(self.design.terms, self.theta[None])[0][0]
        residuals *= np.sqrt(count / (count - self.design.terms.shape[2]))
        low, high = np.exp(new_run(fitted, error, apart, residuals, self.degrees, self.confidence, rng)).tolist()
        return Prediction(one.group, one.at, value, float(ends[0]), float(ends[1]), low, high, "", outside)
