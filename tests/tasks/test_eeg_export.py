"""Generated windows as EDF and FIF: what mne reads back is what a trial kept, and what cannot be exported is said in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.artifacts import Artifacts
from harness.plan import TrialSpec
from harness.plans import save_plan
from harness.store import StudyStore
from tasks.eeg.export import main

CHANNELS, CLASSES = ("Fp1", "Fp2", "C3"), ("eyem", "musc")
STEPS = 65534
"""Of EDF's 16 bits as mne uses them, symmetric about zero."""

Export = Callable[..., int]


def kept(*, count: int = 7, samples: int = 250, rate: float = 250.0) -> dict[str, Any]:
    """Windows whose channels differ a thousandfold in amplitude and sit away from zero."""
    stream = torch.Generator().manual_seed(3)
    scale = torch.tensor([0.37, 41.0, 512.3])[:, None]
    windows = torch.randn(count, len(CHANNELS), samples, generator=stream) * scale + 3 * scale
    labels = torch.arange(count) % len(CLASSES)
    return {"windows": windows, "labels": labels, "rate": rate, "channels": list(CHANNELS), "classes": list(CLASSES)}


def spec(method: str, seed: int, **fields: Any) -> TrialSpec:
    return TrialSpec(
        task="eeg-artifact-synthesis", version=1, scale="smoke", experiment="train", method=method, seed=seed, **({"params": {}} | fields)
    )


GAN, DIFFUSION, SCORE = spec("gan", 0), spec("diffusion", 0), spec("score", 0, requires=spec("gan", 0).id)


@pytest.fixture
def store(tmp_path: Path) -> StudyStore:
    """A study of three trials of which two kept windows."""
    found = StudyStore(str(tmp_path / "results"), "study")
    save_plan(found, [GAN, DIFFUSION, SCORE])
    Artifacts(found).save(GAN.id, kept())
    Artifacts(found).save(DIFFUSION.id, kept(count=4))
    return found


@pytest.fixture
def export(store: StudyStore) -> Export:
    """The command line on that study."""
    return lambda out, *options: main(["study", str(out), "--store", store.parent_uri, *options])


def refused(capsys: pytest.CaptureFixture[str], code: int) -> str:
    """The one line that was said."""
    said = capsys.readouterr()
    assert code == 2
    assert said.out == ""
    assert said.err.startswith("export: ")
    assert said.err.count("\n") == 1
    return said.err


def reread(path: Path) -> tuple[np.ndarray, Any]:
    """Windows in microvolts that the annotations of a file cut out, and the recording."""
    import mne

    read = mne.io.read_raw_edf if path.suffix == ".edf" else mne.io.read_raw_fif
    raw = read(path, preload=True, verbose="ERROR")
    rate = raw.info["sfreq"]
    spans = [(round(a["onset"] * rate), round(a["duration"] * rate)) for a in raw.annotations if a["description"] in CLASSES]
    return np.stack([raw.get_data(start=start, stop=start + length) for start, length in spans]) * 1e6, raw


def test_an_edf_comes_back_within_half_a_step_of_each_channel(export: Export, tmp_path: Path) -> None:
    state = kept()
    assert export(tmp_path / "gan.edf", "--method", "gan") == 0
    windows, raw = reread(tmp_path / "gan.edf")
    true = state["windows"].double().numpy()
    step = (true.max(axis=(0, 2)) - true.min(axis=(0, 2))) / STEPS
    error = np.abs(windows - true).max(axis=(0, 2))
    # The header rounds each range outward to eight characters.
    assert (error <= 0.5 * step * 1.001).all()
    assert (error > 0.1 * step).all(), "float values cannot all lie on 16-bit steps: was something else compared?"
    assert raw.ch_names == list(CHANNELS)
    assert raw.info["sfreq"] == state["rate"]
    assert list(raw.annotations.description) == [CLASSES[label] for label in state["labels"].tolist()]
    np.testing.assert_allclose(raw.annotations.onset, np.arange(7.0))
    np.testing.assert_allclose(raw.annotations.duration, 1.0)


def test_a_fif_comes_back_as_the_float32_volts_that_were_kept(export: Export, tmp_path: Path) -> None:
    state = kept()
    assert export(tmp_path / "gan.fif", "--trial", GAN.id, "--format", "fif") == 0
    windows, raw = reread(tmp_path / "gan.fif")
    volts = (state["windows"].numpy().astype(np.float64) * 1e-6).astype(np.float32)
    np.testing.assert_array_equal(raw.get_data().astype(np.float32), volts.transpose(1, 0, 2).reshape(len(CHANNELS), -1))
    np.testing.assert_allclose(windows, state["windows"].numpy(), rtol=1e-6)
    assert set(raw.get_channel_types()) == {"eeg"}
    assert [CLASSES.index(name) for name in raw.annotations.description] == state["labels"].tolist()
    assert GAN.id in raw.info["description"]
    assert "not recorded" in raw.info["description"]


@pytest.mark.parametrize("suffix", ["edf", "fif"])
@pytest.mark.parametrize(("samples", "rate"), [(500, 250.0), (250, 250.0), (125, 250.0), (512, 256.0)])
def test_windows_of_any_length_keep_their_place(
    store: StudyStore, export: Export, tmp_path: Path, suffix: str, samples: int, rate: float
) -> None:
    state = kept(count=3, samples=samples, rate=rate)
    Artifacts(store).save(GAN.id, state)
    assert export(tmp_path / f"out.{suffix}", "--method", "gan") == 0
    windows, raw = reread(tmp_path / f"out.{suffix}")
    assert windows.shape == (3, len(CHANNELS), samples)
    np.testing.assert_allclose(windows, state["windows"].numpy(), atol=0.05)
    filled = raw.n_times - 3 * samples
    assert filled == ((-3 * samples) % int(rate) if suffix == "edf" else 0)
    assert ("BAD_ACQ_SKIP" in raw.annotations.description) == (filled > 0)


