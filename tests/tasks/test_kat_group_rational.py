"""The estimates on planted effects, the claims at every scale, and whole trials at toy size."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from harness import data, params, registry
from harness.data import open_data
from harness.plan import DataRef, Overrides, TrialSpec, data_names, expand
from harness.task import Task
from harness.trial import Trial
from tasks.blocks.training import generator
from tasks.kan.kat_group_rational import cost, quality
from tasks.kan.kat_group_rational.coefficients import SWISH
from tasks.kan.kat_group_rational.designs import DESIGNS, SCHEDULED, TRAINED
from tasks.kan.kat_group_rational.estimates import gap, times, tuned
from tasks.kan.kat_group_rational.experiment import run
from tasks.kan.kat_group_rational.mlp import GroupRational
from tasks.kan.kat_group_rational.problems import problem

TASK_ID = "kat-group-rational"
TINY = {"width": 16, "depth": 1, "head_dim": 8, "groups": 4, "batch": 4, "steps": 8, "warmup": 2, "eval_examples": 8, "rounds": 3}
TINY_LM = TINY | {"length": 16}
TINY_VIT = TINY | {"setting": "vit", "patch": 4, "attention_init": "mimetic"}

MakeTrial = Callable[..., Trial]


@pytest.fixture
def task() -> Task:
    return registry.task(TASK_ID)


@pytest.fixture
def digits(cache: Path) -> DataRef:
    """The digits, prepared in the test's own cache."""
    return data.prepare(registry.dataset("digits"))


@pytest.fixture
def make_trial(task: Task) -> MakeTrial:
    """Trials of the task with the given parameters over its defaults."""

    def make(method: str, values: Mapping[str, Any], data: DataRef, *, seed: int = 0) -> Trial:
        spec = TrialSpec(task=TASK_ID, version=1, scale="smoke", method=method, params=params.resolve(task, values), seed=seed, data=data)
        return Trial(task, spec, open_data=lambda asked: open_data(registry.dataset(data.name), data))

    return make


def row(
    method: str, lr: float, val: float, *, width: int = 32, status: str = "ok", part: str = "quality", **metrics: float
) -> dict[str, Any]:
    """One record of the language model."""
    values = {"val_loss": val, "test_loss": val + 1.0} | metrics
    identity = {"method": method, "seed": 0, "status": status, "param.setting": "lm", "param.part": part}
    return identity | {"param.lr": lr, "param.width": width} | {f"metric.{name}": value for name, value in values.items()}


def test_validation_chooses_the_rate_and_test_is_reported() -> None:
    frame = pd.DataFrame([row("m", 1e-3, 2.0, test_loss=1.0), row("m", 3e-3, 1.5, test_loss=9.0), row("m", 1e-2, 1.7, test_loss=0.5)])
    assert tuned("lm", "test_loss")(frame) == 9.0
    assert tuned("lm", "val_loss")(frame) == 1.5
    assert math.isnan(tuned("vit", "test_loss")(frame))


def test_each_width_has_its_own_best_rate() -> None:
    frame = pd.DataFrame(
        [
            *(row("m", 1e-3, 2.0), row("m", 3e-3, 3.0), row("m", 1e-3, 1.5, width=64), row("m", 3e-3, 1.0, width=64)),
            row("m", 1e-3, -9.0, part="cost"),
        ]
    )
    assert tuned("lm", "test_loss")(frame) == pytest.approx((3.0 + 2.0) / 2)


def test_a_diverged_rate_is_the_worst_and_a_missing_one_decides_nothing() -> None:
    good = row("m", 1e-3, 2.0)
    assert tuned("lm", "test_loss")(pd.DataFrame([good, row("m", 1e-2, math.nan, status="diverged")])) == 3.0
    assert math.isnan(tuned("lm", "test_loss")(pd.DataFrame([good, row("m", 1e-2, math.nan, status="failed")])))
    assert math.isnan(tuned("lm", "test_loss")(pd.DataFrame([row("m", 1e-2, math.nan, status="diverged")])))


def test_gaps_and_ratios_of_planted_methods() -> None:
    frame = pd.DataFrame([row("a", 1e-3, 2.0), row("b", 1e-3, 2.25), row("b", 3e-3, 2.5)])
    assert gap("lm", "test_loss", "a", "b")(frame) == pytest.approx(-0.25)
    timed = pd.DataFrame([row("a", 1e-3, 0.0, part="cost", step_ratio=60.0), row("b", 1e-3, 0.0, part="cost", step_ratio=1.5)])
    assert times("step_ratio", "lm", "a", "b")(timed) == pytest.approx(40.0)
    assert math.isnan(times("step_ratio", "lm", "a", "c")(timed))


