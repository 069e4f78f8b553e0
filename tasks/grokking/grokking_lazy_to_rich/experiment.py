"""Committee machines trained by gradient descent on a quadratic target, and a network of squares trained on addition modulo a prime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from harness.packing import Progress
from harness.trial import Trial
from tasks.blocks.committees import VARIANCE, Committee, alignment, learning, moments, observed, sampled, tangent_kernel, target
from tasks.blocks.small_models import SGD, Member, Run, squared_error, train_trials
from tasks.blocks.small_networks import MLP
from tasks.blocks.training import generator
from tasks.grokking.addition import adding
from tasks.grokking.gap import crossings, gap

_RECIPE: Mapping[str, Any] = {"loss": squared_error, "optimizer": SGD(), "points": 40}
_LOGGED = ("train_loss", "test_loss", "test_loss_mean", "test_loss_quadratic", "test_loss_linear", "weight_norm")


def regression(trials: Sequence[Trial]) -> Iterator[Progress]:
    """Committees of one shape as one program, in float64: what else is in it moves a crossing by rounding alone."""
    floors, trained = ([trial for trial in trials if (trial.method == "mean") is floor] for floor in (True, False))
    yield from ((t, {"train_loss": float(target(*data(t)).var(correction=0)), "test_loss": VARIANCE}) for t in floors)
    if trained:
        network = Committee(trained[0].params.inputs, trained[0].params.units)
        yield from train_trials(trained, network, member, metrics, logged=_LOGGED, observe=observed, dtype=torch.float64, **_RECIPE)


def addition(trials: Sequence[Trial]) -> Iterator[Progress]:
    """f = alpha / (2 p N) W2 (W1 x)^2, every weight from N(0, 1), on all pairs modulo p (authors' code, Figure 2)."""
    p = trials[0].params
    network = MLP(widths=(2 * p.modulus, p.units, p.modulus), activation="square", std=(1.0, 1.0))
    return train_trials(trials, network, _summing, _summed, logged=("train_loss", "test_loss"), **_RECIPE)


def data(trial: Trial) -> tuple[Tensor, Tensor]:
    """Inputs (P, D) and beta (D,): the same for all methods of a seed and D."""
    return sampled(trial.params.examples, trial.params.inputs, seeds=(trial.seed_for("inputs"), trial.seed_for("teacher")))


def _start(trial: Trial) -> Tensor:
    """The weights (D, N) at the start over sigma: the same for all methods of a seed and shape."""
    return Committee(trial.params.inputs, trial.params.units).initial(generator(trial.seed_for("init")))["weight0"]


def _curvature(trial: Trial) -> float:
    return 0.0 if trial.method == "linear" else float(trial.params.epsilon * trial.params.sigma)


def member(trial: Trial) -> Member:
    """A unit w = sigma v is trained as v: the same at alpha sigma, epsilon sigma and the rate / sigma^2.

    The rate of w is lr D N / (alpha sigma)^2, so that the tangent kernel at the start learns at one pace whatever alpha is.
    """
    p, alpha = trial.params, trial.params.alpha * trial.params.sigma
    learned = learning(*data(trial), alpha, _curvature(trial), None if trial.method == "uncentred" else _start(trial))
    lr = p.lr * p.inputs * p.units / p.sigma**2 / (1.0 if trial.method == "unscaled-rate" else alpha) ** 2
    return Member(seed=trial.seed_for("init"), lr=lr, steps=p.steps, **learned)


def metrics(trial: Trial, run: Run) -> Mapping[str, float]:
    """What a trained committee has to show; the alignment is that of the tangent kernel at the start."""
    start, (inputs, teacher) = _start(trial), data(trial)
    fitted, generalised = crossings(run, trial.params.threshold * VARIANCE)
    return {
        **run.last("train_loss", "test_loss"),
        **gap(fitted, generalised),
        "alignment": alignment(tangent_kernel(inputs, _curvature(trial), *moments(start)), target(inputs, teacher)),
        "norm_growth": run.at("weight_norm", generalised[0]) / run.at("weight_norm", fitted[0]),
        "movement": float((run.parameters["weight0"] - start).norm() / start.norm()),
    }


def _summing(trial: Trial) -> Member:
    p = trial.params
    return adding(trial, p.modulus, {"train": p.train_share}, lr=p.lr / p.alpha**2, fixed={"scale": p.alpha / (2 * p.modulus * p.units)})


def _summed(trial: Trial, run: Run) -> Mapping[str, float]:
    mean_loses = (1.0 - 1.0 / trial.params.modulus) / trial.params.modulus
    return {**run.last("train_loss", "test_loss", "test_accuracy"), **gap(*crossings(run, trial.params.threshold * mean_loses))}
