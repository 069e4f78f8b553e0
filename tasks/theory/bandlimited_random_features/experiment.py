"""Sums of sigmoids whose weights and biases are drawn from a box, fitted to functions on [0, 1] in float64 and in many digits."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from harness.trial import Trial
from tasks.blocks.many_digits import sigmoid_fit
from tasks.blocks.random_features import box_features, box_parameters, ridge_path
from tasks.blocks.training import generator


def target(name: str, x: Tensor) -> Tensor:
    """`rough`: three bumps, two of them of width 1 / 80; `smooth`: one period of a sine."""
    if name == "smooth":
        return torch.sin(2.0 * math.pi * x)
    bumps = ((0.2, 10.0, 4.0), (0.5, 80.0, 40.0), (0.3, 80.0, 20.0))
    return torch.stack([height * torch.exp(-((rate * x - at) ** 2)) for height, rate, at in bumps]).sum(0)


def data(trial: Trial) -> dict[str, tuple[Tensor, Tensor]]:
    """x (n, 1) and y (n,) by split: an even grid to train on, as many points of the seed to select and to test on."""
    p = trial.params
    points = {"train": torch.linspace(0.0, 1.0, p.points, dtype=torch.float64)}
    for split in ("val", "test"):
        points[split] = torch.rand(p.points, generator=generator(trial.seed_for(split)), dtype=torch.float64)
    return {split: (x[:, None].to(trial.device), target(p.target, x).to(trial.device)) for split, x in points.items()}


def units(trial: Trial) -> Tensor:
    """(width, 2): those of another bandwidth are the same but for the factor."""
    p = trial.params
    return box_parameters(1, p.width, p.bandwidth, generator(trial.seed_for("units"))).to(trial.device)


def fit(trial: Trial) -> Mapping[str, float]:
    """Least squares in float64 by singular values, those below rcond of the largest cut off; or the mean of the targets."""
    parts = data(trial)
    if trial.method == "mean":
        middle = parts["train"][1].mean()
        return {f"{split}_rmse": _rms(y - middle) for split, (_, y) in parts.items()}
    (x, y), parameters = parts["train"], units(trial)
    path = ridge_path(box_features(x, parameters), y, torch.zeros(1, dtype=torch.float64, device=x.device), rcond=trial.params.rcond)
    errors = {f"{split}_rmse": float(path.error(box_features(x, parameters), y).sqrt()) for split, (x, y) in parts.items()}
    return {**errors, "norm": float(path.norm), "rank": float(path.degrees_of_freedom), "chosen": float(trial.params.bandwidth)}


def precision(trial: Trial) -> Mapping[str, float]:
    """The same fit in float64 at the finest rcond, or in many digits, where nothing is cut off."""
    if trial.method == "unit-box":
        found = fit(trial)
        return {"test_rmse": found["test_rmse"], "norm": found["norm"]}
    parts = data(trial)
    (x, y), (fresh, wanted) = parts["train"], parts["test"]
    boxes = [(a, b) for a, b in units(trial).tolist()]
    predicted, norm = sigmoid_fit(x[:, 0].tolist(), y.tolist(), boxes, fresh[:, 0].tolist(), trial.params.digits)
    return {"test_rmse": _rms(torch.tensor(predicted, dtype=torch.float64, device=wanted.device) - wanted), "norm": norm}


def _rms(errors: Tensor) -> float:
    return float(errors.square().mean().sqrt())
