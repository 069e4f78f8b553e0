"""The Ray actor pool: long-lived workers of one resource shape that trials are fanned out to."""

from __future__ import annotations

import dataclasses
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray

from harness.cluster import slots, worker_environment
from harness.dependencies import Dependencies, Resolved
from harness.errors import ResourceError
from harness.pack import SLICE_SECONDS, Problem
from harness.plan import TrialSpec
from harness.queue import Batch, Queue
from harness.record import Status
from harness.shown import sentence
from harness.worker import BATCH_SECONDS, Context, Outcome, Slice, Worker, lost

MAX_BATCH = 512
MAX_ATTEMPTS = 2
GRACE_S = 10.0
"""What a batch may take beyond its work and its longest limit before its worker is killed."""
FIRST_GRACE_S = 30.0
"""The same for the first batch of a worker, which imports what the trials need."""
START_LIMIT_S = 900.0
"""How long the pool waits for its first worker: long enough for an autoscaler to bring up a node."""


@dataclass(eq=False)
class _Actor:
    handle: Any
    batch: Batch | None = None
    deadline: float = math.inf
    warm: bool = False
    """It has brought a batch back."""


@dataclass
class _Cost:
    """Running mean of seconds a trial, which sets how many travel together."""

    seconds: float = 0.0
    trials: int = 0

    def add(self, outcomes: Sequence[Outcome]) -> None:
        self.trials += len(outcomes)
        self.seconds += sum(outcome.record.seconds for outcome in outcomes)

    def batch_size(self) -> int:
        if not self.trials:
            return 1
        return max(1, min(MAX_BATCH, int(BATCH_SECONDS / max(self.seconds / self.trials, 1e-6))))


