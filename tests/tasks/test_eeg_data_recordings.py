"""Own recordings: what is read is what was written, and whatever is wrong with a file is said by name while the others go on."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import edfio
import mne
import numpy as np
import pytest

from harness import registry
from harness.data import UserData, open_data, resolve
from harness.errors import DataError
from tasks.datasets.eeg.annotations import Annotation
from tasks.datasets.eeg.channels import common, place, places_of
from tasks.datasets.eeg.montage import PLACES
from tasks.datasets.eeg.reading import Stretch, bad_stretches, recordings_in
from tasks.datasets.eeg.recorded_windows import adopt_tuar, write_recordings, write_tuar
from tasks.datasets.eeg.subjects import subject_of
from tasks.datasets.eeg.windowing import merged, plan_windows
from tasks.datasets.eeg_windows import EegWindows, open_windows
from tasks.datasets.text_splits import SPLITS

TUAR_NAMES = tuple(f"EEG {name.upper()}-REF" for name in PLACES)
RANGE = 400.0
"""Microvolts, of the EDF files written here."""
QUANTUM = 2 * RANGE / 65535
SECONDS = 20


def noise(seed: int, seconds: float = SECONDS, rate: float = 250.0, channels: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-100, 100, (channels, round(seconds * rate)))


def write_edf(file: Path, x: np.ndarray, rate: float = 250.0, names: Sequence[str] = TUAR_NAMES, spans: Sequence[Any] = ()) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    bdf = file.suffix == ".bdf"
    kind, of = (edfio.BdfSignal, edfio.Bdf) if bdf else (edfio.EdfSignal, edfio.Edf)
    signals = [
        kind(row, rate, label=name, physical_dimension="uV", physical_range=(-RANGE, RANGE)) for row, name in zip(x, names, strict=True)
    ]
    of(signals, annotations=[edfio.EdfAnnotation(*span) for span in spans] or None).write(file)
    return file


def write_fif(file: Path, x: np.ndarray, rate: float = 250.0, spans: Sequence[tuple[float, float, str]] = (), *, first: int = 0) -> Path:
    info = mne.create_info([*PLACES, "STI"], rate, ["eeg"] * 8 + ["stim"], verbose="ERROR")
    raw = mne.io.RawArray(np.concatenate([x * 1e-6, np.zeros((1, x.shape[1]))]), info, first_samp=first, verbose="ERROR")
    if first:
        raw.set_meas_date(datetime(2002, 12, 3, tzinfo=UTC))
    onsets, durations, texts = ([span[i] for span in spans] for i in range(3))
    raw.set_annotations(mne.Annotations(onsets, durations, texts), verbose="ERROR")
    raw.save(file, fmt="double", verbose="ERROR")
    return file


def write_csv(recording: Path, rows: Sequence[str], columns: str = "channel,start_time,stop_time,label,confidence") -> Path:
    table = recording.with_suffix(".csv")
    table.write_text("\n".join(["# version = csv_v1.0.0", f"# bname = {recording.stem}", "#", columns, *rows]) + "\n")
    return table


def tuar_record(file: Path, seed: int, rows: Sequence[str] = ("FP1-F7,2.0,8.0,eyem,1.0", "T3-T5,10.0,18.0,musc,1.0")) -> np.ndarray:
    x = noise(seed)
    write_csv(write_edf(file, x), rows)
    return x


def three_subjects(root: Path) -> None:
    """Sound recordings of the subjects b, c and d."""
    for seed, subject in enumerate("bcd"):
        tuar_record(root / f"aaaaaaa{subject}_s001_t000.edf", seed + 50)


def adopt(path: Path, target: Path, *, tuar: bool = True) -> tuple[EegWindows, list[str]]:
    target.mkdir(exist_ok=True)
    notes = (write_tuar if tuar else write_recordings)(path, target)
    counted = [note for note in notes if "windows inside events: " in note]
    assert len(counted) == 1, "what the window rule takes is said once, ahead of what is wrong with single files"
    return open_windows(target), [note for note in notes if note not in counted]


def of_group(windows: EegWindows, group: str) -> tuple[np.ndarray, list[str]]:
    """The windows of a subject and their classes, in order."""
    index = windows.groups.index(group)
    for name in SPLITS:
        split = windows.split(name)
        if index in split.groups:
            rows = split.groups == index
            return np.array(split.x[rows]), [windows.classes[label] for label in split.labels[rows]]
    raise AssertionError(f"{group} is in no split")


def expected(x: np.ndarray, starts: Sequence[float]) -> np.ndarray:
    parts = np.stack([x[:, round(250 * start) : round(250 * start) + 500] for start in starts])
    centred: np.ndarray = parts - parts.mean(-1, keepdims=True)
    return centred


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "tuar"
    folder.mkdir()
    return folder


def test_an_edf_tree_is_read_sample_for_sample(root: Path, tmp_path: Path) -> None:
    three_subjects(root)
    x = tuar_record(root / "01_tcp_ar" / "aaaaaaaa_s005_t000.edf", 7)
    windows, notes = adopt(root, tmp_path / "out")
    assert notes == ["no window of elec, chew, shiv: left out of the classes"]
    assert (windows.channels, windows.classes, windows.rate) == (tuple(PLACES), ("eyem", "musc"), 250.0)
    found, classes = of_group(windows, "aaaaaaaa")
    starts = [2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 15, 16]
    assert classes == ["eyem"] * 5 + ["musc"] * 7
    assert np.abs(found - expected(x, starts)).max() <= 0.51 * 2 * QUANTUM, "the mean that is taken away is rounded too"
    assert {name: len(np.unique(windows.split(name).groups)) for name in SPLITS} == {"train": 2, "val": 1, "test": 1}


@pytest.mark.parametrize("kind", ["bdf", "edf", "fif", "fif-late", "csv", "csv-annotations"])
def test_annotations_inside_or_beside_any_recording(root: Path, tmp_path: Path, kind: str) -> None:
    """A FIF recording that was cut out of a longer one starts late; in the file its annotations count from the measurement's start."""
    recordings = {}
    for seed in range(3):
        x = noise(seed)
        spans = [(1.0, 4.0, "blink"), (8.0, 3.0, "chew")]
        if kind.startswith("fif"):
            write_fif(root / f"sub-{seed}_raw.fif", x, spans=spans, first=5000 if kind == "fif-late" else 0)
        elif kind.startswith("csv"):
            file = write_edf(root / f"sub-{seed}_eeg.edf", x)
            table = file.with_name(f"{file.stem}-annotations.csv" if kind == "csv-annotations" else f"{file.stem}.csv")
            table.write_text("onset,duration,description\n" + "\n".join(f"{s},{d},{t}" for s, d, t in spans))
        else:
            write_edf(root / f"sub-{seed}_eeg.{kind}", x, spans=spans)
        recordings[f"sub-{seed}"] = x
    windows, notes = adopt(root, tmp_path / "out", tuar=False)
    assert notes == []
    assert (windows.channels, windows.classes) == (tuple(PLACES), ("blink", "chew"))
    for subject, x in recordings.items():
        found, classes = of_group(windows, subject)
        assert classes == ["blink"] * 3 + ["chew"] * 2
        assert np.abs(found - expected(x, [1, 2, 3, 8, 9])).max() <= (1e-4 if kind in ("bdf", "fif", "fif-late") else 1.02 * QUANTUM)


