"""Committee machines trained by gradient descent on a quadratic target, and a network of squares trained on addition modulo a prime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from harness.censoring import reached
from harness.packing import Progress
from harness.trial import Trial
from tasks.blocks.committees import VARIANCE, Committee, alignment, moments, outputs, sampled, tangent_kernel, target, test_loss
from tasks.blocks.small_models import SGD, Member, Run, View, log_spaced, squared_error, train_trials
from tasks.blocks.small_networks import MLP
from tasks.blocks.training import generator
from tasks.grokking.addition import adding
from tasks.grokking.gap import crossings, gap

_LOGGED = ("train_loss", "test_loss", "test_loss_mean", "test_loss_quadratic", "test_loss_linear", "weight_norm")


def regression(trials: Sequence[Trial]) -> Iterator[Progress]:
    """Committees of one shape as one program, in float64: what else is in it moves a crossing by rounding alone."""
    floors, learning = ([trial for trial in trials if (trial.method == "mean") is floor] for floor in (True, False))
    yield from ((t, {"train_loss": float(target(*data(t)).var(correction=0)), "test_loss": VARIANCE}) for t in floors)
    if learning:
        network = Committee(learning[0].params.inputs, learning[0].params.units)
        yield from _trained(learning, network, member, metrics, logged=_LOGGED, observe=observed, dtype=torch.float64)


def addition(trials: Sequence[Trial]) -> Iterator[Progress]:
    """f = alpha / (2 p N) W2 (W1 x)^2, every weight from N(0, 1), on all pairs modulo p (authors' code, Figure 2)."""
    p = trials[0].params
    network = MLP(widths=(2 * p.modulus, p.units, p.modulus), activation="square", std=(1.0, 1.0))
    yield from _trained(trials, network, _summing, _summed, logged=("train_loss", "test_loss"))


def _trained(trials: Sequence[Trial], *what: object, **how: object) -> Iterator[Progress]:
    points = log_spaced(max(trial.params.steps for trial in trials), per_decade=40)
    yield from train_trials(trials, *what, loss=squared_error, optimizer=SGD(), points=points, **how)  # type: ignore[arg-type]


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

    The rate of w is lr D N / (alpha sigma)^2, so that the tangent kernel at the start learns at one pace whatever alpha is. What f is at
    the start is subtracted from it, as in the authors' code: here it is added to the targets.
    """
    p = trial.params
    inputs, teacher = data(trial)
    alpha, epsilon = p.alpha * p.sigma, _curvature(trial)
    mean, second = (float(trial.method != "uncentred") * part for part in moments(_start(trial)))
    return Member(
        seed=trial.seed_for("init"),
        inputs=inputs,
        targets=(target(inputs, teacher) + outputs(alpha, epsilon, inputs, mean, second)).unsqueeze(1),
        splits={"train": torch.ones(p.examples, dtype=torch.bool)},
        lr=p.lr * p.inputs * p.units / p.sigma**2 / (1.0 if trial.method == "unscaled-rate" else alpha) ** 2,
        steps=p.steps,
        fixed={"scale": alpha, "curvature": epsilon, "teacher": teacher, "mean": mean, "second": second},
    )


def observed(view: View) -> Mapping[str, Tensor]:
    """The exact test loss and its three terms, and the mean square of the weights over sigma."""
    weights, fixed = view.parameters["weight0"], view.fixed
    mean, second = moments(weights)
    terms = test_loss(fixed["scale"], fixed["curvature"], mean - fixed["mean"], second - fixed["second"], fixed["teacher"])
    losses = {"test_loss": torch.stack([*terms.values()]).sum(0), **{f"test_loss_{name}": value for name, value in terms.items()}}
    return {**losses, "weight_norm": weights.square().mean((-2, -1))}


def metrics(trial: Trial, run: Run) -> Mapping[str, float]:
    """What a trained committee has to show; the alignment is that of the tangent kernel at the start."""
    start, (inputs, teacher) = _start(trial), data(trial)
    kernel = tangent_kernel(inputs, _curvature(trial), *moments(start))
    fitted, generalised = crossings(run, trial.params.threshold * VARIANCE)
    lags = gap(fitted, generalised)
    norms = np.interp([fitted[0], generalised[0]], run.steps, run.measured["weight_norm"])
    return {
        **run.last("train_loss", "test_loss"),
        **lags,
        **reached("lag", 1.0 - 1.0 / lags["delay"], generalised[1]),
        "alignment": alignment(kernel, target(inputs, teacher)),
        "norm_growth": float(norms[1] / norms[0]),
        "movement": float((run.parameters["weight0"] - start).norm() / start.norm()),
    }


def _summing(trial: Trial) -> Member:
    p = trial.params
    return adding(trial, p.modulus, {"train": p.train_share}, lr=p.lr / p.alpha**2, fixed={"scale": p.alpha / (2 * p.modulus * p.units)})


def _summed(trial: Trial, run: Run) -> Mapping[str, float]:
    mean_loses = (1.0 - 1.0 / trial.params.modulus) / trial.params.modulus
    return {**run.last("train_loss", "test_loss", "test_accuracy"), **gap(*crossings(run, trial.params.threshold * mean_loses))}
