"""Machines that scales are sized for."""

from __future__ import annotations

from typing import Any

from harness.task import Hardware, Resources, Scale

H100 = Hardware(name="one H100 80GB", gpus=1, gpu_gib=79.0, cpus=16, memory_gib=128.0)
"""Of its 80 GB the driver leaves 79 GiB."""
H200 = Hardware(name="one H200 141GB", gpus=1, gpu_gib=139.0, cpus=16, memory_gib=128.0)


def h100(**scale: Any) -> Scale:
    """A scale whose trials have one H100 each."""
    return Scale(resources=Resources(gpus=1.0), hardware=H100, **scale)
