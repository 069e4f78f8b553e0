"""Ridge regression on random features of Gaussian eigenfunctions and of digits, its closed form, and what the closed form promises."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.trial import Trial
from tasks.blocks.eigenframework import Spectrum, best_ridge, largest_rise, overfitting_at_best, solve, uncaptured
from tasks.blocks.probes import power_law_spectrum
from tasks.blocks.random_features import eigenfeature_path, relu_features, ridge_path
from tasks.blocks.training import generator

NO_RIDGE = 1e-9
"""What stands for none: at k = n the limit itself has no finite risk."""
_SEEN = 0.1
"""Training over test error from which on `underfit` counts the training data as not overfitted."""


def spectrum(p: Any) -> Spectrum:
    """Of l_i ~ i^-a and v_i^2 ~ i^-b, each with the sum 1; relative noise is over what interpolation leaves of the signal."""
    values, signal = (power_law_spectrum(p.modes, exponent).numpy() for exponent in (p.eigenvalues, p.signal))
    clean = Spectrum(values, signal)
    relative = p.relative_noise * uncaptured(clean, sizes(p)[0]) if p.relative_noise else 0.0
    return Spectrum(values, signal, p.noise + relative)


def sizes(p: Any) -> tuple[int, int]:
    """n and k; k = 0 stands for infinitely many."""
    return round(p.base * p.examples), round(p.base * p.features)


def curve(trial: Trial) -> Mapping[str, float]:
    """One learner at n examples and k features of a Gaussian task, the mean over its draws."""
    task, (n, width) = spectrum(trial.params), sizes(trial.params)
    if trial.method.startswith("theory"):
        k = width or math.inf
        found = best_ridge(task, n, k)[1] if trial.method == "theory" else solve(task, n, k, NO_RIDGE)
        return _errors(found.train_error, found.test_error)
    draws = [_drawn(trial, task, draw) for draw in range(trial.params.draws)]
    return {name: sum(draw[name] for draw in draws) / len(draws) for name in draws[0]}


def _drawn(trial: Trial, task: Spectrum, draw: int) -> dict[str, float]:
    def normal(purpose: str, rows: int, columns: int = trial.params.modes) -> Tensor:
        """(rows, columns) of a seed and draw: fewer rows are the first of more."""
        stream = generator(trial.seed_for(f"{purpose}-{draw}"))
        return torch.randn(rows, columns, generator=stream, dtype=torch.float64).to(trial.device)

    def answers(inputs: Tensor, purpose: str) -> Tensor:
        return inputs @ target + math.sqrt(task.noise) * normal(f"{purpose}-noise", len(inputs), 1)[:, 0]

    n, width = sizes(trial.params)
    values, target = (torch.from_numpy(found).to(trial.device) for found in (task.values, task.signal**0.5))
    inputs, fresh = normal("examples", n), normal("validation", trial.params.validation)
    mixing = normal("features", width) if width else None
    path, coefficients = eigenfeature_path(inputs, answers(inputs, "examples"), values, mixing, _ridges(trial))
    validation = (fresh @ coefficients - answers(fresh, "validation")[:, None]).square().mean(0)
    chosen = _chosen(trial.method, path.train_error, validation)
    test, ridge = float((coefficients[:, chosen] - target).square().sum()) + task.noise, float(path.ridges[chosen])
    return {
        **_errors(float(path.train_error[chosen]), test),
        "val_error": float(validation[chosen]),
        "over_closed_form": test / solve(task, n, width or math.inf, ridge).test_error,
        "over_kernel_form": test / solve(task, n, math.inf, ridge).test_error,
    }


def digits(trial: Trial) -> Mapping[str, float]:
    """The same on digits: one-hot targets less their mean on random ReLU features, the first n training images of a seed's order."""
    data, (n, k) = trial.dataset(), sizes(trial.params)
    order = torch.randperm(data.count("train"), generator=generator(trial.seed_for("order")))[:n]
    parts = [data.take("train", order.numpy(), trial.device), *(data.take(split, slice(None), trial.device) for split in ("val", "test"))]
    inputs = torch.cat([images.flatten(1) for images, _ in parts]).double() / math.sqrt(parts[0][0][0].numel())
    labels = [torch.nn.functional.one_hot(labels, data.num_classes).double() for _, labels in parts]
    features = relu_features(inputs, k, generator(trial.seed_for("features")))
    train, val, test = torch.split(features, [len(part) for part in labels])
    targets = [part - labels[0].mean(0) for part in labels]
    path = ridge_path(train, targets[0], _ridges(trial))
    validation = path.error(val, targets[1])
    chosen = _chosen(trial.method, path.train_error, validation)
    errors = _errors(float(path.train_error[chosen]), float(path.error(test, targets[2])[chosen]))
    return {**errors, "val_error": float(validation[chosen])}


def theorem(trial: Trial) -> Mapping[str, float]:
    """Theorem 1 on a task of the seed, at every pair of a ladder of n and k; Theorem 2 at many modes, above the noise of interpolation.

    `changed` takes no ridge at all for the first and forgets to square the share that is left open for the second.
    """
    p, draw = trial.params, np.random.default_rng(trial.seed_for("task"))
    values = power_law_spectrum(p.modes, draw.uniform(1.1, 2.5)).numpy()
    task = Spectrum(values, draw.permutation(draw.exponential(size=p.modes) * values), draw.uniform(0.0, 0.1))
    changed = trial.method == "changed"
    step = largest_rise(task, [16 * 2**step for step in range(p.doublings + 1)], NO_RIDGE if changed else None)
    a, b = draw.uniform(1.3, 2.0), draw.uniform(1.5, 2.2)
    noise = max(0.0, (b - a) / (a - 1.0)) + draw.uniform(1.0, 4.0)
    many = Spectrum(power_law_spectrum(p.many, a).numpy(), power_law_spectrum(p.many, b).numpy())
    found = best_ridge(Spectrum(many.values, many.signal, noise * uncaptured(many, p.base)), p.base, math.inf)[1]
    ratio = (found.train_error / found.test_error) ** (0.5 if changed else 1.0)
    return {"upward_step": step, "ratio_error": ratio - overfitting_at_best(a, b, noise)}


def _ridges(trial: Trial) -> Tensor:
    ridges = torch.tensor([NO_RIDGE]) if trial.method == "no-ridge" else torch.logspace(-10, 2, trial.params.ridges, dtype=torch.float64)
    return ridges.to(trial.device)


def _chosen(method: str, train: Tensor, validation: Tensor) -> int:
    """Place of the ridge that is best on validation; of `underfit`, among those whose training error is no small part of that."""
    allowed = train >= _SEEN * validation if method == "underfit" else torch.ones_like(train, dtype=torch.bool)
    return int(torch.where(allowed, validation, math.inf).argmin())


def _errors(train: float, test: float) -> dict[str, float]:
    return {"train_error": train, "test_error": test, "fit_ratio": train / test}
