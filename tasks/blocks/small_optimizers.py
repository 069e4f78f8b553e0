"""Optimizers of many members at once: their weights, gradients and moments are the rows of (members, parameters)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Step:
    """What the members' rates and decays are in a step, and how many steps each has made with this one."""

    lr: Tensor
    """(members, 1) or (members, parameters), in float64."""
    decay: Tensor
    count: float | Tensor
    """1, 2, ...; (members, 1) in float64 where members are at different steps."""


class Optimizer(Protocol):
    """One for all members of a program."""

    def state(self, weights: Tensor) -> tuple[Tensor, ...]:
        """What it remembers, at the start, each of it (members, ...)."""
        ...

    def step(self, weights: Tensor, gradient: Tensor, state: Sequence[Tensor], now: Step) -> None:
        """One step of all members in place: `weights` and `gradient` are (members, parameters)."""
        ...


@dataclass(frozen=True)
class SGD:
    """torch.optim.SGD: an L2 penalty in the gradient, heavy-ball momentum without dampening."""

    momentum: float = 0.0

    def state(self, weights: Tensor) -> tuple[Tensor, ...]:
        """The velocity, where there is momentum."""
        return (torch.zeros_like(weights),) if self.momentum else ()

    def step(self, weights: Tensor, gradient: Tensor, state: Sequence[Tensor], now: Step) -> None:
        """One step of all members in place."""
        gradient = gradient + now.decay.to(weights.dtype) * weights
        if state:
            gradient = state[0].mul_(self.momentum).add_(gradient)
        weights.sub_(now.lr.to(weights.dtype) * gradient)


@dataclass(frozen=True)
class Adam:
    """torch.optim.Adam: the decay is an L2 penalty in the gradient and goes through the moments."""

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    decoupled: bool = False

    def state(self, weights: Tensor) -> tuple[Tensor, ...]:
        """First and second moments."""
        return torch.zeros_like(weights), torch.zeros_like(weights)

    def step(self, weights: Tensor, gradient: Tensor, state: Sequence[Tensor], now: Step) -> None:
        """One step of all members in place."""
        first, second = state
        if self.decoupled:
            weights.mul_((1.0 - now.lr * now.decay).to(weights.dtype))
        else:
            gradient = gradient + now.decay.to(weights.dtype) * weights
        first.lerp_(gradient, 1.0 - self.betas[0])
        second.mul_(self.betas[1]).addcmul_(gradient, gradient, value=1.0 - self.betas[1])
        corrected = (1.0 - self.betas[1] ** now.count) ** 0.5
        root = second.sqrt().div_(corrected.to(weights.dtype) if isinstance(corrected, Tensor) else corrected).add_(self.eps)
        weights.sub_((now.lr / (1.0 - self.betas[0] ** now.count)).to(weights.dtype) * first.div(root))


def AdamW(betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8) -> Adam:  # noqa: N802 - a constructor by its usual name
    """torch.optim.AdamW: the decay shrinks the weights by 1 - lr decay and leaves the moments alone."""
    return Adam(betas, eps, decoupled=True)
