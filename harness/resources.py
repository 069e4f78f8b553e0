"""What a trial occupies while it runs, and the machine that a scale was sized for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from harness.errors import TaskError

_CARD = "accelerator_type:"


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What one trial occupies while it runs, and on which machines it may. GPUs may be fractions: several trials then share a card.

    A trial of several ranks is several processes, see `harness.gang`; amounts are of the whole trial and spread evenly over them.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    accelerator: str = ""
    """Kind of card by Ray's name, such as H100 or A100-80G; any where it is empty."""
    memory_gib: float = 0.0
    """Main memory that is set aside for it; nothing is where it is 0."""
    custom: Mapping[str, float] = field(default_factory=dict)
    """Amounts of resources that the cluster's nodes were started with (`ray start --resources`)."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What the node's labels have to be (`ray start --labels`)."""
    ranks: int = 0
    """Processes that run it together; where it is 0, one for each card of several, and else one."""
    nodes: int = 1
    """Machines that the ranks are spread over."""

    def __post_init__(self) -> None:
        if self.cpus <= 0 or self.gpus < 0:
            raise TaskError(f"resources must be cpus > 0 and gpus >= 0, not {self.cpus} and {self.gpus}")
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise TaskError(f"a trial takes a fraction of one GPU or whole GPUs, not {self.gpus}")
        if self.accelerator and not self.gpus:
            raise TaskError(f"a trial that asks for a card of kind {self.accelerator} has to say how much of it: gpus=1")
        if self.memory_gib < 0 or any(amount <= 0 for amount in self.custom.values()):
            raise TaskError(f"resources must be memory_gib >= 0 and custom amounts > 0, not {self.memory_gib} and {dict(self.custom)}")
        if own := [name for name in self.custom if name in ("CPU", "GPU", "memory") or name.startswith(_CARD)]:
            raise TaskError(f"resources: {own[0]} is not custom; it is one of cpus, gpus, memory_gib and accelerator")
        if self.ranks < 0 or self.nodes < 1 or self.world_size % self.nodes:
            raise TaskError(f"a trial has as many ranks on each of its nodes, not {self.world_size} on {self.nodes}: say ranks=")
        if self.world_size > 1 and self.gpus % self.world_size:
            raise TaskError(f"each of {self.world_size} ranks takes whole GPUs, or none takes any, not {self.gpus:g} among them")

    @property
    def world_size(self) -> int:
        """How many processes run it together."""
        return self.ranks or (int(self.gpus) if self.gpus > 1 else 1)

    @property
    def of_node(self) -> Resources:
        """What it takes of each of its nodes."""
        return self if self.nodes == 1 else self._share(self.nodes)

    @property
    def of_rank(self) -> Resources:
        """What each of its processes has."""
        return self if self.world_size == 1 else self._share(self.world_size)

    def _share(self, parts: int) -> Resources:
        return replace(
            self,
            cpus=self.cpus / parts,
            gpus=self.gpus / parts,
            memory_gib=self.memory_gib / parts,
            custom={name: amount / parts for name, amount in self.custom.items()},
            ranks=self.world_size // parts,
            nodes=1,
        )

    def __hash__(self) -> int:
        named = (frozenset(self.custom.items()), frozenset(self.labels.items()))
        return hash((self.cpus, self.gpus, self.accelerator, self.memory_gib, self.ranks, self.nodes, *named))

    def __str__(self) -> str:
        said = [f"{self.cpus:g} CPU" + ("" if self.cpus == 1 else "s")]
        if self.gpus:
            said.append(f"{self.gpus:g} {self.accelerator + ' ' if self.accelerator else ''}GPU" + ("" if self.gpus <= 1 else "s"))
        said += [f"{self.memory_gib:g} GiB"] if self.memory_gib else []
        said += [f"{amount:g} {name}" for name, amount in self.custom.items()]
        said += [f"a node with {name}={value}" for name, value in self.labels.items()]
        spread = f" in {self.world_size} ranks" if self.world_size > 1 else ""
        return " + ".join(said) + spread + (f" on {self.nodes} nodes" if self.nodes > 1 else "")

    def together(self, other: Resources) -> Resources:
        """The most that either asks for; TaskError where no machine is both."""
        cards = {self.accelerator, other.accelerator} - {""}
        labels = [*self.labels.items(), *other.labels.items()]
        if len(cards) > 1 or len(dict(labels)) != len(set(labels)):
            raise TaskError(f"one trial is asked for on {self} and on {other}, and no machine is both")
        return Resources(
            cpus=max(self.cpus, other.cpus),
            gpus=max(self.gpus, other.gpus),
            accelerator=next(iter(cards), ""),
            memory_gib=max(self.memory_gib, other.memory_gib),
            custom={name: max(self.custom.get(name, 0.0), other.custom.get(name, 0.0)) for name in {**self.custom, **other.custom}},
            labels=dict(labels),
            ranks=max(self.world_size, other.world_size) if self.ranks or other.ranks else 0,
            nodes=max(self.nodes, other.nodes),
        )

    def amounts(self) -> dict[str, float]:
        """What it takes of a node by Ray's names (memory in bytes), but for GPUs, which are cards and not one amount."""
        amounts = {"CPU": self.cpus, **self.custom}
        if self.memory_gib:
            amounts["memory"] = self.memory_gib * 2**30
        if self.accelerator:
            # A node has 1 of it however many cards it has: Ray takes a thousandth for a trial.
            amounts[f"{_CARD}{self.accelerator}"] = 0.001
        return amounts


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """The machine that a scale was sized for; memory in GiB."""

    name: str
    gpus: int = 0
    gpu_gib: float = 0.0
    """Memory of one GPU."""
    cpus: int = 1
    memory_gib: float = 0.0

    def __post_init__(self) -> None:
        if self.gpus < 0 or self.cpus < 1 or self.gpu_gib < 0 or self.memory_gib < 0 or (self.gpus > 0) != (self.gpu_gib > 0):
            raise TaskError(
                f"hardware {self.name!r}: needs at least one CPU, and memory above zero for its GPUs if it has any, not {self.gpus} GPUs "
                f"of {self.gpu_gib:g} GiB, {self.cpus} CPUs and {self.memory_gib:g} GiB"
            )
