"""The estimates on planted effects, the claims at every scale, and whole trials at toy size."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from harness import data, params, registry
from harness.data import open_data
from harness.errors import UsageError
from harness.estimates import Of
from harness.plan import DataRef, Overrides, TrialSpec, data_names, expand
from harness.task import Task
from harness.trial import Trial
from tasks.blocks.convnets import convnet
from tasks.datasets.images import Images
from tasks.pruning.criteria import CRITERIA
from tasks.pruning.feature_merging_ifm import experiment
from tasks.pruning.feature_merging_ifm.carriers import mergeable
from tasks.pruning.feature_merging_ifm.designs import CUTTING, MERGING, NEED_BATCHNORM, WITH_NORM, WITHOUT_NORM
from tasks.pruning.feature_merging_ifm.estimates import (
    LossAt,
    MiddleOverEnds,
    RankCorrelation,
    complexity_accuracy,
    gap,
    width_exponent,
)
from tasks.pruning.feature_merging_ifm.experiment import run
from tasks.pruning.feature_merging_ifm.metrics import DEEPEST, layer_metric
from tasks.pruning.feature_merging_ifm.reduction import RULES
from tests.tasks.standing import MakeTrial, maker

TASK_ID = "feature-merging-ifm"
TINY = {"arch": "vgg7", "width": 0.0625, "dense_epochs": 1.0, "train_images": 256, "eval_images": 64}
TINY_PLAIN = {"arch": "mlp", "width": 0.1, "norm": False, "dense_epochs": 4.0, "dense_lr": 0.1, "eval_images": 200}


@pytest.fixture
def task() -> Task:
    return registry.task(TASK_ID)


@pytest.fixture
def digits(cache: Path) -> DataRef:
    """The digits, prepared in the test's own cache."""
    return data.prepare(registry.dataset("digits"))


@pytest.fixture
def make_trial(task: Task, digits: DataRef, tmp_path: Path) -> MakeTrial:
    """Trials on the digits with the given parameters over the defaults; what they stand on has been trained."""
    images = open_data(registry.dataset("digits"), digits)
    return maker(task, run, tmp_path, base={}, opened=lambda change: change(images) if change else images, reference=lambda _: digits)


def row(method: str = "ifm", **values: Any) -> dict[str, Any]:
    """One record: names of parameters as they are, metrics with a leading m_."""
    columns = {f"metric.{name[2:]}" if name.startswith("m_") else f"param.{name}": value for name, value in values.items()}
    return {"method": method, "seed": 0, "status": "ok"} | columns


def test_the_loss_is_read_off_the_curve_and_nothing_is_made_up_outside_it() -> None:
    curve = [(60.0, 90.0), (30.0, 88.0), (20.0, 80.0)]
    rows = [row(part="threshold", m_parameters_kept=kept, m_test_accuracy=right, m_dense_accuracy=91.0) for kept, right in curve]
    frame = pd.DataFrame(rows)
    assert LossAt(30.0)(frame) == pytest.approx(3.0)
    assert LossAt(25.0)(frame) == pytest.approx((3.0 + 11.0) / 2)
    assert LossAt(80.0)(frame) == pytest.approx(0.5), "halfway to the dense network"
    assert math.isnan(LossAt(10.0)(frame))
    assert math.isnan(LossAt(30.0, {"part": "kept"})(frame))
    lost = frame.assign(**{"metric.test_accuracy": [90.0, math.nan, 80.0]})
    assert math.isnan(LossAt(30.0)(lost))


def test_rank_correlations_of_planted_orders() -> None:
    def correlation(*accuracies: float) -> float:
        rows = [row(m_complexity=10.0 * place, m_dense_accuracy=value) for place, value in enumerate(accuracies)]
        return RankCorrelation("complexity", "dense_accuracy")(pd.DataFrame(rows))

    assert correlation(1.0, 5.0, 6.0, 90.0) == pytest.approx(1.0)
    assert correlation(4.0, 3.0, 2.0) == pytest.approx(-1.0)
    assert correlation(1.0, 3.0, 2.0) == pytest.approx(0.5)
    for useless in ((1.0, 2.0), (5.0, 5.0, 5.0), (1.0, math.nan, 2.0)):
        assert math.isnan(correlation(*useless))


