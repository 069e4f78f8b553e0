"""The likelihood's maximum, and which of the gates leaves its parameters free."""

from __future__ import annotations

import numpy as np
import pytest

from tests.tasks.trials import Trials, trials_of

trials = trials_of("moe-temperature-gate", experiment="exact")


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
