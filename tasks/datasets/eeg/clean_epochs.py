"""The set `eeg-denoise`: real EEG of one channel without blinks or muscle, and simulated EMG and EOG to be mixed with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tasks.datasets.eeg.eyes import BlinkShape, blink, gaze, measured_blinks
from tasks.datasets.eeg.noise import coloured, plateau, unit, wavering
from tasks.datasets.eeg.recording import BLOCKS, LICENCE, Recording, read_recording, resampled
from tasks.datasets.eeg_epochs import EegEpochs, Epochs, write_epochs
from tasks.datasets.text_splits import SPLITS, Split

Waves = npt.NDArray[np.float64]

RATE, SAMPLES = 256.0, 512
EPOCHS: Mapping[Split, int] = {"train": 3000, "val": 400, "test": 500}
"""Of each kind: EEG, EMG, EOG."""
BAND, LINE = (1.0, 80.0), 60.0
"""Hertz: what EEGdenoiseNet's EEG was filtered to (Zhang et al. 2021), and the line frequency that is notched out."""
APART = (30.0, 90.0)
"""Millimetres between the electrodes of a bipolar channel."""
MUSCLE_BAND, MOST_MUSCLE = (30.0, 55.0), 3.0
"""An electrode with more than three times the median power between 30 and 55 Hz sees the forehead's muscles: it gives no clean EEG."""
STEP = 0.05
"""Microvolts of an int16 step."""
_SEED = 2502
_AMPLITUDES = {"emg": 40.0, "eog": 120.0}
"""Microvolts: the typical root mean square of an epoch. Mixing rescales it."""


def prepare_epochs(archives: Sequence[Path], target: Path) -> None:
    """Write the splits out of the pinned sdist."""
    epochs = draw_epochs(read_recording(archives[0]), EPOCHS)
    about = {"seed": _SEED, "blocks_s": BLOCKS, "band_hz": BAND}
    write_epochs(target, epochs, licence=LICENCE, about=about, step=STEP)


def draw_epochs(recording: Recording, counts: Mapping[Split, int]) -> EegEpochs:
    """Every split has blocks of time, and a random stream, of its own; nothing is re-referenced or overlapped across blocks."""
    shape = measured_blinks(recording)
    blocks = {split: [filtered(resampled(recording.between(*span), RATE)) for span in BLOCKS[split]] for split in SPLITS}
    quiet = quiet_electrodes(np.concatenate([block.eeg for block in blocks["train"]], axis=1))
    drawn = {}
    for number, split in enumerate(SPLITS):
        generator = np.random.default_rng([_SEED, number])
        count = counts[split]
        eeg = np.stack([_clean(generator, blocks[split], quiet) for _ in range(count)])
        artifacts = {"emg": emg(generator, count), "eog": np.stack([eog(generator, shape) for _ in range(count)])}
        drawn[split] = Epochs(
            eeg.astype(np.float32), {kind: (waves * _AMPLITUDES[kind]).astype(np.float32) for kind, waves in artifacts.items()}
        )
    return EegEpochs(drawn["train"], drawn["val"], drawn["test"], RATE)


def filtered(block: Recording) -> Recording:
    """A block between 1 and 80 Hz without the line, filtered forwards and backwards."""
    from scipy import signal

    band = signal.butter(4, BAND, "bandpass", fs=block.rate, output="sos")
    notch = signal.tf2sos(*signal.iirnotch(LINE, 30.0, fs=block.rate))
    clean = signal.sosfiltfilt(np.concatenate([band, notch]), block.eeg, padlen=round(block.rate))
    return Recording(clean, block.eog, block.positions, block.rate)


def quiet_electrodes(eeg: Waves) -> npt.NDArray[np.int64]:
    """Indices of the electrodes of (electrodes, samples) that see little muscle."""
    from scipy import signal

    frequency, density = signal.welch(eeg, RATE, nperseg=round(RATE))
    inside = (frequency >= MUSCLE_BAND[0]) & (frequency <= MUSCLE_BAND[1])
    level = density[:, inside].mean(-1)
    return np.flatnonzero(level <= MOST_MUSCLE * np.median(level))


def _clean(generator: np.random.Generator, blocks: Sequence[Recording], quiet: npt.NDArray[np.int64]) -> Waves:
    """(samples,): one epoch anywhere in a block, to the recording's reference, to the average, or between two electrodes."""
    block = blocks[generator.choice(len(blocks), p=np.array([b.eeg.shape[1] for b in blocks]) / sum(b.eeg.shape[1] for b in blocks))]
    start = generator.integers(block.eeg.shape[1] - SAMPLES + 1)
    epoch = block.eeg[quiet, start : start + SAMPLES]
    one = generator.integers(len(quiet))
    reference = generator.integers(3)
    if reference == 0:
        wave = epoch[one]
    elif reference == 1:
        wave = epoch[one] - epoch.mean(0)
    else:
        distance = np.linalg.norm(block.positions[quiet] - block.positions[quiet[one]], axis=-1)
        wave = epoch[one] - epoch[generator.choice(np.flatnonzero((distance >= APART[0]) & (distance <= APART[1])))]
    centred: Waves = wave - wave.mean()
    return centred


def emg(generator: np.random.Generator, count: int) -> Waves:
    """(count, samples) around unit power: muscles whose spectrum begins between 5 and 10 Hz, so that no filter parts them from EEG.

    Density is flat or falls slowly up to 40 to 100 Hz; the amplitude wavers and every third epoch holds a burst.
    """
    time = np.arange(SAMPLES) / RATE
    waves = np.empty((count, SAMPLES))
    for wave in waves:
        low, high, slope = generator.uniform(5.0, 10.0), generator.uniform(40.0, 100.0), generator.uniform(0.0, 1.0)
        wave[:] = coloured(generator, (SAMPLES,), RATE, low, high, slope) * wavering(generator, (SAMPLES,), RATE, 0.5)
        if generator.uniform() < 1 / 3:
            length = generator.uniform(0.5, 1.5)
            start = generator.uniform(0.0, time[-1] - length)
            wave *= 0.15 + plateau(time, start, start + length, 0.15)
        wave -= wave.mean()
    return waves


def eog(generator: np.random.Generator, shape: BlinkShape) -> Waves:
    """(samples,) around unit power: one to three blinks of the recording's shape or glances, with the slow wander of the eyes."""
    time = np.arange(SAMPLES) / RATE
    wave = 0.05 * coloured(generator, (SAMPLES,), RATE, 0.3, 8.0, slope=2.0)
    kind = generator.uniform()
    if kind < 0.7:
        for _ in range(generator.integers(1, 4)):
            wave += generator.uniform(0.5, 1.0) * blink(generator, time, shape)
    if kind >= 0.6:
        wave += generator.uniform(0.3, 0.7) * gaze(generator, time, int(generator.integers(1, 4)))
    return unit(wave) * float(generator.lognormal(0.0, 0.3))
