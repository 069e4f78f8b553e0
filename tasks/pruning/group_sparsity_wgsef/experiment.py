"""Runs one trial of the paper."""

from __future__ import annotations

from collections.abc import Mapping

from harness.trial import Trial


def run(trial: Trial) -> Mapping[str, float]:
    """Metrics of the trial's part."""
    from tasks.pruning.group_sparsity_wgsef import cost, quality

    return cost.run(trial) if trial.params.part == "cost" else quality.run(trial)
