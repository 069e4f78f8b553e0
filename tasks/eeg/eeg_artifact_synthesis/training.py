"""Fitting a learned method: as many steps as the training compute pays for."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from harness.errors import UsageError, unknown
from harness.trial import Trial
from tasks.blocks.training import generator
from tasks.eeg.eeg_artifact_synthesis.adversarial import Adversarial, Critic
from tasks.eeg.eeg_artifact_synthesis.autoencoder import Autoencoder, Variational
from tasks.eeg.eeg_artifact_synthesis.convnets import Generator
from tasks.eeg.eeg_artifact_synthesis.designs import DDPM, GAN, LEARNED, VAE
from tasks.eeg.eeg_artifact_synthesis.diffusion import Diffusion
from tasks.eeg.eeg_artifact_synthesis.learner import Batches, Learner
from tasks.eeg.eeg_artifact_synthesis.unet import UNet
from tasks.eeg.eeg_artifact_synthesis.windows import Labelled, Problem

_POINTS = 50
"""Points of the training curve."""
_CHECKPOINT_SECONDS = 60.0


@dataclass(frozen=True)
class Fitted:
    """How a training ended. `loss` is the mean over its last tenth, NaN when it diverged; `flops` is what its steps cost by count."""

    loss: float
    steps: int
    flops: float
    seconds: float


def learner(trial: Trial, windows: Problem, method: str) -> Learner:
    """The untrained model of `method` on the trial's device; all weights come from the trial's init stream."""
    p, classes, shape = trial.params, len(windows.classes), windows.shape
    data = Labelled(windows.train.x.to(trial.device), windows.train.y.to(trial.device))
    batches = Batches(data, generator(trial.seed_for("batches")))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(trial.seed_for("init"))
        if method == GAN:
            maker = Generator(p.latent, classes, shape, p.gan_width).to(trial.device)
            critic = Critic(shape[0], classes, p.gan_width).to(trial.device)
            return Adversarial(
                maker, critic, batches, latent=p.latent, batch=p.gan_batch, lr=p.gan_lr, critic_steps=p.critic_steps, penalty=p.penalty
            )
        if method == VAE:
            model = Autoencoder(p.latent, classes, shape, p.vae_width).to(trial.device)
            return Variational(model, batches, latent=p.latent, batch=p.ddpm_batch, lr=p.vae_lr)
        if method not in DDPM:
            raise unknown("learned method", method, LEARNED)
        net = UNet(shape, classes, p.ddpm_width, p.ddpm_blocks, skips=DDPM[method].skips).to(trial.device)
        settings: dict[str, Any] = {"ema": p.ema, "dropped": p.dropped_labels, "guidance": p.guidance, "steps": p.kept_steps}
        return Diffusion(net, DDPM[method], batches, batch=p.ddpm_batch, lr=p.ddpm_lr, **settings)


def step_flops(model: Learner) -> int:
    """FLOPs of one training step, forward and backward: convolutions and matrix products by their shapes, a multiply-add counts two.

    Measured on a real step, which updates the model. Activations, optimizers and averages of weights are not counted.
    """
    with FlopCounterMode(display=False) as counter:
        model.step()
    return int(counter.get_total_flops())


def fit(trial: Trial, windows: Problem) -> tuple[Learner, Fitted]:
    """Train the trial's method within its budget. UsageError when the budget does not pay for one step."""
    cost = step_flops(learner(trial, windows, trial.method))
    steps = int(trial.params.budget // cost)
    if not steps:
        raise UsageError(f"a step of {trial.method} costs {cost:.3g} FLOPs, more than the budget of {trial.params.budget:.3g}")
    model = learner(trial, windows, trial.method)
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        loss, seconds = _run(trial, model, steps)
    return model, Fitted(loss, steps, float(steps) * cost, seconds)


def _run(trial: Trial, model: Learner, steps: int) -> tuple[float, float]:
    """(loss, seconds) of the steps that a checkpoint leaves to do, and of those before it."""
    start, spent, losses = _restored(trial, model)
    every, began, saved = max(1, steps // _POINTS), time.perf_counter(), time.monotonic()
    for step in range(start, steps):
        losses.append(model.step())
        if (step + 1) % every and step + 1 < steps:
            continue
        mean = float(torch.stack(losses[-every:]).mean())
        trial.log(step + 1, train_loss=mean)
        if not math.isfinite(mean):
            return math.nan, spent + time.perf_counter() - began
        losses = losses[-max(1, steps // 10) :]
        if time.monotonic() - saved >= _CHECKPOINT_SECONDS and step + 1 < steps:
            kept = {"model": model.state(), "losses": torch.stack(losses), "seconds": spent + time.perf_counter() - began}
            trial.checkpoint(step + 1, kept)
            saved = time.monotonic()
    return float(torch.stack(losses[-max(1, steps // 10) :]).mean()), spent + time.perf_counter() - began


def _restored(trial: Trial, model: Learner) -> tuple[int, float, list[torch.Tensor]]:
    found = trial.restore()
    if found is None:
        return 0, 0.0, []
    step, state = found
    model.load(state["model"])
    return step, float(state["seconds"]), list(state["losses"].to(trial.device).unbind())
