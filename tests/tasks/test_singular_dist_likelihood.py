"""What is judged is the law of g(z), what differs between arms is the noise alone, and noise lowers the error."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tasks.blocks.small_models import Run
from tasks.theory.singular_dist_likelihood import experiment
from tasks.theory.singular_dist_likelihood.task import VAES
from tests.tasks.trials import Trials, trials_of

trials = trials_of("singular-dist-likelihood", base={"steps": 400, "examples": 256, "points": 200})


def test_a_generator_of_one_point_is_as_far_as_that_point(trials: Trials) -> None:
    trial = trials("perturbed", {"noise": 0.3})
    start = experiment.network(trial).initial(torch.Generator())
    still = Run([0], {}, {name: torch.zeros_like(value) for name, value in start.items()})
    found = experiment.metrics(trial, still)
    assert found == pytest.approx({"val_w1": 1.0, "test_w1": 1.0, "sigma": math.sqrt(0.01**2 + 0.3**2)}, abs=1e-12)
    assert math.isnan(experiment.distances(trial, np.full((5, 2), np.nan))["test_w1"])


def test_test_is_the_law_and_validation_is_a_sample_that_nobody_trained_on(trials: Trials) -> None:
    trial = trials("truth")
    law = experiment.law(trial).quantised(200)
    exact, moved = experiment.distances(trial, law), experiment.distances(trial, law + np.array([0.3, 0.4]))
    assert exact["test_w1"] == 0.0 < exact["val_w1"] < 0.2
    assert moved["test_w1"] == pytest.approx(0.5)
    assert experiment.distances(trial, experiment.member(trials("raw", {"examples": 200})).inputs.numpy())["val_w1"] > 0.02


def test_arms_differ_in_their_noise_alone(trials: Trials) -> None:
    members = {method: experiment.member(trials(method, {"noise": 0.2})) for method in VAES}
    raw, perturbed, redrawn = (members[method] for method in ("raw", "perturbed", "redrawn"))
    less = experiment.member(trials("perturbed", {"noise": 0.1}))
    added = perturbed.inputs - raw.inputs
    assert torch.allclose(added, 2.0 * (less.inputs - raw.inputs))
    assert float(added.std()) == pytest.approx(0.2, rel=0.1)
    assert torch.equal(redrawn.inputs, raw.inputs)
    assert torch.equal(members["learned"].inputs, perturbed.inputs)
    assert (raw.fixed["instance"], perturbed.fixed["instance"], redrawn.fixed["instance"]) == (0.0, 0.0, 0.2)
    assert raw.fixed["sigma"] == 0.01
    assert perturbed.fixed["sigma"] == redrawn.fixed["sigma"] == pytest.approx(math.hypot(0.01, 0.2))
    rates = {method: member.lr for method, member in members.items() if isinstance(member.lr, dict)}
    assert {method for method, lr in rates.items() if lr["log_sigma"] > 0} == {"learned", "learned-raw"}
    assert len({member.seed for member in members.values()}) == 1
    assert all({lr[name] for lr in rates.values()} == {2e-3} for name in rates["raw"] if name != "log_sigma")


def test_noise_lowers_the_error_and_neither_reaches_the_law(trials: Trials) -> None:
    packed = [trials(method, {"steps": 300, "examples": 128}) for method in ("raw", "perturbed")]
    ended = {said[0]: said[1]["test_w1"] for said in experiment.run_batch(packed) if isinstance(said, tuple)}
    raw, perturbed = (ended[trial] for trial in packed)
    assert raw > 1.4 * perturbed > 2.0 * trials.run("truth")["test_w1"]
    held = [trials.run("training-set", {"examples": n})["test_w1"] for n in (8, 256)]
    assert held[0] > 1.5 * held[1]
