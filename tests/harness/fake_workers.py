"""Workers and a clock that exist in this process only: what a scheduler does with them is the same every time."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
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
    """Seconds that pass from one thing that happens to the next; of two at once the one that was said first comes first.

    What the driver does takes time too: it hears late of what has happened meanwhile, and workers that have nothing to do wait for it.
    """

    now: float = 0.0
    order_s: float = 0.0
    """What an order costs the driver, with its answer."""
    record_s: float = 0.0
    """What a record costs it."""
    mute_death: bool = False
    """A worker that dies takes its last answer with it, if it gave that as the next order began."""
    _coming: list[tuple[float, int, Callable[[], Event | None]]] = field(default_factory=list, init=False, repr=False)
    _count: Iterator[int] = field(default_factory=itertools.count, init=False, repr=False)
    _orders: dict[int, deque[tuple[float, Order]]] = field(default_factory=dict, init=False, repr=False)
    """What each worker is at, and what waits behind; since when."""

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
            second, _, what = heapq.heappop(self._coming)
            self.now = max(self.now, second)
            if event := what():
                found.append(event)
        if not found:
            self.now = until
        self.now += self.record_s * sum(
            len(event.found) for event in found if isinstance(event, Finished) and isinstance(event.found, list)
        )
        return found

    def send(self, worker: int, order: Order) -> None:
        """See `harness.workers.Workers`."""
        self.now += self.order_s
        orders = self._orders.setdefault(worker, deque())
        orders.append((self.now, order))
        if len(orders) == 1:
            self._begin(worker, self.now)

    def lives(self, worker: int) -> bool:
        """Whether a worker is there."""
        raise NotImplementedError

    def work(self, worker: int, order: Order, began: float) -> tuple[float, Callable[[], Event]]:
        """What a worker does that begins an order: seconds, and what it says after them if it still lives then."""
        raise NotImplementedError

    def _begin(self, worker: int, free: float) -> bool:
        """The first order of a worker that is free from a second on; whether it dies of it."""
        sent, order = self._orders[worker][0]
        began = max(sent, free)
        seconds, event = self.work(worker, order, began)

        def what() -> Event | None:
            if not self.lives(worker):
                self._orders.pop(worker, None)
                return None
            said = event()
            self._orders[worker].popleft()
            retires = isinstance(said, Finished) and isinstance(said.found, list) and said.found[-1].retire
            if isinstance(said, Finished) and self._orders[worker] and not retires:
                dies = self._begin(worker, began + seconds)
                return None if dies and self.mute_death else said
            return said

        self.happens(began + seconds, what)
        return self.mute_death and isinstance(event(), Died)


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
    retires: Collection[str] = ()
    """Trials after which their worker should not run another."""

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
        self.sent += 1
        super().send(worker, order)

    def lives(self, worker: int) -> bool:
        """See `Timeline`."""
        return worker in self.alive

    def work(self, worker: int, order: Order, began: float) -> tuple[float, Callable[[], Event]]:
        """See `Timeline`."""
        fake = self.alive[worker]
        outcomes: list[Outcome] = []
        spent = 0.0
        for spec in order.trials:
            self.log.append((began + spent, "run", spec, fake.node))
            said = self.does(spec, fake.node)
            if isinstance(said, Cause):
                return spent + 1.0, partial(Died, worker, said)
            spent += 1.0 if isinstance(said, str) else said
            outcomes.append(replace(outcome(spec, said, fake.node), retire=spec.id in self.retires))
            if spent > order.seconds or outcomes[-1].retire:
                break
        return spent, lambda: Finished(worker, outcomes)

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
