"""The plan, claims on planted numbers, and whole trials at toy size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from harness import registry
from harness.errors import UsageError
from harness.lazy import load
from harness.plan import DataRef, Overrides, expand, placeholders
from harness.task import SCALES, Task
from tasks.datasets.eeg_windows import EegWindows, Split
from tasks.eeg import classify
from tasks.eeg.eeg_artifact_synthesis import common_scale
from tasks.eeg.eeg_artifact_synthesis.experiment import _both_sides
from tasks.eeg.eeg_artifact_synthesis.labelled_windows import Labelled, problem
from tasks.eeg.eeg_artifact_synthesis.methods import LEARNED, RELEASED, SIMPLE
from tasks.eeg.eeg_artifact_synthesis.synthesis import synthetic
from tasks.eeg.eeg_artifact_synthesis.training import fit, learner, step_flops
from tasks.eeg.features import features
from tasks.eeg.spectra import mean_welch
from tests.tasks.trials import Trials

TASK_ID = "eeg-artifact-synthesis"
COMMON, PUBLISHED = "common-scale", "as-published"
CLASSES = ("eyem", "musc", "elec")
TINY = {
    **{"ddpm_width": 4, "ddpm_blocks": 1, "ddpm_batch": 4, "ddpm_lr": 1e-3, "gan_width": 4, "gan_batch": 4, "latent": 4},
    **{"budget": 3e8, "kept_steps": 3, "windows": 8, "permutations": 20, "segment": 128},
}


def toy_windows(rate: float = 200.0) -> EegWindows:
    """Slow waves, noise and steps over two channels; 12 training, 8 validation and 16 test windows a class, of two seconds."""
    draw = np.random.default_rng(0)

    def split(count: int, group: int) -> Split:
        labels = np.repeat(np.arange(3), count)
        time = np.arange(round(2 * rate)) / rate
        x = draw.normal(0.0, 3.0, (len(labels), 2, len(time)))
        phases = draw.uniform(0, 2 * np.pi, (len(labels), 1, 1))
        x += np.where(labels == 0, 40.0, 0.0)[:, None, None] * np.sin(2 * np.pi * 2.0 * time + phases)
        x += np.where(labels == 1, 25.0, 0.0)[:, None, None] * draw.normal(0.0, 1.0, x.shape)
        x[:, :1] += np.where(labels == 2, 30.0, 0.0)[:, None, None] * (time > 1.0)
        return Split(x.astype(np.float32), labels.astype(np.int64), np.full(len(labels), group, np.int64))

    return EegWindows(split(12, 0), split(8, 1), split(16, 2), rate, ("A", "B"), CLASSES, ("a", "b", "c"))


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classify, "TREES", 8)


@pytest.fixture(scope="module")
def task() -> Task:
    return registry.task(TASK_ID)


@pytest.fixture(scope="module")
def trials(task: Task, tmp_path_factory: pytest.TempPathFactory) -> Trials:
    """Toy trials on a common scale; each training that they need is run once for the whole file."""
    return Trials(task, tmp_path_factory.mktemp("trials"), experiment=COMMON, base=TINY, data=toy_windows())


def score(method: str, error: float, *, view: str = "main", experiment: str = COMMON, **values: Any) -> dict[str, Any]:
    """One record of a scored trial, with parameters by name."""
    parameters = {f"param.{name}": value for name, value in values.items()}
    views = {f"view.{name}": name == view for name in ("main", "compute-sweep", "steps-sweep")}
    return {"experiment": experiment, "method": method, "seed": 0, "status": "ok", "metric.band_error": error, **views, **parameters}


def test_claims_compare_in_one_protocol_and_at_the_whole_compute(task: Task) -> None:
    frame = pd.DataFrame(
        [
            score("ddpm-v", 0.1, budget=8.0),
            score("ddpm-v", 9.0, budget=1.0, view="compute-sweep"),
            score("ddpm-v", 500.0, experiment=PUBLISHED, budget=8.0),
            score("wgan-gp", 1.0, budget=8.0),
            score("wgan-gp", 5.0, experiment=PUBLISHED, budget=8.0),
        ]
    )
    assert task.claim("C1-working-common-mean").estimate(frame) == pytest.approx(-1.0)
    assert task.claim("C1-working-published-mean").estimate(frame) == pytest.approx(2.0)
    assert task.claim("X-protocol-working").estimate(frame) == pytest.approx(3.0)
    error = task.experiment(COMMON)["band_error"].at(view="main")
    assert error.of("ddpm-v")(frame) == pytest.approx(0.1)
    for value in (0.0, -1.0, math.nan):
        assert math.isnan(error.log10()(pd.DataFrame([score("ar", value)])))


def test_a_distance_that_puts_real_windows_last_decides_nothing(task: Task) -> None:
    frame = pd.DataFrame(
        [
            *(score("held-out", 276.0, experiment=PUBLISHED), score("wgan-gp", 18.5, experiment=PUBLISHED)),
            *(score("held-out", 0.06), score("wgan-gp", 0.22), score("white-noise", 0.45)),
            score("validation", 0.5),
        ]
    )
    for id, holds in (
        ("X-real-published-band", False),
        ("X-real-common-band", True),
        ("X-noise-common-band", True),
        ("X-others-common-band", False),
    ):
        claim = task.claim(id)
        assert (claim.estimate(frame) in claim.holds) == holds
    for claim in task.claims:
        if claim.id.startswith(("C1-", "C2-")) and not claim.id.endswith("diversity"):
            protocol = "published" if "-published-" in claim.id else "common"
            short = "band" if claim.id.startswith("C1-") else claim.id.rsplit("-", 1)[1]
            assert claim.stands_on == tuple(f"X-{part}-{protocol}-{short}" for part in ("real", "noise", "others"))


def test_near_chance_needs_real_windows_that_are_not(task: Task) -> None:
    def frame(metric: str, ours: float, real: float) -> pd.DataFrame:
        scored = (("wgan-gp", ours), ("validation", real), ("held-out", 9.0))
        return pd.DataFrame([score(method, 1.0) | {f"metric.{metric}": value} for method, value in scored])

    recovery, gain = task.claim("C3-recovery-wgan"), task.claim("C3-augmentation-wgan")
    assert recovery.estimate(frame("recovery_above_chance", 0.05, 0.72)) == pytest.approx(0.05 - 0.09)
    assert recovery.estimate(frame("recovery_above_chance", 0.0, 0.0)) not in recovery.holds, "no class can be found at all"
    assert gain.estimate(frame("augmentation_gain", 0.01, 0.04)) == pytest.approx(-0.01)
    assert gain.estimate(frame("augmentation_gain", 0.0, 0.0)) not in gain.holds, "there is nothing to gain"


def test_half_way_to_real_windows_is_the_geometric_mean(task: Task) -> None:
    frame = pd.DataFrame([score("wgan-gp", 0.2), score("held-out", 0.1), score("white-noise", 1.6)])
    assert task.claim("X-floor-wgan").estimate(frame) == pytest.approx(math.log10(0.2 / 0.4))


def test_trends_are_those_of_the_sweeps(task: Task) -> None:
    swept = [score("ddpm-v", b**-0.5, view="compute-sweep", budget=b) for b in (1.0, 4.0, 16.0)]
    assert task.claim("X-budget-ddpm").estimate(pd.DataFrame([*swept, score("ddpm-v", 7.0, budget=16.0)])) == pytest.approx(-0.5)
    steps = [score("ddpm-v", 1.0 / s, view="steps-sweep", sampling_steps=s) for s in (5, 50)]
    assert task.claim("X-steps").estimate(pd.DataFrame(steps)) == pytest.approx(-1.0)


def test_the_published_numbers_are_those_of_the_tables(task: Task) -> None:
    published = {claim.id: claim.published for claim in task.claims if claim.published is not None}
    assert published["C1-released-published-theta"] == pytest.approx(math.log10(1570 / 275), abs=1e-3)
    assert published["C1-released-published-mean"] == pytest.approx(
        math.log10((197 + 1570 + 4720 + 507 + 21900) / (129 + 275 + 443 + 38 + 1610)), abs=1e-3
    )
    assert published["C2-released-published-mmd2"] == pytest.approx(0.192)
    assert all("-published-" in name for name in published), "the paper has no number on a common scale"


@pytest.mark.parametrize("scale", SCALES)
def test_one_training_serves_all_scores_of_a_method_and_seed(task: Task, scale: str) -> None:
    plan = expand(task, scale, Overrides(seeds=1), placeholders(task, scale))
    by_id = {trial.id: trial for trial in plan}
    assert sorted(t.method for t in plan if "main" in t.views and t.experiment == "train") == sorted(LEARNED)
    for trial in plan:
        if trial.experiment == "train" or trial.method in SIMPLE:
            assert not trial.requires
        else:
            below = by_id[trial.requires]
            assert below.experiment == "train"
            assert below.params.items() <= trial.params.items()
            assert below.method == ("ddpm-eps-no-skips" if trial.method == RELEASED else trial.method)


def test_the_whole_compute_is_scored_once_for_both_views(task: Task) -> None:
    plan = expand(task, "laptop", Overrides(seeds=1), {"eeg-artifacts": DataRef("eeg-artifacts", "", "synthetic", "")})
    shared = [trial.method for trial in plan if set(trial.views) == {"main", "compute-sweep"}]
    assert sorted(shared) == ["ddpm-v", "wgan-gp"]
    outcomes = {(t.experiment, t.method, tuple(t.params.items())) for t in plan}
    assert len(outcomes) == len(plan)


@pytest.mark.parametrize("method", ["bootstrap", "wgan-gp", RELEASED])
def test_a_trial_leaves_curves_and_counts_in_both_protocols(trials: Trials, method: str) -> None:
    trial = trials(method)
    common = load(trials.task.experiment(COMMON).run)(trial)
    assert common["windows"] == common["real_windows"] == 24
    curves = {name for point in trial.curve for name in point}
    assert {"psd", "psd_ratio", "trace_eyem", "as_musc"} <= curves
    published = trials.run(method, experiment=PUBLISHED)
    assert published["windows"] == (6 if method == "wgan-gp" else 24)
    assert published["real_windows"] == 24


@pytest.mark.parametrize("method", ["wgan-gp", "ddpm-eps"])
def test_a_training_keeps_windows_in_microvolts_with_what_a_recording_needs(trials: Trials, method: str) -> None:
    trial = trials(method, experiment="train")
    metrics = load(trials.task.experiment("train").run)(trial)
    assert trial._artifacts is not None
    kept = trial._artifacts.load(trial.id)
    assert kept["windows"].shape == (24, 2, 400)
    assert kept["windows"].dtype == torch.float32
    assert float(kept["windows"].std()) > 3.0, "microvolts, not z-scores"
    assert kept["labels"].tolist() == [0] * 8 + [1] * 8 + [2] * 8
    assert (kept["rate"], kept["channels"], kept["classes"]) == (200.0, ["A", "B"], list(CLASSES))
    assert metrics["training_flops"] <= TINY["budget"] < metrics["training_flops"] * (1 + 1 / metrics["steps"])


def test_every_distance_puts_the_other_half_before_white_noise(task: Task, trials: Trials) -> None:
    """Each control of the common scale, on the toy's own numbers, and none of the measures of nearness is without one."""
    scored = {method: trials.run(method, {"segment": 64}) for method in ("held-out", "white-noise")}
    frame = pd.DataFrame([score(m, 0.0) | {f"metric.{name}": value for name, value in found.items()} for m, found in scored.items()])
    controls = [claim for claim in task.claims if claim.id.startswith("X-noise-common-")]
    for claim in controls:
        if not claim.id.endswith("precision"):  # a third of the toy's windows are white noise: noise lies among them
            assert claim.estimate(frame) in claim.holds, claim.id
    nearness = {m.name for m in task.experiment(COMMON).metrics if m.better in ("lower", "higher") and m.measured_on == "test"}
    controlled = {"band_error", "mmd2", "psd_distance", "covariance_distance", "autocorrelation_distance", "c2st_accuracy"}
    of_bands = {name for name in nearness if name.startswith("band_error_")}
    of_classes = {"recovery_accuracy", "recovery_above_chance", "tstr_accuracy", "augmentation_gain"}
    assert nearness - of_bands - of_classes == controlled | {"precision", "coverage"}
    assert len(controls) == len(controlled) + 2


