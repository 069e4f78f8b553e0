"""Whole trials of FTWT at toy size, the numbers of its claims, and what must not be possible: unmasked networks, thresholds that empty."""

from __future__ import annotations

import copy
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from harness import data, given_files, registry
from harness.coverage import needs
from harness.errors import UsageError
from harness.plan import DataRef, Overrides, data_names, expand
from harness.task import Task
from tasks.blocks.complexity import multiply_adds
from tasks.blocks.convnets import convnet, units
from tasks.blocks.supervised import evaluate
from tasks.blocks.training import Trained, generator
from tasks.pruning import dense
from tasks.pruning.axes import remove
from tasks.pruning.dense import dense_network, dense_recipe, train_dense
from tasks.pruning.dynamic_pruning_ftwt import dynamic
from tasks.pruning.dynamic_pruning_ftwt.claims import drop_at, gain, gains, mispredictions, over_random
from tasks.pruning.dynamic_pruning_ftwt.flops import cost
from tasks.pruning.dynamic_pruning_ftwt.gates import GatedNetwork, gated
from tasks.pruning.dynamic_pruning_ftwt.masks import Rule
from tasks.pruning.dynamic_pruning_ftwt.methods import GATED, METHODS, STATIC
from tasks.pruning.dynamic_pruning_ftwt.published import PUBLISHED
from tasks.pruning.dynamic_pruning_ftwt.recipe import level_batch
from tasks.pruning.dynamic_pruning_ftwt.soft import Softly
from tests.tasks.pruning_toys import lived_in
from tests.tasks.trials import Trials

NAMES = [method.name for method in METHODS]
TINY: dict[str, Any] = {
    **{"width": 0.1, "batch": 32, "dense_epochs": 3.0, "dense_lr": 0.1, "epochs": 2.0, "lr": 0.05, "train_images": 400, "eval_images": 100},
    **{"level_images": 64, "rounds": 1},
}


@pytest.fixture
def task() -> Task:
    return registry.task("dynamic-pruning-ftwt")


@pytest.fixture
def trials(task: Task, cache: Path, tmp_path: Path) -> Trials:
    """Trials on the digits; those that need a dense network get one, trained once a test and seed."""
    return Trials(task, tmp_path, base=TINY, data=data.prepare(registry.dataset("digits")))


# The claims' numbers


def row(method: str, reduction: float, reached: float, accuracy: float, **metrics: float) -> dict[str, Any]:
    """One record of the curves; the dense network of the seed is right in 80 %."""
    values = {"flops_reduction": reached, "test_accuracy": accuracy, "accuracy_drop": 80.0 - accuracy} | metrics
    identity = {"experiment": "prune", "view.curves": True, "method": method, "seed": 0, "status": "ok", "param.reduction": reduction}
    return identity | {f"metric.{name}": value for name, value in values.items()}


CURVES = [
    row("dense", 0.0, 0.0, 80.0),
    *(row("l1", 0.4, 40.0, 78.0), row("l1", 0.7, 70.0, 70.0), row("l1", 0.9, 90.0, 50.0)),
    *(row("ftwt-code", 0.4, 20.0, 80.0, predicted_reduction=38.0), row("ftwt-code", 0.6, 80.0, 58.0, predicted_reduction=71.0)),
]


def test_a_gain_is_read_off_the_rivals_curve_at_what_was_reached() -> None:
    frame = pd.DataFrame(CURVES)
    assert gain("ftwt-code", "l1", 0.4)(frame) == pytest.approx(80.0 - 79.0), "half way from the dense network to 78"
    assert gain("ftwt-code", "l1", 0.6)(frame) == pytest.approx(58.0 - 60.0), "half way from 70 to 50"
    assert gains("ftwt-code", "l1")(frame) == pytest.approx(-0.5)
    assert [part(frame) for part in mispredictions("ftwt-code").parts] == pytest.approx([20.0 - 38.0, 80.0 - 71.0]), "each of the targets"


def test_a_rival_below_random_filters_is_known_where_it_is_compared(task: Task) -> None:
    floor = [row("random", 0.4, 40.0, 76.0), row("random", 0.9, 90.0, 46.0)]
    frame = pd.DataFrame([*CURVES, *floor])
    # The dense network has 80 points: at 20 and 80 % l1 has 79 and 60, random filters 78 and 52.
    assert over_random("l1")(frame) == pytest.approx(((79.0 - 78.0) + (60.0 - 52.0)) / 2)
    for claim in task.claims:
        if claim.group == "C1":
            assert claim.stands_on == (f"control-floor-{claim.id.removeprefix('C1-')}",)
    assert {need.method for need in needs(task.claim("control-floor-sfp").estimate)} == {"sfp", "random", "ftwt-code", "dense"}


