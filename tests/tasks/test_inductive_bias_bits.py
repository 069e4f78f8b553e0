"""The task's data and spaces, what a seed shares, and which way bits go."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tasks.theory.inductive_bias_bits import experiment
from tests.tasks.trials import Trials, trials_of

SMALL = {"examples": 60, "tests": 50, "dimension": 8, "members": 6, "steps": 150, "width": 16}
trials = trials_of("inductive-bias-bits", experiment="kernel", base=SMALL)


def test_bits_are_the_share_of_draws_where_there_are_any_and_rise_with_dimension(trials: Trials) -> None:
    for epsilon in (0.5, 0.6, 0.8):
        found = trials.run("rbf", {"epsilon": epsilon, "dimension": 6, "target": "sign"})
        assert found["drawn"] == pytest.approx(2.0 ** -found["bits"], rel=0.1, abs=0.005)
        assert trials.run("tilted", {"epsilon": epsilon, "dimension": 6, "target": "sign"})["bits"] == pytest.approx(found["bits"], abs=0.1)
    assert found["reach"] < found["test_error"]
    far = {"epsilon": 0.05, "dimension": 16}
    exact, tilted, matched = (trials.run(method, far)["bits"] for method in ("rbf", "tilted", "matched"))
    assert exact == pytest.approx(tilted, rel=0.01)
    assert abs(matched / exact - 1.0) > 0.02
    rising = [trials.run("rbf", {"dimension": d})["bits"] for d in (2, 8, 16)]
    assert rising == sorted(rising)
    assert trials.run("rbf", {"examples": 400, "dimension": 16})["bits"] < rising[-1]


def test_networks_are_scored_on_tests_that_they_do_not_see(trials: Trials) -> None:
    p = {"dimension": 2, "epsilon": 0.2}
    found, shuffled = (trials.run(method, p, experiment="networks") for method in ("mlp", "mlp-shuffled"))
    assert found["train_error"] < 0.1
    assert found["test_error"] < 0.5 < 1.0 < shuffled["test_error"]
    assert found["bits"] < shuffled["bits"]
    assert found["reach"] < found["test_error"]
    drawn, law = (trials.run("rbf", p, experiment=name)["test_error"] for name in ("networks", "kernel"))
    assert drawn == pytest.approx(law, rel=0.5)
    values = {method: trials.run(method, p, experiment="networks")["test_error"] for method in ("mlp-wide", "mlp-deep")}
    assert len({found["test_error"], *values.values()}) == 3
    assert trials.run("mlp", p, experiment="networks", seed=1) != found


def test_networks_learn_from_the_examples_of_the_process_alone(trials: Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    x = experiment.data(trials("mlp"))[0]
    monkeypatch.setattr(experiment, "data", lambda _: (x, np.repeat([0.0, np.nan], [60, 50])))
    found = trials.run("mlp", experiment="networks")
    assert found["train_error"] < 0.1
    assert math.isnan(found["test_error"])


def test_cumulants_are_derivatives_of_the_generating_function(trials: Trials) -> None:
    p = {"ridge": 1e-4, "dimension": 5}
    assert trials.run("rbf", p, experiment="cumulants")["error"] < 1e-9
    assert trials.run("central", p, experiment="cumulants")["error"] > 1e-4
