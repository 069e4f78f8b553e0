"""2501.04697: the alignment of gradient and weights, where softmax collapses, and which method trains how."""

from __future__ import annotations

import math

import pytest
import torch

from tasks.blocks.small_losses import cross_entropy, cross_entropy_in, stablemax_cross_entropy
from tasks.blocks.small_members import Run
from tasks.blocks.small_networks import linear_std
from tasks.blocks.small_optimizers import perp_grad
from tasks.grokking.grokking_stablemax import experiment
from tasks.grokking.grokking_stablemax.task import ADAMW, FLOOR, PERP, ROLLED, SOFTMAX16, SOFTMAX64, STABLEMAX
from tests.tasks.planted import viewed
from tests.tasks.trials import Trials, recipe

TASK_ID, BASE = "grokking-stablemax", {"p": 7, "width": 16, "steps": 12}


def test_the_threshold_is_found_by_bisection(trials: Trials) -> None:
    for dtype, bits in (("float16", 11), ("float32", 24), ("float64", 53)):
        found = trials.run(SOFTMAX64, {"dtype": dtype}, experiment="threshold")
        assert found == pytest.approx({"gap": bits * math.log(2.0), "gap_error": 0.0}, rel=1e-3, abs=1e-3)


def test_alignment_is_the_cosine_of_the_descent_and_the_last_weights(trials: Trials) -> None:
    net, one = experiment.network(trials(ADAMW)), experiment.member(trials(ADAMW))
    start, inputs, targets = net.initial(torch.Generator().manual_seed(3)), one.inputs[one.rows], one.targets[one.rows]
    slope = torch.func.grad(lambda own: cross_entropy(net(own, inputs, {}), targets).mean())(start)["weight2"]
    wanted = torch.cosine_similarity(-slope.flatten(), start["weight2"].flatten(), dim=0)
    found = experiment.observe(net, viewed(net, one, start))
    assert float(found["alignment"]) == pytest.approx(float(wanted), rel=1e-9)
    assert float(found["norm"]) == pytest.approx(math.sqrt(sum(float(value.square().sum()) for value in start.values())))


def test_numbers_of_a_run(trials: Trials) -> None:
    rising = {"train_accuracy": [0.1, 1.0, 1.0], "test_accuracy": [0.0, 0.5, 0.96], "alignment": [0.1, 0.2, 0.8], "norm": [2.0, 3.0, 5.0]}
    lost = {"collapse_float16": [0.0, 0.6, 1.0], "collapse_float32": [0.0, 0.4, 0.5], "collapse_float64": [0.0, 0.0, 0.4]}
    found = experiment.metrics(trials(ADAMW), Run([0, 5, 9], {"val_accuracy": [0.3], "train_loss": [0.7], **rising, **lost}, {}))
    times = {"fit_steps": 5, "steps": 9, "steps_float16": 5, "steps_float32": 9, "steps_float64": 9, "steps_float64_censored": 1}
    wanted = {**times, "alignment_rise": 0.7, "norm_ratio": 2.5, "collapse_float32": 0.5, "val_accuracy": 0.3, "train_loss": 0.7}
    assert {name: found[name] for name in wanted} == pytest.approx(wanted)


def test_the_ablation_turns_away_from_another_direction_of_equal_length() -> None:
    w, g = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = experiment.beside_rolled(w, g)
    assert (found.flatten(1) * w.flatten(1).roll(1, 1)).sum(1).abs().max() < 1e-12
    assert (found * w).flatten(1).sum(1).abs().min() > 1e-3
    assert torch.allclose(found.flatten(1).norm(dim=1), g.flatten(1).norm(dim=1))


def test_every_method_trains_as_its_name_says(trials: Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {method: recipe(experiment.train, trials(method), monkeypatch) for method in [m.name for m in trials.task.methods]}
    gradients = {method: how["gradient"] for method, how in asked.items() if "gradient" in how}
    assert gradients == {PERP: perp_grad, FLOOR: perp_grad, ROLLED: experiment.beside_rolled}
    losses, outputs = {STABLEMAX: stablemax_cross_entropy}, torch.tensor([[9.0, 0.0]])
    losses |= {SOFTMAX16: cross_entropy_in(torch.float16), SOFTMAX64: cross_entropy_in(torch.float64)}
    for method, how in asked.items():
        loss, wanted = how.get("loss", cross_entropy), losses.get(method, cross_entropy)
        assert loss(outputs, torch.tensor([0])) == wanted(outputs, torch.tensor([0])), method


def test_all_labels_of_the_floor_are_random_and_weights_start_as_torchs(trials: Trials) -> None:
    floor, plain = (experiment.member(trials(method, {"p": 47, "decay": 0.3})) for method in (FLOOR, PERP))
    assert plain.decay == 0.3
    for mask in floor.splits.values():
        assert (floor.targets != plain.targets)[mask].double().mean() == pytest.approx(46 / 47, abs=0.03)
    start = experiment.network(trials(ADAMW, {"p": 47, "width": 128})).initial(torch.Generator().manual_seed(1))
    spread = {name: float(value.std()) for name, value in start.items()}
    assert spread == pytest.approx({f"weight{place}": linear_std(fan_in) for place, fan_in in enumerate((94, 128, 128))}, rel=0.05)


def test_perp_grad_generalises_where_plain_steps_and_the_ablation_do_not(trials: Trials) -> None:
    values = {"p": 23, "width": 96, "fraction": 0.6, "steps": 200, "lr": 0.02}
    known = {method: trials.run(method, values)["test_accuracy"] for method in (ADAMW, PERP, ROLLED)}
    assert known[PERP] > max(known[ADAMW], known[ROLLED]) + 0.3
