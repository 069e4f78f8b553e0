"""What a channel is worth: the published criteria, by torch-pruning's importance classes wherever these compute what the paper says."""

from __future__ import annotations

import copy
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn

from harness.errors import UsageError, unknown
from tasks.blocks.complexity import Shape
from tasks.pruning.axes import Traced, torch_pruning, trace

CRITERIA: tuple[str, ...] = ("random", "l1", "l2", "l2-in-out", "fpgm", "taylor", "bn-scale", "group-norm")

_LAYERS = [nn.Conv2d, nn.Linear]


def scores(
    model: nn.Module,
    shape: Shape,
    criterion: str,
    *,
    generator: torch.Generator | None = None,
    batch: tuple[Tensor, Tensor] | None = None,
) -> dict[str, Tensor]:
    """The importance (size,) of every channel by axis name, on the CPU; higher is kept longer. `model` is not touched.

    A filter is what produces a channel: a row of a convolution or linear layer, without its bias; several where a residual sum has
    several producers, whose values are added up (depthwise filters belong to the channel and are not counted).

    random: uniform in 0 to 1, from `generator`. l1: L1 norm of the filter (Li et al. 2017). l2: its L2 norm.
    l2-in-out: that times the L2 norm of all weights that read the channel. fpgm: sum of the Euclidean distances to the filters beside it
    (He et al. 2019). taylor: sum over the filter's weights of |weight x gradient| of the cross-entropy of `batch` (inputs, targets) in
    evaluation mode (Molchanov et al. 2019, without the sum inside). bn-scale: |gamma| (Liu et al. 2017), mean over the
    channel's BatchNorms. group-norm: DepGraph's mean over all coupled layers of the squared norms (Fang et al. 2023), per axis relative to
    its mean. UsageError for an unknown criterion or when a criterion's needs are not met.
    """
    if criterion not in CRITERIA:
        raise unknown("criterion", criterion, CRITERIA)
    if criterion == "random" and generator is None:
        raise UsageError("criterion random needs a generator to draw from")
    if criterion == "taylor" and batch is None:
        raise UsageError("criterion taylor needs a batch of images and labels to take gradients of")
    ghost = copy.deepcopy(model)
    traced = trace(ghost, shape)
    if batch is not None and criterion == "taylor":
        ghost.zero_grad()
        with torch.enable_grad():
            F.cross_entropy(ghost(batch[0]).float(), batch[1]).backward()  # type: ignore[no-untyped-call]
    result = {}
    for one in traced:
        drawn = torch.rand(one.axis.size, generator=generator) if criterion == "random" else _score(one, ghost, criterion)
        result[one.axis.name] = drawn.detach().cpu()
    return result


def _score(traced: Traced, model: nn.Module, criterion: str) -> Tensor:
    tp = torch_pruning().importance
    if criterion == "l1":
        return _norms(traced, 1)
    if criterion == "l2":
        return _norms(traced, 2).sqrt()
    if criterion == "l2-in-out":
        return _norms(traced, 2).sqrt() * _reading(traced, model).sqrt()
    if criterion == "fpgm":
        return _distances(traced, model)
    if criterion == "taylor":
        found: Tensor = tp.TaylorImportance(group_reduction="sum", normalizer=None, target_types=_LAYERS)(_part(traced, "out"))
        return found
    if criterion == "bn-scale":
        if not traced.axis.modules("norm"):
            raise UsageError(f"criterion bn-scale needs BatchNorm behind every layer that is cut, {traced.axis.name} has none")
        scale: Tensor = tp.BNScaleImportance(group_reduction="mean", normalizer=None)(_part(traced, "norm"))
        return scale
    coupled: Tensor = tp.GroupMagnitudeImportance(p=2)(traced.group)
    return coupled


def _norms(traced: Traced, p: int) -> Tensor:
    """Sum of |weight|^p over the filters of each channel."""
    importance = torch_pruning().importance.MagnitudeImportance(p=p, group_reduction="sum", normalizer=None, target_types=_LAYERS)
    total: Tensor = importance(_part(traced, "out"))
    return total.cpu()


def _reading(traced: Traced, model: nn.Module) -> Tensor:
    """Sum of weight^2 over all that reads each channel. torch-pruning's has the size of its first layer, too many behind a flatten."""
    total = torch.zeros(traced.axis.size)
    for name in traced.axis.modules("in"):
        weight = model.get_submodule(name).get_parameter("weight").detach()
        total += weight.transpose(0, 1).reshape(traced.axis.size, -1).square().sum(1).cpu()
    return total


def _distances(traced: Traced, model: nn.Module) -> Tensor:
    """Sum of distances between filters. Ours: torch-pruning takes it between |weight|^p, which loses the signs that the paper compares."""
    total = torch.zeros(traced.axis.size)
    for name in traced.axis.modules("out"):
        weight = model.get_submodule(name).get_parameter("weight").detach().flatten(1).double()
        total += torch.cdist(weight, weight, compute_mode="donot_use_mm_for_euclid_dist").sum(1).float().cpu()
    return total


def _part(traced: Traced, dim: Literal["out", "norm"]) -> list[object]:
    """The items of the group that are members of this kind; an importance class only walks over them."""
    tp = torch_pruning()
    norms = (tp.prune_batchnorm_out_channels, tp.prune_batchnorm_in_channels)
    handlers = (tp.prune_conv_out_channels, tp.prune_linear_out_channels) if dim == "out" else norms
    return [item for item in traced.group if item.dep.handler in handlers]
