"""Criteria against float64 formulas; budgets that are met and not overshot."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from harness.errors import UsageError
from tasks.blocks.complexity import Shape, multiply_adds, multiply_adds_by_layer
from tasks.blocks.training import generator
from tasks.pruning.axes import Axis, channel_axes, remove
from tasks.pruning.budget import keep_at_reduction, keep_counts, multiply_adds_kept, scaled_width, share_of
from tasks.pruning.criteria import CRITERIA, scores
from tasks.pruning.dense import fresh_network
from tests.tasks.pruning_toys import NETS, SHAPE, maker, net, planted, third


def filters(model: nn.Module, axis: Axis) -> list[Tensor]:
    """The weights (size, fan-in) of every producer of an axis."""
    return [model.get_submodule(name).get_parameter("weight").detach().flatten(1) for name in axis.modules("out")]


def readers(model: nn.Module, axis: Axis) -> list[Tensor]:
    """The weights (size, readers) that read each channel."""
    found = []
    for member in axis.members:
        if member.dim == "in":
            weight = model.get_submodule(member.module).get_parameter("weight").detach()
            found.append(weight.flatten(2).permute(1, 0, 2).flatten(1) if weight.ndim == 4 else weight.T.reshape(axis.size, -1))
    return found


def gains(model: nn.Module, axis: Axis) -> list[Tensor]:
    return [model.get_submodule(name).get_parameter("weight").detach() for name in axis.modules("norm")]


def formula(criterion: str, model: nn.Module, axis: Axis) -> Tensor:
    """The criterion as its paper writes it."""
    w, read, gamma = filters(model, axis), readers(model, axis), gains(model, axis)
    squares = sum(one.square().sum(1) for one in w)
    assert isinstance(squares, Tensor)
    if criterion == "l1":
        return torch.stack([one.abs().sum(1) for one in w]).sum(0)
    if criterion == "l2":
        return squares.sqrt()
    if criterion == "l2-in-out":
        return (squares * torch.stack([one.square().sum(1) for one in read]).sum(0)).sqrt()
    if criterion == "fpgm":
        return torch.stack([(one[:, None] - one[None]).square().sum(2).sqrt().sum(1) for one in w]).sum(0)
    if criterion == "bn-scale":
        return torch.stack([one.abs() for one in gamma]).mean(0)
    coupled = torch.stack([one.square().sum(1) for one in (*w, *read)] + [one.square() for one in gamma]).mean(0)
    return coupled / coupled.mean()


@pytest.mark.parametrize("criterion", ["l1", "l2", "l2-in-out", "fpgm", "bn-scale", "group-norm"])
@pytest.mark.parametrize("arch", ["vgg7", "resnet8", "mobilenet-v2", "flattened"])
def test_criteria_are_their_formulas(criterion: str, arch: str) -> None:
    if (criterion, arch) == ("bn-scale", "flattened"):
        pytest.skip("its linear layer has no BatchNorm")
    model = net(arch)
    found = scores(model.float(), SHAPE, criterion)
    axes = channel_axes(model, SHAPE)
    assert list(found) == [axis.name for axis in axes]
    for axis in axes:
        torch.testing.assert_close(found[axis.name].double(), formula(criterion, model.double(), axis), rtol=1e-4, atol=1e-6)
        model.float()


def test_taylor_is_weight_times_gradient_of_the_loss() -> None:
    model = net("resnet8")
    x, y = torch.randn(6, *SHAPE, generator=generator(4)), torch.randint(0, 10, (6,), generator=generator(5))
    found = scores(model.float(), SHAPE, "taylor", batch=(x, y))
    assert all(parameter.grad is None for parameter in model.parameters())
    model.double()
    loss = -torch.log_softmax(model(x.double()), 1)[torch.arange(6), y].mean()
    names = dict(model.named_parameters())
    for axis in channel_axes(model, SHAPE):
        weights = [names[f"{name}.weight"] for name in axis.modules("out")]
        gradients = torch.autograd.grad(loss, weights, retain_graph=True)
        expected = sum((w * g).abs().flatten(1).sum(1) for w, g in zip(weights, gradients, strict=True))
        torch.testing.assert_close(found[axis.name].double(), expected, rtol=1e-3, atol=1e-7)


def test_fpgm_tells_opposite_filters_apart() -> None:
    """Distances of |w|^2, as torch-pruning takes them, would find these four filters equal."""
    model = net("mlp").float()
    with torch.no_grad():
        weight = model.get_submodule("first").get_parameter("weight")
        weight[:] = weight[0].clone()
        weight[0] *= -1
    found = scores(model, SHAPE, "fpgm")["first"]
    size = len(found)
    assert float(found[0] / found[1]) == pytest.approx(size - 1, rel=1e-4)


def test_random_draws_from_its_stream() -> None:
    model = net("vgg7")
    one, same, other = (scores(model, SHAPE, "random", generator=generator(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) and not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("criterion", "message"),
    [("bn-scale", "features.0.conv has none"), ("random", "needs a generator"), ("taylor", "needs a batch"), ("l3", "did you mean 'l")],
)
def test_a_criterion_without_what_it_needs_is_refused(criterion: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        scores(net("vgg7", norm=False), SHAPE, criterion)


@pytest.mark.parametrize(("arch", "reduction"), [*itertools.product(("vgg7", "resnet8", "mobilenet-v1", "mlp"), (0.3, 0.7)), ("vgg7", 0.0)])
def test_the_target_is_met_and_the_next_smaller_cut_misses_it(arch: str, reduction: float) -> None:
    model = net(arch)
    axes, dense = channel_axes(model, SHAPE), multiply_adds(model, SHAPE)
    found = scores(model, SHAPE, "random", generator=generator(0))
    keep = keep_at_reduction(model, SHAPE, found, reduction)
    assert multiply_adds(remove(model, SHAPE, keep), SHAPE) <= (1 - reduction) * dense
    nexts = [(len(keep[axis.name]) + 1) / axis.size for axis in axes]
    if min(nexts) <= 1.0:
        counts = {axis.name: share_of(axis.size, min(nexts)) for axis in axes}
        larger = {name: torch.arange(count) for name, count in counts.items()}
        assert multiply_adds(remove(model, SHAPE, larger), SHAPE) > (1 - reduction) * dense
    else:
        assert reduction == 0.0
    for axis in axes:
        kept, values = keep[axis.name], found[axis.name]
        gone = torch.tensor([channel for channel in range(axis.size) if channel not in kept.tolist()], dtype=torch.long)
        assert not len(gone) or float(values[kept].min()) >= float(values[gone].max())


@pytest.mark.parametrize("arch", [*NETS, "flattened"])
def test_counted_and_computed_multiply_adds_agree(arch: str) -> None:
    model = net(arch)
    axes = channel_axes(model, SHAPE)
    keep = third(axes)
    computed = multiply_adds_kept(axes, multiply_adds_by_layer(model, SHAPE), {name: len(kept) for name, kept in keep.items()})
    assert computed == multiply_adds(remove(model, SHAPE, keep), SHAPE)


@pytest.mark.parametrize("reduction", [0.999, -0.1, 50.0, float("nan")])
def test_a_target_out_of_reach_names_the_range(reduction: float) -> None:
    model = net("vgg7")
    axes = channel_axes(model, SHAPE)
    least = multiply_adds(remove(model, SHAPE, {axis.name: torch.tensor([0]) for axis in axes}), SHAPE)
    most = 100 * (1 - least / multiply_adds(model, SHAPE))
    with pytest.raises(UsageError, match=rf"reaches 0 to {most:.1f} %"):
        keep_at_reduction(model, SHAPE, scores(model, SHAPE, "l1"), reduction)


def test_counts_shares_and_what_they_refuse() -> None:
    axes = channel_axes(net("vgg7"), SHAPE)
    found = {axis.name: -torch.arange(axis.size, dtype=torch.float32) for axis in axes}
    assert [len(kept) for kept in keep_counts(axes, found, 2).values()] == [2] * 6
    assert [kept.tolist() for kept in keep_counts(axes, found, 0.3).values()][0::2] == [[0], [0, 1, 2], list(range(7))]
    assert share_of(100, 0.29) == 29  # 0.29 x 100 is below 29 in binary
    assert all(share_of(size, count / size) == count for size in range(1, 200) for count in range(1, size + 1))
    for bad, message in ((7, "features.0.conv has 6 channels, so 1 to 6"), (0, "not 0"), (1.5, "share .* not at 1.5"), (0.0, "not at 0")):
        with pytest.raises(UsageError, match=message):
            keep_counts(axes, found, bad)


def test_the_narrow_network_costs_as_much_as_asked(tmp_path: Path) -> None:
    trial = maker(tmp_path, planted())("dense", {"arch": "vgg7", "width": 0.5})
    width = scaled_width(trial, 0.5)
    shape: Shape = (1, 4, 4)
    target = 0.5 * multiply_adds(fresh_network(trial), shape)
    assert 0.9 * target < multiply_adds(fresh_network(trial, width=width), shape) <= target
    assert multiply_adds(fresh_network(trial, width=width + 0.5 / 4096), shape) > target
    with pytest.raises(UsageError, match=r"cannot be met: this network reaches 0 to 9\d\.\d %"):
        scaled_width(trial, 0.9999)


def test_every_criterion_is_tested() -> None:
    assert set(CRITERIA) == {"l1", "l2", "l2-in-out", "fpgm", "bn-scale", "group-norm", "taylor", "random"}
