"""Muscle artifacts: independent motor units under the skin, each of which reaches the electrodes around it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tasks.datasets.eeg.noise import coloured, plateau, wavering

Waves = npt.NDArray[np.float64]

BAND = (20.0, 100.0)
"""Hertz: what scalp EMG has inside the band of an EEG amplifier (Goncharova et al. 2003)."""
_JITTER = 15.0
"""Millimetres by which units lie apart from the middle of their muscle."""


def units(
    generator: np.random.Generator, sites: Waves, each: int, positions: Waves, samples: int, rate: float, spread: float
) -> tuple[Waves, Waves]:
    """`each` units around every site: their noise (units, samples) and how strongly the electrodes see them (electrodes, units).

    A gain falls with distance as a Gaussian of `spread` millimetres: neighbours share units, so they are coherent in part.
    """
    places = np.repeat(sites, each, axis=0)
    places = places + generator.normal(0.0, _JITTER, places.shape)
    distance = np.linalg.norm(positions[:, None] - places[None], axis=-1)
    noise = coloured(generator, (len(places), samples), rate, *BAND, slope=generator.uniform(0.0, 1.5))
    return noise * generator.uniform(0.5, 1.5, (len(places), 1)), np.exp(-0.5 * (distance / spread) ** 2)


def burst(generator: np.random.Generator, positions: Waves, muscles: Waves, time: Waves, rate: float) -> Waves:
    """(electrodes, samples): one or two of the `muscles` (count, 3) tense for 0.4 to 1.8 s, unsteadily."""
    chosen = muscles[generator.permutation(len(muscles))[: generator.integers(1, 3)]]
    noise, gains = units(generator, chosen, 4, positions, len(time), rate, generator.uniform(25.0, 45.0))
    length = generator.uniform(0.4, 1.8)
    start = generator.uniform(0.0, time[-1] - length)
    tense = plateau(time, start, start + length, generator.uniform(0.03, 0.15))
    return gains @ (noise * tense * wavering(generator, noise.shape, rate, 0.5))


def chewing(generator: np.random.Generator, positions: Waves, temples: Waves, time: Waves, rate: float) -> Waves:
    """(electrodes, samples): both temporal muscles in step, a burst at every bite (1 to 2 a second), and the tongue's slow potential."""
    noise, gains = units(generator, temples, 4, positions, len(time), rate, generator.uniform(40.0, 60.0))
    pace = generator.uniform(1.0, 2.0)
    bites = np.arange(generator.uniform(-1.0, 0.0) / pace, time[-1], 1 / pace)
    bites = bites + generator.normal(0.0, 0.04 / pace, bites.shape)
    closed = np.zeros_like(time)
    for bite in bites:
        strength, length = generator.lognormal(0.0, 0.2), generator.uniform(0.35, 0.5) / pace
        closed += strength * plateau(time, bite, bite + length, length / 2)
    emg = gains @ (noise * closed * wavering(generator, noise.shape, rate, 0.3))
    tongue = gains.mean(1, keepdims=True) * np.cos(2 * np.pi * (pace * time + generator.uniform()))
    share = generator.uniform(0.05, 0.2)
    both: Waves = emg * np.sqrt((1 - share) / (emg**2).mean()) + tongue * np.sqrt(share / (tongue**2).mean())
    return both


def shivering(generator: np.random.Generator, positions: Waves, around: Waves, time: Waves, rate: float) -> Waves:
    """(electrodes, samples): muscles all around the head, all of them in the rhythm of a tremor of 8 to 14 Hz that wanders a little."""
    noise, gains = units(generator, around, 3, positions, len(time), rate, generator.uniform(25.0, 40.0))
    tremor = generator.uniform(8.0, 14.0) * (1 + 0.05 * coloured(generator, (len(time),), rate, 0.3, 2.0))
    lag = generator.normal(0.0, 0.4, (len(noise), 1))
    swing = 0.5 + 0.5 * np.sin(2 * np.pi * np.cumsum(tremor) / rate + generator.uniform(0.0, 2 * np.pi) + lag)
    depth = generator.uniform(0.8, 1.0)
    return gains @ (noise * (1 - depth + depth * swing**2) * wavering(generator, noise.shape, rate, 0.3))
