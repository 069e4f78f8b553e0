"""One rate for all: polyphase resampling, which sees no further than its filter reaches."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

_FINEST = 2000
"""Largest denominator of the ratio: 600.61499 -> 250 Hz is 2e-7 away from exact."""


Signals = TypeVar("Signals", bound=npt.NDArray[np.floating[Any]])


def resample(x: Signals, before: float, after: float) -> Signals:
    """(..., samples) at `before` hertz -> (..., samples) at `after` hertz; sample 0 stays where it is, the line through both ends too."""
    ratio = Fraction(after / before).limit_denominator(_FINEST)
    if ratio == 1:
        return x
    from scipy import signal

    out: Signals = signal.resample_poly(x, ratio.numerator, ratio.denominator, axis=-1, padtype="line")
    return out
