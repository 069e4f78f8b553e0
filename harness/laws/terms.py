"""The terms of a law at the rows of a table, as functions of the coordinates that are fitted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rows = NDArray[np.bool_] | NDArray[np.intp] | slice


@dataclass(frozen=True)
class Affine:
    """`theta @ slope + constant`."""

    slope: Array
    """(p,)."""
    constant: float = 0.0

    def __call__(self, theta: Array) -> Array:
        """(B,)."""
        return np.asarray(theta @ self.slope + self.constant)

    def without(self, slots: Sequence[int]) -> Affine:
        """The same where the coordinates `slots` are zero."""
        return Affine(np.delete(self.slope, slots), self.constant)


@dataclass(frozen=True)
class Bend:
    """What is not linear: `exponent * h(data; parameters)` in the log of one term at some of the points."""

    term: int
    function: Callable[[Sequence[Array], Sequence[Array]], Any]
    """See `harness.laws.shapes`."""
    data: tuple[Array, ...]
    """(n,) each."""
    mask: Array
    """(n,): 1 at the points that have it, elsewhere 0."""
    exponent: Affine
    parameters: tuple[Affine, ...]

    def _shaped(self, theta: Array) -> Any:
        return self.function(self.data, [parameter(theta)[:, None] for parameter in self.parameters])

    def value(self, theta: Array) -> Array:
        """(B, n)."""
        return np.asarray(self.mask * self.exponent(theta)[:, None] * self._shaped(theta)[0])

    def slope(self, theta: Array) -> Array:
        """(B, p, n): derivative of `value`."""
        h, first, _ = self._shaped(theta)
        exponent = self.exponent(theta)[:, None, None]
        found = self.exponent.slope[:, None] * (self.mask * h)[:, None]
        for parameter, by in zip(self.parameters, first, strict=True):
            found = found + exponent * parameter.slope[:, None] * (self.mask * by)[:, None]
        return np.asarray(found)

    def curvature(self, theta: Array, weights: Array) -> Array:
        """(B, p, p): second derivative of `value`, summed over the points with `weights` (B, n)."""
        _, first, second = self._shaped(theta)
        weights, exponent, own = weights * self.mask, self.exponent(theta), self.exponent.slope
        found = np.zeros((len(theta), len(own), len(own)))
        for i, parameter in enumerate(self.parameters):
            mixed = (weights * first[i]).sum(axis=1)[:, None, None] * np.outer(own, parameter.slope)
            found += mixed + np.swapaxes(mixed, 1, 2)
            for j, other in enumerate(self.parameters):
                amount = exponent * (weights * second[i][j]).sum(axis=1)
                found += amount[:, None, None] * np.outer(parameter.slope, other.slope)
        return found

    def at(self, rows: Rows) -> Bend:
        """The same at some of the points."""
        return replace(self, data=tuple(values[rows] for values in self.data), mask=self.mask[rows])

    def without(self, slots: Sequence[int]) -> Bend:
        """The same where the coordinates `slots` are zero."""
        parameters = tuple(parameter.without(slots) for parameter in self.parameters)
        return replace(self, exponent=self.exponent.without(slots), parameters=parameters)


@dataclass(frozen=True)
class Terms:
    """The log of term k at point i is `linear[k, i] @ theta + offset[k, i]`, and what the bends add; y is their sum with `signs`."""

    linear: Array
    """(K, n, p)."""
    offset: Array
    """(K, n): what parameters that are fixed contribute; -inf where a term is zero."""
    spread: Array
    """(n,): standard deviation of the errors of log y, relative to a typical row. Log y and its derivatives are counted in it."""
    signs: Array
    """(K,): 1, or -1 for a term that is subtracted."""
    bends: tuple[Bend, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(K, n, p): terms, points, coordinates."""
        count, points, size = self.linear.shape
        return count, points, size

    def logs(self, theta: Array) -> Array:
        """(B, K, n): the log of each term at each point."""
        count, points, size = self.shape
        found = (theta @ self.linear.reshape(count * points, size).T).reshape(len(theta), count, points) + self.offset
        for bend in self.bends:
            found[:, bend.term] += bend.value(theta)
        return np.asarray(found)

    def slopes(self, theta: Array) -> dict[int, Array]:
        """(B, p, n) for each term with bends: the derivative of its log."""
        found: dict[int, Array] = {}
        for bend in self.bends:
            found[bend.term] = found.get(bend.term, np.swapaxes(self.linear[bend.term], 0, 1)[None]) + bend.slope(theta)
        return found

    def at(self, rows: Rows) -> Terms:
        """The same law at some of the points."""
        bends = tuple(bend.at(rows) for bend in self.bends)
        return Terms(self.linear[:, rows], self.offset[:, rows], self.spread[rows], self.signs, bends)

    def determined(self) -> bool:
        """Whether every coordinate has an effect somewhere."""
        effect = self.linear.any(axis=(0, 1))
        for bend in self.bends:
            for one in (bend.exponent, *bend.parameters):
                effect = effect | ((one.slope != 0) & bool(bend.mask.any()))
        return bool(effect.all())

    def without(self, slots: Sequence[int]) -> Terms:
        """The same terms when the coordinates `slots` are zero."""
        bends = tuple(bend.without(slots) for bend in self.bends)
        return Terms(np.delete(self.linear, slots, axis=2), self.offset, self.spread, self.signs, bends)