def test_published_gains_are_read_off_the_published_rows(task: Task) -> None:
    rows = [row for row in PUBLISHED if row.arch == "resnet34"]
    saved, drop = [0.0, *(row.saved for row in rows)], [0.0, *(row.drop for row in rows)]
    for rival, (at, lost) in {"taylor": (22.25, 0.48), "fpgm": (41.10, 1.38), "sfp": (41.10, 2.09)}.items():
        assert task.claim(f"C1-{rival}").published == pytest.approx(lost - np.interp(at, saved, drop), abs=0.005)


def test_beyond_the_rivals_curve_nothing_is_said() -> None:
    short = [record for record in CURVES if not (record["method"] == "l1" and record["param.reduction"] > 0.5)]
    assert math.isnan(gains("ftwt-code", "l1")(pd.DataFrame(short)))


def test_networks_at_published_thresholds_are_no_part_of_the_curves() -> None:
    others = [row("ftwt-code", 0.4, 99.0, 1.0), row("dense", 0.0, 0.0, 5.0)]
    frame = pd.DataFrame([*CURVES, *(record | {"view.curves": False} for record in others)])
    assert gains("ftwt-code", "l1")(frame) == pytest.approx(-0.5)


def test_a_gain_says_which_trials_it_needs() -> None:
    assert {need.method for need in needs(gains("ftwt-code", "l1"))} == {"ftwt-code", "l1", "dense"}


def test_the_leaderboard_reads_a_methods_own_curve() -> None:
    frame = pd.DataFrame([record for record in CURVES if record["method"] == "l1"])
    assert drop_at(55.0)(frame) == pytest.approx(6.0)
    assert drop_at(20.0)(frame) == pytest.approx(1.0)
    assert math.isnan(drop_at(95.0)(frame))


@pytest.mark.parametrize("scale", ["smoke", "laptop", "gpu", "paper"])
def test_a_dense_network_is_trained_once_and_every_method_is_on_the_curves(task: Task, scale: str) -> None:
    planned = expand(task, scale, Overrides(seeds=1), {name: DataRef(name, "s", "stand-in", "f") for name in data_names(task, scale)})
    networks = [(trial.params["arch"], trial.params["batch"]) for trial in planned if trial.method == "dense"]
    assert len(networks) == len(set(networks))
    assert all(bool(trial.requires) == (trial.method != "dense") for trial in planned)
    curves = [trial for trial in planned if trial.views]
    assert {trial.method for trial in curves} == set(NAMES)
    assert len({trial.params["arch"] for trial in curves}) == 1
    assert all(trial.params["threshold"] == 0.0 for trial in curves)


def test_each_method_is_of_one_kind() -> None:
    assert ["dense", *GATED, *STATIC] == NAMES


# Trials


def test_every_method_reaches_what_it_aims_at(trials: Trials) -> None:
    for method in NAMES[1:]:
        metrics = trials.run(method, {"reduction": 0.5})
        assert metrics["accuracy_drop"] == pytest.approx(metrics["dense_accuracy"] - metrics["test_accuracy"]), method
        if method in STATIC:
            assert metrics["flops_reduction"] >= 50.0, method
            assert metrics["parameters_kept"] < 100.0, method
        if method in GATED:
            assert metrics["predicted_reduction"] >= 50.0, method
            assert metrics["flops_reduction"] > 0.0, method
        assert (metrics.get("flops_std") == 0.0) == (method == "ftwt-constant"), "a constant predictor has one cost for all inputs"
        assert (metrics.get("mask_accuracy") == 100.0) == (method == "ftwt-oracle")


