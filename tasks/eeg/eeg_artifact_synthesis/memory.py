"""Expected peak memory of a trial. Imports no torch, as a plan must not wait for it.

The coefficients are bytes that the real networks took at small sizes on a CPU (`tasks.blocks.counting`); a test counts them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.blocks.memory import gib
from tasks.eeg.eeg_artifact_synthesis.methods import DDPM, GAN, RELEASED

_CLASSES, _CHANNELS, _RATE, _SECONDS = 5, 8, 250.0, 2.0
"""Of the sets that the scales name."""
_WINDOWS = {"paper": 200_000}
"""Windows of all splits: TUAR has 160,073 annotated rows. Of `eeg-artifacts`, there are 2,500."""
_COPIES = 4.0
"""Of all windows at once while they are resampled and brought to z-scores, in main memory."""
_LIBRARIES_GIB = 0.5
"""What scikit-learn, SciPy and diffusers add to a process."""
_UNET, _UNET_BLOCK, _UNET_SAMPLE = 105.0, 200.0, 115.0
"""Bytes of a sample of a window and a channel of the first level: of a training step, more for each block, and of a window sampled."""
_GAN, _GAN_SAMPLE = 68.0, 17.0
_AT_ONCE = {True: 1024, False: 64}
"""Windows that are sampled together, with a GPU and without."""


def unet_parameters(width: int, blocks: int) -> float:
    """Of the U-Net of eight channels and five classes: what FiLM adds grows with the width, convolutions with its square."""
    return 33_800.0 + (2_156.0 + 7_313.0 * blocks) * width + (196.0 + 357.0 * blocks) * width**2


def gan_parameters(width: int, latent: int, samples: int) -> float:
    """Of generator and critic."""
    return 92.0 * width**2 + (latent + _CLASSES + 1) * width * samples / 2.0 + 130.0 * width


def step_bytes(method: str, params: Mapping[str, Any], samples: int) -> float:
    """Peak of a training step beyond weights and what optimizers hold, but for the data."""
    if method == GAN:
        return float(_GAN * params["gan_batch"] * samples * params["gan_width"])
    return float((_UNET + _UNET_BLOCK * params["ddpm_blocks"]) * params["ddpm_batch"] * samples * params["ddpm_width"])


def training_gib(scale: str, method: str, params: Mapping[str, Any]) -> float:
    """Of a trial that trains: the larger of a step and of sampling what is kept, and the data."""
    samples = _samples(params)
    weights = _weights(method, params, samples)
    peak = max(step_bytes(method, params, samples), _sampling(scale, method, params, samples))
    return _total(scale, 20.0 * weights + peak, params)  # weights, gradients, two moments, and the average of a diffusion model


def scoring_gib(scale: str, method: str, params: Mapping[str, Any]) -> float:
    """Of a trial that measures windows, and samples them first where no training kept them."""
    samples = _samples(params)
    again = method in (*DDPM, RELEASED) and (params["sampling_steps"] or method == RELEASED)
    made = 20.0 * _weights(method, params, samples) + _sampling(scale, method, params, samples) if again else 0.0
    return _total(scale, made, params)


def _total(scale: str, networks: float, params: Mapping[str, Any]) -> float:
    windows = float(_WINDOWS.get(scale, 2_500)) * _channels(params) * 4.0
    if _on_gpu(scale):
        return gib(networks + windows * _samples(params))
    return gib(networks + _COPIES * windows * _RATE * _SECONDS) + _LIBRARIES_GIB


def _weights(method: str, params: Mapping[str, Any], samples: int) -> float:
    if method == GAN:
        return gan_parameters(params["gan_width"], params["latent"], samples)
    return unet_parameters(params["ddpm_width"], params["ddpm_blocks"])


def _sampling(scale: str, method: str, params: Mapping[str, Any], samples: int) -> float:
    count = min(_CLASSES * params["windows"], _AT_ONCE[_on_gpu(scale)])
    if method == GAN:
        return float(_GAN_SAMPLE * _CLASSES * params["windows"] * samples * params["gan_width"])
    return float(_UNET_SAMPLE * count * samples * params["ddpm_width"])


def _on_gpu(scale: str) -> bool:
    return scale in ("gpu", "paper")


def _samples(params: Mapping[str, Any]) -> int:
    return round((params["rate"] or _RATE) * _SECONDS)


def _channels(params: Mapping[str, Any]) -> int:
    return len([name for name in params["channels"].split(",") if name.strip()]) or _CHANNELS
