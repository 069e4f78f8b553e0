"""How long a batch takes, beside the dense network on the same machine in the same moment."""

from __future__ import annotations

from torch import nn

from harness.trial import Trial
from tasks.blocks.latency import latencies_ms


def latencies(trial: Trial, model: nn.Module, dense: nn.Module) -> dict[str, float]:
    """Milliseconds of a batch of `params.batch` test images, and their ratio to the dense network's."""
    inputs, _ = next(iter(trial.dataset().batches("test", trial.params.batch, trial.params.batch)))
    taken = latencies_ms({"model": model, "dense": dense}, inputs.to(trial.device), rounds=trial.params.rounds)
    return {"latency_ms": taken["model"], "latency_ratio": taken["model"] / taken["dense"]}
