"""Pretraining and its rivals against what theory says of their constants, and what methods of a seed share."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tasks.blocks.training import generator
from tasks.theory.unsup_pretraining_advantage import experiment
from tests.tasks.trials import Trials, trials_of

SMALL = {"dimension": 30, "rank": 3, "draws": 4, "labelled": 200}
trials = trials_of("unsup-pretraining-advantage", experiment="factor", base=SMALL)


@pytest.mark.parametrize("count", [20, 80])
def test_regressions_are_of_least_norm_on_inputs_and_on_features(count: int) -> None:
    x, features = (torch.randn(*shape, generator=generator(1), dtype=torch.float64) for shape in ((count, 30), (30, 40)))
    y = torch.arange(count).double().sin()
    for matrix, expected in ((None, np.linalg.lstsq(x, y)[0]), (features, features @ np.linalg.lstsq(x @ features, y)[0])):
        assert np.allclose(experiment.regressed(x, y, matrix), expected, atol=1e-8)


def test_constants_are_r_and_d_and_other_loadings_do_not_help(trials: Trials) -> None:
    often = {"draws": 60}
    found = {method: trials.run(method, often) for method in ("pretrained", "supervised", "oracle", "elsewhere", "zero", "ridge")}
    assert found["oracle"]["constant"] == pytest.approx(200 * 3 / (200 - 3 - 1), rel=0.25)
    assert found["supervised"]["constant"] == pytest.approx(200 * 30 / (200 - 30 - 1), rel=0.25)
    assert found["pretrained"]["excess_risk"] == pytest.approx(found["oracle"]["excess_risk"], rel=0.05)
    assert found["elsewhere"]["excess_risk"] > 0.5 * found["zero"]["excess_risk"] > 1.5 * found["supervised"]["excess_risk"]
    assert found["oracle"]["excess_risk"] < found["ridge"]["excess_risk"] < 0.95 * found["supervised"]["excess_risk"]
    fewer = trials.run("pretrained", {**often, "unlabelled": 100})
    assert fewer["excess_risk"] > 3 * found["pretrained"]["excess_risk"]
    assert trials.run("pretrained", often, seed=1) != found["pretrained"]


def test_mixtures_and_pairs_tell_their_features(trials: Trials) -> None:
    pre, sup, oracle = (
        trials.run(method, {"labelled": 20}, experiment="mixture")["excess_risk"] for method in ("pretrained", "supervised", "oracle")
    )
    assert abs(oracle) < 1e-12 < pre < 0.01 < sup
    pairs = {"strength": 3.0, "unlabelled": 4000}
    pre, ridge = (trials.run(method, pairs, experiment="contrastive")["excess_risk"] for method in ("pretrained", "ridge"))
    assert pre < 0.7 * ridge
