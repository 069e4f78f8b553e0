"""2501.04697: softmax collapse, the alignment of gradient and weights, and which method trains how."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from tasks.blocks.small_losses import cross_entropy, cross_entropy_in, stablemax_cross_entropy
from tasks.blocks.small_members import View
from tasks.grokking.grokking_stablemax import experiment
from tasks.grokking.grokking_stablemax.claims import ADAMW, FLOOR, PERP, ROLLED, SOFTMAX16, SOFTMAX64, STABLEMAX
from tests.tasks.trials import Trials

TINY = {"p": 7, "width": 16, "steps": 12}


@pytest.fixture
def trials(tmp_path: Path) -> Trials:
    return Trials("grokking-stablemax", tmp_path, base=TINY)


@pytest.mark.parametrize(
    ("dtype", "gap"), [(torch.float16, math.log(2**11)), (torch.float32, math.log(2**24)), (torch.float64, math.log(2**53))]
)
def test_softmax_collapses_beyond_the_rounding_of_its_sum(dtype: torch.dtype, gap: float) -> None:
    logits = torch.tensor([[0.0, -1.01 * gap], [0.0, -0.99 * gap], [-2.0 * gap, 0.0]], dtype=torch.float64)
    assert experiment.collapse(logits, torch.tensor([0, 0, 0]), dtype).tolist() == [True, False, False]


def test_the_threshold_is_found_by_bisection(trials: Trials) -> None:
    for dtype in ("float16", "float32", "float64"):
        assert abs(trials.run(SOFTMAX64, {"dtype": dtype}, experiment="threshold")["gap_error"]) < 1e-3


def test_alignment_is_the_cosine_of_the_descent_and_the_last_weights(trials: Trials) -> None:
    trial = trials(ADAMW)
    net, member = experiment.network(trial), experiment.member(trial)
    start = {name: value[None] for name, value in net.initial(torch.Generator().manual_seed(3)).items()}
    leaf = {name: value[0].clone().requires_grad_() for name, value in start.items()}
    rows = member.rows
    cross_entropy(net(leaf, member.inputs[rows], {}), member.targets[rows]).mean().backward()
    slope = leaf["weight2"].grad
    assert slope is not None
    wanted = torch.cosine_similarity(-slope.flatten(), start["weight2"].flatten(), dim=0)
    outputs = torch.stack([net({name: value[0] for name, value in start.items()}, member.inputs, {})])
    splits = {name: mask[None] for name, mask in member.splits.items()}
    view = View(outputs, member.targets[None], member.targets[None], splits, start, {})
    found = experiment.observe(net, member.inputs, view)
    assert float(found["alignment"]) == pytest.approx(float(wanted), rel=1e-9)
    assert float(found["norm"]) == pytest.approx(math.sqrt(sum(float(value.square().sum()) for value in start.values())))


def test_the_ablation_turns_away_from_another_direction_of_equal_length() -> None:
    stream = torch.Generator().manual_seed(0)
    w, g = (torch.randn(3, 5, 4, generator=stream, dtype=torch.float64) for _ in range(2))
    found = experiment.beside_rolled(w, g)
    other = w.flatten(1).roll(1, 1)
    assert (found.flatten(1) * other).sum(1).abs().max() < 1e-12
    assert (found * w).flatten(1).sum(1).abs().min() > 1e-3
    assert torch.allclose(found.flatten(1).norm(dim=1), g.flatten(1).norm(dim=1))


def test_every_method_trains_as_its_name_says(trials: Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, tuple[object, object]] = {}
    real = experiment.train_trials
    for method in (ADAMW, PERP, ROLLED, STABLEMAX, SOFTMAX16, SOFTMAX64, FLOOR):
        monkeypatch.setattr(
            experiment,
            "train_trials",
            lambda *of, method=method, **how: asked.setdefault(method, (how["loss"], how["gradient"])) and real(*of, **how),
        )
        trials.run(method)
    assert asked[ADAMW] == (cross_entropy, None)
    assert asked[STABLEMAX] == (stablemax_cross_entropy, None)
    assert asked[PERP] == asked[FLOOR] == (cross_entropy, experiment.perp_grad)
    assert asked[ROLLED] == (cross_entropy, experiment.beside_rolled)
    logits, label = torch.tensor([[9.0, 0.0]]), torch.tensor([0])
    for method, dtype in ((SOFTMAX16, torch.float16), (SOFTMAX64, torch.float64)):
        loss, gradient = asked[method]
        assert gradient is None
        assert loss(logits, label) == cross_entropy_in(dtype)(logits, label)  # type: ignore[operator]


def test_random_labels_are_trained_on_and_the_truth_is_measured(trials: Trials) -> None:
    floor, plain = experiment.member(trials(FLOOR)), experiment.member(trials(PERP))
    assert floor.truth is not None
    assert torch.equal(floor.truth, plain.targets)
    assert 0.7 < (floor.targets != plain.targets).double().mean() < 1.0
    assert all(torch.equal(floor.splits[name], plain.splits[name]) for name in plain.splits)


def test_weights_start_as_those_of_torchs_linear_layers(trials: Trials) -> None:
    start = experiment.network(trials(ADAMW, {"p": 47, "width": 128})).initial(torch.Generator().manual_seed(1))
    for name, fan_in in (("weight0", 94), ("weight1", 128), ("weight2", 128)):
        assert float(start[name].std()) == pytest.approx(1.0 / math.sqrt(3.0 * fan_in), rel=0.05)


def test_perp_grad_generalises_where_plain_steps_and_the_ablation_do_not(trials: Trials) -> None:
    values = {"p": 23, "width": 96, "fraction": 0.6, "steps": 200, "lr": 0.02}
    known = {method: trials.run(method, values)["test_accuracy"] for method in (ADAMW, PERP, ROLLED)}
    assert known[PERP] > max(known[ADAMW], known[ROLLED]) + 0.3
