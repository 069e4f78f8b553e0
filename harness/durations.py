"""Durations as people say them."""

from __future__ import annotations

import os
import re

from harness.errors import UsageError

_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SHOWN = {"s": 90.0, "min": 5400.0, "h": 2 * 86400.0}
"""Up to how many seconds a unit is shown."""


def duration(seconds: float) -> str:
    """`42 s`, `12 min`, `3.4 h`, `2.1 d`."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 2 * 86400 else f"{seconds / 86400:.1f} d"


def span(low: float, high: float) -> str:
    """`3 to 6 min`, `50 s to 2 min`, `about 5 min`: two times in seconds, rounded to figures that an estimate can bear."""
    (least, unit), (most, other) = _rounded(low), _rounded(high)
    most = most or 1.0
    if (least, unit) == (most, other):
        return f"about {most:g} {other}"
    if not least:
        return f"up to {most:g} {other}"
    return f"{least:g}{f' {unit}' if unit != other else ''} to {most:g} {other}"


def _rounded(seconds: float) -> tuple[float, str]:
    """A number and its unit."""
    unit = next((unit for unit, below in _SHOWN.items() if seconds < below), "d")
    value = seconds / _UNITS[unit]
    step = (1.0 if value < 10 else 5.0) if unit in ("s", "min") else 0.5 if value < 10 else 1.0
    return round(value / step) * step, unit


def seconds_of(variable: str, usual: float) -> float:
    """Seconds that an environment variable says, `usual` where it is empty. UsageError where it holds no number above zero."""
    text = os.environ.get(variable, "")
    try:
        found = float(text or usual)
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise UsageError(f"{variable} takes seconds, not {text!r}")
    return found


def seconds(text: str, option: str) -> float:
    """`90s`, `30m`, `2h`, `1.5d` in seconds. UsageError, which names the option, on anything else and on nothing at all."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(s|m|min|h|d)", text.strip())
    if not found or not float(found[1]) > 0:
        raise UsageError(f"{option} takes a time such as 90s, 30m or 2h, not {text!r}")
    return float(found[1]) * _UNITS[found[2]]
