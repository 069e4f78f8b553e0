"""Square-activation networks on modular addition with corrupted labels, what they know, and their neurons pruned."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from harness.packing import Progress
from harness.trial import Trial
from tasks.blocks.algorithmic import label_shares, modular, outcome
from tasks.blocks.diagnostics import correlation, neuron_periodicity, periodicity, without_neurons
from tasks.blocks.small_losses import squared_error
from tasks.blocks.small_members import Member, Run, View
from tasks.blocks.small_models import train_trials
from tasks.blocks.small_networks import MLP, BatchNormed, Network
from tasks.blocks.small_optimizers import AdamW
from tasks.grokking.addition import adding
from tasks.grokking.grokking_label_corruption.task import BATCHED, BATCHNORM, DECAY, DROPOUT, FLOOR, NONE


def network(trial: Trial) -> Network:
    """What trials that are `alike` share. Weights start from N(0, s^2) in both layers, s = 0.5 / (2 width)^(1/3)."""
    p = trial.params
    std = 0.5 / (2.0 * p.width) ** (1.0 / 3.0)
    dropout = p.dropout if trial.method == DROPOUT else 0.0
    mlp = MLP(widths=(2 * p.p, p.width, p.p), activation="square", std=(std, std), dropout=dropout)
    return BatchNormed(mlp) if trial.method == BATCHNORM else mlp


def member(trial: Trial) -> Member:
    """A trial as a member of a pack; the methods of a seed share start, split and corrupted labels."""
    p, batched = trial.params, trial.method in BATCHED
    batch = min(p.batch, round(p.fraction * p.p**2)) if batched else 0
    lr, decay = p.lr * math.sqrt(batch / 256.0) if batched else p.lr, p.decay if trial.method == DECAY else 0.0
    wrong = 1.0 if trial.method == FLOOR else p.corruption
    one = adding(trial, p.p, {"train": p.fraction}, wrong=wrong, lr=lr, decay=decay, batch=batch)
    return replace(one, fixed={"seen": one.splits["train"].double().unsqueeze(1)}) if trial.method == BATCHNORM else one


def observe(view: View) -> dict[str, Tensor]:
    """What is measured of every member."""
    layers = view.parameters["weight0"], view.parameters["weight1"]
    numbers = label_shares(view.outputs, view.targets, view.truth, view.splits["train"]) | periodicity(*layers)
    numbers["wrong_share"] = (view.targets != view.truth).sum(-1) / view.splits["train"].sum(-1)
    if "gamma" in view.parameters:
        numbers["ipr_gamma"] = correlation(neuron_periodicity(*layers), view.parameters["gamma"].abs())
    return numbers


def metrics(trial: Trial, run: Run) -> Mapping[str, float]:
    """Numbers after the last step; the network is kept where it is pruned."""
    if trial.method == NONE:
        trial.keep(dict(run.parameters))
    return outcome(run.last(*run.measured))


def train(trials: Sequence[Trial]) -> Iterator[Progress]:
    """The experiment's program."""
    logged = ("train_accuracy", "test_accuracy", "memorised", "corrected", "ipr_mean")
    recipe: dict[str, Any] = {"loss": squared_error, "optimizer": AdamW((0.9, 0.98)), "observe": observe, "points": 5}
    return train_trials(trials, network(trials[0]), member, metrics, logged=logged, **recipe)


@torch.no_grad()
def prune(trial: Trial) -> dict[str, float]:
    """A share of the neurons of a trained network set to zero: the least periodic, the most periodic, or any."""
    weights, one, which = trial.required(), member(trial), trial.method.split("-")[0]
    first, last = weights["weight0"], weights["weight1"]
    less = without_neurons(last, neuron_periodicity(first, last), trial.params.share, which, seed=trial.seed_for("pruned"))  # type: ignore[arg-type]
    outputs = [network(trial)({**weights, "weight1": layer}, one.inputs, {}) for layer in (last, less)]
    shares = [label_shares(y, one.targets, modular(trial.params.p)[1], one.splits["train"]) for y in outputs]
    before, after = ({name: float(value) for name, value in found.items()} for found in shares)
    return {**after, **{f"{name}_change": after[name] - before[name] for name in ("memorised", "test_accuracy")}}
