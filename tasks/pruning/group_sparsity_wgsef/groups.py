"""The groups of a network: one a channel of a hidden axis, with everything that makes the channel and nothing that reads it.

A group holds the channel's filter (row of a convolution or linear layer) with its bias; on a residual sum, the filters of all
producers. What becomes of the channel's gain and shift of BatchNorm is not known of the paper, and has three readings. "in": they belong
to the group and are shrunk with it. "follow": they are not shrunk, and are set to zero when the group is. "apart": they are parameters
like any other. A group of zeros is a channel that is zero in the first two, so that removing it changes nothing; in the third it is a
constant, shift - gain mean / std.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from harness.errors import UsageError
from tasks.pruning.axes import Axis, Dim

Gains = Literal["in", "follow", "apart"]


class Groups:
    """All groups of a network, padded to a rectangle: (axes, widest axis). What lies outside an axis has norm 0 and no elements."""

    def __init__(self, model: nn.Module, axes: Sequence[Axis], *, gains: Gains = "in") -> None:
        self.axes = tuple(axes)
        filters: tuple[Dim, ...] = ("out", "depthwise")
        self.parameters = [_parameters(model, axis, (*filters, "norm") if gains == "in" else filters) for axis in axes]
        self.followers = [_parameters(model, axis, ("norm",)) if gains == "follow" else [] for axis in axes]
        device = next(model.parameters()).device
        self.real = torch.zeros(len(axes), max(axis.size for axis in axes), dtype=torch.bool, device=device)
        self.elements = torch.zeros(self.real.shape, device=device)
        for place, (axis, parameters) in enumerate(zip(axes, self.parameters, strict=True)):
            self.real[place, : axis.size] = True
            self.elements[place, : axis.size] = sum(parameter[0].numel() for parameter in parameters)

    def norms(self) -> Tensor:
        """Euclidean norm of every group."""
        return self.inner(self.parameters).sqrt()

    def inner(self, others: Sequence[Sequence[Tensor]]) -> Tensor:
        """Inner product of every group with the same group of `others`, which are shaped like `parameters`."""
        products = torch.zeros_like(self.elements)
        for place, (axis, own, other) in enumerate(zip(self.axes, self.parameters, others, strict=True)):
            rows = [(a.detach() * b.detach()).reshape(axis.size, -1).sum(1) for a, b in zip(own, other, strict=True)]
            products[place, : axis.size] = torch.stack(rows).sum(0)
        return products

    def copies(self) -> list[list[Tensor]]:
        """The groups as they are now."""
        return [[parameter.detach().clone() for parameter in parameters] for parameters in self.parameters]

    @torch.no_grad()
    def scale_(self, factors: Tensor, plus: Sequence[Sequence[Tensor]] = (), by: Tensor | None = None) -> None:
        """Multiply every group by its factor, after adding `by` times the same group of `plus` where these are given."""
        for place, (axis, parameters) in enumerate(zip(self.axes, self.parameters, strict=True)):
            for index, parameter in enumerate(parameters):
                shape = (axis.size,) + (1,) * (parameter.ndim - 1)
                if by is not None:
                    parameter.addcmul_(plus[place][index], by[place, : axis.size].view(shape))
                parameter.mul_(factors[place, : axis.size].view(shape))
            for follower in self.followers[place]:
                follower.mul_(factors[place, : axis.size] > 0)

    def largest(self, scores: Tensor, k: Tensor) -> Tensor:
        """Whether a group is among the k (axes,) of its axis with the highest scores; ties go to the lower index."""
        order = torch.where(self.real, scores, -torch.inf).argsort(dim=1, descending=True, stable=True)
        places = torch.empty_like(order).scatter_(1, order, torch.arange(order.shape[1], device=order.device).expand_as(order))
        return (places < k.unsqueeze(1)) & self.real

    def indices(self, chosen: Tensor) -> Mapping[str, Tensor]:
        """Axis name -> sorted indices of its chosen groups."""
        return {axis.name: chosen[place, : axis.size].nonzero().squeeze(1) for place, axis in enumerate(self.axes)}


def kept(axes: Sequence[Axis], keep: float) -> Tensor:
    """k of every axis, (axes,): the share `keep` of its groups, rounded, at least one."""
    if not 0.0 < keep <= 1.0:
        raise UsageError(f"keep is the share of groups that stay, above 0 and at most 1, not {keep}")
    return torch.tensor([max(1, round(keep * axis.size)) for axis in axes])


def _parameters(model: nn.Module, axis: Axis, dims: Sequence[Dim]) -> list[nn.Parameter]:
    """Weights and biases of the axis' members of these kinds: their first dimension counts its channels."""
    modules = [model.get_submodule(name) for name in axis.modules(*dims)]
    return [parameter for module in modules for parameter in (module.weight, module.bias) if isinstance(parameter, nn.Parameter)]