@pytest.mark.parametrize("scale", ["smoke", "laptop", "gpu", "paper"])
def test_every_scale_expands_and_serves_its_claims(task: Task, scale: str) -> None:
    refs = {name: DataRef(name, "s", "stand-in", "f") for name in data_names(task, scale)}
    trials = expand(task, scale, Overrides(seeds=1), refs)
    rows = []
    for trial in trials:
        assert (trial.params["setting"] == "lm") == (trial.data is not None and trial.data.name == "text")
        assert trial.params["width"] % trial.params["groups"] == 0
        assert trial.expected_s > 0
        names = ("val_loss", "test_loss", "train_loss", "test_accuracy") if trial.params["part"] == "quality" else ("step_ratio",)
        if trial.params["part"] == "cost" and DESIGNS[trial.method].mlp in ("rational", "spline"):
            names += ("activation_ratio", "coefficient_gradient_error")
        rows.append(
            {"method": trial.method, "seed": 0, "status": "ok"}
            | {f"param.{name}": value for name, value in trial.params.items()}
            | {f"metric.{name}": 1.0 for name in names}
        )
    frame = pd.DataFrame(rows)
    for claim in task.claims:
        assert math.isfinite(claim.estimate(frame)) == (scale in claim.scales), claim.id


@pytest.mark.parametrize("scale", ["smoke", "laptop", "gpu", "paper"])
def test_methods_are_compared_at_equal_steps_batches_and_rates(task: Task, scale: str) -> None:
    refs = {name: DataRef(name, "s", "stand-in", "f") for name in data_names(task, scale)}
    cells: dict[tuple[str, str], dict[str, set[str]]] = {}
    for trial in expand(task, scale, Overrides(seeds=1), refs):
        kinds = cells.setdefault((trial.params["setting"], trial.params["part"]), {})
        kinds.setdefault(trial.method, set()).add(str(sorted(trial.params.items())))
    for where, kinds in cells.items():
        assert all(points == kinds["mlp-gelu"] for points in kinds.values()), where
        assert bool(set(kinds) & set(SCHEDULED)) == (scale in ("gpu", "paper") and where == ("vit", "cost"))


@pytest.mark.parametrize("method", TRAINED)
def test_a_language_model_trial_gives_its_metrics(make_trial: MakeTrial, tiny_ref: DataRef, task: Task, method: str) -> None:
    trial = make_trial(method, TINY_LM, tiny_ref)
    metrics = run(trial)
    assert set(metrics) == {"val_loss", "test_loss", "train_loss", "parameters"}
    assert all(math.isfinite(value) for value in metrics.values())
    assert metrics["val_loss"] < math.log(256) + 0.1
    assert trial.kernel_backend == ("group_rational=reference" if DESIGNS[method].mlp == "rational" else "")


@pytest.mark.parametrize("method", ["mlp-gelu", "mlp-swiglu", "kat-vp", "kan-spline"])
def test_a_vision_trial_gives_its_metrics(make_trial: MakeTrial, digits: DataRef, method: str) -> None:
    metrics = run(make_trial(method, TINY_VIT, digits))
    assert {"val_accuracy", "test_accuracy", "test_loss"} <= set(metrics)
    assert 0 <= metrics["test_accuracy"] <= 100


def test_digits_are_learned(make_trial: MakeTrial, digits: DataRef) -> None:
    long = TINY_VIT | {"steps": 150, "batch": 32, "lr": 1e-2, "eval_examples": 1000}
    assert run(make_trial("kat-released", long, digits))["test_accuracy"] > 60, "chance is 10 %"


def test_a_trial_repeats_itself_and_seeds_and_methods_matter(make_trial: MakeTrial, tiny_ref: DataRef, digits: DataRef) -> None:
    for values, ref in ((TINY_LM, tiny_ref), (TINY_VIT, digits)):
        first = run(make_trial("kat-released", values, ref))
        assert run(make_trial("kat-released", values, ref)) == first
        assert run(make_trial("kat-released", values, ref, seed=1)) != first
        assert run(make_trial("kat-vp", values, ref))["val_loss"] != first["val_loss"]


