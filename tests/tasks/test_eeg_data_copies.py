"""One recording in several files is one person, and counts once."""

from __future__ import annotations

import shutil
from pathlib import Path

import mne
import numpy as np
import pytest

from harness.errors import DataError
from tasks.datasets.eeg.duplicates import Landmarks, landmarks
from tasks.datasets.eeg.reading import Part
from tasks.datasets.eeg.subjects import subject_of
from tasks.datasets.text_splits import SPLITS
from tests.tasks.edf_bytes import edf_bytes, write
from tests.tasks.test_eeg_data_recordings import adopt, noise, of_group, write_edf, write_fif

SPANS = [(1.0, 12.0, "blink"), (14.0, 5.0, "chew")]
BYTES = [(start, length, label.encode()) for start, length, label in SPANS]


def waves(seed: int, seconds: float = 20, rate: float = 250.0) -> np.ndarray:
    """Something like EEG: most of it slow, so that a fraction of a sample or another rate changes it little."""
    time = np.arange(round(seconds * rate)) / rate
    generator = np.random.default_rng(seed)
    frequency, phase, size = generator.uniform(1, 30, (8, 60)), generator.uniform(0, 6.28, (8, 60)), generator.uniform(2, 12, (8, 60))
    out = np.zeros((8, len(time)))
    for channel in range(8):
        out[channel] = (size[channel, :, None] * np.sin(6.28 * frequency[channel, :, None] * time + phase[channel, :, None])).sum(0)
    return out


def strangers(root: Path, count: int = 3) -> None:
    root.mkdir(exist_ok=True)
    for seed in range(count):
        write_edf(root / f"other{seed}.edf", waves(seed + 50), spans=SPANS)


def split_fif(root: Path, naming: str, name: str, seed: int = 1) -> np.ndarray:
    """A recording of 160 s that mne writes in three files."""
    x = noise(seed, 160)
    raw = mne.io.RawArray(x * 1e-6, mne.create_info(["Fp1", "Fp2", "C3", "C4", "O1", "O2", "T3", "T4"], 250.0, "eeg"), verbose="ERROR")
    raw.set_annotations(mne.Annotations([1.0, 30.0], [20.0, 100.0], ["blink", "chew"]))
    root.mkdir(exist_ok=True)
    raw.save(root / name, fmt="double", split_size="2MB", split_naming=naming, buffer_size_sec=1.0, verbose="ERROR")
    return x


@pytest.mark.parametrize(
    ("naming", "name", "parts"),
    [
        ("neuromag", "long_raw.fif", ["long_raw-1.fif", "long_raw-2.fif"]),
        ("bids", "sub-9_task-x_meg.fif", ["sub-9_task-x_split-02_meg.fif", "sub-9_task-x_split-03_meg.fif"]),
    ],
)
def test_files_that_another_goes_on_in_are_no_recordings(tmp_path: Path, naming: str, name: str, parts: list[str]) -> None:
    root = tmp_path / "in"
    strangers(root)
    split_fif(root, naming, name)
    files = sorted(file.name for file in root.glob("*.fif"))
    assert len(files) == 3, files
    windows, notes = adopt(root, tmp_path / "out", tuar=False)
    assert [note for note in notes if "is read with" in note] == [
        f"{part}: is read with {next(file for file in files if file not in parts)}, which goes on in it" for part in parts
    ]
    assert len(windows.groups) == 4
    (group,) = (group for group in windows.groups if not group.startswith("other"))
    assert of_group(windows, group)[1] == ["blink"] * 19 + ["chew"] * 99


def test_a_recording_whose_next_file_is_missing_is_left_out(tmp_path: Path) -> None:
    root = tmp_path / "in"
    strangers(root)
    split_fif(root, "neuromag", "long_raw.fif")
    (root / "long_raw-1.fif").unlink()
    windows, notes = adopt(root, tmp_path / "out", tuar=False)
    assert "long_raw.fif: goes on in long_raw-1.fif, which is not there; the recording is left out" in notes
    assert all(group.startswith("other") for group in windows.groups)


@pytest.mark.parametrize(
    ("file", "subject"),
    [("night_split-01_eeg.edf", "night_eeg"), ("night_split-02_eeg.edf", "night_eeg"), ("sub-3_ses-2_run-1_split-02_eeg.edf", "sub-3")],
)
def test_parts_named_as_bids_does_are_of_one_person(file: str, subject: str) -> None:
    assert subject_of(Path(file)) == subject


def copy_of(root: Path, how: str, x: np.ndarray) -> Path:
    """The recording `first.edf` once more, under another name and in another guise."""
    name = root / "zweit.edf"
    if how == "folder":
        return write(root / "again" / "zweit.edf", (root / "first.edf").read_bytes())
    if how == "fif":
        return write_fif(root / "zweit_raw.fif", x, spans=SPANS)
    if how == "bdf":
        return write_edf(name.with_suffix(".bdf"), x, spans=SPANS)
    if how == "coarse":
        step = 2.0
        return write_edf(name, np.rint(x / step) * step, spans=SPANS)
    if how == "range":
        return write(name, edf_bytes(x, spans=BYTES))
    if how == "rate":
        return write_edf(name, waves(7, rate=500.0), 500.0, spans=SPANS)
    if how == "offset":
        return write_fif(root / "zweit_raw.fif", x + 300.0, spans=SPANS)
    return write_edf(name, x, spans=[(0.37, 12.0, "blink"), (14.51, 5.0, "chew")])


