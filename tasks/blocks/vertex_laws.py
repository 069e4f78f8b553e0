"""Laws of the vertex of critical random networks, exact and to first order in 1/n. Their layers are in `signal_propagation`."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from scipy import stats

from harness.errors import UsageError
from tasks.blocks.signal_propagation import Activation, Slopes, piecewise_linear, propagate

SLOPES: Mapping[str, Slopes] = {"linear": (1.0, 1.0), "relu": (1.0, 0.0), "leaky": (1.0, 0.1), "tanh": (1.0, 1.0)}
"""Of the activations by name; of tanh at 0."""


def activation(name: str) -> Activation:
    """tanh, or the piecewise linear function that is called so."""
    return torch.tanh if name == "tanh" else piecewise_linear(*SLOPES[name])


def critical_variance(name: str, skip: float = 0.0) -> float:
    """C_W at which the kernel neither explodes nor vanishes: C_W A2 = 1 - skip^2."""
    return (1.0 - skip**2) / moments(SLOPES[name])[0]


def stated_vertex(law: str, name: str, depth: int, width: int, skip: float = 0.0) -> float:
    """Cov(z_i^2, z_j^2) / E[z^2]^2 of layer depth + 1 at criticality, by a law; UsageError where it is none of such networks.

    `exact`: (1 + nu / n)^depth - 1. `first-order`: the recursion of `propagate`. `remembered`: `remembered_vertex`.
    """
    refuse_unlawful(law, name, skip)
    if law == "exact":
        return math.expm1(depth * math.log1p(growth(SLOPES[name], skip) / width))
    if law == "remembered":
        return remembered_vertex(SLOPES[name], depth, skip) / width
    return float(propagate(activation(name), critical_variance(name, skip), depth, skip=skip)["vertex"][-1]) / width


def refuse_unlawful(law: str, name: str, skip: float) -> None:
    """UsageError for networks that a law (`chain`: `chi_square_kernels`) does not hold of."""
    if name == "tanh" and law in ("chain", "exact", "remembered"):
        raise UsageError(f"{law} is a law of scale-invariant activations, and tanh is none: choose relu, linear or leaky")
    if skip and (law == "chain" or (law == "exact" and name != "linear")):
        raise UsageError(f"{law} is no law of {name} networks with skips: choose critical, first-order or remembered, or skip=0")


def moments(slopes: Slopes) -> tuple[float, float]:
    """A2 = (a+^2 + a-^2) / 2 and A4 = (a+^4 + a-^4) / 2: at criticality variance A2 = 1 - skip^2."""
    up, down = slopes
    return (up**2 + down**2) / 2, (up**4 + down**4) / 2


def growth(slopes: Slopes, skip: float = 0.0) -> float:
    """nu = (1 - skip^2) (nu_0 + (4 - nu_0) skip^2), nu_0 = 3 A4 / A2^2 - 1: at criticality E[K'^2] = (1 + nu / n) E[K^2].

    Exact of scale-invariant activations without skips, and of linear networks with them.
    """
    second, fourth = moments(slopes)
    plain = 3.0 * fourth / second**2 - 1.0
    return (1.0 - skip**2) * (plain + (4.0 - plain) * skip**2)


def enumerated_growth(slopes: Slopes, width: int) -> float:
    """1 + nu / n without skips by another route: a sum over how many units are active, and the moments of chi-squares."""
    (up, down), b = slopes, np.arange(width + 1.0)
    chances, rest = stats.binom.pmf(b, width, 0.5), width - b
    mean = chances @ (up**2 * b + down**2 * rest)
    square = chances @ (up**4 * b * (b + 2) + down**4 * rest * (rest + 2) + 2 * up**2 * down**2 * b * rest)
    return float(square / mean**2)


def remembered_vertex(slopes: Slopes, depth: int, skip: float) -> float:
    """V / K^2 of a critical network with skips, to first order in 1/n, with what a unit remembers of its sign (our derivation).

    To first order K(L) varies by c sum_m (mean_k phi^2(z_k(m)) - A2 K), each z_k being autoregressive over layers with rho = skip. With
    phi^2 = A2 z^2 + B z|z|, the second part adds B^2 E[z|z| w|w|] at each pair of layers; `propagate` has it at m = m' alone.
    """
    (up, down), second = slopes, moments(slopes)[0]
    c, odd = (1.0 - skip**2) / second, (up**2 - down**2) / 2
    rho = skip ** np.abs(np.subtract.outer(np.arange(depth), np.arange(depth)))
    turned = 2.0 / math.pi * ((1.0 + 2.0 * rho**2) * np.arcsin(rho) + 3.0 * rho * np.sqrt(1.0 - rho**2))
    own = (skip ** (2.0 * np.arange(1, depth + 1))).sum()
    return float(c**2 * (2.0 * second**2 * rho**2 + odd**2 * turned).sum() + 4.0 * c * second * own)
