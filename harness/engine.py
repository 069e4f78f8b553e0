"""Drives a study: what is left of the plan goes to an executor, what comes back goes to the ledger, whatever happens."""

from __future__ import annotations

import itertools
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace

from harness import ledger as ledgers
from harness import provenance
from harness.artifacts import Artifacts
from harness.dependencies import Dependencies
from harness.errors import ResourceError
from harness.ledger import LedgerContents
from harness.plan import TrialSpec
from harness.queue import Batch, Queue
from harness.record import Record, Status, counted
from harness.scheduler import Scheduler
from harness.sink import Observe, open_sink
from harness.stopping import Stop, Stopped
from harness.store import StudyStore
from harness.task import Resources
from harness.worker import Context, Outcome, Worker, lost

Announce = Callable[[Sequence[TrialSpec], int], None]


@dataclass(frozen=True)
class RunResult:
    """What a run left: the last record of every trial asked for, and whether it was stopped before the end."""

    records: dict[str, Record]
    executed: int
    stopped: bool


def left_to_do(store: StudyStore, trials: Sequence[TrialSpec], done: Mapping[str, Record], *, retry: bool) -> list[TrialSpec]:
    """The plan minus its records: `ok` ones always count as done, the others unless `retry`.

    A trial that is done runs again where one that is left needs it and what it kept is gone or damaged.
    """
    left = {trial.id for trial in trials if trial.id not in done or (retry and done[trial.id].status != "ok")}
    kept = Artifacts(store)
    planned = {trial.id: trial for trial in trials}
    unseen = [trial for trial in trials if trial.id in left]
    while unseen:
        needed = {trial.requires for trial in unseen} - left
        again = {id for id in needed if id in planned and done[id].status == "ok" and not kept.is_intact(id)}
        left |= again
        unseen = [planned[id] for id in again]
    return [trial for trial in trials if trial.id in left]


def run_trials(
    store: StudyStore,
    trials: Sequence[TrialSpec],
    *,
    local: bool = False,
    address: str | None = None,
    retry: bool = False,
    packs: bool = True,
    before: LedgerContents | None = None,
    stop: Stop | None = None,
    observe: Observe = lambda _record: None,
    announce: Announce = lambda _todo, _slots: None,
) -> RunResult:
    """Run what is left of `trials`, writing curves and then records as each group comes back.

    Without `packs` no two trials share a program.
    `before` is what the ledger holds, for a caller that has read it. `stop` is installed by a caller that goes on writing after a signal.
    `observe` sees every new record after it is safe; `announce` is told which trials there are to run and how many run at
    once, when that is known.
    """
    done = (before or ledgers.read(store)).records
    todo = left_to_do(store, trials, done, retry=retry)
    states = {id: record.status for id, record in done.items()}
    recorded: dict[str, Record] = {}
    stopped = False
    if todo:
        handling = nullcontext(stop) if stop else Stop().installed()
        with closing(open_sink(store, observe)) as sink, handling as stop:
            try:
                with (
                    session(local, address, stop),
                    closing(_execute(store, todo, states, stop, local=local, packs=packs, announce=announce)) as groups,
                ):
                    for outcomes in groups:
                        sink.write(outcomes)
                        recorded |= {outcome.record.trial_id: outcome.record for outcome in outcomes}
                        stop.check()
            except Stopped:
                stopped = True
            finally:
                stop.over()
    wanted = {trial.id for trial in trials}
    last = done | {id: counted(done.get(id), record) for id, record in recorded.items()}
    return RunResult({id: record for id, record in last.items() if id in wanted}, len(recorded), stopped)


@contextmanager
def session(local: bool, address: str | None, stop: Stop) -> Iterator[None]:
    """The Ray of a run, which stays as it is where there is one already; nothing for a local one."""
    if local:
        yield
        return
    from harness.cluster import ray_session

    with ray_session(address):
        stop.claim()
        stop.check()
        yield


