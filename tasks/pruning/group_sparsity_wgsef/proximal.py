"""SGD with momentum whose every step ends with an operator on the groups: a prox, a half-space projection, or a mask.

theta <- prox_{lr lam R}(theta - lr v), v <- momentum v + gradient. The prox is scaled with the step's learning rate, and the
parameters outside the groups take plain steps. Momentum is not touched by the operator, so that a group which was set to zero may come
back: such re-entries are counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from tasks.pruning.group_sparsity_wgsef.groups import Groups
from tasks.pruning.group_sparsity_wgsef.penalties import Penalty


class Operator(Protocol):
    """One whole step on the groups: calls `gradient_step` once and leaves the groups as they shall be."""

    def __call__(self, gradient_step: Callable[[], object], groups: Groups, lr: float) -> None:
        """`lr` is the rate of this step."""
        ...


@dataclass(frozen=True)
class HalfSpace:
    """The half-space step of HSPG (Chen et al. 2021), written from memory of the paper: a subgradient step of loss and penalty on the
    non-zero groups, z = x - lr (v + grad of the penalty); a group with <z_g, x_g> < eps ||x_g||^2 becomes zero, and zeros stay.
    """

    penalty: Penalty
    eps: float

    def __call__(self, gradient_step: Callable[[], object], groups: Groups, lr: float) -> None:
        """Step, subtract the penalty's gradient at the old point, then project."""
        before, norms = groups.copies(), groups.norms()
        slopes = self.penalty.slopes(norms)
        gradient_step()
        along = groups.inner(before) - lr * slopes * norms.square()
        stays = (norms > 0) & (along >= self.eps * norms.square())
        groups.scale_(stays.to(norms.dtype), plus=before, by=-lr * slopes)


@dataclass(frozen=True)
class Plain:
    """The gradient step alone."""

    def __call__(self, gradient_step: Callable[[], object], groups: Groups, lr: float) -> None:  # noqa: ARG002 - has to look like the others
        """Step."""
        gradient_step()


@dataclass(frozen=True)
class Prox:
    """The gradient step, then the prox of the penalty."""

    penalty: Penalty

    def __call__(self, gradient_step: Callable[[], object], groups: Groups, lr: float) -> None:
        """Step, then shrink."""
        gradient_step()
        groups.scale_(self.penalty.factors(groups.norms(), lr))


@dataclass(frozen=True)
class Keep:
    """The gradient step on the groups that are non-zero; the others stay zero. The same as training the smaller network."""

    def __call__(self, gradient_step: Callable[[], object], groups: Groups, lr: float) -> None:  # noqa: ARG002
        """Step, then set back to zero what momentum moved."""
        alive = groups.norms() > 0
        gradient_step()
        groups.scale_(alive.to(groups.elements.dtype))


@dataclass(frozen=True)
class Phases:
    """`first` until `switch` steps are done, then `then`. At the switch only the `k` groups an axis with the best scores stay."""

    first: Operator
    then: Operator | None = None
    switch: int = 0
    scores: Callable[[Groups], Tensor] | None = None
    k: Tensor | None = None


class ProximalSGD(torch.optim.SGD):
    """torch's SGD with the phases' operator at every step."""

    def __init__(self, model: nn.Module, groups: Groups, phases: Phases, *, lr: float, momentum: float = 0.9, decay: float = 0.0) -> None:
        alive = groups.norms() > 0
        # In the parameter group, so that a checkpoint of the optimizer holds them.
        kept = {"initial_lr": lr, "taken": 0, "alive": alive, "reentries": torch.zeros((), dtype=torch.int64, device=alive.device)}
        super().__init__([{"params": list(model.parameters()), **kept}], lr=lr, momentum=momentum, weight_decay=decay)
        self.groups, self.phases = groups, phases

    @property
    def reentries(self) -> int:
        """How often a group that was zero after one step was non-zero after the next."""
        return int(self.param_groups[0]["reentries"])

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step; the switch belongs to the last step before it. A closure has to be None: it would see groups between two operators."""
        assert closure is None
        state, phases = self.param_groups[0], self.phases
        state["taken"] += 1
        first = phases.then is None or state["taken"] <= phases.switch
        operator = phases.first if first or phases.then is None else phases.then
        operator(super().step, self.groups, float(state["lr"]))
        if phases.scores is not None and phases.k is not None and state["taken"] == phases.switch:
            chosen = self.groups.largest(phases.scores(self.groups), phases.k)
            self.groups.scale_(chosen.to(self.groups.elements.dtype))
        alive = self.groups.norms() > 0
        state["reentries"] += (alive & ~state["alive"].to(alive.device)).sum()
        state["alive"] = alive
