"""How long calls take, measured so that two providers can be compared: interleaved rounds, paired ratios, ceilings of the same minute."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

Call = Callable[[], object]
_TARGET_SECONDS = 2e-3
"""Calls are repeated until one sample lasts about so long."""
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
    return max(1, min(1000, int(_TARGET_SECONDS / max(1e-7, seconds(call, device, 2)))))


def interleaved(calls: Mapping[str, Call], device: torch.device, rounds: int) -> dict[str, list[float]]:
    """Seconds a call by provider, one sample a round, in the order A B C A B C."""
    repeats = {name: repeats_for(call, device) for name, call in calls.items()}
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            samples[name].append(seconds(call, device, repeats[name]))
    return samples


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
