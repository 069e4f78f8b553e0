"""What a fitted law says of runs that were not made: the law with its band, and where a new run would come out.

A new run is the law plus an error of its own. Its band adds the residuals of the fit, leverage-corrected and with random signs, to the
bootstrap-t of the law (Davison and Hinkley, 1997); it is at least Student's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from harness.laws.design import Design, Reported, Rows, build
from harness.laws.solver import Array, jacobian, predict
from harness.laws.terms import Terms


@dataclass(frozen=True)
class Predicted(Reported):
    """The law at one point, for the rows of one group."""

    terms: Terms
    """Of one point."""
    at: Mapping[str, float]

    def fitted(self, theta: Array) -> Array:
        """(B,): log y."""
        return predict(self.terms, theta)[0][:, 0]

    def gradient(self, theta: Array) -> Array:
        """(B, p): derivative of `fitted`."""
        return jacobian(self.terms, predict(self.terms, theta)[1], theta)[:, :, 0]


@dataclass(frozen=True)
class Prediction:
    """y at a point, with the band of the law and that of a new run; no bands and the reason where the rows do not determine it."""

    group: str
    at: Mapping[str, float]
    value: float
    low: float | None
    high: float | None
    new_low: float | None
    new_high: float | None
    reason: str
    beyond: str
    """Which columns lie outside the rows, and how far."""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        ends = {"value": self.value, "low": self.low, "high": self.high, "new_run_low": self.new_low, "new_run_high": self.new_high}
        found: dict[str, Any] = {"group": self.group, "at": dict(self.at), "beyond_the_rows": self.beyond}
        found |= {name: None if end is None else finite_or_none(end) for name, end in ends.items()}
        return found | ({"no_interval_because": self.reason} if self.reason else {})


def finite_or_none(value: float) -> float | None:
    """JSON has no infinity."""
    return value if math.isfinite(value) else None


def points(design: Design, rows: Rows, wanted: Sequence[Mapping[str, float]]) -> list[Predicted]:
    """Every point for every group of the rows."""
    owner = dict(zip(rows.group, rows.family, strict=True))
    return [
        Predicted(
            ", ".join(f"{name} = {value:g}" for name, value in at.items()),
            group if len(owner) > 1 else "",
            True,
            terms_at(design, rows, {name: np.array([value]) for name, value in at.items()}, [family], group),
            at,
        )
        for at in wanted
        for group, family in owner.items()
    ]


def terms_at(design: Design, rows: Rows, x: Mapping[str, Array], family: Sequence[str], group: str) -> Terms:
    """The fitted design's terms at other values of the columns."""
    count = len(family)
    more = Rows(
        {name: np.append(values, x[name]) for name, values in rows.x.items()},
        np.append(rows.y, np.ones(count)),
        [*rows.family, *family],
        [*rows.group, *[group] * count],
        rows.reference,
    )
    return build(design.law, more, design.shared, centres=design.centres, scales=design.scales).terms.at(slice(-count, None))


def new_run(
    estimate: float, error: float, apart: Array, residuals: Array, degrees: float, confidence: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Low and high of log y of a new run.

    `apart` is how far the law may lie from its estimate there, `residuals` are the leverage-corrected ones of the rows.
    """
    tail = (1 - confidence) / 2
    own = rng.choice(residuals, len(apart)) * rng.choice([-1.0, 1.0], len(apart))
    low, high = np.quantile(own + apart, [tail, 1 - tail])
    scale = np.sqrt(np.sum(residuals**2) / len(residuals) + error**2)
    least = float(stats.t.ppf(1 - tail, degrees) * scale)
    return estimate + min(float(low), -least), estimate + max(float(high), least)


def beyond(rows: Rows, at: Mapping[str, float]) -> str:
    """`n 12x the largest`: columns of a point outside those of the rows."""
    found = []
    for name, value in at.items():
        low, high = float(rows.x[name].min()), float(rows.x[name].max())
        if value > high * (1 + 1e-9):
            found.append(f"{name} {value / high:.3g} times the largest")
        elif value < low * (1 - 1e-9):
            found.append(f"{name} {low / value:.3g} times below the least")
    return ", ".join(found)
