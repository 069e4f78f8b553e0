"""The classifiers against a plain solve, what a seed shares, and verdicts that formulas decide."""

from __future__ import annotations

import pytest
import torch

from tasks.blocks.dual_kernels import wide
from tasks.theory.deep_ntk_classification_taxonomy import experiment
from tests.tasks.trials import Trials, trials_of

SMALL = {"examples": 60, "test_points": 200, "depth": 12}
trials = trials_of("deep-ntk-classification-taxonomy", base=SMALL)


@pytest.mark.parametrize(("method", "off"), [("singular", 0.0), ("sharper", -3.0), ("smoother", 1.5), ("singular-ntk", -2.0)])
def test_exponents_are_what_the_theorem_says(trials: Trials, method: str, off: float) -> None:
    found = trials.run(method, {"dimension": 3, "depth": 40}, experiment="limit")
    assert found["from_dimension"] == pytest.approx(off, abs=5e-3)
    assert found["from_formula"] == pytest.approx(-2.0 if method == "singular-ntk" else 0.0, abs=5e-3)


def test_a_deep_network_is_the_plain_solve_in_its_kernel(trials: Trials) -> None:
    trial = trials("singular-ntk", experiment="depth")
    data, x, labels, points = experiment._data(trial)
    phi = experiment.activation("singular-ntk", 2)
    own, between = (wide(r.clamp_max(1.0), 12, phi.dual, phi.derivative).ntk[-1] for r in (x @ x.T, points @ x.T))
    outputs = between @ torch.linalg.solve(own, labels)
    best = 0.8 * (2.0 * data.best(points) - 1.0)
    found = experiment.depth(trial)
    assert found["error"] == pytest.approx(float((outputs - best).square().sum() / best.square().sum()), rel=1e-6)
    assert found["excess_risk"] == pytest.approx(0.8 * float(((outputs > 0) != (best > 0)).double().mean()))


def test_kinds_of_networks_become_their_rules_and_a_seed_shares_its_data(trials: Trials) -> None:
    deep = {m: trials.run(m, {"depth": 60}, experiment="depth") for m in ("h2-ntk", "mean-ntk", "singular-nngp")}
    assert deep["h2-ntk"]["agrees_nearest"] == deep["mean-ntk"]["agrees_majority"] == deep["singular-nngp"]["agrees_limit"] == 1.0
    assert deep["h2-ntk"]["excess_risk"] == trials.run("nearest", experiment="risk")["excess_risk"]
    first, again, other = (trials("nearest", experiment="risk", seed=seed) for seed in (0, 0, 1))
    assert torch.equal(experiment._data(first)[1], experiment._data(again)[1])
    assert not torch.equal(experiment._data(first)[1], experiment._data(other)[1])
    assert len(experiment._data(first)[0].x) != len(experiment._data(first)[3])
