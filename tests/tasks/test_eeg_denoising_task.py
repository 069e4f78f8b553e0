"""The estimates on planted records, the claims at every scale, and whole trials of every method at toy size."""

from __future__ import annotations

import dataclasses
import functools
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
from harness.plan import DataRef, Overrides, data_names, expand
from harness.task import SCALES, Task
from tasks.datasets.eeg_epochs import EegEpochs, Epochs
from tasks.eeg.eeg_denoising_atat.cleaning import denoise
from tasks.eeg.eeg_denoising_atat.denoisers import build, trained
from tasks.eeg.eeg_denoising_atat.designs import CLASSICAL, FLOOR, GATED, LEVELS, NETWORKED, PASS_THROUGH, TARGETED
from tasks.eeg.eeg_denoising_atat.estimates import SizeExponent, gap, half_clean, parameters_saved, scores
from tasks.eeg.eeg_denoising_atat.experiment import run
from tasks.eeg.eeg_denoising_atat.params import requires_training
from tasks.eeg.eeg_denoising_atat.signals import held_out_signals, training_signals
from tasks.eeg.eeg_denoising_atat.targeted import Targeted
from tests.tasks.eeg_denoising_toys import TASK_ID, planted, toy_trials
from tests.tasks.standing import MakeTrial

_MACHINE = {"train_seconds", "seconds_per_1000"}
_EXACT = {"cc", "rrmse_temporal", "rrmse_spectral", "decorrelation"}


@pytest.fixture
def task() -> Task:
    return registry.task(TASK_ID)


@pytest.fixture(scope="module")
def make_trial(tmp_path_factory: pytest.TempPathFactory) -> MakeTrial:
    """What one test trained, the others score."""
    return toy_trials(tmp_path_factory.mktemp("store"))


def row(method: str, metrics: dict[str, float], **values: Any) -> dict[str, Any]:
    found = {f"metric.{name}": value for name, value in metrics.items()}
    where = {f"param.{name}": value for name, value in (scores() | values).items()}
    return {"method": method, "seed": 0, "status": "ok"} | found | where


def test_gaps_are_paired_over_the_levels_and_nothing_is_made_up() -> None:
    rows = [row("at-at", {"cc": 0.5 + 0.1 * i}, snr=level) for i, level in enumerate((-7.0, 2.0))]
    rows += [row("fcnn", {"cc": 0.3 + 0.2 * i}, snr=level) for i, level in enumerate((-7.0, 2.0))]
    rows += [row("at-at", {"cc": 9.0}, snr=2.0, **change) for change in ({"contaminated": 0.5}, {"artifact": "eog"}, {"width": 2.0})]
    frame = pd.DataFrame(rows)
    assert gap("at-at", "fcnn", "cc", scores())(frame) == pytest.approx(0.55 - 0.4)
    assert gap("at-at", "fcnn", "cc", scores(snr=2.0))(frame) == pytest.approx(0.1)
    assert math.isnan(gap("at-at", "rnn", "cc", scores())(frame))
    assert math.isnan(gap("at-at", "fcnn", "cc", half_clean())(frame))
    assert math.isnan(gap("at-at", "fcnn", "cc", scores())(pd.DataFrame([*rows, row("fcnn", {"cc": math.nan}, snr=0.0)])))


def test_parameters_saved_are_a_share_of_the_others() -> None:
    frame = pd.DataFrame([row("at-at", {"parameters": 15.0}), row("rnn", {"parameters": 200.0})])
    assert parameters_saved("at-at", "rnn")(frame) == pytest.approx(92.5)
    assert math.isnan(parameters_saved("at-at", "fcnn")(frame))


def test_the_exponent_of_size_is_a_planted_one() -> None:
    def frame(*points: tuple[float, float]) -> pd.DataFrame:
        return pd.DataFrame([row("at-at", {"parameters": p, "decorrelation": 3.0 * p**e}, width=p) for p, e in points])

    exponent = SizeExponent("decorrelation")
    assert exponent(frame((1e3, -0.25), (4e3, -0.25), (16e3, -0.25))) == pytest.approx(-0.25)
    assert math.isnan(exponent(frame((1e3, -0.25))))
    assert math.isnan(SizeExponent("decorrelation", {"snr": -7.0})(frame((1e3, -0.25), (4e3, -0.25))))