def test_exponents_and_correlations_are_taken_at_one_beta_each() -> None:
    """Exponents 1 and 0.5 at two betas: their mean is 0.75, which no slope through all trials gives."""
    swept = [
        row("ifm", part="width", norm=True, beta=beta, width=w, m_complexity=c * w**b)
        for beta, b, c in ((0.1, 1.0, 9.0), (0.2, 0.5, 1.0))
        for w in (1.0, 2.0, 8.0)
    ]
    frame = pd.DataFrame([*swept, row("ifm", part="width", norm=False, beta=0.1, width=4.0, m_complexity=1e9)])
    assert width_exponent(True)(frame) == pytest.approx(0.75)
    assert width_exponent(True, "smallest")(frame) == pytest.approx(1.0)
    assert width_exponent(True, "largest")(frame) == pytest.approx(0.5)
    assert math.isnan(width_exponent(False)(frame)), "one width has no slope"
    trained = [
        row("ifm", part="training", norm=True, beta=beta, m_complexity=c, m_dense_accuracy=a)
        for beta, order in ((0.1, (1, 2, 3)), (0.2, (3, 2, 1)))
        for a, c in enumerate(order)
    ]
    assert complexity_accuracy(True)(pd.DataFrame(trained)) == pytest.approx(0.0)
    assert complexity_accuracy(True)(pd.DataFrame(trained[:3])) == pytest.approx(1.0)


def test_the_middle_of_the_depth_stands_out_or_does_not() -> None:
    def profile(*shares: float) -> dict[str, Any]:
        return row("ifm", **{f"m_{layer_metric(depth)}": share for depth, share in enumerate(shares, start=1)})

    assert MiddleOverEnds()(pd.DataFrame([profile(0.2, 0.4, 1.0, 0.8, 0.3, 0.1)])) == pytest.approx(0.9 - 0.25)
    assert MiddleOverEnds()(pd.DataFrame([profile(0.0, 1.0, 0.0), profile(1.0, 0.0, 1.0, 1.0)])) == pytest.approx((1.0 + (0.5 - 1.0)) / 2)
    assert math.isnan(MiddleOverEnds()(pd.DataFrame([profile(0.5, 0.6)])))
    assert math.isnan(MiddleOverEnds({"part": "width"})(pd.DataFrame([profile(0.1, 0.2, 0.3)])))


def test_gaps_compare_equal_shares_of_one_kind_of_network() -> None:
    rows = [
        row(name, part="kept", norm=True, m_test_accuracy=value)
        for name, value in (("ifm", 80.0), ("ifm", 60.0), ("l2", 70.0), ("l2", 50.0))
    ]
    rows += [row("l2", part="kept", norm=False, m_test_accuracy=0.0), row("ifm", part="threshold", norm=True, m_test_accuracy=0.0)]
    assert gap("ifm", "l2", {"part": "kept", "norm": True})(pd.DataFrame(rows)) == pytest.approx(10.0)


def _planned(task: Task, scale: str) -> list[TrialSpec]:
    return expand(task, scale, Overrides(seeds=1), {name: DataRef(name, "s", "stand-in", "f") for name in data_names(task, scale)})


@pytest.mark.parametrize("scale", ["smoke", "laptop", "gpu", "paper"])
def test_every_scale_expands_and_serves_its_claims(task: Task, scale: str) -> None:
    rows = []
    for place, trial in enumerate(_planned(task, scale)):
        assert trial.expected_s > 0
        names = ["test_accuracy", "val_accuracy", "dense_accuracy", "output_error", "complexity", "complexity_share", "merge_seconds"]
        names += [layer_metric(depth) for depth in range(1, 7 if trial.params["arch"] != "mlp" else 3)]
        metrics = {f"metric.{name}": 1.0 + place for name in names} | {"metric.parameters_kept": 10.0 + place % 10}
        rows.append({"method": trial.method, "seed": 0, "status": "ok"} | {f"param.{k}": v for k, v in trial.params.items()} | metrics)
    frame = pd.DataFrame(rows)
    for claim in task.claims:
        assert math.isfinite(claim.estimate(frame)) == (scale in claim.scales), claim.id


