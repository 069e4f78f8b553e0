"""Tangent kernels of networks of finite width, and how far chance takes them from their limit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from tasks.blocks.dual_kernels import arc_cosine, wide_relu
from tasks.blocks.small_networks import MLP, Tensors


def relu_network(inputs: int, width: int, depth: int, parametrisation: Literal["standard", "ntk", "mean-field"] = "ntk") -> MLP:
    """A relu network of `depth` hidden layers without biases; in NTK parametrisation and of `scaled` points its limit is `wide_relu`."""
    return MLP(widths=(inputs, *[width] * depth, 1), parametrisation=parametrisation, gain=math.sqrt(2.0))


def scaled(x: Tensor) -> Tensor:
    """Points (n, d) of the unit sphere at squared norm d / 2, where pre-activations of `relu_network` have variance 1 in every layer."""
    return x * math.sqrt(x.shape[1] / 2.0)


def tangent_kernel(
    network: MLP, parameters: Tensors, x: Tensor, y: Tensor | None = None, fixed: Mapping[str, Tensor] | None = None
) -> Tensor:
    """<grad f(x_i), grad f(y_j)> over all parameters, (n, m), of an MLP with one output; without `y` of x with itself.

    A layer's share is the Gram matrix of its inputs times, entry by entry, that of the derivatives by its pre-activations: no Jacobian
    of all parameters is held. Of two layers it is (Jacot et al. 2018, NTK parametrisation, gain c) c^2/m sum_i phi_i phi_i' +
    c^4/(m d) <x, x'> sum_i a_i^2 phi'_i phi'_i'.
    """
    if network.widths[-1] != 1 or network.readout != "trained":
        raise ValueError("the tangent kernel is of networks with one output and a trained last layer")
    left = _factors(network, parameters, x, fixed or {})
    right = left if y is None else _factors(network, parameters, y, fixed or {})
    total = torch.zeros(len(x), len(x if y is None else y), dtype=x.dtype, device=x.device)
    for index, ((inputs, by), (others, by_others)) in enumerate(zip(left, right, strict=True)):
        gram = network.multiplier(index) ** 2 * (inputs @ others.T)
        total += (gram + network.bias_scale**2 if network.bias else gram) * (by @ by_others.T)
    return total


def _factors(network: MLP, parameters: Tensors, x: Tensor, fixed: Mapping[str, Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Of each layer its inputs (n, fan_in) and the derivatives of the output by its pre-activations (n, fan_out)."""
    held, into, before = {name: value.detach() for name, value in parameters.items()}, [x], []
    with torch.enable_grad():
        for index in range(len(network.widths) - 1):
            h = network.layer(held, into[index], index)
            before.append(h if h.requires_grad else h.requires_grad_())
            into.append(network.phi(h, fixed))
        out = before[-1] * fixed["scale"] if "scale" in fixed else before[-1]
        found = torch.autograd.grad(out.sum(), before)
    return [(inputs.detach(), by) for inputs, by in zip(into, found, strict=False)]


def relu_deviation(correlations: Tensor, width: int) -> float:
    """Root mean square of |K_0 - K| / |K| (Frobenius) at the start for a relu network of one hidden layer, K as `wide_relu` gives it.

    K_0 is a mean over the units of k = 2 phi phi' + 2 rho a^2 1 1', whose mean is K. So the mean square is sum Var(k) / (width |K|^2)
    exactly, with E k^2 = (4 J_2 + 8 rho J_1 + 12 rho^2 J_0) / (2 pi), J the angular functions of Cho and Saul (2009).
    """
    rho = correlations.double().clamp(-1.0, 1.0)
    angle = torch.arccos(rho)
    second = 3.0 * (1.0 - rho.square()).sqrt() * rho + (math.pi - angle) * (1.0 + 2.0 * rho.square())
    square = 2.0 * second / math.pi + 4.0 * rho * arc_cosine(rho, 1) + 6.0 * rho.square() * arc_cosine(rho, 0)
    limit = wide_relu(rho, 1).ntk[-1]
    return float(((square - limit.square()).sum() / width).sqrt() / limit.norm())
