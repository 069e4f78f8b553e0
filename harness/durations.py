"""Durations as people say them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """`42 s`, `12 min`, `3.4 h`, `2.1 d`."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 2 * 86400 else f"{seconds / 86400:.1f} d"
