"""The metrics that every pruning method reports."""

from __future__ import annotations

from torch import nn

from harness.trial import Trial
from tasks.blocks.complexity import Shape, multiply_adds, parameters
from tasks.blocks.latency import latencies_ms
from tasks.blocks.supervised import evaluate


def costs(model: nn.Module, dense: nn.Module, shape: Shape) -> dict[str, float]:
    """multiply_adds of one image and parameters of `model`, and how they stand to the dense network's (percent)."""
    adds, of_adds = multiply_adds(model, shape), multiply_adds(dense, shape)
    numbers, of_numbers = parameters(model), parameters(dense)
    return {
        "multiply_adds": float(adds),
        "flops_reduction": 100.0 * (1.0 - adds / of_adds),
        "parameters": float(numbers),
        "parameters_kept": 100.0 * numbers / of_numbers,
    }


def measured(trial: Trial, model: nn.Module, dense: nn.Module) -> dict[str, float]:
    """Loss (nats) and accuracy (percent) on val and test, and the costs against the dense network."""
    shape = tuple(trial.dataset().shape)
    return evaluate(trial, model, "val") | evaluate(trial, model, "test") | costs(model, dense, shape)


def latencies(trial: Trial, model: nn.Module, dense: nn.Module) -> dict[str, float]:
    """Milliseconds of a batch of `params.batch` validation images, and their ratio to the dense network's, in turns."""
    inputs, _ = next(iter(trial.dataset().batches("val", trial.params.batch, trial.params.batch, trial.device)))
    taken = latencies_ms({"model": model, "dense": dense}, inputs, rounds=trial.params.rounds)
    return {"latency_ms": taken["model"], "latency_ratio": taken["model"] / taken["dense"]}
