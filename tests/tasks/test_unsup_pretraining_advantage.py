"""Pretraining and its rivals against sklearn and against the truth, and what methods of a seed share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, RidgeCV

from tasks.blocks.generators import similar_pairs
from tasks.theory.unsup_pretraining_advantage import experiment
from tests.tasks.trials import Trials

SMALL = {"dimension": 30, "rank": 3, "draws": 4, "labelled": 200}


@pytest.fixture
def trials(tmp_path: Path) -> Trials:
    return Trials("unsup-pretraining-advantage", tmp_path, experiment="factor", base=SMALL)


def test_features_are_those_of_the_most_likely_loadings(trials: Trials) -> None:
    truth = experiment.model(trials("pretrained"))
    x = truth.draw(3000, torch.Generator().manual_seed(0)).x
    found = experiment.probabilistic_pca(x.T @ x / len(x), 3)
    pca = PCA(3).fit(x.numpy())
    loadings = pca.components_.T * np.sqrt(pca.explained_variance_ - 1.0)
    expected = np.linalg.solve(loadings @ loadings.T + np.eye(30), loadings)
    assert np.allclose(found @ found.T, expected @ expected.T, atol=0.01)
    exact = experiment.probabilistic_pca(truth.loadings @ truth.loadings.T + torch.eye(30, dtype=torch.float64), 3)
    assert torch.allclose(exact @ exact.T, truth.features @ truth.features.T)


@pytest.mark.parametrize("count", [20, 80])
def test_regressions_are_sklearns(count: int) -> None:
    x, y = torch.randn(count, 30, generator=torch.Generator().manual_seed(1), dtype=torch.float64), torch.arange(count).double().sin()
    expected = RidgeCV(alphas=experiment.RIDGES.numpy(), fit_intercept=False).fit(x.numpy(), y.numpy()).coef_
    assert np.allclose(experiment.ridge(x, y).numpy(), expected, atol=1e-8)
    plain = LinearRegression(fit_intercept=False).fit(x.numpy(), y.numpy()).coef_
    assert np.allclose(experiment.regressed(x, y, None).numpy(), plain, atol=1e-8)


def test_constants_are_r_and_d_and_other_loadings_do_not_help(trials: Trials) -> None:
    often = {"draws": 60}
    found = {method: trials.run(method, often) for method in ("pretrained", "supervised", "oracle", "elsewhere", "zero")}
    assert found["oracle"]["constant"] == pytest.approx(200 * 3 / (200 - 3 - 1), rel=0.25)
    assert found["supervised"]["constant"] == pytest.approx(200 * 30 / (200 - 30 - 1), rel=0.25)
    assert found["pretrained"]["excess_risk"] == pytest.approx(found["oracle"]["excess_risk"], rel=0.05)
    assert found["elsewhere"]["excess_risk"] > 0.5 * found["zero"]["excess_risk"] > 1.5 * found["supervised"]["excess_risk"]
    fewer = trials.run("pretrained", {**often, "unlabelled": 100})
    assert fewer["excess_risk"] > 3 * found["pretrained"]["excess_risk"]
    assert trials.run("pretrained", often, seed=1) != found["pretrained"]


def test_mixtures_and_pairs_tell_their_features(trials: Trials) -> None:
    pre, sup, oracle = (
        trials.run(method, {"labelled": 20}, experiment="mixture")["excess_risk"] for method in ("pretrained", "supervised", "oracle")
    )
    assert abs(oracle) < 1e-12 < pre < 0.01 < sup
    true = torch.randn(2, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x, other, similar = similar_pairs(20_000, true, torch.Generator().manual_seed(1))
    found = experiment.pairwise(x, other, similar, 2)
    assert torch.allclose(found @ found.T, true.T @ true, atol=0.25)
    pairs = {"strength": 3.0, "unlabelled": 4000}
    pre, ridge = (trials.run(method, pairs, experiment="contrastive")["excess_risk"] for method in ("pretrained", "ridge"))
    assert pre < 0.7 * ridge
