"""Machines that scales are sized for."""

from __future__ import annotations

from harness.task import Hardware

H100 = Hardware(name="one H100 80GB", gpus=1, gpu_gib=79.0, cpus=16, memory_gib=128.0)
"""Of its 80 GB the driver leaves 79 GiB."""
H200 = Hardware(name="one H200 141GB", gpus=1, gpu_gib=139.0, cpus=16, memory_gib=128.0)
