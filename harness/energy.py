"""Energy that the cards of a trial take, by NVML's counter of the whole card (Volta and later), where the trial has its cards to itself.

A share of a card has no counter, and neither has an older card: there is no number then, and never an estimated one.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from typing import Any

from harness.resources import Resources

SHORTEST_S = 1.0
"""NVML moves its counter some ten times a second: of less than this the number would be mostly chance."""


class Meter:
    """Reads the counters of some cards; of none it knows nothing."""

    def __init__(self, nvml: Any = None, cards: Sequence[Any] = ()) -> None:
        self._nvml, self._cards = nvml, cards

    def joules(self) -> float:
        """What all cards together have taken since their driver was loaded. NaN where one has no counter, or runs two processes."""
        if not self._cards:
            return math.nan
        try:
            if any(len(self._nvml.nvmlDeviceGetComputeRunningProcesses(card)) > 1 for card in self._cards):
                return math.nan
            return sum(int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(card)) for card in self._cards) / 1000
        except self._nvml.NVMLError:
            return math.nan


def between(before: float, after: float) -> float:
    """Joules between two readings; NaN where one of them is, or a counter began anew between them."""
    return after - before if after >= before else math.nan


def of_trial(joules: float, seconds: float, seconds_before: float) -> float:
    """What a trial took in an attempt of `seconds`; NaN where that is too short to say, or attempts before it took `seconds_before`."""
    return joules if seconds >= SHORTEST_S and not seconds_before else math.nan


def visible_cards() -> list[str]:
    """NVML's ids of the cards that torch sees, in torch's order. Each has a context of this process afterwards, so that NVML lists it."""
    import torch

    for index in range(torch.cuda.device_count()):
        torch.cuda.synchronize(index)
    return [f"GPU-{torch.cuda.get_device_properties(index).uuid}" for index in range(torch.cuda.device_count())]


def installed_nvml() -> Any:
    """The module `pynvml` (package nvidia-ml-py), None where it is not installed."""
    try:
        return importlib.import_module("pynvml")
    except ImportError:
        return None


def meter(
    device: str, resources: Resources, cards: Callable[[], Sequence[str]] = visible_cards, library: Callable[[], Any] = installed_nvml
) -> Meter:
    """Of the cards that this process sees, if a trial of `resources` has just these, and whole; else one that knows nothing."""
    nvml = library() if device != "cpu" else None
    found = cards() if nvml else []
    if nvml is None or len(found) != resources.gpus:
        return Meter()
    try:
        nvml.nvmlInit()
        handles = [nvml.nvmlDeviceGetHandleByUUID(card) for card in found]
    except nvml.NVMLError:
        return Meter()
    return Meter() if any(_is_split(nvml, handle) for handle in handles) else Meter(nvml, handles)


def _is_split(nvml: Any, card: Any) -> bool:
    """Whether others may have an instance of the card (MIG), whose counter is of all of them."""
    try:
        return bool(nvml.nvmlDeviceGetMigMode(card)[0])
    except nvml.NVMLError:
        return False
