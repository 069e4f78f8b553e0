"""Drives a study: what is left of the plan goes to an executor, what comes back goes to the ledger, whatever happens."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace

from harness import ledger as ledgers
from harness import memory, provenance
from harness.artifacts import Artifacts
from harness.cards import on_one_kind
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
    mixed_hardware: bool = False,
    before: LedgerContents | None = None,
    stop: Stop | None = None,
    observe: Observe = lambda _record: None,
    announce: Announce = lambda _todo, _slots: None,
    say: Callable[[str], None] = lambda _: None,
) -> RunResult:
    """Run what is left of `trials`, writing curves and then records as each group comes back.

    Without `packs` no two trials share a program; with `mixed_hardware` seeds of one cell may run on different kinds of cards.
    `before` is what the ledger holds, for a caller that has read it; it grows with what is recorded.
    `stop` is installed by a caller that goes on writing after a signal.
    `observe` sees every new record after it is safe; `announce` is told which trials there are to run and how many run at
    once, when that is known; `say` what happens to nodes.
    """
    contents = before or ledgers.read(store)
    done = contents.records
    todo = left_to_do(store, trials, done, retry=retry)
    recorded: dict[str, Record] = {}
    stopped = False
    if todo:
        handling = nullcontext(stop) if stop else Stop().installed()
        with closing(open_sink(store, observe, contents)) as sink, handling as stop:
            stop.watch = sink.check
            try:
                with (
                    session(local, address, stop),
                    closing(
                        _execute(store, todo, done, stop, local=local, packs=packs, mixed=mixed_hardware, announce=announce, say=say)
                    ) as groups,
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
    done: Mapping[str, Record],
    stop: Stop,
    *,
    local: bool,
    packs: bool,
    mixed: bool,
    announce: Announce,
    say: Callable[[str], None],
) -> Generator[list[Outcome], None, None]:
    """Groups of outcomes. On Ray trials of all shapes run side by side, in this process one after another."""
    shapes = list(dict.fromkeys(trial.resources for trial in trials))
    states = {id: record.status for id, record in done.items()}
    context = _context(store, trials)
    if local:
        announce(trials, max(map(_local_slots, shapes)))
        yield from _run_local(context, trials, states, stop, packs=packs)
        return
    from harness.cluster import nodes, slots
    from harness.ray_workers import RayWorkers

    at_once = max(map(slots, shapes))
    announce(trials, at_once)
    asked = trials if mixed else on_one_kind(trials, nodes(), done.values())
    scheduler = Scheduler(
        context,
        balanced(asked, at_once),
        states,
        RayWorkers(context),
        time.monotonic,
        check=stop.check,
        say=say,
        packs=packs,
    )
    yield from scheduler.run()


def _run_local(
    context: Context, trials: Sequence[TrialSpec], states: Mapping[str, Status], stop: Stop, *, packs: bool
) -> Iterator[list[Outcome]]:
    """Shape after shape, as far as what trials need allows."""
    dependencies = Dependencies(trials, states)
    lines = {
        shape: (Worker(replace(context, resources=shape)), Queue(1, packs=packs)) for shape in {trial.resources: 1 for trial in trials}
    }
    given_up = deque(dependencies.start.lost)
    for trial in dependencies.start.released:
        lines[trial.resources][1].add([trial])
    try:
        while given_up or (line := next(((worker, queue) for worker, queue in lines.values() if queue), None)):
            if given_up:
                groups: Iterable[list[Outcome]] = [[lost(trial, context, "failed", why)] for trial, why in [given_up.popleft()]]
            else:
                assert line is not None
                worker, queue = line
                batch = queue.next(lambda _: 1)
                assert batch is not None
                groups = _execute_here(worker, batch, queue, stop)
            for outcomes in groups:
                yield outcomes
                for outcome in outcomes:
                    resolved = dependencies.resolve(outcome.record.trial_id, outcome.record.status)
                    for trial in resolved.released:
                        lines[trial.resources][1].add([trial])
                    given_up.extend(resolved.lost)
    finally:
        for worker, _ in lines.values():
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


def _local_slots(shape: Resources) -> int:
    """1; ResourceError where this machine has not what a trial asks for, or one process is not enough."""
    if shape.world_size > 1:
        raise ResourceError(f"a trial asks for {shape}, and --local runs trials in one process: leave it out")
    cards = []
    if shape.gpus:
        import torch

        cards = [torch.cuda.get_device_name(card) for card in range(torch.cuda.device_count())]
    right = [card for card in cards if shape.accelerator.partition("-")[0] in card]
    machine = memory.here([])
    short = shape.cpus > machine.cpus or shape.gpus > len(right) or (machine.memory_gib and shape.memory_gib > machine.memory_gib)
    if short or shape.custom or shape.labels:
        named = f" ({', '.join(dict.fromkeys(cards))})" if cards else ""
        has = f"{machine.cpus} CPUs + {len(cards)} GPUs{named} + {machine.memory_gib:.3g} GiB"
        raise ResourceError(f"a trial asks for {shape}; this machine has {has}")
    return 1


def balanced(trials: Sequence[TrialSpec], slots: int) -> list[TrialSpec]:
    """Seed by seed, so that whole seeds finish early; the dearest trials of a seed first, so that no worker ends with one.

    The end of the plan, as much as `slots` workers do while the dearest trial runs, goes dearest first whatever the seed: on many
    workers a seed is over in less than its dearest trial takes, and those of the last seeds would start when all else is done.
    """
    ordered: list[TrialSpec] = []
    for _, group in itertools.groupby(trials, key=lambda trial: (trial.task, trial.seed)):
        ordered += sorted(group, key=lambda trial: -trial.expected_s)
    end, work_s = len(ordered), slots * max((trial.expected_s for trial in ordered), default=0.0)
    while end and work_s > 0:
        end -= 1
        work_s -= ordered[end].expected_s
    return ordered[:end] + sorted(ordered[end:], key=lambda trial: -trial.expected_s)


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