class Pool:
    """Runs trials of one shape. Iterate `run` for groups of outcomes in the order they finish.

    `recorded` are the states of trials that ran before, for those that need them; `check` is called twice a second or more and
    raises when the run is to stop; without `packs` no two trials share a program.
    """

    def __init__(
        self,
        context: Context,
        trials: Sequence[TrialSpec],
        recorded: Mapping[str, Status],
        check: Callable[[], None] = lambda: None,
        *,
        packs: bool = True,
    ) -> None:
        shape = context.resources
        self._context = context
        self._check = check
        self._size = min(slots(shape), len(trials))
        self._dependencies = Dependencies(trials, recorded)
        self._queue = Queue(self._size, packs=packs)
        self._memory_queue: deque[Batch] = deque()
        self._cost = _Cost()
        self._starting: dict[Any, _Actor] = {}
        self._running: dict[Any, _Actor] = {}
        self._idle: list[_Actor] = []
        self._actor_class = ray.remote(Worker).options(
            num_cpus=shape.cpus, num_gpus=shape.gpus, max_restarts=0, runtime_env={"env_vars": worker_environment(shape)}
        )

    def run(self) -> Iterator[list[Outcome]]:
        """Groups of outcomes as they come. Closing the iterator ends the workers."""
        try:
            if given_up := self._admit(self._dependencies.start):
                yield given_up
            for _ in range(self._size if self._queue else 0):
                self._start_actor()
            waiting_since = time.monotonic()
            while self._queue or self._memory_queue or self._running:
                self._check()
                self._assign()
                outcomes = self._collect()
                for outcome in list(outcomes):
                    outcomes += self._admit(self._dependencies.resolve(outcome.record.trial_id, outcome.record.status))
                if outcomes:
                    yield outcomes
                if self._running or self._idle:
                    waiting_since = time.monotonic()
                elif time.monotonic() - waiting_since > START_LIMIT_S:
                    raise ResourceError(f"no worker with {self._context.resources} started within {START_LIMIT_S:g} s")
        finally:
            for actor in [*self._starting.values(), *self._running.values(), *self._idle]:
                ray.kill(actor.handle)

    def _admit(self, resolved: Resolved) -> list[Outcome]:
        """Queue what may start now; the outcomes of what never will, and of what needs that."""
        self._queue.add(resolved.released)
        outcomes = [lost(trial, self._context, "failed", why) for trial, why in resolved.lost]
        for trial, _ in resolved.lost:
            outcomes += self._admit(self._dependencies.resolve(trial.id, "failed"))
        return outcomes

    def _start_actor(self) -> None:
        actor = _Actor(self._actor_class.remote(self._context))
        self._starting[actor.handle.__ray_ready__.remote()] = actor

    def _assign(self) -> None:
        while self._idle and (batch := self._next_batch()):
            self._send(self._idle.pop(), batch)

    def _send(self, actor: _Actor, batch: Batch, *, going_on: bool = False) -> None:
        actor.batch = batch
        # A worker comes back after a bounded time of work, so that only its last trial can run up to its limit.
        longest = max(trial.time_limit_s for trial in batch.trials)
        work = SLICE_SECONDS if batch.program is not None else BATCH_SECONDS
        actor.deadline = time.monotonic() + work + longest + (GRACE_S if actor.warm else FIRST_GRACE_S)
        if going_on:
            reference = actor.handle.go_on.remote()
        elif batch.program is not None:
            reference = actor.handle.begin.remote(batch.trials, batch.pace, batch.most)
        else:
            reference = actor.handle.execute_all.remote(batch.trials, batch.packing)
        self._running[reference] = actor

    def _next_batch(self) -> Batch | None:
        if any(actor.batch and actor.batch.alone for actor in self._running.values()):
            return None
        if batch := self._queue.next(self._cost.batch_size):
            return batch
        return self._memory_queue.popleft() if self._memory_queue and not self._running else None

    def _collect(self) -> list[Outcome]:
        pending = [*self._starting, *self._running]
        if not pending:
            return []
        ready, _ = ray.wait(pending, num_returns=1, timeout=0.5)
        # Everything that is ready now shares one group sync of the ledger.
        more = [reference for reference in pending if reference not in ready]
        ready += ray.wait(more, num_returns=len(more), timeout=0)[0] if more else []
        outcomes: list[Outcome] = []
        for reference in ready:
            if reference in self._starting:
                self._welcome(reference)
            else:
                outcomes += self._finish(reference)
        return outcomes + self._enforce_deadlines()

    def _welcome(self, reference: Any) -> None:
        actor = self._starting.pop(reference)
        try:
            ray.get(reference)
        except ray.exceptions.RayError as error:
            raise ResourceError(f"a worker could not start: {sentence(error)}") from error
        self._idle.append(actor)

    def _finish(self, reference: Any) -> list[Outcome]:
        actor = self._running.pop(reference)
        batch, actor.batch = actor.batch, None
        assert batch is not None
        try:
            found: list[Outcome] | Slice = ray.get(reference)
        except ray.exceptions.RayError as error:
            ray.kill(actor.handle)
            self._start_actor()
            return self._after_death(batch, error)
        actor.warm = True
        if isinstance(found, Slice):
            return self._go_on(actor, batch, found)
        self._free(actor, found[-1].retire)
        left = batch.trials[len(found) :]
        if left:
            self._queue.again(Batch(left, batch.attempt, packing=batch.packing))
        self._cost.add(found)
        return [kept for outcome in found if (kept := self._concluded(batch, outcome))]

    def _go_on(self, actor: _Actor, batch: Batch, found: Slice) -> list[Outcome]:
        """Take what a program has brought, and send its worker back to it unless it has ended."""
        if batch.pace is None:
            self._queue.began(batch, found)
        ended = {outcome.record.trial_id for outcome in found.outcomes}
        outcomes = [kept for outcome in found.outcomes if (kept := self._concluded(batch, outcome))]
        batch.trials = [trial for trial in batch.trials if trial.id not in ended]
        if found.left:
            self._send(actor, batch, going_on=True)
            return outcomes
        self._free(actor, found.retire)
        if found.problem:
            self._queue.broke(batch, found.problem)
        return outcomes

    def _free(self, actor: _Actor, retire: bool) -> None:
        if retire:
            ray.kill(actor.handle)
            self._start_actor()
        else:
            self._idle.append(actor)

    def _concluded(self, batch: Batch, outcome: Outcome) -> Outcome | None:
        """The outcome with its number of attempts; None when an out-of-memory trial gets its second chance, alone."""
        if outcome.record.status == "oom" and not batch.alone:
            trial = next(trial for trial in batch.trials if trial.id == outcome.record.trial_id)
            self._memory_queue.append(Batch([trial], batch.attempt + 1, alone=True, packing=batch.packing))
            return None
        return dataclasses.replace(outcome, record=dataclasses.replace(outcome.record, attempts=batch.attempt))

    def _after_death(self, batch: Batch, error: Exception) -> list[Outcome]:
        """A batch that killed its worker is halved until the poisonous trial is alone; that one gets a last attempt, then a record."""
        if batch.program is not None:
            self._queue.broke(batch, Problem("failed", f"the worker process died while running it: {sentence(error)}"))
            return []
        if len(batch.trials) > 1:
            middle = len(batch.trials) // 2
            for half in (batch.trials[:middle], batch.trials[middle:]):
                self._queue.again(Batch(half, batch.attempt, packing=batch.packing))
            return []
        short_of_memory = isinstance(error, ray.exceptions.OutOfMemoryError) or "low on memory" in str(error)
        if batch.attempt < MAX_ATTEMPTS:
            again = Batch(batch.trials, batch.attempt + 1, alone=short_of_memory, packing=batch.packing)
            if short_of_memory:
                self._memory_queue.append(again)
            else:
                self._queue.again(again)
            return []
        message = f"the worker process died while running this trial\n{error}"
        return [self._lost(batch, "oom" if short_of_memory else "failed", message)]

    def _enforce_deadlines(self) -> list[Outcome]:
        outcomes = []
        for reference, actor in [item for item in self._running.items() if time.monotonic() > item[1].deadline]:
            del self._running[reference]
            assert actor.batch is not None
            ray.kill(actor.handle)
            self._start_actor()
            if actor.batch.program is not None:
                self._queue.broke(actor.batch, Problem("timeout", "it ran longer than the limit of a trial and its worker was killed"))
            elif len(actor.batch.trials) > 1:
                # One by one: each further guess at who is stuck would cost its limit again.
                for trial in actor.batch.trials:
                    self._queue.again(Batch([trial], actor.batch.attempt, packing=actor.batch.packing))
            else:
                limit = actor.batch.trials[0].time_limit_s
                outcomes.append(self._lost(actor.batch, "timeout", f"ran longer than its limit of {limit:g} s and its worker was killed"))
        return outcomes

    def _lost(self, batch: Batch, status: Status, error: str) -> Outcome:
        return lost(batch.trials[0], self._context, status, error, attempts=batch.attempt)
