"""Bits of inductive bias: -log2 of the chance that a random hypothesis which fits the training data has a small test error."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch

from harness.trial import Trial
from tasks.blocks.gaussian_processes import rbf_posterior
from tasks.blocks.generators import sphere_teacher
from tasks.blocks.quadratic_forms import Floats, QuadraticForm, generated_cumulants, matched_log_chance
from tasks.blocks.small_models import Adam, Member, row_splits, squared_error, train_many
from tasks.blocks.small_networks import MLP
from tasks.blocks.training import generator

DRAWS = 10_000


def data(trial: Trial) -> tuple[Floats, Floats]:
    """Inputs on the unit sphere, the training set's first, and targets."""
    p, stream = trial.params, np.random.default_rng(trial.seed_for("data"))
    known = sphere_teacher(p.examples + p.tests, p.dimension, p.target, stream)
    return known.x.numpy(), known.y.numpy()


def _posterior(trial: Trial) -> tuple[Floats, Floats]:
    """Mean and covariance of what a function that is drawn from the posterior is off at the test examples."""
    (x, y), n = data(trial), trial.params.examples
    mean, covariance = rbf_posterior(x, y[:n], trial.params.ridge)
    return mean - y[n:], covariance


def kernel(trial: Trial) -> Mapping[str, float]:
    """Of functions that a Gaussian process draws, by the law of their test error."""
    law, epsilon, stream = QuadraticForm.of(*_posterior(trial)), trial.params.epsilon, np.random.default_rng(trial.seed_for("draws"))
    drawn = law.draws(DRAWS, stream)
    if trial.method == "rbf":
        found = law.log_chance(epsilon)
    elif trial.method == "matched":
        found = matched_log_chance(law.cumulant(1), law.cumulant(2), epsilon)
    else:
        found = law.tilted(epsilon, DRAWS, stream)
    return {**_told(found, drawn, epsilon), "test_error": law.cumulant(1)}


def networks(trial: Trial) -> Mapping[str, float]:
    """Of networks that were trained from random starts, or of as many draws of the process: the law is fitted to their test errors."""
    p = trial.params
    if trial.method == "rbf":
        fitted, stream = np.zeros(1), np.random.default_rng(trial.seed_for("draws"))
        errors = QuadraticForm.of(*_posterior(trial)).draws(p.members, stream)
    else:
        fitted, errors = _trained(trial)
    mean = float(errors.mean())
    found = matched_log_chance(mean, float(errors.var(ddof=1)), p.epsilon)
    return {**_told(found, errors, p.epsilon), "test_error": mean, "train_error": float(fitted.max())}


def _told(log_chance: float, errors: Floats, epsilon: float) -> Mapping[str, float]:
    """Bits of a chance given by its natural logarithm, and what the errors of those drawn say themselves."""
    bits = max(0.0, -log_chance / math.log(2.0))
    return {"bits": bits, "reach": float(errors.min()), "drawn": float((errors <= epsilon).mean())}


def _trained(trial: Trial) -> tuple[Floats, Floats]:
    """Training and test errors of an ensemble, trained as one program to the end of a cosine schedule."""
    p, (x, y) = trial.params, data(trial)
    width = p.width * (4 if trial.method == "mlp-wide" else 1)
    hidden = (width, width) if trial.method == "mlp-deep" else (width,)
    network = MLP(widths=(p.dimension, *hidden, 1), bias=True, gain=math.sqrt(2.0))
    if trial.method == "mlp-shuffled":
        turned = torch.randperm(p.examples, generator=generator(trial.seed_for("shuffle"))).numpy()
        y = np.concatenate([y[: p.examples][turned], y[p.examples :]])
    inputs, targets = (torch.tensor(values, dtype=torch.float32) for values in (x * math.sqrt(p.dimension), y[:, None]))
    splits = row_splits({"train": p.examples, "test": p.tests})
    members = [
        Member(seed=trial.seed_for(f"network {i}"), inputs=inputs, targets=targets, splits=splits, lr=p.lr, steps=p.steps)
        for i in range(p.members)
    ]
    runs = train_many(network, members, loss=squared_error, optimizer=Adam(), points=[p.steps], device=trial.device,
                      schedule=lambda step: 0.5 + 0.5 * math.cos(math.pi * step / p.steps))  # fmt: skip
    errors = np.array([[run.measured[f"{split}_loss"][-1] for run in runs] for split in ("train", "test")])
    return errors[0], errors[1]


def cumulants(trial: Trial) -> Mapping[str, float]:
    """Largest relative error of the first three cumulants of the test error against derivatives of its log moment-generating function."""
    mean, covariance = _posterior(trial)
    law = QuadraticForm.of(mean, covariance)
    law = QuadraticForm(law.weights, 0.0 * law.shifts, law.floor) if trial.method == "central" else law
    generated = generated_cumulants(mean, covariance, 3)
    return {"error": max(abs(law.cumulant(order) / value - 1.0) for order, value in enumerate(generated, start=1))}
