"""Activations given by Hermite coefficients: their dual is a polynomial, and kernels of any depth follow from it without overflow.

For phi = sum c_k h_k in normalised probabilists' Hermite polynomials with |c| = 1 the dual is sum c_k^2 rho^k (Daniely, Frostig and Singer
2016, Lemma 11). With depth, kernels vanish or explode geometrically: they are kept as logarithms, or divided by their rate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy import optimize
from torch import Tensor


@dataclass(frozen=True)
class HermiteActivation:
    """phi = sum c_k h_k, with E[phi^2] = 1 over a standard normal."""

    coefficients: tuple[float, ...]
    """c_0, c_1, ...: c_0 = E[phi] and c_1 = E[phi']."""

    def __post_init__(self) -> None:
        if abs(sum(c * c for c in self.coefficients) - 1.0) > 1e-12:
            raise ValueError(f"Hermite coefficients of an activation with E[phi^2] = 1 have squares that sum to 1, not {self.coefficients}")

    @cached_property
    def squares(self) -> tuple[float, ...]:
        """Coefficients of the dual, by the power."""
        return tuple(c * c for c in self.coefficients)

    @cached_property
    def slopes(self) -> tuple[float, ...]:
        """Coefficients of the derivative of the dual, which is the dual of the derivative."""
        return tuple(k * square for k, square in enumerate(self.squares))[1:]

    def __call__(self, u: Tensor) -> Tensor:
        """phi(u), any shape: h_(k + 1) = (u h_k - sqrt(k) h_(k - 1)) / sqrt(k + 1)."""
        before, now = torch.zeros_like(u), torch.ones_like(u)
        value = self.coefficients[0] * now
        for k, coefficient in enumerate(self.coefficients[1:]):
            before, now = now, (u * now - math.sqrt(k) * before) / math.sqrt(k + 1)
            value = value + coefficient * now
        return value

    def dual(self, rho: Tensor) -> Tensor:
        """sum c_k^2 rho^k."""
        return _polynomial(self.squares, rho)

    def derivative(self, rho: Tensor) -> Tensor:
        """The dual of phi', sum k c_k^2 rho^(k - 1)."""
        return _polynomial(self.slopes, rho)

    @property
    def exponent(self) -> float:
        """a = -4 log A' / log B' of the singularity |x - x'|^-a of the limit kernel, A' = E[phi'], B' = E[phi'^2].

        Each layer multiplies 1 - rho by B' near 1 and rho by A'^2 near 0, and 1 - rho = |x - x'|^2 / 2 (Radhakrishnan et al. 2023).
        """
        self._needs_a_limit()
        return -2.0 * math.log(self.squares[1]) / math.log(sum(self.slopes))

    def limit_kernel(self, rho: Tensor, rest: float = 1e-12) -> Tensor:
        """psi(rho) = lim dual^L(rho) / A'^(2L) over correlations in [0, 1), any shape: Koenigs' function of the dual at 0.

        A layer multiplies psi by dual(rho) / (A'^2 rho), so nothing overflows or vanishes. It ends where every rho is below `rest`,
        the relative error left. ValueError where points coincide: there psi is infinite.
        """
        self._needs_a_limit()
        rho = rho.double().clone()
        nearest = float(rho.max()) if rho.numel() else 0.0
        if not (nearest < 1.0 and float(rho.min() if rho.numel() else 0.0) >= 0.0):
            raise ValueError(f"the limit kernel takes correlations in [0, 1), not {nearest:g}: points that coincide or point apart")
        psi, rate = rho.clone(), self.squares[1]
        while nearest > rest:
            factor = _polynomial(self.squares[1:], rho)
            rho.mul_(factor)
            psi.mul_(factor).div_(rate)
            nearest *= sum(square * nearest**k for k, square in enumerate(self.squares[1:]))
        return psi

    def log_kernels(self, log_rho: Tensor, depth: int) -> tuple[Tensor, Tensor]:
        """Logarithms of the NNGP and neural tangent kernels after `depth` hidden layers from those of positive correlations, any shape.

        The recursion of `dual_kernels.wide`.
        """
        nngp = tangent = log_rho.double()
        for _ in range(depth):
            less = torch.expm1(nngp)
            slope = _log_polynomial(self.slopes, nngp, less)
            nngp = torch.where(
                nngp > -1.0, torch.log1p(less * _polynomial(self._from_one, less)), _log_polynomial(self.squares, nngp, less)
            )
            tangent = torch.logaddexp(nngp, tangent + slope)
        return nngp, tangent

    @cached_property
    def _from_one(self) -> tuple[float, ...]:
        """Coefficients of (dual(1 + x) - 1) / x: a dual is then 1 at 1 to the bit, which else drifts away by a factor B' a layer."""
        shifted = np.polynomial.Polynomial(self.squares)(np.polynomial.Polynomial([1.0, 1.0]))
        return tuple(float(coefficient) for coefficient in shifted.coef[1:])

    def _needs_a_limit(self) -> None:
        c = [*self.squares, 0.0]
        if c[0] or not 0.0 < c[1] < 1.0:
            raise ValueError(f"a singular limit kernel needs E[phi] = 0 and 0 < E[phi']^2 < 1, not coefficients {self.coefficients}")


def singular_activation(exponent: float) -> HermiteActivation:
    """An activation whose limit kernel is singular with that exponent.

    From 2 on it is that of Radhakrishnan et al. (2023), which has B' = 2: c = (0, A, sqrt(1 - 2 A^2), A) with A = 2^(-exponent/4). Below 2
    no such three polynomials have it: here c_1^2 = s and c_k^2 = 1 - s with the smallest k > 1 + 2/exponent.
    """
    if exponent >= 2.0:
        square = 2.0 ** (-exponent / 2.0)
        return HermiteActivation((0.0, math.sqrt(square), math.sqrt(1.0 - 2.0 * square), math.sqrt(square)))
    if exponent <= 0.0:
        raise ValueError(f"the exponent of a singularity is positive, not {exponent:g}")
    power = 2.0 / exponent
    k = math.floor(1.0 + power) + 1

    def apart(s: float) -> float:
        return math.log(s + k * (1.0 - s)) + power * math.log(s)

    highest = power * k / ((k - 1) * (1.0 + power))
    s = float(optimize.brentq(apart, k ** (-1.0 / power), highest, xtol=1e-15))
    return HermiteActivation((0.0, math.sqrt(s), *(0.0,) * (k - 2), math.sqrt(1.0 - s)))


def _polynomial(coefficients: Sequence[float], x: Tensor) -> Tensor:
    """By Horner's rule, as a new tensor."""
    value = torch.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value.mul_(x).add_(coefficient)
    return value


def _log_polynomial(coefficients: Sequence[float], log_x: Tensor, less: Tensor) -> Tensor:
    """The logarithm of a polynomial without negative coefficients at x, from log x and x - 1: finite where x underflows."""
    lowest = next(k for k, coefficient in enumerate(coefficients) if coefficient)
    return lowest * log_x + _polynomial(coefficients[lowest:], less + 1.0).log_()
