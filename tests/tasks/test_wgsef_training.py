"""Groups of real networks, proximal SGD against formulas written out, half-space steps, and what a group of zeros means."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from harness.errors import UsageError
from tasks.blocks.convnets import convnet
from tasks.blocks.training import generator
from tasks.pruning.axes import channel_axes, cut
from tasks.pruning.group_sparsity_wgsef import envelope
from tasks.pruning.group_sparsity_wgsef.groups import Gains, Groups, kept
from tasks.pruning.group_sparsity_wgsef.penalties import Envelope, GroupLasso, Penalty
from tasks.pruning.group_sparsity_wgsef.proximal import HalfSpace, Keep, Operator, Phases, Plain, Prox, ProximalSGD

SHAPE = (1, 8, 8)


def network(arch: str = "mlp", **options: float | bool) -> nn.Module:
    return convnet(arch, shape=SHAPE, num_classes=3, width=0.05, stream=generator(1), **options)  # type: ignore[arg-type]


def parts(model: nn.Module, gains: Gains = "in") -> Groups:
    return Groups(model, channel_axes(model, SHAPE), gains=gains)


def optimizer(model: nn.Module, first: Operator, *, lr: float = 0.1, momentum: float = 0.9, **phases: object) -> ProximalSGD:
    groups = parts(model)
    return ProximalSGD(model, groups, Phases(first, **phases), lr=lr, momentum=momentum)  # type: ignore[arg-type]


def backward(model: nn.Module, step: int) -> None:
    model.zero_grad()
    inputs = torch.randn(4, *SHAPE, generator=generator(step))
    nn.functional.cross_entropy(model(inputs), torch.tensor([0, 1, 2, 0])).backward()


def test_a_group_is_a_row_with_its_bias() -> None:
    model = network()
    groups = parts(model)
    rows = torch.cat([model.first.weight, model.first.bias[:, None]], 1)
    assert groups.norms()[0].tolist() == pytest.approx(rows.norm(dim=1).tolist())
    assert groups.elements[0].tolist() == [65.0] * 13
    assert [axis.name for axis in groups.axes] == ["first", "second"]


@pytest.mark.parametrize(("gains", "squares"), [("in", True), ("follow", False), ("apart", False)])
def test_gains_count_only_where_they_belong_to_the_group(gains: Gains, squares: bool) -> None:
    model = network("vgg7")
    unit = model.features[0]
    expected = unit.conv.weight.flatten(1).square().sum(1) + (unit.norm.weight.square() + unit.norm.bias.square() if squares else 0.0)
    groups = parts(model, gains)
    assert groups.norms()[0, :4].tolist() == pytest.approx(expected.sqrt().tolist())
    assert int(groups.elements[0, 0]) == 9 + 2 * squares
    assert groups.norms().shape == (6, 13), "padded to the widest axis"
    assert float(groups.norms()[0, 4:].abs().max()) == 0.0


def test_residual_sums_and_depthwise_filters_are_in_their_channels_group() -> None:
    residual = convnet("resnet8", shape=(1, 16, 16), num_classes=3, width=0.25, stream=generator(1))
    groups = Groups(residual, channel_axes(residual, (1, 16, 16)))
    assert any(len(axis.modules("out")) > 1 for axis in groups.axes)
    total = sum(float(parameter.detach().square().sum()) for name, parameter in residual.named_parameters() if not name.startswith("head"))
    assert float(groups.norms().square().sum()) == pytest.approx(total, rel=1e-5), "every number below the head is in one group"
    mobile = convnet("mobilenet-v1", shape=(1, 32, 32), num_classes=3, width=0.1, stream=generator(1))
    groups = Groups(mobile, channel_axes(mobile, (1, 32, 32)))
    total = sum(float(parameter.detach().square().sum()) for name, parameter in mobile.named_parameters() if not name.startswith("head"))
    assert float(groups.norms().square().sum()) == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize(("gains", "same"), [("in", True), ("follow", True), ("apart", False)])
def test_removing_groups_of_zeros_changes_nothing_where_gains_go_with_them(gains: Gains, same: bool) -> None:
    model = network("vgg7")
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.bias, generator=generator(3))
            nn.init.uniform_(module.running_mean, generator=generator(4))
    groups = parts(model, gains)
    chosen = groups.largest(groups.norms(), kept(groups.axes, 0.5))
    groups.scale_(chosen.float())
    small = cut(model, groups.axes, groups.indices(chosen)).eval()
    inputs = torch.randn(5, *SHAPE, generator=generator(2))
    assert torch.allclose(small(inputs), model.eval()(inputs), atol=1e-5) == same
    assert int((groups.norms() > 0).sum()) == int(kept(groups.axes, 0.5).sum())


def test_largest_keeps_k_and_breaks_ties_by_index() -> None:
    groups = parts(network())
    scores = torch.zeros(2, 13)
    scores[0, 5] = 1.0
    chosen = groups.indices(groups.largest(scores, torch.tensor([2, 3])))
    assert chosen["first"].tolist() == [0, 5]
    assert chosen["second"].tolist() == [0, 1, 2]


def test_a_step_is_the_gradient_step_and_then_the_prox_with_lr_lam() -> None:
    """theta <- prox_{lr lam S_k}(theta - lr v), v <- .9 v + g, two steps written out on a twin; the head takes the plain step."""
    model, twin = network(), network()
    taken = optimizer(model, Prox(Envelope(0.5, torch.tensor([2, 3]))))
    velocity: dict[str, Tensor] = {}
    for step in range(2):
        backward(model, step)
        backward(twin, step)
        taken.step()
        with torch.no_grad():
            for name, parameter in twin.named_parameters():
                velocity[name] = 0.9 * velocity[name] + parameter.grad if name in velocity else parameter.grad.clone()
                parameter -= 0.1 * velocity[name]
            for layer, k in ((twin.first, 2), (twin.second, 3)):
                rows = torch.cat([layer.weight, layer.bias[:, None]], 1)
                rows = envelope.prox(rows, k, 0.1 * 0.5)
                layer.weight.copy_(rows[:, :-1])
                layer.bias.copy_(rows[:, -1])
    for (name, mine), other in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert torch.allclose(mine, other, atol=1e-6), name


def test_the_envelope_leaves_exactly_k_groups_and_plain_steps_leave_all() -> None:
    k = torch.tensor([2, 5])
    for first, expected in ((Prox(Envelope(2.0, k)), [2, 5]), (Plain(), [13, 13])):
        model = network()
        steps = optimizer(model, first, momentum=0.0)
        for step in range(60):
            backward(model, step)
            steps.step()
        assert (steps.groups.norms() > 0).sum(1).tolist() == expected


def test_a_smaller_rate_takes_a_smaller_prox() -> None:
    model = network()
    steps = optimizer(model, Prox(Envelope(1.0, torch.tensor([13, 13]))))
    before = steps.groups.norms()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    steps.param_groups[0]["lr"] = 0.01
    steps.step()
    assert (steps.groups.norms() / before).flatten().tolist() == pytest.approx([1 / 1.01] * 26)


def test_group_lasso_shrinks_by_the_root_of_the_size() -> None:
    lasso = GroupLasso(0.1, torch.tensor([[4.0, 9.0, 4.0, 1.0]]))
    norms = torch.tensor([[1.0, 1.0, 0.05, 0.0]])
    assert lasso.factors(norms, 0.5)[0].tolist() == pytest.approx([1 - 0.5 * 0.1 * 2, 1 - 0.5 * 0.1 * 3, 0.0, 0.0])
    assert lasso.value(norms) == pytest.approx(0.1 * (2 + 3 + 0.1))


@pytest.mark.parametrize("kind", ["envelope", "lasso"])
def test_slopes_are_the_gradients_of_the_penalties(kind: str) -> None:
    norms = 0.1 + torch.rand(1, 6, generator=generator(1), dtype=torch.float64)
    elements = torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]], dtype=torch.float64)
    penalty: Penalty = Envelope(0.3, torch.tensor([2])) if kind == "envelope" else GroupLasso(0.3, elements)
    for place in range(6):
        nudge = torch.zeros_like(norms)
        nudge[0, place] = 1e-6
        numeric = (penalty.value(norms + nudge) - penalty.value(norms - nudge)) / 2e-6
        assert float(penalty.slopes(norms)[0, place] * norms[0, place]) == pytest.approx(numeric, rel=1e-5)
    assert float(penalty.slopes(torch.tensor([[0.0, 1.0, 1.0, 1.0, 1.0, 1.0]]))[0, 0]) == 0.0


def test_the_half_space_step_by_hand() -> None:
    """One group turns away and is cut, one does not; both would survive a plain step, and a zero group stays zero whatever its gradient."""
    model = network()
    steps = optimizer(model, HalfSpace(GroupLasso(0.0, parts(model).elements), 0.2), momentum=0.0, lr=1.0)
    with torch.no_grad():
        model.first.weight[2], model.first.bias[2] = 0.0, 0.0
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    model.first.weight.grad[0], model.first.bias.grad[0] = 0.9 * model.first.weight[0], 0.9 * model.first.bias[0]
    model.first.weight.grad[1], model.first.bias.grad[1] = 0.7 * model.first.weight[1], 0.7 * model.first.bias[1]
    model.first.weight.grad[2] = 1.0
    old = model.first.weight.clone()
    steps.step()
    norms = steps.groups.norms()[0]
    assert norms[0] == 0.0, "<z, x> = .1 ||x||^2 is under .2 ||x||^2"
    assert torch.allclose(model.first.weight[1], 0.3 * old[1])
    assert norms[2] == 0.0
    assert torch.equal(model.first.weight[3:], old[3:])


def test_the_half_space_step_moves_down_the_penalty_too() -> None:
    model = network()
    lasso = GroupLasso(0.01, parts(model).elements)
    steps = optimizer(model, HalfSpace(lasso, 0.0), momentum=0.0, lr=1.0)
    before = steps.groups.norms()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    steps.step()
    assert torch.allclose(steps.groups.norms(), before - 0.01 * steps.groups.elements.sqrt(), atol=1e-5)


def test_a_group_that_the_penalty_alone_would_turn_is_cut() -> None:
    """No gradient: z = x - lr lam sqrt(|s|) x / ||x||, cut where lr lam sqrt(65) / ||x|| > 1 - eps."""
    model = network()
    norms = parts(model).norms()
    lam = float(norms[0].median()) * 0.599 / math.sqrt(65)
    steps = optimizer(model, HalfSpace(GroupLasso(lam, parts(model).elements), 0.4), momentum=0.0, lr=1.0)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    steps.step()
    left = steps.groups.norms()[0] > 0
    assert torch.equal(left, norms[0] >= norms[0].median())
    assert 0 < int(left.sum()) < 13


def test_momentum_brings_a_group_back_and_it_is_counted() -> None:
    """A group far above the threshold whose gradient points outwards is zeroed once by hand: the next step's momentum moves it."""
    model = network()
    steps = optimizer(model, Prox(Envelope(0.0, torch.tensor([13, 13]))))
    backward(model, 0)
    steps.step()
    assert steps.reentries == 0
    with torch.no_grad():
        model.first.weight[4], model.first.bias[4] = 0.0, 0.0
    steps.param_groups[0]["alive"] = steps.groups.norms() > 0
    backward(model, 1)
    steps.step()
    assert steps.reentries == 1
    backward(model, 2)
    steps.step()
    assert steps.reentries == 1


