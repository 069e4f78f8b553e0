"""A verdict at a glance: the region, the interval and the paper's value on one line, as positions from 0 to 100."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.stats import Interval, decimals, number
from harness.task import Region
from harness.verdict import Verdict

_MARGIN = 0.14
_FURTHEST = 4.0
"""The paper's value widens the axis up to this many times; farther away it is an arrow at the edge."""


@dataclass(frozen=True)
class Strip:
    """Positions in percent of the width."""

    region: tuple[float, float]
    interval: tuple[float, float] | None
    estimate: float
    published: float | None
    published_beyond: bool
    marks: list[tuple[float, str]]
    """The finite edges of the region with their text."""


def strip(verdict: Verdict, region: Region) -> Strip | None:
    """The strip of a verdict, None when there is no estimate to show."""
    interval = verdict.interval
    if not math.isfinite(interval.estimate):
        return None
    edges = [edge for edge in (region.low, region.high) if math.isfinite(edge)]
    known = [interval.estimate, *edges, *(x for x in (interval.low, interval.high) if math.isfinite(x))]
    low, high = min(known), max(known)
    span = (high - low) or max(abs(high), 1.0) * 0.1
    published = verdict.published
    beyond = published is not None and max(high, published) - min(low, published) > _FURTHEST * span
    if published is not None and not beyond:
        low, high = min(low, published), max(high, published)
        span = (high - low) or span
    start, width = low - _MARGIN * span, (1 + 2 * _MARGIN) * span

    def place(x: float) -> float:
        return round(100 * min(max((x - start) / width, 0.0), 1.0), 2)

    return Strip(
        region=(place(region.low), place(region.high)),
        interval=(place(interval.low), place(interval.high)) if interval.n > 1 else None,
        estimate=place(interval.estimate),
        published=None if published is None else place(published),
        published_beyond=beyond,
        marks=[(place(edge), f"{edge:g}") for edge in edges],
    )


def describe(interval: Interval, unit: str) -> str:
    """The interval in words, for readers who do not see the strip."""
    if interval.n < 2:
        return f"estimate {number(interval.estimate)} {unit}, no interval".replace(" ,", ",")
    digits = decimals(interval.estimate, (interval.high - interval.low) / 2)
    shown = [number(x, digits) for x in (interval.estimate, interval.low, interval.high)]
    return f"estimate {shown[0]} {unit}, interval from {shown[1]} to {shown[2]}".replace(" ,", ",")
