"""Masks, predictors, gates, and what gated networks cost: on networks small enough to count by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from harness.errors import UsageError
from tasks.blocks.training import generator
from tasks.pruning.dynamic_pruning_ftwt import dynamic
from tasks.pruning.dynamic_pruning_ftwt.budget import plan_for_level, plan_for_reduction, predict
from tasks.pruning.dynamic_pruning_ftwt.flops import as_published, cost
from tasks.pruning.dynamic_pruning_ftwt.gates import AnyPredictor, Gate, GatedNetwork, gated
from tasks.pruning.dynamic_pruning_ftwt.masks import Rule, peaks
from tasks.pruning.dynamic_pruning_ftwt.predictor import ConstantPredictor, Predictor

POSTER = [0.40, 0.25, 0.18, 0.10, 0.04, 0.02, 0.01]
"""Seven filters whose shares add up to .93 at the fourth and cross .95 at the fifth."""


def maps(values: list[list[float]]) -> Tensor:
    """Activations (inputs, filters, 3, 2) with these peaks, one of them negative in each map."""
    inputs, filters = len(values), len(values[0])
    outputs = 0.01 * torch.rand(inputs, filters, 3, 2, generator=generator(0)) * torch.tensor(values)[:, :, None, None]
    outputs[:, :, 1, 1] = -torch.tensor(values)
    return outputs


def kept(rule: Rule, values: list[float]) -> list[bool]:
    mask: list[bool] = rule(peaks(maps([values])))[0].tolist()
    return mask


class Block(nn.Module):
    """A unit: convolution, norm, activation."""

    def __init__(self, conv: nn.Conv2d, *, relu: bool = True) -> None:
        super().__init__()
        self.conv, self.norm = conv, nn.BatchNorm2d(conv.out_channels)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.conv(x))
        return out.relu() if self.relu else out


class Chain(nn.Module):
    """3 -> 4 -> 6 at 8 x 8 and 4 x 4, then 5 classes: 6,912 + 3,456 + 30 = 10,398 multiply-adds."""

    def __init__(self) -> None:
        super().__init__()
        self.a = Block(nn.Conv2d(3, 4, 3, padding=1, bias=False))
        self.pool = nn.MaxPool2d(2)
        self.b = Block(nn.Conv2d(4, 6, 3, padding=1, bias=False))
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.b(self.pool(self.a(x))).mean((2, 3)))
        return out


CHAIN = 8 * 8 * 4 * 3 * 9 + 4 * 4 * 6 * 4 * 9 + 6 * 5


class Residual(nn.Module):
    """A stem of 4 filters, one block (two convolutions and the identity), one more convolution: all 3 x 3 on 4 x 4."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.first = Block(nn.Conv2d(3, 4, 3, padding=1)), Block(nn.Conv2d(4, 4, 3, padding=1))
        self.second, self.last = Block(nn.Conv2d(4, 4, 3, padding=1), relu=False), Block(nn.Conv2d(4, 2, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        out: Tensor = self.last(torch.relu(self.second(self.first(x)) + x)).mean((2, 3))
        return out


class Separable(nn.Module):
    """3 -> 4, then a depthwise 3 x 3 and a pointwise convolution to 2: all on 4 x 4."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.depth = Block(nn.Conv2d(3, 4, 3, padding=1)), Block(nn.Conv2d(4, 4, 3, padding=1, groups=4))
        self.point = Block(nn.Conv2d(4, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.point(self.depth(self.stem(x))).mean((2, 3))
        return out


def wrap(model: nn.Module, rule: Rule | None = None, *, oracle: bool = False, joint: bool = False, constant: bool = False) -> GatedNetwork:
    stream = generator(3)

    def make(channels: int, filters: int) -> AnyPredictor | None:
        if oracle:
            return None
        if constant:
            return ConstantPredictor(channels, filters, generator=stream)
        return Predictor(channels, filters, pool="max", softmax=False, generator=stream)

    units = {name: (block, block.conv) for name, block in model.named_modules() if isinstance(block, Block)}
    return gated(model, units, rule or Rule("mass", 0.8), make, joint=joint)


def chain() -> Chain:
    torch.manual_seed(0)
    return Chain()


def images(count: int = 6, size: int = 8) -> Tensor:
    return torch.randn(count, 3, size, size, generator=generator(1))


def put(network: GatedNetwork, **masks: list[int]) -> None:
    """Give the gates these masks, the same for two inputs."""
    for name, mask in masks.items():
        network.gates[name].mask = torch.tensor([mask, mask], dtype=torch.bool)


# Ground truth


def test_the_posters_example_keeps_four_of_seven() -> None:
    assert kept(Rule("mass", 0.95), POSTER) == [True] * 4 + [False] * 3
    shuffled = [POSTER[i] for i in (6, 3, 0, 5, 2, 4, 1)]
    assert kept(Rule("mass", 0.95), shuffled) == [False, True, True, False, True, False, True]
    assert kept(Rule("mass", 0.98), POSTER) == [True] * 5 + [False] * 2, "the filter that crosses is dropped, not one more"


def test_only_the_shares_count_and_the_threshold_itself_is_reached() -> None:
    assert kept(Rule("mass", 0.95), [1e3 * share for share in POSTER]) == [True] * 4 + [False] * 3
    assert kept(Rule("mass", 0.5), [4.0, 2.0, 1.0, 1.0]) == [True, False, False, False], "a half may be kept exactly"


def test_a_single_dominant_filter_keeps_nothing() -> None:
    assert kept(Rule("mass", 0.9), [0.95, 0.03, 0.02]) == [False, False, False]


def test_at_level_one_only_dead_filters_go() -> None:
    assert kept(Rule("mass", 1.0), [1.0, 1e-3, 0.0, 1e-9]) == [True, True, False, False]
    assert kept(Rule("mass", 0.95), [0.0, 0.0, 0.0]) == [False, False, False], "no mass, no filters"


def test_uniform_drops_a_fixed_number_and_the_dead() -> None:
    assert kept(Rule("uniform", 0.5), [3.0, 1.0, 2.0, 4.0, 0.5]) == [True, False, True, True, False]
    assert kept(Rule("uniform", 0.0), [3.0, 0.0, 2.0]) == [True, False, True]


@pytest.mark.parametrize("level", [0.0, -0.1, 1.01])
def test_a_mass_outside_its_range_is_refused(level: float) -> None:
    with pytest.raises(UsageError, match=r"lies in \(0, 1\]"):
        Rule("mass", level)


def test_a_uniform_share_outside_its_range_is_refused() -> None:
    with pytest.raises(UsageError, match=r"lies in \[0, 1\)"):
        Rule("uniform", 1.0)


# Predictors


def test_the_published_predictor_sees_softmax_of_pooled_channels() -> None:
    x = images(2, 4)
    for pool, pooled in (("avg", x.mean((2, 3))), ("max", x.amax((2, 3)))):
        predictor = Predictor(3, 5, pool=pool, softmax=True, generator=generator(0))  # type: ignore[arg-type]
        exponents = pooled.exp()
        by_hand = (exponents / exponents.sum(1, keepdim=True)) @ predictor.weight.T + predictor.bias
        torch.testing.assert_close(predictor(x), by_hand)
    plain = Predictor(3, 5, pool="max", softmax=False, generator=generator(0))
    torch.testing.assert_close(plain(x), x.amax((2, 3)) @ plain.weight.T + plain.bias)


def test_softmax_over_one_channel_is_blind() -> None:
    """A grey image has one channel, so the first layer's mask cannot depend on the input: the entry's remark, checked."""
    x = torch.randn(4, 1, 5, 5, generator=generator(0))
    assert Predictor(1, 6, pool="max", softmax=True)(x).std(0).max() == 0
    assert Predictor(1, 6, pool="max", softmax=False)(x).std(0).max() > 0


def test_a_constant_predictor_gives_every_input_the_same_mask() -> None:
    logits = ConstantPredictor(3, 5, generator=generator(0))(images(4))
    assert logits.shape == (4, 5)
    assert logits.std(0).max() == 0


# Masked convolution


def test_a_gates_output_is_the_units_times_the_mask() -> None:
    network, x = wrap(chain()).eval(), images()
    gate = network.gates["a"]
    out, plain = gate(x), gate.unit(x)
    assert 0 < int(gate.mask.sum()) < gate.mask.numel(), "a mask that is all on or off would show nothing"
    torch.testing.assert_close(out, plain * gate.mask[:, :, None, None], rtol=0, atol=0)
    assert gate.predictor is not None
    assert torch.equal(gate.mask, torch.sigmoid(gate.predictor(x)) > 0.5)
    assert torch.equal(gate.target, Rule("mass", 0.8)(plain.abs().amax((2, 3))))


def test_masking_reaches_the_classifier() -> None:
    x = images()
    plain = chain().eval()(x)
    network = wrap(chain()).eval()
    assert not torch.equal(network(x), plain)
    torch.testing.assert_close(network.set_mode("open")(x), plain, rtol=0, atol=0)


def test_an_oracle_uses_the_ground_truth() -> None:
    network = wrap(chain(), oracle=True).eval()
    network(images())
    assert all(torch.equal(gate.mask, gate.target) for gate in network.switched)
    assert network.predictor_parameters() == []


@pytest.mark.parametrize("joint", [False, True])
def test_the_task_never_teaches_the_predictor(joint: bool) -> None:
    network = wrap(chain(), joint=joint)
    network(images()).sum().backward()
    assert all(p.grad is None for p in network.predictor_parameters())
    assert network.gates["a"].unit.get_parameter("conv.weight").grad is not None


@pytest.mark.parametrize("joint", [False, True])
def test_the_mask_loss_reaches_the_backbone_only_when_joint(joint: bool) -> None:
    network = wrap(chain(), joint=joint)
    network(images())
    network.mask_loss().backward()
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in network.predictor_parameters())
    before = network.gates["a"].unit.get_parameter("conv.weight").grad
    after = network.gates["b"].unit.get_parameter("conv.weight").grad
    assert (before is not None and bool(before.abs().sum() > 0)) == joint, "layer a feeds the predictor of layer b"
    assert after is None, "nothing reads the last layer's output but the classifier"


def test_the_mask_loss_by_hand() -> None:
    network = wrap(chain())
    network(images())
    total = 0.0
    for gate in network.switched:
        p, g = torch.sigmoid(gate.logits.double()), gate.target.double()
        total += float(-(g * p.log() + (1 - g) * (1 - p).log()).sum(1).mean().detach())
    assert float(network.mask_loss()) == pytest.approx(total / 2, rel=1e-5)


# What it costs


def test_an_open_network_costs_what_the_dense_one_costs() -> None:
    network = wrap(chain(), oracle=True)
    network.set_mode("open")(images(2))
    found = cost(network, images(2))
    assert found.multiply_adds.tolist() == [CHAIN, CHAIN]
    assert found.as_published.tolist() == [CHAIN - 30, CHAIN - 30], "the authors count no classifier"


def test_a_masked_chain_counted_by_hand() -> None:
    network = wrap(chain())
    network(images(2))
    put(network, a=[1, 0, 1, 0], b=[1, 1, 1, 0, 0, 0])
    convolutions = 8 * 8 * 2 * 3 * 9 + 4 * 4 * 3 * 2 * 9
    predictors = (3 * 4 + 3 * 64) + (4 * 6 + 4 * 16)
    found = cost(network, images(2))
    assert found.multiply_adds.tolist() == [convolutions + predictors + 3 * 5] * 2
    assert found.as_published.tolist() == [convolutions] * 2


def test_inputs_cost_differently() -> None:
    network = wrap(chain(), oracle=True)
    network(images(2))
    network.gates["a"].mask = torch.tensor([[True] * 4, [False] * 4])
    network.gates["b"].mask = torch.ones(2, 6, dtype=torch.bool)
    assert cost(network, images(2)).multiply_adds.tolist() == [CHAIN, 30], "with nothing to read, a convolution costs nothing"


def test_a_residual_sum_revives_channels_that_the_authors_count_as_off() -> None:
    network = wrap(Residual(), oracle=True)
    network(images(2, 4))
    put(network, stem=[1, 1, 1, 0], first=[1, 1, 0, 0], second=[1, 0, 0, 0], last=[1, 1])
    stem, first, second = 16 * 3 * 3 * 9, 16 * 2 * 3 * 9, 16 * 1 * 2 * 9
    found = cost(network, images(2, 4))
    assert found.multiply_adds.tolist() == [stem + first + second + 16 * 2 * 3 * 9] * 2, "three channels: the identity's"
    assert found.as_published.tolist() == [stem + first + second + 16 * 2 * 1 * 9] * 2, "one channel: the last mask's"


def test_a_depthwise_convolution_that_the_authors_count_as_nothing() -> None:
    network = wrap(Separable(), oracle=True)
    network(images(2, 4))
    put(network, stem=[1, 1, 1, 0], depth=[1, 1, 0, 1], point=[1, 0])
    stem, point = 16 * 3 * 3 * 9, 16 * 1 * 3
    found = cost(network, images(2, 4))
    assert found.multiply_adds.tolist() == [stem + 16 * 2 * 9 + point] * 2, "two filters have both an input and an output"
    assert found.as_published.tolist() == [stem + 0 + point] * 2
    put(network, stem=[1, 1, 1, 1])
    assert as_published(network).tolist() == [16 * 4 * 3 * 9 + 16 * 3 * 1 * 9 + point] * 2, "right again with all four on"


# The level for a reduction


def test_the_milder_the_rule_the_smaller_the_predicted_reduction() -> None:
    plan = predict(wrap(chain(), oracle=True), images(), CHAIN)
    reductions = [plan(Rule("mass", level)).predicted_reduction for level in (0.3, 0.6, 0.9, 1.0)]
    assert reductions == sorted(reductions, reverse=True)
    assert 0.0 <= reductions[-1] < reductions[-2], "at level 1 only dead filters are saved"


@pytest.mark.parametrize("kind", ["mass", "uniform"])
def test_the_plan_is_the_mildest_that_meets_the_target(kind: str) -> None:
    network = wrap(chain(), oracle=True)
    plan = plan_for_reduction(network, images(), CHAIN, kind, 0.5)  # type: ignore[arg-type]
    assert plan.predicted_reduction >= 50.0
    milder = plan.rule.level + (0.001 if kind == "mass" else -0.001)
    assert predict(network, images(), CHAIN)(Rule(plan.rule.kind, milder)).predicted_reduction < 50.0


def test_a_target_out_of_reach_is_refused_with_the_reach() -> None:
    with pytest.raises(UsageError, match=r"reduction of 99% cannot be met: .* at most \d"):
        plan_for_reduction(wrap(chain()), images(), CHAIN, "mass", 0.99)


def test_a_layer_pruned_to_nothing_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"leaves no filter on any input in a, b"):
        plan_for_level(wrap(chain(), oracle=True), images(), CHAIN, Rule("mass", 0.01))


# Agreement with the ground truth


def test_agreement_against_the_best_constant() -> None:
    network = wrap(chain(), oracle=True)
    network(images(3))
    gates: list[Gate] = network.switched
    gates[0].target = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 0, 1]], dtype=torch.bool)
    gates[1].target = gates[1].mask = torch.ones(3, 6, dtype=torch.bool)
    gates[0].mask = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 1], [0, 0, 1, 0]], dtype=torch.bool)
    majority = dynamic.Majority()
    majority.add(network)
    assert majority.masks["a"].tolist() == [True, True, False, False]
    own, constant = dynamic.agreement(network, majority.masks)
    assert own.tolist() == [1.0, (0.75 + 1) / 2, (0.0 + 1) / 2]
    assert constant.tolist() == [1.0, (0.75 + 1) / 2, (0.75 + 1) / 2]
    gates[0].mask = torch.tensor([[0, 0, 0, 0], [1, 0, 0, 1], [0, 0, 1, 0]], dtype=torch.bool)
    assert dynamic.empty_share(network).tolist() == [0.5, 0.0, 0.0]
