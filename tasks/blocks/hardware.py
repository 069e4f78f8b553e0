"""Machines that scales are sized for, and what trials cost there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.task import Grid, Hardware, Resources, Scale
from tasks.blocks.memory import gib

H100 = Hardware(name="one H100 80GB", gpus=1, gpu_gib=79.0, cpus=16, memory_gib=128.0)
"""Of its 80 GB the driver leaves 79 GiB."""
H200 = Hardware(name="one H200 141GB", gpus=1, gpu_gib=139.0, cpus=16, memory_gib=128.0)


def h100(**scale: Any) -> Scale:
    """A scale whose trials have one H100 each."""
    return Scale(resources=Resources(gpus=1.0), hardware=H100, **scale)


def smoke(what: str, grids: Sequence[Grid], *, seeds: int = 2, time_limit_s: float = 60.0) -> Scale:
    """The scale that tells whether a task runs, on a CPU; `what` is trained there or drawn."""
    return Scale(description=f"{what}: does it run", grids=grids, seeds=seeds, time_limit_s=time_limit_s)


def costs(of: Callable[[bool, str, Mapping[str, Any]], tuple[float, float]]) -> dict[str, Any]:
    """`seconds` and `memory` of an experiment, from `of(cpu, method, parameters)`: seconds, and numbers held in float64.

    `cpu`: whether the scale is one of a CPU, smoke or laptop.
    """

    def at(scale: str, method: str, p: Mapping[str, Any]) -> tuple[float, float]:
        return of(scale in ("smoke", "laptop"), method, p)

    return {"seconds": lambda *trial: float(at(*trial)[0]), "memory": lambda *trial: gib(8.0 * at(*trial)[1])}