def test_another_rate_is_resampled_and_said(root: Path, tmp_path: Path) -> None:
    three_subjects(root)
    time = np.arange(SECONDS * 512) / 512
    sines = 50 * np.sin(2 * np.pi * (5 + np.arange(8))[:, None] * time)
    write_csv(write_edf(root / "aaaaaaaa_s001_t000.edf", sines, 512.0), ["TERM,4.0,10.0,eyem,1.0"])
    windows, notes = adopt(root, tmp_path / "out")
    assert "resampled from 512 to 250 Hz: aaaaaaaa_s001_t000.edf" in notes
    found, _ = of_group(windows, "aaaaaaaa")
    assert len(found) == 5
    at = np.arange(SECONDS * 250) / 250
    sines = 50 * np.sin(2 * np.pi * (5 + np.arange(8))[:, None] * at)
    np.testing.assert_allclose(found, expected(sines, [4, 5, 6, 7, 8]), atol=0.1)


def bad_tuar(root: Path, how: str) -> None:
    """The subject a, spoilt."""
    file = root / "aaaaaaaa_s001_t000.edf"
    x = noise(7)
    rows = ["FP1-F7,2.0,8.0,eyem,1.0", "T3-T5,10.0,18.0,musc,1.0"]
    names = TUAR_NAMES
    if how == "missing":
        x, names = x[:6], names[:6]
    elif how == "flat":
        x[4] = 12.0
    elif how == "flat-part":
        x[4, 1000:1500] = 12.0
    elif how == "outside":
        rows += ["O1-P3,18.5,21.0,chew,1.0", "C3-CZ,25.0,27.0,chew,1.0"]
    elif how == "overlap":
        rows[1] = "T3-T5,6.5,12.0,musc,1.0"
    elif how == "pair":
        rows[1] = "T3-T5,10.0,14.0,eyem_musc,1.0"
    elif how == "labels":
        rows += ["FZ-CZ,0.0,20.0,chew,1.0", "T3-T5,0.0,20.0,seiz,1.0", "T3-T5,18.0,20.0,elpp,1.0"]
    elif how == "table":
        rows += ["T3-T5,soon,20.0,musc,1.0", "T3-T5,9.0,9.0,musc,1.0", "T3-T5"]
    write_csv(write_edf(file, x, names=names), rows)
    content = file.read_bytes()
    if how == "truncated":
        file.write_bytes(content[: round(0.62 * len(content))])
    elif how == "header":
        file.write_bytes(content[:700])
    elif how == "no-table":
        file.with_suffix(".csv").unlink()
    elif how == "columns":
        file.with_suffix(".csv").write_text("time,label\n1,musc\n")


