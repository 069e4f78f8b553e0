"""A fit by another route, what trials of a seed share, and the floor of float64 that many digits pass."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import lstsq

from tasks.theory.bandlimited_random_features import experiment
from tests.tasks.trials import Trials, trials_of

trials = trials_of("bandlimited-random-features", base={"points": 60, "width": 24})


def test_a_trial_is_truncated_least_squares_on_the_grid_alone(trials: Trials) -> None:
    values = {"bandwidth": 40.0, "rcond": 1e-6}
    found, trial = trials.run("matched", values), trials("matched", values)
    a, b = experiment.units(trial).numpy().T
    features = {split: 1.0 / (1.0 + np.exp(-(x.numpy() * a + b))) for split, (x, _) in experiment.data(trial).items()}
    targets = {split: y.numpy() for split, (_, y) in experiment.data(trial).items()}
    weights, _, rank, _ = lstsq(features["train"], targets["train"], cond=1e-6)
    for split, rows in features.items():
        assert found[f"{split}_rmse"] == pytest.approx(np.sqrt(np.mean((rows @ weights - targets[split]) ** 2)), rel=1e-6)
    assert found["norm"] == pytest.approx(np.linalg.norm(weights), rel=1e-6)
    assert (found["rank"], found["chosen"]) == (rank, 40.0)
    assert trials.run("mean")["test_rmse"] == pytest.approx(np.sqrt(np.mean((targets["test"] - targets["train"].mean()) ** 2)))


def test_what_a_seed_shares_and_what_it_does_not(trials: Trials) -> None:
    wide, narrow = (experiment.units(trials("matched", {"bandwidth": size, "width": width})) for size, width in ((10.0, 24), (1.0, 8)))
    assert torch.allclose(wide[:8], 10.0 * narrow)
    assert not torch.isclose(narrow, experiment.units(trials("matched", {"width": 8}, seed=1))).any()
    splits = experiment.data(trials("unit-box"))
    assert torch.equal(splits["test"][0], experiment.data(trials("matched"))["test"][0])
    assert not torch.isclose(splits["val"][0], splits["test"][0]).all()


def test_the_targets_are_those_of_the_paper_and_a_sine() -> None:
    x = torch.tensor([0.25, 0.4, 0.5], dtype=torch.float64)
    rough = [0.2 * np.exp(-2.25) + 0.3, 0.2 + 0.5 * np.exp(-64.0), 0.2 * np.exp(-1.0) + 0.5]
    assert experiment.target("rough", x).tolist() == pytest.approx(rough, rel=1e-12)
    assert experiment.target("smooth", x)[0] == 1.0


def test_many_digits_pass_the_floor_of_float64_with_huge_coefficients(trials: Trials) -> None:
    values = {"width": 20, "points": 40, "rcond": 1e-14}
    cut, solved, more = (
        trials.run(method, {**values, "digits": digits}, experiment="precision")
        for method, digits in (("unit-box", 20), ("many-digits", 80), ("many-digits", 110))
    )
    assert solved["test_rmse"] < 0.95 * cut["test_rmse"]
    assert solved["norm"] > 1e10 * cut["norm"]
    assert more == pytest.approx(solved, rel=1e-9)
