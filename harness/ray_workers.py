"""Ray's actors as the workers of a run."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from harness.cluster import addable, nodes, worker_environment
from harness.task import Resources
from harness.worker import Context, Worker
from harness.workers import Cause, Died, Event, Finished, Node, Order, Ready


class RayWorkers:
    """See `harness.workers.Workers`. A worker is an actor that runs trials of `context`'s study."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._class = ray.remote(_Actor)
        self._shapes: dict[Resources, dict[str, Any]] = {}
        self._handles: dict[int, Any] = {}
        self._came: SimpleQueue[tuple[int, bool, Future[Any]]] = SimpleQueue()

    def nodes(self) -> Sequence[Node]:
        """See `Workers`."""
        return nodes()

    def addable(self) -> Sequence[tuple[Node, int]]:
        """See `Workers`."""
        return addable()

    def start(self, worker: int, shape: Resources, node: str | None) -> None:
        """See `Workers`."""
        where: dict[str, Any] = {}
        if node is not None:
            where["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node, soft=False)
        elif shape.labels:
            where["label_selector"] = dict(shape.labels)
        actors = self._class.options(**self._options(shape), **where)
        self._handles[worker] = handle = actors.remote(dataclasses.replace(self._context, resources=shape))
        self._await(worker, handle.node.remote(), starting=True)

    def send(self, worker: int, order: Order) -> None:
        """See `Workers`."""
        handle = self._handles[worker]
        if order.do == "go on":
            reference = handle.go_on.remote()
        elif order.do == "program":
            reference = handle.begin.remote(order.trials, order.pace, order.most)
        else:
            reference = handle.execute_all.remote(order.trials, order.packing, order.seconds)
        self._await(worker, reference)

    def kill(self, worker: int) -> None:
        """See `Workers`."""
        handle = self._handles.pop(worker, None)
        if handle is not None:
            ray.kill(handle)

    def events(self, timeout_s: float) -> Sequence[Event]:
        """See `Workers`."""
        found: list[Event] = []
        until = time.monotonic() + timeout_s
        while True:
            try:
                wait = 0.0 if found else until - time.monotonic()
                worker, starting, future = self._came.get(block=wait > 0, timeout=wait if wait > 0 else None)
            except Empty:
                return found
            if worker in self._handles:
                found.append(_event(worker, starting, future))

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

    def _await(self, worker: int, reference: Any, *, starting: bool = False) -> None:
        """What comes of a call is put where `events` finds it: waiting for a thousand calls would ask for each of them every time."""
        came: Callable[[Future[Any]], None] = lambda future: self._came.put((worker, starting, future))  # noqa: E731
        reference.future().add_done_callback(came)


class _Actor(Worker):
    """A worker that says where it is."""

    def node(self) -> str:
        """Id of its node."""
        return str(ray.get_runtime_context().get_node_id())


def _event(worker: int, starting: bool, future: Future[Any]) -> Event:
    try:
        found = future.result()
    except ray.exceptions.RayError as error:
        return Died(worker, _cause(error))
    return Ready(worker, found) if starting else Finished(worker, found)


def _cause(error: Exception) -> Cause:
    if isinstance(error, ray.exceptions.OutOfMemoryError) or "low on memory" in str(error):
        return Cause("memory", str(error))
    return Cause("process", str(error))