@functools.cache
def _planned(scale: str) -> pd.DataFrame:
    """The trials of a scale as records without metrics."""
    task = registry.task(TASK_ID)
    data = {name: DataRef(name, "x", "semi-synthetic", "0") for name in data_names(task, scale)}
    trials = expand(task, scale, Overrides(seeds=1), data)
    return pd.DataFrame(
        [
            {"method": t.method, "seed": t.seed, "status": "ok"} | {f"param.{name}": value for name, value in t.params.items()}
            for t in trials
        ]
    )


@pytest.mark.parametrize("scale", SCALES)
def test_every_scale_holds_the_trials_of_the_claims_that_name_it(task: Task, scale: str) -> None:
    frame = _planned(scale).copy()
    draw = np.random.default_rng(0)
    for metric in task.metrics:
        frame[f"metric.{metric.name}"] = draw.uniform(0.2, 0.9, len(frame))
    frame["metric.parameters"] = frame["param.width"]
    for claim in task.claims:
        assert math.isfinite(claim.estimate(frame)) == (scale in claim.scales), claim.id


@pytest.mark.parametrize("scale", SCALES)
def test_methods_of_a_scale_learn_from_equally_many_windows(scale: str) -> None:
    frame = _planned(scale)
    scored = frame[(frame["param.stage"] == "score") & frame["method"].isin(NETWORKED)]
    assert scored["param.windows"].nunique() == scored["param.batch"].nunique() == 1
    assert scored["param.clean_share"].nunique() == scored["param.pairings"].nunique() == 1


def test_one_training_serves_all_levels_and_mixes_and_one_autoencoder_all_gates() -> None:
    params = {"width": 1.0, "windows": 100, "stage": "score", "snr": 2.0, "contaminated": 0.5, "test_windows": 3, "slow_windows": 1}
    base = {f.name: f.default for f in dataclasses.fields(registry.task(TASK_ID).params)} | params
    first, other = (requires_training("at-at", base | {"snr": snr, "contaminated": mix}) for snr, mix in ((2.0, 0.5), (-7.0, 1.0)))
    assert first == other
    assert first is not None
    assert (first.method, first.params["stage"], first.params["windows"]) == ("at-at", "train", 100)
    train = base | {"stage": "train", "snr": 0.0}
    below = [
        requires_training(method, train | {"threshold": t}) for method, t in (("at-at", 0.9), ("at-budget", 0.1), ("at-everywhere", 0.5))
    ]
    assert below[0] == below[1] == below[2]
    assert below[0] is not None
    assert (below[0].method, below[0].params["windows"]) == ("ae-only", 50)
    assert requires_training("ae-only", train) is None
    for method in (FLOOR, *CLASSICAL):
        assert requires_training(method, base) is None


@pytest.mark.parametrize(
    ("artifact", "method"), [*(("emg", name) for name in (FLOOR, *CLASSICAL, *NETWORKED)), ("eog", "eemd"), ("eog", "at-at")]
)
def test_every_method_runs_from_training_to_scores(make_trial: MakeTrial, task: Task, artifact: str, method: str) -> None:
    trial = make_trial(method, {"artifact": artifact, "snr": -7.0})
    metrics = run(trial)
    assert all(math.isfinite(value) for value in metrics.values())
    assert set(metrics) <= {metric.name for metric in task.metrics}
    assert ("parameters" in metrics) == (method in NETWORKED)
    assert ("share_sent" in metrics) == (method in GATED)
    logged = {name for point in trial.curve for name in point}
    assert logged == {"step", *(f"{kind}_{name}" for kind in ("trace", "psd") for name in ("noisy", "clean", "cleaned"))}


def test_held_back_segments_come_out_as_they_came_by_the_networks_of_at_at(make_trial: MakeTrial) -> None:
    values = {"snr": 2.0, "contaminated": 0.5}
    trials = {method: make_trial(method, values) for method in ("at-at", PASS_THROUGH)}
    assert requires_training(PASS_THROUGH, dataclasses.asdict(trials[PASS_THROUGH].params)) == requires_training(
        "at-at", dataclasses.asdict(trials["at-at"].params)
    )
    metrics = {method: run(trial) for method, trial in trials.items()}
    noisy, _ = held_out_signals(trials["at-at"]).mixed()
    ours, through = (trained(trial, trial.required(), noisy.shape[1]) for trial in trials.values())
    assert isinstance(ours, Targeted)
    assert isinstance(through, Targeted)
    with torch.no_grad():
        ours.threshold = through.threshold = float(ours.proxies(noisy).median())
        (kept, gated), (left, same) = (denoise(network, noisy) for network in (ours, through))
    assert gated is not None
    assert same is not None
    assert torch.equal(gated.sent, same.sent)
    held = ~gated.sent.flatten()
    assert 0 < int(held.sum()) < len(held)
    assert torch.equal(ours.segments(left)[held], ours.segments(noisy)[held])
    assert torch.equal(ours.segments(left)[~held], ours.segments(kept)[~held])
    assert metrics["at-at"]["share_sent"] == metrics[PASS_THROUGH]["share_sent"]


