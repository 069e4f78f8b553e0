"""How every method trains after the dense network: the same epochs at the same rates."""

from __future__ import annotations

from tasks.pruning.dynamic_pruning_ftwt.params import Params
from tasks.pruning.training import Recipe

PUBLISHED = (81 / 200, 122 / 200, 151 / 200)
"""Milestones of the authors' schedule, as shares of its epochs."""


def after_dense(params: Params) -> Recipe:
    """The training of a pruned or gated network."""
    return Recipe(params.epochs, params.lr, params.schedule, milestones=PUBLISHED)  # type: ignore[arg-type]
