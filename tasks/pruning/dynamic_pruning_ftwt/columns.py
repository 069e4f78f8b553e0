"""The leaderboard's columns: one number a method and seed."""

from __future__ import annotations

from harness.estimates import Mean
from harness.task import Better, Statistic
from tasks.pruning.dynamic_pruning_ftwt.estimates import TARGETS, DropAt, at

_AT_THE_LAST_TARGET: tuple[tuple[str, str, Better, str], ...] = (
    ("test_accuracy", "percent", "higher", "top-1"),
    ("flops_reduction", "percent", "higher", "reached on test images"),
    ("predicted_reduction", "percent", "none", "before training"),
    ("flops_std", "percent", "none", "over test images"),
    ("mask_accuracy", "percent", "higher", "filters as the ground truth has them"),
    ("constant_mask_accuracy", "percent", "none", "of the best mask for all inputs"),
    ("empty_layers", "percent", "lower", "layers left without a filter"),
    ("latency_ratio", "ratio", "lower", "time of a batch over the dense network's, in turns"),
)

STATISTICS = (
    *(
        Statistic(
            name=f"drop_at_{reduction}",
            estimate=DropAt(float(reduction)),
            unit="points",
            better="lower",
            description=f"accuracy lost to the dense network at a FLOPs reduction of {reduction} %, along the method's own curve",
        )
        for reduction in (60, 30)
    ),
    *(
        Statistic(
            name=name,
            estimate=Mean(name, at(TARGETS[-1])),
            unit=unit,
            better=better,
            description=f"{text}, aiming at {TARGETS[-1]:.0%}",
        )
        for name, unit, better, text in _AT_THE_LAST_TARGET
    ),
    Statistic(name="dense_accuracy", estimate=Mean("dense_accuracy", {"threshold": 0.0}), unit="percent", description="of the seed"),
)