BAD: Mapping[str, tuple[list[str], int]] = {
    "missing": (["aaaaaaaa_s001_t000.edf: has no channel T3, T4; the recording is left out"], 0),
    "flat": (
        ["aaaaaaaa_s001_t000.edf: channel O1 is flat from 0.0 to 20.0 s, which is all of it; the recording is left out"],
        0,
    ),
    "flat-part": (["aaaaaaaa_s001_t000.edf: channel O1 is flat from 4.0 to 6.0 s: 3 windows left out"], 9),
    "outside": (
        [
            "aaaaaaaa_s001_t000.csv: chew on O1-P3, 18.5-21.0 s reaches outside the recording, which ends at 20.0 s; cut there",
            "aaaaaaaa_s001_t000.csv: chew on C3-CZ, 25.0-27.0 s lies outside the recording, which ends at 20.0 s; left out",
        ],
        12,
    ),
    "overlap": (
        ["aaaaaaaa_s001_t000.edf: eyem on FP1-F7, 2.0-8.0 s and musc on T3-T5, 6.5-12.0 s overlap: 4 windows of two classes left out"],
        5,
    ),
    "pair": (["aaaaaaaa_s001_t000.edf: eyem_musc on T3-T5, 10.0-14.0 s overlap: 6 windows of two classes left out"], 5),
    "labels": (
        [
            "aaaaaaaa_s001_t000.csv: 1 annotations 'seiz', which is no class here, passed over",
            "aaaaaaaa_s001_t000.csv: 1 annotations on channels of which none is kept passed over",
        ],
        12,
    ),
    "table": (
        [
            "aaaaaaaa_s001_t000.csv, line 7: 'T3-T5,soon,20.0,musc,1.0' does not hold the times and label of an annotation; left out",
            "aaaaaaaa_s001_t000.csv, line 8: musc on T3-T5, 9.0-9.0 s has no label or no duration; left out",
            "aaaaaaaa_s001_t000.csv, line 9: 'T3-T5' does not hold the times and label of an annotation; left out",
        ],
        12,
    ),
    "truncated": (
        [
            "aaaaaaaa_s001_t000.edf: truncated: its header announces 20.0 s, all channels end at 12.0 s; what lies after is left out",
            "aaaaaaaa_s001_t000.csv: musc on T3-T5, 10.0-18.0 s reaches outside the recording, which ends at 12.0 s; cut there",
        ],
        6,
    ),
    "header": (["aaaaaaaa_s001_t000.edf: truncated or damaged, it cannot be opened"], 0),
    "no-table": (["aaaaaaaa_s001_t000.edf: has no annotations, neither inside nor in a table beside it; the recording is left out"], 0),
    "columns": (
        [
            "aaaaaaaa_s001_t000.csv: its columns must be TUAR's channel,start_time,stop_time,label,confidence or "
            "onset,duration,description; its recording is left out"
        ],
        0,
    ),
}


