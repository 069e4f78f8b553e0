"""Workers and a clock that exist in this process only: what a scheduler does with them is the same every time."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.plan import TrialSpec
from harness.task import Resources
from harness.worker import Context, Outcome, blank_record
from harness.workers import Cause, Died, Event, Finished, Node, Order, Ready

CONTEXT = Context(store_uri="nowhere", study="fake")
START_S = 1.0
ADDED_S = 60.0
"""How long a node takes that an autoscaler adds."""

Does = Callable[[TrialSpec, str], float | Cause | str]
"""What a trial does on the node of this id: seconds that it takes, or why its worker dies after a second, or the status it ends with."""


def trial(seed: int, seconds: float = 1.0, *, requires: str = "", method: str = "plain", limit: float = 1e6, **resources: Any) -> TrialSpec:
    """A trial of the throw-away task `misbehaving` that is expected to take some seconds."""
    return TrialSpec(
        task="misbehaving",
        version=1,
        scale="smoke",
        experiment="behave",
        method=method,
        params={},
        seed=seed,
        resources=Resources(**resources),
        expected_s=seconds,
        time_limit_s=limit,
        requires=requires,
    )


def node(id: str, cpus: float = 4, **more: float) -> Node:
    """A node named as its id."""
    return Node(id, id, {"CPU": cpus, **more})


@dataclass(eq=False)
class _Fake:
    shape: Resources
    node: str


@dataclass(kw_only=True)
class Timeline:
    """Seconds that pass from one thing that happens to the next; of two at once the one that was said first comes first."""

    now: float = 0.0
    _coming: list[tuple[float, int, Callable[[], Event | None]]] = field(default_factory=list, init=False, repr=False)
    _count: Iterator[int] = field(default_factory=itertools.count, init=False, repr=False)

    def clock(self) -> float:
        """Now."""
        return self.now

    def happens(self, second: float, what: Callable[[], Event | None]) -> None:
        """Something at a time, of which the scheduler hears where it gives an event."""
        heapq.heappush(self._coming, (second, next(self._count), what))

    def at(self, second: float, does: Callable[[], object]) -> None:
        """Something that happens to the cluster at a time."""

        def what() -> None:
            does()

        self.happens(second, what)

    def events(self, timeout_s: float) -> Sequence[Event]:
        """See `harness.workers.Workers`."""
        until = self.now + timeout_s
        found: list[Event] = []
        while self._coming and self._coming[0][0] <= (self.now if found else until):
            self.now, _, what = heapq.heappop(self._coming)
            if event := what():
                found.append(event)
        if not found:
            self.now = until
        return found


@dataclass
class FakeWorkers(Timeline):
    """Of `nodes`. `events` moves the clock on to what happens next. `log` says (second, what, trial or worker, node)."""

    cluster: list[Node]
    does: Does = lambda trial, _node: trial.expected_s
    may_add: Sequence[tuple[Node, int]] = ()
    log: list[tuple[float, str, object, str]] = field(default_factory=list)
    starts: Callable[[int, str], Cause | None] = lambda _worker, _node: None
    """Why a worker does not start on a node; None where it does."""
    alive: dict[int, _Fake] = field(default_factory=dict)
    sent: int = 0
    """Orders."""
    most: dict[str, float] = field(default_factory=dict)
    """CPUs that were ever taken of each node."""

    def nodes(self) -> Sequence[Node]:
        """See `harness.workers.Workers`."""
        return list(self.cluster)

    def addable(self) -> Sequence[tuple[Node, int]]:
        """See `Workers`."""
        return self.may_add

    def start(self, worker: int, shape: Resources, node: str | None) -> None:
        """See `Workers`."""
        if node is None:
            node = f"added {worker}"
            self.alive[worker] = _Fake(shape, node)
            self.log.append((self.now, "asked", worker, node))
            self.at(self.now + ADDED_S, lambda: self.cluster.append(Node(node, node, self.may_add[0][0].resources)))
            self.after(ADDED_S + START_S, worker, lambda: Ready(worker, node))
            return
        self.alive[worker] = _Fake(shape, node)
        for one in node.split(","):
            taken = sum(other.shape.of_node.cpus for other in self.alive.values() if one in other.node.split(","))
            self.most[one] = max(self.most.get(one, 0.0), taken)
        self.log.append((self.now, "start", worker, node))
        cause = self.starts(worker, node)
        self.after(START_S, worker, lambda: Died(worker, cause) if cause else Ready(worker, node))

    def send(self, worker: int, order: Order) -> None:
        """See `Workers`."""
        assert order.do == "trials"
        fake = self.alive[worker]
        self.sent += 1
        outcomes: list[Outcome] = []
        spent = 0.0
        for spec in order.trials:
            self.log.append((self.now + spent, "run", spec, fake.node))
            said = self.does(spec, fake.node)
            if isinstance(said, Cause):
                self.after(spent + 1.0, worker, lambda cause=said: Died(worker, cause))  # type: ignore[misc]
                return
            spent += 1.0 if isinstance(said, str) else said
            outcomes.append(outcome(spec, said, fake.node))
            if spent > order.seconds:
                break
        self.after(spent, worker, lambda: Finished(worker, outcomes))

    def kill(self, worker: int) -> None:
        """See `Workers`."""
        if fake := self.alive.pop(worker, None):
            self.log.append((self.now, "kill", worker, fake.node))

    def close(self) -> None:
        """See `Workers`."""
        self.alive.clear()

    def after(self, seconds: float, worker: int, event: Callable[[], Event]) -> None:
        """Something that happens to a worker, if it still lives then."""
        self.happens(self.now + seconds, lambda: event() if worker in self.alive else None)

    def lose(self, id: str, kind: str = "node") -> None:
        """A node goes with all that runs on it."""
        self.cluster[:] = [node for node in self.cluster if node.id != id]
        for worker in [worker for worker, fake in self.alive.items() if id in fake.node.split(",")]:
            self.after(0.0, worker, lambda worker=worker: Died(worker, Cause(kind, "its node has died")))  # type: ignore[misc,arg-type]

    def ran(self) -> Mapping[str, list[str]]:
        """The nodes that each trial ran on, by its id."""
        found: dict[str, list[str]] = {}
        for _, what, spec, where in self.log:
            if what == "run" and isinstance(spec, TrialSpec):
                found.setdefault(spec.id, []).append(where)
        return found


def outcome(spec: TrialSpec, said: float | str, where: str) -> Outcome:
    """Of a trial that took so long, or that ended so after a second."""
    seconds, status = (1.0, said) if isinstance(said, str) else (said, "ok")
    error = "" if status == "ok" else f"{status} on {where}"
    return Outcome(blank_record(spec, CONTEXT, metrics={}, status=status, error=error, seconds=seconds, host=where), [])
