"""Cards for `harness.energy`: NVML's functions over counters that a test moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


class NVMLError(Exception):
    """What every function of NVML raises."""


@dataclass
class Card:
    millijoules: int = 0
    processes: int = 1
    split: bool = False
    counts: bool = True
    """Cards before Volta have no counter."""


@dataclass
class Nvml:
    """The module as far as it is read. Cards by their ids, in an order that is not torch's."""

    cards: Mapping[str, Card] = field(default_factory=dict)
    has_driver: bool = True
    NVMLError = NVMLError

    def nvmlInit(self) -> None:  # noqa: N802 - NVML's name
        if not self.has_driver:
            raise NVMLError("driver not loaded")

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Card:  # noqa: N802
        if uuid not in self.cards:
            raise NVMLError("not found")
        return self.cards[uuid]

    def nvmlDeviceGetComputeRunningProcesses(self, card: Card) -> list[int]:  # noqa: N802
        return list(range(card.processes))

    def nvmlDeviceGetMigMode(self, card: Card) -> list[int]:  # noqa: N802
        if not card.counts:
            raise NVMLError("not supported")
        return [int(card.split), 0]

    def nvmlDeviceGetTotalEnergyConsumption(self, card: Card) -> int:  # noqa: N802
        if not card.counts:
            raise NVMLError("not supported")
        return card.millijoules