def test_examples_are_logged_where_figures_show_them_alone(make_trial: MakeTrial) -> None:
    for values, points in (({"snr": 2.0}, 128 + 65), ({"snr": 0.0}, 0), ({"snr": 2.0, "contaminated": 0.5}, 0)):
        trial = make_trial(FLOOR, values)
        run(trial)
        assert len(trial.curve) == points


@pytest.mark.parametrize(
    ("method", "windows", "lr"),
    [
        ("fcnn", 4000, 3e-3),
        ("rnn", 8000, 1e-2),
        ("cnn", 2000, 1e-3),
        ("ae-only", 4000, 3e-3),
        ("at-at", 4000, 3e-3),
        ("at-budget", 4000, 3e-3),
    ],
)
def test_an_easy_problem_is_learned(make_trial: MakeTrial, method: str, windows: int, lr: float) -> None:
    """Bands that do not overlap: a linear filter would do."""
    epochs = planted(counts={"train": 600, "val": 40, "test": 30})
    values = {"windows": windows, "lr": lr, "snr": -7.0}
    learned, nothing = (run(make_trial(name, values, given=epochs))["cc"] for name in (method, FLOOR))
    assert nothing == pytest.approx(0.196, abs=0.02)
    assert learned > nothing + 0.2


def test_all_methods_of_a_seed_meet_the_same_windows_at_every_level(make_trial: MakeTrial) -> None:
    low, high, other = (held_out_signals(make_trial(FLOOR, {"snr": snr}, seed=seed)) for snr, seed in ((-7.0, 0), (2.0, 0), (2.0, 1)))
    assert torch.equal(low.pairs.eeg, high.pairs.eeg)
    assert torch.equal(low.pairs.artifact, high.pairs.artifact)
    assert not torch.equal(high.pairs.eeg, other.pairs.eeg)
    mixes = [held_out_signals(make_trial(method, {"snr": -7.0})).mixed() for method in (FLOOR, "wavelet", "rnn", "at-at")]
    for mix in mixes[1:]:
        torch.testing.assert_close(mix, mixes[0], rtol=0, atol=0)


def test_a_budget_sends_its_share_of_the_validation_segments(make_trial: MakeTrial) -> None:
    for budget in (0.5, 0.25):
        trial = make_trial("at-budget", {"budget": budget})
        network = trained(trial, trial.required(), 128)
        assert isinstance(network, Targeted)
        noisy, _ = training_signals(trial, "val").mixed()
        _, gated = denoise(network, noisy)
        assert gated is not None
        assert float(gated.sent.double().mean()) == pytest.approx(budget, abs=0.03)


def test_thresholds_of_the_gated_methods(make_trial: MakeTrial) -> None:
    kept = {method: make_trial(method, {"threshold": 0.7}).required()["threshold"] for method in TARGETED}
    assert kept["at-at"] == kept["at-no-adversary"] == 0.7
    assert kept["at-everywhere"] == math.inf
    shares = {method: run(make_trial(method, {"snr": -7.0, "threshold": -1.0}))["share_sent"] for method in ("at-at", "at-everywhere")}
    assert shares == {"at-at": 0.0, "at-everywhere": 1.0}


def test_a_gate_that_sends_nothing_leaves_the_autoencoder_of_half_the_budget(make_trial: MakeTrial) -> None:
    nowhere = run(make_trial("at-at", {"snr": -7.0, "threshold": -1.0}))
    alone = run(make_trial("ae-only", {"snr": -7.0, "windows": 160}))
    assert {name: nowhere[name] for name in _EXACT} == pytest.approx({name: alone[name] for name in _EXACT}, abs=1e-6)
    assert nowhere["multiply_adds"] == alone["multiply_adds"]
    assert nowhere["parameters"] > alone["parameters"]


