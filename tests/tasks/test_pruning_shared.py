"""What every pruning method shares: batches, training, evaluation, the dense network, accuracy at a matched reduction, latency."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from harness.errors import UsageError
from harness.plan import Overrides, expand
from harness.task import Requirement
from tasks.blocks import latency, training
from tasks.blocks.batches import augmented
from tasks.blocks.convnets import ARCHITECTURES
from tasks.blocks.optim import Schedule, sgd
from tasks.blocks.supervised import Recipe, cross_entropy, evaluate, fit, noisy_labels
from tasks.blocks.training import generator
from tasks.pruning.dense import dense_accuracy, dense_network, fresh_network, train_dense
from tasks.pruning.measure import costs
from tasks.pruning.params import Network, network_fields, requires_dense
from tests.tasks.pruning_toys import REF, TASK, TINY, MakeTrial, maker, planted


@pytest.fixture
def make_trial(tmp_path: Path) -> MakeTrial:
    return maker(tmp_path, planted())


class Recorder(nn.Module):
    """A linear classifier that remembers its training batches."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(16, 4)
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        """(batch, 1, 4, 4) -> (batch, 4)."""
        if self.training:
            self.seen.append(images.clone())
        logits: Tensor = self.head(images.flatten(1))
        return logits


def seen(trial: Any, epochs: float = 2.0) -> Tensor:
    model = Recorder()
    fit(trial, model, Recipe(epochs, 0.1))
    return torch.cat(model.seen)


def test_an_epoch_sees_every_image_once(make_trial: MakeTrial) -> None:
    """100 images in batches of 16: batches cross the ends of epochs."""
    images = seen(make_trial("l1"), 4.0)
    assert len(images) == round(4 * 100 / 16) * 16
    first, second = images[:100], images[100:200]
    everything, _ = planted().all("train")
    assert len(first.unique(dim=0)) == len(second.unique(dim=0)) == 100
    assert torch.equal(first.unique(dim=0), everything.unique(dim=0))
    assert not torch.equal(first, second)


def test_methods_of_a_seed_share_their_batches(make_trial: MakeTrial) -> None:
    for augment in (False, True):
        values = {"augment": augment}
        left, right = (seen(make_trial(method, values)) for method in ("l1", "ours"))
        assert torch.equal(left, right)
        assert not torch.equal(left, seen(make_trial("l1", values, seed=1)))


def test_a_share_of_the_images_is_evenly_spread(make_trial: MakeTrial) -> None:
    images = seen(make_trial("l1", {"train_images": 34}), 8.0)
    everything, _ = planted().all("train")
    assert torch.equal(images.unique(dim=0), everything[torch.arange(0, 100, 3)].unique(dim=0))


def test_every_shift_and_mirror_is_of_the_image_itself() -> None:
    images = torch.rand(400, 2, 6, 5, generator=generator(0))
    moved = augmented(images, generator(1))
    found = []
    for image, result in zip(images, moved, strict=True):
        padded = {flip: F.pad(image.flip(2) if flip else image, (4, 4, 4, 4)) for flip in (False, True)}
        options = itertools.product((False, True), range(9), range(9))
        found += [
            option for option in options if torch.equal(padded[option[0]][:, option[1] : option[1] + 6, option[2] : option[2] + 5], result)
        ]
    assert len(found) == 400
    flips, rows, columns = zip(*found, strict=True)
    assert 0.4 < sum(flips) / 400 < 0.6
    assert set(rows) == set(columns) == set(range(9))
    assert torch.equal(augmented(images, generator(1)), moved)


def test_epochs_are_announced_before_their_first_step(make_trial: MakeTrial) -> None:
    model, calls = Recorder(), []
    fit(make_trial("l1"), model, Recipe(2.5, 0.1), on_epoch=lambda epoch: calls.append((epoch, len(model.seen))))
    assert calls == [(0, 0), (1, 7), (2, 13)]  # step 7 is the first whose batch begins behind image 100


def test_the_planted_classes_are_learned_and_the_loss_can_be_replaced(make_trial: MakeTrial) -> None:
    trial = make_trial("dense")
    metrics = train_dense(trial)[1]
    assert metrics["val_accuracy"] == 100.0
    assert metrics["train_loss"] < 0.3  # over all steps: it starts near log 4 = 1.39
    blind = fresh_network(trial)
    trained = fit(make_trial("l1"), blind, Recipe(4.0, 0.1), loss=lambda model, x, y: 0.0 * cross_entropy(model, x, y))
    assert trained.loss == 0.0
    assert all(torch.equal(old, new) for old, new in zip(fresh_network(trial).parameters(), blind.parameters(), strict=True))


