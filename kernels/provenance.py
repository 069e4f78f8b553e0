"""Where and when something was measured."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime

import torch


def provenance(device: torch.device) -> dict[str, str]:
    """Where and when: hardware, versions, commit."""
    try:
        import triton

        version = triton.__version__
    except ImportError:
        version = "not installed"
    cuda = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name() if cuda else platform.processor() or platform.machine(),
        "driver": _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader") if cuda else "none",
        "torch": torch.__version__,
        "triton": version,
        "commit": _output("git", "rev-parse", "--short", "HEAD"),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _output(*command: str) -> str:
    """What a command prints, `unknown` where it cannot run."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
