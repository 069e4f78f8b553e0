"""When a network fits and when it generalises: crossing times of loss curves, and the gap between the two, which may be censored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from harness.bounds import POSITIVE, UNBOUNDED
from harness.censoring import reached
from harness.task import Metric

if TYPE_CHECKING:
    from tasks.blocks.small_members import Run

Crossing = tuple[float, bool]
"""A step, and whether it is censored: the level was not reached by then."""


def crossing(curve: Sequence[tuple[float, float]], level: float) -> Crossing:
    """When a positive curve of (step, value) first falls to `level`, log-linear between its steps: rounding never moves it by a step.

    (last step, True) where it does not; (NaN, True) where it is not finite before it does.
    """
    before, high = curve[0]
    for step, value in curve:
        if not math.isfinite(value):
            return math.nan, True
        if value <= level:
            return (step if step == before else before + (step - before) * math.log(high / level) / math.log(high / value)), False
        before, high = step, value
    return before, True


def crossings(run: Run, level: float) -> tuple[Crossing, Crossing]:
    """Of its training loss and of its test loss."""
    fitted, generalised = (crossing(run.curve(f"{split}_loss"), level) for split in ("train", "test"))
    return fitted, generalised


def gap_metrics(methods: Sequence[str] = ()) -> list[Metric]:
    """What `gap` returns."""
    late = "; a lower bound where that does not drop in time"
    return [
        Metric(name, unit, "lower", what, methods, split="test", censored=True, bounds=bounds)
        for name, unit, what, bounds in (
            ("grok_gap", "steps", "from the drop of the training loss to that of the test loss" + late, POSITIVE),
            ("delay", "", "step of the drop of the test loss over that of the training loss" + late, POSITIVE),
            ("lag", "", "share of the steps to generalise that come after those to fit; a lower bound as delay is", UNBOUNDED),
        )
    ]


def gap(fitted: Crossing, generalised: Crossing) -> Mapping[str, float]:
    """The gap in steps, as a ratio and as a share. Where neither curve falls in time the bounds are 0, 1 and 0: nothing is known."""
    steps = max(generalised[0] - fitted[0], 0.0)  # in this order: what is not a number stays none
    ratio = generalised[0] / fitted[0] if fitted[0] else math.nan
    found = {"grok_gap": steps, "delay": ratio, "lag": 1.0 - 1.0 / ratio if ratio else math.nan}
    return {name: value for one in found for name, value in reached(one, found[one], generalised[1]).items()}
