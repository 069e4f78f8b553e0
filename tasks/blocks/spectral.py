"""Spectral norms by power iteration; Muon and Scion: steps along the polar factor of the momentum, by Newton-Schulz iterations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from kernels.sym_matmul.coefficients import Coefficients
from kernels.sym_matmul.op import newton_schulz
from tasks.blocks.shampoo import MATCHED_RMS


@torch.no_grad()
def spectral_norm(apply: Callable[[Tensor], Tensor], adjoint: Callable[[Tensor], Tensor], start: Tensor, steps: int = 200) -> float:
    """The largest singular value of a linear map, from below: power iteration on adjoint(apply(x)), begun at `start`."""
    x = start / start.norm()
    for _ in range(steps):
        x = adjoint(apply(x))
        size = x.norm()
        if not size > 0:
            return 0.0
        x = x / size
    return float(apply(x).norm())


def orthogonalize(matrix: Tensor, coefficients: Coefficients = "muon") -> Tensor:
    """Five quintics towards U V^T of `matrix` = U S V^T (Jordan et al. 2024, "Muon"), (..., rows, columns), shape and dtype kept.

    Accelerators iterate in bfloat16, as torch's Muon does; CPUs without bfloat16 arithmetic are some 50 times faster in float32.
    """
    worked = matrix.to(torch.bfloat16) if matrix.is_cuda else matrix
    return newton_schulz(worked, coefficients=coefficients).to(matrix.dtype)


class _Spectral(torch.optim.Optimizer):
    """W <- (1 - lr decay) W - lr scale(shape) orthogonalize(direction(M, G)), M the running mean of the gradient G."""

    def __init__(self, parameters: Iterable[Tensor], *, lr: float, weight_decay: float, momentum: float) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step on every matrix that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                mean = self.state[weight].setdefault("mean", torch.zeros_like(weight))
                mean.lerp_(weight.grad, 1.0 - group["momentum"])
                direction = orthogonalize(self._direction(mean, weight.grad, group["momentum"]))
                weight.mul_(1.0 - group["lr"] * group["weight_decay"])
                weight.sub_(direction * (group["lr"] * self._scale(*weight.shape)))

    def _direction(self, mean: Tensor, gradient: Tensor, momentum: float) -> Tensor:
        raise NotImplementedError

    def _scale(self, rows: int, columns: int) -> float:
        raise NotImplementedError


class Muon(_Spectral):
    """Muon with Nesterov momentum, scaled to an RMS of about 0.2 (Liu et al. 2025, arXiv 2502.16982): torch's `match_rms_adamw`."""

    def __init__(self, parameters: Iterable[Tensor], *, lr: float, weight_decay: float, momentum: float = 0.95) -> None:
        super().__init__(parameters, lr=lr, weight_decay=weight_decay, momentum=momentum)

    def _direction(self, mean: Tensor, gradient: Tensor, momentum: float) -> Tensor:
        return gradient.lerp(mean, momentum)

    def _scale(self, rows: int, columns: int) -> float:
        return MATCHED_RMS * math.sqrt(max(rows, columns))


class Scion(_Spectral):
    """Unconstrained Scion (Pethick et al. 2025, arXiv 2502.07529): the spectral-norm oracle, scaled by sqrt(rows / columns)."""

    def __init__(self, parameters: Iterable[Tensor], *, lr: float, weight_decay: float, momentum: float = 0.9) -> None:
        super().__init__(parameters, lr=lr, weight_decay=weight_decay, momentum=momentum)

    def _direction(self, mean: Tensor, _gradient: Tensor, _momentum: float) -> Tensor:
        return mean

    def _scale(self, rows: int, columns: int) -> float:
        return math.sqrt(rows / columns)
