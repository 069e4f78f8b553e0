"""Where a number has to lie for a claim to hold."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import TaskError


@dataclass(frozen=True, kw_only=True)
class Region:
    """The open interval (low, high) of the estimate in which a claim holds."""

    low: float = float("-inf")
    high: float = float("inf")

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise TaskError(f"a region needs low < high, not ({self.low}, {self.high})")

    def __contains__(self, value: float) -> bool:
        return self.low < value < self.high

    def __str__(self) -> str:
        if self.low == float("-inf"):
            return f"< {self.high:g}"
        return f"> {self.low:g}" if self.high == float("inf") else f"{self.low:g} to {self.high:g}"

    @classmethod
    def parse(cls, text: str) -> Region:
        """The region that `str` wrote, to the six digits that it writes. ValueError where it wrote none."""
        if text[:2] in ("< ", "> "):
            edge = float(text[2:])
            return cls(high=edge) if text[0] == "<" else cls(low=edge)
        low, _, high = text.partition(" to ")
        return cls(low=float(low), high=float(high))


def Below(high: float) -> Region:  # noqa: N802 - reads as a constructor: holds=Below(0.0)
    """The region under `high`."""
    return Region(high=high)


def Above(low: float) -> Region:  # noqa: N802
    """The region over `low`."""
    return Region(low=low)


def Within(low: float, high: float) -> Region:  # noqa: N802
    """The region between `low` and `high`."""
    return Region(low=low, high=high)
