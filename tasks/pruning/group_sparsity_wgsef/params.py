"""Parameters of the task."""

from __future__ import annotations

from dataclasses import dataclass

from harness.task import param
from tasks.pruning.params import Network


@dataclass(frozen=True, kw_only=True)
class Params(Network):
    """One training at one k, or one timing of the prox. Every method trains for `dense_epochs` at `dense_lr`, as the dense network does."""

    setting: str = param(
        "filters", "what the groups are. units: of linear layers (arch mlp); filters: of convolutions", choices=("units", "filters")
    )
    part: str = param(
        "train", "train: train, truncate to k, measure; cost: seconds of prox and value on random norms", choices=("train", "cost")
    )
    keep: float = param(0.25, "share of every axis' groups to keep: k = max(1, round(keep groups))", low=1e-6, high=1.0)
    lam: float = param(0.1, "strength of the penalty; the prox takes lr lam", low=0.0, high=1e6)
    switch: float = param(
        0.5,
        "share of the steps before the second phase: half-space steps, or fine-tuning of what was kept",
        unit="of the steps",
        low=0.0,
        high=1.0,
    )
    half_space_eps: float = param(0.0, "a group turns to zero where <z, x> < eps ||x||^2", low=0.0, high=0.999)
    gains: str = param(
        "in",
        "a channel's gain and shift of BatchNorm. in: part of its group; follow: not shrunk, zero when the group is; apart: left alone",
        choices=("in", "follow", "apart"),
    )
    groups: int = param(65_536, "cost: groups m; k is keep m", unit="groups", low=2, high=100_000_000)
    rounds: int = param(
        5, "cost: timed calls (train: timed forward passes); the least of the cost part counts", unit="calls", low=3, high=1000
    )
