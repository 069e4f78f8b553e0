"""The estimates on planted effects, the ladder, and whole trials at toy size."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from harness import params, registry
from harness.checkpoints import Checkpoints
from harness.data import open_data
from harness.plan import DataRef, Overrides, TrialSpec, data_names, expand
from harness.store import StudyStore
from harness.task import Task
from harness.trial import Trial
from tasks.blocks.olmo import OlmoDecoder
from tasks.llm.optimizers_under_quantization import experiment, ladder
from tasks.llm.optimizers_under_quantization.claims import OPTIMIZERS, RHO
from tasks.llm.optimizers_under_quantization.columns import SCHEME_NAMES, rise
from tasks.llm.optimizers_under_quantization.efficiency import Efficiency
from tasks.llm.optimizers_under_quantization.estimates import AtCommonLoss, Correlation, QatDrop, Selected, mmr_slope
from tasks.llm.optimizers_under_quantization.experiment import build, run
from tasks.llm.optimizers_under_quantization.params import Params
from tasks.llm.optimizers_under_quantization.ptq import SCHEMES
from tasks.llm.optimizers_under_quantization.rates import BASE_LR, DECAY, OTHER_LR, rates

TASK_ID = "optimizers-under-quantization"
TINY = {
    "width": 128,
    "depth": 1,
    "length": 16,
    "batch": 4,
    "steps": 12,
    "warmup": 2,
    "eval_windows": 8,
    "probe_windows": 4,
    "probe_every": 3,
    "ladder_top": 6.0,
    "calibration_windows": 4,
}
MakeTrial = Callable[..., Trial]


@pytest.fixture
def task() -> Task:
    return registry.task(TASK_ID)


@pytest.fixture
def make(tmp_path: Path, tiny_ref: DataRef) -> MakeTrial:
    """Trials of this task on the tiny corpus, checkpoints under the test's own folder."""

    def trial(method: str, values: Mapping[str, Any], *, seed: int = 0, study: str = "study") -> Trial:
        task = registry.task(TASK_ID)
        resolved = params.resolve(task, TINY | dict(values))
        spec = TrialSpec(task=TASK_ID, version=1, scale="smoke", method=method, params=resolved, seed=seed, data=tiny_ref)
        checkpoints = Checkpoints(StudyStore(str(tmp_path / "store"), study))
        return Trial(task, spec, open_data=lambda _: open_data(registry.dataset("text"), tiny_ref), checkpoints=checkpoints)

    return trial


def planted(method: str, **columns: Any) -> dict[str, Any]:
    usual = {"size": "base", "training": "full", "lr_multiplier": 1.0, "decay_multiplier": 1.0, "width": 128, "depth": 2}
    row = {"method": method, "seed": 0, "status": "ok", "metric.val_loss": 2.0} | {f"param.{name}": value for name, value in usual.items()}
    return row | {name.replace("__", "."): value for name, value in columns.items()}


def test_the_sweep_selects_on_validation_loss_alone() -> None:
    rows = [
        planted("soap", param__lr_multiplier=m, metric__val_loss=loss, metric__test_loss=test, metric__rise_w4a4=rise)
        for m, loss, test, rise in ((0.5, 2.2, 1.0, 0.0), (1.0, 2.0, 3.0, 0.4), (2.0, 2.1, 1.5, 0.1))
    ]
    decoys = [planted("soap", param__training="qat", metric__val_loss=1.0), planted("soap", param__size="other", metric__val_loss=1.0)]
    assert Selected("rise_w4a4")(pd.DataFrame(rows + decoys)) == 0.4


def test_a_diverged_rate_is_not_selected_and_a_failed_one_decides_nothing() -> None:
    rows = [planted("soap", metric__r_l=0.1), planted("soap", param__lr_multiplier=2.0, status="diverged", metric__val_loss=math.nan)]
    assert Selected("r_l")(pd.DataFrame(rows)) == 0.1
    rows[1]["status"] = "timeout"
    assert math.isnan(Selected("r_l")(pd.DataFrame(rows)))


def test_correlations_over_methods() -> None:
    x = {"adamw": 1.0, "muon": 2.0, "psgd": 3.0, "scion": 4.0, "shampoo": 10.0}
    frame = pd.DataFrame([planted(m, metric__r_l=v, metric__kurtosis=-v, metric__rise_w4a4=v**3) for m, v in x.items()])
    assert Correlation("r_l", "rise_w4a4", ranked=True)(frame) == pytest.approx(1.0)
    assert Correlation("kurtosis", "rise_w4a4", ranked=True)(frame) == pytest.approx(-1.0)
    expected = pd.Series(x).corr(pd.Series(x) ** 3)
    assert Correlation("r_l", "rise_w4a4")(frame) == pytest.approx(expected)
    assert math.isnan(Correlation("r_l", "rise_w4a4")(frame[frame["method"].isin(["adamw", "muon", "psgd"])]))


