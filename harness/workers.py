"""What the scheduler needs of the processes that run trials: to start, feed and end them, and to hear what becomes of them.

`harness.ray_workers` are Ray's actors; a simulation brings its own, with a clock to match.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from harness.plan import TrialSpec
from harness.probe import MOST_MEMBERS, Pace
from harness.task import Resources
from harness.worker import BATCH_SECONDS, Outcome, Slice


@dataclass(frozen=True)
class Node:
    """A machine of the cluster as it is now, or as the cluster may add it: what it has in all, by Ray's names (memory in bytes)."""

    id: str
    name: str
    """What people call it: its address."""
    resources: Mapping[str, float]
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cause:
    """Why a worker is gone."""

    kind: Literal["process", "memory", "node", "preempted"]
    """Its process ended; ran out of the machine's memory; its node is lost; its node was taken back by who lent it."""
    says: str = ""

    @property
    def of_node(self) -> bool:
        """Whether the node went, which is no fault of what ran there."""
        return self.kind in ("node", "preempted")


@dataclass(frozen=True)
class Ready:
    """A worker has started, on the node of this id."""

    worker: int
    node: str


@dataclass(frozen=True)
class Finished:
    """A worker has done what it was sent, as far as it went: outcomes of its first trials, or a slice of its program."""

    worker: int
    found: list[Outcome] | Slice


@dataclass(frozen=True)
class Died:
    """A worker is gone, while it started or while it ran what it was sent."""

    worker: int
    cause: Cause


Event = Ready | Finished | Died


@dataclass(frozen=True)
class Order:
    """What a worker is to do until it reports: trials one after another, the first slice of a program, or its next slice."""

    do: Literal["trials", "program", "go on"]
    trials: Sequence[TrialSpec]
    packing: Mapping[str, str] = field(default_factory=dict)
    seconds: float = BATCH_SECONDS
    """Of "trials": it comes back after so much work."""
    pace: Pace | None = None
    most: int = MOST_MEMBERS


class Workers(Protocol):
    """The processes of one run. The scheduler names them by numbers of its own."""

    def nodes(self) -> Sequence[Node]:
        """The cluster's nodes as they are now."""
        ...

    def addable(self) -> Sequence[tuple[Node, int]]:
        """Kinds of nodes that the cluster may add, and how many of each at most."""
        ...

    def start(self, worker: int, shape: Resources, node: str | None) -> None:
        """Start a worker on a node; on any, also one that the cluster has yet to add, where it is None. `Ready` or `Died` follows."""
        ...

    def send(self, worker: int, order: Order) -> None:
        """Give work to a worker that is ready. `Finished` or `Died` follows.

        One that is at work does it next, unless an outcome says that the worker retires: then it does nothing more. Its answers
        come in the order of its orders.
        """
        ...

    def kill(self, worker: int) -> None:
        """End a worker, whatever it does. Nothing follows."""
        ...

    def events(self, timeout_s: float) -> Sequence[Event]:
        """What has happened, in its order; waits up to `timeout_s` where nothing has yet."""
        ...

    def close(self) -> None:
        """End every worker."""
        ...
