"""Ensembles of random networks beside what theory says of them. They end in z(depth + 1): depth is L - 1 of the book."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness.trial import Trial
from tasks.blocks import vertex_laws as laws
from tasks.blocks.signal_propagation import Activation, Floats, chi_square_kernels, kernel_growth, propagate, random_networks
from tasks.blocks.training import generator

SHARES = {"too-small": (0.75, 0.5), "too-large": (1.25, 2.0)}
"""Of the critical C_W, the second of tanh."""
CHAINS = 10
"""Chains a network: they cost no matrix."""


def ensemble(trial: Trial) -> tuple[Activation, float]:
    """The activation, and C_W of the method."""
    kind = trial.params.activation
    share = SHARES.get(trial.method, (1.0, 1.0))[kind == "tanh"]
    return laws.activation(kind), share * laws.critical_variance(kind, trial.params.skip)


def moments(trial: Trial, depth: int) -> tuple[Floats, Floats]:
    """Second and fourth moments of each layer of each network of a trial, (depth, nets); of chains without any weight."""
    p = trial.params
    if trial.method == "chain":
        laws.refuse_unlawful("chain", p.activation, p.skip)
        draw = np.random.default_rng(trial.seed_for("chains"))
        kernels = chi_square_kernels(laws.SLOPES[p.activation], ensemble(trial)[1], depth, p.width, CHAINS * p.nets, draw)
        return kernels, kernels**2
    stream = generator(trial.seed_for("weights"), trial.device)
    second, fourth = random_networks(*ensemble(trial), depth, p.width, p.nets, stream, skip=p.skip)
    return second.numpy(), fourth.numpy()


def vertex(trial: Trial) -> Mapping[str, float]:
    """The vertex Cov(z_i^2, z_j^2) / E[z^2]^2 of the last layer; UsageError where a method has no law for what is asked."""
    p, typical = trial.params, {}
    depth = max(1, round(p.aspect * p.width))
    if trial.method in ("critical", "chain"):
        second, fourth = (layers[-1] for layers in moments(trial, depth))
        value = float(fourth.mean() / second.mean() ** 2 - 1.0)
        typical = {"typical": float(np.median(second) / second.mean())}
    else:
        value = laws.stated_vertex(trial.method, p.activation, depth, p.width, p.skip)
    return {"vertex": value, "per_aspect": value * p.width / depth, **typical}


def kernel(trial: Trial) -> Mapping[str, float]:
    """How the mean kernel of networks goes on with depth."""
    means = moments(trial, trial.params.depth)[0].mean(1)
    for layer, mean in enumerate(means, start=2):
        trial.log(layer, kernel=float(mean))
    ratio, rate = kernel_growth(np.array([ensemble(trial)[1], *means]))
    return {"ratio": ratio, "rate": rate}


def infinite(trial: Trial) -> Mapping[str, float]:
    """The same at infinite width, by quadrature."""
    depth, found = trial.params.depth, propagate(*ensemble(trial), trial.params.depth)
    (ratio, rate), last = kernel_growth(found["kernel"].numpy()), {name: float(values[-1]) for name, values in found.items()}
    times = {"inverse": 2.0 * last["kernel"] * (depth + 1), "vertex_rate": last["vertex"] / depth}
    return {"ratio": ratio, "rate": rate, **times, "apart": last["apart"]}


def law(trial: Trial) -> Mapping[str, float]:
    """Relative error of E[K(L)^2] / E[K(L)]^2, which is 1 plus the vertex, against an enumeration."""
    p = trial.params
    stated = 1.0 + laws.stated_vertex(trial.method, p.activation, p.depth, p.width)
    return {"error": abs(stated / laws.enumerated_growth(laws.SLOPES[p.activation], p.width) ** p.depth - 1.0)}
