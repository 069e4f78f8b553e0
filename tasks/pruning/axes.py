"""Hidden channel axes of a network: who produces, carries and reads each channel, and how to cut channels out for real.

The dependencies come from torch-pruning's tracing (DepGraph, Fang et al. 2023); what is done with them is here.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from harness.errors import UsageError, unknown
from tasks.blocks.complexity import Shape

Dim = Literal["out", "in", "norm", "depthwise"]


@dataclass(frozen=True)
class Member:
    """One module that an axis runs through.

    out: rows of a convolution or linear layer (with its bias); in: columns; norm: every vector of a BatchNorm; depthwise: filters of a
    convolution with one group a channel. `repeat` is how many neighbouring columns a channel covers behind a flatten, else 1.
    """

    module: str
    dim: Dim
    repeat: int = 1


@dataclass(frozen=True)
class Axis:
    """Channels that have to be kept or cut together. A residual sum gives one axis with several producers ("out" members)."""

    name: str
    """The first producer's dotted name."""
    size: int
    members: tuple[Member, ...]

    def modules(self, *dims: Dim) -> list[str]:
        """Names of the members of these kinds, in the order of the modules."""
        return [member.module for member in self.members if member.dim in dims]


@dataclass(frozen=True)
class Traced:
    """An axis with torch-pruning's group of it: all channels of every member, in the copy of the model that was traced."""

    axis: Axis
    group: Any


def torch_pruning() -> Any:
    """The package; a UsageError that says how to install it where it is missing."""
    try:
        import torch_pruning
    except ImportError:
        raise UsageError("structured pruning needs the package torch-pruning: pip install 'papertrial[pruning]'") from None
    return torch_pruning


def channel_axes(model: nn.Module, shape: Shape) -> list[Axis]:
    """Every hidden channel axis, input side first; the logits' axis is not among them. `model` is not touched."""
    return [traced.axis for traced in trace(copy.deepcopy(model), shape)]


def trace(model: nn.Module, shape: Shape) -> list[Traced]:
    """The axes of `model` with their groups, which point into `model` itself (put into evaluation mode)."""
    tp = torch_pruning()
    first = next(model.parameters())
    example = torch.zeros(1, *shape, device=first.device, dtype=first.dtype)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    with torch.enable_grad():
        graph = tp.DependencyGraph().build_dependency(model.eval(), example_inputs=example)
    names = {module: name for name, module in model.named_modules()}
    order = {name: place for place, name in enumerate(names.values())}
    found: list[Traced] = []
    seen: set[str] = set()
    for name, module in model.named_modules():
        if not isinstance(module, nn.Conv2d | nn.Linear) or name in seen or _depthwise(module):
            continue
        rule = tp.prune_conv_out_channels if isinstance(module, nn.Conv2d) else tp.prune_linear_out_channels
        size = module.weight.shape[0]
        group = graph.get_pruning_group(module, rule, list(range(size)))
        axis = _axis(tp, name, size, group, names, order)
        seen |= set(axis.modules("out"))
        if axis.modules("in"):
            found.append(Traced(axis, group))
    return found


def _axis(tp: Any, name: str, size: int, group: Any, names: Mapping[nn.Module, str], order: Mapping[str, int]) -> Axis:
    members: dict[Member, None] = {}
    for item in group:
        module = item.dep.target.module
        if module not in names or not isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            continue
        if isinstance(module, nn.BatchNorm2d):
            dim: Dim = "norm"
        elif _depthwise(module):
            dim = "depthwise"
        elif isinstance(module, nn.Conv2d) and module.groups > 1:
            raise UsageError(f"{names[module]} is a grouped convolution: its channels cannot be cut one by one")
        else:
            dim = "out" if item.dep.handler in (tp.prune_conv_out_channels, tp.prune_linear_out_channels) else "in"
        repeat = len(item.idxs) // size
        if list(item.root_idxs) != [channel for channel in range(size) for _ in range(repeat)]:
            raise UsageError(f"the channels of {name} do not lie side by side in {names[module]}: they cannot be cut")
        members[Member(names[module], dim, repeat)] = None
    return Axis(name, size, tuple(sorted(members, key=lambda member: (order[member.module], member.dim == "out"))))


def _depthwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.groups == module.in_channels == module.out_channels > 1


def remove(model: nn.Module, shape: Shape, keep: Mapping[str, Tensor]) -> nn.Module:
    """A copy of `model` that has only the channels in `keep` (axis name -> sorted indices); axes not named stay whole.

    UsageError for an axis that is not there, that would keep nothing, or an index outside it.
    """
    return cut(model, channel_axes(model, shape), keep)


def cut(model: nn.Module, axes: Sequence[Axis], keep: Mapping[str, Tensor]) -> nn.Module:
    """`remove` for axes that are known already."""
    smaller = copy.deepcopy(model)
    by_name = {axis.name: axis for axis in axes}
    for name, kept in keep.items():
        if name not in by_name:
            raise unknown("channel axis", name, list(by_name))
        _check_kept(by_name[name], kept)
        for member in by_name[name].members:
            _slice(smaller.get_submodule(member.module), member, kept)
    return smaller


def _check_kept(axis: Axis, kept: Tensor) -> None:
    if kept.numel() == 0:
        raise UsageError(f"{axis.name} would keep none of its {axis.size} channels: the network would be cut in two")
    places = kept.tolist()
    if places != sorted(set(places)) or not 0 <= places[0] <= places[-1] < axis.size:
        raise UsageError(f"{axis.name} has channels 0 to {axis.size - 1}: what to keep must be sorted indices of these, without repeats")


def _slice(module: nn.Module, member: Member, kept: Tensor) -> None:
    """Keep the channels of one member in place."""
    if member.dim == "in":
        columns = (kept[:, None] * member.repeat + torch.arange(member.repeat, device=kept.device)).flatten()
        _select(module, "weight", columns, 1)
    else:
        for name in ("weight", "bias", "running_mean", "running_var"):
            _select(module, name, kept, 0)
    resize(module, depthwise=member.dim == "depthwise")


def resize(module: nn.Module, *, depthwise: bool = False) -> None:
    """Make a module's own counts those of its weight, after that was replaced. TypeError for a module that no axis runs through."""
    if isinstance(module, nn.BatchNorm2d):
        module.num_features = len(module.weight)
    elif isinstance(module, nn.Conv2d):
        module.out_channels, inputs = module.weight.shape[:2]
        module.groups = module.out_channels if depthwise else 1
        module.in_channels = inputs * module.groups
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    else:
        raise TypeError(f"no channels run through a {type(module).__name__}")


def _select(module: nn.Module, name: str, index: Tensor, dim: int) -> None:
    old = getattr(module, name, None)
    if old is None:
        return
    put(module, name, old.detach().index_select(dim, index.to(old.device)).clone())


def put(module: nn.Module, name: str, value: Tensor) -> None:
    """Replace a parameter or buffer of any size by `value`, as what it is."""
    old = getattr(module, name)
    setattr(module, name, nn.Parameter(value, requires_grad=old.requires_grad) if isinstance(old, nn.Parameter) else value)
