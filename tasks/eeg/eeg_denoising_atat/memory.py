"""Expected peak memory of a trial. Imports no torch, as a plan must not wait for it.

The coefficients are bytes that the real networks took at small sizes on a CPU (`tasks.blocks.counting`); a test counts them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.blocks.memory import gib
from tasks.eeg.eeg_denoising_atat.methods import AUTOENCODER, NETWORKED

_EPOCHS = 10_500
"""Of EEG and one artifact: EEGdenoiseNet has 4,514 and 5,598."""
_WHOLE = {"emg": 1024, "eog": 512}
"""Samples of an epoch as the authors mix it."""
_STEP = {"fcnn": 60.0, "cnn": 3_830.0, "complex-cnn": 5_900.0, "rnn": 640.0, AUTOENCODER: 235.0}
"""Bytes of a step for each sample of a batch; the autoencoder's and the transformer's grow with the width."""
_TARGETED = 900.0
_CLEANING = {"fcnn": 8.0, "cnn": 800.0, "complex-cnn": 900.0, "rnn": 160.0, AUTOENCODER: 112.0}
_CLEANING_TARGETED = 300.0
_AT_ONCE = 256
"""Windows that are cleaned together."""
_SCORED = 60.0
"""Bytes of a sample of all test windows: three kinds of them, spectra and their parts."""
_LIBRARIES_GIB = 0.3


def parameters(method: str, samples: int, width: float) -> float:
    """Learned numbers, to a few percent above: those of the published networks grow with the square of the window."""
    dense = {"fcnn": 4.0, "rnn": 3.0, "cnn": 64.0, "complex-cnn": 32.0}
    if method in dense:
        return dense[method] * samples**2 + {"cnn": 40_000.0, "complex-cnn": 70_000.0}.get(method, 5.0 * samples)
    return 4_800.0 * width**2 + (0.0 if method == AUTOENCODER else 40_000.0 * max(width, 1.0) ** 2)


def step_bytes(method: str, params: Mapping[str, Any]) -> float:
    """Peak of a training step beyond the weights and what the optimizer holds."""
    samples = window(params)
    grows = 1.0 if method in _STEP and method != AUTOENCODER else max(1.0, float(params["width"]))
    kept = _STEP.get(method, _TARGETED) * grows * params["batch"] * samples
    return float(kept + 12.0 * parameters(method, samples, params["width"]))  # gradients, and two numbers a weight while it is updated


def training_gib(_scale: str, method: str, params: Mapping[str, Any]) -> float:
    """Of a training: a step, or the validation windows that are cleaned together, and the data."""
    held = 12.0 * parameters(method, window(params), params["width"])
    return gib(held + max(step_bytes(method, params), _cleaning(method, params)) + _data(params)) + _LIBRARIES_GIB


def scoring_gib(_scale: str, method: str, params: Mapping[str, Any]) -> float:
    """Of a score: the network, the windows that it cleans together, and spectra of all."""
    samples = window(params)
    network = 8.0 * parameters(method, samples, params["width"]) + _cleaning(method, params) if method in NETWORKED else 0.0
    return gib(network + _SCORED * (params["test_windows"] or 1_000) * samples + _data(params)) + _LIBRARIES_GIB


def window(params: Mapping[str, Any]) -> int:
    """Samples of a window; of whole epochs as many as the longest known have."""
    return int(params["samples"] or _WHOLE[params["artifact"]])


def _cleaning(method: str, params: Mapping[str, Any]) -> float:
    grows = 1.0 if method in _CLEANING and method != AUTOENCODER else max(1.0, float(params["width"]))
    return _CLEANING.get(method, _CLEANING_TARGETED) * grows * _AT_ONCE * window(params)


def _data(params: Mapping[str, Any]) -> float:
    return 2.0 * 4.0 * _EPOCHS * _WHOLE[params["artifact"]]
