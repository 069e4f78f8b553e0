"""Networks of packed training against torch's layers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tasks.blocks.algorithmic import modular
from tasks.blocks.small_networks import MLP, BatchNormed, linear_std
from tasks.blocks.training import generator

NET = BatchNormed(MLP(widths=(14, 9, 7), activation="square"))


def trained() -> dict[str, torch.Tensor]:
    stream = generator(1)
    return {
        name: value + 0.3 * torch.randn(value.shape, generator=stream, dtype=value.dtype) for name, value in NET.initial(stream).items()
    }


def layer(parameters: dict[str, torch.Tensor]) -> nn.BatchNorm1d:
    norm = nn.BatchNorm1d(9, momentum=None, dtype=torch.float64)
    with torch.no_grad():
        norm.weight.copy_(parameters["gamma"])
        norm.bias.copy_(parameters["beta"])
    return norm


def test_batchnorm_in_training_is_torchs_on_the_batch() -> None:
    inputs, parameters = modular(7, encoding="index")[0][:20], trained()
    fixed = {"seen": torch.zeros(49, 1), **NET.noise(generator(0), 20)}
    expected = layer(parameters)(NET.mlp.hidden(parameters, inputs, {})) @ parameters["weight1"]
    torch.testing.assert_close(NET(parameters, inputs, fixed), expected, rtol=1e-10, atol=1e-12)


def test_what_is_measured_has_the_moments_of_the_training_examples_alone() -> None:
    inputs, parameters = modular(7, encoding="index")[0], trained()
    seen = torch.arange(49) < 30
    norm, hidden = layer(parameters), NET.mlp.hidden(parameters, inputs, {})
    norm(hidden[seen])  # its running moments, which are then those of these examples; the variance is the unbiased one there
    assert norm.running_var is not None
    norm.running_var *= 29 / 30
    expected = norm.eval()(hidden) @ parameters["weight1"]
    torch.testing.assert_close(NET(parameters, inputs, {"seen": seen.double().unsqueeze(1)}), expected, rtol=1e-10, atol=1e-12)


def test_it_starts_as_the_network_without_and_needs_a_plain_one() -> None:
    start, plain = NET.initial(generator(5)), NET.mlp.initial(generator(5))
    assert all(torch.equal(start[name], value) for name, value in plain.items())
    with pytest.raises(ValueError, match="plain MLP"):
        BatchNormed(MLP(widths=(4, 3, 2), bias=True))


def test_weights_can_start_as_those_of_torchs_linear_layer() -> None:
    for fan_in in (20, 500):
        start = MLP(widths=(fan_in, 4000), std=(linear_std(fan_in),)).initial(generator(0))["weight0"]
        for drawn in (start, nn.Linear(fan_in, 4000).weight):
            assert float(drawn.detach().std()) == pytest.approx(linear_std(fan_in), rel=0.02)
