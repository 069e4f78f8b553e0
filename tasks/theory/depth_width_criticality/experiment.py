"""Ensembles of random networks beside what theory says of them, exactly and to first order in 1/n.

A network of `depth` hidden layers ends in z(depth + 1), so that depth is L - 1 of the book.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from harness.errors import UsageError
from harness.trial import Trial
from tasks.blocks import signal_propagation as signals
from tasks.blocks.training import generator

SLOPES = {"linear": (1.0, 1.0), "relu": (1.0, 0.0), "leaky": (1.0, 0.1), "tanh": (1.0, 1.0)}
"""For positive and negative arguments; of tanh at 0."""
CHAINS = 10
"""Chains a network: they cost no matrix."""


def variance(trial: Trial) -> float:
    """C_W of a method: critical is C_W A2 = 1 - skip^2, off it ReLU has 1.5 and 2.5, tanh 0.5 and 2."""
    shares = (0.5, 2.0) if trial.params.activation == "tanh" else (0.75, 1.25)
    share = {"too-small": shares[0], "too-large": shares[1]}.get(trial.method, 1.0)
    return share * (1.0 - getattr(trial.params, "skip", 0.0) ** 2) / signals.moments(SLOPES[trial.params.activation])[0]


def networks(trial: Trial, depth: int) -> tuple[signals.Floats, signals.Floats]:
    """Second and fourth moments of each layer of each network of a trial, (depth, nets)."""
    p, stream = trial.params, generator(trial.seed_for("weights"), trial.device)
    skip = getattr(p, "skip", 0.0)
    second, fourth = signals.random_networks(_phi(p.activation), variance(trial), depth, p.width, p.nets, stream, skip=skip)
    return second.numpy(), fourth.numpy()


def chains(trial: Trial, depth: int) -> tuple[signals.Floats, signals.Floats]:
    """The same without any weight, of `CHAINS` times as many."""
    p, stream = trial.params, np.random.default_rng(trial.seed_for("chains"))
    kernels = signals.chi_square_kernels(SLOPES[p.activation], variance(trial), depth, p.width, CHAINS * p.nets, stream)
    return kernels, kernels**2


def propagated(trial: Trial, depth: int) -> Mapping[str, Tensor]:
    """A trial's network at infinite width, and its vertex to first order."""
    return signals.propagate(_phi(trial.params.activation), variance(trial), depth, skip=getattr(trial.params, "skip", 0.0))


def _phi(activation: str) -> signals.Activation:
    return torch.tanh if activation == "tanh" else signals.piecewise_linear(*SLOPES[activation])


def vertex(trial: Trial) -> Mapping[str, float]:
    """The vertex Cov(z_i^2, z_j^2) / E[z^2]^2 of the last layer; UsageError where a method has no law for what is asked."""
    _refuse_unknown(trial)
    p, n = trial.params, trial.params.width
    depth, typical = max(1, round(p.aspect * n)), {}
    if trial.method in ("critical", "chain"):
        second, fourth = (networks if trial.method == "critical" else chains)(trial, depth)
        value = float(fourth[-1].mean() / second[-1].mean() ** 2 - 1.0)
        typical = {"typical": float(np.median(second[-1]) / second[-1].mean())}
    elif trial.method == "exact":
        value = math.expm1(depth * math.log1p(signals.growth(SLOPES[p.activation], p.skip) / n))
    else:
        first = trial.method == "first-order"
        value = (
            float(propagated(trial, depth)["vertex"][-1]) if first else signals.remembered_vertex(SLOPES[p.activation], depth, p.skip)
        ) / n
    return {"vertex": value, "per_aspect": value * n / depth, **typical}


def _refuse_unknown(trial: Trial) -> None:
    method, p = trial.method, trial.params
    if p.activation == "tanh" and method in ("chain", "exact", "remembered"):
        raise UsageError(f"{method} is a law of scale-invariant activations, and tanh is none: choose relu, linear or leaky")
    if p.skip and (method == "chain" or (method == "exact" and p.activation != "linear")):
        raise UsageError(f"{method} is no law of {p.activation} networks with skips: choose critical, first-order or remembered, or skip=0")


def kernel(trial: Trial) -> Mapping[str, float]:
    """How the mean kernel of networks goes on with depth."""
    means = networks(trial, trial.params.depth)[0].mean(1)
    for layer, mean in enumerate(means, start=2):
        trial.log(layer, kernel=float(mean))
    return _signal(np.array([variance(trial), *means]))


def infinite(trial: Trial) -> Mapping[str, float]:
    """The same at infinite width, by quadrature."""
    found = propagated(trial, trial.params.depth)
    last = {name: float(values[-1]) for name, values in found.items()}
    times = {"inverse": 2.0 * last["kernel"] * len(found["kernel"]), "vertex_rate": last["vertex"] / trial.params.depth}
    return {**_signal(found["kernel"].numpy()), **times, "apart": last["apart"]}


def _signal(kernels: signals.Floats) -> dict[str, float]:
    half = len(kernels) // 2
    rate = math.log(kernels[-1] / kernels[half]) / (len(kernels) - 1 - half)
    return {"ratio": float(kernels[-1] / kernels[0]), "rate": rate}


def law(trial: Trial) -> Mapping[str, float]:
    """Relative error of E[K(L)^2] / E[K(L)]^2 against an enumeration."""
    p, slopes = trial.params, SLOPES[trial.params.activation]
    rate = signals.growth(slopes) / p.width
    stated = (1.0 + rate) ** p.depth if trial.method == "exact" else 1.0 + rate * p.depth
    return {"error": abs(stated / signals.enumerated_growth(slopes, p.width) ** p.depth - 1.0)}
