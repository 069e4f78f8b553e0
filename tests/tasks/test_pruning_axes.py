"""Channel axes, and removal against masking."""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from harness.errors import UsageError
from tasks.blocks.training import generator
from tasks.pruning.axes import Axis, Member, channel_axes, remove
from tests.tasks.pruning_toys import NETS, SHAPE, lived_in, net, third


def masked(model: nn.Module, axes: list[Axis], keep: Mapping[str, Tensor]) -> nn.Module:
    """The network with everything that produces a removed channel at zero: weights, biases, gains and running means."""
    result = copy.deepcopy(model)
    for axis in axes:
        gone = torch.ones(axis.size, dtype=torch.bool)
        gone[keep[axis.name]] = False
        for name in axis.modules("out", "norm", "depthwise"):
            module = result.get_submodule(name)
            for vector in (module.weight, module.bias, getattr(module, "running_mean", None)):
                if isinstance(vector, Tensor):
                    vector.data[gone] = 0.0
    return result


@torch.no_grad()
@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("arch", [*NETS, "vgg16", "flattened"])
def test_removal_is_masking_made_real(arch: str, norm: bool) -> None:
    shape = (3, 32, 32) if arch == "vgg16" else SHAPE
    model = lived_in(arch, shape, norm=norm) if arch == "vgg16" else net(arch, norm=norm)
    x = torch.randn(4, *shape, dtype=torch.float64, generator=generator(1))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    axes = channel_axes(model, shape)
    keep = third(axes)
    small, reference = remove(model, shape, keep), masked(model, axes, keep)(x)
    torch.testing.assert_close(small(x), reference, rtol=1e-11, atol=1e-13)
    other = remove(model, shape, third(axes, shift=1))(x)
    spread = float(reference.std(0).mean())
    assert float((other - reference).abs().max()) > 1e-3 * spread  # other channels would have been noticed
    assert float((model(x) - reference).abs().max()) > 1e-3 * spread
    for axis in axes:
        for member in axis.members:
            module = small.get_submodule(member.module)
            side = {"out": "out", "in": "in", "norm": "num", "depthwise": "out"}[member.dim]
            names = [n for n in ("out_channels", "out_features", "in_channels", "in_features", "num_features") if n.startswith(side)]
            found = [getattr(module, name) for name in names if hasattr(module, name)]
            assert found == [len(keep[axis.name]) * member.repeat]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_small_network_trains_on_and_is_cut_again() -> None:
    model = net("mobilenet-v2")
    small = remove(model, SHAPE, third(channel_axes(model, SHAPE))).train()
    small(torch.randn(2, *SHAPE, dtype=torch.float64)).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.shape == parameter.shape for parameter in small.parameters())
    again = channel_axes(small.eval(), SHAPE)
    smaller = remove(small, SHAPE, {axis.name: torch.tensor([0]) for axis in again})
    assert smaller(torch.randn(2, *SHAPE, dtype=torch.float64)).shape == (2, 10)


def test_the_members_of_known_axes() -> None:
    stem, *_ = channel_axes(net("resnet8"), SHAPE)
    assert stem.name == "stem.0.conv"
    assert stem.modules("out") == ["stem.0.conv", "blocks.0.path.1.conv"]  # one axis with two producers
    assert stem.modules("norm") == ["stem.0.norm", "blocks.0.path.1.norm"]
    assert stem.modules("in") == ["blocks.0.path.0.conv", "blocks.1.path.0.conv", "blocks.1.shortcut.conv"]
    first, *_ = channel_axes(net("mobilenet-v1"), SHAPE)
    assert first.modules("depthwise") == ["features.1.conv"]
    assert first.modules("norm") == ["features.0.norm", "features.1.norm"]
    flat, hidden = channel_axes(net("flattened"), SHAPE)
    assert flat.members == (Member("unit.conv", "out"), Member("unit.norm", "norm"), Member("hidden", "in", repeat=16))
    assert (hidden.name, hidden.size, hidden.modules("in")) == ("hidden", 9, ["head"])


@pytest.mark.parametrize("arch", NETS)
def test_every_column_and_row_belongs_to_one_axis(arch: str) -> None:
    """Only the image's channels and the logits are on no axis."""
    model = net(arch)
    ends = [(member.module, member.dim) for axis in channel_axes(model, SHAPE) for member in axis.members]
    assert len(ends) == len(set(ends))
    layers = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    sides = {(name, "in") for name in layers[1:]} | {(name, "out") for name in layers if name != "head"}
    depthwise = {name for name, dim in ends if dim == "depthwise"}
    assert {end for end in ends if end[1] in ("in", "out")} == {side for side in sides if side[0] not in depthwise}


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ({"features.0.conv": []}, "features.0.conv would keep none of its 6 channels"),
        ({"features.0.conv": [0, 6]}, "features.0.conv has channels 0 to 5"),
        ({"features.0.conv": [1, 1]}, "without repeats"),
        ({"features.0.cnv": [1]}, "did you mean 'features.0.conv'"),
    ],
)
def test_a_cut_that_cannot_be_is_refused(keep: dict[str, list[int]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        remove(net("vgg7"), SHAPE, {name: torch.tensor(kept, dtype=torch.long) for name, kept in keep.items()})


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    with pytest.raises(UsageError, match=r"pip install 'papertrial\[pruning\]'"):
        channel_axes(net("mlp"), SHAPE)
