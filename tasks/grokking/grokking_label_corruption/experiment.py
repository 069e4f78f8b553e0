"""Square-activation networks on modular addition with corrupted labels, what they know, and their neurons pruned."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor

from harness.packing import Progress
from harness.trial import Trial
from tasks.blocks.algorithmic import label_shares, modular
from tasks.blocks.diagnostics import bimodality_coefficient, neuron_periodicity
from tasks.blocks.small_losses import squared_error
from tasks.blocks.small_members import Member, Run, View, log_spaced
from tasks.blocks.small_models import train_trials
from tasks.blocks.small_networks import MLP, BatchNormed, Network
from tasks.blocks.small_optimizers import AdamW
from tasks.blocks.training import generator
from tasks.grokking.addition import adding
from tasks.grokking.grokking_label_corruption.task import BATCHED, BATCHNORM, DECAY, DROPOUT, FLOOR, FULL, HIGHEST, LOWEST, NONE

CURVES = ("train_accuracy", "test_accuracy", "memorised", "corrected", "ipr_mean")


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
    ipr = neuron_periodicity(view.parameters["weight0"], view.parameters["weight1"])
    numbers = label_shares(view.outputs, view.targets, view.truth, view.splits["train"])
    numbers |= {"ipr_q10": ipr.quantile(0.1, dim=-1), "ipr_median": ipr.quantile(0.5, dim=-1), "ipr_q90": ipr.quantile(0.9, dim=-1)}
    numbers |= {"ipr_mean": ipr.mean(-1), "ipr_bimodality": bimodality_coefficient(ipr)}
    numbers["wrong_share"] = (view.targets != view.truth).sum(-1) / view.splits["train"].sum(-1)
    if "gamma" in view.parameters:
        pair = [values - values.mean(-1, keepdim=True) for values in (ipr, view.parameters["gamma"].abs())]
        numbers["ipr_gamma"] = F.cosine_similarity(pair[0], pair[1], dim=-1)
    return numbers


def metrics(trial: Trial, run: Run) -> Mapping[str, float]:
    """Numbers after the last step; of wrong labels only where there are any."""
    last = {name: values[-1] for name, values in run.measured.items()}
    last["train_excess"] = last["train_accuracy"] - (1.0 - last["wrong_share"])
    if trial.method == NONE:
        trial.keep(dict(run.parameters))
    if not last["wrong_share"]:
        return {name: value for name, value in last.items() if name not in ("memorised", "corrected")}
    learned = last["test_accuracy"] >= FULL
    last["full_inversion"] = float(learned and last["memorised"] <= 1.0 - FULL)
    last["coexistence"] = float(learned and last["memorised"] >= FULL)
    return last


def train(trials: Sequence[Trial]) -> Iterator[Progress]:
    """The experiment's program."""
    net, points = network(trials[0]), log_spaced(max(trial.params.steps for trial in trials), 5)
    recipe: dict[str, Any] = {"loss": squared_error, "optimizer": AdamW((0.9, 0.98)), "observe": observe, "points": points}
    return train_trials(trials, net, member, metrics, logged=CURVES, **recipe)


@torch.no_grad()
def prune(trial: Trial) -> dict[str, float]:
    """A share of the neurons of a trained network set to zero: the least periodic, the most periodic, or any."""
    p, weights, one = trial.params, trial.required(), member(trial)
    truth = modular(p.p)[1]
    ipr = neuron_periodicity(weights["weight0"], weights["weight1"])
    orders = {LOWEST: ipr.argsort(stable=True), HIGHEST: ipr.argsort(descending=True, stable=True)}
    order = orders[trial.method] if trial.method in orders else torch.randperm(p.width, generator=generator(trial.seed_for("pruned")))
    kept = torch.ones(p.width, 1).index_fill(0, order[: round(p.share * p.width)], 0.0)

    def numbers(last: Tensor) -> dict[str, float]:
        outputs = network(trial)({**weights, "weight1": last}, one.inputs, {})
        return {name: float(value) for name, value in label_shares(outputs, one.targets, truth, one.splits["train"]).items()}

    before, after = numbers(weights["weight1"]), numbers(weights["weight1"] * kept)
    return {**after, **{f"{name}_change": after[name] - before[name] for name in ("memorised", "test_accuracy")}}
