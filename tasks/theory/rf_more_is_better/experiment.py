"""Ridge regression on random features of Gaussian eigenfunctions and of digits, its closed form, and what the closed form promises."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.trial import Trial
from tasks.blocks.eigenframework import Spectrum, best_ridge, largest_rise, overfitting_at_best, solve
from tasks.blocks.probes import power_law_spectrum
from tasks.blocks.random_features import Fits, relu_fits, simulated
from tasks.blocks.training import generator, normal

NO_RIDGE = 1e-9
"""What stands for none: at k = n the limit itself has no finite risk."""
_SEEN = 0.1
"""Training over test error from which on `underfit` counts the training data as not overfitted."""


def sizes(p: Any) -> tuple[int, int]:
    """n and k; k = 0 stands for infinitely many."""
    return round(p.base * p.examples), round(p.base * p.features)


def curve(trial: Trial) -> Mapping[str, float]:
    """One learner at n examples and k features of a Gaussian task, the mean over its draws."""
    p, (n, width) = trial.params, sizes(trial.params)
    task = Spectrum.power_law(p.modes, p.eigenvalues, p.signal, p.noise).noisier(p.relative_noise, n)
    if trial.method.startswith("theory"):
        k = width or math.inf
        found = best_ridge(task, n, k)[1] if trial.method == "theory" else solve(task, n, k, NO_RIDGE)
        return _errors(found.train_error, found.test_error)
    draws = [_drawn(trial, task, draw) for draw in range(p.draws)]
    return {name: sum(draw[name] for draw in draws) / len(draws) for name in draws[0]}


def _drawn(trial: Trial, task: Spectrum, draw: int) -> dict[str, float]:
    """Of a seed and draw, fewer rows are the first of more."""
    n, width = sizes(trial.params)
    ridge, errors = _selected(trial, partial(simulated, task, partial(normal, trial), n, width, trial.params.validation, draw=draw))
    forms = {"over_closed_form": width or math.inf, "over_kernel_form": math.inf}
    return errors | {name: errors["test_error"] / solve(task, n, k, ridge).test_error for name, k in forms.items()}


def digits(trial: Trial) -> Mapping[str, float]:
    """The same on digits: random ReLU features of the first n training images of a seed's order."""
    data, (n, k) = trial.dataset(), sizes(trial.params)
    order = torch.randperm(data.count("train"), generator=generator(trial.seed_for("order")))[:n]
    rows = {"train": order.numpy(), "val": slice(None), "test": slice(None)}
    parts = [data.take(split, chosen, trial.device) for split, chosen in rows.items()]
    return _selected(trial, partial(relu_fits, parts, data.num_classes, k, generator(trial.seed_for("features"))))[1]


def theorem(trial: Trial) -> Mapping[str, float]:
    """Theorem 1 on a task of the seed, at every pair of a ladder of n and k; Theorem 2 at many modes, above the noise of interpolation.

    `changed` takes no ridge at all for the first and forgets to square the share that is left open for the second.
    """
    p, draw, changed = trial.params, np.random.default_rng(trial.seed_for("task")), trial.method == "changed"
    values = power_law_spectrum(p.modes, draw.uniform(1.1, 2.5)).numpy()
    task = Spectrum(values, draw.permutation(draw.exponential(size=p.modes) * values), draw.uniform(0.0, 0.1))
    step = largest_rise(task, [16 * 2**step for step in range(p.doublings + 1)], NO_RIDGE if changed else None)
    a, b = draw.uniform(1.3, 2.0), draw.uniform(1.5, 2.2)
    noise = max(0.0, (b - a) / (a - 1.0)) + draw.uniform(1.0, 4.0)
    found = best_ridge(Spectrum.power_law(p.many, a, b).noisier(noise, p.base), p.base, math.inf)[1]
    ratio = (found.train_error / found.test_error) ** (0.5 if changed else 1.0)
    return {"upward_step": step, "ratio_error": ratio - overfitting_at_best(a, b, noise)}


def _selected(trial: Trial, fitted: Callable[[Tensor], Fits]) -> tuple[float, dict[str, float]]:
    """The ridge that is best on validation, of `underfit` among those whose training error is no small part of that, and its errors."""
    ridges = torch.tensor([NO_RIDGE]) if trial.method == "no-ridge" else torch.logspace(-10, 2, trial.params.ridges, dtype=torch.float64)
    fits = fitted(ridges.to(trial.device))
    ridge, train, validation, test = fits.best(fits.path.train_error >= (_SEEN * fits.validation if trial.method == "underfit" else 0.0))
    return ridge, {**_errors(train, test), "val_error": validation}


def _errors(train: float, test: float) -> dict[str, float]:
    return {"train_error": train, "test_error": test, "fit_ratio": train / test}
