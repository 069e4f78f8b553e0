"""ReLU networks on modular addition: how late they generalise, and how much of softmax's loss is lost to rounding."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from harness.packing import Progress
from harness.trial import Trial
from tasks.blocks.algorithmic import modular
from tasks.blocks.small_losses import SLOPES, collapsed, cross_entropy, cross_entropy_in, stablemax_cross_entropy
from tasks.blocks.small_models import AdamW, Member, Run, View, log_spaced, perp_grad, train_trials
from tasks.blocks.small_networks import MLP, linear_std
from tasks.grokking.addition import adding
from tasks.grokking.grokking_stablemax.task import DTYPES, FLOOR, PERP, ROLLED, SOFTMAX16, SOFTMAX64, STABLEMAX

COLLAPSE = tuple(f"collapse_{name}" for name in DTYPES)
CURVES = ("train_accuracy", "test_accuracy", "alignment", *COLLAPSE)


def beside_rolled(parameter: Tensor, gradient: Tensor) -> Tensor:
    """perp-Grad against another direction: the same weights, each one place further along."""
    return perp_grad(parameter.flatten(1).roll(1, 1), gradient)


RECIPES: Mapping[str, Mapping[str, Any]] = {
    PERP: {"gradient": perp_grad},
    FLOOR: {"gradient": perp_grad},
    ROLLED: {"gradient": beside_rolled},
    STABLEMAX: {"loss": stablemax_cross_entropy},
    SOFTMAX16: {"loss": cross_entropy_in(torch.float16)},
    SOFTMAX64: {"loss": cross_entropy_in(torch.float64)},
}
"""What a method trains with beside softmax in the network's own float32 and its gradient."""


def network(trial: Trial) -> MLP:
    """2 p one-hot inputs, two hidden layers, no bias; weights start with the deviation of torch's Linear."""
    widths = (2 * trial.params.p, trial.params.width, trial.params.width, trial.params.p)
    return MLP(widths=widths, std=[linear_std(fan_in) for fan_in in widths[:-1]])


def member(trial: Trial) -> Member:
    """A trial as a member; the methods of a seed share start and split."""
    p, wrong = trial.params, 1.0 if trial.method == FLOOR else 0.0
    return adding(trial, p.p, {"train": p.fraction, "val": p.held_out}, wrong=wrong, among=("train", "val", "test"), decay=p.decay)


def observe(net: MLP, view: View) -> dict[str, Tensor]:
    """Softmax collapse of the training examples in each arithmetic, and how far the last layer's descent points along its weights."""
    lost = {f"collapse_{name}": view.mean(collapsed(view.outputs, view.targets, getattr(torch, name)), "train") for name in DTYPES}
    inputs = modular(net.widths[-1], encoding="index")[0].to(view.outputs.device)
    hidden = torch.func.vmap(lambda own: net.hidden(own, inputs, {}))(view.parameters).double()
    missed = SLOPES[cross_entropy](view.outputs.double(), view.targets) * view.splits["train"].unsqueeze(-1)
    descent, last = -(hidden.mT @ missed).flatten(1), view.parameters["weight2"].double().flatten(1)
    norm = torch.linalg.vector_norm(torch.cat([weight.flatten(1) for weight in view.parameters.values()], dim=1), dim=1)
    return {**lost, "alignment": torch.cosine_similarity(descent, last, dim=1, eps=1e-300), "norm": norm}


def metrics(_trial: Trial, run: Run) -> dict[str, float]:
    """Numbers after the last step, and when thresholds were passed."""
    last = run.last("train_accuracy", "val_accuracy", "test_accuracy", "train_loss", "alignment", *COLLAPSE)
    last["norm_ratio"] = run.measured["norm"][-1] / run.measured["norm"][0]
    last["alignment_rise"] = last["alignment"] - run.measured["alignment"][0]
    half = {f"steps_{name}": (f"collapse_{name}", 0.5) for name in DTYPES}
    return last | run.reached(fit_steps=("train_accuracy", 0.999), steps=("test_accuracy", 0.95), **half)


def train(trials: Sequence[Trial]) -> Iterator[Progress]:
    """The experiment's program. Every fortieth of the way is measured, and the beginning in between: thresholds are read off these."""
    net, p = network(trials[0]), trials[0].params
    points = [*log_spaced(p.steps, 6), *(round(p.steps * part / 40) for part in range(41))]
    how: dict[str, Any] = {"points": points, "observe": partial(observe, net), **RECIPES.get(trials[0].method, {})}
    return train_trials(trials, net, member, metrics, logged=CURVES, optimizer=AdamW((0.9, p.beta2), p.eps), **how)


def threshold(trial: Trial) -> dict[str, float]:
    """The gap between two logits from which on their softmax has collapsed, by bisection; above log(2 / eps) half a unit is lost."""
    dtype = getattr(torch, trial.params.dtype)
    low, high = 0.0, 64.0
    for _ in range(60):
        middle = (low + high) / 2.0
        z = torch.tensor([0.0, -middle], dtype=torch.float64)
        low, high = (low, middle) if bool(collapsed(z, torch.tensor(0), dtype)) else (middle, high)
    return {"gap": high, "gap_error": high / math.log(2.0 / torch.finfo(dtype).eps) - 1.0}
