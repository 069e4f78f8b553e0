"""The common-loss ladder: rungs of loss at which networks of different optimizers are compared, on the way and annealed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

TOP, STEP, COUNT = 6.0, 0.05, 101
RUNGS = tuple(round(TOP - STEP * i, 2) for i in range(COUNT))
"""Validation losses in nats a token, falling from 6 to 1."""
LOSS, RISE, ANNEALED_LOSS, ANNEALED_RISE, RATE = "probe_loss", "w4a4_rise", "annealed_loss", "annealed_rise", "rate_left"
"""What a look at a network adds to the curve: of the network as it is, and of a copy whose rate was taken to zero; the share of its peak
rate that the optimizer had left."""
NEIGHBOURS = 0.15
"""A rung's number rests on the checkpoints so near to it, in nats: a single one is noisy by as much as optimizers differ."""


def metric(rung: float, name: str = RISE) -> str:
    """The metric that holds `name` at `rung`."""
    return f"{name}_at_{rung:.2f}"


FAMILIES = {RISE: LOSS, ANNEALED_RISE: ANNEALED_LOSS, RATE: LOSS}
"""What is read at a rung, and the loss that says where the rung is."""
METRICS = {name: {metric(rung, name): rung for rung in RUNGS} for name in FAMILIES}


def rises(curve: Iterable[Mapping[str, float]], top: float) -> dict[str, float]:
    """Every family at every rung not above `top` that lies between the losses of its checkpoints."""
    found, points = {}, list(curve)
    for name, loss in FAMILIES.items():
        pairs = [(point[loss], point[name]) for point in points if name in point and math.isfinite(point[loss])]
        for rung in RUNGS:
            if rung <= top and len(pairs) > 1 and min(pairs)[0] <= rung <= max(pairs)[0]:
                found[metric(rung, name)] = _at(rung, pairs)
    return found


def _at(rung: float, pairs: list[tuple[float, float]]) -> float:
    """The least-squares line through the checkpoints near the rung, the next one on either side among them, read at the rung."""
    below, above = max(pair for pair in pairs if pair[0] <= rung), min(pair for pair in pairs if pair[0] >= rung)
    near = [pair for pair in pairs if abs(pair[0] - rung) <= NEIGHBOURS or pair in (below, above)]
    middle, height = (math.fsum(values) / len(near) for values in zip(*near, strict=True))
    spread = math.fsum((loss - middle) ** 2 for loss, _ in near)
    slope = math.fsum((loss - middle) * value for loss, value in near) / spread if spread > 0 else 0.0
    return height + slope * (rung - middle)