def test_the_adversary_changes_the_transformer_and_only_it(make_trial: MakeTrial) -> None:
    with_, without, weightless = (
        make_trial(method, values).required()["weights"]
        for method, values in (("at-at", {}), ("at-no-adversary", {}), ("at-at", {"adversarial": 0.0}))
    )
    assert all(torch.equal(without[name], weightless[name]) for name in without)
    changed = {name.split(".")[0] for name in with_ if not torch.equal(with_[name], without[name])}
    assert changed == {"transformer"}


def test_half_clean_windows_are_told_apart(make_trial: MakeTrial) -> None:
    metrics = run(make_trial("at-at", {"snr": -7.0, "contaminated": 0.5, "windows": 4000}))
    assert metrics["proxy_auc"] > 0.9
    assert metrics["share_sent"] == pytest.approx((metrics["share_sent_mixed"] + metrics["share_sent_clean"]) / 2)
    assert metrics["cc"] == pytest.approx((metrics["cc_mixed"] + metrics["cc_clean"]) / 2)
    assert run(make_trial(FLOOR, {"contaminated": 0.5}))["cc_clean"] == pytest.approx(1.0)


def test_the_test_split_reaches_scores_and_nothing_before_them(make_trial: MakeTrial) -> None:
    before = planted()
    after = dataclasses.replace(before, test=planted(seed=9).test)
    for method in ("fcnn", "at-budget"):
        first, other = (make_trial(method, {"snr": 2.0}, given=epochs) for epochs in (before, after))
        weights = [trial.required() for trial in (first, other)]
        assert all(torch.equal(weights[0]["weights"][name], weights[1]["weights"][name]) for name in weights[0]["weights"])
        assert weights[0]["threshold"] == weights[1]["threshold"]
        assert run(first)["cc"] != run(other)["cc"]


def test_a_trial_repeats_itself_and_seeds_matter(tmp_path: Path) -> None:
    for method in ("cnn", "at-at"):
        values = {"snr": -7.0, "dropout": 0.3}
        first, again, other = (
            run(toy_trials(tmp_path / f"{turn}")(method, values, seed=seed)) for turn, seed in (("first", 0), ("again", 0), ("first", 1))
        )
        assert {name: value for name, value in first.items() if name not in _MACHINE} == {
            name: value for name, value in again.items() if name not in _MACHINE
        }
        assert first["cc"] != other["cc"]


def test_building_a_network_leaves_torchs_own_stream_alone(make_trial: MakeTrial) -> None:
    before = torch.get_rng_state()
    first, again = (build(make_trial("rnn", {"stage": "train"}), 128).state_dict() for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_bad_input_gets_one_clear_sentence(make_trial: MakeTrial) -> None:
    with pytest.raises(UsageError, match="do-nothing learns nothing"):
        run(make_trial(FLOOR, {"stage": "train"}))
    with pytest.raises(UsageError, match="windows of 200 samples do not fit into epochs of 128"):
        run(make_trial(FLOOR, {"samples": 200}))
    with pytest.raises(UsageError, match="90 samples are no multiple of 4"):
        run(make_trial("ae-only", {"samples": 90, "stage": "train"}))
    with pytest.raises(UsageError, match="windows of 128 samples need a segment that divides them"):
        run(make_trial("at-at", {"segment": 96, "stage": "train"}))
    toy = planted()
    muscles = [Epochs(split.eeg, {"emg": split.artifacts["emg"]}) for split in (toy.train, toy.val, toy.test)]
    with pytest.raises(UsageError, match="this data set has no eog epochs: it has emg"):
        run(make_trial(FLOOR, {"artifact": "eog"}, given=EegEpochs(*muscles, rate=toy.rate)))
    trial = make_trial("fcnn")
    kept = trial.required() | {"samples": 64}
    trial.required = lambda: kept  # type: ignore[method-assign]
    with pytest.raises(UsageError, match="trained on windows of 64 samples, these have 128"):
        run(trial)


def test_the_published_gains_are_those_over_the_closed_form(task: Task) -> None:
    assert task.claim("C1-2db-gain").published == pytest.approx(0.104, abs=1e-3)
    assert task.claim("C1-minus-7db-gain").published == pytest.approx(0.504, abs=1e-3)
    assert (LEVELS[0], LEVELS[-1], len(LEVELS)) == (-7.0, 2.0, 10)


def test_declaring_the_task_imports_no_torch() -> None:
    code = (
        f"import sys, harness.registry as r; r.task('{TASK_ID}'); "
        "print([name for name in ('torch', 'pandas', 'ray', 'numpy', 'scipy', 'mne', 'pywt', 'PyEMD') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
