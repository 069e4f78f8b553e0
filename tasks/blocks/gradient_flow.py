"""A linear teacher learned by gradient flow on squared error, mode by mode: of a sample, and in the limit of many inputs.

y = <w*, x> + e with x ~ N(0, I / N), w* ~ N(0, I) and e of variance `noise`, so that the signal has variance 1. The start is N(0, init^2).
Errors are the excess over the noise, |w - w*|^2 / N. Times are in units in which dw/dt = X^T (y - X w). Formulas: 1710.03667, Section 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tasks.blocks import marchenko_pastur


@dataclass(frozen=True)
class Modes:
    """What the start lacks and what the noise adds when it is fitted, by mode of X^T X; means over teachers, over N."""

    values: Tensor
    """(modes,): eigenvalues of the modes that the inputs reach, zeros left out."""
    lacking: Tensor
    """(modes,): square of the teacher less the start."""
    crossed: Tensor
    """(modes,): product of the teacher less the start and the fitted noise."""
    fitted: Tensor
    """(modes,): square of the fitted noise."""
    frozen: float
    """What is lacking in all directions that the inputs do not reach: no training changes it."""

    def excess(self, left: Tensor) -> Tensor:
        """(...,): error where each mode has the share `left` (..., modes) of its way before it, e^{-value t} at time t of the flow."""
        learned = 1.0 - left
        each = left.square() * self.lacking - 2.0 * left * learned * self.crossed + learned.square() * self.fitted
        return each.sum(-1) + self.frozen

    def flow(self, times: Tensor) -> Tensor:
        """(t,): error of gradient flow at times (t,)."""
        return self.excess(torch.exp(-times[:, None] * self.values))

    def course(self, horizon: float, first: float = 0.01, per_decade: int = 40) -> Tensor:
        """(t,): the same at time 0 and at log-spaced times from `first` to the horizon."""
        decades = math.log10(horizon / first)
        exponents = torch.linspace(0.0, decades, max(2, round(per_decade * decades)), dtype=torch.float64, device=self.values.device)
        return self.flow(torch.cat([exponents.new_zeros(1), first * 10**exponents]))

    def unfrozen(self) -> Modes:
        """The same without the directions that the inputs do not reach."""
        return replace(self, frozen=0.0)

    def ridge(self, ridge: float) -> Tensor:
        """(): error of min |X w - y|^2 + ridge |w - w0|^2, a way of stopping every mode at its own time; best at noise over signal."""
        return self.excess(ridge / (ridge + self.values))


def sampled(x: Tensor, teacher: Tensor, start: Tensor, noise: Tensor) -> Modes:
    """Modes of X (P, N), teachers and starts (N, k) and noises (P, k).

    With X = U s V^T: w(t) = w* - V (e^{-s^2 t} V^T (w* - w0) - (1 - e^{-s^2 t}) U^T e / s), and what is outside of V stays.
    """
    u, s, v = torch.linalg.svd(x, full_matrices=False)
    gap, count = teacher - start, teacher.numel()
    lacking, fitted = v @ gap, (u.T @ noise) / s[:, None]
    frozen = float(gap.square().sum() - lacking.square().sum()) / count if len(x) < len(teacher) else 0.0
    first, second, third = (part.sum(1) / count for part in (lacking.square(), lacking * fitted, fitted.square()))
    return Modes(s.square(), first, second, third, frozen)


def descended(x: Tensor, y: Tensor, weights: Tensor, rate: float, steps: int) -> Tensor:
    """Weights (N, k) after steps of plain gradient descent on |x w - y|^2 / 2, x (P, N), y (P, k): what modes say, without them."""
    for _ in range(steps):
        weights = weights - rate * (x.T @ (x @ weights - y))
    return weights


def limiting(aspect: float, init: float, noise: float) -> Modes:
    """Their expectation as N grows at P / N = `aspect`: quadrature over the law of Marchenko and Pastur, zero modes frozen."""
    # The entries of X have variance 1 / N, so that X^T X is P / N times a matrix of the law at ratio N / P.
    values, weights = (torch.from_numpy(part) for part in marchenko_pastur.nodes(1.0 / aspect, aspect))
    signal = 1.0 + init**2
    frozen = signal * marchenko_pastur.zero_modes(1.0 / aspect)
    return Modes(values, weights * signal, torch.zeros_like(values), weights * noise / values, frozen)


def best_time(value: Tensor, ratio: float) -> Tensor:
    """When the expected error of a mode is least: log(1 + ratio value) / value, ratio = (1 + init^2) / noise."""
    return torch.log1p(ratio * value) / value
