"""The plan, the estimates on planted numbers, and whole trials of every method at toy size."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from harness import registry
from harness.errors import UsageError
from harness.estimates import Mean
from harness.evidence import needs
from harness.plan import DataRef, Overrides, data_names, expand
from harness.task import SCALES, Task
from tasks.datasets.eeg_windows import EegWindows, Split
from tasks.eeg import classify
from tasks.eeg.eeg_artifact_synthesis.designs import DDPM, LEARNED, RELEASED, SIMPLE
from tasks.eeg.eeg_artifact_synthesis.estimates import AtLargest, LogRatio, of, ratio, trend
from tasks.eeg.eeg_artifact_synthesis.experiment import run
from tasks.eeg.eeg_artifact_synthesis.params import COMMON, PUBLISHED, generation_fields
from tasks.eeg.eeg_artifact_synthesis.training import fit, learner, step_flops
from tasks.eeg.eeg_artifact_synthesis.windows import problem
from tests.tasks.standing import MakeTrial, maker

TASK_ID = "eeg-artifact-synthesis"
REF = DataRef("eeg-artifacts", "toy", "synthetic", "0")
CLASSES = ("eyem", "musc", "elec")
TINY = {
    **{"ddpm_width": 4, "ddpm_blocks": 1, "ddpm_batch": 4, "ddpm_lr": 1e-3, "gan_width": 4, "gan_batch": 4, "vae_width": 4, "latent": 4},
    **{"budget": 3e8, "kept_steps": 3, "windows": 8, "permutations": 20, "segment": 128},
}


def toy_windows(rate: float = 200.0) -> EegWindows:
    """Slow waves, noise and steps over two channels; 12 training and 8 other windows a class, of two seconds."""
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

    return EegWindows(split(12, 0), split(8, 1), split(8, 2), rate, ("A", "B"), CLASSES, ("a", "b", "c"))


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classify, "TREES", 8)


@pytest.fixture
def task() -> Task:
    return registry.task(TASK_ID)


@pytest.fixture
def make_trial(task: Task, tmp_path: Path) -> MakeTrial:
    """Toy trials; what they stand on has been trained."""
    return maker(task, run, tmp_path, base=TINY, opened=lambda windows: windows or toy_windows(), reference=lambda _: REF)


def row(method: str, **values: Any) -> dict[str, Any]:
    """One record: names of parameters as they are, metrics with a leading m_."""
    columns = {f"metric.{name[2:]}" if name.startswith("m_") else f"param.{name}": value for name, value in values.items()}
    return {"method": method, "seed": 0, "status": "ok"} | columns


def score(method: str, error: float, *, part: str = "main", protocol: str = COMMON, **values: Any) -> dict[str, Any]:
    return row(method, stage="score", part=part, protocol=protocol, m_band_error=error, **values)


def test_ratios_are_taken_in_one_protocol_and_part() -> None:
    frame = pd.DataFrame(
        [
            score("ddpm-v", 0.1, budget=8.0),
            score("ddpm-v", 9.0, budget=1.0, part="budget"),
            score("ddpm-v", 500.0, protocol=PUBLISHED, budget=8.0),
            score("wgan-gp", 1.0, budget=8.0),
            score("wgan-gp", 5.0, protocol=PUBLISHED, budget=8.0),
            row("wgan-gp", stage="train", part="main", protocol=COMMON, m_steps=3.0, budget=8.0),
        ]
    )
    frame = frame[(frame["param.stage"] == "score")]
    assert ratio("ddpm-v", "wgan-gp")(frame) == pytest.approx(-1.0)
    assert ratio("ddpm-v", "wgan-gp", protocol=PUBLISHED)(frame) == pytest.approx(2.0)
    assert of("ddpm-v", "band_error")(frame) == pytest.approx(0.1)
    for value in (0.0, -1.0, math.nan, math.inf):
        assert math.isnan(LogRatio(lambda _: 1.0, lambda _, value=value: value)(frame))


def test_a_protocol_that_multiplies_one_side_by_ten_is_one_decade(task: Task) -> None:
    frame = pd.DataFrame(
        [
            *(score(m, e) for m, e in (("ddpm-v", 0.2), ("wgan-gp", 0.4))),
            *(score(m, e, protocol=PUBLISHED) for m, e in (("ddpm-v", 2.0), ("wgan-gp", 0.4))),
        ]
    )
    assert task.claim("X-protocol-working").estimate(frame) == pytest.approx(1.0)


def test_costs_are_those_of_the_whole_budget_and_trends_those_of_the_sweep() -> None:
    trained = pd.DataFrame([row("vae", stage="train", budget=b, m_steps=10 * b) for b in (1.0, 4.0)])
    assert AtLargest(Mean("steps"), "budget", {"stage": "train"})(trained) == pytest.approx(40.0)
    swept = pd.DataFrame(
        [score("ddpm-v", b**-0.5, part="budget", budget=b) for b in (1.0, 4.0, 16.0)] + [score("ddpm-v", 7.0, budget=16.0)]
    )
    assert trend("ddpm-v", "budget")(swept) == pytest.approx(-0.5)
    steps = pd.DataFrame([score("ddpm-v", 1.0 / s, part="steps", sampling_steps=s) for s in (5, 50)])
    assert trend("ddpm-v", "sampling_steps")(steps) == pytest.approx(-1.0)


def test_the_published_numbers_are_those_of_the_tables(task: Task) -> None:
    published = {claim.id: claim.published for claim in task.claims if claim.published is not None}
    assert published["C1-released-published-theta"] == pytest.approx(math.log10(1570 / 275), abs=1e-3)
    assert published["C1-released-published-mean"] == pytest.approx(
        math.log10((197 + 1570 + 4720 + 507 + 21900) / (129 + 275 + 443 + 38 + 1610)), abs=1e-3
    )
    assert published["C2-released-published-mmd2"] == pytest.approx(0.192)
    assert all("-published-" in name for name in published), "the paper has no number on a common scale"


@pytest.mark.parametrize("scale", SCALES)
def test_every_claim_and_figure_finds_its_trials(task: Task, scale: str) -> None:
    plan = expand(task, scale, Overrides(seeds=1), dict.fromkeys(data_names(task, scale), REF))
    frame = pd.DataFrame([{"method": t.method, "seed": t.seed} | {f"param.{n}": v for n, v in t.params.items()} for t in plan])
    for claim in task.claims:
        if scale in claim.scales:
            for need in needs(claim.estimate):
                assert not need.rows(frame).empty, (claim.id, str(need))
    for method in (*SIMPLE, *LEARNED, RELEASED):
        found = frame[(frame["method"] == method) & (frame["param.part"] == "main") & (frame["param.stage"] == "score")]
        assert set(found["param.protocol"]) == {COMMON, PUBLISHED}


@pytest.mark.parametrize("scale", SCALES)
def test_one_training_serves_all_scores_of_a_method_and_seed(task: Task, scale: str) -> None:
    plan = expand(task, scale, Overrides(seeds=1), dict.fromkeys(data_names(task, scale), REF))
    by_id = {trial.id: trial for trial in plan}
    whole = max(trial.params["budget"] for trial in plan)
    trained = [t for t in plan if t.params["stage"] == "train" and t.params["budget"] == whole]
    assert sorted(t.method for t in trained) == sorted(LEARNED)
    for trial in plan:
        if trial.params["stage"] == "train" or trial.method in SIMPLE:
            assert not trial.requires
        else:
            below = by_id[trial.requires]
            assert below.params["stage"] == "train"
            assert generation_fields(below.params) == generation_fields(trial.params)
            assert below.method == ("ddpm-eps-no-skips" if trial.method == RELEASED else trial.method)


@pytest.mark.parametrize("method", [*SIMPLE, *LEARNED, RELEASED])
def test_a_whole_trial_of_every_method_in_both_protocols(task: Task, make_trial: MakeTrial, method: str) -> None:
    known = {metric.name for metric in task.metrics}
    trial = make_trial(method)
    common = run(trial)
    assert set(common) <= known
    assert common["windows"] == common["real_windows"] == 24
    for name in (
        "band_error",
        "psd_distance",
        "mmd2",
        "covariance_distance",
        "recovery_accuracy",
        "tstr_accuracy",
        "c2st_accuracy",
        "coverage",
    ):
        assert math.isfinite(common[name]), name
    curves = {name for point in trial.curve for name in point}
    assert {"psd", "psd_ratio", "band_error_at", "trace_eyem", "as_musc"} <= curves
    published = run(make_trial(method, {"protocol": PUBLISHED}))
    assert set(published) <= known
    assert math.isfinite(published["band_error"])
    assert published["windows"] == (6 if method == "wgan-gp" else 24)
    assert dict(run(make_trial(method))) | {"sampling_seconds": 0} == dict(common) | {"sampling_seconds": 0}, (
        "the same trial, the same numbers"
    )


@pytest.mark.parametrize("method", ["ar", *LEARNED])
def test_a_training_keeps_windows_in_microvolts_with_what_a_recording_needs(task: Task, make_trial: MakeTrial, method: str) -> None:
    trial = make_trial(method, {"stage": "train"})
    metrics = run(trial)
    assert set(metrics) <= {metric.name for metric in task.metrics}
    assert trial._artifacts is not None
    kept = trial._artifacts.load(trial.id)
    assert kept["windows"].shape == (24, 2, 400)
    assert kept["windows"].dtype == torch.float32
    assert kept["labels"].tolist() == [0] * 8 + [1] * 8 + [2] * 8
    assert (kept["rate"], kept["channels"], kept["classes"]) == (200.0, ["A", "B"], list(CLASSES))
    if method == "ar":
        deviation = float(torch.as_tensor(toy_windows().train.x).std())
        assert float(kept["windows"].std()) == pytest.approx(deviation, rel=0.3), "microvolts, not z-scores"
    else:
        assert metrics["training_flops"] <= TINY["budget"] < metrics["training_flops"] * (1 + 1 / metrics["steps"])


def test_real_windows_are_near_the_floor_and_the_paper_s_evaluation_does_not_see_it(make_trial: MakeTrial) -> None:
    floor = run(make_trial("held-out"))
    assert floor["band_error"] < 0.3
    assert floor["recovery_accuracy"] > 0.9
    assert floor["mmd_p"] > 0.04
    assert run(make_trial("held-out", {"protocol": PUBLISHED}))["band_error"] > 10.0


def test_methods_of_a_seed_meet_the_same_real_windows_and_start_from_the_same_noise(make_trial: MakeTrial) -> None:
    trials = [make_trial(method) for method in ("ar", "bootstrap")]
    assert len({trial.seed_for("test windows") for trial in trials}) == 1
    networks = [learner(trial, problem(trial), method) for trial, method in ((trials[0], "ddpm-v"), (trials[1], "ddpm-eps"))]
    first, second = (network.weights() for network in networks)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_equal_compute_gives_more_steps_to_the_cheaper_network(make_trial: MakeTrial) -> None:
    costs = {}
    for method in ("ddpm-v", "ddpm-v-no-skips"):
        trial = make_trial(method, {"stage": "train"})
        windows = problem(trial)
        _, fitted = fit(trial, windows)
        costs[method] = (step_flops(learner(trial, windows, method)), fitted.steps)
        assert fitted.steps == int(TINY["budget"] // costs[method][0])
    assert costs["ddpm-v-no-skips"][0] < costs["ddpm-v"][0]
    assert costs["ddpm-v-no-skips"][1] >= costs["ddpm-v"][1]
    with pytest.raises(UsageError, match=r"a step of wgan-gp costs .* more than the budget of 1"):
        run(make_trial("wgan-gp", {"stage": "train", "budget": 1.0}))


@pytest.mark.parametrize("method", ["wgan-gp", "vae", "ddpm-v"])
def test_a_broken_training_goes_on_as_if_nothing_had_been(make_trial: MakeTrial, method: str) -> None:
    trial = make_trial(method, {"stage": "train"})
    windows = problem(trial)
    whole, broken, later = (learner(trial, windows, method) for _ in range(3))
    for _ in range(5):
        whole.step()
    for _ in range(3):
        broken.step()
    later.load(broken.state())
    for _ in range(2):
        later.step()
    expected, found = whole.weights(), later.weights()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_diverged_training_is_recorded_and_scores_nothing(make_trial: MakeTrial) -> None:
    values = {"ddpm_lr": 1.0, "budget": 6e8}
    metrics = run(make_trial("ddpm-v", values | {"stage": "train"}))
    assert math.isnan(metrics["train_loss"])
    scored = run(make_trial("ddpm-v", values))
    assert math.isnan(scored["band_error"])
    assert math.isnan(scored["tstr_accuracy"])


def test_sampling_again_in_the_kept_number_of_steps_gives_the_kept_windows(make_trial: MakeTrial) -> None:
    kept, again, fewer = (run(make_trial("ddpm-v", {"sampling_steps": steps})) for steps in (0, TINY["kept_steps"], 1))
    for name in ("band_error", "mmd2", "covariance_distance"):
        assert again[name] == pytest.approx(kept[name], rel=1e-4)
    assert fewer["band_error"] != pytest.approx(kept["band_error"], rel=1e-3)
    with pytest.raises(UsageError, match="samples in one step"):
        run(make_trial("wgan-gp", {"sampling_steps": 5}))


def test_sweeps_leave_the_classifiers_out(make_trial: MakeTrial) -> None:
    assert "tstr_accuracy" not in run(make_trial("bootstrap", {"part": "budget"}))


def test_declaring_the_task_imports_nothing_heavy() -> None:
    heavy = ("torch", "pandas", "scipy", "mne", "diffusers", "sklearn", "ray")
    code = f"import sys, tasks.eeg.eeg_artifact_synthesis.task; print([n for n in {heavy} if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_every_method_has_a_design(task: Task) -> None:
    assert sorted(method.name for method in task.methods) == sorted((*SIMPLE, *LEARNED, RELEASED))
    assert set(DDPM) < set(LEARNED)