def test_the_common_loss_is_the_lowest_rung_that_all_reached() -> None:
    reached = {
        "adamw": {2.4: 0.01, 2.35: 0.02},
        "muon": {2.4: 0.03, 2.35: 0.05, 2.3: 0.09},
        "shampoo": {2.4: 0.0, 2.35: 0.015, 2.3: 0.02, 2.25: 0.07},
    }
    rows = [planted(m, **{f"metric__{ladder.metric(rung)}": value for rung, value in at.items()}) for m, at in reached.items()]
    # Columns hold a NaN where a trial did not get that far; a diverged trial of the sweep is not the selected one.
    rows.append(planted("adamw", param__lr_multiplier=2.0, status="diverged", metric__val_loss=math.nan))
    frame = pd.DataFrame(rows)
    assert [AtCommonLoss(m)(frame) for m in ("adamw", "muon", "shampoo")] == [0.02, 0.05, 0.015]
    assert math.isnan(AtCommonLoss("soap")(frame))
    none = frame.drop(columns=[name for name in frame if name.endswith(("2.40", "2.35"))])
    assert math.isnan(AtCommonLoss("muon")(none))


def test_the_ladder_takes_the_first_checkpoint_at_a_rung() -> None:
    curve = [{"step": 1.0, "probe_loss": 3.12}, {"step": 2.0, "probe_loss": 2.69, "w4a4_rise": 0.3}]
    assert ladder.crossed(2.69, curve[:1], top=2.8)
    assert not ladder.crossed(3.12, [], top=2.8)
    curve += [{"step": 3.0, "probe_loss": 2.75}, {"step": 4.0, "probe_loss": 2.60, "w4a4_rise": 0.5}]
    assert not ladder.crossed(2.69, curve, top=2.8)
    assert ladder.rises(curve, 2.8) == {
        **{ladder.metric(rung): 0.3 for rung in (2.8, 2.75, 2.7)},
        **{ladder.metric(rung): 0.5 for rung in (2.65, 2.6)},
    }
    assert ladder.RUNGS[0] == 6.0
    assert ladder.RUNGS[-1] == 1.0


def test_the_qat_drop_compares_like_with_like() -> None:
    rows = [
        planted("muon", param__lr_multiplier=0.5, metric__val_loss=1.0),  # swept in full precision only
        planted("muon", metric__val_loss=2.0),
        planted("muon", param__training="qat", metric__val_loss=2.1),
        planted("muon", param__training="qat", param__size="other", metric__val_loss=9.0),
    ]
    assert QatDrop()(pd.DataFrame(rows)) == pytest.approx(5.0)
    assert math.isnan(QatDrop()(pd.DataFrame(rows[:2])))


def law_frame(alpha: float = 0.4, floor: float = 1.1) -> pd.DataFrame:
    rows = []
    for index, method in enumerate(OPTIMIZERS):
        for depth in (1, 2, 4):
            n = 196_608 * depth
            for training, rho in (("full", 1.0), ("qat", RHO[method])):
                loss = (60.0 + 5 * index) / (n * rho) ** alpha + floor
                rows.append(
                    planted(
                        method,
                        param__training=training,
                        param__depth=depth,
                        param__size="base" if depth == 2 else "other",
                        metric__hidden_parameters=n,
                        metric__val_loss=loss,
                    )
                )
    return pd.DataFrame(rows)


def test_planted_efficiencies_are_found(task: Task) -> None:
    frame = law_frame()
    for name in OPTIMIZERS:
        assert Efficiency(name)(frame) == pytest.approx(RHO[name], abs=1e-4), name
        assert task.claim(f"C4-rho-{name}").published == RHO[name]
    assert task.claim("C4-shampoo").estimate(frame) == pytest.approx(0.016, abs=1e-4)
    assert math.isnan(Efficiency("adamw")(frame[frame["param.depth"] < 4]))


def test_the_slope_of_mmr_over_the_rate() -> None:
    rows = [planted("scion", param__lr_multiplier=m, metric__mmr_median=7 * m**0.3) for m in (0.5, 1.0, 2.0)]
    rows.append(planted("scion", param__lr_multiplier=2.0, param__decay_multiplier=3.0, metric__mmr_median=900.0))
    assert mmr_slope()(pd.DataFrame(rows)) == pytest.approx(0.3)


def test_the_schemes_have_their_metrics(task: Task) -> None:
    assert set(SCHEME_NAMES) == set(SCHEMES)
    assert {rise(name) for name in SCHEMES} <= {metric.name for metric in task.metrics}


def test_rates_follow_their_multipliers() -> None:
    hidden, others = rates("muon", Params(lr_multiplier=2.0, decay_multiplier=0.5))
    assert (hidden.lr, hidden.decay) == pytest.approx((2 * BASE_LR["muon"], 0.5 * DECAY))
    assert (others.lr, others.decay) == pytest.approx((2 * OTHER_LR, 0.0))
    assert set(BASE_LR) == set(OPTIMIZERS)