@pytest.mark.parametrize("how", ["folder", "fif", "bdf", "coarse", "range", "rate", "offset", "annotated"])
def test_the_same_data_under_two_names_counts_once(tmp_path: Path, how: str) -> None:
    root = tmp_path / "in"
    strangers(root)
    alone, _ = adopt_one(root, tmp_path / "alone")
    x = waves(7)
    write_edf(root / "first.edf", x, spans=SPANS)
    copy = copy_of(root, how, x)
    windows, notes = adopt(root, tmp_path / "out", tuar=False)
    kept, lost = ("again/zweit.edf", "first.edf") if how == "folder" else ("first.edf", copy.name)
    assert [note for note in notes if "resampled" not in note] == [f"{lost}: holds the same data as {kept}; 15 of its 15 windows left out"]
    assert len(windows.groups) == 4
    assert sum(len(windows.split(name).labels) for name in SPLITS) == alone + 15


def adopt_one(root: Path, target: Path) -> tuple[int, list[str]]:
    windows, notes = adopt(root, target, tuar=False)
    assert notes == []
    return sum(len(windows.split(name).labels) for name in SPLITS), notes


@pytest.mark.parametrize("first", [0, 1000, 1234])
def test_a_piece_of_a_recording_is_of_the_same_person(tmp_path: Path, first: int) -> None:
    """40 s, and 20 s that begin inside of it but reach beyond its end."""
    root = tmp_path / "in"
    strangers(root)
    x = waves(7, 60)
    write_edf(root / "whole.edf", x[:, :10_000], spans=[(0.0, 40.0, "blink")])
    begin = 5000 + first
    write_fif(root / "x_piece_raw.fif", x[:, begin : begin + 7500], spans=[(0.0, 30.0, "blink")])
    windows, notes = adopt(root, tmp_path / "out", tuar=False)
    overlap = (10_000 - begin) / 250
    lost = int(np.ceil(overlap))
    assert notes == [f"x_piece_raw.fif: holds the same data as whole.edf; {lost} of its 29 windows left out"]
    assert len(of_group(windows, "whole")[0]) == 39 + 29 - lost
    assert "x_piece_raw" not in windows.groups


def test_a_copy_in_another_folder_of_a_split_leaves_what_is_held_out(tmp_path: Path) -> None:
    root = tmp_path / "in"
    for seed in range(6):
        write_edf(root / ("train" if seed < 4 else "val" if seed == 4 else "test") / f"p{seed}.edf", waves(seed), spans=SPANS)
    shutil.copy(root / "val" / "p4.edf", root / "train" / "q4.edf")
    shutil.copy(root / "test" / "p5.edf", root / "val" / "q5.edf")
    windows, notes = adopt(root, tmp_path / "out", tuar=False)
    assert notes == [
        "val/q5.edf: holds the same data as test/p5.edf; 15 of its 15 windows left out",
        "train/q4.edf: holds the same data as val/p4.edf; 15 of its 15 windows left out",
    ]
    assert [len(windows.split(name).labels) for name in SPLITS] == [60, 15, 15]


def test_short_copies_are_found_wherever_they_move_most(tmp_path: Path) -> None:
    root = tmp_path / "in"
    strangers(root)
    for seed in range(12):
        x = noise(seed, 2)
        for name in ("a", "b"):
            write_edf(root / f"{name}{seed}.edf", x, spans=[(0.0, 2.0, "blink")])
    windows, notes = adopt(root, tmp_path / "out", tuar=False)
    assert notes[:12] == [
        f"b{seed}.edf: holds the same data as a{seed}.edf; 1 of its 1 windows left out" for seed in sorted(range(12), key=str)
    ]
    assert len(windows.groups) == 15


def test_nothing_but_copies_is_one_person(tmp_path: Path) -> None:
    root = tmp_path / "in"
    for name in ("a", "b", "c"):
        write_edf(root / f"{name}.edf", waves(1, 60), spans=[(0.0, 60.0, "blink")])
    windows, notes = adopt(root, tmp_path / "out", tuar=False)
    assert "recordings of 1 subject(s) only" in notes[0]
    assert notes[1:] == [f"{name}.edf: holds the same data as a.edf; 59 of its 59 windows left out" for name in "bc"]
    assert {group.split(",")[0] for group in windows.groups} == {"a"}


@pytest.mark.parametrize("hum", [0.0, 300.0])
def test_strangers_are_no_copies_even_under_the_same_hum(tmp_path: Path, hum: float) -> None:
    root = tmp_path / "in"
    root.mkdir()
    time = np.arange(20 * 250) / 250
    for seed in range(6):
        write_fif(root / f"p{seed}_raw.fif", noise(seed) + hum * np.sin(314 * time))
        (root / f"p{seed}_raw.csv").write_text("onset,duration,description\n" + "\n".join(f"{s},{d},{t}" for s, d, t in SPANS))
    windows, notes = adopt(root, tmp_path / "out", tuar=False)
    assert (notes, len(windows.groups)) == ([], 6)


def test_landmarks_move_with_the_signal() -> None:
    x = waves(3, 40)
    whole = landmarks([Part(x, (0.0, 40.0))], 250.0)
    later = landmarks([Part(x[:, 1111:], (0.0, 40.0 - 1111 / 250))], 250.0)
    assert isinstance(whole, Landmarks)
    shared = np.isin(np.round(whole.times * 250), np.round(later.times * 250) + 1111)
    assert shared.sum() >= len(later.times) - 1
    assert len(landmarks([Part(x[:, :100], (0.0, 0.4)), Part(np.zeros((8, 5000)), (1.0, 21.0))], 250.0).times) == 0


def test_recordings_that_share_no_channel_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "in"
    for name in ("a", "b", "c"):
        write(root / f"{name}.edf", edf_bytes(noise(0)[:1], names=[name.encode() * 3], spans=BYTES))
    with pytest.raises(DataError, match="no channel is in at least half of its recordings"):
        adopt(root, tmp_path / "out", tuar=False)
