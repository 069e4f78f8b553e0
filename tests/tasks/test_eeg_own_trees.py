"""Trees as TUAR and EEGdenoiseNet are published, with all that is wrong in such trees, from the command line to the last trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from harness import registry
from harness.cli import main
from harness.data import UserData, open_data, resolve
from harness.errors import DataError
from tasks.datasets.eeg.annotations import Annotation, Stretch
from tasks.datasets.eeg.denoisenet_files import adopt_epochs
from tasks.datasets.eeg.options import Options, read_options
from tasks.datasets.eeg.recorded_windows import write_tuar
from tasks.datasets.eeg.stratified import SHARES, fitting, stratified
from tasks.datasets.eeg.subject_table import subject_table
from tasks.datasets.eeg.tuar_labels import combined_classes, merged_classes
from tasks.datasets.eeg.windowing import accounts, plan_at_onsets, plan_windows
from tasks.datasets.eeg_epochs import open_epochs
from tasks.datasets.eeg_windows import EegWindows, open_windows
from tasks.datasets.text_splits import SPLITS
from tasks.eeg import classify
from tests.tasks.test_eeg_data_recordings import noise, write_csv, write_edf

Run = Callable[..., tuple[int, str, str]]
SUBJECTS = "abcdefg"


@pytest.fixture
def papertrial(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The real command line, in an empty folder and with an empty cache."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def tuar_tree(root: Path, subjects: str = SUBJECTS) -> Path:
    """`edf/<montage>/<subject>_s001_t000.edf` with a table each: shivering in two subjects, mostly in the first; two broken files."""
    for seed, subject in enumerate(subjects):
        file = root / "edf" / "01_tcp_ar" / f"aaaaaaa{subject}_s001_t000.edf"
        rows = ["FP1-F7,0.5,8.5,eyem,1.0", "FP2-F8,0.5,8.5,eyem,1.0", "T3-T5,9.0,16.0,musc,1.0", "FP1-F7,16.5,17.5,eyem,1.0"]
        rows += ["T4-T6,18.0,21.0,eyem_musc,1.0", "T3-T5,21.5,23.5,musc,1.0"]
        if subject in "ab":
            rows.append(f"C3-CZ,24.0,{29.5 if subject == 'a' else 26.5},shiv,1.0")
        write_csv(write_edf(file, noise(seed, 30)), rows)
    write_edf(root / "edf" / "01_tcp_ar" / "aaaaaaay_s001_t000.edf", noise(90, 20))
    broken = root / "edf" / "02_tcp_le" / "aaaaaaaz_s001_t000.edf"
    write_csv(write_edf(broken, noise(91, 20)), ["FP1-F7,0.5,4.5,eyem,1.0"])
    broken.write_bytes(broken.read_bytes()[:700])
    return root / "edf"


def adopted(root: Path) -> tuple[EegWindows, Sequence[str]]:
    """The tree as the command line would read it."""
    dataset = registry.dataset("tuar")
    reference = resolve(dataset, {"tuar": UserData(root, "real")})
    return open_data(dataset, reference), reference.notes


def groups_of(windows: EegWindows) -> list[set[str]]:
    return [{windows.groups[group] for group in windows.split(name).groups} for name in SPLITS]


def test_a_tuar_tree_runs_from_end_to_end(tmp_path: Path, papertrial: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shivering cannot be in all splits and is left out by name; the broken files too; every trial is ok."""
    monkeypatch.setattr(classify, "TREES", 8)
    root = tuar_tree(tmp_path / "tuar")
    words = ["run", "eeg-artifact-synthesis", "--scale", "smoke", "--local", "--tracking-uri", "none", "--study", "own", "--seeds", "1"]
    words += ["--data", "eeg-artifacts=@tuar", "--data", f"tuar:real={root}", "--experiment", "common-scale", "--set", "budget=2e9"]
    code, _, err = papertrial(*words, "--method", "held-out", "--method", "wgan-gp")
    assert code == 0, err[-2000:]
    windows, notes = adopted(root)
    assert windows.classes == ("eyem", "musc")
    assert notes[0].startswith("class shiv is left out: ")
    assert "2 subjects or stretches have it, aaaaaaaa 4 of 5" in notes[0]
    assert notes[1] == "no window of elec, chew: left out of the classes"
    assert notes[2] == (
        "2-s windows inside events: eyem 49 windows from 21 events, none from 7 shorter than 2 s and 7 under another class; "
        "musc 49 windows from 21 events, none from 7 under another class; shiv 5 windows from 2 events"
    )
    broken = [note for note in notes if "aaaaaaay" in note or "aaaaaaaz" in note]
    assert len(broken) == 2
    assert sum(map(len, groups_of(windows))) == len(SUBJECTS)


def test_what_cannot_work_fails_once_before_any_trial(tmp_path: Path, papertrial: Run) -> None:
    root = tuar_tree(tmp_path / "tuar", "abc")
    (root / "papertrial.toml").write_text('classes = ["shiv", "chew"]')
    words = ["run", "eeg-artifact-synthesis", "--scale", "smoke", "--local", "--tracking-uri", "none", "--study", "own"]
    code, _, err = papertrial(*words, "--data", "eeg-artifacts=@tuar", "--data", f"tuar={root}")
    assert code == 2
    assert "would be empty" in err or "no class has enough windows in all three splits" in err
    assert "Traceback" not in err
    assert not (tmp_path / "results" / "own").exists()