def test_at_the_switch_the_k_largest_stay_and_the_rest_never_moves_again() -> None:
    model = network()
    k = torch.tensor([3, 4])
    steps = optimizer(model, Plain(), then=Keep(), switch=3, scores=Groups.norms, k=k)
    for step in range(8):
        backward(model, step)
        steps.step()
        counts = (steps.groups.norms() > 0).sum(1).tolist()
        assert counts == ([13, 13] if step < 2 else [3, 4]), step
        if step == 2:
            largest = steps.groups.norms() > 0
    assert torch.equal(steps.groups.norms() > 0, largest)
    assert steps.reentries == 0


def test_training_what_was_kept_is_training_the_smaller_network() -> None:
    model = network()
    steps = optimizer(model, Plain(), then=Keep(), switch=1, scores=Groups.norms, k=torch.tensor([3, 4]), momentum=0.0)
    backward(model, 0)
    steps.step()
    small = cut(model, steps.groups.axes, steps.groups.indices(steps.groups.norms() > 0))
    other = torch.optim.SGD(small.parameters(), lr=0.1)
    for step in range(1, 5):
        backward(model, step)
        steps.step()
        backward(small, step)
        other.step()
    inputs = torch.randn(5, *SHAPE, generator=generator(9))
    assert torch.allclose(model(inputs), small(inputs), atol=1e-5)


