"""The rules as known values, the estimates on planted effects, and whole trials at toy size."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pandas as pd
import pytest

from harness import registry
from harness.plan import DataRef, Overrides, data_names, expand
from harness.task import Task
from tasks.blocks.parametrization import ParamClass
from tasks.llm.mup_weight_decay_transfer.estimates import (
    decay_shift,
    gain_slope,
    implied_exponent,
    kappa,
    lr_shift,
    ratio_slope,
    shape_distance,
)
from tasks.llm.mup_weight_decay_transfer.experiment import run
from tasks.llm.mup_weight_decay_transfer.params import Params
from tasks.llm.mup_weight_decay_transfer.rules import matrix_rate, rates
from tests.tasks.conftest import TASK_ID, TINY_FFN, TINY_LM, MakeTrial

FOUR_TIMES = Params(width=128, base_width=32, lr=0.04, vector_lr=0.03, head_lr=0.02, decay=0.5)
METHODS = ("sqrt-width", "constant", "linear-width", "standard-parametrisation", "no-decay")


@pytest.fixture
def task() -> Task:
    return registry.task(TASK_ID)


@pytest.mark.parametrize(
    ("method", "lr", "decay"),
    [
        ("sqrt-width", 0.01, 1.0),
        ("constant", 0.01, 0.5),
        ("linear-width", 0.01, 2.0),
        ("no-decay", 0.01, 0.0),
        ("standard-parametrisation", 0.04, 0.5),
    ],
)
def test_the_rules_at_four_times_the_base_width(method: str, lr: float, decay: float) -> None:
    assert matrix_rate(method, FOUR_TIMES) == pytest.approx((lr, decay))


@pytest.mark.parametrize("method", METHODS)
def test_vector_like_parameters_keep_their_rate_and_are_not_decayed(method: str) -> None:
    rate = rates(method, FOUR_TIMES)
    assert rate[ParamClass.VECTOR].lr == 0.03
    standard = method == "standard-parametrisation"
    assert rate[ParamClass.VECTOR].decay == rate[ParamClass.HEAD].decay == (0.5 if standard else 0.0)
    assert rate[ParamClass.HEAD].lr == pytest.approx(0.02 if standard else 0.005)


def test_the_multipliers_move_what_they_say() -> None:
    moved = Params(width=32, lr=0.04, decay=0.5, vector_lr=0.04, lr_multiplier=2.0, decay_multiplier=4.0)
    assert matrix_rate("constant", moved) == pytest.approx((0.08, 2.0))
    assert rates("constant", moved)[ParamClass.VECTOR].lr == pytest.approx(0.08)
    balanced = Params(width=32, lr=0.04, decay=0.5, vector_lr=0.04, balance=2.0)
    assert matrix_rate("constant", balanced) == pytest.approx((0.08, 0.25))
    assert rates("constant", balanced)[ParamClass.VECTOR].lr == 0.04


def planted(**columns: Any) -> dict[str, Any]:
    return {"method": "m", "seed": 0, "status": "ok"} | {name.replace("__", "."): value for name, value in columns.items()}


def rules_frame(gain: float, sigma: float) -> pd.DataFrame:
    """Trials of the rules whose metrics follow the given powers of the width, beside ones of other parts that do not."""
    rows = [
        planted(param__setting="lm", param__part="rules", param__width=d, metric__gain=2 * d**gain, metric__sigma_norm=3 * d**sigma)
        for d in (32, 64, 128)
    ]
    decoys = [
        planted(param__setting=setting, param__part=part, param__width=256, metric__gain=1e9, metric__sigma_norm=1e9)
        for setting, part in (("ffn", "rules"), ("lm", "sweep"), ("lm", "spectra"))
    ]
    return pd.DataFrame(rows + decoys)


def test_planted_slopes_are_found() -> None:
    frame = rules_frame(gain=-0.3, sigma=0.75)
    assert gain_slope("lm")(frame) == pytest.approx(-0.3)
    assert kappa("lm")(frame) == pytest.approx(0.75)
    assert implied_exponent("lm")(frame) == pytest.approx(0.5)


def test_a_planted_exponent_of_eta_over_lambda_is_found() -> None:
    rows = [
        planted(
            param__setting="lm",
            param__part="spectra",
            param__balance=c,
            param__replicate=0,
            metric__sigma_top=5 * (c * c) ** 0.5,
            metric__shape_q10=0.1 * c**0.02,
            metric__shape_q50=0.8 * c**0.02,
            metric__shape_q90=1.3 * c**0.02,
            metric__shape_top=2.0 * c**0.02,
        )
        for c in (0.5, 1.0, 2.0)
    ]
    frame = pd.DataFrame(rows)
    assert ratio_slope("lm", "sigma_top")(frame) == pytest.approx(0.5)
    assert shape_distance("lm")(frame) == pytest.approx(0.02 * math.log(4))


def sweep_frame(shift: float, axis: str) -> pd.DataFrame:
    """Parabolas in log2 of the multiplier whose bottom moves by `shift` octaves a doubling of the width."""
    held = {"lr_multiplier": "decay_multiplier", "decay_multiplier": "lr_multiplier"}[axis]
    rows = []
    for octave, width in enumerate((16, 32, 64)):
        for exponent in range(-2, 3):
            loss = 2 + 0.1 * (exponent - shift * octave + 0.3) ** 2
            rows.append(
                planted(param__part="sweep", param__width=width, metric__val_loss=loss)
                | {f"param.{axis}": 2.0**exponent, f"param.{held}": 1.0}
            )
    return pd.DataFrame(rows)


@pytest.mark.parametrize("shift", [-0.5, 0.0, 0.5])
def test_planted_shifts_of_the_optimum_are_found(shift: float) -> None:
    assert lr_shift()(sweep_frame(shift, "lr_multiplier")) == pytest.approx(shift)
    assert decay_shift()(sweep_frame(shift, "decay_multiplier")) == pytest.approx(shift)


def claim_frame(slopes: dict[str, float]) -> pd.DataFrame:
    frames = [rules_frame(gain=slope, sigma=1.0).assign(method=method) for method, slope in slopes.items()]
    return pd.concat(frames, ignore_index=True)


def test_the_claim_on_gains_compares_distances_from_flat(task: Task) -> None:
    claim = task.claim("C3-lm")
    assert claim.estimate(claim_frame({"sqrt-width": -0.2, "constant": 0.5})) == pytest.approx(-0.3)
    assert claim.estimate(claim_frame({"sqrt-width": -0.6, "constant": 0.5})) == pytest.approx(0.1)
    assert math.isnan(claim.estimate(claim_frame({"sqrt-width": -0.2})))


@pytest.mark.parametrize("method", METHODS)
def test_a_language_model_trial_gives_every_metric_of_its_setting(
    make_trial: MakeTrial, tiny_ref: DataRef, task: Task, method: str
) -> None:
    metrics = run(make_trial(method, TINY_LM, data=tiny_ref))
    assert set(metrics) <= {metric.name for metric in task.metrics}
    assert all(math.isfinite(value) for value in metrics.values())
    assert {"val_loss", "test_loss", "train_loss", "gain", "sigma_top_qkv", "sigma_top_down", "shape_q50", "horizon"} <= set(metrics)
    assert ("sigma_norm_qkv" in metrics) == (method != "no-decay")
    assert metrics["val_loss"] < math.log(256)


@pytest.mark.parametrize("method", ["sqrt-width", "linear-width"])
def test_a_synthetic_trial_gives_every_metric_of_its_setting(make_trial: MakeTrial, task: Task, method: str) -> None:
    metrics = run(make_trial(method, TINY_FFN))
    assert set(metrics) <= {metric.name for metric in task.metrics}
    assert {"gain", "sigma_top_in", "sigma_norm_out", "entry_norm", "horizon"} <= set(metrics)
    assert "val_loss" not in metrics
    assert metrics["horizon"] == pytest.approx(0.02 * 1.0 * 40)


def test_a_trial_repeats_itself_and_seeds_matter(make_trial: MakeTrial, tiny_ref: DataRef) -> None:
    for values, data in ((TINY_FFN, None), (TINY_LM, tiny_ref)):
        first = run(make_trial("sqrt-width", values, data=data))
        assert run(make_trial("sqrt-width", values, data=data)) == first
        assert run(make_trial("sqrt-width", values, data=data, seed=1)) != first
        assert run(make_trial("sqrt-width", values | {"replicate": 1}, data=data))["gain"] != first["gain"]


def test_bfloat16_changes_the_arithmetic_and_little_else(make_trial: MakeTrial, tiny_ref: DataRef) -> None:
    single, half = (run(make_trial("sqrt-width", TINY_LM | {"precision": name}, data=tiny_ref)) for name in ("float32", "bfloat16"))
    assert half["val_loss"] != single["val_loss"]
    assert half["val_loss"] == pytest.approx(single["val_loss"], rel=0.02)


def test_at_the_base_width_the_three_rules_are_one(make_trial: MakeTrial) -> None:
    runs = [run(make_trial(method, TINY_FFN)) for method in ("sqrt-width", "constant", "linear-width")]
    assert runs[0] == runs[1] == runs[2]


def test_weights_scale_with_eta_over_lambda_by_symmetry(make_trial: MakeTrial) -> None:
    """AdamW ignores the scale of gradients: in the steady state eta times 2 and lambda over 2 double every weight, up to noise."""
    steady = TINY_FFN | {"steps": 400, "lr": 0.02, "decay": 2.0}
    one, double = (run(make_trial("constant", steady | {"balance": c}))["sigma_top"] for c in (1.0, 2.0))
    assert double / one == pytest.approx(2.0, rel=0.15)


WILD = {"lr": 10.0, "vector_lr": 10.0, "head_lr": 10.0, "decay": 1e4, "lr_multiplier": 1e6}


@pytest.mark.parametrize("setting", ["lm", "ffn"])
def test_a_run_that_diverges_says_so(make_trial: MakeTrial, tiny_ref: DataRef, setting: str) -> None:
    values, data = (TINY_LM, tiny_ref) if setting == "lm" else (TINY_FFN | {"steps": 200}, None)
    metrics = run(make_trial("constant", values | WILD, data=data))
    assert any(math.isnan(value) for value in metrics.values())


@pytest.mark.parametrize("scale", ["smoke", "laptop", "gpu", "paper"])
def test_every_scale_expands_and_serves_its_claims(task: Task, scale: str) -> None:
    data = {name: DataRef(name, "s", "stand-in", "f") for name in data_names(task, scale)}
    trials = expand(task, scale, Overrides(seeds=1), data)
    for trial in trials:
        assert (trial.params["setting"] == "lm") == (trial.data is not None)
        assert trial.expected_s > 0
    # every trial "measures" smooth stand-in numbers, so an estimate is NaN only when its trials are not planned
    rows = []
    for trial in trials:
        p = trial.params
        bowl = 2 + math.log2(p["lr_multiplier"]) ** 2 + math.log2(p["decay_multiplier"]) ** 2
        values = {metric.name: 1.0 + 0.01 * p["width"] for metric in task.metrics} | {"val_loss": bowl}
        rows.append(
            {"method": trial.method, "seed": 0, "status": "ok"}
            | {f"param.{name}": value for name, value in p.items()}
            | {f"metric.{name}": value for name, value in values.items()}
        )
    frame = pd.DataFrame(rows)
    for claim in task.claims:
        assert math.isfinite(claim.estimate(frame)) == (scale in claim.scales), claim.id


def test_fixed_tokens_across_widths(task: Task) -> None:
    for scale in task.scales:
        data = {name: DataRef(name, "s", "stand-in", "f") for name in data_names(task, scale)}
        tokens: dict[tuple[str, str], set[int]] = {}
        for trial in expand(task, scale, Overrides(seeds=1), data):
            p = trial.params
            tokens.setdefault((p["setting"], p["part"]), set()).add(p["steps"] * p["batch"] * p["length"])
        assert all(len(counts) == 1 for counts in tokens.values()), scale


def test_declaring_the_task_imports_no_torch() -> None:
    listing = "import sys, harness.registry as r; r.task('mup-weight-decay-transfer'); r.dataset('text-bpe')"
    code = f"{listing}; print([name for name in ('torch', 'pandas', 'ray', 'numpy') if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
