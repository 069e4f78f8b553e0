"""Random waves that simulated artifacts are made of. All are drawn with NumPy's generator; every row (the last axis) has unit power."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Waves = npt.NDArray[np.float64]

_ORDER = 4


def coloured(generator: np.random.Generator, shape: tuple[int, ...], rate: float, low: float, high: float, slope: float = 0.0) -> Waves:
    """Gaussian noise between `low` and `high` (hertz, Butterworth edges of order 4) whose density falls as f^-slope in between.

    A row is cut out of one twice as long, so that its end knows nothing of its beginning.
    """
    long = 2 * shape[-1]
    frequency = np.fft.rfftfreq(long, 1 / rate)
    f = np.maximum(frequency, frequency[1])
    gain = f ** (-slope / 2) / np.sqrt((1 + (low / f) ** (2 * _ORDER)) * (1 + (f / high) ** (2 * _ORDER)))
    gain[0] = 0.0
    white = np.fft.rfft(generator.standard_normal((*shape[:-1], long)))
    return unit(np.fft.irfft(white * gain, long)[..., : shape[-1]])


def unit(waves: Waves) -> Waves:
    """Every row without its mean, at unit power."""
    centred = waves - waves.mean(-1, keepdims=True)
    scaled: Waves = centred / np.sqrt((centred**2).mean(-1, keepdims=True))
    return scaled


def wavering(generator: np.random.Generator, shape: tuple[int, ...], rate: float, depth: float, high: float = 6.0) -> Waves:
    """A positive envelope, exp(depth times a slow Gaussian noise of 0.5 hertz up to `high`): log-normal, as EMG amplitudes are."""
    return np.exp(depth * coloured(generator, shape, rate, 0.5, high, slope=1.5))


def plateau(time: Waves, start: float, stop: float, ramp: float) -> Waves:
    """0 outside `start` to `stop` (seconds), 1 inside, with half a cosine of `ramp` seconds at both ends, inside."""
    inside = np.minimum(time - start, stop - time) / ramp
    return 0.5 - 0.5 * np.cos(np.pi * np.clip(inside, 0.0, 1.0))
