"""The estimates on planted records, and whole trials of every method on epochs with planted structure."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch

from harness.errors import UsageError
from harness.estimates import paired
from harness.plan import DataRef, Overrides, data_names, expand
from harness.task import SCALES
from tasks.datasets.eeg_epochs import EegEpochs, Epochs
from tasks.eeg.eeg_denoising_atat.claims import SizeExponent, gain_kept, parameters_saved
from tasks.eeg.eeg_denoising_atat.cleaning import denoise
from tasks.eeg.eeg_denoising_atat.denoisers import build, trained
from tasks.eeg.eeg_denoising_atat.experiment import score
from tasks.eeg.eeg_denoising_atat.methods import CLASSICAL, FLOOR, GATED, LEVELS, NETWORKED, PASS_THROUGH, TARGETED
from tasks.eeg.eeg_denoising_atat.scales import EVERY_LEVEL, HALF_CLEAN
from tasks.eeg.eeg_denoising_atat.signals import held_out_signals, training_signals
from tasks.eeg.eeg_denoising_atat.targeted import Targeted
from tasks.eeg.eeg_denoising_atat.task import SCORE, TASK, Scoring, requires_autoencoder, requires_training
from tests.tasks.trials import Trials

_EXACT = {"cc", "rrmse_temporal", "rrmse_spectral", "decorrelation"}
RATE, SAMPLES = 128.0, 128
TINY = {"windows": 320, "segment": 64, "pairings": 4, "test_windows": 24, "slow_windows": 2, "lr": 3e-3, "dropout": 0.0}

Waves = npt.NDArray[np.float32]


def planted(*, counts: Mapping[str, int] | None = None, seed: int = 0) -> EegEpochs:
    """EEG: sinusoids of 3 to 12 Hz; EMG: noise above 30 Hz; EOG: one slow bump. One second each, splits drawn apart."""
    draw = np.random.default_rng(seed)
    sizes = counts or {"train": 60, "val": 40, "test": 30}
    splits = {
        name: Epochs(_eeg(draw, count), {"emg": _emg(draw, count + 5), "eog": _eog(draw, count + 5)}) for name, count in sizes.items()
    }
    return EegEpochs(**splits, rate=RATE)


def _eeg(draw: np.random.Generator, count: int) -> Waves:
    seconds = np.arange(SAMPLES) / RATE
    frequencies, phases = draw.uniform(3, 12, (2, count, 1)), draw.uniform(0, 2 * np.pi, (2, count, 1))
    return (20.0 * np.sin(2 * np.pi * frequencies * seconds + phases).sum(0)).astype(np.float32)


def _emg(draw: np.random.Generator, count: int) -> Waves:
    spectrum = np.fft.rfft(draw.normal(size=(count, SAMPLES)))
    spectrum[:, np.fft.rfftfreq(SAMPLES, 1 / RATE) < 30] = 0
    return (50.0 * np.fft.irfft(spectrum)).astype(np.float32)


def _eog(draw: np.random.Generator, count: int) -> Waves:
    seconds = np.arange(SAMPLES) / RATE
    bumps = np.exp(-0.5 * ((seconds - draw.uniform(0.3, 0.7, (count, 1))) / 0.1) ** 2)
    return (200.0 * (bumps - bumps.mean(1, keepdims=True))).astype(np.float32)


@functools.cache
def toy() -> EegEpochs:
    """Kept, because trials know a data set by its place in memory."""
    return planted()


@functools.cache
def large() -> EegEpochs:
    return planted(counts={"train": 600, "val": 40, "test": 30})


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Trials:
    """What one test trained, the others score."""
    return Trials(TASK, tmp_path_factory.mktemp("store"), base=TINY, data=toy())


def row(method: str, metrics: dict[str, float], view: str = EVERY_LEVEL, **values: Any) -> dict[str, Any]:
    found = {f"metric.{name}": value for name, value in metrics.items()}
    where = {f"param.{name}": value for name, value in values.items()}
    views = {f"view.{name}": name == view for name in (EVERY_LEVEL, HALF_CLEAN)}
    return {"experiment": "score", "method": method, "seed": 0, "status": "ok"} | views | found | where


def test_differences_are_paired_over_the_levels_and_nothing_is_made_up() -> None:
    cc = SCORE["cc"].at(EVERY_LEVEL)
    rows = [row("at-at", {"cc": 0.5 + 0.1 * i}, snr=level) for i, level in enumerate((-7.0, 2.0))]
    rows += [row("fcnn", {"cc": 0.3 + 0.2 * i}, snr=level) for i, level in enumerate((-7.0, 2.0))]
    rows += [row("at-at", {"cc": 9.0}, HALF_CLEAN, snr=2.0)]
    frame = pd.DataFrame(rows)
    assert paired("at-at", "fcnn", cc)(frame) == pytest.approx(0.55 - 0.4)
    assert paired("at-at", "fcnn", cc.at(snr=2.0))(frame) == pytest.approx(0.1)
    assert math.isnan(paired("at-at", "rnn", cc)(frame))
    assert math.isnan(paired("at-at", "fcnn", SCORE["cc"].at(HALF_CLEAN))(frame))
    assert math.isnan(paired("at-at", "fcnn", cc)(pd.DataFrame([*rows, row("fcnn", {"cc": math.nan}, snr=0.0)])))


def test_parameters_saved_are_a_share_of_the_others() -> None:
    parameters = SCORE["parameters"].at(EVERY_LEVEL)
    frame = pd.DataFrame([row("at-at", {"parameters": 15.0}), row("rnn", {"parameters": 200.0})])
    assert parameters_saved("at-at", "rnn", parameters)(frame) == pytest.approx(92.5)
    assert math.isnan(parameters_saved("at-at", "fcnn", parameters)(frame))
    assert {(claim.kind, claim.exact) for claim in TASK.claims if claim.id.startswith("C2-parameters-")} == {("check", True)}


def test_comparable_is_a_share_of_the_gain_that_methods_without_effect_do_not_keep() -> None:
    cc = SCORE["cc"].at(EVERY_LEVEL)

    def kept(ours: float, theirs: float, nothing: float) -> float:
        return gain_kept("at-at", "rnn", cc)(pd.DataFrame([row(m, {"cc": v}) for m, v in zip(names, (ours, theirs, nothing), strict=True)]))

    names = ("at-at", "rnn", FLOOR)
    assert kept(0.6, 0.6, 0.5) == pytest.approx(0.01)
    assert kept(0.59, 0.6, 0.5) == pytest.approx(0.0)
    assert kept(0.5, 0.5, 0.5) == 0.0, "nobody gains anything"
    claim = TASK.claim("C2-cc-rnn")
    assert (0.0 in claim.holds, claim.null, claim.stands_on) == (False, 0.0, ("X-floor-rnn",))


def test_the_exponent_of_size_is_a_planted_one() -> None:
    def frame(*points: tuple[float, float]) -> pd.DataFrame:
        return pd.DataFrame([row("at-at", {"parameters": p, "decorrelation": 3.0 * p**e}, width=p, snr=2.0) for p, e in points])

    exponent = SizeExponent("decorrelation")
    assert exponent(frame((1e3, -0.25), (4e3, -0.25), (16e3, -0.25))) == pytest.approx(-0.25)
    assert math.isnan(exponent(frame((1e3, -0.25))))
    assert math.isnan(SizeExponent("decorrelation", {"snr": -7.0})(frame((1e3, -0.25), (4e3, -0.25))))


@pytest.mark.parametrize("scale", SCALES)
def test_methods_of_a_scale_learn_from_equally_many_windows(scale: str) -> None:
    data = {name: DataRef(name, "x", "semi-synthetic", "0") for name in data_names(TASK, scale)}
    scored = [t.params for t in expand(TASK, scale, Overrides(seeds=1), data) if t.experiment == "score" and t.method in NETWORKED]
    for name in ("windows", "batch", "clean_share", "pairings"):
        assert len({params[name] for params in scored}) == 1


def test_one_training_serves_all_levels_and_mixes_and_one_autoencoder_all_gates() -> None:
    base = dataclasses.asdict(Scoring(windows=100))
    first, other = (requires_training("at-at", base | {"snr": snr, "contaminated": mix}) for snr, mix in ((2.0, 0.5), (-7.0, 1.0)))
    assert first == other == requires_training(PASS_THROUGH, base)
    assert first is not None
    assert (first.method, first.experiment, first.params["windows"]) == ("at-at", "train", 100)
    gates = (("at-at", 0.9), ("at-budget", 0.1), ("at-everywhere", 0.5))
    below = [requires_autoencoder(method, {**first.params, "threshold": threshold}) for method, threshold in gates]
    assert below[0] == below[1] == below[2]
    assert below[0] is not None
    assert (below[0].method, below[0].params["windows"]) == ("ae-only", 50)
    assert requires_autoencoder("ae-only", first.params) is None
    assert not any(requires_training(method, base) for method in (FLOOR, *CLASSICAL))


@pytest.mark.parametrize(
    ("artifact", "method"), [*(("emg", name) for name in (FLOOR, *CLASSICAL, *NETWORKED)), ("eog", "eemd"), ("eog", "at-at")]
)
def test_every_method_runs_from_training_to_scores(trials: Trials, artifact: str, method: str) -> None:
    trial = trials(method, {"artifact": artifact, "snr": -7.0})
    metrics = score(trial)
    assert all(math.isfinite(value) for value in metrics.values())
    assert ("parameters" in metrics) == (method in NETWORKED)
    assert ("share_sent" in metrics) == (method in GATED)
    logged = {name for point in trial.curve for name in point}
    assert logged == {"step", *(f"{kind}_{name}" for kind in ("trace", "psd") for name in ("noisy", "clean", "cleaned"))}


def test_held_back_segments_come_out_as_they_came_by_the_networks_of_at_at(trials: Trials) -> None:
    values = {"snr": 2.0, "contaminated": 0.5}
    made = {method: trials(method, values) for method in ("at-at", PASS_THROUGH)}
    metrics = {method: score(trial) for method, trial in made.items()}
    noisy, _ = held_out_signals(made["at-at"]).mixed()
    ours, through = (trained(trial, trial.required(), noisy.shape[1]) for trial in made.values())
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


def test_examples_are_logged_where_figures_show_them_alone(trials: Trials) -> None:
    for values, points in (({"snr": 2.0}, 128 + 65), ({"snr": 0.0}, 0), ({"snr": 2.0, "contaminated": 0.5}, 0)):
        trial = trials(FLOOR, values)
        score(trial)
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
def test_an_easy_problem_is_learned(trials: Trials, method: str, windows: int, lr: float) -> None:
    """Bands that do not overlap: a linear filter would do."""
    values = {"windows": windows, "lr": lr, "snr": -7.0}
    learned, nothing = (trials.run(name, values, data=large())["cc"] for name in (method, FLOOR))
    assert nothing == pytest.approx(0.196, abs=0.02)
    assert learned > nothing + 0.2


def test_all_methods_of_a_seed_meet_the_same_windows_at_every_level(trials: Trials) -> None:
    low, high, other = (held_out_signals(trials(FLOOR, {"snr": snr}, seed=seed)) for snr, seed in ((-7.0, 0), (2.0, 0), (2.0, 1)))
    assert torch.equal(low.pairs.eeg, high.pairs.eeg)
    assert torch.equal(low.pairs.artifact, high.pairs.artifact)
    assert not torch.equal(high.pairs.eeg, other.pairs.eeg)
    mixes = [held_out_signals(trials(method, {"snr": -7.0})).mixed() for method in (FLOOR, "wavelet", "rnn", "at-at")]
    for mix in mixes[1:]:
        torch.testing.assert_close(mix, mixes[0], rtol=0, atol=0)


@pytest.mark.parametrize("split", ["train", "val"])
def test_what_is_scored_is_mixed_from_the_test_split_alone(tmp_path: Path, split: str) -> None:
    data = toy()
    part = getattr(data, split)
    other = Epochs(-part.eeg, {name: -waves for name, waves in part.artifacts.items()})
    mixes = [
        held_out_signals(Trials(TASK, tmp_path, base=TINY, data=given)(FLOOR)).mixed()
        for given in (data, dataclasses.replace(data, **{split: other}))
    ]
    torch.testing.assert_close(mixes[0], mixes[1], rtol=0, atol=0)


def test_a_budget_sends_its_share_of_the_validation_segments(trials: Trials) -> None:
    for budget in (0.5, 0.25):
        trial = trials("at-budget", {"budget": budget})
        network = trained(trial, trial.required(), 128)
        assert isinstance(network, Targeted)
        noisy, _ = training_signals(trial, "val").mixed()
        _, gated = denoise(network, noisy)
        assert gated is not None
        assert float(gated.sent.double().mean()) == pytest.approx(budget, abs=0.03)


def test_thresholds_of_the_gated_methods(trials: Trials) -> None:
    kept = {method: trials(method, {"threshold": 0.7}).required()["threshold"] for method in TARGETED}
    assert kept["at-at"] == kept["at-no-adversary"] == 0.7
    assert kept["at-everywhere"] == math.inf
    shares = {method: trials.run(method, {"snr": -7.0, "threshold": -1.0})["share_sent"] for method in ("at-at", "at-everywhere")}
    assert shares == {"at-at": 0.0, "at-everywhere": 1.0}


def test_a_gate_that_sends_nothing_leaves_the_autoencoder_of_half_the_budget(trials: Trials) -> None:
    nowhere = trials.run("at-at", {"snr": -7.0, "threshold": -1.0})
    alone = trials.run("ae-only", {"snr": -7.0, "windows": 160})
    assert {name: nowhere[name] for name in _EXACT} == pytest.approx({name: alone[name] for name in _EXACT}, abs=1e-6)
    assert nowhere["multiply_adds"] == alone["multiply_adds"]
    assert nowhere["parameters"] > alone["parameters"]


def test_the_adversary_changes_the_transformer_and_only_it(trials: Trials) -> None:
    with_, without, weightless = (
        trials(method, values).required()["weights"]
        for method, values in (("at-at", {}), ("at-no-adversary", {}), ("at-at", {"adversarial": 0.0}))
    )
    assert all(torch.equal(without[name], weightless[name]) for name in without)
    changed = {name.split(".")[0] for name in with_ if not torch.equal(with_[name], without[name])}
    assert changed == {"transformer"}


def test_half_clean_windows_are_told_apart(trials: Trials) -> None:
    metrics = trials.run("at-at", {"snr": -7.0, "contaminated": 0.5, "windows": 4000})
    assert metrics["proxy_auc"] > 0.9
    assert metrics["share_sent"] == pytest.approx((metrics["share_sent_mixed"] + metrics["share_sent_clean"]) / 2)
    assert metrics["cc"] == pytest.approx((metrics["cc_mixed"] + metrics["cc_clean"]) / 2)
    assert trials.run(FLOOR, {"contaminated": 0.5})["cc_clean"] == pytest.approx(1.0)


def test_the_threshold_of_a_budget_is_blind_to_the_test_split(trials: Trials) -> None:
    after = dataclasses.replace(toy(), test=planted(seed=9).test)
    first, other = (trials("at-budget", {"snr": 2.0}, data=epochs) for epochs in (toy(), after))
    assert first.required()["threshold"] == other.required()["threshold"]
    assert score(first)["cc"] != score(other)["cc"]


def test_a_trial_with_dropout_repeats_itself_and_seeds_matter(tmp_path: Path) -> None:
    first, again, other = (
        Trials(TASK, tmp_path / turn, base=TINY, data=toy()).run("fcnn", {"dropout": 0.3}, experiment="train", seed=seed)["val_cc"]
        for turn, seed in (("first", 0), ("again", 0), ("first", 1))
    )
    assert first == again != other


def test_building_a_network_leaves_torchs_own_stream_alone(trials: Trials) -> None:
    before = torch.get_rng_state()
    first, again = (build(trials("rnn", experiment="train"), 128).state_dict() for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_bad_input_gets_one_clear_sentence(trials: Trials) -> None:
    with pytest.raises(UsageError, match="windows of 200 samples do not fit into epochs of 128"):
        trials.run(FLOOR, {"samples": 200})
    with pytest.raises(UsageError, match="90 samples are no multiple of 4"):
        trials.run("ae-only", {"samples": 90}, experiment="train")
    with pytest.raises(UsageError, match="windows of 128 samples need a segment that divides them"):
        trials.run("at-at", {"segment": 96})
    muscles = [Epochs(split.eeg, {"emg": split.artifacts["emg"]}) for split in (toy().train, toy().val, toy().test)]
    with pytest.raises(UsageError, match="this data set has no eog epochs: it has emg"):
        trials.run(FLOOR, {"artifact": "eog"}, data=EegEpochs(*muscles, rate=RATE))
    trial = trials("fcnn")
    kept = trial.required() | {"samples": 64}
    trial.required = lambda: kept  # type: ignore[method-assign]
    with pytest.raises(UsageError, match="trained on windows of 64 samples, these have 128"):
        score(trial)


def test_the_published_gains_are_those_over_the_closed_form() -> None:
    assert TASK.claim("C1-2db-gain").published == pytest.approx(0.104, abs=1e-3)
    assert TASK.claim("C1-minus-7db-gain").published == pytest.approx(0.504, abs=1e-3)
    for name in ("2db", "minus-7db"):
        above, gain = TASK.claim(f"C1-{name}"), TASK.claim(f"C1-{name}-gain")
        assert above.published is not None
        assert above.null is not None
        assert above.published - above.null == pytest.approx(gain.published, abs=1e-3), "doing nothing is no effect"
    assert (LEVELS[0], LEVELS[-1], len(LEVELS)) == (-7.0, 2.0, 10)
