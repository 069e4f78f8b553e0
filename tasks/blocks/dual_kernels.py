"""Kernels of infinitely wide networks: dual activations, and the NNGP and neural tangent kernels over depth. Everything in float64.

The dual of f is E[f(u) f(v)] over a centred Gaussian pair with E[u^2] = E[v^2] = 1 and E[u v] = rho (Daniely, Frostig and Singer 2016).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

Dual = Callable[[Tensor], Tensor]
"""From correlations in [-1, 1] to the dual activation."""


def arc_cosine(rho: Tensor, order: int) -> Tensor:
    """Arc-cosine kernel of order 0 or 1 at angle arccos(rho), 1 at rho = 1 (Cho and Saul 2009, divided by pi).

    Twice the dual of the step function (order 0) and of ReLU (order 1).
    """
    rho = rho.double().clamp(-1.0, 1.0)
    angle = torch.arccos(rho)
    if order == 0:
        return 1.0 - angle / math.pi
    if order == 1:
        return ((1.0 - rho.square()).clamp_min(0.0).sqrt() + (math.pi - angle) * rho) / math.pi
    raise ValueError(f"arc-cosine kernels of order 0 and 1 are here, not {order}")


def erf_dual(rho: Tensor) -> Tensor:
    """The dual of erf: 2/pi arcsin(2 rho / 3) (Williams 1997)."""
    return 2.0 / math.pi * torch.arcsin(2.0 * rho.double().clamp(-1.0, 1.0) / 3.0)


def erf_derivative_dual(rho: Tensor) -> Tensor:
    """The dual of erf's derivative: 4/pi / sqrt(9 - 4 rho^2)."""
    return 4.0 / math.pi / (9.0 - 4.0 * rho.double().clamp(-1.0, 1.0).square()).sqrt()


def quadrature_dual(function: Callable[[Tensor], Tensor], nodes: int = 80) -> Dual:
    """The dual of any smooth activation by Gauss-Hermite quadrature in two dimensions."""
    points, weights = (torch.from_numpy(found) for found in np.polynomial.hermite_e.hermegauss(nodes))
    weights = weights / weights.sum()

    def dual(rho: Tensor) -> Tensor:
        flat = rho.double().clamp(-1.0, 1.0).reshape(-1, 1, 1)
        u = points[None, :, None]
        v = flat * u + (1.0 - flat.square()).sqrt() * points[None, None, :]
        return ((function(u) * function(v)) * weights[:, None] * weights[None, :]).sum(dim=(1, 2)).reshape(rho.shape)

    return dual


def slope_moments(function: Callable[[Tensor], Tensor], nodes: int = 40) -> tuple[float, float]:
    """E[phi'(u)] and E[phi'(u)^2] of any smooth activation, u ~ N(0, 1), by automatic differentiation and Gauss-Hermite quadrature."""
    points, weights = (torch.from_numpy(found) for found in np.polynomial.hermite_e.hermegauss(nodes))
    (slopes,) = torch.autograd.grad(function(points.requires_grad_()).sum(), points)
    first, second = (float((slopes**power * weights).sum() / weights.sum()) for power in (1, 2))
    return first, second


@dataclass(frozen=True)
class WideKernels:
    """Kernels after each hidden layer, index 0 those of the inputs: (depth + 1, n, m), with k(x, x) = 1 kept on the sphere."""

    nngp: Tensor
    ntk: Tensor


def wide_relu(correlations: Tensor, depth: int) -> WideKernels:
    """NNGP and NTK of a relu network without biases in NTK parametrisation with c = 2, from (n, m) correlations of inputs on the sphere.

    S_0 = T_0 = rho; S_(l+1) = kappa_1(S_l), T_(l+1) = S_(l+1) + T_l kappa_0(S_l) (Jacot et al. 2018; Arora et al. 2019, eq. 9).
    """
    return wide(correlations, depth, lambda rho: arc_cosine(rho, 1), lambda rho: arc_cosine(rho, 0))


def relu_ntk(x: Tensor, y: Tensor, depth: int) -> Tensor:
    """The tangent kernel of `wide_relu` between points (n, d) and (m, d) of the unit sphere, (n, m)."""
    return last_relu(x @ y.T, depth)[1]


def last_relu(correlations: Tensor, depth: int) -> tuple[Tensor, Tensor]:
    """The NNGP and NTK of `wide_relu` after the last layer, without holding those before it."""
    *_, last = layers(correlations, depth, lambda rho: arc_cosine(rho, 1), lambda rho: arc_cosine(rho, 0))
    return last


def wide(correlations: Tensor, depth: int, dual: Dual, derivative: Dual) -> WideKernels:
    """The same recursion for any activation whose dual is 1 at 1; `derivative` is the dual of its derivative on the same scale."""
    nngp, ntk = zip(*layers(correlations, depth, dual, derivative), strict=True)
    return WideKernels(torch.stack(nngp), torch.stack(ntk))


def layers(correlations: Tensor, depth: int, dual: Dual, derivative: Dual) -> Iterator[tuple[Tensor, Tensor]]:
    """The NNGP and NTK of `wide` layer by layer, the inputs' first: for depths whose kernels do not fit into memory together."""
    nngp = ntk = correlations.double()
    yield nngp, ntk
    for _ in range(depth):
        slope = derivative(nngp)
        nngp = dual(nngp)
        ntk = nngp + ntk * slope
        yield nngp, ntk