def test_targets_can_be_replaced_image_by_image(make_trial: MakeTrial) -> None:
    """A hook that looks labels up by place teaches the same as the labels; noise turns its share of them, always the same ones."""
    labels = torch.from_numpy(planted().labels["train"])
    kept: list[Tensor] = []

    def looked_up(places: Tensor, given: Tensor) -> Tensor:
        assert torch.equal(labels[places], given)
        kept.append(places)
        return labels[places]

    plain, taught = (fit(make_trial("l1"), Recorder(), Recipe(2.0, 0.0), targets=hook) for hook in (None, looked_up))
    assert math.isfinite(plain.loss)
    assert math.isfinite(taught.loss)
    assert len(torch.cat(kept).unique()) == 100
    noise = noisy_labels(100, 4, 0.3, generator(7))
    everything = torch.arange(100)
    wrong = noise(everything, labels)
    assert int((wrong != labels).sum()) == 30
    assert torch.equal(wrong, noise(everything, labels))
    assert int(wrong.min()) >= 0
    assert int(wrong.max()) <= 3
    assert not torch.equal(wrong, noisy_labels(100, 4, 0.3, generator(8))(everything, labels))
    spread = noisy_labels(40_000, 4, 1.0, generator(1))(torch.arange(40_000), torch.zeros(40_000, dtype=torch.int64))
    assert spread.bincount(minlength=4)[1:].tolist() == pytest.approx([40_000 / 3] * 3, rel=0.03)


def test_divergence_is_told(make_trial: MakeTrial) -> None:
    model = Recorder()
    trained = fit(make_trial("l1"), model, Recipe(2.0, 0.1), loss=lambda model, x, y: cross_entropy(model, x, y) * math.nan)
    assert trained.diverged
    assert math.isnan(evaluate(make_trial("l1"), model, "val")["val_accuracy"])


class MachineLostError(Exception):
    """Stands for a machine that goes away."""


