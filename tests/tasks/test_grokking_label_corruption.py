"""Label corruption: what a trial's network, data and numbers are, and planted memories that are seen and pruned away."""

from __future__ import annotations

import math

import pytest
import torch

from harness.trial import Trial
from tasks.blocks.algorithmic import modular
from tasks.grokking.grokking_label_corruption import experiment
from tasks.grokking.grokking_label_corruption.task import BATCHED, BATCHNORM, DECAY, DROPOUT, FLOOR, HIGHEST, LOWEST, NONE, RANDOM, train
from tests.tasks.planted import PERIODIC, remembering, viewed
from tests.tasks.trials import Trials

TASK_ID = "grokking-label-corruption"
BASE = {"p": 11, "width": 24, "fraction": 0.7, "corruption": 0.2, "steps": 30, "batch": 8, "decay": 9.0, "dropout": 0.5}


def test_methods_of_a_seed_differ_in_what_their_names_say_alone(trials: Trials) -> None:
    one = experiment.member(trials(NONE))
    assert int((one.targets != modular(11)[1]).sum()) == pytest.approx(0.2 * 0.7 * 121 * 10 / 11, abs=3)
    for method in (DECAY, DROPOUT, *BATCHED, FLOOR):
        own, batch = experiment.member(trials(method)), 8 if method in BATCHED else 0
        assert torch.equal(own.splits["train"], one.splits["train"])
        assert torch.equal(own.targets, one.targets) == (method != FLOOR)
        assert (own.seed, own.decay, own.batch) == (one.seed, 9.0 if method == DECAY else 0.0, batch)
        assert own.lr == (0.01 * math.sqrt(8 / 256) if batch else 0.01)
    for method, parameter in ((DROPOUT, "dropout"), (BATCHNORM, "batch")):
        assert train.alike(method, {**BASE, parameter: 0.3}) != train.alike(method, BASE)  # type: ignore[misc]


def test_weights_start_at_the_published_scale(trials: Trials) -> None:
    start = experiment.network(trials(NONE, {"p": 97, "width": 500})).initial(torch.Generator().manual_seed(0))
    assert {name: tuple(value.shape) for name, value in start.items()} == {"weight0": (194, 500), "weight1": (500, 97)}
    assert all(float(value.std()) == pytest.approx(0.5 / 1000 ** (1 / 3), rel=0.02) for value in start.values())


def test_a_planted_memory_is_seen_and_pruned_by_its_low_ipr(trials: Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    one = experiment.member(trials(NONE, {"corruption": 0.1}))
    weights, wrong = remembering(one), int((one.targets != modular(11)[1]).sum())
    values = {"width": PERIODIC + wrong, "corruption": 0.1, "share": wrong / (PERIODIC + wrong)}
    gamma = torch.cat([-2.0 * torch.ones(PERIODIC), 0.5 * torch.ones(wrong)])
    seen = experiment.observe(viewed(experiment.network(trials(NONE)), one, {**weights, "gamma": gamma}))
    assert [float(seen[name]) for name in ("memorised", "corrected", "ipr_gamma", "ipr_median")] == pytest.approx([1.0, 0.0, 1.0, 1.0])
    monkeypatch.setattr(Trial, "required", lambda _: weights)
    low, any_, high = (trials.run(method, values, experiment="prune") for method in (LOWEST, RANDOM, HIGHEST))
    assert (low["memorised"], low["corrected"], low["clean_accuracy"], low["test_accuracy"], low["memorised_change"]) == (0, 1, 1, 1, -1)
    assert low["test_accuracy_change"] >= 0.0 < any_["memorised"] <= 1.0 == high["memorised"] > high["test_accuracy"]
