"""The terms of a law at the rows of a table, as functions of the coordinates that are fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Terms:
    """The log of term k at point i is `linear[k, i] @ theta + offset[k, i]`."""

    linear: Array
    """(K, n, p)."""
    offset: Array
    """(K, n): what parameters that are fixed contribute."""
    spread: Array
    """(n,): standard deviation of the errors of log y, relative to a typical row. Log y and its derivatives are counted in it."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(K, n, p): terms, points, coordinates."""
        count, points, size = self.linear.shape
        return count, points, size

    def logs(self, theta: Array) -> Array:
        """(B, K, n): the log of each term at each point."""
        count, points, size = self.shape
        return np.asarray((theta @ self.linear.reshape(count * points, size).T).reshape(len(theta), count, points) + self.offset)

    def at(self, rows: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Terms:
        """The same law at some of the points."""
        return Terms(self.linear[:, rows], self.offset[:, rows], self.spread[rows])

    def determined(self) -> bool:
        """Whether every coordinate has an effect somewhere."""
        return bool(self.linear.any(axis=(0, 1)).all())

    def without(self, slots: Sequence[int]) -> Terms:
        """The same terms when the coordinates `slots` are zero."""
        return Terms(np.delete(self.linear, slots, axis=2), self.offset, self.spread)
