"""The merge rule: exact on duplicates, its error under BatchNorm in closed form, hand numbers, the fast way against the plain one."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Mapping, Sequence

import pytest
import torch
from torch import Tensor, nn

from harness.errors import UsageError
from tasks.blocks.convnets import ConvUnit, convnet, units
from tasks.blocks.training import generator
from tasks.pruning.axes import cut
from tasks.pruning.feature_merging_ifm.channels import carriers, counts_at, mergeable, split
from tasks.pruning.feature_merging_ifm.clustering import clusters, features, repair
from tasks.pruning.feature_merging_ifm.distances import Carrier, Incremental, Recomputed
from tasks.pruning.feature_merging_ifm.grouping import FOLDING, IFM, IFM_DEVIATIONS, combine, grouped, indicator
from tasks.pruning.feature_merging_ifm.merging import Merge, Merged, to_counts, to_threshold
from tasks.pruning.feature_merging_ifm.reduction import by_share, by_threshold, folded, standardized

SHAPE = (3, 8, 8)


def stack(widths: Sequence[int], kernel: int = 1, seed: int = 0, levels: int = 0) -> tuple[dict[str, Carrier], list[str]]:
    """A plain chain of layers with random weights (whole numbers up to `levels`, where given: these tie) and its axes."""
    stream = generator(seed)
    found, columns = {}, None
    for depth, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        size = (outputs, inputs, kernel)
        weight = torch.randint(-levels, levels + 1, size, generator=stream).double() if levels else torch.randn(size, generator=stream)
        rows = f"a{depth}" if depth < len(widths) - 2 else None
        found[f"layer{depth}"] = Carrier(weight, rows, columns)
        columns = rows
    return found, [f"a{depth}" for depth in range(len(widths) - 2)]


def shaken(model: nn.Module, seed: int = 0) -> nn.Module:
    """`model` in float64 with BatchNorm statistics, gains and shifts, and biases, as no fresh network has them."""
    stream = generator(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            for target, low, high in ((module.weight, 0.5, 1.5), (module.bias, -0.5, 0.5), (module.running_mean, -0.5, 0.5)):
                target.data.copy_(low + (high - low) * torch.rand(target.shape, generator=stream))
            module.running_var.copy_(0.5 + torch.rand(module.running_var.shape, generator=stream))
        elif isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            module.bias.data.copy_(0.2 * torch.randn(module.bias.shape, generator=stream))
    return model.double().eval()


def network(norm: bool = True, arch: str = "vgg7") -> nn.Module:
    return shaken(convnet(arch, shape=SHAPE, num_classes=5, width=0.1, norm=norm, stream=generator(3)))


def images(count: int = 16) -> Tensor:
    return torch.randn(count, *SHAPE, generator=generator(5), dtype=torch.float64)


@torch.no_grad()
def error(model: nn.Module, wanted: nn.Module) -> float:
    """Relative distance of the logits."""
    return float((model(images()) - wanted(images())).norm() / wanted(images()).norm())


def plain(
    found: Mapping[str, Carrier], order: Sequence[str], kept: Mapping[str, int], beta: float = math.inf
) -> list[tuple[str, int, int]]:
    """The published loop, written out: every squared distance from its definition, every layer asked every round."""
    weights = {name: carrier.weight.double().clone() for name, carrier in found.items()}
    names = {axis: list(range(next(c.weight.shape[0] for c in found.values() if c.rows == axis))) for axis in order}
    counts = {axis: [1.0] * len(names[axis]) for axis in order}
    sequence, merged, rounds = [], True, 0
    sizes = {axis: len(found) for axis, found in names.items()}
    while merged:
        merged = False
        for axis in order:
            if len(names[axis]) <= kept[axis] or rounds >= sizes[axis]:
                continue
            rows = [weights[name] for name, carrier in found.items() if carrier.rows == axis]
            columns = [weights[name].transpose(0, 1) for name, carrier in found.items() if carrier.columns == axis]
            points = torch.cat([tensor.flatten(1) for tensor in (*rows, *columns)], 1)
            pairs = [(float((points[i] - points[j]).square().sum()), i, j) for i in range(len(points)) for j in range(i + 1, len(points))]
            least = min(pairs)[0]
            first, i, j = next(pair for pair in pairs if pair[0] <= least + 1e-9)
            if first > beta * max(pairs)[0]:
                continue
            sequence.append((axis, names[axis][i], names[axis][j]))
            rest = [place for place in range(len(points)) if place != j]
            ci, cj = counts[axis][i], counts[axis][j]
            for name, carrier in found.items():
                if carrier.rows == axis:
                    weights[name][i] += weights[name][j]
                    weights[name] = weights[name][rest]
                if carrier.columns == axis:
                    weights[name][:, i] = (ci * weights[name][:, i] + cj * weights[name][:, j]) / (ci + cj)
                    weights[name] = weights[name][:, rest]
            counts[axis][i] = ci + cj
            names[axis], counts[axis] = [names[axis][place] for place in rest], [counts[axis][place] for place in rest]
            merged = True
        rounds += 1
    return sequence


CASES = {
    "random": stack((5, 9, 7, 11, 4)),
    "kernels": stack((3, 8, 6, 7, 4), kernel=9, seed=1),
    "ties": stack((2, 9, 8, 9, 2), seed=2, levels=1),
    "all alike": (
        {name: Carrier(torch.ones(c.weight.shape), c.rows, c.columns) for name, c in stack((3, 6, 5, 2))[0].items()},
        ["a0", "a1"],
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("share", [0.7, 0.2])
def test_incremental_distances_give_the_merges_of_the_published_loop(case: str, share: float) -> None:
    found, order = CASES[case]
    kept = {axis: max(1, round(share * len(Recomputed(found).counts[axis]))) for axis in order}
    fast, slow = to_counts(Incremental(found), order, kept), to_counts(Recomputed(found), order, kept)
    assert fast == slow
    assert [(merge.axis, merge.i, merge.j) for merge in fast.sequence] == plain(found, order, kept)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("beta", [0.05, 0.4, 1.0])
def test_the_threshold_stops_at_the_pair_of_the_published_loop(case: str, beta: float) -> None:
    found, order = CASES[case]
    fast = to_threshold(Incremental(found), order, beta)
    assert fast == to_threshold(Recomputed(found), order, beta)
    assert [(merge.axis, merge.i, merge.j) for merge in fast.sequence] == plain(found, order, dict.fromkeys(order, 1), beta)


def test_a_layer_that_stopped_goes_on_when_a_neighbour_has_moved_its_distances() -> None:
    resumed = 0
    for seed in range(12):
        found, order = stack((3, 9, 8, 3), seed=seed)
        sequence = [(merge.axis, merge.i, merge.j) for merge in to_threshold(Incremental(found), order, 0.3).sequence]
        assert sequence == plain(found, order, dict.fromkeys(order, 1), 0.3)
        axes = [axis for axis, _, _ in sequence]
        # Turns alternate while both layers merge; two turns of one layer and then one of the other is a pause that ended.
        resumed += any(
            axes[k] == axes[k + 1] != other and other in axes[k + 2 :] and other in axes[:k]
            for k in range(len(axes) - 1)
            for other in order
        )
    assert resumed, "no seed has a pause: choose others"


def test_updated_inner_products_stay_those_of_the_weights() -> None:
    found, order = stack((3, 20, 16, 12, 4), kernel=9)
    distances = Incremental(found)
    to_counts(distances, order, {"a0": 5, "a1": 4, "a2": 3})
    for axis in order:
        exact = Recomputed.squared(distances, axis)
        finite = torch.isfinite(exact)
        updated = distances.squared(axis)
        assert torch.equal(torch.isfinite(updated), finite)
        torch.testing.assert_close(updated[finite], exact[finite], rtol=1e-12, atol=1e-12)


def test_layers_merge_in_turns_and_see_what_the_one_before_did() -> None:
    found, order = stack((4, 12, 12, 3), seed=7)
    kept = {"a0": 3, "a1": 2}
    together = to_counts(Incremental(found), order, kept).sequence
    assert [merge.axis for merge in together] == ["a0", "a1"] * 9 + ["a1"]
    alone = to_counts(Incremental(found), ["a1"], {"a1": 2}).sequence
    assert [merge for merge in together if merge.axis == "a1"] != list(alone), "this seed has no coupling: choose another"


def test_three_units_merge_by_counts() -> None:
    """Incoming 1, 1.1, 5 and outgoing 2, 4, 10: units 0 and 1 first (2.1, 3 for two), then with 2 (7.1, (2 x 3 + 10) / 3)."""
    incoming, outgoing = torch.tensor([[1.0], [1.1], [5.0]])[..., None], torch.tensor([[2.0, 4.0, 10.0]])[..., None]
    found = {"in": Carrier(incoming, "a", None), "out": Carrier(outgoing, None, "a")}
    distances = Incremental(found)
    assert float(distances.squared("a")[0, 1]) == pytest.approx(0.1**2 + 2.0**2)
    merged = to_counts(distances, ["a"], {"a": 1})
    assert merged.sequence == [Merge("a", 0, 1), Merge("a", 0, 2)]
    assert float(distances.weights["in"][0]) == pytest.approx(7.1)
    assert float(distances.weights["out"][0, 0]) == pytest.approx(16 / 3)
    members = indicator(merged.groups["a"], 3)
    assert float(combine(incoming[..., 0], members, None, IFM)) == pytest.approx(7.1)
    assert float(combine(outgoing[..., 0], None, members, IFM)) == pytest.approx(16 / 3)
    assert float(combine(incoming[..., 0], members, None, FOLDING)) == pytest.approx(7.1 / 3)
    assert float(combine(outgoing[..., 0], None, members, FOLDING)) == pytest.approx(16)


def test_the_groups_give_the_weights_that_the_merges_leave() -> None:
    found, order = stack((5, 9, 7, 4), kernel=3)
    distances = Incremental(found)
    merged = to_counts(distances, order, {"a0": 4, "a1": 2})
    for name, carrier in found.items():
        rows, columns = (
            indicator(merged.groups[axis], carrier.weight.shape[dim]) if axis else None
            for dim, axis in enumerate((carrier.rows, carrier.columns))
        )
        final = distances.weights[name]
        for dim, axis in enumerate((carrier.rows, carrier.columns)):
            if axis:
                final = final.index_select(dim, torch.tensor([group[0] for group in merged.groups[axis]]))
        torch.testing.assert_close(combine(carrier.weight, rows, columns, IFM), final.double(), rtol=1e-12, atol=1e-12)


def test_a_pair_is_farther_from_its_like_than_a_single_unit_is() -> None:
    """Of three exact copies the pair has twice the incoming weights: the published distance then sees the third at |w|^2, not at 0."""
    incoming, outgoing = torch.tensor([[3.0], [3.0], [3.0]])[..., None], torch.ones(1, 3, 1)
    distances = Incremental({"in": Carrier(incoming, "a", None), "out": Carrier(outgoing, None, "a")})
    assert float(distances.squared("a")[0, 2]) == 0.0
    distances.merge("a", 0, 1)
    assert float(distances.squared("a")[0, 2]) == pytest.approx(9.0)


@pytest.mark.parametrize("copies", [2, 3])
def test_splitting_channels_leaves_the_function(copies: int) -> None:
    for arch in ("vgg7", "resnet8", "mlp"):
        dense = network(arch=arch)
        wide = split(dense, mergeable(dense, SHAPE), copies)
        assert error(wide, dense) < 1e-12
        assert [axis.size for axis in mergeable(wide, SHAPE)] == [copies * axis.size for axis in mergeable(dense, SHAPE)]


def test_duplicates_without_batchnorm_merge_exactly_and_cutting_them_does_not() -> None:
    for arch in ("vgg7", "resnet8", "mlp"):
        dense = network(norm=False, arch=arch)
        wide = split(dense, mergeable(dense, SHAPE), 2)
        merged = by_share("ifm", wide, SHAPE, 0.5, 0)
        assert error(merged.model, dense) < 1e-12
        assert all(len(group) == 2 for groups in _groups(wide).values() for group in groups)
        axes = mergeable(wide, SHAPE)
        removed = cut(wide, axes, {axis.name: torch.arange(0, axis.size, 2) for axis in axes})
        assert error(removed, dense) > 0.1, "plain removal is no merge"


def _groups(model: nn.Module) -> Mapping[str, Sequence[Sequence[int]]]:
    axes = mergeable(model, SHAPE)
    return to_counts(Incremental(carriers(model, axes)), [axis.name for axis in axes], counts_at(axes, 0.5)).groups


def test_duplicates_under_batchnorm_merge_exactly_when_it_is_folded_or_deviations_add_up() -> None:
    dense = network()
    wide = split(dense, mergeable(dense, SHAPE), 2)
    assert error(by_share("ifm-folded", wide, SHAPE, 0.5, 0).model, dense) < 1e-12
    assert error(by_share("ifm-deviations", wide, SHAPE, 0.5, 0).model, dense) < 1e-12
    assert error(by_share("kmeans", wide, SHAPE, 0.5, 0).model, dense) < 1e-12
    assert error(by_share("kmeans-repair", wide, SHAPE, 0.5, 0).model, dense) < 1e-12
    assert error(by_share("ifm", wide, SHAPE, 0.5, 0).model, dense) > 0.2


@pytest.mark.parametrize("copies", [2, 3, 5])
def test_the_published_rules_error_under_batchnorm_is_its_closed_form(copies: int) -> None:
    """n copies: convolution, mean, gain, shift and variance are n times one channel's.

    n (y - mean) / sqrt(n v + eps) times n gains is sqrt(n (v + eps) / (v + eps / n)) times, about sqrt(n) times, the n gains times
    (y - mean) / sqrt(v + eps) that the copies added up to.
    """
    dense = network()
    axes = mergeable(dense, SHAPE)
    wide = split(dense, axes[:1], copies)
    groups = {axes[0].name: tuple(tuple(range(first, first + copies)) for first in range(0, copies * axes[0].size, copies))}
    small = grouped(wide, mergeable(wide, SHAPE)[:1], groups, IFM)
    first, merged = (next(iter(units(model).values())) for model in (dense, small))
    norm = first.norm
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_var is not None
    with torch.no_grad():
        wanted, got = norm(first.conv(images())), merged.norm(merged.conv(images()))
    variance = norm.running_var.view(1, -1, 1, 1)
    factor = torch.sqrt(copies * (variance + norm.eps) / (variance + norm.eps / copies))
    shift = norm.bias.detach().view(1, -1, 1, 1)
    torch.testing.assert_close(got, copies * (factor * (wanted - shift) + shift), rtol=1e-10, atol=1e-10)
    assert float(factor.mean()) == pytest.approx(math.sqrt(copies), rel=1e-4)
    right = grouped(wide, mergeable(wide, SHAPE)[:1], groups, IFM_DEVIATIONS)
    unit = next(iter(units(right).values()))
    torch.testing.assert_close(unit.norm(unit.conv(images())), copies * wanted, rtol=1e-10, atol=1e-10)


def test_one_layer_of_duplicates_has_the_relative_error_that_two_deviations_leave() -> None:
    """Without a shift, sqrt(2) on everything a ReLU lets through: 41 % of the logits of a network that is linear behind it."""
    dense = nn.Sequential(ConvUnit(3, 6, 3), nn.Flatten(), nn.Linear(6 * 64, 5, bias=False))
    shaken(dense)
    unit = next(iter(units(dense).values()))
    assert isinstance(unit.norm, nn.BatchNorm2d)
    nn.init.zeros_(unit.norm.bias)
    axes = mergeable(dense, SHAPE)
    assert axes[0].members[-1].repeat == 64
    wide = split(dense, axes, 2)
    assert error(wide, dense) < 1e-12
    assert error(by_share("ifm", wide, SHAPE, 0.5, 0).model, dense) == pytest.approx(math.sqrt(2) - 1, rel=1e-4)
    assert error(by_share("ifm-folded", wide, SHAPE, 0.5, 0).model, dense) < 1e-12


def test_folding_and_standardizing_change_nothing() -> None:
    dense = network()
    flat, standard = folded(dense), standardized(dense)
    assert error(flat, dense) < 1e-12
    assert error(standard, dense) < 1e-12
    assert not [module for module in flat.modules() if isinstance(module, nn.BatchNorm2d)]
    assert [module for module in dense.modules() if isinstance(module, nn.BatchNorm2d)], "the network itself stays as it was"
    with pytest.raises(UsageError, match="kmeans-repair needs the statistics of BatchNorm"):
        standardized(network(norm=False))


def test_keeping_everything_keeps_the_function() -> None:
    dense = network()
    for method in ("ifm", "ifm-folded", "ifm-deviations", "kmeans", "kmeans-repair", "random", "l2", "group-norm"):
        whole = by_share(method, dense, SHAPE, 1.0, 0)
        assert error(whole.model, dense) < 1e-12, method
        assert whole.left == tuple(axis.size for axis in whole.axes)


def test_every_method_keeps_as_many_channels_and_leaves_the_dense_network_alone() -> None:
    dense = network()
    before = copy.deepcopy(dense.state_dict())
    for method in ("ifm", "ifm-folded", "ifm-deviations", "kmeans", "kmeans-repair", "random", "l2", "l2-in-out", "fpgm", "group-norm"):
        small = by_share(method, dense, SHAPE, 0.5, 0)
        assert small.left == (3, 3, 6, 6, 13, 13), method
        assert [axis.size for axis in mergeable(small.model, SHAPE)] == list(small.left)
        assert 0.01 < error(small.model, dense) < math.inf
    assert all(torch.equal(value, before[name]) for name, value in dense.state_dict().items())


def test_residual_sums_and_depthwise_convolutions_are_left_alone() -> None:
    assert [axis.name for axis in mergeable(network(arch="resnet8"), SHAPE)] == [f"blocks.{block}.path.0.conv" for block in range(3)]
    mobile = convnet("mobilenet-v1", shape=(3, 32, 32), num_classes=5, width=0.1)
    assert [axis.modules("depthwise") for axis in mergeable(mobile, (3, 32, 32))] == [[]]


def test_kmeans_finds_planted_clusters_and_fills_empty_ones() -> None:
    points = torch.randn(3, 4, generator=generator(1), dtype=torch.float64).repeat_interleave(4, 0)
    points += 1e-3 * torch.randn(points.shape, generator=generator(2))
    assert clusters(points, 3, 0) == ((0, 1, 2, 3), (4, 5, 6, 7), (8, 9, 10, 11))
    alike = clusters(torch.ones(6, 2, dtype=torch.float64), 4, 0)
    assert len(alike) == 4
    assert sorted(channel for group in alike for channel in group) == list(range(6))


def test_repair_gives_independent_channels_their_variance_back() -> None:
    """The mean of n orthogonal unit vectors has a variance of 1 / n: gain sqrt(n). That of copies keeps its variance: gain 1."""
    model = convnet("vgg7", shape=SHAPE, num_classes=5, width=0.1).double()
    axes = mergeable(model, SHAPE)[-1:]
    size = axes[0].size
    groups = {axes[0].name: ((0, 1), (2, 3), *((channel,) for channel in range(4, size)))}
    points = torch.eye(size, dtype=torch.float64)[..., None]
    points[3] = points[2]
    found = {"w": Carrier(points, axes[0].name, None)}
    small = grouped(model, axes, groups, FOLDING)
    repair(small, axes, groups, found)
    norm = list(units(small).values())[-1].norm
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.weight[:3].tolist() == pytest.approx([math.sqrt(2), 1.0, 1.0])


def test_features_are_what_distances_compare() -> None:
    model = network()
    axes = mergeable(model, SHAPE)
    tensors = carriers(model, axes)
    for axis in axes:
        points = features(tensors, axis.name)
        apart = torch.cdist(points, points).square()
        torch.testing.assert_close(Incremental(tensors).squared(axis.name).fill_diagonal_(0.0), apart, rtol=1e-9, atol=1e-9)
    second, third = (unit.conv.weight.detach() for unit in list(units(model).values())[1:3])
    by_hand = (second[0] - second[1]).square().sum() + (third[:, 0] - third[:, 1]).square().sum()
    assert float(Incremental(tensors).squared(axes[1].name)[0, 1]) == pytest.approx(float(by_hand))


def test_bad_input_gets_one_clear_sentence() -> None:
    dense = network()
    for share in (0.0, -0.5, 1.5):
        with pytest.raises(UsageError, match="kept is a share of the channels, above 0 and at most 1"):
            by_share("ifm", dense, SHAPE, share, 0)
    with pytest.raises(UsageError, match=r"keeping 0\.05 of the 6 channels of features\.0\.conv leaves none"):
        by_share("ifm", dense, SHAPE, 0.05, 0)
    for beta in (0.0, -1.0, 1.01):
        with pytest.raises(UsageError, match="beta is a share of the largest squared distance"):
            by_threshold("ifm", dense, SHAPE, beta)
    with pytest.raises(UsageError, match="l2 has no threshold"):
        by_threshold("l2", dense, SHAPE, 0.1)
    found, order = stack((3, 4, 2))
    for kept in (0, 5):
        with pytest.raises(UsageError, match="a0 has 4 channels: merging can leave 1 to all of them"):
            to_counts(Incremental(found), order, {"a0": kept})
    with pytest.raises(ValueError, match="each of the 3 channels once"):
        indicator([[0, 1]], 3)
    mixed = {"x": Carrier(torch.ones(3, 2, 1), "a", None), "y": Carrier(torch.ones(2, 4, 1), None, "a")}
    with pytest.raises(ValueError, match="3 and 4 channels"):
        Recomputed(mixed)


def test_the_threshold_keeps_what_is_far_apart_and_never_empties_a_layer() -> None:
    """Two tight clusters far apart: a small beta merges inside them only; beta = 1 goes on to one channel."""
    outgoing = torch.zeros(1, 4, 1)
    incoming = torch.tensor([[0.0, 1.0], [0.0, 1.01], [50.0, 0.0], [50.0, 0.02]])[..., None]
    found = {"in": Carrier(incoming, "a", None), "out": Carrier(outgoing, None, "a")}
    merged: Merged = to_threshold(Incremental(found), ["a"], 1e-3)
    assert merged.groups["a"] == ((0, 1), (2, 3))
    assert to_threshold(Incremental(found), ["a"], 1e-9).groups["a"] == ((0,), (1,), (2,), (3,))
    assert len(to_threshold(Incremental(found), ["a"], 1.0).groups["a"]) == 1
