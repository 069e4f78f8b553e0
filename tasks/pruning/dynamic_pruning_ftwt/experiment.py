"""Runs one trial of the paper."""

from __future__ import annotations

from collections.abc import Mapping

from harness.errors import UsageError
from harness.trial import Trial


def run(trial: Trial) -> Mapping[str, float]:
    """Metrics of the trial's method."""
    from tasks.pruning.dense import DENSE, train_dense
    from tasks.pruning.dynamic_pruning_ftwt import dynamic, static
    from tasks.pruning.dynamic_pruning_ftwt.designs import GATED
    from tasks.pruning.measure import latencies

    if trial.params.arch == "mlp":
        raise UsageError("this paper switches convolutional filters, and an mlp has none: choose another arch")
    if trial.method == DENSE:
        model, metrics = train_dense(trial)
        return metrics | {"accuracy_drop": 0.0} | latencies(trial, model, model)
    return dynamic.run(trial) if trial.method in GATED else static.run(trial)
