"""Exact duplicates put into a network: a wider one of the same function, which a function-preserving merge has to give back."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from torch import Tensor, nn

from tasks.pruning.axes import Axis


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
                _put(module, "weight", blocks.repeat_interleave(copies, 1).flatten(1, 2) / copies)
            else:
                for name in ("weight", "bias", "running_mean", "running_var"):
                    if getattr(module, name, None) is not None:
                        _put(module, name, _tensor(module, name).repeat_interleave(copies, 0))
            _resize(module)
    return wide


def _tensor(module: nn.Module, name: str) -> Tensor:
    tensor = getattr(module, name)
    assert isinstance(tensor, Tensor)
    return tensor.detach()


def _put(module: nn.Module, name: str, value: Tensor) -> None:
    setattr(module, name, nn.Parameter(value) if isinstance(getattr(module, name), nn.Parameter) else value)


def _resize(module: nn.Module) -> None:
    """Make the module's own counts those of its weight."""
    shape = _tensor(module, "weight").shape
    if isinstance(module, nn.BatchNorm2d):
        module.num_features = shape[0]
    elif isinstance(module, nn.Conv2d):
        module.out_channels, module.in_channels = shape[:2]
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = shape
    else:
        raise TypeError(f"channels run through a {type(module).__name__}, which cannot be split")
