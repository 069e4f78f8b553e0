"""What a network costs: multiply-adds of one image, counted by torch.utils.flop_counter, and parameters."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

Shape = tuple[int, int, int]


def multiply_adds(model: nn.Module, shape: Shape) -> int:
    """Multiply-adds of the convolutions and matrix products for one image of `shape` (channels, height, width).

    BatchNorm, activations, biases and poolings are not counted, as in most published tables.
    """
    return sum(_counts(model, shape)["Global"].values()) // 2


def multiply_adds_by_layer(model: nn.Module, shape: Shape) -> dict[str, int]:
    """The multiply-adds of every convolution and linear layer by its dotted name, in the order of the modules."""
    counts, root = _counts(model, shape), type(model).__name__
    layers = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    return {name: sum(counts.get(f"{root}.{name}", {}).values()) // 2 for name in layers}


def parameters(model: nn.Module) -> int:
    """Learned numbers of a model; running statistics are not among them."""
    return sum(parameter.numel() for parameter in model.parameters())


def _counts(model: nn.Module, shape: Shape) -> dict[str, dict[object, int]]:
    """FLOPs by module and kind, of a copy without storage: shapes are enough."""
    ghost = copy.deepcopy(model).to("meta").eval()
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        ghost(torch.empty(1, *shape, device="meta", dtype=next(ghost.parameters()).dtype))
    return counter.get_flop_counts()
