"""Windows cleaned by the trial's method, whatever it is, and what that costs."""

from __future__ import annotations

import copy
import time
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from harness.errors import UsageError
from harness.trial import Trial
from tasks.blocks.complexity import parameters
from tasks.eeg.eeg_denoising_atat import classical
from tasks.eeg.eeg_denoising_atat.denoisers import trained
from tasks.eeg.eeg_denoising_atat.methods import FLOOR, NETWORKED
from tasks.eeg.eeg_denoising_atat.targeted import Gated, Targeted

_BATCH = 256


class Cleaned(NamedTuple):
    """Windows (n, t), what the gate did where there is one, what it cost a window, and the seconds it took for all."""

    windows: Tensor
    gated: Gated | None
    costs: dict[str, float]
    seconds: float


def clean(trial: Trial, noisy: Tensor, rate: float) -> Cleaned:
    """The trial's method on windows (n, t)."""
    if trial.method in NETWORKED:
        return _by_network(trial, noisy)
    began = time.perf_counter()
    windows = noisy.clone() if trial.method == FLOOR else torch.from_numpy(_filtered(trial, noisy, rate).copy()).to(noisy)
    return Cleaned(windows, None, {}, time.perf_counter() - began)


def _filtered(trial: Trial, noisy: Tensor, rate: float) -> classical.Windows:
    values = noisy.double().cpu().numpy()
    if trial.method == "band-pass":
        return classical.band_pass(values, rate)
    if trial.method == "wavelet":
        return classical.wavelet(values, rate)
    if trial.method == "eemd":
        return classical.eemd(values, rate, artifact=trial.params.artifact, seed=trial.seed_for("ensemble noise"))
    raise UsageError(f"method {trial.method} has no filter")


def _by_network(trial: Trial, noisy: Tensor) -> Cleaned:
    kept = trial.required()
    network = trained(trial, kept, noisy.shape[1])
    began = time.perf_counter()
    windows, gated = denoise(network, noisy)
    seconds = time.perf_counter() - began
    share = float(gated.sent.double().mean()) if gated else 1.0
    costs = {
        "parameters": float(parameters(network)),
        "multiply_adds": multiply_adds(network, noisy.shape[1], share),
        "train_seconds": float(kept["seconds"]),
    }
    return Cleaned(windows, gated, costs, seconds)


def denoise(network: nn.Module, noisy: Tensor) -> tuple[Tensor, Gated | None]:
    """Windows (n, t) through a network in evaluation mode, and what its gate did where it has one."""
    with torch.no_grad():
        if not isinstance(network, Targeted):
            return torch.cat([network(part) for part in torch.split(noisy, _BATCH)]), None
        parts = [network.clean(part) for part in torch.split(noisy, _BATCH)]
    gated = Gated(*(torch.cat(columns) for columns in zip(*parts, strict=True)))
    return gated.cleaned, gated


def multiply_adds(network: nn.Module, samples: int, share_sent: float = 1.0) -> float:
    """Of the convolutions and matrix products for one window; of the transformer, for the share of segments that it is sent."""
    if isinstance(network, Targeted):
        transformer = _counted(network.transformer, network.segment, inputs=2)
        return _counted(network.autoencoder, samples) + share_sent * (samples // network.segment) * transformer
    return _counted(network, samples)


def _counted(module: nn.Module, length: int, inputs: int = 1) -> float:
    """For one series. Shapes are enough, and without storage an LSTM falls apart into matrix products, which are counted.

    In training mode, because evaluation takes a fused attention that is not.
    """
    ghost = copy.deepcopy(module).to("meta").train()
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        ghost(*(torch.empty(1, length, device="meta") for _ in range(inputs)))
    return counter.get_total_flops() / 2