def test_the_state_of_the_optimizer_holds_its_counts() -> None:
    model = network()
    steps = optimizer(model, Prox(Envelope(2.0, torch.tensor([2, 5]))), momentum=0.0)
    for step in range(3):
        backward(model, step)
        steps.step()
    again = optimizer(network(), Prox(Envelope(2.0, torch.tensor([2, 5]))), momentum=0.0)
    again.load_state_dict(steps.state_dict())
    assert again.param_groups[0]["taken"] == 3
    assert torch.equal(again.param_groups[0]["alive"], steps.param_groups[0]["alive"])


@pytest.mark.parametrize("keep", [0.0, -0.1, 1.01, math.nan])
def test_keep_is_a_share(keep: float) -> None:
    with pytest.raises(UsageError, match="above 0 and at most 1"):
        kept(parts(network()).axes, keep)


def test_keep_rounds_and_keeps_at_least_one() -> None:
    axes = parts(network("vgg7")).axes
    assert [axis.size for axis in axes] == [4, 4, 6, 6, 13, 13]
    assert kept(axes, 0.25).tolist() == [1, 1, 2, 2, 3, 3]
    assert kept(axes, 0.01).tolist() == [1] * 6
    assert kept(axes, 1.0).tolist() == [4, 4, 6, 6, 13, 13]


@pytest.mark.parametrize("make", [lambda lam: Envelope(lam, torch.tensor([1])), lambda lam: GroupLasso(lam, torch.ones(1, 1))])
def test_a_negative_lam_is_refused(make: type) -> None:
    with pytest.raises(UsageError, match="lam must be at or above 0, not -1"):
        make(-1.0)  # type: ignore[call-arg]