@pytest.mark.parametrize("scale", ["smoke", "laptop", "gpu", "paper"])
def test_methods_are_compared_on_the_same_networks_at_the_same_shares(task: Task, scale: str) -> None:
    cells: dict[tuple[bool, str], set[str]] = {}
    for trial in _planned(task, scale):
        if trial.params["part"] == "kept" and trial.method != "dense":
            cells.setdefault((trial.params["norm"], trial.method), set()).add(str(sorted(trial.params.items())))
        assert trial.method in MERGING or trial.params["part"] == "kept"
        assert (trial.requires == "") == (trial.method == "dense")
    for (norm, method), points in cells.items():
        assert points == cells[norm, "ifm"], method
    assert {method for norm, method in cells if norm} == set(WITH_NORM)
    assert {method for norm, method in cells if not norm} in (set(WITHOUT_NORM), set())


def test_a_dense_network_is_trained_once_and_shared(task: Task) -> None:
    trials = _planned(task, "laptop")
    dense = [trial for trial in trials if trial.method == "dense"]
    used = {trial.requires for trial in trials if trial.requires}
    assert used == {trial.id for trial in dense}
    assert len(dense) < len(trials) / 8


def test_the_dense_trial_and_every_method_give_their_metrics(make_trial: MakeTrial, task: Task) -> None:
    dense = run(make_trial("dense", TINY))
    assert dense["parameters_kept"] == 100.0
    declared = {metric.name for metric in task.metrics}
    for method in WITH_NORM:
        metrics = run(make_trial(method, TINY | {"kept": 0.5}))
        assert set(metrics) <= declared
        assert all(math.isfinite(value) for value in metrics.values()), method
        assert metrics["dense_accuracy"] == dense["test_accuracy"]
        assert metrics["complexity"] == 2 + 2 + 4 + 4 + 8 + 8
        assert metrics["merges"] == 28
        assert [metrics[layer_metric(depth)] for depth in range(1, 7)] == [0.5] * 6
        assert metrics["parameters_kept"] < 40
        assert metrics["flops_reduction"] > 50
        assert metrics["output_error"] > 0


def test_the_curve_of_a_trial_is_its_profile_over_depth(make_trial: MakeTrial) -> None:
    trial = make_trial("ifm", TINY | {"part": "threshold", "beta": 0.9})
    metrics = run(trial)
    profile = [point["complexity_share"] for point in trial.curve]
    assert profile == [metrics[layer_metric(depth)] for depth in range(1, 7)]
    assert min(profile) < 1.0
    assert metrics["complexity_share"] == pytest.approx(sum(profile) / 6)


def test_merging_keeps_what_cutting_loses(make_trial: MakeTrial) -> None:
    values = TINY_PLAIN | {"width": 0.5, "dense_epochs": 20.0, "kept": 0.25}
    merged, cut = (run(make_trial(method, values)) for method in ("ifm", "random"))
    assert merged["dense_accuracy"] > 85, "chance is 10 %"
    assert merged["test_accuracy"] > cut["test_accuracy"] + 20


@pytest.mark.parametrize(
    ("method", "norm", "exact"), [("ifm", True, False), ("ifm-folded", True, True), ("ifm-deviations", True, True), ("ifm", False, True)]
)
def test_planted_duplicates_show_whether_a_rule_is_exact(make_trial: MakeTrial, method: str, norm: bool, exact: bool) -> None:
    values = (TINY if norm else TINY_PLAIN) | {"part": "duplicates", "copies": 2, "kept": 0.5}
    metrics = run(make_trial(method, values))
    assert metrics["complexity_share"] == 0.5
    assert (metrics["output_error"] < 1e-4) == exact
    if exact:
        assert metrics["test_accuracy"] == pytest.approx(metrics["dense_accuracy"], abs=2.0)
    else:
        assert metrics["output_error"] > 0.1


