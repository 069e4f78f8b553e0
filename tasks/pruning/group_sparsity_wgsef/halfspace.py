"""The half-space step of HSPG (Chen et al. 2021): groups that the next step would turn away from where they point are set to zero.

Written from memory of the paper: x is the point, z = x - lr (v + grad of the penalty) on the groups that are non-zero; a group with
<z_g, x_g> < eps ||x_g||^2 becomes zero, and groups that are zero stay so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tasks.pruning.group_sparsity_wgsef.groups import Groups
from tasks.pruning.group_sparsity_wgsef.penalties import Penalty


@dataclass(frozen=True)
class HalfSpace:
    """A subgradient step of loss and penalty on the non-zero groups, then the projection."""

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
