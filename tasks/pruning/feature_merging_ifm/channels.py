"""The channels of a network that merge: which axes they run along, the weights that carry them, how many stay, exact copies of them."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from torch import Tensor, nn

from harness.errors import UsageError
from tasks.blocks.complexity import Shape
from tasks.pruning.axes import Axis, channel_axes, put, resize
from tasks.pruning.feature_merging_ifm.distances import Carrier


def mergeable(model: nn.Module, shape: Shape) -> list[Axis]:
    """Axes with one producer, input side first: those inside the blocks of a residual network, all of a plain one.

    A residual sum ties the outputs of several layers to one axis, and behind a depthwise convolution a sum of channels is not what the
    rule takes it for; both stay as they are. UsageError when nothing is left.
    """
    axes = [axis for axis in channel_axes(model, shape) if len(axis.modules("out")) == 1 and not axis.modules("depthwise")]
    if not axes:
        raise UsageError(f"{type(model).__name__} has no channels that merge: all are tied by residual sums or depthwise convolutions")
    return axes


def carriers(model: nn.Module, axes: Sequence[Axis]) -> dict[str, Carrier]:
    """The weight tensors that carry `axes`, by module. Biases and BatchNorm carry them too, but the published distance leaves them out."""
    rows = {module: axis for axis in axes for module in axis.modules("out")}
    columns = {module: axis for axis in axes for module in axis.modules("in")}
    found = {}
    for name in dict.fromkeys([*rows, *columns]):
        weight = tensor(model.get_submodule(name), "weight")
        inputs = columns[name].size if name in columns else weight.shape[1]
        found[name] = Carrier(
            weight.reshape(weight.shape[0], inputs, -1),
            rows[name].name if name in rows else None,
            columns[name].name if name in columns else None,
        )
    return found


def tensor(module: nn.Module, name: str) -> Tensor:
    """A parameter or buffer of a module, without its gradient."""
    found = getattr(module, name)
    assert isinstance(found, Tensor)
    return found.detach()


def counts_at(axes: Sequence[Axis], kept: float) -> dict[str, int]:
    """Channels of each axis that are kept at a share of all. UsageError unless 0 < kept <= 1 and every axis keeps one."""
    if not 0.0 < kept <= 1.0:
        raise UsageError(f"kept is a share of the channels, above 0 and at most 1, not {kept:g}")
    counts = {axis.name: round(kept * axis.size) for axis in axes}
    for axis in axes:
        if not counts[axis.name]:
            raise UsageError(
                f"keeping {kept:g} of the {axis.size} channels of {axis.name} leaves none: at least {0.5 / axis.size:.3g} leaves one"
            )
    return counts


def split(model: nn.Module, axes: Sequence[Axis], copies: int) -> nn.Module:
    """A copy of `model` in which each channel of `axes` is there `copies` times, side by side; readers take a share of each.

    Incoming weights, biases and BatchNorm are repeated, outgoing weights divided by `copies`: the logits stay the same.
    """
    wide = copy.deepcopy(model)
    for axis in axes:
        for member in axis.members:
            module = wide.get_submodule(member.module)
            if member.dim == "in":
                weight = tensor(module, "weight")
                blocks = weight.reshape(weight.shape[0], axis.size, member.repeat, *weight.shape[2:])
                put(module, "weight", blocks.repeat_interleave(copies, 1).flatten(1, 2) / copies)
            else:
                for name in ("weight", "bias", "running_mean", "running_var"):
                    if getattr(module, name, None) is not None:
                        put(module, name, tensor(module, name).repeat_interleave(copies, 0))
            resize(module)
    return wide
