"""Parameters of the task."""

from __future__ import annotations

from dataclasses import dataclass

from harness.task import param
from tasks.pruning.params import Network

BY_BETA = ("threshold", "width", "training")
"""Parts in which the distance decides how many channels stay."""


@dataclass(frozen=True, kw_only=True)
class Params(Network):
    """A dense network, and how far its channels are merged or cut. Nothing is trained afterwards."""

    part: str = param(
        "kept",
        "kept: every layer keeps the same share of its channels; duplicates: the same, on a network whose channels were split into exact "
        "copies; threshold, width, training: merged by distance up to beta, over betas, over widths, over trainings of one architecture",
        choices=("kept", "duplicates", *BY_BETA),
    )
    kept: float = param(1.0, "kept, duplicates: share of each layer's channels that stays, in whole channels", low=0.001, high=1.0)
    beta: float = param(
        0.1,
        "threshold, width, training: a layer merges while its smallest squared distance is at most so much of its largest",
        low=1e-6,
        high=1.0,
    )
    copies: int = param(1, "duplicates: every channel is first split into so many exact copies, which changes no output", low=1, high=8)