@pytest.mark.parametrize("how", BAD)
def test_what_is_wrong_with_a_recording_is_said_and_the_others_go_on(root: Path, tmp_path: Path, how: str) -> None:
    three_subjects(root)
    bad_tuar(root, how)
    windows, notes = adopt(root, tmp_path / "out")
    says, left = BAD[how]
    said = [note for note in notes if note.startswith("aaaaaaaa")]
    assert len(said) == len(says), said
    for sentence, wanted in zip(said, says, strict=True):
        assert sentence.startswith(wanted), sentence
    others = sum(len(of_group(windows, f"aaaaaaa{subject}")[0]) for subject in "bcd")
    assert others == 36
    assert sum(len(windows.split(name).labels) for name in SPLITS) == others + left


def test_samples_that_are_no_numbers(root: Path, tmp_path: Path) -> None:
    for seed in range(4):
        x = noise(seed)
        if seed == 2:
            x[3, 1250:1260] = np.nan
        write_fif(root / f"sub-{seed}_raw.fif", x, spans=[(0.0, 10.0, "blink"), (10.0, 10.0, "chew")])
    windows, notes = adopt(root, tmp_path / "out", tuar=False)
    assert notes == ["sub-2_raw.fif: channel C4 holds no numbers from 4.9 to 5.1 s: 3 windows left out"]
    found, classes = of_group(windows, "sub-2")
    assert (classes.count("blink"), classes.count("chew")) == (6, 9)
    assert np.isfinite(found).all()


def test_a_truncated_fif_is_left_out(root: Path, tmp_path: Path) -> None:
    for seed in range(4):
        write_fif(root / f"sub-{seed}_raw.fif", noise(seed), spans=[(0.0, 10.0, "blink")])
    file = root / "sub-1_raw.fif"
    file.write_bytes(file.read_bytes()[:100_000])
    windows, notes = adopt(root, tmp_path / "out", tuar=False)
    assert len(notes) == 1
    assert notes[0].startswith("sub-1_raw.fif: ")
    assert notes[0].endswith("left out")
    assert set(windows.groups) == {"sub-0", "sub-2", "sub-3"}


def test_nothing_left_and_an_empty_split_are_errors_with_the_reasons(root: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match="holds no recording"):
        adopt_tuar(root, tmp_path / "out")
    bad_tuar(root, "missing")
    with pytest.raises(DataError, match=r"no window is left\. aaaaaaaa_s001_t000\.edf: has no channel T3, T4"):
        adopt_tuar(root, tmp_path / "out")
    tuar_record(root / "train" / "aaaaaaac_s001_t000.edf", 1)
    tuar_record(root / "eval" / "aaaaaaac_s001_t001.edf", 1)
    with pytest.raises(DataError, match=r"the train split would be empty\. subject aaaaaaac is in two splits, train and test"):
        adopt_tuar(root, tmp_path / "out")


def test_a_subject_of_two_folders_stays_in_the_held_out_one(root: Path, tmp_path: Path) -> None:
    for seed, (folder, subject) in enumerate(
        [("train", "b"), ("train", "c"), ("train", "d"), ("train", "e"), ("eval", "e"), ("eval", "f")]
    ):
        tuar_record(root / folder / f"aaaaaaa{subject}_s00{seed}_t000.edf", seed)
    windows, notes = adopt(root, tmp_path / "out")
    assert notes[1] == "subject aaaaaaae is in two splits, train and test: train/aaaaaaae_s003_t000.edf left out of train"
    groups = {name: {windows.groups[g] for g in windows.split(name).groups} for name in SPLITS}
    assert groups["test"] == {"aaaaaaae", "aaaaaaaf"}
    assert groups["train"] | groups["val"] == {"aaaaaaab", "aaaaaaac", "aaaaaaad"}
    assert len(groups["val"]) == 1


def test_all_recordings_of_a_subject_are_in_one_split(root: Path, tmp_path: Path) -> None:
    for seed in range(14):
        tuar_record(root / f"aaaaaa{seed // 2:02d}_s001_t00{seed % 2}.edf", seed)
    windows, _ = adopt(root, tmp_path / "out")
    groups = [set(windows.split(name).groups.tolist()) for name in SPLITS]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 7
    assert [len(group) for group in groups] == [5, 1, 1]
    assert [len(windows.split(name).labels) for name in SPLITS] == [5 * 24, 24, 24]


