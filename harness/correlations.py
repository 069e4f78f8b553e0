"""Correlations of two numbers over methods, as estimates whose interval counts methods."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.estimates import Reading, select

if TYPE_CHECKING:
    import pandas as pd

    from harness.fisher import Floats
    from harness.stats import Interval


@dataclass(frozen=True)
class Correlation:
    """Between two numbers of each method, over the methods of the experiment of `x`: Pearson's, or Spearman's of the ranks.

    The interval is Fisher's (1921), for ranks with the variance of Bonett and Wright (2000), and no number below four methods.
    """

    x: Reading
    y: Reading
    ranked: bool = False

    def __call__(self, frame: pd.DataFrame) -> float:
        """The correlation in one seed; NaN with fewer than four methods, or a missing value."""
        from harness.fisher import correlations

        return float(correlations(_points((self.x, self.y), [frame])[0], self.ranked)[0, 1])

    def interval(self, frames: Sequence[pd.DataFrame]) -> Callable[[float], Interval]:
        """Of the correlation between the means over seeds; its n counts methods. Infinitely wide with one seed or three methods."""
        from harness.fisher import correlation_interval

        points = _points((self.x, self.y), frames)
        return lambda confidence: correlation_interval(points, confidence, ranked=self.ranked)


@dataclass(frozen=True)
class CorrelationGap:
    """How much closer `x` goes with `y` than `other` does, over the same methods: the difference of two dependent correlations.

    The interval is Zou's (2007), which combines the two of the correlations with the correlation between them.
    """

    x: Reading
    other: Reading
    y: Reading

    def __call__(self, frame: pd.DataFrame) -> float:
        """The difference in one seed; NaN with fewer than four methods, or a missing value."""
        from harness.fisher import correlations

        found = correlations(_points((self.x, self.other, self.y), [frame])[0], ranked=False)
        return float(found[0, 2] - found[1, 2])

    def interval(self, frames: Sequence[pd.DataFrame]) -> Callable[[float], Interval]:
        """Of the difference, from means over seeds; its n counts methods. Infinitely wide with one seed or three methods."""
        from harness.fisher import gap_interval

        points = _points((self.x, self.other, self.y), frames)
        return lambda confidence: gap_interval(points, confidence)


def _points(readings: Sequence[Reading], frames: Sequence[pd.DataFrame]) -> Floats:
    """Each reading of each method in each seed: (seeds, methods, readings), methods by name; NaN where one is missing."""
    import numpy as np

    own = [dict(iter(select(frame, {}, experiment=readings[0].experiment).groupby("method"))) for frame in frames]
    names = sorted({str(name) for methods in own for name in methods})
    values = [[[reading(seed[name]) if name in seed else math.nan for reading in readings] for name in names] for seed in own]
    return np.array(values, dtype=float).reshape(len(frames), len(names), len(readings))