def test_the_floor_shares_no_window_with_the_real_side(trials: Trials) -> None:
    trial = trials("held-out")
    windows, real, fake, _ = _both_sides(trial)
    assert (fake.x[:, None] != real.x).flatten(2).any(2).all()
    test = windows.test.x.flatten(1)
    for side in (real.x, fake.x):
        assert all(bool((test == window).all(1).any()) for window in side.flatten(1))
    other = synthetic(trials("validation"), windows)[0]
    assert (other.x[:, None] != windows.test.x).flatten(2).any(2).all()


def test_noise_has_the_training_windows_variance_and_no_class(trials: Trials) -> None:
    windows = problem(trials("white-noise"))
    made = synthetic(trials("white-noise"), windows)[0]
    assert made.x.shape == (24, *windows.shape)
    assert float(made.x.std()) == pytest.approx(float(windows.train.x.std()), abs=0.03)
    density = mean_welch(made.x, windows.rate, segment=64).density.mean(0)[1:-1]
    assert float(density.max() / density.min()) < 1.6, "white"


def test_the_discrepancy_is_one_kernel_s_between_features_in_units_of_the_training_windows(trials: Trials) -> None:
    for method in ("white-noise", "bootstrap"):
        windows, real, fake, _ = _both_sides(trials(method))
        known = features(windows.train.x, windows.rate)
        a, b, c = ((features(x, windows.rate) - known.mean(0)) / known.std(0) for x in (real.x, fake.x, windows.train.x))
        wide = 2.0 * float(torch.pdist(c).median()) ** 2
        within = [float((-torch.pdist(x).square() / wide).exp().mean()) for x in (a, b)]
        expected = sum(within) - 2.0 * float((-torch.cdist(a, b).square() / wide).exp().mean())
        assert trials.run(method)["mmd2"] == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_augmentation_adds_to_a_few_training_windows(trials: Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[int]] = []

    def gain(train: Labelled, *_: Any) -> float:
        seen.append(torch.bincount(train.y).tolist())
        return 0.0

    monkeypatch.setattr(common_scale, "augmentation_gain", gain)
    for taught in (3, 100):
        trials.run("bootstrap", {"taught": taught})
    assert seen == [[3, 3, 3], [12, 12, 12]], "as many as there are, at most"