def test_no_image_decides_what_merges_and_test_images_touch_nothing_else(make_trial: MakeTrial) -> None:
    """Other test images and labels change test metrics alone; other validation images do not change what is left of the network."""

    def other(split: str) -> Callable[[Images], Images]:
        def change(images: Images) -> Images:
            pixels, labels = dict(images.pixels), dict(images.labels)
            pixels[split], labels[split] = 16 - images.pixels[split], (images.labels[split] + 1) % 10  # type: ignore[index]
            return dataclasses.replace(images, pixels=pixels, labels=labels)

        return change

    for method in WITH_NORM:
        values = TINY | {"kept": 0.5}
        before = run(make_trial(method, values))
        tested = run(make_trial(method, values, given=other("test")))
        moved = {name for name in before if before[name] != tested[name]} - {"merge_seconds"}
        assert moved == {"test_loss", "test_accuracy"}, method
        first, second = (
            experiment.reduce(trial, experiment.planted(trial, experiment_network(trial)))[0].model.state_dict()
            for trial in (make_trial(method, values), make_trial(method, values, given=other("val")))
        )
        assert all(torch.equal(first[name], second[name]) for name in first)


def experiment_network(trial: Trial) -> torch.nn.Module:
    from tasks.pruning.dense import dense_network

    return dense_network(trial)


def test_a_trial_repeats_itself_and_seeds_matter(make_trial: MakeTrial) -> None:
    for method in ("ifm", "kmeans", "random"):
        first, again, other = (run(make_trial(method, TINY | {"kept": 0.5}, seed=seed)) for seed in (0, 0, 1))
        same = {name for name in first if first[name] == again[name]}
        assert same >= set(first) - {"merge_seconds"}
        assert first["test_loss"] != other["test_loss"]


def test_bad_input_gets_one_clear_sentence(make_trial: MakeTrial, task: Task) -> None:
    for name, value in (("kept", 0.0), ("kept", 1.5), ("beta", 0.0), ("beta", -0.1), ("beta", 2.0)):
        with pytest.raises(UsageError, match=f"parameter {name} of {TASK_ID} must lie in"):
            params.resolve(task, {name: value})
    with pytest.raises(UsageError, match=r"keeping 0\.05 of the 4 channels of features\.0\.conv leaves none"):
        run(make_trial("ifm", TINY | {"kept": 0.05}))
    with pytest.raises(UsageError, match="fpgm has no threshold: merging up to beta is for ifm, ifm-folded, ifm-deviations"):
        run(make_trial("fpgm", TINY | {"part": "threshold"}))
    with pytest.raises(UsageError, match="this network has none: choose norm=true"):
        run(make_trial("kmeans-repair", TINY | {"norm": False, "kept": 0.5}))


def test_a_checkpoint_of_another_architecture_is_refused(make_trial: MakeTrial) -> None:
    trial = make_trial("ifm", TINY | {"kept": 0.5})
    kept = trial.required() | {"arch": "vgg11"}
    trial.required = lambda: kept  # type: ignore[method-assign]
    with pytest.raises(UsageError, match=r"the checkpoint holds vgg11 .* this trial needs vgg7"):
        run(trial)


def test_methods_that_need_batchnorm_are_those_that_say_so() -> None:
    assert set(WITH_NORM) - set(WITHOUT_NORM) == set(NEED_BATCHNORM)
    assert tuple(RULES) == MERGING
    assert set(CUTTING) <= set(CRITERIA)


@pytest.mark.parametrize("arch", ["vgg19", "resnet34", "resnet50", "resnet56"])
def test_every_layer_of_the_deepest_networks_has_its_metric(arch: str) -> None:
    model = convnet(arch, shape=(3, 32, 32), num_classes=10, width=0.07)
    assert len(mergeable(model, (3, 32, 32))) <= DEEPEST


def test_declaring_the_task_imports_no_torch() -> None:
    code = (
        f"import sys, harness.registry as r; r.task('{TASK_ID}'); "
        "print([name for name in ('torch', 'pandas', 'ray', 'numpy', 'sklearn') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_the_published_number_stands_beside_vgg16_only(task: Task) -> None:
    claim = task.claim("C1-loss-bn")
    assert claim.published == pytest.approx(93.51 - 91.78)
    assert isinstance(claim.estimate, Of)
    for scale in ("gpu", "paper"):
        swept = {trial.params["arch"] for trial in _planned(task, scale) if trial.params["part"] == "threshold" and trial.params["norm"]}
        assert swept == {"vgg16"}
