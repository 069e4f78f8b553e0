"""Numbers whose unit is a logarithm, in what it is the logarithm of: `< -0.30103` log10 of a ratio is a ratio below 0.5."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace

from harness.errors import TaskError
from harness.region import Region
from harness.stats import Interval

_UNIT = re.compile(r"(log10|log2|log|ln) of (?:an? |the )?(.+)")
_BASES = {"log10": 10.0, "log2": 2.0, "log": math.e, "ln": math.e}
_LARGEST = 700.0
"""Natural logarithm of about the largest number that is not infinite here."""


def region_undone(holds: str, unit: str) -> str:
    """`ratio below 0.5` of the region `< -0.30103` in `log10 of a ratio`; nothing where the unit is no logarithm, or the text no region."""
    found = _undo(unit)
    if found is None:
        return ""
    what, power = found
    try:
        region = Region.parse(holds)
    except (ValueError, TaskError):
        return ""
    low, high = f"{power(region.low):.4g}", f"{power(region.high):.4g}"
    if math.isinf(region.low):
        return f"{what} below {high}"
    return f"{what} above {low}" if math.isinf(region.high) else f"{what} between {low} and {high}"


def interval_undone(interval: Interval, unit: str) -> str:
    """`ratio 0.48 [0.45, 0.51]`: a mean of logarithms is a geometric mean; nothing where there is no number or no logarithm."""
    found = _undo(unit)
    if found is None or not math.isfinite(interval.estimate):
        return ""
    what, power = found
    return f"{what} {replace(interval, estimate=power(interval.estimate), low=power(interval.low), high=power(interval.high))}"


def number_undone(value: float, unit: str) -> str:
    """`ratio 0.5` of the number -0.30103 in `log10 of a ratio`; nothing where the unit is no logarithm."""
    found = _undo(unit)
    return f"{found[0]} {found[1](value):.4g}" if found else ""


def _undo(unit: str) -> tuple[str, Callable[[float], float]] | None:
    """What a unit is the logarithm of, and the power that undoes it."""
    match = _UNIT.fullmatch(unit)
    if match is None:
        return None
    base = _BASES[match[1]]
    return match[2], lambda value: math.inf if value * math.log(base) > _LARGEST else base**value
