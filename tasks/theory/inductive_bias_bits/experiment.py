"""Bits of inductive bias: -log2 of the chance that a random hypothesis which fits the training data has a small test error."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch

from harness.trial import Trial
from tasks.blocks.gaussian_processes import rbf_posterior
from tasks.blocks.quadratic_forms import Floats, QuadraticForm, matched_log_chance
from tasks.blocks.small_models import Adam, Member, squared_error, train_many
from tasks.blocks.small_networks import MLP
from tasks.blocks.training import generator

DRAWS = 10_000


def data(trial: Trial) -> tuple[Floats, Floats]:
    """Inputs on the unit sphere, the training set's first, and targets of mean 0 and variance 1: sqrt(d (d + 2)) x1 x2, or sign(x1)."""
    p, stream = trial.params, np.random.default_rng(trial.seed_for("data"))
    x = stream.standard_normal((p.examples + p.tests, p.dimension))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x, np.sign(x[:, 0]) if p.target == "sign" else math.sqrt(p.dimension * (p.dimension + 2)) * x[:, 0] * x[:, 1]


def form(trial: Trial) -> QuadraticForm:
    """The law of the test error of a function that is drawn from the posterior."""
    (x, y), n = data(trial), trial.params.examples
    mean, covariance = rbf_posterior(x, y[:n], trial.params.ridge)
    return QuadraticForm.of(mean - y[n:], covariance)


def kernel(trial: Trial) -> Mapping[str, float]:
    """Of functions that a Gaussian process draws, by the law of their test error."""
    p, law, stream = trial.params, form(trial), _draws(trial)
    drawn = law.draws(DRAWS, stream)
    if trial.method == "rbf":
        found = law.log_chance(p.epsilon)
    elif trial.method == "matched":
        found = matched_log_chance(law.cumulant(1), law.cumulant(2), p.epsilon)
    else:
        found = law.tilted(p.epsilon, DRAWS, stream)
    return {"bits": bits(found), "test_error": law.cumulant(1), "reach": float(drawn.min()), "drawn": float((drawn <= p.epsilon).mean())}


def networks(trial: Trial) -> Mapping[str, float]:
    """Of networks that were trained from random starts, or of as many draws of the process: the law is fitted to their test errors."""
    p = trial.params
    fitted, errors = (np.zeros(1), form(trial).draws(p.members, _draws(trial))) if trial.method == "rbf" else _trained(trial)
    found = matched_log_chance(float(errors.mean()), float(errors.var(ddof=1)), p.epsilon)
    told = {"test_error": float(errors.mean()), "reach": float(errors.min()), "drawn": float((errors <= p.epsilon).mean())}
    return {"bits": bits(found), **told, "train_error": float(fitted.max())}


def _draws(trial: Trial) -> np.random.Generator:
    return np.random.default_rng(trial.seed_for("draws"))


def _trained(trial: Trial) -> tuple[Floats, Floats]:
    """Training and test errors of an ensemble, trained as one program to the end of a cosine schedule."""
    p, (x, y) = trial.params, data(trial)
    width = p.width * (4 if trial.method == "mlp-wide" else 1)
    hidden = (width, width) if trial.method == "mlp-deep" else (width,)
    network = MLP(widths=(p.dimension, *hidden, 1), bias=True, gain=math.sqrt(2.0))
    trained = torch.arange(len(y)) < p.examples
    if trial.method == "mlp-shuffled":
        turned = torch.randperm(p.examples, generator=generator(trial.seed_for("shuffle"))).numpy()
        y = np.concatenate([y[: p.examples][turned], y[p.examples :]])
    inputs, targets = (torch.tensor(values, dtype=torch.float32) for values in (x * math.sqrt(p.dimension), y[:, None]))
    splits = {"train": trained, "test": ~trained}
    members = [
        Member(seed=trial.seed_for(f"network {i}"), inputs=inputs, targets=targets, splits=splits, lr=p.lr, steps=p.steps)
        for i in range(p.members)
    ]
    runs = train_many(network, members, loss=squared_error, optimizer=Adam(), points=[p.steps], device=trial.device,
                      schedule=lambda step: 0.5 + 0.5 * math.cos(math.pi * step / p.steps))  # fmt: skip
    errors = np.array([[run.measured[f"{split}_loss"][-1] for run in runs] for split in ("train", "test")])
    return errors[0], errors[1]


def cumulants(trial: Trial) -> Mapping[str, float]:
    """Largest relative error of the first three cumulants of the test error against derivatives of its log moment-generating function.

    log E exp(s Q) = -log det(I - 2 s C / m) / 2 + s / m mu (I - 2 s C / m)^-1 mu, by automatic differentiation at s = 0, no eigenvalues.
    """
    (x, y), n = data(trial), trial.params.examples
    mean, covariance = rbf_posterior(x, y[:n], trial.params.ridge)
    law, mu, c = QuadraticForm.of(mean - y[n:], covariance), torch.tensor(mean - y[n:]), torch.tensor(covariance)
    law = QuadraticForm(law.weights, 0.0 * law.shifts, law.floor) if trial.method == "central" else law
    s = torch.zeros((), dtype=torch.float64, requires_grad=True)
    left, errors = torch.eye(len(mu), dtype=torch.float64) - 2.0 * s * c / len(mu), []
    value = -0.5 * torch.logdet(left) + s / len(mu) * (mu @ torch.linalg.solve(left, mu))
    for order in (1, 2, 3):
        (value,) = torch.autograd.grad(value, s, create_graph=True)
        errors.append(abs(law.cumulant(order) / float(value.detach()) - 1.0))
    return {"error": max(errors)}


def bits(log_chance: float) -> float:
    """Of a chance given by its natural logarithm."""
    return max(0.0, -log_chance / math.log(2.0))
