"""Epochs with planted structure for the artifact-removal task, and trials on them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness import registry
from harness.plan import DataRef
from tasks.datasets.eeg_epochs import EegEpochs, Epochs
from tasks.eeg.eeg_denoising_atat.experiment import run
from tests.tasks.standing import MakeTrial, maker

TASK_ID = "eeg-denoising-atat"
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


def toy_trials(folder: Path) -> MakeTrial:
    """Trials over `TINY`; what they stand on is trained first, once for each data set handed in."""
    own = planted()
    return maker(registry.task(TASK_ID), run, folder, base=TINY, opened=lambda epochs: epochs or own, reference=_reference)


def _reference(epochs: EegEpochs | None) -> DataRef:
    """Known by its clean epochs, so that a training on other ones is another training."""
    parts = (epochs.train, epochs.val, epochs.test) if epochs else ()
    return DataRef("eeg-denoise", "planted", "synthetic", str(float(sum(part.eeg.sum() for part in parts))))