def test_the_merge_map_the_papers_windows_and_a_table_of_subjects(tmp_path: Path) -> None:
    root = tuar_tree(tmp_path / "tuar", "abcd")
    (root / "papertrial.toml").write_text('windows = "onset"\nlabels = "merged"\nclasses = ["musc", "eyem"]\n')
    lines = [f"aaaaaaa{subject},{split}" for subject, split in zip("abcd", ("test", "dev", "train", "train"), strict=True)]
    (root / "who.csv").write_text("\n".join(["subject_id,split", *lines, "aaaaaaax,train"]))
    (tmp_path / "out").mkdir()
    notes = write_tuar(root, tmp_path / "out")
    windows = open_windows(tmp_path / "out")
    assert groups_of(windows) == [{"aaaaaaac", "aaaaaaad"}, {"aaaaaaab"}, {"aaaaaaaa"}]
    assert (windows.classes, windows.train.x.shape[1:]) == (("musc", "eyem"), (8, 250))
    assert "who.csv: 1 of its subjects have no usable window here: aaaaaaax" in notes
    accounted = next(note for note in notes if note.startswith("1-s windows from 0.5 s before each event: "))
    assert "eyem 8 windows from 8 events; musc 12 windows from 12 events" in accounted, "eyem_musc is musc, once a subject"
    assert "shiv" in accounted


def test_options_are_read_or_refused(tmp_path: Path) -> None:
    assert read_options(tmp_path, None) == Options("inside", "apart", ())
    file = tmp_path / "papertrial.toml"
    for text, says in (
        ("window = 'onset'", "did you mean 'windows'"),
        ("windows = 'before'", "unknown value of windows"),
        ("labels = 3", "unknown value of labels"),
        ("classes = ['eyem']", "two or more different names"),
        ("classes = ['eyem', 'shvi']", "did you mean 'shiv'"),
        ("windows = ", "cannot be read"),
    ):
        file.write_text(text)
        with pytest.raises(DataError, match=says):
            read_options(tmp_path, ("eyem", "shiv"))
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="cannot be read"):
        read_options(tmp_path, None)


def test_combined_labels_apart_and_merged() -> None:
    assert combined_classes("eyem_musc") == ("eyem", "musc")
    assert [merged_classes(label) for label in ("eyem_musc", "Shiv_Elec", "elpp", "musc", "musc_shiv", "bckg")] == [
        ("musc",),
        ("elec",),
        ("elec",),
        ("musc",),
        (),
        (),
    ]


@pytest.mark.parametrize(
    "content",
    ["subject,split\na,train\na,test\n", "subject,split\na,tarin\n", "subject,split\na\n"],
)
def test_a_table_of_subjects_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "splits.csv").write_text(content)
    with pytest.raises(DataError, match=r"splits\.csv, line"):
        subject_table(tmp_path)
    (tmp_path / "other.csv").write_text("subject,split\nb,train\n")
    with pytest.raises(DataError, match="keep one"):
        subject_table(tmp_path)


def test_the_rarest_class_is_dealt_first_and_its_owner_goes_to_train() -> None:
    """Of 40 subjects all have a common class; 4 have a rare one, of which one has nine tenths."""
    generator = np.random.default_rng(3)
    windows: dict[str, dict[str, int]] = {f"s{i}": {"musc": int(generator.integers(1, 60))} for i in range(40)}
    for subject, count in (("s0", 90), ("s7", 6), ("s8", 4), ("s9", 3)):
        windows[subject]["shiv"] = count
    windows["s20"]["chew"] = 5
    dealt = stratified(windows)
    assert dealt["s0"] == "train"
    assert {dealt[subject] for subject in ("s7", "s8", "s9")} == {"val", "test"}
    total = sum(counts["musc"] for counts in windows.values())
    for split in SPLITS:
        share = sum(windows[subject]["musc"] for subject, where in dealt.items() if where == split) / total
        assert abs(share - SHARES[split]) < 0.05
    of = {split: {subject: windows[subject] for subject, where in dealt.items() if where == split} for split in SPLITS}
    kept, notes = fitting(of, ["musc", "shiv", "chew", "elec"])
    assert kept == ["musc", "shiv"]
    assert notes[0].startswith("class chew is left out: ")
    assert "(only s20 has it)" in notes[0]
    assert notes[1] == "no window of elec: left out of the classes"


@pytest.mark.parametrize("count", [3, 4, 5])
def test_three_subjects_of_a_class_are_enough(count: int) -> None:
    dealt = stratified({f"s{i}": {"shiv": 2 + 300 * (i == 1), "musc": 20} for i in range(count)} | {"t": {"musc": 9}})
    assert {dealt[f"s{i}"] for i in range(count)} == set(SPLITS)
    assert set(stratified({f"s{i}": {"shiv": 20} for i in range(count)}).values()) == set(SPLITS), "shares alone leave test empty"


