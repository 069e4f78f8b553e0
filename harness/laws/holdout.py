"""How well a law predicts rows that it was not fitted to: by default those of the largest compute."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError
from harness.laws import bootstrap, table
from harness.laws.design import Design
from harness.laws.fit import SAME_OBJECTIVE, optimum
from harness.laws.prediction import finite_or_none
from harness.laws.result import Part
from harness.laws.solver import Array, jacobian, predict
from harness.laws.terms import Terms
from harness.laws.units import Units

if TYPE_CHECKING:
    import pandas as pd

Mask = NDArray[np.bool_]
LARGEST = 0.2
"""Share of the rows, or of the runs, that is held out unless said otherwise."""
_COMPARISON = re.compile(r"(.+?)(>=|<=)(.+)")


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """Errors of log y at the held-out rows, predicted from the others; none of them, and the reason, where there is no score."""

    rows: int
    bias: float
    """Mean of log y minus its prediction: below 0 the law promises too high a y."""
    rms: float
    covered: float
    """Share of the rows inside their prediction interval."""
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        found = {name: finite_or_none(getattr(self, name)) for name in ("bias", "rms", "covered")}
        return {"rows": self.rows, **found} | ({"no_score_because": self.reason} if self.reason else {})


def parse(text: str, frame: pd.DataFrame, source: str) -> float | frozenset[int]:
    """`--holdout SHARE`, `COLUMN>=NUMBER`, `COLUMN<=NUMBER` or, as --where, `COLUMN=VALUE`: a share by compute, or row numbers."""
    if re.fullmatch(r"[-+.\deE]+%?", text):
        try:
            share = float(text)
        except ValueError:
            share = math.nan
        if not 0 < share < 1:
            raise _neither(text)
        return share
    if compared := _COMPARISON.fullmatch(text):
        name, sign, value = (part.strip() for part in compared.groups())
        try:
            bound = float(value)
        except ValueError:
            raise UsageError(f"--holdout {name}{sign} takes a number, not {value!r}") from None
        values = table.numbers(frame, name, source)
        chosen = values >= bound if sign == ">=" else values <= bound
    elif text.find("=") < 1:
        raise _neither(text)
    else:
        chosen = frame.index.isin(table.where(frame, [text], source).index)
    if not chosen.any():
        raise UsageError(f"--holdout {text} holds no row out")
    return frozenset(int(row) for row in frame.index[chosen])


def _neither(text: str) -> UsageError:
    return UsageError(f"--holdout takes a share between 0 and 1, such as 0.2, or rows, such as 'n>=1e9', not {text!r}")


def held_rows(part: Part, wish: float | Collection[int]) -> Mask:
    """(n,): which rows of a part are held out: those of the numbers `wish`, or that share of largest compute.

    Compute is n d, or the law's first column. Runs are held out as wholes, rows that tie together.
    """
    if not isinstance(wish, float):
        return np.isin(part.numbers, list(wish))
    x = part.rows.x
    compute = x["n"] * x["d"] if {"n", "d"} <= set(x) else next(iter(x.values()))
    if part.units.kind == "runs":
        largest = np.zeros(part.units.count)
        np.maximum.at(largest, part.units.codes, compute)
        return largest[part.units.codes] >= _bound(largest, wish)
    return compute >= _bound(compute, wish)


def _bound(values: Array, share: float) -> float:
    count = max(math.ceil(share * len(values) - 1e-9), min(2, len(values)))
    return float(np.sort(values)[-count]) * (1 - 1e-9)


def score(part: Part, design: Design, held: Mask, resamples: int, confidence: float, seed: int) -> HeldOut:
    """Refit `design` from the grid of starts to the rows that are not held out, and predict the others.

    Prediction intervals are quantiles of refits to `resamples` resamples plus a residual each, stretched for the parameters.
    """
    kept, count = ~held, int(held.sum())

    def none(reason: str) -> HeldOut:
        return HeldOut(count, math.nan, math.nan, math.nan, reason)

    if count < 2:
        return none("a single row is no score" if count else "no row is held out")
    rest = design.restricted(np.flatnonzero(kept))
    size = rest.terms.shape[2]
    if kept.sum() < size or not rest.terms.determined():
        return none("the other rows do not determine the law")
    found, best = optimum(rest, part.delta)
    theta = found.theta[best]
    fitted, shares = predict(rest.terms, theta[None])
    slope = jacobian(rest.terms, shares, theta[None])[0]
    lengths = np.linalg.norm(slope, axis=1)
    if not found.converged[best] or np.linalg.matrix_rank(slope / np.where(lengths > 0, lengths, 1.0)[:, None], tol=1e-7) < size:
        return none("the other rows do not determine the law")
    terms, residual = design.terms.at(held), rest.log_y - fitted[0]
    ends = found.theta[found.converged & (found.objective <= found.objective[best] * (1 + SAME_OBJECTIVE))]
    errors = design.log_y[held] - predict(terms, ends)[0]
    sizes = np.sqrt((errors**2).mean(axis=1))
    if np.ptp(errors, axis=0).max() > max(float(np.median(np.abs(residual))), bootstrap.EXACT):
        return none(f"optima of one objective miss them by {sizes.min():.2g} to {sizes.max():.2g}")
    error = (design.log_y[held] - predict(terms, theta[None])[0][0]) * terms.spread
    covered = _covered(rest, part, part.units.at(kept), theta, residual, terms, design.log_y[held], resamples, confidence, seed)
    return HeldOut(count, float(error.mean()), float(np.sqrt((error**2).mean())), covered)


def _covered(
    rest: Design,
    part: Part,
    units: Units,
    theta: Array,
    residual: Array,
    terms: Terms,
    log_y: Array,
    resamples: int,
    confidence: float,
    seed: int,
) -> float:
    if not resamples or len(residual) <= len(theta) or units.count < 2:
        return math.nan
    rng = np.random.default_rng(seed)
    drawn = bootstrap.resample(rest, part.delta, theta, resamples, rng, units)
    centres = predict(terms, drawn.theta[drawn.converged])[0]
    wide = residual * math.sqrt(len(residual) / (len(residual) - len(theta)))
    future = centres + wide[rng.integers(len(wide), size=centres.shape)]
    tail = (1 - confidence) / 2
    low, high = np.quantile(future, [tail, 1 - tail], axis=0)
    return float(((low <= log_y) & (log_y <= high)).mean())
