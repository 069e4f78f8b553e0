"""The two penalties on groups: the envelope S_k and group lasso, each with its prox as factors and its gradient as slopes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from harness.errors import UsageError
from tasks.pruning.group_sparsity_wgsef import envelope


class Penalty(Protocol):
    """lam R(theta) on groups known by their norms, (axes, groups), one R an axis."""

    def factors(self, norms: Tensor, lr: float) -> Tensor:
        """What prox_{lr lam R} multiplies the groups by."""
        ...

    def slopes(self, norms: Tensor) -> Tensor:
        """The gradient of lam R at a non-zero group is its slope times the group; 0 for groups that are zero."""
        ...

    def value(self, norms: Tensor) -> float:
        """lam R, summed over the axes."""
        ...


@dataclass(frozen=True)
class Envelope:
    """R = S_k, one an axis."""

    lam: float
    k: Tensor
    """(axes,)"""

    def __post_init__(self) -> None:
        _check(self.lam)

    def factors(self, norms: Tensor, lr: float) -> Tensor:
        """u / (u + lr lam)."""
        return envelope.factors(norms, self.k, lr * self.lam)

    def slopes(self, norms: Tensor) -> Tensor:
        """lam / u: of 1/2 min_u sum n^2 / u only the numerators move (envelope theorem)."""
        u = envelope.shares(norms, self.k).to(norms.dtype)
        return torch.where(norms > 0, self.lam / u, 0.0)

    def value(self, norms: Tensor) -> float:
        """lam S_k."""
        return self.lam * float(envelope.value(norms, self.k).sum())


@dataclass(frozen=True)
class GroupLasso:
    """R = sum_j sqrt(|s_j|) ||theta_j|| (Yuan & Lin 2006; Wen et al. 2016 for filters)."""

    lam: float
    elements: Tensor
    """|s_j|, (axes, groups)."""

    def __post_init__(self) -> None:
        _check(self.lam)

    def factors(self, norms: Tensor, lr: float) -> Tensor:
        """max(0, 1 - lr lam sqrt(|s|) / n); a group that is zero stays so."""
        return torch.where(norms > 0, (1.0 - lr * self.slopes(norms)).clamp_min(0.0), 0.0)

    def slopes(self, norms: Tensor) -> Tensor:
        """lam sqrt(|s|) / n."""
        return torch.where(norms > 0, self.lam * self.elements.sqrt() / norms, 0.0)

    def value(self, norms: Tensor) -> float:
        """lam sum sqrt(|s|) n."""
        return self.lam * float((self.elements.sqrt() * norms).sum())


def _check(lam: float) -> None:
    if not lam >= 0:
        raise UsageError(f"lam must be at or above 0, not {lam}")
