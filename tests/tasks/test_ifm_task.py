"""The estimates on planted effects, what is planned, and whole trials at toy size."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness import data, params, registry
from harness.claims import All
from harness.errors import UsageError
from harness.plan import DataRef, Overrides, TrialSpec, data_names, expand
from harness.task import Task
from tasks.blocks.convnets import convnet
from tasks.pruning.criteria import CRITERIA
from tasks.pruning.feature_merging_ifm.channels import mergeable
from tasks.pruning.feature_merging_ifm.claims import LAYERS, MiddleOverEnds, accuracy_lost, complexity_accuracy, width_exponent
from tasks.pruning.feature_merging_ifm.experiment import threshold
from tasks.pruning.feature_merging_ifm.methods import CUTTING, MERGING, METHODS, NEED_BATCHNORM, REDUCING, WITHOUT_NORM
from tasks.pruning.feature_merging_ifm.reduction import RULES
from tests.harness.fabricated import study_of, verdicts_of
from tests.tasks.trials import Trials

TASK_ID = "feature-merging-ifm"
TINY = {"arch": "vgg7", "width": 0.0625, "dense_epochs": 1.0, "train_images": 256, "eval_images": 64}
TINY_PLAIN = {"arch": "mlp", "width": 0.1, "norm": False, "dense_epochs": 4.0, "dense_lr": 0.1, "train_images": 0, "eval_images": 200}


@pytest.fixture
def task() -> Task:
    return registry.task(TASK_ID)


@pytest.fixture
def trials(task: Task, cache: Path, tmp_path: Path) -> Trials:
    """Trials on a tiny VGG and the digits; the dense network that they need has been trained."""
    return Trials(task, tmp_path, base=TINY, data=data.prepare(registry.dataset("digits")))


def row(**values: Any) -> dict[str, Any]:
    """One record of a network with BatchNorm: names of parameters as they are, metrics with a leading m_."""
    columns = {f"metric.{name[2:]}" if name.startswith("m_") else f"param.{name}": value for name, value in values.items()}
    return {"method": "ifm", "seed": 0, "status": "ok", "param.norm": True} | columns


def test_the_loss_is_read_off_the_curve_and_nothing_is_made_up_outside_it() -> None:
    curve = [(60.0, 90.0), (30.0, 88.0), (20.0, 80.0)]
    frame = pd.DataFrame([row(m_parameters_kept=kept, m_test_accuracy=right, m_dense_accuracy=91.0) for kept, right in curve])
    assert accuracy_lost(30.0, True)(frame) == pytest.approx(3.0)
    assert accuracy_lost(25.0, True)(frame) == pytest.approx((3.0 + 11.0) / 2)
    assert accuracy_lost(80.0, True)(frame) == pytest.approx(0.5), "halfway to the dense network"
    assert math.isnan(accuracy_lost(10.0, True)(frame))
    assert math.isnan(accuracy_lost(30.0, False)(frame))
    assert math.isnan(accuracy_lost(30.0, True)(frame.assign(**{"metric.test_accuracy": [90.0, math.nan, 80.0]})))


def test_exponents_and_correlations_are_taken_at_one_beta_each() -> None:
    """Exponents 1 and 0.5 at two betas of which one has another offset: their mean is 0.75."""
    swept = [row(beta=beta, width=w, m_complexity=c * w**b) for beta, b, c in ((0.1, 1.0, 9.0), (0.2, 0.5, 1.0)) for w in (1.0, 2.0, 8.0)]
    frame = pd.DataFrame([*swept, row(norm=False, beta=0.1, width=4.0, m_complexity=1e9)])
    assert width_exponent(True)(frame) == pytest.approx(0.75)
    assert width_exponent(True, "smallest")(frame) == pytest.approx(1.0)
    assert width_exponent(True, "largest")(frame) == pytest.approx(0.5)
    assert math.isnan(width_exponent(False)(frame)), "one width has no slope"
    trained = [
        row(beta=beta, m_complexity=c, m_dense_accuracy=a)
        for beta, order in ((0.1, (1, 2, 3)), (0.2, (3, 2, 1)))
        for a, c in enumerate(order)
    ]
    assert complexity_accuracy(True)(pd.DataFrame(trained)) == pytest.approx(0.0)
    assert complexity_accuracy(True)(pd.DataFrame(trained[:3])) == pytest.approx(1.0)


def test_the_middle_of_the_depth_stands_out_or_does_not() -> None:
    def profile(*shares: float) -> dict[str, Any]:
        return row(**{f"m_{name}": share for name, share in zip(LAYERS, shares, strict=False)})

    assert MiddleOverEnds()(pd.DataFrame([profile(0.2, 0.4, 1.0, 0.8, 0.3, 0.1)])) == pytest.approx(0.9 - 0.25)
    assert MiddleOverEnds()(pd.DataFrame([profile(0.0, 1.0, 0.0), profile(1.0, 0.0, 1.0, 1.0)])) == pytest.approx((1.0 + (0.5 - 1.0)) / 2)
    assert math.isnan(MiddleOverEnds()(pd.DataFrame([profile(0.5, 0.6)])))
    assert math.isnan(MiddleOverEnds({"norm": False})(pd.DataFrame([profile(0.1, 0.2, 0.3)])))
    falling = pd.DataFrame([profile(1.0, 0.9, 0.1)])
    assert MiddleOverEnds()(falling) > 0, "against both ends a profile that only falls looks like one with a peak"
    assert [MiddleOverEnds(end=end)(falling) for end in ("first", "last")] == pytest.approx([-0.1, 0.8])


def test_the_peak_in_the_middle_is_asked_of_either_end(task: Task) -> None:
    claim = task.claim("C3-bn")
    assert isinstance(claim.estimate, All)
    profile = {f"m_{name}": share for name, share in zip(LAYERS, (1.0, 0.9, 0.1), strict=False)}
    frame = pd.DataFrame([row(**profile) | {"experiment": "threshold", "method": "ifm", "view.width": True}])
    assert [part(frame) in claim.holds for part in claim.estimate.parts] == [False, True]


def test_slower_than_width_is_not_unrelated_to_it(task: Task) -> None:
    assert [b in task.claim("C2-bn").holds for b in (0.0, 0.5, 1.0)] == [False, True, False]


def test_rivals_are_ours_and_stand_above_random_channels(task: Task) -> None:
    for claim in task.claims:
        if "-vs-" in claim.id and claim.id != "C1-bn-folded-vs-l2-in-out":
            rival = claim.id.split("-vs-")[1]
            floor = claim.id.replace("-vs-", "-floor-")
            assert (claim.kind, claim.stands_on) == (("control", ()) if rival == "random" else ("extension", (floor,)))


def planned(task: Task, scale: str) -> list[TrialSpec]:
    return expand(task, scale, Overrides(seeds=1), {name: DataRef(name, "s", "stand-in", "f") for name in data_names(task, scale)})


@pytest.mark.parametrize("scale", ["smoke", "laptop", "gpu", "paper"])
def test_methods_are_compared_on_the_same_networks_at_the_same_shares(task: Task, scale: str) -> None:
    cells: dict[tuple[bool, str], set[str]] = {}
    for trial in planned(task, scale):
        if trial.experiment == "share" and trial.method != "dense":
            cells.setdefault((trial.params["norm"], trial.method), set()).add(str(sorted(trial.params.items())))
    for (norm, method), points in cells.items():
        assert points == cells[norm, "ifm"], method
    assert {method for norm, method in cells if norm} == set(REDUCING)
    assert {method for norm, method in cells if not norm} in (set(WITHOUT_NORM), set())


def test_a_dense_network_is_trained_once_and_a_threshold_is_merged_once(task: Task) -> None:
    trials = planned(task, "laptop")
    dense = [trial for trial in trials if trial.method == "dense"]
    assert {trial.requires for trial in trials if trial.requires} == {trial.id for trial in dense}
    assert len(dense) < len(trials) / 8
    shared = [trial.views for trial in trials if len(trial.views) > 1]
    assert set(shared) == {("beta", "width"), ("width", "decay"), ("beta", "width", "decay")}
    assert len(shared) == 15


def test_every_method_keeps_the_share_that_was_asked_for(trials: Trials) -> None:
    dense = trials.run("dense")
    assert dense["parameters_kept"] == 100.0
    for method in REDUCING:
        metrics = trials.run(method, {"kept": 0.5})
        assert all(math.isfinite(value) for value in metrics.values()), method
        assert metrics["dense_accuracy"] == dense["test_accuracy"]
        assert metrics["complexity"] == 2 + 2 + 4 + 4 + 8 + 8
        assert metrics["merges"] == 28
        assert [metrics[name] for name in LAYERS[:6]] == [0.5] * 6
        assert metrics["parameters_kept"] < 40
        assert metrics["flops_reduction"] > 50
        assert metrics["output_error"] > 0


def test_the_curve_of_a_trial_is_its_profile_over_depth(trials: Trials) -> None:
    trial = trials("ifm", {"beta": 0.9}, experiment="threshold")
    metrics = threshold(trial)
    profile = [point["complexity_share"] for point in trial.curve]
    assert profile == [metrics[name] for name in LAYERS[:6]]
    assert min(profile) < 1.0
    assert metrics["complexity_share"] == pytest.approx(sum(profile) / 6)


def test_merging_keeps_what_cutting_loses(trials: Trials) -> None:
    values = TINY_PLAIN | {"width": 0.5, "dense_epochs": 20.0, "kept": 0.25}
    merged, cut = (trials.run(method, values) for method in ("ifm", "random"))
    assert merged["dense_accuracy"] > 85, "chance is 10 %"
    assert merged["test_accuracy"] > cut["test_accuracy"] + 20


@pytest.mark.parametrize(
    ("method", "norm", "exact"), [("ifm", True, False), ("ifm-folded", True, True), ("ifm-deviations", True, True), ("ifm", False, True)]
)
def test_planted_duplicates_show_whether_a_rule_is_exact(trials: Trials, method: str, norm: bool, exact: bool) -> None:
    metrics = trials.run(method, TINY if norm else TINY_PLAIN, experiment="duplicates")
    assert metrics["complexity_share"] == 0.5
    assert (metrics["output_error"] < 1e-4) == exact
    if exact:
        assert metrics["test_accuracy"] == pytest.approx(metrics["dense_accuracy"], abs=2.0)
    else:
        assert metrics["output_error"] > 0.1


def test_bad_input_gets_one_clear_sentence(trials: Trials, task: Task) -> None:
    for experiment, name, value in (
        *(("share", "kept", 0.0), ("share", "kept", 1.5)),
        *(("threshold", "beta", 0.0), ("threshold", "beta", -0.1), ("threshold", "beta", 2.0)),
    ):
        with pytest.raises(UsageError, match=f"parameter {name} of .* must lie in"):
            params.resolve(task.experiment(experiment), {name: value})
    with pytest.raises(UsageError, match=r"keeping 0\.05 of the 4 channels of features\.0\.conv leaves none"):
        trials.run("ifm", {"kept": 0.05})
    with pytest.raises(UsageError, match="this network has none: choose norm=true"):
        trials.run("kmeans-repair", {"norm": False, "kept": 0.5})


def test_each_method_is_of_one_kind() -> None:
    assert [method.name for method in METHODS] == ["dense", *REDUCING]
    assert set(REDUCING) - set(WITHOUT_NORM) == set(NEED_BATCHNORM)
    assert tuple(RULES) == MERGING
    assert set(CUTTING) <= set(CRITERIA)


@pytest.mark.parametrize("arch", ["vgg19", "resnet34", "resnet50", "resnet56"])
def test_every_layer_of_the_deepest_networks_has_its_metric(arch: str) -> None:
    model = convnet(arch, shape=(3, 32, 32), num_classes=10, width=0.07)
    assert len(mergeable(model, (3, 32, 32))) <= len(LAYERS)


def test_the_published_number_stands_beside_vgg16_only(task: Task) -> None:
    assert task.claim("C1-loss-bn").published == pytest.approx(93.51 - 91.78)
    for scale in ("gpu", "paper"):
        assert {trial.params["arch"] for trial in planned(task, scale) if "beta" in trial.views and trial.params["norm"]} == {"vgg16"}


def on_imagenet(trial: TrialSpec) -> dict[str, float] | None:
    """What three networks left that are the same for every seed, as a checkpoint is: 50,000 images, one parameter in beta a hundred."""
    if trial.data is None or trial.data.name != "imagenet" or trial.experiment != "threshold" or trial.method != "ifm":
        return None
    lost = {"resnet18": 0.5, "resnet34": 1.5, "resnet50": 0.1}[trial.params["arch"]]  # points for each percent of the parameters
    gone = 100 * trial.params["beta"]
    return {"parameters_kept": 100 - gone, "dense_accuracy": 73.0, "test_accuracy": round(500 * (73.0 - lost * gone)) / 500}


def test_how_little_can_go_on_imagenet_is_decided_by_one_checkpoint(task: Task, tmp_path: Path) -> None:
    """A network that loses half a point a percent: 2.5 points at 5 %, 7.5 at 15 %. One that loses three times as much, and a fifth."""
    sets = {name: DataRef(name, name, "real", name) for name in data_names(task, "paper")}
    study = study_of(tmp_path, task, on_imagenet, scale="paper", seeds=3, data=sets)
    found = {verdict.claim: verdict for verdict in verdicts_of(study) if "imagenet" in verdict.claim}
    said = {id.removeprefix("C1-imagenet-"): (round(verdict.interval.estimate, 2), verdict.verdict) for id, verdict in found.items()}
    assert said == {
        "resnet18-some": (2.5, "reproduced"),
        "resnet18-no-more": (7.5, "reproduced"),
        "resnet34-some": (7.5, "not reproduced"),
        "resnet34-no-more": (22.5, "reproduced"),
        "resnet50-some": (0.5, "reproduced"),
        "resnet50-no-more": (1.5, "not reproduced"),
    }
    assert {claim.group for claim in task.claims if "imagenet" in claim.id} == {"C1-imagenet"}


def test_a_checkpoint_needs_no_training_time(task: Task) -> None:
    given = Overrides(values={"arch": ["resnet34"], "batch": ["256"], "checkpoint": ["0123456789abcdef"]}, experiments=("threshold",))
    trials = expand(task, "paper", given, {name: DataRef(name, name, "real", name) for name in data_names(task, "paper")})
    dense = [trial for trial in trials if trial.method == "dense" and trial.data and trial.data.name == "imagenet"]
    assert len(dense) == 3
    assert all(trial.params["checkpoint"] == "0123456789abcdef" and trial.expected_s < 300 for trial in dense)


def test_a_trial_on_cifar_takes_a_quarter_of_a_card(task: Task) -> None:
    trials = expand(task, "paper", Overrides(), {name: DataRef(name, name, "real", name) for name in data_names(task, "paper")})
    assert {(trial.data.name, trial.resources.cpus, trial.resources.gpus) for trial in trials if trial.data} == {
        ("cifar10", 4, 0.25),
        ("imagenet", 16, 1),
    }
    alone = expand(task, "paper", Overrides(data=("cifar10",)), {"cifar10": DataRef("cifar10", "cifar10", "real", "cifar10")})
    assert len(alone) == len([trial for trial in trials if trial.data and trial.data.name == "cifar10"])