def test_real_windows_are_near_the_floor_and_the_paper_s_evaluation_does_not_see_it(trials: Trials) -> None:
    floor = trials.run("held-out")
    assert floor["band_error"] < 0.3
    assert floor["recovery_accuracy"] > 0.9
    assert floor["mmd_p"] > 0.04
    assert trials.run("held-out", experiment=PUBLISHED)["band_error"] > 5.0


def test_networks_of_a_seed_start_from_the_same_weights(trials: Trials) -> None:
    started = [trials("ar"), trials("bootstrap")]
    pair = [learner(trial, problem(trial), method) for trial, method in zip(started, ("ddpm-v", "ddpm-eps"), strict=True)]
    first, second = (network.sampler.state_dict() for network in pair)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_equal_compute_gives_more_steps_to_the_cheaper_network(trials: Trials) -> None:
    costs = {}
    for method in ("ddpm-v", "ddpm-v-no-skips"):
        trial = trials(method, experiment="train")
        windows = problem(trial)
        _, fitted = fit(trial, windows)
        costs[method] = (step_flops(learner(trial, windows, method)), fitted["steps"])
        assert fitted["steps"] == int(TINY["budget"] // costs[method][0])
    assert costs["ddpm-v-no-skips"][0] < costs["ddpm-v"][0]
    assert costs["ddpm-v-no-skips"][1] >= costs["ddpm-v"][1]
    with pytest.raises(UsageError, match=r"a step of wgan-gp costs .* more than the budget of 1"):
        trials.run("wgan-gp", {"budget": 1.0}, experiment="train")


@pytest.mark.parametrize("method", ["wgan-gp", "ddpm-v"])
def test_networks_optimizers_and_stream_are_all_the_state_of_a_training(trials: Trials, method: str) -> None:
    trial = trials(method, experiment="train")
    windows = problem(trial)
    whole, broken, later = (learner(trial, windows, method) for _ in range(3))
    for index in range(5):
        whole.step(index)
    for index in range(3):
        broken.step(index)
    later.networks.load_state_dict(broken.networks.state_dict())
    for name, optimizer in later.optimizers.items():
        optimizer.load_state_dict(broken.optimizers[name].state_dict())
    later.batches.stream.set_state(broken.batches.stream.get_state())
    for index in (3, 4):
        later.step(index)
    expected, found = whole.networks.state_dict(), later.networks.state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_diverged_training_is_recorded_and_scores_nothing(trials: Trials) -> None:
    values = {"ddpm_lr": 1.0, "budget": 6e8}
    assert math.isnan(trials.run("ddpm-v", values, experiment="train")["train_loss"])
    scored = trials.run("ddpm-v", values)
    assert math.isnan(scored["band_error"])
    assert math.isnan(scored["tstr_accuracy"])


def test_sampling_again_in_the_kept_number_of_steps_gives_the_kept_windows(trials: Trials) -> None:
    kept, again, fewer = (trials.run("ddpm-v", {"sampling_steps": steps}) for steps in (0, TINY["kept_steps"], 1))
    for name in ("band_error", "mmd2", "covariance_distance"):
        assert again[name] == pytest.approx(kept[name], rel=1e-4)
    assert fewer["band_error"] != pytest.approx(kept["band_error"], rel=1e-3)
    assert "sampling_seconds" in again
    assert "sampling_seconds" not in kept
    with pytest.raises(UsageError, match="samples in one step"):
        trials.run("wgan-gp", {"sampling_steps": 5})