def test_one_recording_alone_is_split_by_time(root: Path, tmp_path: Path) -> None:
    x = noise(1, 60)
    write_edf(root / "mine.edf", x, spans=[(0.0, 60.0, "blink")])
    windows, notes = adopt(root, tmp_path / "out", tuar=False)
    assert notes == ["recordings of 1 subject(s) only: split by time, not by subject; 2 windows across the cuts left out"]
    assert windows.groups == ("mine, mine.edf 0-41 s", "mine, mine.edf 41-50 s", "mine, mine.edf 50-60 s")
    assert [len(windows.split(name).labels) for name in SPLITS] == [40, 8, 9]
    np.testing.assert_allclose(windows.test.x[0], expected(x, [50])[0], atol=1.02 * QUANTUM)


def test_a_file_reads_as_the_folder_does(root: Path, tmp_path: Path) -> None:
    file = write_edf(root / "mine.edf", noise(1, 60), spans=[(0.0, 60.0, "blink")])
    windows, _ = adopt(file, tmp_path / "out", tuar=False)
    assert len(windows.train.labels) == 40


def test_recordings_are_found_in_folders_that_are_links(root: Path, tmp_path: Path) -> None:
    far = tmp_path / "far"
    for file in (root / "a.EDF", root / "x-annot.fif", root / ".b.edf", root / "c.txt", far / "deep" / "d_raw.fif.gz", far / "e.bdf"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (root / "far").symlink_to(far)
    (root / "around").symlink_to(root)
    (root / "gone.edf").symlink_to("nowhere")
    assert recordings_in(root) == [root / "a.EDF", root / "far" / "deep" / "d_raw.fif.gz", root / "far" / "e.bdf"]
    assert recordings_in(root / ".b.edf") == [root / ".b.edf"]
    with pytest.raises(DataError, match="holds no recording"):
        recordings_in(root / "c.txt")


def test_recordings_of_other_caps_keep_what_they_share(root: Path, tmp_path: Path) -> None:
    for seed, names in enumerate([("Fz", "Cz", "Pz", "ECG"), ("Cz", "Fz", "Pz", "ECG"), ("Fz", "Cz", "Oz", "ECG")]):
        write_edf(root / f"{seed}.edf", noise(seed, channels=4), names=names, spans=[(0.0, 10.0, "blink")])
    write_edf(root / "3.edf", noise(3, channels=2), names=("Fz", "Pz"), spans=[(0.0, 10.0, "blink")])
    write_edf(root / "4.edf", noise(4, channels=3), names=("Fz", "Cz", "Pz"), spans=[(0.0, 10.0, "blink")])
    windows, notes = adopt(root, tmp_path / "out", tuar=False)
    assert windows.channels == ("Fz", "Cz", "Pz")
    assert notes == [
        "2.edf: has no channel Pz; the recording is left out",
        "3.edf: has no channel Cz; the recording is left out",
    ]


def test_the_notes_travel_with_the_data(root: Path, cache: Path) -> None:
    for seed, subject in enumerate("bcd"):
        rows = ["FP1-F7,0.0,10.0,eyem,1.0", "T3-T5,10.0,20.0,musc,1.0"]
        tuar_record(root / f"aaaaaaa{subject}_s001_t000.edf", seed + 50, rows)
    bad_tuar(root, "missing")
    dataset = registry.dataset("tuar")
    reference = resolve(dataset, {"tuar": UserData(root, "real")})
    assert reference.notes[0] == "no window of elec, chew, shiv: left out of the classes"
    assert reference.notes[2] == "aaaaaaaa_s001_t000.edf: has no channel T3, T4; the recording is left out"
    assert isinstance(open_data(dataset, reference), EegWindows)


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("EEG FP1-REF", "Fp1"),
        ("EEG FP1-LE", "Fp1"),
        ("Fp1", "Fp1"),
        ("T7", "T3"),
        ("EEG T3-REF", "T3"),
        ("P8", "T6"),
        ("Fcz.", "FCz"),
        ("AF7", "AF7"),
        ("FP1-F7", None),
        ("EEG EKG1-REF", None),
        ("ECG", None),
        ("EEG 001", None),
        ("PHOTIC-REF", None),
    ],
)
def test_names_of_channels(name: str, means: str | None) -> None:
    assert place(name) == means


