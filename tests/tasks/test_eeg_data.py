"""Simulated artifacts are what they say, splits share no stretch of the recording, and prepared sets open without mne."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from harness import registry
from harness.errors import DataError
from tasks.datasets.eeg import artifact_windows, clean_epochs
from tasks.datasets.eeg.artifact_windows import CLASSES, Simulator, draw_windows, simulators_of
from tasks.datasets.eeg.clean_epochs import draw_epochs, emg, eog, quiet_electrodes
from tasks.datasets.eeg.denoisenet_files import adopt_epochs
from tasks.datasets.eeg.eyes import BlinkShape, measured_blinks, sideways_gains
from tasks.datasets.eeg.mixing import mixed, power
from tasks.datasets.eeg.montage import PLACES, nearest
from tasks.datasets.eeg.noise import coloured, plateau, unit
from tasks.datasets.eeg.recording import BLOCKS, Recording, read_recording, resampled
from tasks.datasets.eeg_epochs import EegEpochs, Epochs, open_epochs, write_epochs
from tasks.datasets.eeg_windows import EegWindows, Split, open_windows, write_windows
from tasks.datasets.text_splits import SPLITS

RATE = 600.0
FEW = {"train": 12, "val": 5, "test": 6}
HERTZ = {"train": 20.0, "val": 32.0, "test": 44.0}
"""The oscillation that each split's blocks of the planted recording hold; between the blocks lies another."""
ELSEWHERE = 70.0
SHAPE = BlinkShape(gains=np.linspace(-0.6, -0.1, 24), rise=0.04, fall=0.07)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def electrodes() -> np.ndarray:
    """Three around every place, the first at the place itself."""
    places = np.array(list(PLACES.values()))
    steps = np.array([[0.0, 0, 0], [0, 0, 8], [0, 0, 14]])
    return (places[:, None] + steps).reshape(-1, 3)


def planted() -> Recording:
    """24 s whose frequency says where a sample is from; the electrodes differ in phase."""
    time = np.arange(round(24 * RATE)) / RATE
    hertz = np.full(len(time), ELSEWHERE)
    for split in SPLITS:
        for start, stop in BLOCKS[split]:
            hertz[(time >= start) & (time < stop)] = HERTZ[split]
    phase = rng().uniform(0, 2 * np.pi, (24, 1))
    blinks = sum(np.exp(-0.5 * ((time - at) / 0.05) ** 2) for at in (0.5, 2.3, 3.6))
    return Recording(10 * np.sin(2 * np.pi * hertz * time + phase), -300.0 * np.asarray(blinks), electrodes(), RATE)


def share(x: np.ndarray, rate: float, low: float, high: float) -> np.ndarray:
    """Of the power of each row, what lies between two frequencies."""
    spectrum = np.abs(np.fft.rfft(x - x.mean(-1, keepdims=True))) ** 2
    frequency = np.fft.rfftfreq(x.shape[-1], 1 / rate)
    found: np.ndarray = spectrum[..., (frequency >= low) & (frequency <= high)].sum(-1) / spectrum.sum(-1)
    return found


@pytest.fixture(scope="module")
def simulators() -> dict[str, Simulator]:
    recording = Recording(np.zeros((24, 10)), np.zeros(10), electrodes(), RATE)
    return simulators_of(recording, SHAPE)


def simulated(simulators: dict[str, Simulator], name: str, count: int = 30) -> np.ndarray:
    """(count, 8, 500) on the first electrode of every place."""
    generator = rng(1)
    return np.stack([simulators[name](generator, np.arange(0, 24, 3)) for _ in range(count)])


def windows(groups: tuple[int, int, int] = (0, 1, 2), count: int = 4) -> EegWindows:
    def split(group: int) -> Split:
        x = rng(group).normal(0, 20, (count, 2, 50)).astype(np.float32)
        return Split(x, np.arange(count, dtype=np.int64) % 2, np.full(count, group, dtype=np.int64))

    train, val, test = (split(group) for group in groups)
    return EegWindows(train, val, test, 250.0, ("Fp1", "O1"), ("eyem", "musc"), ("anna", "ben", "cleo"))


