"""Seconds of one prox and of one value, on random norms: what grows with the number of groups."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from harness.trial import Trial
from tasks.blocks.training import generator
from tasks.pruning.group_sparsity_wgsef import envelope
from tasks.pruning.group_sparsity_wgsef.penalties import GroupLasso

_STRENGTH = 0.01
"""lr lam: some of the groups saturate, some are zero, some lie between."""


def run(trial: Trial) -> Mapping[str, float]:
    """The least of `rounds` calls: the one that was disturbed least by what else the machine does."""
    params = trial.params
    norms = torch.rand(params.groups, generator=generator(trial.seed_for("norms"))).pow(3).to(trial.device)
    k = max(1, round(params.keep * params.groups))
    if trial.method == "group-lasso":
        lasso = GroupLasso(_STRENGTH, torch.ones_like(norms))
        sides: dict[str, Callable[[], object]] = {
            "prox_seconds": lambda: lasso.factors(norms, 1.0),
            "value_seconds": lambda: lasso.value(norms),
        }
    elif trial.method == "wgsef-sorted":
        sides = {"prox_seconds": lambda: sorted_factors(norms, k, _STRENGTH), "value_seconds": lambda: envelope.value_sorted(norms, k)}
    else:
        sides = {"prox_seconds": lambda: envelope.factors(norms, k, _STRENGTH), "value_seconds": lambda: envelope.value(norms, k)}
    return {name: least_seconds(side, params.rounds, trial.device) for name, side in sides.items()}


def sorted_factors(norms: Tensor, k: int, lam: float) -> Tensor:
    """The prox by a binary search over all sorted breakpoints, O(m log m): a second row tells the solver not to narrow."""
    return envelope.factors(norms.unsqueeze(0), k, lam).squeeze(0)


def least_seconds(function: Callable[[], object], rounds: int, device: str) -> float:
    """The shortest of `rounds` calls after one that is not counted."""
    times = []
    for _ in range(rounds + 1):
        _wait(device)
        started = time.perf_counter()
        function()
        _wait(device)
        times.append(time.perf_counter() - started)
    return min(times[1:])


def _wait(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
