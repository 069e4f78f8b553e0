"""Figures of the catalogue's own run, what trials of a seed share, and a network's noise, splits and stopping."""

from __future__ import annotations

import pytest
import torch

from tasks.blocks.small_models import Run
from tasks.theory.high_dim_generalization_dynamics import experiment
from tests.tasks.trials import Trials, trials_of

trials = trials_of("high-dim-generalization-dynamics", experiment="linear")


def test_overtraining_peaks_with_noise_alone_and_the_ridge_needs_no_time(trials: Trials) -> None:
    final = {method: trials.run(method, {"init": 2.0})["final_error"] for method in ("theory", "flow", "unfrozen")}
    assert final == {"theory": pytest.approx(2.7, rel=1e-4), "flow": pytest.approx(2.7, rel=0.06), "unfrozen": pytest.approx(0.2, rel=1e-4)}
    over = [trials.run("flow", {"aspect": aspect})["overtraining"] for aspect in (0.25, 0.8, 1.0, 1.25, 4.0)]
    assert over == pytest.approx([0.013, 0.6, 4.0, 0.5, 0.0043], rel=0.3)
    assert trials.run("flow", {"aspect": 1.0, "noise": 0.0})["overtraining"] == 0.0
    assert trials.run("flow", {"aspect": 0.8})["spectrum"] < 0.03
    small = {"inputs": 20, "teachers": 2, "init": 0.7, "steps": 60}
    gaps = [trials.run(method, small, experiment="descent")["descent_gap"] for method in ("flow", "unfrozen")]
    assert gaps[0] < 1e-12 < 0.1 < gaps[1]
    ridge, flow = (trials.run(method, {"aspect": 1.0}) for method in ("ridge", "flow"))
    assert ridge["overtraining"] == 0.0 < ridge["best_error"] < flow["best_error"] < 1.1 * ridge["best_error"]


def test_of_a_seed_only_what_is_asked_for_changes(trials: Trials) -> None:
    base, scaled = (experiment.drawn(trials("flow", values)) for values in ({"init": 1.0}, {"init": 2.0, "noise": 0.8}))
    for one, other, times in zip(base, scaled, (1.0, 1.0, 2.0, 2.0), strict=True):
        assert torch.allclose(times * one, other)
    assert not torch.isclose(base[0], experiment.drawn(trials("flow", {"init": 1.0}, seed=1))[0]).any()
    assert len({float(part.flatten()[0]) for part in base}) == 4


def test_a_network_learns_noisy_labels_and_is_tested_on_the_teachers(trials: Trials) -> None:
    net = experiment.member(trials("network", experiment="network"))
    quiet = experiment.member(trials("network", {"noise": 0.0}, experiment="network"))
    noise = net.targets - quiet.targets
    assert [int(net.splits[split].sum()) for split in ("train", "val", "test")] == [128, 300, 1500]
    assert float(noise[net.splits["test"]].abs().max()) == 0.0
    assert [float(noise[net.splits[split]].var()) for split in ("train", "val")] == pytest.approx([1.0, 1.0], abs=0.3)
    assert float(quiet.targets[net.splits["test"]].std()) == pytest.approx(1.0)
    assert net.seed == quiet.seed != experiment.member(trials("network", experiment="network", seed=1)).seed


def test_validation_stops_and_test_only_measures(trials: Trials) -> None:
    curves = {"train_loss": [2.0, 1.0, 0.5], "val_loss": [3.0, 2.0, 2.5], "test_loss": [1.0, 0.5, 0.4]}
    found = experiment.stopped(trials("network", experiment="network"), Run([0, 1, 2], curves, {}))
    assert found == {"train_loss": 0.5, "final_error": 0.4, "best_error": 0.5, "overtraining": pytest.approx(-0.1)}
