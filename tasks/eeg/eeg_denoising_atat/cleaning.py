"""Windows cleaned by the trial's method, whatever it is."""

from __future__ import annotations

import time
from typing import NamedTuple

import torch
from torch import Tensor, nn

from harness.errors import UsageError
from harness.trial import Trial
from tasks.blocks.complexity import parameters
from tasks.eeg.eeg_denoising_atat import classical
from tasks.eeg.eeg_denoising_atat.costs import multiply_adds
from tasks.eeg.eeg_denoising_atat.denoisers import trained
from tasks.eeg.eeg_denoising_atat.designs import FLOOR, NETWORKED
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
