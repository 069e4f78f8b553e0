"""Li2: where networks start, what trains them, the energy and ridge formulas by other routes, and that claims see a planted boundary."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from tasks.blocks.algorithmic import modular
from tasks.blocks.small_members import Run
from tasks.blocks.training import generator
from tasks.grokking.li2_feature_emergence.experiment import (
    energies,
    gradients,
    hessians,
    member,
    metrics,
    mirror_gaps,
    network,
    ridge,
    whole_group,
)
from tasks.grokking.li2_feature_emergence.task import NORMAL, TASK, phase
from tests.tasks.trials import Trials


@pytest.fixture
def trials(tmp_path: Path) -> Trials:
    return Trials(TASK, tmp_path, base={"modulus": 7, "fraction": 0.6, "width": 8, "steps": 12})


def test_methods_start_from_one_hidden_layer_with_the_variance_of_a_linear_layer() -> None:
    starts = {method: network(method, 20, 500).initial(generator(3)) for method in ("normal-init", "zero-init", "muon")}
    for name, fan_in in (("weight0", 40), ("weight1", 500)):
        assert starts[NORMAL][name].std().item() == pytest.approx(nn.Linear(fan_in, 2000).weight.std().item(), rel=0.02)
        assert torch.equal(starts["muon"][name], starts[NORMAL][name])
    assert torch.equal(starts["zero-init"]["weight0"], starts[NORMAL]["weight0"])
    assert not starts["zero-init"]["weight1"].any()


def test_what_is_a_members_own(trials: Trials) -> None:
    normal, bare, shuffled = (member(trials(method, {"decay": 0.1})) for method in ("normal-init", "no-decay", "shuffled-labels"))
    assert (normal.decay, bare.decay) == (0.1, 0.0)
    assert normal.seed == bare.seed == shuffled.seed != member(trials(NORMAL, seed=1)).seed
    kept = shuffled.targets == normal.targets
    assert torch.equal(normal.targets, modular(7)[1])
    assert kept[~normal.splits["train"]].all()
    assert 0 <= kept[normal.splits["train"]].float().mean() < 0.5
    assert torch.equal(normal.splits["train"], shuffled.splits["train"])
    assert not torch.equal(normal.splits["train"], member(trials(NORMAL, seed=1)).splits["train"])


def test_it_is_adam_with_an_l2_penalty_on_centred_outputs(trials: Trials) -> None:
    trial = trials(NORMAL, {"decay": 0.3})
    one, x = member(trial), modular(7)[0]
    w, v = (value.float().requires_grad_() for value in network(NORMAL, 7, 8).initial(generator(one.seed)).values())
    optimizer, rows = torch.optim.Adam([w, v], lr=one.lr, weight_decay=0.3), one.rows
    for _ in range(12):
        o = (x[rows] @ w).square() @ v
        loss = ((o - o.mean(1, keepdim=True)) - (torch.eye(7)[one.targets[rows]] - 1 / 7)).square().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    expected = metrics(
        trial, Run([0, 12], {f"{split}_accuracy": [0.0, 0.0] for split in ("train", "val", "test")}, {"weight0": w.detach()})
    )
    assert trials.run("muon")["frequency_share"] != pytest.approx(trials.run(NORMAL)["frequency_share"], rel=1e-5)
    assert trials.run(NORMAL, {"decay": 0.3})["frequency_share"] == pytest.approx(expected["frequency_share"], rel=1e-5)


def test_numbers_of_a_run(trials: Trials) -> None:
    wave = torch.stack([torch.cat([torch.cos(2 * math.pi * k * torch.arange(7) / 7 + s) for s in (0.0, 1.0)]) for k in (1, 3)], dim=1)
    curves = {"train_accuracy": [0.1, 0.95, 1.0], "val_accuracy": [0.0, 0.5, 1.0], "test_accuracy": [0.0, 0.4, 0.89]}
    found = metrics(trials(NORMAL), Run([0, 10, 40], curves, {"weight0": wave}))
    assert (found["steps_to_fit"], found["steps_to_fit_censored"], found["steps_to_90"], found["steps_to_90_censored"]) == (10, 0, 40, 1)
    assert found["val_area"] == pytest.approx((2.5 + 22.5) / 40)
    assert found["frequency_share"] == pytest.approx(1.0)
    assert found["frequencies"] == pytest.approx(2 / 3)
    mixed = metrics(trials(NORMAL), Run([0, 10, 40], curves, {"weight0": wave @ torch.tensor([[1.0, 1.0], [0.5, 3.0]])}))
    assert mixed["frequency_share"] == pytest.approx((1 + 9) / (1 + 0.25 + 1 + 9))
    assert mixed["frequencies"] == pytest.approx(100 / (1 + 81) / 3)


@pytest.mark.parametrize(("modulus", "frequency", "energy"), [(7, 2, 7 / 4), (11, 5, 11 / 4), (8, 3, 2.0), (8, 4, 4.0)])
def test_the_energy_of_a_single_frequency_is_a_quarter_of_m_whatever_its_phases(modulus: int, frequency: int, energy: float) -> None:
    group = whole_group(modulus)
    for phases in ((0.0, 0.0), (0.3, 2.0)) if 2 * frequency < modulus else ((0.0, 0.0),):
        wave = torch.cat([torch.cos(2 * math.pi * frequency * torch.arange(modulus, dtype=torch.float64) / modulus + s) for s in phases])
        assert energies(wave / wave.norm(), *group).item() == pytest.approx(energy, rel=1e-12)
    w = torch.randn(2 * modulus, generator=generator(0), dtype=torch.float64, requires_grad=True)
    slope, hessian = (of(w.detach()[None], *group)[0] for of in (gradients, hessians))
    torch.testing.assert_close(slope, torch.autograd.grad(energies(w, *group), w)[0])
    torch.testing.assert_close(hessian, torch.autograd.functional.hessian(lambda one: energies(one, *group), w.detach()))


def test_the_ascent_ends_at_maxima_and_nothing_is_one_by_chance(trials: Trials) -> None:
    found = trials.run("ascent", experiment="theory")
    assert max(found[name] for name in ("frequency_gap", "derived_gap", "slope", "curvature")) < 1e-9
    assert found["published_gap"] == pytest.approx(3.0)
    assert found["mirror_gap"] > 0.1
    assert mirror_gaps(
        torch.tensor([[1.0, 2.0, 3.0, 1.0, 3.0, 2.0], [1.0, 2.0, 3.0, -1.0, -3.0, -2.0], [1.0, 2.0, 2.0, 1.0, 2.0, 5.0]])
    ).tolist() == [0, 0, 1]
    start = trials.run("random-weights", experiment="theory")
    assert min(start[name] for name in ("frequency_gap", "derived_gap", "slope", "curvature")) > 0.01


def test_the_ridge_formulas_agree_with_least_squares_and_differentiation(trials: Trials) -> None:
    features, targets = (torch.randn(12, columns, generator=generator(columns), dtype=torch.float64) for columns in (5, 3))
    output, limit = ridge(features, targets, 0.3)
    stacked = torch.cat([features, math.sqrt(0.3) * torch.eye(5, dtype=torch.float64)]), torch.cat([targets, torch.zeros(5, 3).double()])
    torch.testing.assert_close(output, torch.linalg.lstsq(*stacked).solution)
    features.requires_grad_()
    (slope,) = torch.autograd.grad(0.5 * (targets - features @ output).square().sum(), features)
    torch.testing.assert_close(limit, -slope)
    assert max(trials.run("ridge", experiment="theory").values()) < 1e-9


@pytest.mark.parametrize("wins", [True, False])
def test_the_claims_of_the_boundary_see_a_planted_one(wins: bool) -> None:
    moduli, fractions = np.meshgrid([11.0, 17.0, 23.0, 31.0, 43.0, 59.0], np.arange(0.1, 0.9, 0.04))
    edge = 2.7 * np.log(moduli) / moduli if wins else 1.8 / np.sqrt(moduli)
    planted = {"param.modulus": moduli, "param.fraction": fractions, "metric.test_accuracy": 1 / (1 + np.exp((edge - fractions) / 0.004))}
    frame = pd.DataFrame({name: values.ravel() for name, values in planted.items()})
    frame = frame.assign(experiment="phase", method=NORMAL, seed=0, status="ok", **{"view.boundary": True})
    gains = [claim.estimate(frame) for claim in TASK.claims if claim.group == "C1" and claim.primary]
    assert len(gains) == 2
    assert all(gain > 0 for gain in gains) is wins


def test_seeds_decays_and_what_does_not_decide_a_shape_share_a_program() -> None:
    assert phase.alike is not None
    base = {"modulus": 23, "fraction": 0.4, "width": 8, "steps": 5, "lr": 0.1, "decay": 0.0}
    assert phase.alike(NORMAL, base) == phase.alike("no-decay", {**base, "lr": 0.2, "decay": 1.0})
    others = [phase.alike("zero-init", base), *(phase.alike(NORMAL, {**base, name: 9}) for name in ("modulus", "width", "steps"))]
    assert phase.alike(NORMAL, base) not in [*others, phase.alike(NORMAL, {**base, "fraction": 0.5})]
