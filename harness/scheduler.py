"""Decides which worker runs which trials when: batches, deaths, deadlines, second chances. It knows no Ray and no clock of its own.

Every step costs the same however many workers and trials there are, but for the start of a worker, which looks at nodes.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence

from harness.dependencies import Dependencies, Resolved
from harness.errors import ResourceError
from harness.nodes import room, slots
from harness.pack import SLICE_SECONDS, Problem
from harness.placement import Placement
from harness.plan import TrialSpec
from harness.pool import Actor, Driver, Pool
from harness.queue import Batch, Queue
from harness.record import Status
from harness.shown import sentence
from harness.suspects import SOON_S, Suspects
from harness.task import Resources
from harness.worker import BATCH_SECONDS, Context, Outcome, Slice, lost
from harness.workers import Cause, Died, Event, Finished, Order, Ready, Workers

MAX_ATTEMPTS = 2
MAX_LOSSES = 10
"""How often the node of a trial may be lost before the trial is left for another run, without a record: it has not failed."""
MAX_STARTS = 2
"""Workers in a row that do not start on a node that lives, before it is left out."""
MAX_LOST_STARTS = 10
"""Nodes that may be lost while their workers start, as long as none has ever started."""
GRACE_S = 10.0
"""What a batch may take beyond its work and its longest limit before its worker is killed."""
FIRST_GRACE_S = 30.0
"""The same for the first batch of a worker, which imports what the trials need."""
START_LIMIT_S = 900.0
"""How long the run waits for its first worker: long enough for an autoscaler to bring up a node."""
TICK_S = 0.5
LOOK_S = 10.0
"""Between two looks at the cluster's nodes."""


