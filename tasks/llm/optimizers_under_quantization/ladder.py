"""The common-loss ladder: rungs of loss at which checkpoints of different optimizers are compared."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

TOP, STEP, COUNT = 6.0, 0.05, 101
RUNGS = tuple(round(TOP - STEP * i, 2) for i in range(COUNT))
"""Validation losses in nats a token, falling from 6 to 1."""
RISE, LOSS = "w4a4_rise", "probe_loss"


def metric(rung: float) -> str:
    """The metric that holds the W4A4 rise of the first checkpoint at or below `rung`."""
    return f"{RISE}_at_{rung:.2f}"


METRICS = {metric(rung): rung for rung in RUNGS}


def crossed(loss: float, curve: Iterable[Mapping[str, float]], top: float) -> bool:
    """Whether `loss` is at or below a rung (none above `top`) that every earlier point of the curve was above."""
    best = min((point[LOSS] for point in curve if LOSS in point), default=math.inf)
    return any(loss <= rung < best for rung in RUNGS if rung <= top)


def rises(curve: Iterable[Mapping[str, float]], top: float) -> dict[str, float]:
    """The rise at every rung that the curve reached."""
    points, found = list(curve), {}
    for rung in RUNGS:
        first = next((point for point in points if point.get(LOSS, math.inf) <= rung), None)
        if rung <= top and first is not None:
            found[metric(rung)] = first[RISE]
    return found
