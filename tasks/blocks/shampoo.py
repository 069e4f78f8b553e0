"""Shampoo: the gradient between inverse fourth roots of its two Gram matrices (Gupta, Koren & Singer 2018, arXiv 1802.09568)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

MATCHED_RMS = 0.2
"""RMS of a step at a rate of one: what AdamW's steps have in practice, and what torch's Muon aims at with `match_rms_adamw`."""


class Shampoo(torch.optim.Optimizer):
    """W <- (1 - lr decay) W - lr 0.2 U / RMS(U), U = L^(-1/4) M R^(-1/4).

    M is the running mean of the gradient G, L and R those of G G^T and G^T G, as sums over a run never forget its start. The
    roots are renewed every `refresh` steps. The step has a fixed RMS: the part that grafting onto Adam plays in Distributed
    Shampoo (Shi et al. 2023, arXiv 2309.06497), without Adam's state.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        *,
        lr: float,
        weight_decay: float,
        momentum: float = 0.9,
        memory: float = 0.95,
        refresh: int = 10,
        damping: float = 1e-6,
    ) -> None:
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "memory": memory,
            "refresh": refresh,
            "damping": damping,
        }
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
                    rms = update.square().mean().sqrt().clamp_min(torch.finfo(update.dtype).tiny)
                    weight.sub_(update * (group["lr"] * MATCHED_RMS / rms))

    def _update(self, weight: Tensor, group: dict[str, Any]) -> Tensor:
        state, gradient = self.state[weight], weight.grad
        assert gradient is not None
        if not state:
            state["step"] = 0
            state["mean"] = torch.zeros_like(weight)
            for side, size in zip(("left", "right"), weight.shape, strict=True):
                state[side] = weight.new_zeros(size, size)
        state["mean"].lerp_(gradient, 1.0 - group["momentum"])
        state["left"].lerp_(gradient @ gradient.T, 1.0 - group["memory"])
        state["right"].lerp_(gradient.T @ gradient, 1.0 - group["memory"])
        if state["step"] % group["refresh"] == 0:
            for side in ("left", "right"):
                state[f"{side}_root"] = inverse_root(state[side], 4, group["damping"])
        state["step"] += 1
        update: Tensor = state["left_root"] @ state["mean"] @ state["right_root"]
        return update


def inverse_root(gram: Tensor, order: int, damping: float) -> Tensor:
    """(gram + damping * its largest eigenvalue)^(-1/order) of a symmetric (n, n) matrix, scaled so that its largest factor is one.

    The scale is free: the step is normalised afterwards, and without it gradients of 1e-6 leave single precision.
    """
    values, vectors = torch.linalg.eigh(gram)
    relative = (values / values[-1].clamp_min(torch.finfo(gram.dtype).tiny)).clamp_min(0.0) + damping
    factors = relative.pow(-1.0 / order) * math.pow(damping, 1.0 / order)
    root: Tensor = (vectors * factors) @ vectors.T
    return root
