"""The windows of a trial: kept by its training, sampled again from the kept model, or made on the spot."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from harness.errors import UsageError
from harness.trial import Trial
from tasks.blocks.training import generator
from tasks.eeg.eeg_artifact_synthesis.labelled_windows import Labelled, Problem, asked_for, class_counts, drawn, halves
from tasks.eeg.eeg_artifact_synthesis.methods import DIFFUSION, FLOOR, NOISE, OTHERS, RELEASED, SIMPLE, TRAINED_AS
from tasks.eeg.surrogates import fit_autoregression, phase_randomised, simulate_autoregression, stabilised


def synthetic(trial: Trial, windows: Problem) -> tuple[Labelled, dict[str, float]]:
    """The trial's synthetic windows in z-scores, class by class, and the seconds that sampling 1,000 took where they were not kept."""
    counts = class_counts(windows, trial.params.windows, trial.seed_for("test halves"))
    y, began = asked_for(counts), time.perf_counter()
    if trial.method in SIMPLE:
        x = simple(trial, windows, counts)
    elif trial.params.sampling_steps or trial.method == RELEASED:
        x = sampled_again(trial, windows, y)
    else:
        kept: Tensor = trial.required()["windows"]
        return Labelled(windows.z_scores(kept), y), {}
    return Labelled(x, y), {"sampling_seconds": 1000.0 * (time.perf_counter() - began) / len(y)}


def simple(trial: Trial, windows: Problem, counts: Sequence[int]) -> Tensor:
    """The windows of a method without a network, in z-scores."""
    seed = trial.seed_for("synthesis")
    if trial.method == FLOOR:
        return drawn(halves(windows.test, trial.seed_for("test halves"))[1], counts, seed).x
    if trial.method == OTHERS:
        return drawn(windows.val, counts, seed).x
    if trial.method == NOISE:
        return torch.randn((sum(counts), *windows.shape), generator=generator(seed))
    if trial.method == "bootstrap":
        return drawn(windows.train, counts, seed, replacement=True).x
    if trial.method == "phase-randomised":
        return phase_randomised(drawn(windows.train, counts, seed, replacement=True).x, seed + 1)
    return autoregressive(windows, counts, trial.params.ar_order, seed)


def autoregressive(windows: Problem, counts: Sequence[int], order: int, seed: int) -> Tensor:
    """Windows of one autoregressive process a class, fitted to the training windows of that class."""
    stream, made = generator(seed), []
    for kind, count in enumerate(counts):
        own = windows.train.x[windows.train.y == kind]
        mean = own.mean((0, 2)).unsqueeze(1)
        coefficients, covariance = fit_autoregression(own - mean, order)
        process = simulate_autoregression(stabilised(coefficients), covariance, count, own.shape[-1], stream)
        made.append(process.to(own.dtype) + mean)
    return torch.cat(made)


def sampled_again(trial: Trial, windows: Problem, y: Tensor) -> Tensor:
    """Windows of a kept diffusion model in another number of steps, or by the released sampler. UsageError for other methods."""
    from tasks.eeg.eeg_artifact_synthesis.diffusion import Diffusion
    from tasks.eeg.eeg_artifact_synthesis.training import learner

    if trial.method not in DIFFUSION:
        raise UsageError(f"{trial.method} samples in one step: sampling_steps is for {', '.join(DIFFUSION)}")
    model = learner(trial, windows, TRAINED_AS.get(trial.method, trial.method))
    assert isinstance(model, Diffusion)
    model.sampler.load_state_dict(trial.required()["model"])
    steps = trial.params.sampling_steps or trial.params.kept_steps
    stream = generator(trial.seed_for("sampling"))
    return model.sample_in(y.to(trial.device), stream, steps, released=trial.method == RELEASED).cpu()


def kept(windows: Problem, x: Tensor, y: Tensor, weights: dict[str, Tensor]) -> dict[str, object]:
    """What a training trial keeps: its model, and its windows in microvolts with all that a recording of them needs."""
    return {
        "model": {name: weight.detach().cpu() for name, weight in weights.items()},
        "windows": windows.microvolts(x.cpu()).to(torch.float32),
        "labels": y.cpu(),
        "rate": windows.rate,
        "channels": list(windows.channels),
        "classes": list(windows.classes),
    }
