"""The likelihood of gated experts against torch's, its maximum, and which of the gates leaves its parameters free."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats

from tasks.blocks.mixtures import Experts
from tests.tasks.trials import Trials


@pytest.fixture
def trials(tmp_path: Path) -> Trials:
    return Trials("moe-temperature-gate", tmp_path, experiment="exact")


def experts(gate: Any, *changed: tuple[int, float]) -> Experts:
    vector = torch.tensor([1.5, 0.3, math.log(0.5), 1.0, -1.0, 0.5, -0.5, math.log(0.3), math.log(0.4)], dtype=torch.float64)
    for place, value in changed:
        vector[place] += value
    return Experts(gate, vector)


@pytest.mark.parametrize("gate", ["softmax", "tanh"])
def test_the_density_is_that_of_the_mixture_and_its_samples(gate: Any) -> None:
    model, x = experts(gate), torch.tensor([-0.7, 0.0, 0.9], dtype=torch.float64)
    inner = (torch.tanh(1.5 * x) if gate == "tanh" else 1.5 * x) + 0.3
    share = torch.sigmoid(inner / 0.5)
    mixture = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(torch.stack([share, 1 - share], 1)),
        torch.distributions.Normal(torch.stack([x + 0.5, -x - 0.5], 1), torch.tensor([0.3, 0.4], dtype=torch.float64)),
    )
    y = torch.tensor([0.1, -2.0, 1.3], dtype=torch.float64)
    expected = mixture.log_prob(y)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(model.log_density(x, y), expected, rtol=1e-12, atol=1e-12)
    many = torch.full((200_000,), 0.9, dtype=torch.float64)
    drawn = model.sample(many, torch.Generator().manual_seed(0))
    assert drawn.mean() == pytest.approx(float(mixture.mean[2]), abs=0.01)
    assert drawn.var() == pytest.approx(float(mixture.variance[2]), rel=0.02)


def test_the_distance_of_densities_is_hellingers() -> None:
    model, other = experts("tanh"), experts("tanh", (3, 0.2), (0, 0.5))
    x, y = np.linspace(-1, 1, 801), np.linspace(-5, 5, 1001)[:, None]

    def root(slope: float, b1: float) -> np.ndarray:
        share = special.expit((np.tanh(b1 * x) + 0.3) / 0.5)
        density = share * stats.norm.pdf(y, slope * x + 0.5, 0.3) + (1 - share) * stats.norm.pdf(y, -x - 0.5, 0.4)
        return np.asarray(np.sqrt(density))

    apart = integrate.trapezoid(integrate.trapezoid((root(1.0, 1.5) - root(1.2, 2.0)) ** 2, dx=0.01, axis=0), dx=1 / 400) / 4
    assert model.hellinger(other) == pytest.approx(math.sqrt(apart), rel=1e-4)
    assert model.hellinger(model) == 0.0


def test_only_a_trained_temperature_of_a_softmax_keeps_the_gate_where_it_started(trials: Trials) -> None:
    near, far = {"examples": 4000, "jitter": 0.05}, {"examples": 4000, "jitter": 0.3}
    found = {
        method: [[trials.run(method, p, seed=seed) for seed in range(3)] for p in (near, far)]
        for method in ("softmax", "tanh", "known-temperature")
    }
    for seed in range(3):
        softmax, tanh, known = ([at[seed] for at in found[method]] for method in found)
        assert all(each["gradient"] < 1e-6 for each in (*softmax, *tanh, *known))
        for own in (tanh, known):
            assert own[0]["gate_error"] == pytest.approx(own[1]["gate_error"], rel=1e-3)
        assert softmax[1]["gate_error"] != pytest.approx(softmax[0]["gate_error"], rel=0.1)
        for name in ("ratio_error", "hellinger", "expert_error"):
            assert softmax[0][name] == pytest.approx(softmax[1][name], rel=1e-3)
            assert softmax[1][name] == pytest.approx(known[1][name], rel=1e-3)
    few, many = (np.mean([trials.run("tanh", {"examples": n}, seed=seed)["gate_error"] for seed in range(3)]) for n in (500, 16_000))
    assert few > 2.0 * many


def test_the_identity_is_the_softmax_gates_alone(trials: Trials) -> None:
    softmax, tanh = (trials.run(method, {}, experiment="identity") for method in ("softmax", "tanh"))
    assert softmax["residual"] < 1e-13 < 0.01 < tanh["residual"]
    assert softmax["scaled"] < 1e-12 < 0.01 < tanh["scaled"]


def test_an_expert_too_many_still_finds_the_density(trials: Trials) -> None:
    p = {"examples": 4000}
    fitted, over = (trials.run("tanh", p, experiment=name) for name in ("exact", "over"))
    assert fitted["hellinger"] < over["hellinger"] < 2.0 * fitted["hellinger"]
