"""Training of every method that learns: the same windows in the same order, as many for each, one loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn

from harness.trial import Trial
from tasks.blocks import training
from tasks.blocks.complexity import parameters
from tasks.blocks.optim import Schedule
from tasks.blocks.training import Loop, Trained, generator
from tasks.eeg.eeg_denoising_atat.denoisers import build, seeded, state
from tasks.eeg.eeg_denoising_atat.methods import autoencoder_windows
from tasks.eeg.eeg_denoising_atat.networks import Dropout
from tasks.eeg.eeg_denoising_atat.signals import Signals, training_signals
from tasks.eeg.eeg_denoising_atat.targeted import Discriminator, Targeted, budget_threshold, correlation, fooling_loss, telling_loss

_EVAL_BATCH = 256


def train(trial: Trial) -> Mapping[str, float]:
    """Train the trial's network, keep it for the scores that need it, and measure it on the validation split."""
    signals, held_out = training_signals(trial, "train"), training_signals(trial, "val")
    network, began = build(trial, signals.samples), time.perf_counter()
    if isinstance(network, Targeted):
        below = trial.required()
        began -= float(below["seconds"])
        _receive(trial, network, below, held_out)
        outcome = _fit_transformer(trial, network, signals)
    else:
        outcome = _fit_network(trial, network, signals)
    seconds = time.perf_counter() - began
    trial.keep(state(network, signals.samples, seconds))
    return {
        "train_loss": outcome.loss,
        "val_cc": _mean_correlation(network.eval(), held_out),
        "parameters": float(parameters(network)),
        "train_seconds": seconds,
    }


def _receive(trial: Trial, network: Targeted, below: Mapping[str, Any], held_out: Signals) -> None:
    """Put the trained autoencoder into `network` and set its threshold; that of a budget comes from validation segments alone."""
    network.autoencoder.load_state_dict(below["weights"])
    network.autoencoder.eval().requires_grad_(False)
    if trial.method == "at-budget":
        network.threshold = budget_threshold(_proxies(network, held_out), trial.params.budget)
    elif trial.method != "at-everywhere":
        network.threshold = float(trial.params.threshold)


def _fit_network(trial: Trial, network: nn.Module, signals: Signals) -> Trained:
    """Mean squared error of all samples."""
    batches = _Batches(trial, signals)

    def loss(step: int) -> Tensor:
        noisy, clean = batches(step)
        return F.mse_loss(network(noisy), clean)

    network.train()
    return _descend(trial, network, loss, trial.params.windows)


def _fit_transformer(trial: Trial, network: Targeted, signals: Signals) -> Trained:
    """Mean squared error and the adversarial term, over the segments of each batch that the gate sends; the others teach nothing."""
    weight = 0.0 if trial.method == "at-no-adversary" else float(trial.params.adversarial)
    discriminator = seeded(trial, "discriminator", Discriminator)
    batches, transformer = _Batches(trial, signals), network.transformer

    def loss(step: int) -> Tensor:
        windows, wanted = batches(step)
        with torch.no_grad():
            coarse = network.segments(network.autoencoder(windows))
        noisy, clean = network.segments(windows), network.segments(wanted)
        _, sent = network.gate(noisy, coarse)
        filtered: Tensor = transformer(noisy, coarse)
        losses = (filtered - clean).square().mean(1)
        if weight:
            losses = losses + weight * fooling_loss(discriminator, filtered) + telling_loss(discriminator, clean, filtered)
        # Masked, not picked: shapes stay fixed, and a batch of which nothing is sent has a loss and a gradient of zero.
        return (losses * sent).sum() / sent.sum().clamp(min=1)

    transformer.train()
    learners = nn.ModuleList([transformer, discriminator] if weight else [transformer])
    return _descend(trial, learners, loss, trial.params.windows - autoencoder_windows(trial.params.windows))


def _descend(trial: Trial, network: nn.Module, loss: Callable[[int], Tensor], windows: int) -> Trained:
    """As many steps as `windows` fill, the last one rounded."""
    params = trial.params
    steps = max(1, round(windows / params.batch))
    schedule = Schedule(steps, 0, params.schedule, floor=0.0)
    dropouts = [layer for layer in network.modules() if isinstance(layer, Dropout)]
    loop = Loop(
        model=network,
        optimizer=_optimizer(trial, network),
        schedule=schedule,
        loss=loss,
        streams={"dropout": dropouts[0].stream} if dropouts else {},
        log_every=max(1, min(50, steps // 20)),
    )
    return training.train(trial, loop)


def _optimizer(trial: Trial, network: nn.Module) -> torch.optim.Optimizer:
    """Adam, or RMSprop with the constants of Keras, which EEGdenoiseNet's rate was chosen with."""
    lr = trial.params.lr
    groups = [{"params": list(network.parameters()), "initial_lr": lr}]
    if trial.params.optimizer == "adam":
        return torch.optim.Adam(groups, lr=lr, fused=True)
    return torch.optim.RMSprop(groups, lr=lr, alpha=0.9, eps=1e-7)


class _Batches:
    """(noisy, clean) of step 0, 1, ...: the pairs of a seed, in an order that follows from the seed and the pass: a run can resume."""

    def __init__(self, trial: Trial, signals: Signals) -> None:
        self.trial, self.signals, self.batch = trial, signals, trial.params.batch
        self._order: tuple[int, Tensor] = (-1, torch.empty(0))

    def __call__(self, step: int) -> tuple[Tensor, Tensor]:
        """Each (batch, t). A batch that crosses the end of a pass goes on in the next permutation."""
        size, places = len(self.signals.pairs), []
        begin, end = step * self.batch, (step + 1) * self.batch
        while begin < end:
            turn, offset = divmod(begin, size)
            places.append(self._permutation(turn, size)[offset : offset + end - begin])
            begin += len(places[-1])
        return self.signals.mixed(torch.cat(places).to(self.signals.eeg.device))

    def _permutation(self, turn: int, size: int) -> Tensor:
        if self._order[0] != turn:
            self._order = (turn, torch.randperm(size, generator=generator(self.trial.seed_for(f"order of pass {turn}"))))
        return self._order[1]


def _parts(signals: Signals) -> list[Tensor]:
    return list(torch.split(torch.arange(len(signals.pairs), device=signals.eeg.device), _EVAL_BATCH))


def _mean_correlation(network: nn.Module, signals: Signals) -> float:
    with torch.no_grad():
        pairs = (signals.mixed(index) for index in _parts(signals))
        return float(torch.cat([correlation(network(noisy), clean) for noisy, clean in pairs]).mean())


def _proxies(network: Targeted, signals: Signals) -> Tensor:
    with torch.no_grad():
        return torch.cat([network.proxies(signals.mixed(index)[0]) for index in _parts(signals)])
