"""Planted networks whose neurons are known, and what is measured of a network without training it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tasks.blocks.algorithmic import modular
from tasks.blocks.small_members import Member, View
from tasks.blocks.small_networks import Network, Tensors

PERIODIC = 25
"""Neurons of `remembering` that are periodic."""


def remembering(one: Member) -> dict[str, Tensor]:
    """Weights of squares that know all sums modulo 11 by `PERIODIC` periodic neurons, and each wrong label by one of its own behind them.

    Summed over phases s and frequencies w the former are largest at a + b: (cos(wa + s) + cos(wb + s))^2 cos(wc + 2 s) has the mean
    cos(w (a + b - c)) / 2 over s, and half of that at 2 a and at 2 b.
    """
    waves, angles = [(w, 2 * math.pi * s / 5) for w in range(1, 6) for s in range(5)], 2 * math.pi * torch.arange(11) / 11
    first = [torch.cos(w * angles + s).repeat(2) for w, s in waves]
    last = [0.2 * torch.cos(w * angles + 2 * s) for w, s in waves]
    for pair in (one.targets != modular(11)[1]).nonzero().flatten().tolist():
        first.append(torch.zeros(22).index_fill(0, one.inputs[pair], 1.0))
        last.append(2.0 * torch.zeros(11).index_fill(0, one.targets[pair : pair + 1], 1.0))
    return {"weight0": torch.stack(first, 1), "weight1": torch.stack(last)}


def viewed(network: Network, one: Member, parameters: Tensors) -> View:
    """What is observed of a member with such parameters."""
    truth = one.targets if one.truth is None else one.truth
    fixed = {name: torch.as_tensor(value) for name, value in one.fixed.items()}
    outputs = network(parameters, one.inputs, fixed)
    packed = [{name: value.unsqueeze(0) for name, value in of.items()} for of in (one.splits, parameters, fixed)]
    return View(outputs.unsqueeze(0), one.targets.unsqueeze(0), truth.unsqueeze(0), *packed)
