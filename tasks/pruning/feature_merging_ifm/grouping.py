"""A smaller network in which each group of channels has become one channel.

Sums and count-weighted means of pairs are sums and means of groups, and merging rows commutes with merging columns, so that the network
after any sequence of merges follows from the groups alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from tasks.pruning.axes import Axis, cut
from tasks.pruning.feature_merging_ifm.channels import tensor
from tasks.pruning.feature_merging_ifm.merging import Groups


@dataclass(frozen=True)
class Rule:
    """What becomes of a group's tensors."""

    incoming: Literal["sum", "mean"]
    """Rows, biases, and all of BatchNorm but its variance; outgoing columns are then averaged or added, the other way round."""
    variance: Literal["as incoming", "of the sum"] = "as incoming"
    """BatchNorm's running variance. As incoming: its sum or mean. Of the sum: (sum of deviations)^2, true of equal channels."""


IFM = Rule("sum")
"""As published."""
IFM_DEVIATIONS = Rule("sum", "of the sum")
FOLDING = Rule("mean")
"""Cluster centres, as in Model Folding (2502.10216)."""


def grouped(model: nn.Module, axes: Sequence[Axis], groups: Mapping[str, Groups], rule: Rule) -> nn.Module:
    """A copy of `model` with one channel for each group, in the order of the groups' smallest members."""
    sets = {axis.name: sorted(groups[axis.name]) for axis in axes}
    small = cut(model, axes, {name: torch.tensor([group[0] for group in found]) for name, found in sets.items()})
    members = {axis.name: indicator(sets[axis.name], axis.size) for axis in axes}
    rows = {module: members[axis.name] for axis in axes for module in axis.modules("out", "norm")}
    columns = {module: members[axis.name] for axis in axes for module in axis.modules("in")}
    with torch.no_grad():
        for name in dict.fromkeys([*rows, *columns]):
            old, new = model.get_submodule(name), small.get_submodule(name)
            if isinstance(old, nn.BatchNorm2d):
                _merge_norm(old, new, rows[name], rule)
                continue
            _assign(new.weight, combine(tensor(old, "weight"), rows.get(name), columns.get(name), rule))
            if name in rows and isinstance(old.bias, Tensor):
                _assign(new.bias, gather(old.bias.detach(), rows[name], rule.incoming))
    return small


def combine(weight: Tensor, rows: Tensor | None, columns: Tensor | None, rule: Rule) -> Tensor:
    """A weight (outputs, inputs, ...) in float64 with its rows and columns merged; None leaves a side as it is."""
    out = weight.to("cpu", torch.float64)
    if columns is not None:
        out = out.reshape(out.shape[0], columns.shape[1], -1).transpose(0, 1)
        out = gather(out, columns, "mean" if rule.incoming == "sum" else "sum").transpose(0, 1)
    if rows is not None:
        out = gather(out, rows, rule.incoming)
    return out.reshape(out.shape[0], -1, *weight.shape[2:])


def indicator(sets: Sequence[Sequence[int]], size: int) -> Tensor:
    """(groups, channels), 1 where a channel is in a group. ValueError when the sets do not hold every channel exactly once."""
    if sorted(channel for group in sets for channel in group) != list(range(size)):
        raise ValueError(f"the groups have to hold each of the {size} channels once")
    table = torch.zeros(len(sets), size, dtype=torch.float64)
    for row, group in enumerate(sets):
        table[row, list(group)] = 1.0
    return table


def gather(values: Tensor, members: Tensor, how: Literal["sum", "mean"]) -> Tensor:
    """Sums or means over groups of the first dimension, in float64."""
    total: Tensor = torch.tensordot(members, values.to("cpu", torch.float64), dims=1)
    return total if how == "sum" else total / members.sum(1).reshape(-1, *[1] * (total.dim() - 1))


def _merge_norm(old: nn.BatchNorm2d, new: nn.Module, members: Tensor, rule: Rule) -> None:
    assert isinstance(new, nn.BatchNorm2d)
    assert old.running_mean is not None
    assert old.running_var is not None
    for target, source in ((new.weight, old.weight), (new.bias, old.bias), (new.running_mean, old.running_mean)):
        _assign(target, gather(source.detach(), members, rule.incoming))
    if rule.variance == "as incoming":
        _assign(new.running_var, gather(old.running_var, members, rule.incoming))
    else:
        deviations = (old.running_var.double() + old.eps).sqrt()
        _assign(new.running_var, gather(deviations, members, rule.incoming).square() - old.eps)


def _assign(target: object, value: Tensor) -> None:
    assert isinstance(target, Tensor)
    assert target.shape == value.shape, "the smaller network has another shape than its groups"
    target.copy_(value)
