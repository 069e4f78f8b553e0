"""The networks of the trials: built with weights that the seed decides, kept, and read again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import nn

from harness.errors import UsageError
from harness.trial import Trial
from tasks.eeg.eeg_denoising_atat.methods import AUTOENCODER, GATED, PASS_THROUGH
from tasks.eeg.eeg_denoising_atat.networks import NETWORKS, Dropout
from tasks.eeg.eeg_denoising_atat.targeted import Autoencoder, Targeted, Transformer, check_lengths

M = TypeVar("M", bound=nn.Module)


def build(trial: Trial, samples: int) -> nn.Module:
    """The untrained network of the trial's method for windows of `samples`, on the trial's device; UsageError where they do not fit."""
    params = trial.params
    if samples % 4 and trial.method in (*GATED, AUTOENCODER):
        raise UsageError(f"the autoencoder halves windows twice: {samples} samples are no multiple of 4")
    if trial.method == AUTOENCODER:
        return seeded(trial, "autoencoder", lambda: Autoencoder(params.width))
    if trial.method in GATED:
        check_lengths(samples, params.segment)
        autoencoder = seeded(trial, "autoencoder", lambda: Autoencoder(params.width))
        transformer = seeded(trial, "transformer", lambda: Transformer(params.segment, params.width))
        return Targeted(autoencoder, transformer, params.segment, float("inf"), untouched=trial.method == PASS_THROUGH)
    stream = torch.Generator(trial.device).manual_seed(trial.seed_for("dropout"))
    return seeded(trial, trial.method, lambda: NETWORKS[trial.method](samples, lambda: Dropout(params.dropout, stream)))


def seeded(trial: Trial, part: str, make: Callable[[], M]) -> M:
    """What `make` builds, with initial weights of a stream of its own, on the trial's device. torch's own stream is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(trial.seed_for(f"initial weights of {part}"))
        return make().to(trial.device)


def state(network: nn.Module, samples: int, seconds: float) -> dict[str, Any]:
    """What a training keeps of its network."""
    weights = {name: value.cpu() for name, value in network.state_dict().items()}
    threshold = network.threshold if isinstance(network, Targeted) else 0.0
    return {"weights": weights, "samples": samples, "threshold": threshold, "seconds": seconds}


def trained(trial: Trial, kept: Mapping[str, Any], samples: int) -> nn.Module:
    """The network behind `state`, in evaluation mode on the trial's device; UsageError for windows of another length."""
    if samples != kept["samples"]:
        raise UsageError(f"the network was trained on windows of {kept['samples']} samples, these have {samples}")
    network = build(trial, samples)
    network.load_state_dict(kept["weights"])
    if isinstance(network, Targeted):
        network.threshold = kept["threshold"]
    return network.eval()