def test_what_is_reported_is_the_masked_network(trials: Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    """Untrained, a gated network that let everything through would answer exactly as the dense one."""
    monkeypatch.setattr(dynamic, "learn", lambda trial, network: Trained(0.0))
    dense = trials.run("dense")["val_loss"]
    assert trials.run("ftwt-oracle", {"reduction": 0.6})["val_loss"] > 1.01 * dense
    monkeypatch.setattr(GatedNetwork, "forward", lambda self, images: self.set_mode("open").backbone(images))
    assert evaluate(trials("dense"), dynamic.build(trials("ftwt-oracle"), GATED["ftwt-oracle"]), "val")["val_loss"] == dense


def test_the_mask_loss_ends_at_half_time(trials: Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []
    plain = GatedNetwork.mask_loss
    monkeypatch.setattr(GatedNetwork, "mask_loss", lambda self: (counted.append(int(self.steps)), plain(self))[1])
    trial = trials("ftwt-code", {"reduction": 0.5})
    network = dynamic.build(trial, GATED["ftwt-code"])
    dynamic.learn(trial, network)
    assert int(network.steps) == 25, "2 epochs of 400 images in batches of 32"
    assert counted == list(range(13)), "weight 1 up to half time, then 0"


def test_predictors_stand_still_after_half_time_and_keep_their_rate_before(trials: Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = trials("ftwt-code", {"reduction": 0.5})
    network = dynamic.build(trial, GATED["ftwt-code"])
    bias, seen, rates = network.predictor_parameters()[1], list[Tensor](), list[float]()
    plain = torch.optim.SGD.step

    def step(self: torch.optim.SGD, closure: None = None) -> None:
        plain(self, closure)
        rates.append(self.param_groups[1]["lr"])
        seen.append(bias.detach().clone())

    monkeypatch.setattr(torch.optim.SGD, "step", step)
    dynamic.learn(trial, network)
    assert set(rates) == {0.1}, "whatever the backbone's cosine does"
    assert all(not torch.equal(a, b) for a, b in itertools.pairwise(seen[:13]))
    assert all(torch.equal(seen[12], later) for later in seen[13:])


def test_shortcuts_are_counted_and_never_switched() -> None:
    backbone = convnet("resnet8", shape=(1, 8, 8), num_classes=10, width=0.25, stream=generator(0))
    dense = multiply_adds(backbone, (1, 8, 8))
    inside = {name: (unit, unit.conv) for name, unit in units(backbone).items()}
    network = gated(backbone, inside, Rule("mass", 0.8), lambda channels, filters: None, always_on=dynamic._is_shortcut).eval()
    fixed = [name for name, gate in network.gates.items() if gate.rule is None]
    assert fixed == ["blocks.1.shortcut", "blocks.2.shortcut"]
    images = torch.randn(3, 1, 8, 8, generator=generator(1))
    network.set_mode("open")(images)
    assert cost(network, images).multiply_adds.tolist() == [dense] * 3
    network.set_mode("masked")(images)
    assert bool((cost(network, images).multiply_adds < dense).all())


@pytest.mark.parametrize("arch", ["vgg16", "resnet50", "mobilenet-v1", "mobilenet-v2"])
def test_open_gates_cost_what_torch_counts(arch: str) -> None:
    backbone = convnet(arch, shape=(3, 32, 32), num_classes=10, width=0.1, stream=generator(0))
    dense = multiply_adds(backbone, (3, 32, 32))
    inside = {name: (unit, unit.conv) for name, unit in units(backbone).items()}
    network = gated(backbone, inside, Rule("mass", 0.9), lambda channels, filters: None, always_on=dynamic._is_shortcut).eval()
    images = torch.randn(2, 3, 32, 32, generator=generator(1))
    network.set_mode("open")(images)
    assert cost(network, images).multiply_adds.tolist() == [dense] * 2
    network.set_mode("masked")(images)
    masked = cost(network, images)
    assert bool((masked.multiply_adds < dense).all())
    if arch != "vgg16":
        assert bool((masked.as_published < masked.multiply_adds - 10 * backbone.get_submodule("head").in_features).all()), (
            "credited too much"
        )


def test_soft_pruning_lets_filters_grow_up_to_the_least_kept_until_it_settles(trials: Trials) -> None:
    dense = dense_network(trials("sfp", {"reduction": 0.5}))
    softly = Softly(dense, (1, 8, 8), 0.5, settling=3)
    weight, norm = (dense.get_submodule(f"features.0.{name}").get_parameter("weight") for name in ("conv", "norm"))
    softly.silence()
    silent = weight.flatten(1).norm(dim=1) == 0
    assert 0 < int(silent.sum()) < len(weight)
    assert (~silent).nonzero().flatten().tolist() == softly.kept["features.0.conv"].tolist()
    with torch.no_grad():
        weight[silent] += 1e3
        weight[int(silent.nonzero()[0])] *= 1e-6
    kept, small = weight[~silent].clone(), weight[int(silent.nonzero()[0])].clone()
    softly.after_step()
    norms = weight.detach().flatten(1).norm(dim=1)
    assert float(norms[silent].max()) == pytest.approx(float(norms[~silent].min())), "as large as the least that is kept"
    assert torch.equal(weight[~silent], kept)
    assert torch.equal(weight[int(silent.nonzero()[0])], small), "what is smaller grows as it likes"
    with torch.no_grad():
        weight[int((~silent).nonzero()[0])] *= 1e-9
    softly.silence()
    again = weight.flatten(1).norm(dim=1) == 0
    assert not torch.equal(again, silent), "a filter that fell below it goes in its place"
    assert bool((norm != 0).all())
    softly.after_step()
    assert not softly.settled
    softly.after_step()
    assert softly.settled
    for _ in range(2):
        with torch.no_grad():
            weight += 1.0
        softly.after_step()
        assert torch.equal(weight.flatten(1).norm(dim=1) == 0, again), "held at nothing"
        assert torch.equal(norm == 0, again)


@pytest.mark.parametrize(("arch", "norm"), [("vgg7", True), ("vgg7", False), ("resnet8", True), ("mobilenet-v2", True)])
def test_settled_filters_are_removed_without_a_change(arch: str, norm: bool) -> None:
    """The silent network and the smaller one agree, after steps that move every weight and statistic."""
    shape = (3, 16, 16)
    model = lived_in(arch, shape, width=0.25, norm=norm)
    softly = Softly(model, shape, 0.4, settling=2)
    optimizer = torch.optim.SGD(softly.parameters(), lr=0.01, momentum=0.9)
    optimizer.register_step_post_hook(lambda *_: softly.after_step())
    softly.silence()
    images = torch.randn(16, *shape, dtype=torch.float64, generator=generator(1))
    softly.train()
    for _ in range(4):
        optimizer.zero_grad()
        softly(images).square().mean().backward()
        optimizer.step()
    smaller = remove(model, shape, softly.kept).eval()
    assert multiply_adds(smaller, shape) <= 0.6 * multiply_adds(model, shape)
    torch.testing.assert_close(smaller(images), softly.eval()(images))


def test_soft_pruning_goes_on_where_it_was(trials: Trials) -> None:
    """What is silent, and for how long yet, is part of the network's state."""
    dense = dense_network(trials("sfp", {"reduction": 0.5}))
    first, second = (Softly(copy.deepcopy(dense), (1, 8, 8), 0.5, settling=2) for _ in range(2))
    first.silence()
    first.after_step()
    first.after_step()
    second.load_state_dict(first.state_dict())
    assert second.settled
    assert {name: kept.tolist() for name, kept in second.kept.items()} == {name: kept.tolist() for name, kept in first.kept.items()}


def test_soft_pruning_silences_before_the_first_epoch_and_after_each(trials: Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight epochs of 12.5 steps, of which four are free: the pruning that begins the fifth finds the network settled."""
    calls: list[int] = []
    plain = Softly.silence
    monkeypatch.setattr(Softly, "silence", lambda self: (calls.append(int(self.steps)), plain(self))[1])
    metrics = trials.run("sfp", {"reduction": 0.5, "epochs": 8.0})
    assert calls == [0, 13, 25, 38]
    assert metrics["flops_reduction"] >= 50.0


def test_a_checkpoint_stands_for_the_dense_network_and_nothing_is_trained(
    trials: Trials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = dense_network(trials("l1"))
    torch.save({"state_dict": trained.state_dict()}, tmp_path / "mine.pth")
    (given,) = given_files.fingerprints([trials.task], {"checkpoint": [str(tmp_path / "mine.pth")]})["checkpoint"]
    monkeypatch.setattr(dense, "fit", lambda *_: pytest.fail("it was trained"))
    trial = trials("dense", {"checkpoint": given}, seed=1)
    metrics = train_dense(trial)[1]
    assert metrics["test_accuracy"] == evaluate(trial, trained, "test")["test_accuracy"]
    assert "train_loss" not in metrics
    assert [note.partition(":")[0] for note in trial.notes] == [f"started from mine.pth (SHA-256 {given}...)"]
    pruned = trials("l1", {"checkpoint": given, "reduction": 0.5}, seed=1)
    assert torch.equal(dense_network(pruned).state_dict()["head.weight"], trained.state_dict()["head.weight"])
    with pytest.raises(UsageError, match="and this vgg7 needs"):
        train_dense(trials("dense", {"checkpoint": given, "width": 0.2}))


def test_a_checkpoint_of_other_images_gets_its_own(trials: Trials, tmp_path: Path) -> None:
    """The set's pixels from 0 to 1, not as it normalises them, in training and wherever the network is loaded."""
    torch.save(dense_network(trials("l1")).state_dict(), tmp_path / "mine.pth")
    (given,) = given_files.fingerprints([trials.task], {"checkpoint": [str(tmp_path / "mine.pth")]})["checkpoint"]
    plain, unit = (dense_network(trials("l1", {"checkpoint": given, "checkpoint_inputs": inputs})).eval() for inputs in ("data", "unit"))
    images = trials("l1").dataset()
    normalised, _ = images.take("val", slice(0, 5))
    pixels = torch.from_numpy(np.array(images.pixels["val"][:5])).permute(0, 3, 1, 2) / 255.0
    torch.testing.assert_close(unit(normalised), plain(pixels))
    assert not torch.allclose(unit(normalised), plain(normalised), atol=0.1)


def test_the_schedule_of_the_authors_is_a_choice(trials: Trials) -> None:
    """A tenth at 81, 122 and 151 of 200 epochs, for the dense network and for one from scratch."""

    def rates(name: str) -> list[float]:
        params = trials("dense", {"dense_schedule": name, "dense_lr": 1.0, "dense_epochs": 200.0}).params
        schedule = dense_recipe(params).schedule(100, 100)
        weight = torch.nn.Parameter(torch.zeros(1))
        found = []
        for epoch in (0, 80, 81, 121, 122, 150, 151, 199):
            optimizer = torch.optim.SGD([{"params": [weight], "initial_lr": 1.0}], lr=1.0)
            schedule.set(optimizer, epoch)
            found.append(optimizer.param_groups[0]["lr"])
        return found

    assert rates("cifar-steps") == pytest.approx([1.0, 1.0, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001])
    assert rates("steps") == pytest.approx([1.0, 1.0, 1.0, 0.1, 0.1, 0.01, 0.01, 0.01])
    assert dense_recipe(trials("dense").params, 7.0).epochs == 7.0


def test_importance_reads_training_images(trials: Trials) -> None:
    trial = trials("taylor", {"reduction": 0.5})
    inputs, targets = level_batch(trial)
    train, labels = next(iter(trial.dataset().batches("train", 64, 64)))
    assert torch.equal(inputs, train)
    assert torch.equal(targets, labels)


# Bad input


def test_an_impossible_target_is_one_clear_sentence(trials: Trials) -> None:
    for method in ("ftwt-code", "l1", "smaller-from-scratch"):
        with pytest.raises(UsageError, match=r"99 ?% cannot be met"):
            trials.run(method, {"reduction": 0.99})


def test_a_threshold_that_empties_a_layer_is_refused(trials: Trials) -> None:
    with pytest.raises(UsageError, match=r"leaves no filter on any input in features\.0"):
        trials.run("ftwt-code", {"threshold": 0.01})


def test_a_published_threshold_is_used_as_it_is(trials: Trials) -> None:
    assert trials.run("ftwt-code", {"threshold": 0.9})["level"] == 0.9


def test_a_network_without_convolutions_is_refused(trials: Trials) -> None:
    with pytest.raises(UsageError, match="an mlp has none"):
        trials.run("dense", {"arch": "mlp"})


def test_the_constant_rival_is_chosen_on_training_images(trials: Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = trials("ftwt-paper")
    images = level_batch(trial)[0]
    seen: list[Tensor] = []

    class Watched(dynamic.Majority):
        def add(self, network: GatedNetwork) -> None:
            seen.append(given[-1])
            super().add(network)

    given: list[Tensor] = []
    forward = GatedNetwork.forward

    def watching(self: GatedNetwork, inputs: Tensor) -> Tensor:
        given.append(inputs)
        return forward(self, inputs)

    monkeypatch.setattr(GatedNetwork, "forward", watching)
    monkeypatch.setattr(dynamic, "Majority", Watched)
    trials.run("ftwt-paper")
    assert len(seen) == 1
    torch.testing.assert_close(seen[0], images, rtol=0, atol=0)


# One data set of two


def test_cifar_alone_runs_the_paper_scale(task: Task) -> None:
    """ImageNet need not be there: four trials to a card and four CPUs each, where a photograph's trial takes all of both."""
    ref = {"cifar10": DataRef("cifar10", "cifar10", "real", "0")}
    alone = expand(task, "paper", Overrides(data=("cifar10",)), ref)
    both = expand(task, "paper", Overrides(), ref | {"imagenet": DataRef("imagenet", "imagenet", "real", "1")})
    assert {trial.id for trial in alone} == {trial.id for trial in both if trial.data and trial.data.name == "cifar10"}
    assert (len(alone), len(both)) == (153, 180)
    shapes = {(trial.data.name, trial.resources.cpus, trial.resources.gpus) for trial in both if trial.data}
    assert shapes == {("cifar10", 4, 0.25), ("imagenet", 16, 1)}
