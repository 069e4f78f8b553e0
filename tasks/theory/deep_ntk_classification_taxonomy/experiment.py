"""Classifiers that infinitely wide networks become with depth, on noisy labels whose Bayes rule is known; everything in float64."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from harness.trial import Trial
from tasks.blocks.dual_kernels import last_relu, relu_ntk, slope_moments
from tasks.blocks.generators import Known, striped_sphere
from tasks.blocks.hermite_duals import HermiteActivation, singular_activation
from tasks.blocks.kernel_rules import leave_one_out_ridge, limit_sum, log_interpolation, nearest
from tasks.blocks.training import generator

_SHARPNESS = {"sharper": 2.0, "smoother": 0.5}
_FIXED = {"h2-ntk": HermiteActivation((0.0, 0.0, 1.0)), "mean-ntk": HermiteActivation((math.sqrt(0.2), 0.0, math.sqrt(0.8)))}
_RIDGES = tuple(float(ridge) for ridge in np.logspace(-6, 3, 28))


def activation(method: str, dimension: int) -> HermiteActivation:
    """What a method puts between its layers: with the exponent d of S^d, twice or half of it, or none."""
    return _FIXED.get(method) or singular_activation(_SHARPNESS.get(method, 1.0) * dimension)


def limit(trial: Trial) -> Mapping[str, float]:
    """Slope of log kernel against log distance where points are near, and A' and B' by quadrature of the activation itself."""
    p, phi = trial.params, activation(trial.method, trial.params.dimension)
    distance = torch.logspace(math.log10(p.nearest), math.log10(p.nearest) + 2.0, 41, dtype=torch.float64)
    rho = 1.0 - distance.square() / 2.0
    finite = trial.method.startswith("singular-")
    logs = _log_kernel(trial.method, p.dimension, p.depth, rho) if finite else phi.limit_kernel(rho).log()
    for r, value in zip(distance.tolist(), ((logs - logs[-1]) / math.log(10.0)).tolist(), strict=True):
        trial.log(r, log10_kernel=value)
    slope = float(np.polyfit(distance.log().numpy(), logs.numpy(), 1)[0])
    first, second = slope_moments(phi)
    return {"from_dimension": slope + p.dimension, "from_formula": slope - 4.0 * math.log(first) / math.log(second)}


def _data(trial: Trial) -> tuple[Known, Tensor, Tensor, Tensor]:
    """The examples, their inputs and labels +-1 on the trial's device, and new points there."""
    p = trial.params
    data, new = (
        striped_sphere(count, p.dimension, p.frequency, p.margin, generator(trial.seed_for(purpose)))
        for purpose, count in (("examples", p.examples), ("test", p.test_points))
    )
    return data, data.x.to(trial.device), (2.0 * data.y.double() - 1.0).to(trial.device), new.x.to(trial.device)


def risk(trial: Trial) -> Mapping[str, float]:
    """Excess risk of rules and limit kernels on new points, scored by the true P(y | x)."""
    data, x, labels, points = _data(trial)
    if trial.method == "nearest":
        scores = nearest(points, x, labels)
    elif trial.method == "majority":
        scores = labels.sum().expand(len(points))
    elif trial.method == "ridge":
        _, alpha = leave_one_out_ridge(relu_ntk(x, x, 1), labels, _RIDGES)
        scores = relu_ntk(points, x, 1) @ alpha
    else:
        scores = limit_sum(points, x, labels, activation(trial.method, trial.params.dimension))
    return {"excess_risk": _excess(trial, scores, data, points)}


def depth(trial: Trial) -> Mapping[str, float]:
    """The same of networks of finite depth trained to the end, K(x, X) K(X, X)^-1 y; whose labels they give."""
    p = trial.params
    data, x, labels, points = _data(trial)
    between, own, one = (_log_kernel(trial.method, p.dimension, p.depth, rho) for rho in (points @ x.T, x @ x.T, labels.new_ones(1)))
    outputs, scores = log_interpolation(between - one, own - one, labels)
    best = 2.0 * p.margin * (2.0 * data.best(points) - 1.0)
    return {
        "excess_risk": _excess(trial, scores, data, points),
        "error": float((outputs - best).square().mean() / best.square().mean()),
        "agrees_nearest": _share(scores, nearest(points, x, labels)),
        "agrees_majority": _share(scores, labels.sum()),
        "agrees_limit": _share(scores, limit_sum(points, x, labels, activation("singular", p.dimension))),
    }


def _log_kernel(method: str, dimension: int, depth: int, rho: Tensor) -> Tensor:
    """The logarithm of a network's kernel at correlations of any shape."""
    which = 0 if method == "singular-nngp" else 1
    if method == "relu-ntk":
        return last_relu(rho, depth)[which].log()
    return activation(method, dimension).log_kernels(rho.clamp_max(1.0).log(), depth)[which]


def _share(scores: Tensor, others: Tensor) -> float:
    """Of points that two rules label alike."""
    return float(((scores > 0) == (others > 0)).double().mean())


def _excess(trial: Trial, scores: Tensor, data: Known, points: Tensor) -> float:
    """A wrong label loses 2 margin beyond what the Bayes rule loses there."""
    return float(2.0 * trial.params.margin * (1.0 - _share(scores, data.best(points) - 0.5)))
