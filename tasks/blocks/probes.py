"""Spectra of operators that are only known by what they do to vectors, and power-law spectra."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

MatVec = Callable[[Tensor], Tensor]
"""A symmetric operator on vectors of shape (n,)."""


def lanczos(operator: MatVec, start: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Ritz values (k,) in rising order and the weights (k,) of the spectral measure of `start`, k <= steps, every vector reorthogonalised.

    The extreme values converge first; sum_i w_i f(ritz_i) is Gauss quadrature of <v, f(A) v> / <v, v>.
    """
    basis = [start / start.norm()]
    diagonal: list[Tensor] = []
    off: list[Tensor] = []
    for _ in range(steps):
        image = operator(basis[-1])
        diagonal.append(basis[-1] @ image)
        span = torch.stack(basis)
        for _ in range(2):
            image = image - span.T @ (span @ image)
        size = image.norm()
        if len(diagonal) == steps or size <= 1e-10 * torch.stack(diagonal).abs().max().clamp_min(1e-300):
            break
        off.append(size)
        basis.append(image / size)
    tridiagonal = torch.diag(torch.stack(diagonal))
    if off:
        upper = torch.diag(torch.stack(off), 1)
        tridiagonal = tridiagonal + upper + upper.T
    values, vectors = torch.linalg.eigh(tridiagonal)
    return values, vectors[0].square()


def hutchinson_trace(operator: MatVec, size: int, probes: int, generator: torch.Generator) -> tuple[float, float]:
    """Estimate of the trace and its standard error, from random signs (Hutchinson 1990); at least two probes."""
    signs = 2.0 * torch.randint(0, 2, (probes, size), generator=generator).double() - 1.0
    found = torch.stack([sign @ operator(sign) for sign in signs])
    return float(found.mean()), float(found.std() / math.sqrt(probes))


def hessian_product(loss: Callable[[Mapping[str, Tensor]], Tensor], module: nn.Module) -> tuple[MatVec, int]:
    """v -> H v of `loss(parameters)` at the module's parameters, flattened in their order, and how many there are."""
    parameters = {name: parameter.detach() for name, parameter in module.named_parameters()}
    sizes = [parameter.numel() for parameter in parameters.values()]

    def product(vector: Tensor) -> Tensor:
        parts = torch.split(vector, sizes)
        direction = {name: part.reshape(p.shape) for (name, p), part in zip(parameters.items(), parts, strict=True)}
        curved = torch.func.jvp(torch.func.grad(loss), (parameters,), (direction,))[1]
        return torch.cat([curved[name].reshape(-1) for name in parameters])

    return product, sum(sizes)


def power_law_spectrum(size: int, exponent: float) -> Tensor:
    """Eigenvalues i^(-exponent), i = 1, ..., size, scaled to a sum of 1."""
    values = torch.arange(1, size + 1, dtype=torch.float64).pow(-exponent)
    return values / values.sum()
