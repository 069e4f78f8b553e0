"""What a trial of the paper takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.pruning.dynamic_pruning_ftwt.methods import GATED
from tasks.pruning.memory import EVALUATED, peak_gib, side
from tasks.pruning.params import DENSE


def memory(scale: str, method: str, params: Mapping[str, Any]) -> float:
    """Expected peak GiB: the dense network beside what is trained; thresholds, and Taylor's gradients, look at `level_images` at once."""
    pixels = side(scale, params)
    if method == DENSE:
        return peak_gib(params, pixels)
    images = int(params["level_images"])
    learned = max(int(params["batch"]), images if method == "taylor" else 0)
    return peak_gib(params, pixels, learned=learned, measured=max(EVALUATED, images), gated=method in GATED)
