"""The range that a number cannot leave, and the scale on which its seeds are taken to be normal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import TaskError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

ROUNDING = 2.0**-20
"""Of the larger end, or of 1 where that is 0: as far as eight roundings of single precision may take a number beyond an end."""


@dataclass(frozen=True)
class Bounds:
    """The range of a number, infinite where it has no end. An interval made on its scale never leaves it.

    With one end the scale is the logarithm of the distance to it; with two it is the logit of the share of the way between them, which is
    twice Fisher's z where they are -1 and 1. Without an end it is the number itself.
    """

    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise TaskError(f"bounds need low < high, not ({self.low}, {self.high})")

    @property
    def bounded(self) -> bool:
        """Whether the range has an end."""
        return math.isfinite(self.low) or math.isfinite(self.high)

    def outside(self, value: float) -> bool:
        """Whether a number lies beyond an end by more than the rounding of what it was computed from; never NaN."""
        ends = [abs(end) for end in (self.low, self.high) if math.isfinite(end)]
        beyond = ROUNDING * (max(ends, default=0.0) or 1.0)
        return value < self.low - beyond or value > self.high + beyond

    def __str__(self) -> str:
        if math.isfinite(self.low) and math.isfinite(self.high):
            return f"{self.low:g} to {self.high:g}"
        return f"at least {self.low:g}" if math.isfinite(self.low) else f"at most {self.high:g}" if self.bounded else "any number"

    def scaled(self, values: Floats | float) -> Floats:
        """Numbers of the range on its scale, any shape: infinite at an end, and beyond it."""
        import numpy as np

        x = np.asarray(values, dtype=float)
        with np.errstate(divide="ignore", invalid="ignore"):
            below = np.log(np.maximum(x - self.low, 0.0)) if math.isfinite(self.low) else None
            above = np.log(np.maximum(self.high - x, 0.0)) if math.isfinite(self.high) else None
        scaled: Floats = x
        if below is not None:
            scaled = below if above is None else below - above
        elif above is not None:
            scaled = -above
        return scaled

    def back(self, scaled: Floats | float) -> Floats:
        """The inverse of `scaled`: what lies on the scale as a number of the range."""
        import numpy as np
        from scipy.special import expit

        y = np.asarray(scaled, dtype=float)
        with np.errstate(over="ignore"):
            if math.isfinite(self.low) and math.isfinite(self.high):
                y = self.low + (self.high - self.low) * np.asarray(expit(y), dtype=float)
            elif math.isfinite(self.low):
                y = self.low + np.exp(y)
            elif math.isfinite(self.high):
                y = self.high - np.exp(-y)
        return y


UNBOUNDED = Bounds()
POSITIVE, SHARE, PERCENT, CORRELATION = Bounds(0.0), Bounds(0.0, 1.0), Bounds(0.0, 100.0), Bounds(-1.0, 1.0)
