"""What a fit found: estimates with intervals or the reason why there is none, and how the optimum was reached."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.errors import unknown
from harness.laws.bootstrap import Resamples
from harness.laws.design import Design, Rows
from harness.laws.law import Law
from harness.laws.prediction import Prediction, finite_or_none
from harness.laws.solver import Array, predict
from harness.laws.units import Units


@dataclass(frozen=True)
class Estimate:
    """A parameter with its interval; no interval and the reason where the data cannot pin it down."""

    name: str
    group: str
    """The family or group it belongs to; empty where all rows share it."""
    meaning: str
    value: float
    low: float | None
    high: float | None
    reason: str
    fixed: bool = False
    """Whether it was given, not fitted."""

    @property
    def label(self) -> str:
        """`rho[4]`, `alpha`."""
        return f"{self.name}[{self.group}]" if self.group else self.name

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        found = {"name": self.name, "group": self.group, "value": finite_or_none(self.value), "low": self.low, "high": self.high}
        found |= {"fixed": True} if self.fixed else {}
        return found | ({"no_interval_because": self.reason} if self.reason else {})


@dataclass(frozen=True, kw_only=True)
class Part:
    """One optimisation: all rows together, or those of one family where families share nothing."""

    group: str
    design: Design
    rows: Rows
    numbers: Sequence[int]
    """The rows' numbers in the table; of equal rows the first."""
    count: int
    """Rows of the table, equal ones each."""
    delta: float
    theta: Array
    objective: float
    """Sum of the Huber losses of log y, weighted where rows are equal."""
    gradient: float
    """Largest component of the gradient over the forces that balance in it."""
    converged: bool
    starts: int
    reached: int
    """Starts that ended at this objective."""
    given: Sequence[float]
    """Objective at the starts that the user gave, before any step."""
    condition: float
    """Of the Jacobian with columns of length one; infinite where a parameter has no effect."""
    estimates: Sequence[Estimate]
    """The parameters."""
    derived: Sequence[Estimate]
    """What follows from them."""
    predictions: Sequence[Prediction]
    units: Units
    """What is resampled, or left out, as a whole."""
    degrees: float
    """Degrees of freedom of the intervals."""
    resamples: Resamples | None
    notes: Sequence[str] = ()
    """What there is to say of the priors."""
    stated: Array | None = None
    """(n,): the standard error of log y that the table states for each row."""

    @property
    def scheme(self) -> str:
        """How the intervals were found, see `bootstrap`; empty without resamples."""
        return "" if self.resamples is None else self.resamples.scheme

    @property
    def residuals(self) -> Array:
        """(n,): log y minus its fitted value."""
        return np.asarray((self.design.log_y - predict(self.design.terms, self.theta[None])[0][0]) * self.design.terms.spread)

    @property
    def over_stated(self) -> float | None:
        """Residuals over the errors that the table states, as a root mean square; None where it states none."""
        if self.stated is None:
            return None
        left = len(self.residuals) - self.design.terms.shape[2]
        return math.sqrt(float(np.sum((self.residuals / self.stated) ** 2)) / left) if left > 0 else None

    @property
    def not_converged(self) -> int:
        """Resamples that did not converge: left out of the intervals, and counted."""
        return 0 if self.resamples is None else int((~self.resamples.converged).sum())

    def to_json(self) -> dict[str, Any]:
        """Plain data, without the rows."""
        return {
            "group": self.group,
            "rows": self.count,
            "different_rows": len(self.numbers),
            "objective": self.objective,
            "huber_delta": finite_or_none(self.delta),
            "converged": self.converged,
            "relative_gradient": self.gradient,
            "starts": self.starts,
            "starts_at_optimum": self.reached,
            "objective_at_given_starts": list(self.given),
            "condition": finite_or_none(self.condition),
            "rms_log_residual": float(np.sqrt(np.mean(self.residuals**2))),
            "notes": list(self.notes),
            "rms_residual_over_stated_error": self.over_stated,
            "intervals_by": self.scheme or None,
            "units": self.units.count,
            "resamples": 0 if self.resamples is None else len(self.resamples.converged),
            "resamples_not_converged": self.not_converged,
            "parameters": [estimate.to_json() for estimate in self.estimates],
            "derived": [estimate.to_json() for estimate in self.derived],
            "predictions": [prediction.to_json() for prediction in self.predictions],
        }


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A law on a table."""

    law: Law
    source: str
    columns: Mapping[str, str]
    """The law's columns -> the table's."""
    group: Sequence[str]
    shared: Sequence[str]
    """Parameters with one value for all families."""
    cluster: str | None
    censored: str
    """The column that says in which rows y is only a bound; empty without one."""
    weighting: str
    """How rows weigh, where the table says so: `weights w`, `errors sd`; otherwise empty."""
    confidence: float
    seed: int
    rows_skipped: int
    """Rows with an empty cell, left out on request."""
    repeats: Sequence[str]
    """What there is to say of rows that equal another."""
    cautions: Sequence[str]
    """What there is to say of rows that are no runs, and of errors that are not alike."""
    parts: Sequence[Part]

    @property
    def converged(self) -> bool:
        """Whether every part did."""
        return all(part.converged for part in self.parts)

    @property
    def estimates(self) -> list[tuple[str, Estimate]]:
        """(family or empty, estimate) over all parts."""
        return [(part.group, estimate) for part in self.parts for estimate in part.estimates]

    def estimate(self, name: str, group: str = "") -> Estimate:
        """A parameter or what is derived, of a family or group or the shared one; an unknown name is an error that lists them."""
        found = {(one.name, one.group or part.group): one for part in self.parts for one in (*part.estimates, *part.derived)}
        for key in ((name, group), (name, "")):
            if key in found:
                return found[key]
        raise unknown("estimate", f"{name}[{group}]", [f"{name}[{group}]" if group else name for name, group in found])

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`; infinities and missing intervals are null."""
        return {
            "law": self.law.name,
            "formula": self.law.formula,
            "source": self.source,
            "columns": dict(self.columns),
            "group": list(self.group),
            "shared": list(self.shared),
            "cluster": self.cluster,
            "censored": self.censored or None,
            "weighting": self.weighting,
            "confidence": self.confidence,
            "seed": self.seed,
            "rows_skipped": self.rows_skipped,
            "repeats": list(self.repeats),
            "cautions": list(self.cautions),
            "fits": [part.to_json() for part in self.parts],
        }
