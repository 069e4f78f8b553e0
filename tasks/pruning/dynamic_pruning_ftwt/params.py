"""Parameters of the task."""

from __future__ import annotations

from dataclasses import dataclass

from harness.task import param
from tasks.pruning.params import Network


@dataclass(frozen=True, kw_only=True)
class Params(Network):
    """A network, and how it is pruned and trained on. The defaults are laptop scale."""

    reduction: float = param(0.0, "share of the dense network's multiply-adds to save", low=0.0, high=0.99)
    threshold: float = param(
        0.0,
        "dynamic methods: share r of the heat-map mass to keep (uniform rule: of the filters to drop), as published; "
        "0: found so that the dense network's ground truth saves `reduction`",
        low=0.0,
        high=1.0,
    )
    epochs: float = param(3.0, "training after the dense network's, the same for every method", unit="epochs", low=0.0, high=10_000.0)
    lr: float = param(0.01, "its peak learning rate", low=1e-6, high=10.0)
    schedule: str = param(
        "cosine", "its shape. cosine: to 0; steps: a tenth at 81, 122 and 151 of 200", choices=("cosine", "steps", "constant")
    )
    mask_lr: float = param(0.1, "constant learning rate of the predictors, which are not decayed", low=1e-6, high=10.0)
    cooldown: float = param(0.5, "share of the epochs after which the predictors stand still", low=0.0, high=1.0)
    level_images: int = param(
        256, "training images on which the rule's level and the best constant mask are found", unit="images", low=1, high=1_000_000
    )
    rounds: int = param(5, "rounds of the latency measurement", unit="rounds", low=1, high=10_000)
