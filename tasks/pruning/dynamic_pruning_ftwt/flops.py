"""What a gated network would have to compute for each input, if switched filters were skipped.

A pass in which gates hand on which channels are alive, instead of activations, finds what every convolution receives: pooling keeps a
channel alive, a residual sum revives what either side has, and a zero-padded shortcut adds nothing. A filter costs the channels that are
alive in its input, in its own group.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, nn

from tasks.pruning.dynamic_pruning_ftwt.gates import GatedNetwork


@dataclass(frozen=True)
class Cost:
    """Multiply-adds of each input, float64 (batch,)."""

    multiply_adds: Tensor
    """Convolutions, the classifier and the predictors."""
    as_published: Tensor
    """As the authors' code counts."""


@torch.no_grad()
def cost(network: GatedNetwork, images: Tensor) -> Cost:
    """Of the masks that the gates hold from their last pass, which was over as many images of this shape."""
    classifier: list[Tensor] = []
    gated = set(chain.from_iterable(gate.modules() for gate in network.gates.values()))
    linears = [m for m in network.backbone.modules() if isinstance(m, nn.Linear) and m not in gated]
    hooks = [linear.register_forward_hook(_linear_into(classifier)) for linear in linears]
    try:
        with network.counting():
            network(torch.ones_like(images))
    finally:
        for hook in hooks:
            hook.remove()
    layers = [gate.multiply_adds for gate in network.gates.values()]
    return Cost(torch.stack([*layers, *classifier]).sum(0), as_published(network))


def _linear_into(found: list[Tensor]) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
    """A hook that notes the multiply-adds of a linear layer; all of its outputs are alive."""

    def hook(linear: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        assert isinstance(linear, nn.Linear)
        found.append((inputs[0] > 0).sum(1, dtype=torch.float64) * linear.out_features)
        return torch.ones_like(output)

    return hook


def as_published(network: GatedNetwork) -> Tensor:
    """|M_l| x positions x (|M_{l-1}| // groups) x kernel, summed over the switched convolutions in order of evaluation.

    Kept as it is in the authors' code, to be set beside the count above: no predictors, no classifier, no shortcuts; after a residual sum
    the last branch's mask instead of what the sum holds; and for a depthwise convolution 0, as soon as one of its channels is off.
    """
    switched = network.switched
    first = switched[0]
    before = torch.full((len(first.mask),), float(first.channels), dtype=torch.float64, device=first.mask.device)
    total = torch.zeros_like(before)
    for gate in switched:
        now = gate.mask.sum(1, dtype=torch.float64)
        total += now * gate.positions * (before // gate.groups) * gate.kernel
        before = now
    return total