def test_what_a_channel_touches_and_what_recordings_share() -> None:
    assert places_of("FP1-F7") == {"Fp1", "F7"}
    assert places_of("TERM") == set()
    assert common([list(PLACES), [*PLACES, "Fz"], ["Fz"]]) == tuple(PLACES)
    assert common([["a", "b"], ["b", "c"], ["b", "a"]]) == ("a", "b")


@pytest.mark.parametrize(
    ("file", "subject"),
    [("sub-01_ses-1_task-x_eeg.edf", "sub-01"), ("aaaaaaju_s005_t000.edf", "aaaaaaju"), ("night.fif.gz", "night"), ("a_b.bdf", "a_b")],
)
def test_subjects_by_file_name(file: str, subject: str) -> None:
    assert subject_of(Path(file)) == subject


def test_spans_and_windows_by_hand() -> None:
    assert merged([(3, 4), (0, 1), (0.5, 2), (2, 3)]) == [(0, 4)]
    annotations = [
        ("a", Annotation(0.0, 3.5, "a")),
        ("a", Annotation(3.5, 5.0, "a")),
        ("b", Annotation(5.0, 7.0, "b")),
        ("b", Annotation(8.0, 9.9, "b")),
    ]
    plan = plan_windows(annotations, [Stretch("O1", "is flat", 2.5, 2.9)], "x", length=2.0, stride=1.0)
    assert list(zip(plan.starts, plan.classes, strict=True)) == [(0.0, "a"), (3.0, "a"), (5.0, "b")]
    assert plan.notes == ["x: channel O1 is flat from 2.5 to 2.9 s: 2 windows left out"]


def test_bad_stretches_by_hand() -> None:
    x = noise(0, seconds=4, rate=100, channels=2)
    x[0, 50:149] = 1.0
    x[1, 50:150] = 1.0
    x[0, 300] = np.inf
    assert bad_stretches(x, ("a", "b"), 100.0) == [
        Stretch("a", "holds no numbers", pytest.approx(2.9), pytest.approx(3.11)),
        Stretch("b", "is flat", 0.5, 1.5),
    ]


@pytest.mark.parametrize("cut", [False, True])
def test_annotations_inside_an_edf_that_reach_outside_of_it(root: Path, tmp_path: Path, cut: bool) -> None:
    """mne drops them without a word when it opens the file; a cut file loses the annotations of the seconds it lost."""
    for seed in range(4):
        spans = [(0.0, 6.0, "blink"), *([(18.0, 5.0, "blink"), (30.0, 2.0, "chew")] if seed == 1 else [])]
        write_edf(root / f"sub-{seed}_eeg.edf", noise(seed), spans=spans)
    file = root / "sub-1_eeg.edf"
    if cut:
        file.write_bytes(file.read_bytes()[: round(0.52 * file.stat().st_size)])
    windows, notes = adopt(root, tmp_path / "out", tuar=False)
    assert len(of_group(windows, "sub-1")[0]) == (5 if cut else 6)
    if cut:
        assert notes == ["sub-1_eeg.edf: truncated: its header announces 20.0 s, all channels end at 10.0 s; what lies after is left out"]
    else:
        assert notes == [
            "sub-1_eeg.edf: blink, 18.0-23.0 s reaches outside the recording, which ends at 20.0 s; cut there",
            "sub-1_eeg.edf: chew, 30.0-32.0 s lies outside the recording, which ends at 20.0 s; left out",
        ]


def test_a_table_of_a_spreadsheet_program(root: Path, tmp_path: Path) -> None:
    """With a byte order mark and other columns beside; it wins over what the file holds itself."""
    for seed in range(3):
        file = write_edf(root / f"sub-{seed}_eeg.edf", noise(seed), spans=[(0.0, 20.0, "sleep")])
        file.with_suffix(".csv").write_text("who,onset, duration ,description\nme,1,3,blink\n", encoding="utf-8-sig")
    windows, notes = adopt(root, tmp_path / "out", tuar=False)
    assert (notes, windows.classes) == ([], ("blink",))


def test_without_mne_the_way_to_it_is_said(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    three_subjects(root)
    monkeypatch.setitem(sys.modules, "mne", None)
    with pytest.raises(DataError, match=r"pip install 'papertrial\[eeg\]'"):
        adopt_tuar(root, tmp_path)
