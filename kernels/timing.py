"""How long calls take, measured so that two providers can be compared: interleaved rounds, paired ratios, ceilings of the same minute.

On a GPU a sample is the replay of a CUDA graph of many calls, so that it is the device's time. Launched one by one from Python, most ops
here would show what Python costs: a tenth to half a millisecond a call, and all of it in the first call of a sample. That is kept too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

Call = Callable[[], object]
_TARGET_SECONDS = {"cuda": 1e-2, "cpu": 2e-3}
"""Calls are repeated until one sample lasts about so long."""
_LONGEST_CAPTURED = 5e-2
"""Calls of more seconds are not captured: the host is no part of what they take, and a graph keeps all their memory."""
_RESAMPLES = 2000


def seconds(call: Call, device: torch.device, repeats: int) -> float:
    """Mean seconds of `repeats` calls in a row."""
    if device.type == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        start.record()
        for _ in range(repeats):
            call()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end)) / 1e3 / repeats
    started = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - started) / repeats


def repeats_for(call: Call, device: torch.device) -> int:
    """How many calls make a sample; the first call, which may compile, is not counted."""
    call()
    return max(1, min(1000, int(_TARGET_SECONDS[device.type] / max(1e-7, seconds(call, device, 2)))))


def interleaved(
    calls: Mapping[str, Call], device: torch.device, rounds: int, notes: dict[str, dict[str, Any]] | None = None
) -> dict[str, list[float]]:
    """Seconds a call by provider, one sample a round, in the order A B C A B C.

    On a GPU `notes` gets, by provider, `graph` (whether its calls were captured) and `ms_launched` (a call as Python launches it).
    """
    takers: dict[str, Callable[[], float]] = {}
    for name, call in calls.items():
        repeats = repeats_for(call, device)
        takers[name] = partial(seconds, call, device, repeats)
        if device.type == "cuda":
            launched = seconds(call, device, repeats)
            graph = captured(call, repeats) if launched < _LONGEST_CAPTURED else None
            if graph is not None:
                takers[name] = partial(_replayed, graph, device, repeats)
            if notes is not None:
                notes[name] = {"graph": graph is not None, "ms_launched": 1e3 * launched}
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, take in takers.items():
            samples[name].append(take())
    return samples


def captured(call: Call, repeats: int) -> torch.cuda.CUDAGraph | None:
    """A CUDA graph of `repeats` calls that were made before; None for a call that cannot be captured, because it waits for the device."""
    graph = torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    try:
        with torch.cuda.graph(graph):
            for _ in range(repeats):
                call()
    except Exception:
        torch.cuda.synchronize()
        return None
    graph.replay()
    torch.cuda.synchronize()
    return graph


def _replayed(graph: torch.cuda.CUDAGraph, device: torch.device, repeats: int) -> float:
    return seconds(graph.replay, device, 1) / repeats


@dataclass(frozen=True)
class Ratio:
    """Median of paired ratios with a 95 % bootstrap interval over rounds."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


def ratio(slow: Sequence[float], fast: Sequence[float]) -> Ratio:
    """How many times faster `fast` is, from samples of the same rounds."""
    pairs = torch.tensor(slow, dtype=torch.float64) / torch.tensor(fast, dtype=torch.float64)
    drawn = torch.randint(len(pairs), (_RESAMPLES, len(pairs)), generator=torch.Generator().manual_seed(0))
    medians = pairs[drawn].quantile(0.5, dim=1)
    low, high = medians.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return Ratio(float(pairs.quantile(0.5)), low, high)


@dataclass(frozen=True)
class Ceilings:
    """What this device does at best right now: bytes a second of a copy (read and written), FLOPs a second of a matrix product."""

    copy: float
    matmul: float


def ceilings(device: torch.device, dtype: torch.dtype) -> Ceilings:
    """Measured on tensors far larger than any cache."""
    large = device.type == "cuda"
    source = torch.randn((1 << 28) if large else (1 << 24), device=device)
    target = torch.empty_like(source)
    copied = min(seconds(lambda: target.copy_(source), device, 3) for _ in range(5))
    side = 8192 if large else 1024
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    multiplied = min(seconds(lambda: a @ b, device, 3) for _ in range(5))
    return Ceilings(copy=2 * source.nbytes / copied, matmul=2 * side**3 / multiplied)
