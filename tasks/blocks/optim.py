"""AdamW with a learning rate and a decay for each parameter class, SGD with momentum, and the schedules of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from tasks.blocks.parametrization import ParamClass, by_class

ADAM_EPS = 1e-12
"""Gradients of matrix-like parameters shrink with the width, so a fixed eps that they come near would be one more rule of
scaling. Single precision holds sqrt(v) down to 1e-19; 1e-12 is under every gradient seen here and still forbids 0/0."""


@dataclass(frozen=True)
class Rate:
    """Peak learning rate and decoupled decay: W <- (1 - lr decay) W - lr m / (sqrt(v) + eps)."""

    lr: float
    decay: float


def adamw(
    model: nn.Module, rates: Mapping[ParamClass, Rate], *, betas: tuple[float, float] = (0.9, 0.95), eps: float = ADAM_EPS
) -> torch.optim.AdamW:
    """torch's AdamW over the classes of `model`; every class it has needs a rate. The schedule scales each group's `initial_lr`."""
    groups = [
        {"params": parameters, "lr": rates[kind].lr, "initial_lr": rates[kind].lr, "weight_decay": rates[kind].decay}
        for kind, parameters in by_class(model).items()
    ]
    return torch.optim.AdamW(groups, betas=betas, eps=eps, fused=True)


def sgd(
    model: nn.Module,
    lr: float,
    *,
    momentum: float = 0.9,
    decay: float = 0.0,
    nesterov: bool = False,
    groups: Sequence[Mapping[str, Any]] = (),
) -> torch.optim.SGD:
    """torch's SGD over all parameters of `model`, decay (an L2 penalty: coupled to the rate) on every one as in the published recipes.

    `groups` are parameter groups of their own, such as {"params": [...], "lr": 0.1, "weight_decay": 0.0}; what they hold leaves the
    common group. The schedule scales each group's `initial_lr`.
    """
    apart = [{**group, "params": list(group["params"]), "initial_lr": group.get("lr", lr)} for group in groups]
    taken = {id(parameter) for group in apart for parameter in group["params"]}
    common = [parameter for parameter in model.parameters() if id(parameter) not in taken]
    return torch.optim.SGD([{"params": common, "initial_lr": lr}, *apart], lr=lr, momentum=momentum, weight_decay=decay, nesterov=nesterov)


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up over `warmup` steps, then one of three shapes over the rest of `steps`.

    constant; cosine: down to `floor` at the last step; steps: a tenth of it from each of `milestones` (shares of all steps) on.
    """

    steps: int
    warmup: int
    shape: Literal["constant", "cosine", "steps"] = "constant"
    milestones: tuple[float, ...] = (0.5, 0.75)
    """The default is that of He et al. 2016 (32k and 48k of 64k iterations)."""
    floor: float = 0.1

    def factor(self, step: int) -> float:
        """What the peak rate is multiplied by in step 0, 1, ..., steps - 1."""
        if step < self.warmup:
            return (step + 1) / (self.warmup + 1)
        if self.shape == "constant":
            return 1.0
        if self.shape == "steps":
            return 0.1 ** sum(step >= milestone * self.steps for milestone in self.milestones)
        done = (step - self.warmup) / max(1, self.steps - 1 - self.warmup)
        return self.floor + 0.5 * (1.0 - self.floor) * (1.0 + math.cos(math.pi * done))

    def set(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        """Give every group of `optimizer` its rate for `step`."""
        factor = self.factor(step)
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor

    def total(self) -> float:
        """Sum of the factors: the length of the run in steps at the peak rate."""
        return sum(self.factor(step) for step in range(self.steps))