def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock is a hundred seconds later: a checkpoint at every logged step."""
    ticks = itertools.count(0, 100)
    monkeypatch.setattr(training.time, "monotonic", lambda: float(next(ticks)))


def test_an_interrupted_training_goes_on_to_the_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _clock(monkeypatch)
    values = {"augment": True}
    whole, broken = (maker(tmp_path / name, planted()) for name in ("whole", "broken"))
    expected = fresh_network(whole("l1", values))
    fit(whole("l1", values), expected, Recipe(3.0, 0.1))
    count = 0

    def fails(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        nonlocal count
        count += 1
        if count == 12:
            raise MachineLostError
        return cross_entropy(model, x, y)

    with pytest.raises(MachineLostError):
        fit(broken("l1", values), fresh_network(broken("l1", values)), Recipe(3.0, 0.1), loss=fails)
    resumed = fresh_network(broken("l1", values))
    count = 100
    fit(broken("l1", values), resumed, Recipe(3.0, 0.1), loss=fails)
    assert count < 100 + 12
    assert all(torch.equal(left, right) for left, right in zip(expected.parameters(), resumed.parameters(), strict=True))


def test_a_stage_does_not_go_on_from_another_s_checkpoint(make_trial: MakeTrial, monkeypatch: pytest.MonkeyPatch) -> None:
    _clock(monkeypatch)
    trial, model = make_trial("l1"), Recorder()
    for stage in ("sparse", "fine-tune"):
        model.seen.clear()
        fit(trial, model, Recipe(2.0, 0.1), stage=stage)
        assert len(model.seen) == 12
    steps = [int(row["step"]) for row in trial.curve]
    assert steps == sorted(set(steps))
    assert steps[-1] == 24


def test_evaluation_against_float64(make_trial: MakeTrial) -> None:
    trial = make_trial("l1", {"eval_images": 20})
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 4)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for split, count in (("val", 30), ("test", 40)):
        x, y = planted().all(split)
        index = torch.linspace(0, count - 1, 20, dtype=torch.float64).long()
        got = evaluate(trial, model, split)
        logits = model.double().eval()(x[index].double()).detach()
        model.float().train()
        reference = (torch.logsumexp(logits, 1) - logits[torch.arange(20), y[index]]).mean()
        assert got[f"{split}_loss"] == pytest.approx(float(reference), rel=1e-5)
        assert got[f"{split}_accuracy"] == pytest.approx(100 * float((logits.argmax(1) == y[index]).double().mean()))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_recipes_and_steps() -> None:
    schedule = Recipe(3.0, 0.1, "cosine", warmup=0.1).schedule(1000, 100)
    assert (schedule.steps, schedule.warmup) == (30, 3)
    assert schedule.factor(29) == pytest.approx(0.0, abs=1e-12)
    assert Recipe(0.0, 0.1).schedule(1000, 100).steps == 1
    dropping = Schedule(steps=100, warmup=0, shape="steps", milestones=(0.4, 0.6, 0.75))
    factors = [dropping.factor(step) for step in (0, 39, 40, 59, 60, 74, 75, 99)]
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_sgd_decays_everything_and_keeps_groups_apart() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    apart = list(model[1].parameters())
    optimizer = sgd(model, 0.5, momentum=0.9, decay=0.1, groups=[{"params": apart, "lr": 2.0, "weight_decay": 0.0}])
    before = [parameter.detach().clone() for parameter in model.parameters()]
    for _ in range(2):
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
    for old, new, lr, decay in zip(before, model.parameters(), (0.5, 0.5, 2.0, 2.0), (0.1, 0.1, 0.0, 0.0), strict=True):
        first = 1 + decay * old.double()
        middle = old.double() - lr * first
        expected = middle - lr * (0.9 * first + 1 + decay * middle)
        torch.testing.assert_close(new.detach().double(), expected, rtol=1e-5, atol=1e-6)
    Schedule(steps=10, warmup=1).set(optimizer, 0)
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 1.0]


def test_all_methods_of_a_seed_stand_on_one_dense_network() -> None:
    trials = expand(TASK, "smoke", Overrides(), {"planted": REF})
    dense = [trial for trial in trials if trial.method == "dense"]
    assert [trial.seed for trial in dense] == [0, 1]
    for trial in trials:
        if trial.method != "dense":
            assert trial.requires == dense[trial.seed].id
    assert requires_dense("dense", {}) is None
    values = {name: field.default for name, field in Network.__dataclass_fields__.items()}
    assert requires_dense("ours", values | {"reduction": 0.9}) == Requirement(method="dense", params=values)
    assert network_fields(values | {"reduction": 0.9}) == values


def test_the_kept_network_comes_back_to_the_bit(make_trial: MakeTrial) -> None:
    values = {"dense_epochs": 0.5}
    first = make_trial("dense", values)
    model, metrics = train_dense(first)
    dependent = make_trial("l1", values, requires=first.id)
    loaded = dense_network(dependent)
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in model.state_dict().items())
    assert dense_accuracy(dependent) == metrics["test_accuracy"] == metrics["dense_accuracy"]
    assert metrics["flops_reduction"] == 0.0
    assert metrics["parameters_kept"] == 100.0
    fresh = fresh_network(dependent)
    assert not torch.equal(fresh.state_dict()["first.weight"], loaded.state_dict()["first.weight"])
    assert torch.equal(fresh.state_dict()["first.weight"], fresh_network(first).state_dict()["first.weight"])
    assert fresh_network(first, width=0.2).head.in_features == 51  # type: ignore[union-attr]


def test_a_checkpoint_of_another_network_is_refused_naming_both(make_trial: MakeTrial) -> None:
    first = make_trial("dense", {"dense_epochs": 0.0})
    train_dense(first)
    with pytest.raises(UsageError, match=r"holds mlp at width 0.1 with .* \(1 x 4 x 4 -> 4 classes\), this trial needs vgg7 at width 0.5"):
        dense_network(make_trial("l1", {"arch": "vgg7", "width": 0.5}, requires=first.id))
    first.keep({"state": {}})
    with pytest.raises(UsageError, match="the checkpoint holds no network, this trial needs mlp"):
        dense_network(make_trial("l1", requires=first.id))


def test_costs_are_percent_of_the_dense_network() -> None:
    dense, half = (nn.Sequential(nn.Flatten(), nn.Linear(16, width, bias=False)) for width in (8, 6))
    assert costs(half, dense, (1, 4, 4)) == {"multiply_adds": 96, "flops_reduction": 25.0, "parameters": 96, "parameters_kept": 75.0}


def test_latency_takes_turns_and_reports_the_median(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[tuple[str, bool, bool]] = []

    class Named(nn.Module):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def forward(self, x: Tensor) -> Tensor:
            order.append((self.name, self.training, torch.is_grad_enabled()))
            return x

    models = {"a": Named("a").train(), "b": Named("b").eval()}
    seconds = itertools.cycle([0.0, 0.002, 10.0, 10.007, 20.0, 29.0, 30.0, 30.006])  # a: 2 ms and 9 s in turns, b: 7 ms and 6 ms
    monkeypatch.setattr(latency, "_WARM_UP", 2)
    monkeypatch.setattr(latency.time, "perf_counter", lambda: next(seconds))
    found = latency.latencies_ms(models, torch.zeros(1), rounds=3)
    assert [name for name, _, _ in order] == ["a", "a", "b", "b", "a", "b", "a", "b", "a", "b"]
    assert not any(training or grad for _, training, grad in order)
    assert models["a"].training
    assert not models["b"].training
    assert found == pytest.approx({"a": 2.0, "b": 7.0})


def test_declarations_import_no_torch() -> None:
    code = "import sys, tasks.pruning.params; sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_parameter_knows_every_architecture() -> None:
    assert Network.__dataclass_fields__["arch"].metadata["choices"] == ARCHITECTURES
    assert set(TINY) <= set(network_fields(dict.fromkeys(Network.__dataclass_fields__, 0)))
