"""Rates and decays by parameter class, schedules, and the steady state of noise against decay."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from tasks.blocks.decoder import Decoder, DecoderConfig
from tasks.blocks.optim import Rate, Schedule, adamw
from tasks.blocks.parametrization import ParamClass, by_class, initialize, param_class
from tasks.blocks.training import generator

CONFIG = DecoderConfig(vocab_size=11, width=64, depth=1, head_dim=16, length=8)
RATES = {ParamClass.VECTOR: Rate(0.1, 0.0), ParamClass.MATRIX: Rate(0.02, 0.5), ParamClass.HEAD: Rate(0.03, 0.0)}


def decoder(seed: int = 0, *, zero_head: bool = False) -> Decoder:
    model = Decoder(CONFIG)
    initialize(model, generator(seed), zero_head=zero_head)
    return model


def test_every_parameter_has_its_class() -> None:
    model = decoder()
    names = {parameter: name for name, parameter in model.named_parameters()}
    found = {kind: [names[parameter] for parameter in parameters] for kind, parameters in by_class(model).items()}
    assert found[ParamClass.HEAD] == ["head.weight"]
    assert set(found[ParamClass.VECTOR]) == {
        "embedding.weight",
        "norm.gain",
        "blocks.0.attention_norm.gain",
        "blocks.0.mlp_norm.gain",
    }
    assert len(found[ParamClass.MATRIX]) == 5
    assert param_class("map_in.weight", nn.Parameter(torch.zeros(2, 3))) is ParamClass.MATRIX


def test_one_step_decays_matrices_and_nothing_else() -> None:
    model = decoder()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = adamw(model, RATES)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 1e-6)  # a first step of AdamW is lr times the gradient's sign, whatever its size
    optimizer.step()
    for name, parameter in model.named_parameters():
        rate = RATES[param_class(name, parameter)]
        expected = before[name].double() * (1 - rate.lr * rate.decay) - rate.lr
        torch.testing.assert_close(parameter.detach().double(), expected, rtol=1e-5, atol=2e-6)


def test_pure_noise_against_decay_has_the_known_steady_state() -> None:
    """sqrt(eta / (2 lambda)) for independent unit steps; with momentum b and a = 1 - eta lambda, the variance has the factor below."""
    weight = nn.Linear(60, 60, bias=False)
    lr, decay, b, noise = 0.01, 2.0, 0.9, generator(0)
    optimizer = adamw(weight, {ParamClass.MATRIX: Rate(lr, decay)}, betas=(b, 0.99))
    for _ in range(400):
        weight.weight.grad = torch.randn(60, 60, generator=noise)
        optimizer.step()
    a = 1 - lr * decay
    momentum = (1 - b) ** 2 / (1 - b**2) * (1 + a * b) / (1 - a * b) * 2 * (1 - a) / (1 - a**2)
    rms = float(weight.weight.detach().square().mean().sqrt())
    assert rms == pytest.approx(math.sqrt(momentum * lr / (2 * decay)), rel=0.03)


@pytest.mark.parametrize("zero_head", [False, True])
def test_initial_scales(zero_head: bool) -> None:
    scales = {
        name: float(parameter.detach().std()) for name, parameter in decoder(zero_head=zero_head).named_parameters() if parameter.ndim == 2
    }
    assert scales["embedding.weight"] == pytest.approx(1.0, rel=0.1)
    assert scales["blocks.0.attention.qkv.weight"] == pytest.approx(1 / 8, rel=0.05)
    assert scales["blocks.0.mlp.down.weight"] == pytest.approx(1 / math.sqrt(176), rel=0.05)
    assert scales["head.weight"] == (0.0 if zero_head else pytest.approx(1 / 8, rel=0.1))


def test_the_head_leaves_the_other_draws_alone() -> None:
    plain, zeroed = decoder(), decoder(zero_head=True)
    for (name, left), (_, right) in zip(plain.named_parameters(), zeroed.named_parameters(), strict=True):
        assert torch.equal(left, right) == (name != "head.weight"), name
    assert not torch.equal(decoder(1).blocks[0].mlp.up.weight, plain.blocks[0].mlp.up.weight)  # type: ignore[union-attr]


def test_warm_up_then_constant() -> None:
    schedule = Schedule(steps=10, warmup=4)
    assert [schedule.factor(step) for step in range(10)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1, 1, 1])
    assert schedule.total() == pytest.approx(8.0)


def test_cosine_ends_at_a_tenth() -> None:
    schedule = Schedule(steps=101, warmup=0, shape="cosine")
    assert [schedule.factor(step) for step in (0, 50, 100)] == pytest.approx([1.0, 0.55, 0.1])


def test_the_schedule_scales_each_group_s_own_rate() -> None:
    optimizer = adamw(decoder(), RATES)
    Schedule(steps=10, warmup=1).set(optimizer, 0)
    assert sorted(group["lr"] for group in optimizer.param_groups) == pytest.approx([0.01, 0.015, 0.05])


def _logit_scale(width: int, *, mup: bool) -> float:
    """RMS of the logits after five steps on one random batch, m = width / 32."""
    m = width / 32 if mup else 1.0
    model = Decoder(DecoderConfig(vocab_size=32, width=width, depth=1, head_dim=16, length=16))
    initialize(model, generator(0), zero_head=True)
    optimizer = adamw(
        model, {ParamClass.VECTOR: Rate(0.01, 0.0), ParamClass.MATRIX: Rate(0.01 / m, 0.0), ParamClass.HEAD: Rate(0.01 / m, 0.0)}
    )
    tokens = torch.randint(0, 32, (8, 17), generator=generator(1))
    for _ in range(3):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()).backward()
        optimizer.step()
    with torch.no_grad():
        return float(model(tokens[:, :-1]).square().mean().sqrt())


def test_coordinate_check() -> None:
    """The standard diagnostic of muP: after a few steps the logits move equally at every width, but not under unscaled rates."""
    narrow, wide = (_logit_scale(width, mup=True) for width in (32, 256))
    assert wide / narrow == pytest.approx(1.0, abs=0.4)
    assert _logit_scale(256, mup=False) / _logit_scale(32, mup=False) > 3.0