@pytest.mark.parametrize("step", [None, 0.1])
def test_windows_come_back_as_they_were_written(tmp_path: Path, step: float | None) -> None:
    written = windows()
    write_windows(tmp_path, written, licence="CC0", about={"seed": 3}, step=step)
    read = open_windows(tmp_path)
    assert (read.rate, read.channels, read.classes, read.groups) == (250.0, ("Fp1", "O1"), ("eyem", "musc"), ("anna", "ben", "cleo"))
    for name in SPLITS:
        ours, theirs = read.split(name), written.split(name)
        assert ours.x.dtype == np.float32
        assert np.abs(ours.x - theirs.x).max() <= (0.0 if step is None else 0.0501)
        np.testing.assert_array_equal(ours.labels, theirs.labels)
        np.testing.assert_array_equal(ours.groups, theirs.groups)
    assert isinstance(read.train.x, np.memmap) == (step is None)


def test_windows_that_would_mislead_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="anna is in two splits, train and test"):
        write_windows(tmp_path, windows((0, 1, 0)), licence="", about={})
    with pytest.raises(DataError, match="the train split is empty"):
        write_windows(tmp_path, windows(count=0), licence="", about={})
    spoilt = windows()
    spoilt.val.x[1, 0, 3] = np.nan
    with pytest.raises(DataError, match="the val split holds values that are not finite"):
        write_windows(tmp_path, spoilt, licence="", about={})


@pytest.mark.parametrize("step", [None, 0.05])
def test_epochs_come_back_as_they_were_written(tmp_path: Path, step: float | None) -> None:
    def epochs(seed: int) -> Epochs:
        return Epochs(
            *(rng(seed).normal(0, 10, (3, 64)).astype(np.float32),), {"emg": rng(seed + 9).normal(0, 50, (5, 64)).astype(np.float32)}
        )

    written = EegEpochs(epochs(0), epochs(1), epochs(2), 256.0)
    write_epochs(tmp_path, written, licence="", about={}, step=step)
    read = open_epochs(tmp_path)
    assert read.rate == 256.0
    for name in SPLITS:
        assert list(read.split(name).artifacts) == ["emg"]
        for ours, theirs in (
            (read.split(name).eeg, written.split(name).eeg),
            (read.split(name).artifacts["emg"], written.split(name).artifacts["emg"]),
        ):
            assert np.abs(ours - theirs).max() <= (0.0 if step is None else 0.0251)


