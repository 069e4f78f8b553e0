"""Parameter classes of a network and their initialisation as the width grows (Yang et al. 2022, "Tensor Programs V", Table 3)."""

from __future__ import annotations

import math
from enum import StrEnum

import torch
from torch import nn


class ParamClass(StrEnum):
    """How many of a parameter's sides grow with the width."""

    VECTOR = "vector"
    """One side: embedding, norm gains, biases."""
    MATRIX = "matrix"
    """Both sides: q, k, v, o, gate, up, down."""
    HEAD = "head"
    """The input side only: the map to the logits."""


def param_class(name: str, parameter: nn.Parameter) -> ParamClass:
    """The class of a parameter from its name in the model: `head.*`, `embedding.*`, and the rest by its number of axes."""
    if name.split(".")[0] == "head":
        return ParamClass.HEAD
    if parameter.ndim < 2 or name.split(".")[0] == "embedding":
        return ParamClass.VECTOR
    return ParamClass.MATRIX


def by_class(model: nn.Module) -> dict[ParamClass, list[nn.Parameter]]:
    """The parameters of `model` in its own order, grouped; classes that it does not have are left out."""
    groups: dict[ParamClass, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        groups.setdefault(param_class(name, parameter), []).append(parameter)
    return groups


@torch.no_grad()
def initialize(model: nn.Module, generator: torch.Generator, *, zero_head: bool) -> None:
    """Embedding N(0, 1), matrices N(0, 1/fan_in), gains one; head zero (muP) or N(0, 1/fan_in) (standard parametrisation).

    muP and the standard parametrisation differ in the head alone here: their other difference lies in the learning rates.
    Numbers are drawn on the CPU in the model's own order, so that a seed means the same network on every device.
    """
    for name, parameter in model.named_parameters():
        kind = param_class(name, parameter)
        if parameter.ndim < 2:
            parameter.fill_(1.0)
        elif kind is ParamClass.HEAD and zero_head:
            parameter.zero_()
        else:
            std = 1.0 if kind is ParamClass.VECTOR else 1.0 / math.sqrt(parameter.shape[1])
            parameter.copy_(std * torch.randn(parameter.shape, generator=generator))
