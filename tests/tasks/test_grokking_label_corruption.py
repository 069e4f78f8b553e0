"""Label corruption: what a trial's network, data and numbers are, planted memories, and what pruning takes away."""

from __future__ import annotations

import math

import pytest
import torch

from harness.trial import Trial
from tasks.blocks.algorithmic import modular
from tasks.blocks.diagnostics import neuron_periodicity
from tasks.blocks.small_members import Member, Run, View
from tasks.blocks.small_networks import MLP
from tasks.grokking.grokking_label_corruption import experiment
from tasks.grokking.grokking_label_corruption.task import BATCHED, BATCHNORM, DECAY, DROPOUT, FLOOR, HIGHEST, LOWEST, NONE, RANDOM, train
from tests.tasks.trials import Trials, trials_of

SMALL = {"p": 11, "width": 24, "fraction": 0.7, "corruption": 0.2, "steps": 30, "batch": 8, "decay": 10.0, "dropout": 0.5}
trials = trials_of("grokking-label-corruption", experiment="train", base=SMALL)


def test_methods_of_a_seed_differ_in_what_their_names_say_alone(trials: Trials) -> None:
    one = experiment.member(trials(NONE))
    assert int((one.targets != modular(11)[1]).sum()) == pytest.approx(0.2 * 0.7 * 121 * 10 / 11, abs=3)
    for method in (DECAY, DROPOUT, *BATCHED, FLOOR):
        own = experiment.member(trials(method))
        assert own.seed == one.seed
        assert torch.equal(own.splits["train"], one.splits["train"])
        assert torch.equal(own.targets, one.targets) == (method != FLOOR)
        assert own.decay == (10.0 if method == DECAY else 0.0)
        assert (own.batch, own.lr) == ((8, 0.01 * math.sqrt(8 / 256)) if method in BATCHED else (0, 0.01))
    others = {"p": 13, "width": 8, "dropout": 0.3, "fraction": 0.6, "batch": 4, "decay": 0.0, "corruption": 0.5, "steps": 9, "lr": 1.0}
    for method, shape in ((NONE, []), (DECAY, []), (DROPOUT, ["dropout"]), (BATCHNORM, ["batch"])):
        keys = {name: train.alike(method, {**SMALL, name: value}) for name, value in others.items()}  # type: ignore[misc]
        assert {name for name, key in keys.items() if key != train.alike(method, SMALL)} == {"p", "width", "fraction", *shape}  # type: ignore[misc]


def test_weights_start_at_the_published_scale(trials: Trials) -> None:
    start = experiment.network(trials(NONE, {"p": 97, "width": 500})).initial(torch.Generator().manual_seed(0))
    assert {name: tuple(value.shape) for name, value in start.items()} == {"weight0": (194, 500), "weight1": (500, 97)}
    assert all(float(value.std()) == pytest.approx(0.5 / 1000 ** (1 / 3), rel=0.02) for value in start.values())


def planted(one: Member) -> dict[str, torch.Tensor]:
    """25 neurons whose sum over phases s and frequencies w is largest at a + b, then one for each wrong label that it answers a pair with.

    (cos(wa + s) + cos(wb + s))^2 cos(wc + 2 s) has the mean cos(w (a + b - c)) / 2 over s, and half of that at 2 a and at 2 b.
    """
    waves, angles = [(w, 2 * math.pi * s / 5) for w in range(1, 6) for s in range(5)], 2 * math.pi * torch.arange(11) / 11
    first = [torch.cos(w * angles + s).repeat(2) for w, s in waves]
    last = [0.2 * torch.cos(w * angles + 2 * s) for w, s in waves]
    for pair in (one.targets != modular(11)[1]).nonzero().flatten().tolist():
        first.append(torch.zeros(22).index_fill(0, one.inputs[pair], 1.0))
        last.append(2.0 * torch.zeros(11).index_fill(0, one.targets[pair : pair + 1], 1.0))
    return {"weight0": torch.stack(first, 1), "weight1": torch.stack(last)}


def test_a_planted_memory_is_seen_and_pruned_by_its_low_ipr(trials: Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    one, truth = experiment.member(trials(NONE, {"corruption": 0.1})), modular(11, encoding="index")[1]
    weights = planted(one)
    width = len(weights["weight1"])
    ipr = torch.tensor([1.0] * 25 + [1 / 6] * (width - 25))
    torch.testing.assert_close(neuron_periodicity(weights["weight0"], weights["weight1"]), ipr)
    parameters = {**{name: value.unsqueeze(0) for name, value in weights.items()}, "gamma": -2.0 * ipr.unsqueeze(0)}
    outputs = MLP(widths=(22, width, 11), activation="square")(weights, one.inputs, {})
    masks = {name: mask.unsqueeze(0) for name, mask in one.splits.items()}
    seen = experiment.observe(View(outputs.unsqueeze(0), one.targets.unsqueeze(0), truth.unsqueeze(0), masks, parameters, {}))
    assert (float(seen["memorised"]), float(seen["corrected"]), float(seen["ipr_gamma"])) == pytest.approx((1.0, 0.0, 1.0))
    assert float(seen["ipr_median"]) == pytest.approx(1.0)
    monkeypatch.setattr(Trial, "required", lambda _: weights)
    values = {"width": width, "corruption": 0.1, "share": (width - 25) / width}
    low, any_, high = (trials.run(method, values, experiment="prune") for method in (LOWEST, RANDOM, HIGHEST))
    assert (low["memorised"], low["corrected"], low["clean_accuracy"], low["test_accuracy"]) == (0.0, 1.0, 1.0, 1.0)
    assert low["memorised_change"] == -1.0
    assert low["test_accuracy_change"] >= 0.0
    assert 0.0 < any_["memorised"] <= 1.0
    assert high["memorised"] == 1.0
    assert high["test_accuracy"] < 1.0


def test_phases_and_numbers_of_wrong_labels(trials: Trials) -> None:
    base = {"train_accuracy": 0.8, "test_accuracy": 0.95, "wrong_share": 0.19, "corrected": 0.0}
    for memorised, inverted, coexists in ((0.05, 1.0, 0.0), (0.5, 0.0, 0.0), (0.92, 0.0, 1.0)):
        found = experiment.metrics(trials(DECAY), Run([30], {n: [v] for n, v in {**base, "memorised": memorised}.items()}, {}))
        assert (found["full_inversion"], found["coexistence"]) == (inverted, coexists)
        assert found["train_excess"] == pytest.approx(-0.01)
    assert not {"memorised", "corrected", "full_inversion"} & set(trials.run(NONE, {"corruption": 0.0}))