def test_prepared_sets_open_with_numpy_alone(tmp_path: Path) -> None:
    """A GPU node has no mne, and reading a set should not cost the import of torch."""
    (tmp_path / "w").mkdir()
    write_windows(tmp_path / "w", windows(), licence="", about={}, step=0.1)
    program = (
        "import sys; from pathlib import Path; from tasks.datasets.eeg_windows import open_windows; import tasks.datasets.eeg_epochs; "
        f"assert open_windows(Path({str(tmp_path / 'w')!r})).train.x.shape == (4, 2, 50); "
        "print(sorted({'mne', 'scipy', 'torch', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_eeg_set_can_be_found_and_its_functions_exist() -> None:
    from harness.lazy import load

    for name in ("eeg-artifacts", "eeg-denoise", "tuar", "eeg-recordings", "eegdenoisenet"):
        dataset = registry.dataset(name)
        assert all(callable(load(function)) for function in (dataset.prepare, dataset.adopt, dataset.open) if function)
        assert bool(dataset.prepare) == (dataset.kind == "semi-synthetic"), "what is simulated in part is never called real"


@pytest.mark.parametrize("snr", [-10.0, 0.0, 2.0])
def test_a_mixture_has_the_ratio_that_was_asked_for(snr: float) -> None:
    background, artifact = rng(1).normal(5, 10, (8, 500)), rng(2).normal(-3, 400, (8, 500))
    added = mixed(background, artifact, snr) - background
    assert 10 * np.log10(power(background) / power(added)) == pytest.approx(snr, abs=1e-9)
    one_channel = np.where(np.arange(8)[:, None] == 3, artifact, 0.0)
    assert power(mixed(background, one_channel, snr) - background) == pytest.approx(power(added)), "power counts all channels"


def test_coloured_noise_has_its_band_slope_and_power() -> None:
    x = coloured(rng(), (400, 1000), 250.0, 20.0, 80.0, slope=2.0)
    np.testing.assert_allclose((x**2).mean(-1), 1.0)
    np.testing.assert_allclose(x.mean(-1), 0.0, atol=1e-12)
    assert share(x, 250.0, 15.0, 95.0).mean() > 0.97
    frequency, density = signal.welch(x, 250.0, nperseg=250)
    mean = density.mean(0)
    ratio = mean[frequency == 30.0] / mean[frequency == 60.0]
    assert ratio == pytest.approx(4.0, rel=0.1), "f^-2"


def test_a_row_of_noise_does_not_close_into_a_ring() -> None:
    """Circular noise would make the last sample of every epoch meet the first."""
    x = coloured(rng(), (2000, 100), 100.0, 0.5, 2.0)
    ends = np.mean((x[:, 0] - x[:, -1]) ** 2)
    assert ends > 50 * np.mean((x[:, 0] - x[:, 1]) ** 2)


def test_a_plateau_begins_and_ends_where_it_says() -> None:
    time = np.arange(0, 2, 0.001)
    shape = plateau(time, 0.5, 1.5, 0.1)
    assert not shape[(time < 0.5) | (time > 1.5)].any()
    np.testing.assert_allclose(shape[(time >= 0.6) & (time <= 1.4)], 1.0)
    assert np.interp(0.55, time, shape) == pytest.approx(0.5, abs=1e-3)


def test_the_electrodes_of_a_window_are_different_ones_and_near_their_places() -> None:
    chosen = nearest(electrodes())
    np.testing.assert_array_equal(np.sort(chosen.ravel()), np.arange(24))
    np.testing.assert_array_equal(chosen[:, 0], np.arange(0, 24, 3))
    crowded = np.array([PLACES["Fp1"]] * 6 + list(PLACES.values()))
    assert len(np.unique(nearest(crowded, 1))) == len(PLACES), "an electrode serves one place"


def test_blinks_are_measured_as_they_were_planted() -> None:
    time = np.arange(round(24 * RATE)) / RATE
    eog = np.zeros_like(time)
    for at, height in ((0.5, -400.0), (2.31, -380.0), (3.67, -420.0)):
        lag = time - at
        eog += height * np.exp(-0.5 * (lag / np.where(lag < 0, 0.06, 0.09)) ** 2)
    eeg = np.outer(SHAPE.gains, eog) + rng().normal(0, 5, (24, len(time)))
    found = measured_blinks(Recording(eeg, eog + 40.0, electrodes(), RATE))
    np.testing.assert_allclose(found.gains, SHAPE.gains, atol=0.01)
    assert found.rise == pytest.approx(0.06, rel=0.1)
    assert found.fall == pytest.approx(0.09, rel=0.1)


def test_a_glance_to_the_right_makes_the_right_of_the_head_positive() -> None:
    gains = dict(zip(PLACES, sideways_gains(np.array(list(PLACES.values()))), strict=True))
    assert gains["T4"] > 0.3 > -0.3 > gains["T3"]
    assert abs(gains["O1"]) < 0.15 * abs(gains["T3"])
    assert gains["Fp2"] > 0 > gains["Fp1"]


def test_eyes_are_slow_and_frontal_or_opposed(simulators: dict[str, Simulator]) -> None:
    x = simulated(simulators, "eyem")
    assert np.median([share(wave, 250.0, 0.0, 10.0)[(wave**2).sum(1).argmax()] for wave in x]) > 0.95
    size = np.sqrt((x**2).mean((0, 2)))
    front, back = size[:2].mean(), size[4:6].mean()
    assert front > 2 * back


def test_muscle_is_fast_and_lies_over_forehead_and_temples(simulators: dict[str, Simulator]) -> None:
    x = simulated(simulators, "musc")
    total = (x**2).sum(2)
    assert (share(x.sum(1), 250.0, 15.0, 105.0) > 0.9).all()
    assert np.isin(total.argmax(1), [0, 1, 6, 7]).mean() > 0.9
    quiet = np.abs(x).max(1) < 0.02 * np.abs(x).max((1, 2), keepdims=True)[:, 0]
    assert quiet.mean() > 0.1, "it comes in bursts"


def envelope_peak(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """Hertz of the strongest oscillation between two frequencies of each row's squared amplitude."""
    fast = signal.sosfiltfilt(signal.butter(4, 18.0, "high", fs=250.0, output="sos"), x) ** 2
    spectrum = np.abs(np.fft.rfft(fast - fast.mean(-1, keepdims=True), 4 * x.shape[-1]))
    frequency = np.fft.rfftfreq(4 * x.shape[-1], 1 / 250.0)
    spectrum[..., (frequency < low) | (frequency > high)] = 0.0
    found: np.ndarray = frequency[spectrum.argmax(-1)]
    return found


def test_chewing_is_a_burst_once_or_twice_a_second_on_both_temples(simulators: dict[str, Simulator]) -> None:
    x = simulated(simulators, "chew")
    peak = envelope_peak(x[:, 6:].sum(1), 0.6, 16.0)
    assert ((peak > 0.7) & (peak < 2.4)).mean() > 0.8
    total = np.sqrt((x**2).mean((0, 2)))
    assert total[6:].min() > 2 * total[4:6].max(), "the back of the head is far away"


def test_shivering_trembles_at_8_to_14_hertz_everywhere(simulators: dict[str, Simulator]) -> None:
    x = simulated(simulators, "shiv")
    fast = signal.sosfiltfilt(signal.butter(4, 18.0, "high", fs=250.0, output="sos"), x) ** 2
    rhythm = np.abs(np.fft.rfft(fast.mean(1) - fast.mean((1, 2))[:, None]))
    frequency = np.fft.rfftfreq(x.shape[-1], 1 / 250.0)
    inside = (rhythm**2)[:, (frequency >= 7) & (frequency <= 15)].mean()
    beside = (rhythm**2)[:, (frequency >= 30) & (frequency <= 45)].mean()
    assert inside > 5 * beside
    total = np.sqrt((x**2).mean((0, 2)))
    assert total.min() > 0.5 * total.max()


def test_a_bad_contact_shows_on_one_channel(simulators: dict[str, Simulator]) -> None:
    x = simulated(simulators, "elec", 80)
    assert ((np.abs(x).max(2) > 0).sum(1) == 1).all()
    assert len(np.unique(np.abs(x).max(2).argmax(1))) == 8, "any of them"


def test_windows_are_balanced_reproducible_and_of_one_range_of_ratios(monkeypatch: pytest.MonkeyPatch) -> None:
    first, again = draw_windows(planted(), FEW), draw_windows(planted(), FEW)
    for name in SPLITS:
        np.testing.assert_array_equal(first.split(name).x, again.split(name).x)
        assert first.split(name).x.shape == (5 * FEW[name], 8, 500)
        np.testing.assert_array_equal(np.bincount(first.split(name).labels), [FEW[name]] * 5)
    assert {first.groups[group] for group in first.train.groups} == {"4.2-9 s", "9-13.7 s"}
    background = 10**2 / 2
    ratio = 10 * np.log10(background / (np.array([power(x.astype(float)) for x in first.train.x]) - background))
    for label in range(len(CLASSES)):
        inside = ratio[first.train.labels == label]
        assert (inside > -11.5).all(), CLASSES[label]
        assert (inside < 4.0).all(), CLASSES[label]
        assert np.ptp(inside) > 5.0


def test_no_split_sees_another_splits_stretch_of_the_recording_nor_the_blinks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact_windows, "SNR", (60.0, 60.0))
    drawn = draw_windows(planted(), FEW)
    epochs = draw_epochs(planted(), FEW)
    for name in SPLITS:
        for x, rate in ((drawn.split(name).x, 250.0), (epochs.split(name).eeg, 256.0)):
            for hertz in {*HERTZ.values(), ELSEWHERE} - {HERTZ[name]}:
                assert (share(x.astype(float), rate, hertz - 2, hertz + 2) < 0.01).all()
            assert (share(x.astype(float), rate, HERTZ[name] - 2, HERTZ[name] + 2) > 0.9).all()


def test_a_resampled_block_keeps_a_sine_and_loses_its_margins() -> None:
    time = np.arange(round(4.8 * RATE)) / RATE
    block = Recording(np.sin(2 * np.pi * 10 * time)[None], np.zeros_like(time), np.zeros((1, 3)), RATE)
    out = resampled(block, 250.0)
    assert out.eeg.shape == (1, 1150)
    at = 0.1 + np.arange(1150) / 250.0
    np.testing.assert_allclose(out.eeg[0], np.sin(2 * np.pi * 10 * at), atol=0.02)


def test_epochs_are_clean_and_their_artifacts_overlap_them() -> None:
    drawn = draw_epochs(planted(), FEW)
    again = draw_epochs(planted(), FEW)
    for name in SPLITS:
        assert drawn.split(name).eeg.shape == (FEW[name], 512)
        assert {kind: waves.shape for kind, waves in drawn.split(name).artifacts.items()} == dict.fromkeys(("emg", "eog"), (FEW[name], 512))
        np.testing.assert_array_equal(drawn.split(name).eeg, again.split(name).eeg)
    muscle = emg(rng(), 60)
    assert 0.05 < share(muscle, 256.0, 5.0, 20.0).mean() < 0.6, "part of it lies where EEG lies"
    assert share(muscle, 256.0, 0.0, 3.0).mean() < 0.03
    eyes = np.stack([eog(rng(seed), SHAPE) for seed in range(40)])
    assert (share(eyes, 256.0, 0.0, 10.0) > 0.95).all()


def test_an_electrode_over_a_tense_muscle_gives_no_clean_epochs() -> None:
    eeg = coloured(rng(), (10, 4096), clean_epochs.RATE, 1.0, 80.0, slope=2.0)
    eeg[4] += 2 * coloured(rng(1), (4096,), clean_epochs.RATE, 20.0, 80.0)
    np.testing.assert_array_equal(quiet_electrodes(eeg), np.delete(np.arange(10), 4))


def test_unit_rows_have_no_mean_and_unit_power() -> None:
    x = unit(rng().normal(3, 7, (4, 100)))
    np.testing.assert_allclose([x.mean(1), (x**2).mean(1)], [[0.0] * 4, [1.0] * 4], atol=1e-12)


def denoisenet(folder: Path, *, columns: int = 512, suffix: str = "", counts: tuple[int, int, int] = (40, 50, 30)) -> Path:
    """Files whose rows hold their place in the first sample."""
    folder.mkdir(exist_ok=True)
    for prefix, count in zip(("EEG", "EMG", "EOG"), counts, strict=True):
        rows = rng(count).normal(0, 30, (count, columns))
        rows[:, 0] = np.arange(count)
        np.save(folder / f"{prefix}_all_epochs{suffix}.npy", rows)
    return folder


def adopt_denoisenet(folder: Path, target: Path) -> tuple[EegEpochs, list[str]]:
    target.mkdir(exist_ok=True)
    notes = adopt_epochs(folder, target)
    return open_epochs(target), notes


def test_denoisenet_is_split_by_position(tmp_path: Path) -> None:
    read, notes = adopt_denoisenet(denoisenet(tmp_path / "set"), tmp_path / "out")
    said = "EMG_all_epochs.npy and EOG_all_epochs.npy with EEG_all_epochs.npy: 256 Hz, 512 samples an epoch"
    assert (notes, read.rate, read.others) == ([said], 256.0, {})
    for kind, count in (("eeg", 40), ("emg", 50), ("eog", 30)):
        rows = [read.split(name).eeg if kind == "eeg" else read.split(name).artifacts[kind] for name in SPLITS]
        np.testing.assert_array_equal(np.concatenate([part[:, 0] for part in rows]), np.arange(count))
        assert [len(part) for part in rows] == [round(0.8 * count), round(0.1 * count), round(0.1 * count)]


def test_denoisenet_at_512_hertz(tmp_path: Path) -> None:
    folder = denoisenet(tmp_path / "set", columns=1024, suffix="_512hz")
    assert adopt_denoisenet(folder, tmp_path / "out")[0].rate == 512.0


def test_denoisenet_rows_and_files_that_cannot_be_used(tmp_path: Path) -> None:
    folder = denoisenet(tmp_path / "set")
    eeg = np.load(folder / "EEG_all_epochs.npy")
    eeg[3, 7], eeg[8] = np.nan, 2.0
    np.save(folder / "EEG_all_epochs.npy", eeg)
    emg_file = folder / "EMG_all_epochs.npy"
    emg_file.write_bytes(emg_file.read_bytes()[:5000])
    read, notes = adopt_denoisenet(folder, tmp_path / "out")
    assert notes[1] == "EEG_all_epochs.npy: rows 3 (1 in all) hold no numbers; left out"
    assert notes[2] == "EEG_all_epochs.npy: rows 8 (1 in all) are flat; left out"
    assert notes[3].startswith("EMG_all_epochs.npy: truncated or damaged")
    places = np.concatenate([read.split(name).eeg[:, 0] for name in SPLITS])
    np.testing.assert_array_equal(places, np.delete(np.arange(40), [3, 8]))
    np.save(folder / "EOG_all_epochs.npy", np.zeros((3, 100)))
    with pytest.raises(DataError, match=r"must hold rows of 512 or 1024 numbers, holds float64 of shape \(3, 100\)"):
        adopt_epochs(folder, tmp_path / "out")


def packed(folder: Path, x: np.ndarray) -> Path:
    """An sdist with a recording where eeglabio's has one: electrodes 052 to 054, the dead one among them, EOG and a magnetometer."""
    import mne

    names = ["MEG 0111", "EEG 052", "EEG 053", "EEG 054", "EOG 061"]
    info = mne.create_info(names, 600.0, ["mag", "eeg", "eeg", "eeg", "eog"], verbose="ERROR")
    for number, channel in enumerate(info["chs"]):
        channel["loc"][:3] = (0.01 * number, 0.02, 0.03)
    file = folder / "test_raw.fif"
    mne.io.RawArray(x * 1e-6, info, verbose="ERROR").save(file, verbose="ERROR")
    archive = folder / "eeglabio-0.1.4.tar.gz"
    with tarfile.open(archive, "w:gz") as opened:
        opened.add(file, "eeglabio-0.1.4/eeglabio/tests/data/test_raw.fif")
    return archive


def test_the_recording_is_read_out_of_the_sdist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = rng().normal(0, 20, (5, 3000))
    archive = packed(tmp_path, x)
    recording = read_recording(archive)
    np.testing.assert_allclose(recording.eeg, x[[1, 3]], atol=1e-4)
    np.testing.assert_allclose(recording.eog, x[4], atol=1e-4)
    np.testing.assert_allclose(recording.positions, [[10, 20, 30], [30, 20, 30]], atol=1e-4)
    assert recording.rate == 600.0
    assert recording.between(1.0, 2.5).eeg.shape == (2, 900)
    monkeypatch.setitem(sys.modules, "mne", None)
    with pytest.raises(DataError, match=r"pip install 'papertrial\[eeg\]'"):
        read_recording(archive)


def test_preparing_writes_what_opens_and_says_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact_windows, "read_recording", lambda _: planted())
    monkeypatch.setattr(clean_epochs, "read_recording", lambda _: planted())
    for module, function in ((artifact_windows, "prepare_artifacts"), (clean_epochs, "prepare_epochs")):
        monkeypatch.setattr(module, "PER_CLASS" if module is artifact_windows else "EPOCHS", FEW)
        target = tmp_path / function
        target.mkdir()
        getattr(module, function)([tmp_path / "archive"], target)
        meta = json.loads((target / "meta.json").read_text())
        assert meta["licence"].startswith("BSD-3-Clause")
        assert set(meta["blocks_s"]) == set(SPLITS)
