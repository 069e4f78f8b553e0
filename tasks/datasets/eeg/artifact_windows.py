"""The set `eeg-artifacts`: real background, simulated artifacts of five classes, one window at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tasks.datasets.eeg.electrodes import bad_contact
from tasks.datasets.eeg.eyes import BlinkShape, blink, gaze, measured_blinks, sideways_gains
from tasks.datasets.eeg.mixing import mixed
from tasks.datasets.eeg.montage import PLACES, nearest
from tasks.datasets.eeg.muscles import burst, chewing, shivering
from tasks.datasets.eeg.recording import BLOCKS, LICENCE, Recording, read_recording, resampled
from tasks.datasets.eeg_windows import EegWindows, write_windows
from tasks.datasets.eeg_windows import Split as Windows
from tasks.datasets.text_splits import SPLITS, Split

Waves = npt.NDArray[np.float64]
Simulator = Callable[[np.random.Generator, npt.NDArray[np.int64]], Waves]
"""(generator, electrodes (8,)) -> (8, samples) of any unit."""

CLASSES = ("eyem", "musc", "elec", "chew", "shiv")
PER_CLASS: Mapping[Split, int] = {"train": 300, "val": 50, "test": 150}
RATE, SECONDS = 250.0, 2.0
SNR = (-10.0, 2.0)
"""Decibels of power, uniform, the same for every class: how large a window is says little about its class."""
STEP = 0.1
"""Microvolts of an int16 step: a tenth of what clinical EEG files resolve at worst."""
_SEED = 2509


def prepare_artifacts(archives: Sequence[Path], target: Path) -> None:
    """Write the splits out of the pinned sdist."""
    windows = draw_windows(read_recording(archives[0]), PER_CLASS)
    about = {"seed": _SEED, "snr_db": SNR, "blocks_s": BLOCKS}
    write_windows(target, windows, licence=LICENCE, about=about, step=STEP)


def draw_windows(recording: Recording, per_class: Mapping[Split, int]) -> EegWindows:
    """Balanced splits in random order. Every split has blocks of time and a random stream of its own."""
    chosen = nearest(recording.positions)
    simulators = simulators_of(recording, measured_blinks(recording))
    names = [f"{start:g}-{stop:g} s" for split in SPLITS for start, stop in BLOCKS[split]]
    drawn = {}
    for number, split in enumerate(SPLITS):
        generator = np.random.default_rng([_SEED, number])
        blocks = {
            names.index(f"{start:g}-{stop:g} s"): resampled(recording.between(start, stop), RATE).eeg for start, stop in BLOCKS[split]
        }
        drawn[split] = _draw(generator, blocks, chosen, simulators, per_class[split])
    return EegWindows(**drawn, rate=RATE, channels=tuple(PLACES), classes=CLASSES, groups=tuple(names))


def _draw(
    generator: np.random.Generator,
    blocks: Mapping[int, Waves],
    chosen: npt.NDArray[np.int64],
    simulators: Mapping[str, Simulator],
    per_class: int,
) -> Windows:
    labels = generator.permutation(np.repeat(np.arange(len(CLASSES)), per_class))
    groups = generator.permuted(np.resize(list(blocks), len(labels)))
    samples = round(RATE * SECONDS)
    x = np.empty((len(labels), len(chosen), samples), dtype=np.float32)
    for window, label, group in zip(x, labels, groups, strict=True):
        electrodes = chosen[np.arange(len(chosen)), generator.integers(chosen.shape[1], size=len(chosen))]
        start = generator.integers(blocks[group].shape[1] - samples + 1)
        background = blocks[group][electrodes, start : start + samples]
        artifact = simulators[CLASSES[label]](generator, electrodes)
        window[:] = mixed(background - background.mean(-1, keepdims=True), artifact, generator.uniform(*SNR))
    return Windows(x, labels.astype(np.int64), groups.astype(np.int64))


def simulators_of(recording: Recording, shape: BlinkShape) -> dict[str, Simulator]:
    """How each class is made, given where the electrodes sit and what the recording's blinks look like."""
    time = np.arange(round(RATE * SECONDS)) / RATE
    places = {name: recording.positions[index] for name, index in zip(PLACES, nearest(recording.positions, 1)[:, 0], strict=True)}
    temples = np.array([places["T3"], places["T4"]])
    forehead = np.array([places["Fp1"], places["Fp2"]])
    spread: dict[str, Callable[..., Waves]] = {
        "musc": partial(burst, muscles=np.concatenate([temples, forehead])),
        "chew": partial(chewing, temples=temples),
        "shiv": partial(shivering, around=np.array(list(places.values()))),
    }
    sideways = sideways_gains(recording.positions)
    return {
        "eyem": lambda generator, electrodes: _eyes(generator, shape, shape.gains[electrodes], sideways[electrodes], time),
        "elec": lambda generator, electrodes: bad_contact(generator, len(electrodes), time, RATE),
        **{name: partial(_on_electrodes, make, recording.positions, time) for name, make in spread.items()},
    }


def _on_electrodes(
    make: Callable[..., Waves], positions: Waves, time: Waves, generator: np.random.Generator, electrodes: npt.NDArray[np.int64]
) -> Waves:
    return make(generator, positions[electrodes], time=time, rate=RATE)


def _eyes(generator: np.random.Generator, shape: BlinkShape, up: Waves, sideways: Waves, time: Waves) -> Waves:
    """Of ten windows, six hold one to three blinks, three saccades to the side, and one holds both."""
    kind = generator.uniform()
    wave = np.zeros((len(up), len(time)))
    if kind < 0.7:
        for _ in range(generator.integers(1, 4)):
            wave -= generator.uniform(0.6, 1.0) * np.outer(up / np.abs(up).max(), blink(generator, time, shape))
    if kind >= 0.6:
        wave += generator.uniform(0.4, 0.8) * np.outer(
            sideways / np.abs(sideways).max(), gaze(generator, time, int(generator.integers(1, 4)))
        )
    return wave
