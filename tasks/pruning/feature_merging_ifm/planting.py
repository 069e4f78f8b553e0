"""Exact duplicates put into a network: a wider one of the same function, which a function-preserving merge has to give back."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from torch import Tensor, nn

from tasks.pruning.axes import Axis, put, resize


def split(model: nn.Module, axes: Sequence[Axis], copies: int) -> nn.Module:
    """A copy of `model` in which each channel of `axes` is there `copies` times, side by side; readers take a share of each.

    Incoming weights, biases and BatchNorm are repeated, outgoing weights divided by `copies`: the logits stay the same.
    """
    wide = copy.deepcopy(model)
    for axis in axes:
        for member in axis.members:
            module = wide.get_submodule(member.module)
            if member.dim == "in":
                weight = _tensor(module, "weight")
                blocks = weight.reshape(weight.shape[0], axis.size, member.repeat, *weight.shape[2:])
                put(module, "weight", blocks.repeat_interleave(copies, 1).flatten(1, 2) / copies)
            else:
                for name in ("weight", "bias", "running_mean", "running_var"):
                    if getattr(module, name, None) is not None:
                        put(module, name, _tensor(module, name).repeat_interleave(copies, 0))
            resize(module)
    return wide


def _tensor(module: nn.Module, name: str) -> Tensor:
    tensor = getattr(module, name)
    assert isinstance(tensor, Tensor)
    return tensor.detach()