def at(start: float, stop: float, label: str, channel: str = "") -> tuple[str, Annotation]:
    return label, Annotation(start, stop, label, channel)


def test_windows_at_onsets_by_hand() -> None:
    annotations = [at(0.2, 3.0, "eyem"), at(5.0, 5.1, "musc", "T3"), at(5.05, 6.0, "musc", "T4"), at(5.4, 9.0, "eyem")]
    annotations += [at(9.7, 9.9, "musc"), at(12.0, 13.0, "chew")]
    plan = plan_at_onsets(annotations, [Stretch("C3", "is flat", 12.2, 14.0)], [(0.0, 10.0), (11.0, 20.0)], "a.edf", length=1.0, before=0.5)
    assert (plan.starts, plan.classes) == ([0.0, 4.5], ["eyem", "musc"])
    assert accounts([plan.tally, plan.tally], "rule") == (
        "rule: chew 0 windows from 2 events, none from 2 in bad stretches; "
        "eyem 2 windows from 4 events, none from 2 within the window of an earlier event; "
        "musc 2 windows from 4 events, none from 2 whose window ends after the recording"
    )


def test_what_the_window_rule_leaves_is_counted_by_class_and_reason() -> None:
    annotations = [at(0.0, 5.0, "eyem"), at(6.0, 7.0, "eyem"), at(8.0, 10.0, "eyem"), at(9.0, 12.0, "musc"), at(13.0, 15.0, "musc")]
    plan = plan_windows(annotations, [Stretch("C3", "is flat", 13.5, 14.0)], "a.edf", length=2.0, stride=1.0)
    assert accounts([plan.tally], "rule") == (
        "rule: eyem 4 windows from 3 events, none from 1 shorter than 2 s and 1 under another class; "
        "musc 1 window from 2 events, none from 1 in bad stretches"
    )


def denoisenet_tree(folder: Path) -> Path:
    """The five published files, small: EEG and EMG at both rates, EOG at 256 Hz; places in the first sample, one broken row."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    for name, count, columns in (("EEG", 60, 512), ("EMG", 70, 512), ("EOG", 50, 512), ("EEG", 60, 1024), ("EMG", 70, 1024)):
        rows = draw.normal(0, 30, (count, columns))
        rows[:, 0] = np.arange(count)
        rows[3] = np.nan if name == "EMG" else rows[3]
        np.save(folder / f"{name}_all_epochs{'_512hz' if columns == 1024 else ''}.npy", rows)
    return folder


def test_a_denoisenet_tree_runs_at_both_rates_from_end_to_end(tmp_path: Path, papertrial: Run) -> None:
    root = denoisenet_tree(tmp_path / "set")
    words = ["run", "eeg-denoising-atat", "--scale", "smoke", "--local", "--tracking-uri", "none", "--study", "own", "--seeds", "1"]
    words += ["--data", "eeg-denoise=@eegdenoisenet", "--data", f"eegdenoisenet:real={root}", "--set", "windows=80", "--set", "samples=0"]
    code, _, err = papertrial(*words, "--method", "do-nothing", "--method", "fcnn")
    assert code == 0, err[-2000:]
    dataset = registry.dataset("eegdenoisenet")
    reference = resolve(dataset, {"eegdenoisenet": UserData(root, "real")})
    data = open_data(dataset, reference)
    assert reference.notes[:2] == (
        "EOG_all_epochs.npy with EEG_all_epochs.npy: 256 Hz, 512 samples an epoch",
        "EMG_all_epochs_512hz.npy with EEG_all_epochs_512hz.npy: 512 Hz, 1,024 samples an epoch",
    )
    assert [(data.of(kind).rate, data.of(kind).train.eeg.shape) for kind in ("emg", "eog")] == [(512.0, (48, 1024)), (256.0, (48, 512))]
    assert "EMG_all_epochs.npy: not read, EMG_all_epochs_512hz.npy is" in reference.notes
    assert "EMG_all_epochs_512hz.npy: rows 3 (1 in all) hold no numbers; left out" in reference.notes
    emg = np.concatenate([data.of("emg").split(name).artifacts["emg"][:, 0] for name in SPLITS])
    np.testing.assert_array_equal(emg, np.delete(np.arange(70), 3))
    assert sorted(data.train.artifacts) == ["eog"]


def test_rates_are_not_mixed(tmp_path: Path) -> None:
    root = denoisenet_tree(tmp_path / "set")
    (root / "EEG_all_epochs_512hz.npy").unlink()
    (root / "EMG_all_epochs.npy").unlink()
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match=r"EMG_all_epochs_512hz\.npy \(512 Hz\) would be mixed with EEG_all_epochs\.npy \(256 Hz\)"):
        adopt_epochs(root, tmp_path / "out")
    (root / "EMG_all_epochs_512hz.npy").write_bytes(b"\x93NUMPY")
    notes = adopt_epochs(root, tmp_path / "out")
    assert open_epochs(tmp_path / "out").of("emg").rate == 256.0
    assert any(note.startswith("EMG_all_epochs_512hz.npy: truncated or damaged") for note in notes)
