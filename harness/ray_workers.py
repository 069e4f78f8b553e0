"""Ray's actors as the workers of a run."""

from __future__ import annotations

import dataclasses
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Literal

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from harness.cluster import addable, nodes, worker_environment
from harness.gang import Gang
from harness.task import Resources
from harness.worker import Context, Worker
from harness.workers import Cause, Died, Event, Finished, Node, Order, Ready

LIMBO_S = 60.0
"""How long a worker that cannot be reached may stay so until its node counts as lost."""
_ASK_S = 1.0
_Call = Literal["start", "work", "reach"]


class RayWorkers:
    """See `harness.workers.Workers`. A worker is an actor that runs trials of `context`'s study."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._class = ray.remote(_Actor)
        self._shapes: dict[Resources, dict[str, Any]] = {}
        self._handles: dict[int, Any] = {}
        self._nodes: dict[int, str] = {}
        self._known: Sequence[Node] = ()
        self._came: SimpleQueue[tuple[int, _Call, Future[Any]]] = SimpleQueue()
        self._sent: dict[int, deque[Future[Any]]] = {}
        """What each worker is to do, in its order: of two answers the later one may come first, where it needs no fetching."""
        self._limbo: dict[int, tuple[float, float]] = {}
        """Workers that cannot be reached: since when, and when they are asked again."""

    def nodes(self) -> Sequence[Node]:
        """See `Workers`. While the head does not answer, those that it named last."""
        with suppress(ray.exceptions.RayError, RuntimeError):
            self._known = nodes() or self._known
        return self._known

    def addable(self) -> Sequence[tuple[Node, int]]:
        """See `Workers`."""
        return addable()

    def start(self, worker: int, shape: Resources, node: str | None) -> None:
        """See `Workers`."""
        if node is not None:
            self._nodes[worker] = node
        if shape.world_size > 1:
            self._handles[worker] = gang = Gang(self._context, shape, node)
            self._await(worker, gang.nodes(), "start")
            return
        where: dict[str, Any] = {}
        if node is not None:
            where["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node, soft=False)
        elif shape.labels:
            where["label_selector"] = dict(shape.labels)
        actors = self._class.options(**self._options(shape), **where)
        self._handles[worker] = handle = actors.remote(dataclasses.replace(self._context, resources=shape))
        self._await(worker, handle.node.remote().future(), "start")

    def send(self, worker: int, order: Order) -> None:
        """See `Workers`."""
        handle = self._handles[worker]
        if isinstance(handle, Gang):
            answer = handle.execute(order)
        elif order.do == "go on":
            answer = handle.go_on.remote().future()
        elif order.do == "program":
            answer = handle.begin.remote(order.trials, order.pace, order.most).future()
        else:
            answer = handle.execute_all.remote(order.trials, order.packing, order.seconds).future()
        self._sent.setdefault(worker, deque()).append(answer)
        self._await(worker, answer, "work")

    def kill(self, worker: int) -> None:
        """See `Workers`."""
        handle = self._handles.pop(worker, None)
        for kept in (self._nodes, self._limbo, self._sent):
            kept.pop(worker, None)
        if isinstance(handle, Gang):
            handle.kill()
        elif handle is not None:
            ray.kill(handle)

    def events(self, timeout_s: float) -> Sequence[Event]:
        """See `Workers`."""
        found: list[Event] = []
        until = time.monotonic() + timeout_s
        for worker in [worker for worker, (_, again) in self._limbo.items() if again <= time.monotonic()]:
            self._limbo[worker] = self._limbo[worker][0], math.inf
            handle = self._handles[worker]
            self._await(worker, handle.nodes() if isinstance(handle, Gang) else handle.node.remote().future(), "reach")
        while True:
            try:
                wait = 0.0 if found else until - time.monotonic()
                worker, call, future = self._came.get(block=wait > 0, timeout=wait if wait > 0 else None)
            except Empty:
                return found
            found += self._work(worker) if call == "work" else self._events(worker, call, future)

    def _work(self, worker: int) -> Iterator[Event]:
        """What became of the orders of a worker, as far as all before them have come back."""
        while (sent := self._sent.get(worker)) and sent[0].done():
            yield from self._events(worker, "work", sent.popleft())

    def _events(self, worker: int, call: _Call, future: Future[Any]) -> list[Event]:
        # An answer of a worker that could not be reached may be that of a later order than the one which is missed: all runs again.
        if worker not in self._handles or (call == "work" and worker in self._limbo):
            return []
        event = self._event(worker, call, future)
        return [event] if event else []

    def _event(self, worker: int, call: _Call, future: Future[Any]) -> Event | None:
        try:
            found = future.result()
        except ray.exceptions.ActorUnavailableError as error:
            # Its process may be dead, its node lost, or the way to it: Ray knows which within seconds.
            now = time.monotonic()
            since, _ = self._limbo.get(worker, (now, now))
            self._limbo[worker] = since, now + _ASK_S
            return Died(worker, Cause("node", str(error))) if now - since > LIMBO_S else None
        except ray.exceptions.RayError as error:
            return Died(worker, self._cause(worker, error))
        if call == "start":
            self._nodes[worker] = found
            return Ready(worker, found)
        return Finished(worker, found) if call == "work" else Died(worker, Cause("node", "it could not be reached for a while"))

    def _cause(self, worker: int, error: Exception) -> Cause:
        said = str(error)
        if isinstance(error, ray.exceptions.RayActorError) and error.preempted:
            return Cause("preempted", said)
        if isinstance(error, ray.exceptions.ActorUnschedulableError | ray.exceptions.NodeDiedError) or "its node has died" in said:
            return Cause("node", said)
        if isinstance(error, ray.exceptions.OutOfMemoryError) or "low on memory" in said:
            return Cause("memory", said)
        alive = {node.id for node in self.nodes()}
        its = self._nodes[worker].split(",") if worker in self._nodes else []
        return Cause("process" if alive.issuperset(its) else "node", said)

    def close(self) -> None:
        """See `Workers`."""
        for worker in list(self._handles):
            self.kill(worker)

    def _options(self, shape: Resources) -> dict[str, Any]:
        if shape not in self._shapes:
            self._shapes[shape] = {
                "num_cpus": shape.cpus,
                "num_gpus": shape.gpus,
                "memory": int(shape.memory_gib * 2**30) or None,
                "resources": dict(shape.custom),
                "accelerator_type": shape.accelerator or None,
                "max_restarts": 0,
                "runtime_env": {"env_vars": worker_environment(shape)},
            }
        return self._shapes[shape]

    def _await(self, worker: int, answer: Future[Any], call: _Call) -> None:
        """What comes of a call is put where `events` finds it: waiting for a thousand calls would ask for each of them every time."""
        came: Callable[[Future[Any]], None] = lambda future: self._came.put((worker, call, future))  # noqa: E731
        answer.add_done_callback(came)


class _Actor(Worker):
    """A worker that says where it is."""

    def node(self) -> str:
        """Id of its node."""
        return str(ray.get_runtime_context().get_node_id())
