"""Scores on numbers worked out by hand and against scikit-learn, and the packs that declare them."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.metrics import brier_score_loss, log_loss, mean_absolute_error, mean_squared_error, r2_score

from tasks.blocks.scores import calibration, regression
from tasks.blocks.supervision import CALIBRATION, REGRESSION

P = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.45, 0.55]], dtype=torch.float64)
LABELS = torch.tensor([0, 1, 1, 0])


def test_calibration_is_sklearns_and_ece_that_of_its_bins() -> None:
    found = calibration([(P[:1].log(), LABELS[:1]), (P[1:].log(), LABELS[1:])], "val", bins=2)
    assert found["val_nll"] == pytest.approx(log_loss(LABELS, P))
    assert found["val_brier"] == pytest.approx(2 * brier_score_loss(LABELS, P[:, 1]))
    # All four top probabilities lie above one half: one bin of accuracy 1/2 and mean 0.7375.
    assert found["val_ece"] == pytest.approx(100 * abs(0.5 - (0.9 + 0.8 + 0.7 + 0.55) / 4))
    # Ten bins: (0.9, right), (0.8, wrong), (0.7, right), (0.55, wrong) stand alone.
    assert calibration([(P.log(), LABELS)], "val", bins=10)["val_ece"] == pytest.approx(25 * (0.1 + 0.8 + 0.3 + 0.55))


def test_a_sure_and_right_answer_is_calibrated() -> None:
    assert calibration([(torch.tensor([[50.0, -50.0]]), torch.tensor([0]))], "test") == pytest.approx(
        {"test_nll": 0.0, "test_brier": 0.0, "test_ece": 0.0}, abs=1e-12
    )


def test_regression_is_sklearns() -> None:
    y, x = torch.tensor([1.0, 2.0, 4.0, 7.0]), torch.tensor([1.5, 2.0, 3.0, 8.0])
    found = regression(x, y, "test")
    assert found["test_mse"] == pytest.approx(mean_squared_error(y, x))
    assert found["test_mae"] == pytest.approx(mean_absolute_error(y, x))
    assert found["test_r2"] == pytest.approx(r2_score(y, x))
    assert regression(y.mean().expand(4), y, "val")["val_r2"] == pytest.approx(0.0)
    assert math.isnan(regression(x * math.nan, y, "val")["val_mse"])


def test_the_packs_declare_what_the_scores_return() -> None:
    classes = {name for split in ("val", "test") for name in calibration([(P.log(), LABELS)], split)}
    numbers = {name for split in ("val", "test") for name in regression(P, P, split)}
    assert {metric.name for metric in CALIBRATION} == classes
    assert {metric.name for metric in REGRESSION} == numbers
    assert all(metric.measured_on == metric.name.split("_")[0] for metric in (*CALIBRATION, *REGRESSION))
