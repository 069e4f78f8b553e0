"""Li2: what methods start from and train with, the energy and ridge formulas by other routes, and claims that see a planted boundary."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from tasks.blocks.small_models import Adam, Run, centred_squared_error
from tasks.blocks.small_networks import linear_std
from tasks.blocks.training import generator
from tasks.grokking.li2_feature_emergence import experiment
from tasks.grokking.li2_feature_emergence.task import ASCENT, MUON, NO_DECAY, NORMAL, RANDOM, RIDGE, SHUFFLED, TASK, ZERO
from tests.tasks.trials import Trials, recipe

TASK_ID, BASE = TASK.id, {"modulus": 7, "fraction": 0.6, "width": 8, "steps": 12, "decay": 0.1}


def test_what_methods_start_from_and_train_with(trials: Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    starts = {method: experiment.network(method, 20, 500).initial(generator(3)) for method in (NORMAL, ZERO, MUON)}
    spread = {name: float(value.std()) for name, value in starts[NORMAL].items()}
    assert spread == pytest.approx({"weight0": linear_std(40), "weight1": linear_std(500)}, rel=0.02)
    assert all(torch.equal(starts[method]["weight0"], starts[NORMAL]["weight0"]) for method in starts)
    assert torch.equal(starts[MUON]["weight1"], starts[NORMAL]["weight1"])
    assert not starts[ZERO]["weight1"].any()
    how = {method: recipe(experiment.train, trials(method), monkeypatch) for method in (NORMAL, NO_DECAY, SHUFFLED, ZERO, MUON)}
    assert {method: asked["optimizer"] for method, asked in how.items()} == {**dict.fromkeys(how, Adam()), MUON: experiment.MUON}
    assert {asked["loss"] for asked in how.values()} == {centred_squared_error}
    own = {method: experiment.member(trials(method)) for method in how}
    assert {method: one.decay for method, one in own.items()} == {**dict.fromkeys(how, 0.1), NO_DECAY: 0.0}
    kept = own[SHUFFLED].targets == own[NORMAL].targets
    assert kept[~own[NORMAL].splits["train"]].all()
    assert 0 <= kept[own[NORMAL].splits["train"]].float().mean() < 0.5


def test_numbers_of_a_run(trials: Trials) -> None:
    curves = {"train_accuracy": [0.1, 0.95, 1.0], "val_accuracy": [0.0, 0.5, 1.0], "test_accuracy": [0.0, 0.4, 0.89]}
    found = experiment.metrics(trials(NORMAL), Run([0, 10, 40], curves, {"weight0": torch.eye(14)}))
    assert (found["steps_to_fit"], found["steps_to_fit_censored"], found["steps_to_90"], found["steps_to_90_censored"]) == (10, 0, 40, 1)
    assert found["val_area"] == pytest.approx((2.5 + 22.5) / 40)


def test_the_energy_of_a_single_frequency_is_a_quarter_of_m_whatever_its_phases() -> None:
    for modulus, frequency, phase, energy in ((7, 2, 2.0, 1.75), (11, 5, 0.0, 2.75), (8, 3, 2.0, 2.0), (8, 4, 0.0, 4.0)):
        angles = 2 * math.pi * frequency * torch.arange(modulus, dtype=torch.float64) / modulus
        wave = torch.cat([torch.cos(angles + 0.15 * phase), torch.cos(angles + phase)])
        assert experiment.energies(wave / wave.norm()).item() == pytest.approx(energy, rel=1e-12)


def test_the_theory_holds_at_the_end_of_the_ascent_and_not_by_chance(trials: Trials) -> None:
    assert max(trials.run(RIDGE, experiment="theory").values()) < 1e-9
    end, start = (trials.run(method, experiment="theory") for method in (ASCENT, RANDOM))
    assert max(abs(end[name]) for name in ("frequency_gap", "derived_gap", "slope", "curvature")) < 1e-9
    assert min(start[name] for name in ("frequency_gap", "derived_gap", "slope", "curvature")) > 0.01
    assert end["published_gap"] == pytest.approx(3.0)
    assert end["mirror_gap"] > 0.1
    rows = [[1.0, 2.0, 3.0, 1.0, 3.0, 2.0], [1.0, 2.0, 3.0, -1.0, -3.0, -2.0], [1.0, 2.0, 2.0, 1.0, 2.0, 5.0]]
    assert experiment.mirror_gaps(torch.tensor(rows)).tolist() == [0, 0, 1]


def test_the_claims_of_the_boundary_see_a_planted_one() -> None:
    moduli, fractions = (x.ravel() for x in np.meshgrid([11.0, 17.0, 23.0, 31.0, 43.0, 59.0], np.arange(0.1, 0.9, 0.04)))
    for wins, edge in ((True, 2.7 * np.log(moduli) / moduli), (False, 1.8 / np.sqrt(moduli))):
        known = 1 / (1 + np.exp((edge - fractions) / 0.004))
        frame = pd.DataFrame({"param.modulus": moduli, "param.fraction": fractions, "metric.test_accuracy": known, "view.boundary": True})
        frame = frame.assign(experiment="phase", method=NORMAL, seed=0, status="ok")
        gains = [claim.estimate(frame) for claim in TASK.claims if claim.group == "C1" and claim.primary]
        assert (len(gains), all(gain > 0 for gain in gains)) == (2, wins)
