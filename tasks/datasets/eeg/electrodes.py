"""Artifacts of a bad contact: they show on one channel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tasks.datasets.eeg.noise import coloured

Waves = npt.NDArray[np.float64]

_POPS = 0.7
"""Share of pops; the others are drifts."""


def bad_contact(generator: np.random.Generator, electrodes: int, time: Waves, rate: float) -> Waves:
    """(electrodes, samples): pops or a drift on one electrode, zero on the others."""
    wave = pops(generator, time) if generator.uniform() < _POPS else drift(generator, time, rate)
    out = np.zeros((electrodes, len(time)))
    out[generator.integers(electrodes)] = wave
    return out


def pops(generator: np.random.Generator, time: Waves) -> Waves:
    """(samples,): one to four jumps within 4 to 12 ms that discharge over 50 to 500 ms."""
    wave = np.zeros_like(time)
    sign, decay = generator.choice((-1.0, 1.0)), np.exp(generator.uniform(np.log(0.05), np.log(0.5)))
    for start in generator.uniform(0.05, time[-1] - 0.2, generator.integers(1, 5)):
        lag = time - start
        rising = np.clip(lag / generator.uniform(0.004, 0.012), 0.0, 1.0)
        wave += sign * generator.uniform(0.3, 1.0) * rising * np.exp(-np.maximum(lag, 0.0) / decay)
    return wave


def drift(generator: np.random.Generator, time: Waves, rate: float) -> Waves:
    """(samples,): a wander below 1 Hz with a little of the crackle of a loose wire."""
    wave = coloured(generator, time.shape, rate, 0.2, 1.0, slope=2.0)
    return wave + generator.uniform(0.0, 0.1) * coloured(generator, time.shape, rate, 2.0, 40.0, slope=1.0)
