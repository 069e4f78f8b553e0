"""The pointwise map of a Gram matrix: what each squared distance, or each correlation, becomes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

MOST_TERMS = 16
KINDS = ("gaussian", "laplace", "arc_cosine_0", "arc_cosine_1", "relu_ntk", "dual")
"""The first two take squared distances, the others correlations. The order is the kernels' KIND."""


@dataclass(frozen=True)
class Pointwise:
    """Made by the functions below. `gammas` and `weights` are those of mixtures, `weights` alone the coefficients of a dual polynomial."""

    kind: str
    gammas: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    layers: int = 1

    @property
    def of_correlations(self) -> bool:
        """Whether rows are scaled to length 1 first and the map takes their inner products."""
        return KINDS.index(self.kind) >= 2


def gaussian(gammas: Sequence[float], weights: Sequence[float] | None = None) -> Pointwise:
    """sum_q w_q exp(-gamma_q ||x - y||^2): 1 to 16 gammas >= 0; gamma = 1 / (2 sigma^2). Weights default to ones. Else ValueError."""
    return _mixture("gaussian", gammas, weights)


def laplace(gammas: Sequence[float], weights: Sequence[float] | None = None) -> Pointwise:
    """sum_q w_q exp(-gamma_q ||x - y||), numbers as in `gaussian`. Where x = y it has no derivative and gets 0."""
    return _mixture("laplace", gammas, weights)


def arc_cosine(order: int) -> Pointwise:
    """The arc-cosine kernel of order 0 or 1 of the correlation, 1 at 1 (Cho and Saul 2009, divided by pi).

    That of order 1 without the lengths: they scale rows of v and of the result. ValueError for other orders.
    """
    if order not in (0, 1):
        raise ValueError(f"gram_matmul: arc-cosine kernels have order 0 or 1 here, not {order}")
    return Pointwise(f"arc_cosine_{order}")


def relu_ntk() -> Pointwise:
    """k_1(u) + u k_0(u): the neural tangent kernel of a two-layer relu network on the sphere, 2 at 1 (Jacot et al. 2018, c = 2)."""
    return Pointwise("relu_ntk")


def dual_polynomial(coefficients: Sequence[float], layers: int = 1) -> Pointwise:
    """p(p(...p(u))), `layers` times, p(u) = sum_k a_k u^k with a_k = c_k^2 >= 0: the dual of sum_k c_k h_k, h_k normalised Hermite.

    Daniely, Frostig and Singer 2016. ValueError for more than 16 coefficients, a negative one, or no layer.
    """
    found = tuple(float(a) for a in coefficients)
    if not 1 <= len(found) <= MOST_TERMS or not all(math.isfinite(a) and a >= 0 for a in found):
        raise ValueError(f"gram_matmul: a dual polynomial has 1 to {MOST_TERMS} finite coefficients >= 0, not {list(found)}")
    if layers < 1:
        raise ValueError(f"gram_matmul: a dual polynomial is iterated at least once, not {layers} times")
    return Pointwise("dual", weights=found, layers=layers)


def _mixture(kind: str, gammas: Sequence[float], weights: Sequence[float] | None) -> Pointwise:
    weights = [1.0] * len(gammas) if weights is None else weights
    if not 1 <= len(gammas) <= MOST_TERMS or len(weights) != len(gammas):
        raise ValueError(f"gram_matmul: 1 to {MOST_TERMS} gammas and as many weights, not {len(gammas)} and {len(weights)}")
    for gamma, weight in zip(gammas, weights, strict=True):
        if not (math.isfinite(gamma) and gamma >= 0 and math.isfinite(weight)):
            raise ValueError(f"gram_matmul: gammas must be finite and >= 0 and weights finite, not {gamma} and {weight}")
    return Pointwise(kind, tuple(float(gamma) for gamma in gammas), tuple(float(weight) for weight in weights))


def apply(kernel: Pointwise, entries: Tensor) -> Tensor:
    """The map of squared distances >= 0, or of correlations in [-1, 1]; NaN stays. Derivatives that are infinite at an end are 0 there."""
    if kernel.kind == "laplace":
        zero = entries <= 0.0
        entries = entries.masked_fill(zero, 1.0).sqrt().masked_fill(zero, 0.0)
    if not kernel.of_correlations:
        total = torch.zeros_like(entries)
        for gamma, weight in zip(kernel.gammas, kernel.weights, strict=True):
            total = total + weight * torch.exp(-gamma * entries)
        return total
    if kernel.kind == "dual":
        for _ in range(kernel.layers):
            power = torch.zeros_like(entries)
            for coefficient in reversed(kernel.weights):
                power = power * entries + coefficient
            entries = power
        return entries
    end = entries.abs() >= 1.0
    inside = entries.masked_fill(end, 0.0)
    angle = torch.arccos(inside).masked_fill(entries >= 1.0, 0.0).masked_fill(entries <= -1.0, math.pi)
    zeroth = 1.0 - angle / math.pi
    if kernel.kind == "arc_cosine_0":
        return zeroth
    sine = ((1.0 - inside) * (1.0 + inside)).sqrt().masked_fill(end, 0.0)
    first = sine / math.pi + zeroth * entries
    return first if kernel.kind == "arc_cosine_1" else first + entries * zeroth
