"""The rules as known values, the estimates on planted effects, and whole trials at toy size."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.plan import DataRef, Overrides, data_names, expand
from harness.stats import Sample
from tasks.blocks.parametrization import ParamClass
from tasks.llm.mup_weight_decay_transfer.claims import (
    decay_shift,
    gain_slope,
    implied_exponent,
    kappa,
    lr_shift,
    ratio_slope,
    shape_distance,
    shape_share,
)
from tasks.llm.mup_weight_decay_transfer.rules import matrix_rate, rates
from tasks.llm.mup_weight_decay_transfer.task import DECAYED, TASK, DecoderParams
from tests.tasks.trials import Trials

FOUR_TIMES = DecoderParams(width=128, base_width=32, lr=0.04, vector_lr=0.03, head_lr=0.02, decay=0.5)
METHODS = (*DECAYED, "no-decay")
TINY_LM = {"width": 16, "base_width": 16, "head_dim": 8, "length": 16, "batch": 4, "steps": 12, "warmup": 2, "eval_windows": 8}
TINY_FFN = {"width": 16, "base_width": 16, "batch": 16, "steps": 40}


@pytest.fixture
def lm(tmp_path: Path, tiny_ref: DataRef) -> Trials:
    return Trials(TASK, tmp_path, experiment="lm", base=TINY_LM, data=tiny_ref)


@pytest.fixture
def ffn(tmp_path: Path) -> Trials:
    return Trials(TASK, tmp_path, experiment="ffn", base=TINY_FFN)


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
    moved = DecoderParams(width=32, lr=0.04, decay=0.5, vector_lr=0.04, lr_multiplier=2.0, decay_multiplier=4.0)
    assert matrix_rate("constant", moved) == pytest.approx((0.08, 2.0))
    assert rates("constant", moved)[ParamClass.VECTOR].lr == pytest.approx(0.08)
    balanced = DecoderParams(width=32, lr=0.04, decay=0.5, vector_lr=0.04, balance=2.0)
    assert matrix_rate("constant", balanced) == pytest.approx((0.08, 0.25))
    assert rates("constant", balanced)[ParamClass.VECTOR].lr == 0.04


def planted(**columns: Any) -> dict[str, Any]:
    return {"experiment": "lm", "method": "m", "seed": 0, "status": "ok"} | {
        name.replace("__", "."): value for name, value in columns.items()
    }


def rules_frame(gain: float, sigma: float) -> pd.DataFrame:
    """Trials of the rules whose metrics follow the given powers of the width, beside ones of another experiment and view that do not."""
    rows = [planted(view__rules=True, param__width=d, metric__gain=2 * d**gain, metric__sigma_norm=3 * d**sigma) for d in (32, 64, 128)]
    decoys = [
        planted(view__rules=rules, param__width=256, metric__gain=1e9, metric__sigma_norm=1e9) | {"experiment": experiment}
        for experiment, rules in (("ffn", True), ("lm", False))
    ]
    return pd.DataFrame(rows + decoys)


def test_planted_slopes_are_found() -> None:
    frame = rules_frame(gain=-0.3, sigma=0.75)
    assert gain_slope("lm")(frame) == pytest.approx(-0.3)
    assert kappa("lm")(frame) == pytest.approx(0.75)
    assert implied_exponent("lm")(frame) == pytest.approx(0.5)


def spectra_frame(norm: float, shape: float, noise: Callable[[], float] = lambda: 1.0) -> pd.DataFrame:
    """The spectra of a seed: the norm goes as c to `norm`, every number of the shape as c to `shape`, each times noise."""
    numbers = {"shape_q10": 0.1, "shape_q50": 0.8, "shape_q90": 1.3, "shape_top": 2.0}
    rows = [
        planted(view__spectra=True, param__balance=c, param__replicate=0, metric__sigma_top=5 * c**norm * noise())
        | {f"metric.{name}": value * c**shape * noise() for name, value in numbers.items()}
        for c in (0.5, 1.0, 2.0)
    ]
    return pd.DataFrame(rows)


def test_a_planted_exponent_of_eta_over_lambda_is_found() -> None:
    frame = spectra_frame(norm=1.0, shape=0.02)
    assert ratio_slope("lm", "sigma_top")(frame) == pytest.approx(0.5)
    assert shape_distance("lm")(frame) == pytest.approx(0.02 * math.log(4))
    assert shape_share("lm")(frame) == pytest.approx(0.02)


def test_noise_alone_is_no_invariant_shape() -> None:
    claim, rng = TASK.claim("C1-shape-lm"), np.random.default_rng(0)
    for norm, least, most in ((0.0, 0.0, 0.05), (1.0, 0.95, 1.0)):
        held = 0
        for _ in range(20):
            frames = [spectra_frame(norm, 0.0, lambda: math.exp(0.03 * rng.normal())).assign(method="sqrt-width") for _ in range(5)]
            held += Sample.of([claim.estimate(frame) for frame in frames], bounds=claim.bounds).interval().inside(claim.holds)
        assert least <= held / 20 <= most


def sweep_frame(shift: float, axis: str) -> pd.DataFrame:
    """Parabolas in log2 of the multiplier whose bottom moves by `shift` octaves a doubling of the width."""
    held = {"lr_multiplier": "decay_multiplier", "decay_multiplier": "lr_multiplier"}[axis]
    rows = []
    for octave, width in enumerate((16, 32, 64)):
        for exponent in range(-2, 3):
            loss = 2 + 0.1 * (exponent - shift * octave + 0.3) ** 2
            rows.append(
                planted(view__sweep=True, param__width=width, metric__val_loss=loss)
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


def test_the_claim_on_gains_compares_distances_from_flat() -> None:
    claim = TASK.claim("C3-lm")
    assert claim.estimate(claim_frame({"sqrt-width": -0.2, "constant": 0.5})) == pytest.approx(-0.3)
    assert claim.estimate(claim_frame({"sqrt-width": -0.6, "constant": 0.5})) == pytest.approx(0.1)
    assert math.isnan(claim.estimate(claim_frame({"sqrt-width": -0.2})))


@pytest.mark.parametrize("method", METHODS)
def test_a_language_model_learns_and_is_measured(lm: Trials, method: str) -> None:
    metrics = lm.run(method)
    assert all(math.isfinite(value) for value in metrics.values())
    assert ("sigma_norm_qkv" in metrics) == (method != "no-decay")
    assert metrics["val_loss"] < math.log(256)


def test_the_horizon_is_eta_lambda_over_the_run(ffn: Trials) -> None:
    assert ffn.run("sqrt-width")["horizon"] == pytest.approx(0.02 * 1.0 * 40)


def test_seeds_and_replicates_redraw(lm: Trials, ffn: Trials) -> None:
    for trials in (lm, ffn):
        first = trials.run("sqrt-width")
        assert trials.run("sqrt-width", seed=1) != first
        assert trials.run("sqrt-width", {"replicate": 1})["gain"] != first["gain"]


def test_bfloat16_changes_the_arithmetic_and_little_else(lm: Trials) -> None:
    single, half = (lm.run("sqrt-width", {"precision": name}) for name in ("float32", "bfloat16"))
    assert half["val_loss"] != single["val_loss"]
    assert half["val_loss"] == pytest.approx(single["val_loss"], rel=0.02)


def test_at_the_base_width_the_three_rules_are_one(ffn: Trials) -> None:
    runs = [ffn.run(method) for method in ("sqrt-width", "constant", "linear-width")]
    assert runs[0] == runs[1] == runs[2]


def test_weights_scale_with_eta_over_lambda_by_symmetry(ffn: Trials) -> None:
    """AdamW ignores the scale of gradients: in the steady state eta times 2 and lambda over 2 double every weight, up to noise."""
    one, double = (ffn.run("constant", {"steps": 400, "decay": 2.0, "balance": c})["sigma_top"] for c in (1.0, 2.0))
    assert double / one == pytest.approx(2.0, rel=0.15)


def test_a_run_that_diverges_says_so(lm: Trials, ffn: Trials) -> None:
    wild = {"lr": 10.0, "decay": 1e4, "lr_multiplier": 1e6}
    for metrics in (lm.run("constant", wild | {"vector_lr": 10.0, "head_lr": 10.0}), ffn.run("constant", wild | {"steps": 200})):
        assert any(math.isnan(value) for value in metrics.values())


def test_fixed_tokens_across_widths() -> None:
    for scale in TASK.scales:
        data = {name: DataRef(name, "s", "stand-in", "f") for name in data_names(TASK, scale)}
        tokens: dict[tuple[str, bool], set[int]] = {}
        for trial in expand(TASK, scale, Overrides(seeds=1), data):
            p = trial.params
            tokens.setdefault((trial.experiment, "sweep" in trial.views), set()).add(p["steps"] * p["batch"] * p.get("length", 1))
        assert all(len(counts) == 1 for counts in tokens.values()), scale
