"""A network with fewer channels, by each of the methods: none of them trains or sees an image."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from harness.errors import UsageError
from tasks.blocks.complexity import Shape
from tasks.blocks.convnets import units
from tasks.blocks.training import generator
from tasks.pruning.axes import Axis, cut
from tasks.pruning.budget import keep_counts
from tasks.pruning.criteria import scores
from tasks.pruning.feature_merging_ifm.channels import carriers, counts_at, mergeable
from tasks.pruning.feature_merging_ifm.clustering import clusters, features, repair
from tasks.pruning.feature_merging_ifm.distances import Incremental
from tasks.pruning.feature_merging_ifm.grouping import FOLDING, IFM, IFM_DEVIATIONS, Rule, grouped
from tasks.pruning.feature_merging_ifm.merging import Merged, to_counts, to_threshold
from tasks.pruning.feature_merging_ifm.methods import CLUSTERING


@dataclass(frozen=True)
class Reduced:
    """A smaller network, and what is left of each axis that merges."""

    model: nn.Module
    axes: tuple[Axis, ...]
    """As they were in the dense network, input side first."""
    left: tuple[int, ...]
    """Channels left of each."""


def folded(model: nn.Module) -> nn.Module:
    """A copy with every BatchNorm folded into its convolution, which gets a bias. Nothing changes in evaluation."""
    model = copy.deepcopy(model).eval()
    for unit in units(model).values():
        if isinstance(unit.norm, nn.BatchNorm2d):
            unit.conv, unit.norm = fuse_conv_bn_eval(unit.conv, unit.norm), nn.Identity()
    return model


def standardized(model: nn.Module) -> nn.Module:
    """A copy whose convolutions give mean 0 and variance 1 on what BatchNorm recorded; its gain and shift stay.

    UsageError without BatchNorm, whose statistics this needs.
    """
    model = copy.deepcopy(model).eval()
    found = [unit for unit in units(model).values() if isinstance(unit.norm, nn.BatchNorm2d)]
    if not found:
        raise UsageError("kmeans-repair needs the statistics of BatchNorm, this network has none: choose norm=true")
    for unit in found:
        assert isinstance(unit.norm, nn.BatchNorm2d)
        bare = copy.deepcopy(unit.norm)
        with torch.no_grad():
            bare.weight.fill_(1.0)
            bare.bias.zero_()
            unit.conv = fuse_conv_bn_eval(unit.conv, bare)
            assert unit.norm.running_mean is not None
            assert unit.norm.running_var is not None
            unit.norm.running_mean.zero_()
            unit.norm.running_var.fill_(1.0 - unit.norm.eps)
    return model


@dataclass(frozen=True)
class Merging:
    """Iterative Feature Merging: what is done to BatchNorm first, and what becomes of the tensors of a merged pair."""

    prepare: Callable[[nn.Module], nn.Module]
    rule: Rule


RULES = {
    "ifm": Merging(copy.deepcopy, IFM),
    "ifm-folded": Merging(folded, IFM),
    "ifm-deviations": Merging(copy.deepcopy, IFM_DEVIATIONS),
}


def by_share(method: str, model: nn.Module, shape: Shape, kept: float, seed: int) -> Reduced:
    """`kept` of the channels of every axis that merges, the same number for every method. UsageError when an axis would keep none."""
    axes = mergeable(model, shape)
    counts = counts_at(axes, kept)
    if method in RULES:
        return _merge(RULES[method], model, shape, lambda distances, order: to_counts(distances, order, counts))
    if method in CLUSTERING:
        return _cluster(method, model, shape, counts, seed)
    return _cut(method, model, shape, axes, counts, seed)


def by_threshold(method: str, model: nn.Module, shape: Shape, beta: float) -> Reduced:
    """Merged while channels are closer than `beta` times the largest distance. UsageError for methods that do not merge."""
    if method not in RULES:
        raise UsageError(f"{method} has no threshold: merging up to beta is for {', '.join(RULES)}")
    return _merge(RULES[method], model, shape, lambda distances, order: to_threshold(distances, order, beta))


def _merge(merging: Merging, model: nn.Module, shape: Shape, decide: Callable[[Incremental, list[str]], Merged]) -> Reduced:
    dense = merging.prepare(model).eval()
    axes = mergeable(dense, shape)
    groups = decide(Incremental(carriers(dense, axes)), [axis.name for axis in axes]).groups
    small = grouped(dense, axes, groups, merging.rule)
    return _reduced(small, axes, {name: len(found) for name, found in groups.items()})


def _cluster(method: str, model: nn.Module, shape: Shape, counts: Mapping[str, int], seed: int) -> Reduced:
    dense = standardized(model) if method == "kmeans-repair" else copy.deepcopy(model).eval()
    axes = mergeable(dense, shape)
    tensors = carriers(dense, axes)
    groups = {axis.name: clusters(features(tensors, axis.name), counts[axis.name], seed) for axis in axes}
    small = grouped(dense, axes, groups, FOLDING)
    if method == "kmeans-repair":
        repair(small, axes, groups, tensors)
    return _reduced(small, axes, counts)


def _cut(criterion: str, model: nn.Module, shape: Shape, axes: list[Axis], counts: Mapping[str, int], seed: int) -> Reduced:
    importance = scores(model, shape, criterion, generator=generator(seed))
    keep = keep_counts(axes, {axis.name: importance[axis.name] for axis in axes}, counts)
    return _reduced(cut(model, axes, keep), axes, counts)


def _reduced(model: nn.Module, axes: list[Axis], counts: Mapping[str, int]) -> Reduced:
    return Reduced(model.eval(), tuple(axes), tuple(counts[axis.name] for axis in axes))
