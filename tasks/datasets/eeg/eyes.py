"""Blinks as the recording shows them, and eye movements as dipoles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.datasets.eeg.recording import BLINKS, Recording

Waves = npt.NDArray[np.float64]

_EYES = np.array([[-32.0, 85.0, 0.0], [32.0, 85.0, 0.0]])
"""Millimetres in the head frame: behind the nasion (y = 103 in this recording), half of the usual distance between pupils to each side."""
_CUTOFF = 10.0
"""Hertz below which blinks lie."""
_SEPARATE = 0.6
"""Seconds: what lies nearer to a blink's peak belongs to it."""
_WIDTH = np.sqrt(2 * np.log(2))
"""Half a Gaussian's width at half height, in standard deviations."""
_DECAY = 1.6
"""Seconds: a held gaze fades as 1 / (2 pi 0.1 Hz), the recording's high-pass."""


@dataclass(frozen=True)
class BlinkShape:
    """What the real blinks have in common."""

    gains: Waves
    """(electrodes,): deflection for one of the EOG, by regression."""
    rise: float
    """Standard deviation of the Gaussian flank before the peak, seconds; the mean over the blinks."""
    fall: float
    """After it."""


def measured_blinks(recording: Recording, count: int = 3) -> BlinkShape:
    """The shape of the `count` largest blinks between the seconds `BLINKS`, whose samples no background is taken from."""
    from scipy import signal

    block = recording.between(*BLINKS)
    low = signal.butter(2, _CUTOFF, fs=block.rate, output="sos")
    eog, eeg = signal.sosfiltfilt(low, block.eog), signal.sosfiltfilt(low, block.eeg)
    eog = eog - np.median(eog)
    apart = round(_SEPARATE * block.rate)
    peaks, found = signal.find_peaks(np.abs(eog), height=0.0, distance=apart)
    peaks = np.sort(peaks[np.argsort(found["peak_heights"])[-count:]])
    half = np.array([signal.peak_widths(np.abs(eog), [peak], rel_height=0.5)[2:] for peak in peaks])[..., 0]
    rise, fall = ((peaks - half[:, 0]).mean() / block.rate / _WIDTH, (half[:, 1] - peaks).mean() / block.rate / _WIDTH)
    near = np.concatenate([np.arange(max(0, peak - apart // 2), min(len(eog), peak + apart // 2)) for peak in peaks])
    around, deflection = eog[near] - eog[near].mean(), eeg[:, near] - eeg[:, near].mean(-1, keepdims=True)
    return BlinkShape(deflection @ around / (around @ around), float(rise), float(fall))


def blink(generator: np.random.Generator, time: Waves, shape: BlinkShape) -> Waves:
    """One blink of height 1 somewhere in `time` (seconds): Gaussian flanks around the measured widths, then a shallow overshoot."""
    centre = generator.uniform(time[0] + 0.15, time[-1] - 0.25)
    slower = generator.uniform(0.8, 1.6)
    rise, fall = shape.rise * slower, shape.fall * slower * generator.uniform(0.9, 1.4)
    lag = time - centre
    pulse: Waves = np.exp(-0.5 * (lag / np.where(lag < 0, rise, fall)) ** 2)
    overshoot: Waves = generator.uniform(0.0, 0.15) * np.exp(-0.5 * ((lag - 4 * fall) / (1.5 * fall)) ** 2)
    return pulse - overshoot


def gaze(generator: np.random.Generator, time: Waves, jumps: int) -> Waves:
    """The angle of the eyes after `jumps` saccades of 25 to 60 ms, fading as an amplifier with a high-pass of 0.1 Hz shows it."""
    wave = np.zeros_like(time)
    direction = generator.choice((-1.0, 1.0))
    for start in np.sort(generator.uniform(time[0] + 0.1, time[-1] - 0.2, jumps)):
        lag = time - start
        rising = np.clip(lag / generator.uniform(0.025, 0.06), 0.0, 1.0)
        wave += direction * generator.uniform(0.5, 1.0) * rising * np.exp(-np.maximum(lag, 0.0) / _DECAY)
        direction = -direction
    return wave


def sideways_gains(positions: Waves) -> Waves:
    """(electrodes,): potentials of two dipoles that point to the right, one in each eye, in a homogeneous medium; the largest is 1.

    The cornea is positive: a glance to the right makes the right of the head positive, the left negative.
    """
    away = positions[:, None, :] - _EYES
    potential = (away[..., 0] / np.linalg.norm(away, axis=-1) ** 3).sum(1)
    gains: Waves = potential / np.abs(potential).max()
    return gains
