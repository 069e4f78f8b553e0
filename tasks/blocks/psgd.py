"""PSGD with a Kronecker-factored preconditioner (Li 2018, arXiv 1512.04202; Pooladzandi & Li 2024, arXiv 2402.11858)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

LARGEST_RMS = 1.1
"""A preconditioned gradient is clipped to this RMS: until the preconditioner has settled it may be far above one."""


class PSGDKron(torch.optim.Optimizer):
    """W <- (1 - lr decay) W - lr clip(A^T A M B^T B), with upper triangular A and B that whiten the gradient.

    M is the bias-corrected running mean of the gradient, and what the preconditioner is fitted to. A and B descend
    |A M B^T|^2 + |A^-T V B^-1|^2 on the group of triangular matrices, V a random probe from `probes`, drawn on their device; the chance
    of an update is 1 for 500 steps and falls to 0.03 as exp(-(step - 500) / 1000), taken at even intervals instead of at random.
    A and B start as `initial_scale` of the first gradient that is not zero: from the identity, gradients of 1e-2 take a hundred steps
    to come to half of the rate, those of 1e-5 thousands.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        *,
        lr: float,
        weight_decay: float,
        probes: torch.Generator,
        momentum: float = 0.9,
        preconditioner_lr: float = 0.1,
    ) -> None:
        self.probes = probes
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "preconditioner_lr": preconditioner_lr}
        super().__init__(parameters, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step on every matrix that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    update = self._update(weight, group)
                    weight.mul_(1.0 - group["lr"] * group["weight_decay"])
                    weight.sub_(group["lr"] * update)

    def _update(self, weight: Tensor, group: dict[str, Any]) -> Tensor:
        state = self.state[weight]
        if not state:
            state["step"], state["due"] = 0, 0.0
            state["mean"] = torch.zeros_like(weight)
        state["mean"].lerp_(weight.grad, 1.0 - group["momentum"])
        state["step"] += 1
        mean = state["mean"] / (1.0 - group["momentum"] ** state["step"])
        if "left" not in state:
            if not mean.any():
                return torch.zeros_like(weight)
            scale = initial_scale(mean)
            for side, size in zip(("left", "right"), weight.shape, strict=True):
                state[side] = scale * torch.eye(size, dtype=weight.dtype, device=weight.device)
        state["due"] += update_chance(state["step"] - 1)
        if state["due"] >= 1.0:
            state["due"] -= 1.0
            probe = torch.randn(weight.shape, generator=self.probes, device=self.probes.device).to(mean)
            refine(state["left"], state["right"], mean, probe, group["preconditioner_lr"])
        left, right = state["left"], state["right"]
        update: Tensor = left.T @ (left @ mean @ right.T) @ right
        return update * (LARGEST_RMS / update.square().mean().sqrt().clamp_min(LARGEST_RMS))


def initial_scale(gradient: Tensor) -> Tensor:
    """Of either factor at the start, a scalar: (mean g^2)^(-1/8), with which the preconditioned gradient has an RMS of one.

    Source: class Kron of psgd-torch 0.6.1, preconditioner_type "whitening".
    """
    largest = gradient.abs().max()
    return (largest * (gradient / largest).square().mean().sqrt()).pow(-0.25)


def update_chance(step: int) -> float:
    """How often the preconditioner is refined at a step, from 0."""
    return min(1.0, max(0.03, math.exp(-(step - 500) / 1000)))


def refine(left: Tensor, right: Tensor, gradient: Tensor, probe: Tensor, lr: float) -> None:
    """One relative-gradient step of both factors in place: Q <- Q - lr triu(X - Y) Q / |X + Y|, X and Y the two Gram matrices.

    Args:
        left: (m, m) upper triangular.
        right: (n, n) upper triangular.
        gradient: (m, n).
        probe: (m, n), standard normal.
        lr: step relative to the factor.
    """
    whitened = left @ gradient @ right.T
    inverse = torch.linalg.solve_triangular(left.T, probe, upper=False)
    inverse = torch.linalg.solve_triangular(right, inverse, upper=True, left=False)
    for factor, x, y in (
        (left, whitened @ whitened.T, inverse @ inverse.T),
        (right, whitened.T @ whitened, inverse.T @ inverse),
    ):
        size = spectral_norm_bound(x + y).clamp_min(torch.finfo(x.dtype).tiny)
        factor.sub_((lr / size) * torch.triu(x - y) @ factor)


def spectral_norm_bound(gram: Tensor) -> Tensor:
    """A lower bound of the largest eigenvalue of a symmetric positive semidefinite (n, n) matrix: one power step from its longest row."""
    row = gram[gram.square().sum(1).argmax()]
    image: Tensor = gram @ (row / row.norm().clamp_min(torch.finfo(gram.dtype).tiny))
    bound: Tensor = image.norm()
    return bound
