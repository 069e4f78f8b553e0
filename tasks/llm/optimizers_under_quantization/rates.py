"""Base learning rate and decay of each optimizer, found on validation at the base size of the laptop scale (see the README's log)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.blocks.optim import Rate
    from tasks.llm.optimizers_under_quantization.params import Params

BASE_LR: Mapping[str, float] = {"adamw": 1e-2, "muon": 3e-2, "psgd": 8e-3, "scion": 6e-2, "shampoo": 2e-2, "soap": 1.6e-2}
"""Peak rate of the hidden matrices."""
OTHER_LR = 1e-2
"""Peak rate of AdamW on embedding and gains, under every optimizer."""
DECAY = 0.1
"""Decoupled decay of the hidden matrices; the other parameters have none."""


def rates(method: str, params: Params) -> tuple[Rate, Rate]:
    """(hidden matrices, other parameters)."""
    from tasks.blocks.optim import Rate

    matrices = Rate(BASE_LR[method] * params.lr_multiplier, DECAY * params.decay_multiplier)
    return matrices, Rate(OTHER_LR * params.lr_multiplier, 0.0)
