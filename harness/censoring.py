"""Right-censored metrics: numbers such as a time that was not reached, of which the last step is a lower bound.

A trial returns `<name>` and, beside it, its companion `<name>_censored`: 1 where the value is only a bound, 0 where it is the number.
"""

from __future__ import annotations

SUFFIX = "_censored"
"""Of the companion's name."""


def companion(metric: str) -> str:
    """The name of what says whether a metric is a bound."""
    return f"{metric}{SUFFIX}"


def reached(metric: str, value: float, is_censored: bool) -> dict[str, float]:
    """What a trial returns of a censored metric: its value, or the bound that it did not reach, with its companion.

    `{"accuracy": a, **reached("steps", *steps_to_threshold(curve, 0.9))}`
    """
    return {metric: float(value), companion(metric): float(is_censored)}
