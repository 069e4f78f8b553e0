"""How long a forward pass takes, measured so that two networks can be compared on a machine that is not quiet."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping

import torch
from torch import Tensor, nn

_WARM_UP = 3


def latency_ms(model: nn.Module, inputs: Tensor, *, rounds: int) -> float:
    """Median milliseconds of one forward pass of `inputs` (a batch on the model's device), without gradients, in evaluation mode."""
    return latencies_ms({"model": model}, inputs, rounds=rounds)["model"]


def latencies_ms(models: Mapping[str, nn.Module], inputs: Tensor, *, rounds: int) -> dict[str, float]:
    """Median milliseconds of every model, one pass of each a round in turns, so that a slow moment of the machine hits all alike.

    Each is warmed up first; on CUDA every pass ends when the device is done. The models are left in the mode they were in.
    """
    modes = {name: model.training for name, model in models.items()}
    taken: dict[str, list[float]] = {name: [] for name in models}
    with torch.no_grad():
        for model in models.values():
            model.eval()
            for _ in range(_WARM_UP):
                _timed(model, inputs)
        for _ in range(rounds):
            for name, model in models.items():
                taken[name].append(_timed(model, inputs))
    for name, model in models.items():
        model.train(modes[name])
    return {name: 1e3 * statistics.median(seconds) for name, seconds in taken.items()}


def _timed(model: nn.Module, inputs: Tensor) -> float:
    """Seconds of one pass."""
    _synchronize(inputs.device)
    begin = time.perf_counter()
    model(inputs)
    _synchronize(inputs.device)
    return time.perf_counter() - begin


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