def _execute(
    store: StudyStore,
    trials: Sequence[TrialSpec],
    states: Mapping[str, Status],
    stop: Stop,
    *,
    local: bool,
    packs: bool,
    announce: Announce,
) -> Generator[list[Outcome], None, None]:
    """Groups of outcomes. On Ray all shapes run side by side; in this process one after another."""
    shapes = list(dict.fromkeys(trial.resources for trial in trials))
    context = _context(store, trials)
    announce(trials, max(_local_slots(shape) if local else _pool_slots(shape) for shape in shapes))
    if not local:
        from harness.ray_workers import RayWorkers

        yield from Scheduler(context, _balanced(trials), states, RayWorkers(context), time.monotonic, check=stop.check, packs=packs).run()
        return
    for shape in shapes:
        group = [trial for trial in trials if trial.resources == shape]
        yield from _run_local(replace(context, resources=shape), group, states, stop, packs=packs)


def _run_local(
    context: Context, trials: Sequence[TrialSpec], states: Mapping[str, Status], stop: Stop, *, packs: bool
) -> Iterator[list[Outcome]]:
    worker, dependencies, queue = Worker(context), Dependencies(trials, states), Queue(1, packs=packs)
    queue.add(dependencies.start.released)
    given_up = deque(dependencies.start.lost)
    try:
        while queue or given_up:
            if given_up:
                groups: Iterable[list[Outcome]] = [[lost(trial, context, "failed", why)] for trial, why in [given_up.popleft()]]
            else:
                batch = queue.next(lambda: 1)
                assert batch is not None
                groups = _execute_here(worker, batch, queue, stop)
            for outcomes in groups:
                yield outcomes
                for outcome in outcomes:
                    resolved = dependencies.resolve(outcome.record.trial_id, outcome.record.status)
                    queue.add(resolved.released)
                    given_up.extend(resolved.lost)
    finally:
        worker.drop()


def _execute_here(worker: Worker, batch: Batch, queue: Queue, stop: Stop) -> Iterator[list[Outcome]]:
    """The outcomes of a batch. What a trial makes of being interrupted is not what it measures: outcomes of a signal's slice are lost."""
    if batch.program is None:
        for trial in batch.trials:
            with stop.interrupts():
                outcome = worker.execute(trial, batch.packing.get(trial.id, ""))
                if outcome.record.status == "oom":
                    outcome = worker.execute(trial, batch.packing.get(trial.id, ""))
                    outcome = replace(outcome, record=replace(outcome.record, attempts=2))
            yield [outcome]
        return
    with stop.interrupts():
        found = worker.begin(batch.trials, batch.pace, batch.most)
    if batch.pace is None:
        queue.began(batch, found)
    while True:
        ended = {outcome.record.trial_id for outcome in found.outcomes}
        batch.trials = [trial for trial in batch.trials if trial.id not in ended]
        yield list(found.outcomes)
        if not found.left:
            break
        with stop.interrupts():
            found = worker.go_on()
    if found.problem:
        queue.broke(batch, found.problem)


def _pool_slots(shape: Resources) -> int:
    from harness.cluster import slots

    return slots(shape)


def _local_slots(shape: Resources) -> int:
    cpus = os.cpu_count() or 1
    gpus = 0
    if shape.gpus:
        import torch

        gpus = torch.cuda.device_count()
    if shape.cpus > cpus or shape.gpus > gpus:
        raise ResourceError(f"a trial asks for {shape}; this machine has {cpus} CPUs + {gpus} GPUs")
    return 1


def _balanced(trials: Sequence[TrialSpec]) -> list[TrialSpec]:
    """Seed by seed, so that whole seeds finish early; the dearest trials of a seed first, so that no worker ends with one."""
    ordered: list[TrialSpec] = []
    for _, group in itertools.groupby(trials, key=lambda trial: (trial.task, trial.seed)):
        ordered += sorted(group, key=lambda trial: -trial.expected_s)
    return ordered


def _context(store: StudyStore, trials: Sequence[TrialSpec]) -> Context:
    ids = sorted({trial.task for trial in trials})
    commit, dirty = provenance.task_state(ids)
    return Context(
        store_uri=store.parent_uri,
        study=store.name,
        source_digests={id: provenance.source_digest(id) for id in ids},
        git_commit=commit,
        git_dirty=dirty,
    )