def test_methods_of_a_seed_see_the_same_batches_and_seeds_do_not(make_trial: MakeTrial, tiny_ref: DataRef) -> None:
    def seen(method: str, seed: int) -> list[torch.Tensor]:
        batches: list[torch.Tensor] = []
        trial = make_trial(method, TINY_LM, tiny_ref, seed=seed)
        plain = problem(trial)

        def watched(stream: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
            inputs, targets = plain.batch(stream)
            batches.append(inputs)
            return inputs, targets

        quality.run(trial, dataclasses.replace(plain, batch=watched))
        return batches

    gelu, kat, other = seen("mlp-gelu", 0), seen("kat-vp", 0), seen("mlp-gelu", 1)
    assert len(gelu) == 8
    assert all(torch.equal(a, b) for a, b in zip(gelu, kat, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(gelu, other, strict=True))
    assert not torch.equal(gelu[0], gelu[1])


def test_smoothing_and_bfloat16_reach_the_training(make_trial: MakeTrial, digits: DataRef) -> None:
    plain = run(make_trial("kat-vp", TINY_VIT, digits))
    smooth = run(make_trial("kat-vp", TINY_VIT | {"smoothing": 0.5}, digits))
    half = run(make_trial("kat-vp", TINY_VIT | {"precision": "bfloat16"}, digits))
    assert smooth["val_loss"] != plain["val_loss"]
    assert half["val_loss"] != plain["val_loss"]
    assert half["val_loss"] == pytest.approx(plain["val_loss"], rel=0.05)


def test_a_run_that_diverges_says_so(make_trial: MakeTrial, tiny_ref: DataRef) -> None:
    metrics = run(make_trial("kat-vp", TINY_LM | {"lr": 10.0, "decay": 1e4, "warmup": 0, "steps": 200}, tiny_ref))
    assert math.isnan(metrics["val_loss"])


@pytest.mark.parametrize("method", ["mlp-gelu", "kat-released", "kan-spline"])
def test_a_cost_trial_gives_ratios(make_trial: MakeTrial, tiny_ref: DataRef, method: str) -> None:
    metrics = run(make_trial(method, TINY_LM | {"part": "cost"}, tiny_ref))
    rational = {"coefficient_gradient_error"} if method == "kat-released" else set()
    wanted = {"step_seconds", "step_ratio"} | ({"activation_ratio"} if method != "mlp-gelu" else set()) | rational
    assert set(metrics) == wanted
    assert all(math.isfinite(value) and value > 0 for value in metrics.values())


def test_a_schedule_is_refused_without_cuda(make_trial: MakeTrial, digits: DataRef, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    with pytest.raises(RuntimeError, match="triton"):
        run(make_trial("kat-two-stage", TINY_VIT | {"part": "cost"}, digits))


def test_turns_alternate_and_compare_within_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that runs faster and faster: steps of 3 against 1 that follow each other still compare as about 3."""
    clock, order = [0.0], []

    def work(name: str, units: float) -> Callable[[], None]:
        def step() -> None:
            order.append(name)
            clock[0] += units * (1.0 + 0.01 * len(order))

        return step

    monkeypatch.setattr(cost.time, "perf_counter", lambda: clock[0])
    seconds, ratio = cost.in_turns(work("a", 3.0), work("b", 1.0), rounds=8, device="cpu")
    assert ratio == pytest.approx(3.0, rel=0.02)
    assert 3.0 < seconds < 3.0 * 1.3
    timed = order[6:]
    assert timed[:4] in (["a", "b", "b", "a"], ["b", "a", "a", "b"])
    assert timed.count("a") == timed.count("b") == 8


def test_the_gradient_error_is_rounding_and_sees_a_wrong_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(64, 16, generator=generator(1))
    module = GroupRational(SWISH, 4)
    assert 0 < cost.gradient_error(module, x) < 1e-5

    class Wrong(GroupRational):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return 1.01 * super().forward(inputs)

    assert cost.gradient_error(Wrong(SWISH, 4), x) == pytest.approx(0.01, rel=0.01)


def test_declaring_the_task_imports_no_torch() -> None:
    listing = f"import sys, harness.registry as r; r.task('{TASK_ID}'); [r.dataset(n) for n in ('digits', 'fashion-mnist', 'imagenet')]"
    code = f"{listing}; print([name for name in ('torch', 'pandas', 'ray', 'numpy', 'PIL') if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
