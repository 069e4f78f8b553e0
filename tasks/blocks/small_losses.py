"""Losses by example for packed networks, and whether an example is right.

A loss takes outputs (..., examples, outputs) and targets (..., examples) or (..., examples, outputs) and gives (..., examples).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]
"""Outputs (..., examples, outputs) and targets -> the loss of every example (..., examples)."""


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Of classes, by example."""
    return -_of_class(outputs.log_softmax(-1), targets)


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean over the outputs, by example; classes stand for their one-hot vectors."""
    wanted = targets if targets.is_floating_point() else F.one_hot(targets, outputs.shape[-1])
    if wanted.shape != outputs.shape:
        raise ValueError(f"targets {tuple(wanted.shape)} for outputs {tuple(outputs.shape)}")
    return (outputs - wanted).square().mean(-1)


def correct(outputs: Tensor, targets: Tensor) -> Tensor:
    """1 where the largest output is the class, 0 where not, NaN where outputs are not finite: a diverged network has no accuracy."""
    right = (outputs.argmax(-1) == targets).to(outputs.dtype)
    return right.where(outputs.isfinite().all(-1), torch.nan)


def _of_class(values: Tensor, targets: Tensor) -> Tensor:
    return values.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
