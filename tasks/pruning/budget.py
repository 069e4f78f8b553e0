"""How many channels stay: counts, shares, and the share that meets a target of multiply-adds."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from harness.errors import UsageError, unknown
from harness.trial import Trial
from tasks.blocks.complexity import Shape, multiply_adds, multiply_adds_by_layer
from tasks.blocks.convnets import convnet
from tasks.pruning.axes import Axis, channel_axes
from tasks.pruning.dense import problem

_WIDTH_STEPS = 4096


def keep_counts(axes: Sequence[Axis], scores: Mapping[str, Tensor], kept: int | float | Mapping[str, int]) -> dict[str, Tensor]:
    """The sorted indices of the channels with the highest scores, for every axis that has scores.

    `kept`: channels of every axis (int), the share of every axis (float in (0, 1], rounded down, at least one channel), or the
    channels of each axis by name. UsageError for a count or share that an axis cannot have.
    """
    by_name = {axis.name: axis for axis in axes}
    result = {}
    for name, values in scores.items():
        if name not in by_name:
            raise unknown("channel axis", name, list(by_name))
        size = by_name[name].size
        count = share_of(size, kept) if isinstance(kept, float) else kept[name] if isinstance(kept, Mapping) else kept
        if not 1 <= count <= size:
            raise UsageError(f"{name} has {size} channels, so 1 to {size} of them can be kept, not {count}")
        result[name] = torch.topk(values.double(), count).indices.sort().values
    return result


def share_of(size: int, share: float) -> int:
    """Channels that a share of an axis keeps: rounded down, at least one."""
    if not 0.0 < share <= 1.0:
        raise UsageError(f"the share of channels to keep lies above 0 and at most at 1, not at {share:g}")
    return max(1, int(share * size + 1e-9))


def multiply_adds_kept(axes: Sequence[Axis], by_layer: Mapping[str, int], counts: Mapping[str, int]) -> int:
    """Multiply-adds of the network cut to `counts` channels (axes not named stay whole), from the dense network's `by_layer`."""
    left = dict(by_layer)
    for axis in axes:
        for module in axis.modules("out", "in", "depthwise"):
            left[module] = left[module] * counts.get(axis.name, axis.size) // axis.size
    return sum(left.values())


def keep_at_reduction(model: nn.Module, shape: Shape, scores: Mapping[str, Tensor], reduction: float) -> dict[str, Tensor]:
    """The best channels of each axis: the same share of every one, the largest whose multiply-adds are <= (1 - reduction) x dense.

    `reduction` is a share, in [0, 1). UsageError when one channel an axis is still too much, naming the reachable range.
    """
    axes, by_layer = channel_axes(model, shape), multiply_adds_by_layer(model, shape)
    dense, sizes = sum(by_layer.values()), {axis.name: axis.size for axis in axes if axis.name in scores}

    def adds(share: float) -> int:
        return multiply_adds_kept(axes, by_layer, {name: share_of(size, share) for name, size in sizes.items()})

    shares = sorted({count / size for size in set(sizes.values()) for count in range(1, size + 1)})
    _check_reduction(reduction, 1.0 - adds(shares[0]) / dense)
    fitting = bisect_right(shares, (1.0 - reduction) * dense, key=adds)
    return keep_counts(axes, scores, shares[fitting - 1])


def scaled_width(trial: Trial, reduction: float) -> float:
    """The width multiplier of the trial's architecture with (1 - reduction) of the dense multiply-adds: the largest not above."""
    params, (shape, classes) = trial.params, problem(trial)

    def adds(step: int) -> int:
        with torch.device("meta"):
            width = params.width * step / _WIDTH_STEPS
            model = convnet(params.arch, shape=shape, num_classes=classes, width=width, norm=params.norm)
        return multiply_adds(model, shape)

    dense = adds(_WIDTH_STEPS)
    _check_reduction(reduction, 1.0 - adds(1) / dense)
    steps = range(1, _WIDTH_STEPS + 1)
    return float(params.width * bisect_right(steps, (1.0 - reduction) * dense, key=adds) / _WIDTH_STEPS)


def _check_reduction(reduction: float, most: float) -> None:
    if not 0.0 <= reduction <= most:
        raise UsageError(
            f"a reduction of the multiply-adds by {100 * reduction:g} % cannot be met: this network reaches 0 to {100 * most:.1f} %"
        )
