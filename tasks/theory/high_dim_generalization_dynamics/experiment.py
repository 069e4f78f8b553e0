"""Linear teachers learned by gradient flow, and two-layer networks trained without stopping. Errors are in excess of the noise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from harness.packing import Progress
from harness.trial import Trial
from tasks.blocks import marchenko_pastur
from tasks.blocks.gradient_flow import Modes, descended, limiting, sampled
from tasks.blocks.small_models import SGD, Member, Run, row_splits, squared_error, train_trials
from tasks.blocks.small_networks import MLP
from tasks.blocks.training import normal

TEST, VALIDATION = 1500, 300


def drawn(trial: Trial) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """X (P, N), teachers and starts (N, k), noises (P, k): of a seed and shape the same whatever the scales of start and noise are."""
    p = trial.params
    rows = round(p.aspect * p.inputs)
    x, teacher = normal(trial, "inputs", rows, p.inputs) / math.sqrt(p.inputs), normal(trial, "teacher", p.inputs, p.teachers)
    start, noise = normal(trial, "start", p.inputs, p.teachers), normal(trial, "noise", rows, p.teachers)
    return x, teacher, p.init * start, math.sqrt(p.noise) * noise


def _modes(trial: Trial) -> Modes:
    p = trial.params
    found = limiting(p.aspect, p.init, p.noise) if trial.method in ("theory", "unfrozen") else sampled(*drawn(trial))
    return found.unfrozen() if trial.method == "unfrozen" else found


def linear(trial: Trial) -> Mapping[str, float]:
    """Errors at the horizon and at the best time before it, an oracle's: it knows the error on all new data."""
    p, modes = trial.params, _modes(trial)
    excess = modes.ridge(p.noise).reshape(1) if trial.method == "ridge" else modes.course(p.horizon)
    found = {"final_error": float(excess[-1]), "best_error": float(excess.min()), "overtraining": float(excess[-1] - excess.min())}
    if trial.method != "flow":
        return found
    return {**found, "spectrum": marchenko_pastur.distance(modes.values.cpu().numpy(), p.inputs, 1.0 / p.aspect, p.aspect)}


def descent(trial: Trial) -> Mapping[str, float]:
    """Plain gradient descent on the weights beside what it does to each mode: a factor 1 - rate value a step."""
    x, teacher, start, noise = drawn(trial)
    modes = sampled(x, teacher, start, noise)
    modes = modes.unfrozen() if trial.method == "unfrozen" else modes
    rate, steps = 0.5 / float(modes.values.max()), trial.params.steps
    weights, found = descended(x, x @ teacher + noise, start, rate, steps), modes.excess((1.0 - rate * modes.values) ** steps)
    return {"descent_gap": float((found / (weights - teacher).square().mean() - 1.0).abs())}


def member(trial: Trial) -> Member:
    """A network that is trained and stopped on noisy labels. The test rows have the teacher's own, so that the test loss is the excess."""
    p = trial.params
    rows = {"train": p.examples, "val": VALIDATION, "test": TEST}
    x = torch.cat([normal(trial, f"{split} inputs", count, p.inputs) for split, count in rows.items()])
    truth = (x @ normal(trial, "hidden", p.inputs, p.teacher)).relu() @ normal(trial, "readout", p.teacher, 1)
    noise = torch.cat([math.sqrt(p.noise) * normal(trial, f"{split} noise", rows[split], 1) for split in ("train", "val")])
    y = truth / truth[-TEST:].std()
    y[:-TEST] += noise
    lr, splits = p.lr / max(1.0, p.init**2), row_splits(rows, x.device)
    return Member(seed=trial.seed_for("init"), inputs=x, targets=y, splits=splits, lr=lr, steps=p.steps)


def networks(trials: Sequence[Trial]) -> Iterator[Progress]:
    """Networks of one shape as one program, in the parametrisation in which one rate suits all widths."""
    p = trials[0].params
    network = MLP(widths=(p.inputs, p.width, 1), parametrisation="ntk", gain=math.sqrt(2.0), std=(p.init, p.init))
    curves = ("train_loss", "val_loss", "test_loss")
    yield from train_trials(
        trials, network, member, stopped, logged=curves, loss=squared_error, optimizer=SGD(), points=20, dtype=torch.float64
    )


def stopped(_trial: Trial, run: Run) -> Mapping[str, float]:
    """After the last step, and where the validation labels would have stopped it."""
    test, best = run.measured["test_loss"], int(np.argmin(run.measured["val_loss"]))
    return {**run.last("train_loss"), "final_error": test[-1], "best_error": test[best], "overtraining": test[-1] - test[best]}
