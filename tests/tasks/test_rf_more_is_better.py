"""What a seed's trials share, what selects a ridge, a fit by another route, and theorems that fail where they are changed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from tasks.blocks.eigenframework import solve
from tasks.blocks.training import generator
from tasks.theory.rf_more_is_better import experiment
from tests.tasks import stand_ins
from tests.tasks.trials import Trials

SMALL = {"base": 32, "modes": 200, "noise": 0.1, "validation": 64, "ridges": 20}


@pytest.fixture
def trials(tmp_path: Path) -> Trials:
    return Trials("rf-more-is-better", tmp_path, experiment="curve", base=SMALL)


def by_hand(trials: Trials, seed: int, ridges: list[float]) -> np.ndarray:
    """(ridges, 3): training, validation and test error of sklearn's ridge regression, the last from fresh examples."""
    trial = trials("tuned", {"features": 0.5}, seed=seed)
    task = experiment.spectrum(trial.params)

    def normal(purpose: str, *shape: int) -> np.ndarray:
        found: np.ndarray = torch.randn(*shape, generator=generator(trial.seed_for(f"{purpose}-0")), dtype=torch.float64).numpy()
        return found

    mixing, errors = normal("features", 16, 200), list[list[float]]()
    for purpose, n in (("examples", 32), ("validation", 64), ("elsewhere", 4000)):
        x = normal(purpose, n, 200)
        y = x @ np.sqrt(task.signal) + math.sqrt(0.1) * normal(f"{purpose}-noise", n, 1)[:, 0]
        features = x * np.sqrt(task.values) @ mixing.T / 4.0
        if not errors:
            models = [Ridge(alpha=ridge, fit_intercept=False, solver="svd").fit(features, y) for ridge in ridges]
        errors.append([((model.predict(features) - y) ** 2).mean() for model in models])
    return np.array(errors).T


def test_a_trial_is_the_ridge_that_validation_selects_and_not_the_one_that_test_would(trials: Trials) -> None:
    ridges, differs = np.geomspace(1e-10, 100, 20).tolist(), False
    for seed in range(3):
        found, errors = trials.run("tuned", {"features": 0.5}, seed=seed), by_hand(trials, seed, ridges)
        train, validation, test = errors[(place := int(errors[:, 1].argmin()))]
        assert (found["train_error"], found["val_error"]) == pytest.approx((train, validation), rel=1e-7)
        assert found["test_error"] == pytest.approx(test, rel=0.1)
        said = solve(experiment.spectrum(trials("tuned").params), 32, 16, ridges[place]).test_error
        assert found["over_closed_form"] == pytest.approx(found["test_error"] / said)
        differs |= place != int(errors[:, 2].argmin())
    assert differs, "of three seeds test would have selected another ridge in one"


def test_underfit_leaves_a_tenth_and_no_ridge_leaves_nothing(trials: Trials) -> None:
    kernel = {"features": 0.0, "relative_noise": 0.1, "noise": 0.0, "signal": 2.0}
    tuned, underfit, free = (trials.run(method, kernel) for method in ("tuned", "underfit", "no-ridge"))
    assert tuned["val_error"] < underfit["val_error"]
    assert underfit["train_error"] >= 0.1 * underfit["val_error"]
    assert free["fit_ratio"] < 1e-12
    shared = trials.run("tuned", {"draws": 2}), trials.run("tuned"), trials.run("tuned", seed=1)
    assert len({found["test_error"] for found in shared}) == 3


def test_digits_are_fitted_without_their_validation_and_test_images(tmp_path: Path) -> None:
    runs = Trials("rf-more-is-better", tmp_path, experiment="digits", base={"base": 32, "ridges": 20}, data=stand_ins.made("digits"))
    tuned, free = (runs.run(method, {"features": 0.5}) for method in ("tuned", "no-ridge"))
    assert tuned["val_error"] <= free["val_error"]
    assert tuned["train_error"] > free["train_error"]


def test_the_theorems_hold_and_their_changed_twins_do_not(tmp_path: Path) -> None:
    runs = Trials("rf-more-is-better", tmp_path, experiment="theorem", base={"modes": 150, "doublings": 1})
    for seed in range(2):
        said, changed = (runs.run(method, seed=seed) for method in ("theory", "changed"))
        assert said["upward_step"] < 1e-9 < 0.1 < changed["upward_step"]
        assert abs(said["ratio_error"]) < 0.02 < abs(changed["ratio_error"])
