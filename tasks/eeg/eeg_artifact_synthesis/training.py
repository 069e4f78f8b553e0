"""Fitting a learned method: as many steps as the training compute pays for."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from harness.errors import UsageError, unknown
from harness.trial import Trial
from tasks.blocks.optim import Schedule
from tasks.blocks.training import Loop, generator, train
from tasks.eeg.eeg_artifact_synthesis.adversarial import Adversarial, Critic, Generator
from tasks.eeg.eeg_artifact_synthesis.diffusion import Diffusion
from tasks.eeg.eeg_artifact_synthesis.labelled_windows import Labelled, Problem
from tasks.eeg.eeg_artifact_synthesis.learner import Batches, Learner
from tasks.eeg.eeg_artifact_synthesis.methods import DDPM, GAN, LEARNED
from tasks.eeg.eeg_artifact_synthesis.unet import UNet

_POINTS = 50
"""Points of the training curve."""


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
        model.step(0)
    return int(counter.get_total_flops())


def fit(trial: Trial, windows: Problem) -> tuple[Learner, dict[str, float]]:
    """The trial's method, trained within its budget, and what that took. UsageError when the budget does not pay for one step."""
    cost = step_flops(learner(trial, windows, trial.method))
    steps = int(trial.params.budget // cost)
    if not steps:
        raise UsageError(f"a step of {trial.method} costs {cost:.3g} FLOPs, more than the budget of {trial.params.budget:.3g}")
    model = learner(trial, windows, trial.method)
    loop = Loop(
        model=model.networks,
        optimizer=model.optimizers,
        schedule=Schedule(steps, warmup=0),
        step=model.step,
        streams={"batches": model.batches.stream},
        log_every=max(1, steps // _POINTS),
        tail=max(1, steps // 10),
    )
    trained = train(trial, loop)
    took = {"steps": float(steps), "training_flops": float(steps) * cost, "train_seconds": trained.seconds}
    return model, {"train_loss": trained.loss, **took, "parameters": float(model.parameters())}
