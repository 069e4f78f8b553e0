"""What a seed's trials share, what selects a ridge, and theorems that fail where they are changed."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch

from tasks.blocks.eigenframework import Spectrum, best_ridge, solve
from tasks.blocks.random_features import simulated
from tasks.blocks.training import normal
from tests.tasks.trials import Trials, trials_of

SMALL = {"base": 32, "modes": 200, "noise": 0.1, "validation": 64, "ridges": 20}
trials = trials_of("rf-more-is-better", experiment="curve", base=SMALL)


def test_a_trial_is_the_ridge_that_validation_selects_and_not_the_one_that_test_would(trials: Trials) -> None:
    task, ridges, differs = Spectrum.power_law(200, 1.5, 1.5, 0.1), np.geomspace(1e-10, 100, 20), False
    for seed in range(3):
        trial = trials("tuned", {"features": 0.5}, seed=seed)
        fits = simulated(task, partial(normal, trial), 32, 16, 64, torch.from_numpy(ridges))
        at, found = int(fits.validation.argmin()), trials.run("tuned", {"features": 0.5}, seed=seed)
        errors = [float(of[at]) for of in (fits.path.train_error, fits.validation, fits.test)]
        assert [found[f"{split}_error"] for split in ("train", "val", "test")] == pytest.approx(errors, rel=1e-9)
        assert found["over_closed_form"] == pytest.approx(errors[2] / solve(task, 32, 16, ridges[at]).test_error)
        assert found["over_kernel_form"] == pytest.approx(errors[2] / solve(task, 32, math.inf, ridges[at]).test_error)
        differs |= at != int(fits.test.argmin())
    assert differs, "of three seeds test would have selected another ridge in one"


def test_underfit_leaves_a_tenth_and_no_ridge_leaves_nothing(trials: Trials) -> None:
    kernel = {"features": 0.0, "relative_noise": 0.1, "noise": 0.0, "signal": 2.0}
    tuned, underfit, free = (trials.run(method, kernel) for method in ("tuned", "underfit", "no-ridge"))
    assert tuned["val_error"] < underfit["val_error"]
    assert underfit["train_error"] >= 0.1 * underfit["val_error"]
    assert free["fit_ratio"] < 1e-12
    stated = best_ridge(Spectrum.power_law(200, 1.5, 2.0).noisier(10.0, 32), 32, math.inf)[1]
    assert trials.run("theory", {**kernel, "relative_noise": 10.0})["test_error"] == pytest.approx(stated.test_error)
    two, one, other = (trials.run("tuned", {"draws": draws}, seed=seed)["test_error"] for draws, seed in ((2, 0), (1, 0), (1, 1)))
    assert len({one, two, other}) == 3
    assert two == pytest.approx(one, rel=0.5), "the mean of one and another draw"


def test_the_theorems_hold_and_their_changed_twins_do_not(trials: Trials) -> None:
    for seed in range(2):
        p = {"modes": 150, "doublings": 1, "base": 512}
        said, changed = (trials.run(method, p, experiment="theorem", seed=seed) for method in ("theory", "changed"))
        assert said["upward_step"] < 1e-9 < 0.1 < changed["upward_step"]
        assert abs(said["ratio_error"]) < 0.02 < abs(changed["ratio_error"])
