"""Laws on curves: uniform in arc length, so that equally spaced points stand for the law itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
TURNS = 1.5
"""Of the spiral."""


def circle(shares: Points) -> Points:
    """The unit circle: shares (n,) in [0, 1] of its length -> points (n, 2)."""
    return _polar(np.ones_like(shares), 2.0 * math.pi * shares)


def spiral(shares: Points) -> Points:
    """r = t / (2 pi TURNS) for t up to 2 pi TURNS: it ends at radius 1. Length to t is proportional to t sqrt(1 + t^2) + asinh(t)."""
    angles = np.linspace(0.0, 2.0 * math.pi * TURNS, 4097)
    length = angles * np.sqrt(1.0 + angles**2) + np.arcsinh(angles)
    found = np.interp(shares * length[-1], length, angles)
    return _polar(found / angles[-1], found)


CURVES: Mapping[str, Callable[[Points], Points]] = {"circle": circle, "spiral": spiral}


@dataclass(frozen=True)
class CurveLaw:
    """The uniform law on a curve of `CURVES` in a plane of R^d."""

    curve: str
    plane: Points
    """Orthonormal rows (2, d)."""

    @classmethod
    def drawn(cls, curve: str, dimension: int, generator: np.random.Generator) -> CurveLaw:
        """In a plane of any direction."""
        return cls(curve, np.linalg.qr(generator.standard_normal((dimension, 2)))[0].T)

    def sample(self, count: int, generator: np.random.Generator) -> Points:
        """Independent points (count, d)."""
        return self._at(generator.random(count))

    def quantised(self, count: int) -> Points:
        """Equally spaced points (count, d): W1 to the law is at most length / (4 count)."""
        return self._at((np.arange(count) + 0.5) / count)

    def _at(self, shares: Points) -> Points:
        points: Points = CURVES[self.curve](shares) @ self.plane
        return points


def _polar(radius: Points, angle: Points) -> Points:
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