class Scheduler:
    """Runs trials of any shapes side by side. Iterate `run` for groups of outcomes in the order they finish.

    `recorded` are the states of trials that ran before, for those that need them; `check` is called twice a second or more and
    raises when the run is to stop; without `packs` no two trials share a program. `clock` gives seconds, and only their differences
    count. `say` is told what people should know: a node that is left out, a trial that is left to another run.
    """

    def __init__(
        self,
        context: Context,
        trials: Sequence[TrialSpec],
        recorded: Mapping[str, Status],
        workers: Workers,
        clock: Callable[[], float],
        *,
        check: Callable[[], None] = lambda: None,
        say: Callable[[str], None] = lambda _: None,
        packs: bool = True,
    ) -> None:
        self._context, self._workers, self._clock, self._check = context, workers, clock, check
        self._say = say
        self._suspects = Suspects()
        self._dependencies = Dependencies(trials, recorded)
        self._pools: dict[Resources, Pool] = {}
        for trial in trials:
            pool = self._pools.setdefault(trial.resources, Pool(trial.resources, Queue(1, packs=packs and trial.resources.world_size == 1)))
            pool.expect([trial])
        self._open = len(trials)
        """Trials that have no outcome yet."""
        self._actors: dict[int, Actor] = {}
        self._numbers = itertools.count()
        self._deadlines: list[tuple[float, int, Actor]] = []
        self._running = 0
        self._driver, self._busy_since, self._orders = Driver(), clock(), 0
        """What a batch costs, since when it is busy, and how many it has sent since then."""
        self._lost_starts = 0
        self._next_look = -math.inf
        self._placement = Placement(list(self._pools.values()), self._start, self._end)

    def run(self) -> Iterator[list[Outcome]]:
        """Groups of outcomes as they come. Closing the iterator ends the workers."""
        try:
            outcomes = [*self._look(), *self._admit(self._dependencies.start)]
            waiting_since = self._clock()
            while True:
                if outcomes:
                    yield outcomes
                if not self._open:
                    return
                self._check()
                outcomes = self._look() if self._clock() >= self._next_look else []
                self._assign()
                self._placement.grow()
                outcomes += self._collect()
                if self._running or any(pool.idle for pool in self._pools.values()):
                    waiting_since = self._clock()
                elif self._clock() - waiting_since > START_LIMIT_S:
                    shapes = " or ".join(str(pool.shape) for pool in self._pools.values() if pool.wants(quiet=True))
                    raise ResourceError(f"no worker with {shapes} started within {START_LIMIT_S:g} s")
        finally:
            self._workers.close()

    # Nodes and workers

    def _look(self) -> list[Outcome]:
        """See which nodes there are; what was on those that are gone goes elsewhere."""
        now = self._clock()
        self._next_look = now + LOOK_S
        nodes, addable = self._workers.nodes(), self._workers.addable()
        outcomes: list[Outcome] = []
        for name in self._placement.missing(nodes):
            self._say(f"node {name} is gone: what ran on it runs again")
        for actor in self._placement.see(nodes, addable):
            outcomes += self._died(actor, Cause("node", "its node is gone"))
        for pool in self._pools.values():
            at_once = max(room(pool.shape, nodes, addable)) if pool.came_up or self._lost_starts else slots(pool.shape, nodes, addable)
            pool.queue.workers = max(1, min(at_once, pool.open))
        if self._placement.several:
            for actor in [actor for actor in self._actors.values() if now - actor.since > SOON_S]:
                if actor.batch and actor.site:
                    self._went_well(actor.site.node.id, actor.batch.trials[0])
        self._placement.dismiss(now)
        return outcomes

    def _start(self, pool: Pool, node: str | None) -> Actor:
        actor = Actor(next(self._numbers), pool)
        self._actors[actor.id] = actor
        self._workers.start(actor.id, pool.shape, node)
        return actor

    def _end(self, actor: Actor) -> None:
        """Kill a worker and give its room back."""
        self._workers.kill(actor.id)
        self._forget(actor)

    def _forget(self, actor: Actor) -> None:
        del self._actors[actor.id]
        self._rest(actor)
        if actor.behind:
            # It may have begun, and be what killed the worker before that could say so: it does not wait behind another again.
            self._again(actor.pool, actor.behind)
            actor.behind = None
        actor.deadline = math.inf
        self._placement.leave(actor)

    def _welcome(self, actor: Actor, node: str) -> None:
        actor.pool.came_up = True
        if not self._placement.arrive(actor, node):
            # It is on a node that has joined since the last look. One that is gone again is heard of as such.
            self._next_look = -math.inf
            self._placement.see(self._workers.nodes(), self._workers.addable())
            if not self._placement.arrive(actor, node):
                self._end(actor)

    # Work

    def _admit(self, resolved: Resolved) -> list[Outcome]:
        """Queue what may start now; the outcomes of what never will, and of what needs that."""
        for trial in resolved.released:
            self._pools[trial.resources].queue.add([trial])
        self._placement.stale |= bool(resolved.released)
        outcomes: list[Outcome] = []
        given_up = deque(resolved.lost)
        while given_up:
            trial, why = given_up.popleft()
            outcomes.append(self._settled(trial, lost(trial, self._context, "failed", why)))
            given_up.extend(self._dependencies.resolve(trial.id, "failed").lost)
        return outcomes

    def _settled(self, trial: TrialSpec, outcome: Outcome) -> Outcome:
        self._open -= 1
        self._pools[trial.resources].expect([trial], -1)
        return outcome

    def _assign(self) -> None:
        for pool in self._pools.values():
            for batch in list(pool.elsewhere):
                if actor := self._placement.available(pool, avoid=batch.avoid):
                    pool.elsewhere.remove(batch)
                    pool.idle.remove(actor)
                    self._send(actor, batch, BATCH_SECONDS)
            while (actor := self._placement.available(pool)) and (found := pool.next(self._driver, len(self._actors))):
                pool.idle.remove(actor)
                self._send(actor, *found)
            self._follow(pool)
        if any(pool.memory_queue for pool in self._pools.values()) and self._placement.quiet:
            for pool in self._pools.values():
                while pool.memory_queue and (actor := self._placement.available(pool, empty=True)):
                    pool.idle.remove(actor)
                    for site, _ in actor.places:
                        site.alone = True
                    self._send(actor, pool.memory_queue.popleft(), SLICE_SECONDS)
        if not self._running and not any(pool.starting for pool in self._pools.values()) and not self._placement.stale:
            self._trust()

    def _follow(self, pool: Pool) -> None:
        """Short trials wait where a worker is at others, so that it does not wait for its driver."""
        while actor := next(iter(pool.unfollowed), None):
            feeds = self._placement.feeds(actor)
            found = pool.following(self._driver, len(self._actors)) if feeds else None
            if feeds and not found:
                return
            del pool.unfollowed[actor]
            if found:
                actor.behind, actor.behind_s = found
                self._order(actor, Order("trials", actor.behind.trials, actor.behind.packing, actor.behind_s))

    def _trust(self) -> None:
        """Nothing runs and nothing can start: trials that wait for a better node run where they can."""
        self._suspects.give_up()
        self._placement.pause(set())
        for pool in self._pools.values():
            for batch in pool.elsewhere:
                batch.avoid = frozenset()
            self._placement.stale |= bool(pool.elsewhere)

    def _send(self, actor: Actor, batch: Batch, work_s: float, *, going_on: bool = False) -> None:
        self._at_work(actor, batch, work_s)
        if going_on:
            order = Order("go on", batch.trials)
        elif batch.program is not None:
            order = Order("program", batch.trials, pace=batch.pace, most=batch.most)
        else:
            order = Order("trials", batch.trials, batch.packing, work_s)
        self._order(actor, order)

    def _order(self, actor: Actor, order: Order) -> None:
        self._orders += 1
        self._workers.send(actor.id, order)

    def _at_work(self, actor: Actor, batch: Batch, work_s: float) -> None:
        """A worker is at a batch from now on."""
        actor.batch, actor.spare_since, actor.since = batch, math.inf, self._clock()
        self._running += 1
        for site, _ in actor.places:
            site.running += 1
        # A worker comes back after a bounded time of work, so that only its last trial can run up to its limit.
        longest = max(trial.time_limit_s for trial in batch.trials)
        actor.deadline = self._clock() + work_s + longest + (GRACE_S if actor.warm else FIRST_GRACE_S)
        if len(self._deadlines) > 2 * len(self._actors) + 64:
            self._deadlines = [(other.deadline, next(self._numbers), other) for other in self._actors.values() if other.deadline < math.inf]
            heapq.heapify(self._deadlines)
        heapq.heappush(self._deadlines, (actor.deadline, next(self._numbers), actor))
        if batch.fresh and actor.pool.is_short(batch, work_s):
            actor.pool.unfollowed[actor] = None

    def _rest(self, actor: Actor) -> Batch | None:
        """Take its batch from a worker."""
        batch, actor.batch, actor.deadline, actor.since = actor.batch, None, math.inf, math.inf
        actor.pool.unfollowed.pop(actor, None)
        if batch:
            self._running -= 1
            for site, _ in actor.places:
                site.running -= 1
                site.alone = False
        return batch

    def _collect(self) -> list[Outcome]:
        """What has happened, and the outcomes in it. Everything that is there now shares one group sync of the ledger."""
        outcomes: list[Outcome] = []
        if self._orders:
            self._driver.add(self._clock() - self._busy_since, self._orders)
        events = self._workers.events(TICK_S)
        self._busy_since, self._orders = self._clock(), 0
        for event in events:
            outcomes += self._heard(event)
        outcomes += self._enforce_deadlines()
        for outcome in list(outcomes):
            outcomes += self._admit(self._dependencies.resolve(outcome.record.trial_id, outcome.record.status))
        return outcomes

    def _heard(self, event: Event) -> list[Outcome]:
        actor = self._actors.get(event.worker)
        if actor is None:
            return []
        match event:
            case Ready(_, node):
                self._welcome(actor, node)
                return []
            case Finished(_, found):
                return self._finish(actor, found)
            case Died(_, cause):
                return self._died(actor, cause)

    def _finish(self, actor: Actor, found: list[Outcome] | Slice) -> list[Outcome]:
        batch = self._rest(actor)
        assert batch is not None
        actor.warm = True
        if isinstance(found, Slice):
            return self._go_on(actor, batch, found)
        self._put_back(actor.pool, batch, batch.trials[len(found) :])
        actor.pool.cost.add(batch.trials, found)
        ended = zip(batch.trials, found, strict=False)
        outcomes = [kept for trial, outcome in ended if (kept := self._concluded(actor, batch, trial, outcome))]
        if actor.behind and not found[-1].retire:
            follows, actor.behind = actor.behind, None
            self._at_work(actor, follows, actor.behind_s)
        else:
            self._placement.free(actor, retire=found[-1].retire)
        return outcomes

    def _put_back(self, pool: Pool, batch: Batch, left: Sequence[TrialSpec]) -> None:
        """What a worker did not come to, because the others took longer than they seemed to: not for one worker, one by one."""
        if batch.attempt == 1 and not (batch.losses or batch.avoid or batch.alone):
            pool.queue.put_back(left)
            self._placement.stale |= bool(left)
            return
        for trial in left:
            self._again(pool, dataclasses.replace(batch, trials=[trial]))

    def _go_on(self, actor: Actor, batch: Batch, found: Slice) -> list[Outcome]:
        """Take what a program has brought, and send its worker back to it unless it has ended."""
        if batch.pace is None:
            actor.pool.queue.began(batch, found)
            self._placement.stale = True
        members = {trial.id: trial for trial in batch.trials}
        outcomes = []
        for outcome in found.outcomes:
            trial = members.pop(outcome.record.trial_id)
            if kept := self._concluded(actor, batch, trial, outcome):
                outcomes.append(kept)
        batch.trials = list(members.values())
        if found.left:
            self._send(actor, batch, SLICE_SECONDS, going_on=True)
            return outcomes
        self._placement.free(actor, retire=found.retire)
        if found.problem:
            self._broke(actor.pool, batch, found.problem)
        return outcomes

    def _concluded(self, actor: Actor, batch: Batch, trial: TrialSpec, outcome: Outcome) -> Outcome | None:
        """The outcome with its number of attempts; None when the trial runs again: out of memory, or maybe for its node's reasons."""
        status, pool = outcome.record.status, actor.pool
        if status == "oom" and not batch.alone:
            pool.memory_queue.append(Batch([trial], batch.attempt + 1, batch.losses, alone=True, packing=batch.packing))
            self._placement.stale = True
            return None
        attempts = batch.attempt + batch.losses
        if actor.site is not None and self._placement.several:
            node = actor.site.node.id
            if status == "failed" and outcome.record.seconds < SOON_S:
                others = {site.node.id for site in pool.sites}
                avoid = self._suspects.failed(node, trial, others)
                self._placement.pause(self._suspects.paused)
                if avoid is not None:
                    pool.elsewhere.append(Batch([trial], batch.attempt + 1, batch.losses, avoid, packing=batch.packing))
                    self._placement.stale = True
                    return None
            elif status != "failed":
                self._went_well(node, trial)
        return self._settled(trial, dataclasses.replace(outcome, record=dataclasses.replace(outcome.record, attempts=attempts)))

    def _went_well(self, node: str, trial: TrialSpec) -> None:
        for blamed in self._suspects.fine(node, trial):
            self._leave_out(blamed, f"trials of {trial.task} that failed on it went well on others")
        self._placement.pause(self._suspects.paused)

    def _leave_out(self, node: str, why: str) -> None:
        if self._placement.leave_out(node):
            self._say(f"node {self._placement.name(node)} gets no more trials: {why}")

    def _again(self, pool: Pool, batch: Batch) -> None:
        if batch.alone:
            pool.memory_queue.append(batch)
        else:
            pool.queue.again(batch)
        self._placement.stale = True

    def _broke(self, pool: Pool, batch: Batch, problem: Problem) -> None:
        pool.queue.broke(batch, problem)
        self._placement.stale = True

    # Ends of workers

    def _died(self, actor: Actor, cause: Cause) -> list[Outcome]:
        batch, started = self._rest(actor), actor.ready
        self._workers.kill(actor.id)
        self._forget(actor)
        if not started:
            self._not_started(actor, cause)
        return self._after_death(actor.pool, batch, cause) if batch else []

    def _not_started(self, actor: Actor, cause: Cause) -> None:
        """Elsewhere, or on this node once more. ResourceError where no worker ever started and it has been tried often enough."""
        pool, site = actor.pool, actor.site
        if cause.of_node:
            self._lost_starts += 1
            self._next_look = -math.inf
            if self._lost_starts > MAX_LOST_STARTS and not any(other.came_up for other in self._pools.values()):
                raise ResourceError(f"no worker could start: {self._lost_starts} were lost with their nodes, the last one: {cause.says}")
            return
        if site is None:
            pool.failed_starts += 1
        else:
            site.failed_starts += 1
            if site.failed_starts >= MAX_STARTS and len(pool.sites) + pool.addable > 1:
                self._leave_out(site.node.id, f"a worker could not start on it: {sentence(cause.says)}")
        failed = pool.failed_starts if site is None else site.failed_starts
        if failed >= MAX_STARTS and (site is None or site in pool.sites or not (pool.sites or pool.addable)):
            raise ResourceError(f"a worker could not start: {sentence(cause.says)}")

    def _after_death(self, pool: Pool, batch: Batch, cause: Cause) -> list[Outcome]:
        """A batch that killed its worker is halved until the poisonous trial is alone; that one gets a last attempt, then a record.

        Where its node is lost it runs again as it was.
        """
        if cause.of_node:
            if batch.losses >= MAX_LOSSES:
                self._leave(batch.trials)
            else:
                batch.losses += 1
                (pool.memory_queue.append if batch.alone else pool.queue.lost)(batch)
                self._next_look = -math.inf
                self._placement.stale = True
            return []
        if batch.program is not None:
            self._broke(pool, batch, Problem("failed", f"the worker process died while running it: {sentence(cause.says)}"))
            return []
        if len(batch.trials) > 1:
            middle = len(batch.trials) // 2
            for half in (batch.trials[:middle], batch.trials[middle:]):
                self._again(pool, dataclasses.replace(batch, trials=half))
            return []
        if batch.attempt < MAX_ATTEMPTS:
            self._again(pool, dataclasses.replace(batch, attempt=batch.attempt + 1, alone=cause.kind == "memory"))
            return []
        message = f"the worker process died while running this trial\n{cause.says}"
        return [self._lost(batch, "oom" if cause.kind == "memory" else "failed", message)]

    def _leave(self, trials: Sequence[TrialSpec]) -> None:
        """Trials that this run does not end, and those that need them: none of them has a record."""
        left = deque(trials)
        self._say(f"trial {trials[0].id} ({trials[0].method}, seed {trials[0].seed}) is left to another run: its nodes were lost")
        while left:
            trial = left.popleft()
            self._open -= 1
            self._pools[trial.resources].expect([trial], -1)
            left.extend(trial for trial, _ in self._dependencies.resolve(trial.id, "failed").lost)

    def _enforce_deadlines(self) -> list[Outcome]:
        outcomes, now = [], self._clock()
        while self._deadlines and self._deadlines[0][0] < now:
            deadline, _, actor = heapq.heappop(self._deadlines)
            if actor.deadline != deadline:
                continue
            batch = self._rest(actor)
            assert batch is not None
            self._end(actor)
            if batch.program is not None:
                self._broke(actor.pool, batch, Problem("timeout", "it ran longer than the limit of a trial and its worker was killed"))
            elif len(batch.trials) > 1:
                # One by one: each further guess at who is stuck would cost its limit again.
                for trial in batch.trials:
                    self._again(actor.pool, dataclasses.replace(batch, trials=[trial]))
            else:
                limit = batch.trials[0].time_limit_s
                outcomes.append(self._lost(batch, "timeout", f"ran longer than its limit of {limit:g} s and its worker was killed"))
        return outcomes

    def _lost(self, batch: Batch, status: Status, error: str) -> Outcome:
        return self._settled(batch.trials[0], lost(batch.trials[0], self._context, status, error, attempts=batch.attempt + batch.losses))
