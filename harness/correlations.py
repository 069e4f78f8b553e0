"""Correlations of two numbers over methods, as estimates whose interval counts methods."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.estimates import Reading, Vectorised, values_of

if TYPE_CHECKING:
    from harness.stats import Interval
    from harness.table import Floats, Table


@dataclass(frozen=True)
class Correlation(Vectorised):
    """Between two numbers of each method, over the methods of the experiment of `x`: Pearson's, or Spearman's of the ranks.

    The interval is Fisher's (1921), for ranks with the variance of Bonett and Wright (2000), and no number below four methods.
    """

    x: Reading
    y: Reading
    ranked: bool = False

    def values(self, table: Table) -> Floats:
        """The correlation in each seed; NaN with fewer than four methods, or a missing value."""
        from harness.fisher import correlations

        return correlations(_points((self.x, self.y), [table]), self.ranked)[:, 0, 1]

    def interval(self, tables: Sequence[Table]) -> Callable[[float], Interval]:
        """Of the correlation between the means over seeds; its n counts methods. Infinitely wide with one seed or three methods."""
        from harness.fisher import correlation_intervals

        return correlation_intervals(_points((self.x, self.y), tables), ranked=self.ranked)


@dataclass(frozen=True)
class CorrelationGap(Vectorised):
    """How much closer `x` goes with `y` than `other` does, over the same methods: the difference of two dependent correlations.

    The interval is Zou's (2007), which combines the two of the correlations with the correlation between them.
    """

    x: Reading
    other: Reading
    y: Reading

    def values(self, table: Table) -> Floats:
        """The difference in each seed; NaN with fewer than four methods, or a missing value."""
        from harness.fisher import correlations

        found = correlations(_points((self.x, self.other, self.y), [table]), ranked=False)
        return found[:, 0, 2] - found[:, 1, 2]

    def interval(self, tables: Sequence[Table]) -> Callable[[float], Interval]:
        """Of the difference, from means over seeds; its n counts methods. Infinitely wide with one seed or three methods."""
        from harness.fisher import gap_intervals

        return gap_intervals(_points((self.x, self.other, self.y), tables))


def _points(readings: Sequence[Reading], tables: Sequence[Table]) -> Floats:
    """Each reading of each method in each seed: (seeds, methods, readings), methods by name; NaN where one is missing."""
    import numpy as np

    own = [table.select({}, experiment=readings[0].experiment).groups("method") for table in tables]
    names = sorted({str(name) for methods in own for name in methods})
    found = [np.full((table.replicates, len(names), len(readings)), math.nan) for table in tables]
    for points, methods in zip(found, own, strict=True):
        for i, name in enumerate(names):
            for j, reading in enumerate(readings):
                if name in methods:
                    points[:, i, j] = values_of(reading, methods[name])
    return np.concatenate([np.empty((0, len(names), len(readings))), *found])