def test_a_flat_channel_is_written_as_it_is(store: StudyStore, export: Export, tmp_path: Path) -> None:
    state = kept()
    state["windows"][:, 1] = 12.5
    Artifacts(store).save(GAN.id, state)
    assert export(tmp_path / "flat.edf", "--method", "gan") == 0
    np.testing.assert_allclose(reread(tmp_path / "flat.edf")[0][:, 1], 12.5, atol=1e-4)


def test_the_only_trial_needs_no_name_and_several_are_listed(
    store: StudyStore, export: Export, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, export(tmp_path / "x.edf"))
    assert f"{GAN.id} (gan, seed 0), {DIFFUSION.id} (diffusion, seed 0)" in said
    store.remove(f"artifacts/{DIFFUSION.id}.pt")
    assert export(tmp_path / "x.edf") == 0
    assert f"7 windows of 3 channels x 1 s at 250 Hz, gan, seed 0, trial {GAN.id}" in capsys.readouterr().out


def test_trials_of_one_method_and_seed_are_told_apart_by_their_parameters(
    store: StudyStore, export: Export, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twins = [spec("vae", 0, params={"budget": budget, "width": 64}) for budget in (10, 20)]
    save_plan(store, twins)
    for twin in twins:
        Artifacts(store).save(twin.id, kept())
    said = refused(capsys, export(tmp_path / "x.edf", "--method", "vae"))
    assert f"{twins[0].id} (vae, seed 0, budget 10), {twins[1].id} (vae, seed 0, budget 20)" in said
    assert export(tmp_path / "x.edf", "--trial", twins[1].id[:9]) == 0


def test_many_trials_are_listed_in_part(store: StudyStore, export: Export, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    many = [spec("vae", seed) for seed in range(20)]
    save_plan(store, many)
    for trial in many:
        Artifacts(store).save(trial.id, {})
    said = refused(capsys, export(tmp_path / "x.edf"))
    assert "22 trials fit" in said
    assert "... 10 more" in said


def test_a_study_without_trials_or_windows_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = StudyStore(str(tmp_path), "empty")
    save_plan(empty, [])
    options = ["--store", str(tmp_path)]
    assert "no trial of the study empty kept anything (0 planned)" in refused(capsys, main(["empty", str(tmp_path / "x.edf"), *options]))
    assert "unknown study" in refused(capsys, main(["nosuch", str(tmp_path / "x.edf"), *options]))
    assert not (tmp_path / "x.edf").exists()


def test_trials_that_are_unknown_or_kept_nothing_are_named(export: Export, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "x.edf"
    said = refused(capsys, export(out, "--trial", "feedbeef"))
    assert "unknown trial: 'feedbeef'" in said
    assert GAN.id in said
    said = refused(capsys, export(out, "--trial", SCORE.id))
    assert f"trial {SCORE.id} (score, seed 0) kept nothing; the trial that it needs did: {GAN.id}" in said
    assert "did you mean 'diffusion'" in refused(capsys, export(out, "--method", "difusion"))
    assert "(choices: 0)" in refused(capsys, export(out, "--method", "gan", "--seed", "4"))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"windows": torch.zeros(0, 3, 250), "labels": torch.zeros(0, dtype=torch.int64)}, "not one window to export"),
        ({"windows": torch.zeros(7, 2, 250)}, "shape 7 x 2 x 250 for 3 channels"),
        ({"labels": torch.full((7,), 2)}, "labels that do not name one of 2 classes"),
        ({"labels": torch.zeros(6, dtype=torch.int64)}, "7 windows with labels"),
        ({"channels": ["Fp1", "Fp2", "a name of seventeen"]}, "16 characters"),
    ],
)
def test_windows_that_make_no_recording_are_refused(
    store: StudyStore, export: Export, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], sentence: str
) -> None:
    Artifacts(store).save(GAN.id, kept() | change)
    assert sentence in refused(capsys, export(tmp_path / "x.edf", "--method", "gan"))
    assert not list(tmp_path.glob("*x.edf*"))


def test_another_state_than_windows_is_refused(
    store: StudyStore, export: Export, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Artifacts(store).save(GAN.id, {"model": torch.zeros(2), "windows": torch.zeros(1)})
    assert "no labelled windows: labels, rate, channels, classes missing" in refused(capsys, export(tmp_path / "x.edf", "--method", "gan"))


def test_a_value_that_is_not_finite_goes_into_a_fif_only(
    store: StudyStore, export: Export, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = kept()
    state["windows"][4, 2, 17] = torch.nan
    Artifacts(store).save(GAN.id, state)
    assert "window 4 is not finite in C3" in refused(capsys, export(tmp_path / "x.edf", "--method", "gan"))
    assert export(tmp_path / "x.fif", "--method", "gan") == 0
    assert np.argwhere(np.isnan(reread(tmp_path / "x.fif")[0])).tolist() == [[4, 2, 17]]


def test_no_file_is_replaced_and_endings_must_fit(export: Export, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.edf").write_text("mine")
    assert "exists: delete it or name another file" in refused(capsys, export(tmp_path / "x.edf", "--method", "gan"))
    assert (tmp_path / "x.edf").read_text() == "mine"
    assert "must end in .fif" in refused(capsys, export(tmp_path / "y.edf", "--method", "gan", "--format", "fif"))
    assert "must end in .edf or .fif" in refused(capsys, export(tmp_path / "y.dat", "--method", "gan"))


def test_misspelt_options_are_usage_errors(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["study"])
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("export: ")
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    assert "annotation" in capsys.readouterr().out
