"""BatchNorm's statistics moved into the convolution before it: the same function of an image, in weights that merge linearly."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from harness.errors import UsageError
from tasks.blocks.convnets import units


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
