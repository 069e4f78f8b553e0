"""Rows whose y is only a bound, such as the last loss of a run that was stopped: censored observations (Tobin, 1958).

The likelihood of `y > c` is Phi((f - c) / sigma), sigma the spread of the rows that are exact, from their fit alone. Its weight in the
objective is that of a prior (`harness.laws.prior`): one likelihood for all. Bounds leave the resamples alone: they are no errors.
A censored metric of a study says by its companion `<name>_censored` where it is a bound; nobody has to ask.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import special

from harness import formula
from harness.censoring import SUFFIX, companion
from harness.errors import DataError
from harness.laws import table
from harness.laws.cells import texts
from harness.laws.design import Design
from harness.laws.facts import wrong
from harness.laws.solver import Array, jacobian, predict, second_derivative
from harness.laws.terms import Terms

if TYPE_CHECKING:
    import pandas as pd

SIDES = {">": 1.0, "<": -1.0, "=": 0.0, "": 0.0}
"""What a cell says of y: the truth is above it, below it, or it is exact."""


@dataclass(frozen=True)
class Bounds:
    """What bounds add to the objective: -scale log Phi(side (f - c) / sigma) each."""

    terms: Terms
    """Of the rows with bounds."""
    log_y: Array
    """(m,): c."""
    side: Array
    """(m,): 1 where the truth is above, -1 where it is below."""
    sigma: float
    scale: float

    def _place(self, theta: Array) -> tuple[Array, Array]:
        """How far each bound is violated in sigma, and the slope of the loss in that, (B, m) each."""
        z = self.side * (self.log_y - predict(self.terms, theta)[0]) / self.sigma
        # The inverse Mills ratio phi(z) / Phi(-z), also where both vanish.
        return z, math.sqrt(2 / math.pi) / special.erfcx(z / math.sqrt(2))

    def value(self, theta: Array) -> Array:
        """(B,)."""
        return np.asarray(-self.scale * special.log_ndtr(-self._place(theta)[0]).sum(axis=-1))

    def gradient(self, theta: Array) -> Array:
        """(B, p)."""
        return np.asarray(-(self._slope(theta) @ self._pull(theta)[..., None])[..., 0])

    def metric(self, theta: Array) -> Array:
        """(B, p, p): positive, the second derivative without that of the law."""
        z, mills = self._place(theta)
        slope = self._slope(theta)
        bend = self.scale * mills * (mills - z) / self.sigma**2
        return np.asarray((slope * bend[:, None]) @ np.swapaxes(slope, 1, 2))

    def hessian(self, theta: Array) -> Array:
        """(B, p, p)."""
        return np.asarray(self.metric(theta) - second_derivative(self.terms, theta, self._pull(theta)))

    def _slope(self, theta: Array) -> Array:
        return jacobian(self.terms, predict(self.terms, theta)[1], theta)

    def _pull(self, theta: Array) -> Array:
        """(B, m): what pulls the fitted log y up."""
        return np.asarray(self.scale * self._place(theta)[1] * self.side / self.sigma)


def censoring(frame: pd.DataFrame, y: str, others: Collection[str], source: str) -> str | None:
    """The companion that says where a study's `y` is only a bound; None where there is none, or no row is one.

    DataError where another fitted column, or a formula, reads a metric that is a bound: the likelihood knows bounds of y alone.
    """
    for theirs in (y, *others):
        for name in [theirs] if theirs in frame else formula.names(theirs, source):
            beside = companion(name)
            if beside not in frame or name not in frame:
                continue
            bound = int(((frame[beside] != 0) & frame[name].notna()).sum())
            if bound and name != y:
                raise DataError(f"{source}: {name} was not reached and is only a bound in {bound} rows: fit it as y, as it stands")
            if bound:
                return beside
    return None


def sides(frame: pd.DataFrame, name: str | None, source: str) -> Array | None:
    """(n,): the side of each row's bound, 0 where y is exact; None without such a column. DataError names a cell that says none.

    A companion holds 0 and 1; what does not say that it was reached is a bound.
    """
    if name is None:
        return None
    own = table.column(frame, name, source)
    if name.endswith(SUFFIX) and own.dtype.kind in "bif":
        return _some_exact(np.asarray(own != 0, dtype=float), name, source)
    shown = ["" if missing else cell.strip() for cell, missing in zip(texts(own), own.isna(), strict=True)]
    for i, cell in enumerate(shown):
        if cell not in SIDES:
            raise wrong(source, frame.index[i], f"column {name} holds {cell!r}: > where the truth is above y, < below, nothing else", frame)
    return _some_exact(np.array([SIDES[cell] for cell in shown]), name, source)


def _some_exact(found: Array, name: str, source: str) -> Array:
    if not (found == 0).any():
        raise DataError(f"{source}: column {name} makes every row a bound, and bounds alone determine no law")
    return found


def apart(design: Design, side: Array) -> tuple[Design, tuple[Terms, Array, Array], NDArray[np.intp]]:
    """The design of the exact rows, terms, log y and sides of the others, and which rows are exact."""
    exact, bound = np.flatnonzero(side == 0), np.flatnonzero(side)
    kept = design.restricted(exact)
    return kept, (design.terms.at(bound), design.log_y[bound], side[bound]), exact


def note(side: Sequence[float]) -> str:
    """How many rows are bounds."""
    return f"{int(np.count_nonzero(side))} of {len(side)} rows are bounds, not values"
