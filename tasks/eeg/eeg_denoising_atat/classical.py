"""Filters that learn nothing. Windows (n, t) in, windows (n, t) out, float64 inside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Windows = NDArray[np.float64]

_PASS_BAND = (1.0, 80.0)
_WAVELET, _DECOMPOSITIONS = "sym4", 5
_ENSEMBLE, _NOISE = 20, 0.2
_MUSCLE_ABOVE, _EYE_BELOW = 25.0, 4.0


def band_pass(windows: Windows, rate: float) -> Windows:
    """1 to 80 Hz: Butterworth of order 4, forward and backward, so that no phase moves; no upper edge where the rate has no 80 Hz."""
    from scipy.signal import butter, sosfiltfilt

    low, high = _PASS_BAND
    edges, kind = ((low, high), "bandpass") if high < rate / 2 else (low, "highpass")
    sections = butter(4, edges, kind, fs=rate, output="sos")
    return np.asarray(sosfiltfilt(sections, windows, axis=-1))


def wavelet(windows: Windows, rate: float) -> Windows:  # noqa: ARG001 - scales are octaves whatever the rate
    """Soft threshold sigma sqrt(2 log t) of all details (VisuShrink, Donoho and Johnstone 1994), sigma = MAD of the finest / 0.6745."""
    import pywt

    length = windows.shape[-1]
    depth = min(_DECOMPOSITIONS, pywt.dwt_max_level(length, _WAVELET))
    coarse, *details = pywt.wavedec(windows, _WAVELET, level=depth, axis=-1)
    sigma = np.median(np.abs(details[-1]), axis=-1, keepdims=True) / 0.6745
    threshold = sigma * np.sqrt(2.0 * np.log(length))
    shrunk = [np.sign(detail) * np.maximum(np.abs(detail) - threshold, 0.0) for detail in details]
    return np.asarray(pywt.waverec([coarse, *shrunk], _WAVELET, axis=-1)[..., :length])


def eemd(windows: Windows, rate: float, *, artifact: str, seed: int) -> Windows:
    """The sum of the modes that are not the artifact's, by ensemble empirical mode decomposition (Wu and Huang 2009), 20 trials.

    A mode's frequency is half its zero crossings a second. Muscle: modes above 25 Hz are dropped; eye: modes below 4 Hz, the residue
    among them. The rule is told which artifact it faces. Every window gets the same noise.
    """
    return np.stack([_without_artifact(window, rate, artifact, seed) for window in windows])


def _without_artifact(window: Windows, rate: float, artifact: str, seed: int) -> Windows:
    from PyEMD import EEMD

    decompose = EEMD(trials=_ENSEMBLE, noise_width=_NOISE, parallel=False)
    decompose.noise_seed(seed % 2**32)
    modes = np.asarray(decompose.eemd(window))
    frequency = crossings(modes) * rate / (2.0 * window.size)
    dropped = frequency > _MUSCLE_ABOVE if artifact == "emg" else frequency < _EYE_BELOW
    return np.asarray(modes[~dropped].sum(axis=0))


def crossings(signals: Windows) -> NDArray[np.int64]:
    """Changes of sign along the last axis: (..., t) -> (...)."""
    return np.asarray(np.count_nonzero(np.diff(np.signbit(signals), axis=-1), axis=-1))