@pytest.mark.parametrize("method", OPTIMIZERS)
def test_a_trial_gives_every_metric_of_its_training(make: MakeTrial, task: Task, method: str) -> None:
    metrics = run(make(method, {}))
    assert set(metrics) <= {metric.name for metric in task.metrics}
    assert all(math.isfinite(value) for value in metrics.values())
    assert {metric.name for metric in task.metrics if metric.name not in ladder.METRICS} == set(metrics) - set(ladder.METRICS)
    assert metrics["val_loss"] < math.log(256)
    assert metrics["hidden_parameters"] == 12 * 128**2
    assert metrics["rise_w4a4"] != 0.0
    assert abs(metrics["rise_w8a8"]) < 0.02
    assert metrics["share_a"] + metrics["share_b"] + metrics["share_c"] == pytest.approx(1.0)
    reached = [rung for name, rung in ladder.METRICS.items() if name in metrics]
    assert reached
    assert max(reached) == ladder.RUNGS[0]


def test_a_qat_trial_trains_with_quantization_from_the_same_start(make: MakeTrial) -> None:
    metrics = run(make("shampoo", {"training": "qat"}))
    assert set(metrics) == {"val_loss", "test_loss", "train_loss", "hidden_parameters", "tokens"}
    full = run(make("shampoo", {}))
    assert metrics["train_loss"] != full["train_loss"]
    pair = [build(make("shampoo", {"training": kind}), 256) for kind in ("full", "qat")]
    for a, b in zip(*(model.parameters() for model in pair), strict=True):
        assert torch.equal(a, b)


def test_more_bits_come_nearer_to_full_precision(make: MakeTrial) -> None:
    full = run(make("adamw", {}))["val_loss"]
    distance = [abs(run(make("adamw", {"training": "qat", "bits": bits}))["val_loss"] - full) for bits in (2, 8)]
    assert distance[1] < 0.2 * distance[0]


def test_a_trial_repeats_itself_and_seeds_matter(make: MakeTrial) -> None:
    first = run(make("psgd", {}))
    assert run(make("psgd", {}, study="again")) == first
    assert run(make("psgd", {}, seed=1))["val_loss"] != first["val_loss"]


class MachineLostError(Exception):
    """Stands for a machine that goes away."""


@pytest.mark.parametrize("method", ["psgd", "soap"])
def test_an_interrupted_trial_finds_its_rungs_again(make: MakeTrial, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    whole = run(make(method, {}, study="whole"))
    loop = experiment._loop

    def breaks(trial: Trial, corpus: Any, model: OlmoDecoder) -> Any:
        made = loop(trial, corpus, model)

        def loss(step: int) -> Any:
            if step == 8:
                raise MachineLostError
            return made.loss(step)

        return type(made)(**{**vars(made), "loss": loss, "checkpoint_seconds": 0.0})

    monkeypatch.setattr(experiment, "_loop", breaks)
    with pytest.raises(MachineLostError):
        run(make(method, {}, study="broken"))
    monkeypatch.setattr(experiment, "_loop", loop)
    resumed = make(method, {}, study="broken")
    assert run(resumed) == whole
    assert [point["step"] for point in resumed.curve] == [3, 6, 9, 12]


def test_a_run_that_diverges_says_so(make: MakeTrial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "next_token_loss", lambda logits, targets: logits.sum() * math.nan)
    assert math.isnan(run(make("adamw", {}))["val_loss"])


@pytest.mark.parametrize("scale", ["smoke", "laptop", "gpu", "paper"])
def test_every_scale_expands_and_serves_its_claims(task: Task, scale: str) -> None:
    data = {name: DataRef(name, "s", "stand-in", "f") for name in data_names(task, scale)}
    rows = []
    for trial in expand(task, scale, Overrides(seeds=1), data):
        p = trial.params
        assert trial.data is not None
        assert trial.expected_s > 0
        assert p["width"] % 128 == 0
        assert p["warmup"] < p["steps"]
        n = 12 * p["depth"] * p["width"] ** 2
        worth = n * (RHO[trial.method] if p["training"] == "qat" else 1.0)
        loss = 1.5 + 100 / worth**0.4 + 0.01 * math.log2(p["lr_multiplier"]) ** 2 + 0.01 * abs(math.log2(p["decay_multiplier"]))
        noise = 0.01 * OPTIMIZERS.index(trial.method) * p["lr_multiplier"]
        values = {metric.name: 1.0 + noise for metric in task.metrics} | {"val_loss": loss, "hidden_parameters": n}
        rows.append(
            {"method": trial.method, "seed": 0, "status": "ok"}
            | {f"param.{name}": value for name, value in p.items()}
            | {f"metric.{name}": value for name, value in values.items()}
        )
    frame = pd.DataFrame(rows)
    for claim in task.claims:
        if scale in claim.scales:
            assert math.isfinite(claim.estimate(frame)), claim.id
    if scale != "smoke":
        assert task.claim("C4-shampoo").estimate(frame) == pytest.approx(0.016, abs=2e-3)


def test_declaring_the_task_imports_no_torch() -> None:
    listing = f"import sys, harness.registry as r; r.task('{TASK_ID}')"
    code = f"{listing}; print([name for name in ('torch', 'pandas', 'ray', 'numpy') if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
