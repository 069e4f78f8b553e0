"""What a trial of the paper takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.pruning.memory import peak_gib, side
from tasks.pruning.params import DENSE

_HELD = 6.0
"""Networks of the dense one's size while channels merge: it, what was kept of it, a prepared copy, the rows of its layers, the result."""


def memory(scale: str, method: str, params: Mapping[str, Any]) -> float:
    """Expected peak GiB: the training of the dense network, or copies of it (with every channel doubled, four times the weights)."""
    if method == DENSE:
        return peak_gib(params, side(scale, params))
    copies = int(params.get("copies", 1))
    return peak_gib(params, side(scale, params), networks=_HELD * copies**2, learned=0, measured=256 * copies)
