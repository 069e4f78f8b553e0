"""Each method as the operators that its training steps end with."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.trial import Trial
from tasks.blocks.training import generator
from tasks.pruning.group_sparsity_wgsef.groups import Groups
from tasks.pruning.group_sparsity_wgsef.halfspace import HalfSpace
from tasks.pruning.group_sparsity_wgsef.penalties import Envelope, GroupLasso, Penalty
from tasks.pruning.group_sparsity_wgsef.proximal import Keep, Phases, Plain, Prox


def penalty(trial: Trial, groups: Groups, k: Tensor) -> Penalty | None:
    """The method's penalty, None where it has none."""
    if trial.method.startswith("wgsef"):
        return Envelope(trial.params.lam, k)
    return GroupLasso(trial.params.lam, groups.elements) if trial.method in ("group-lasso", "hspg") else None


def phases(trial: Trial, penalised: Penalty | None, k: Tensor, steps: int) -> Phases:
    """What the steps of a method do to the groups; `steps` is the length of the whole training."""
    switch = round(trial.params.switch * steps)
    first = Plain() if penalised is None else Prox(penalised)
    if trial.method.endswith("hspg"):
        assert penalised is not None
        return Phases(first, HalfSpace(penalised, trial.params.half_space_eps), switch)
    if trial.method.endswith("finetune"):
        return Phases(first, Keep(), switch, random_scores(trial) if trial.method == "random-finetune" else Groups.norms, k)
    return Phases(first)


def random_scores(trial: Trial) -> _Random:
    """Scores that depend on the seed alone."""
    return _Random(trial.seed_for("random groups"))


class _Random:
    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, groups: Groups) -> Tensor:
        return torch.rand(groups.elements.shape, generator=generator(self.seed)).to(groups.elements.device)
