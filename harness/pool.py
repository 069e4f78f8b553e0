"""What waits and works of one resource shape."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from harness.nodes import Site
from harness.plan import TrialSpec
from harness.queue import Batch, Queue
from harness.task import Resources
from harness.worker import BATCH_SECONDS, Outcome

MAX_BATCH = 512
MOST_BATCH_S = 30.0


@dataclass
class Cost:
    """What trials take, by what was expected of them, which sets how many travel together."""

    seconds: float = 0.0
    trials: int = 0
    foreseen_s: float = 0.0
    """Seconds of those of which some were expected."""
    expected_s: float = 0.0

    def add(self, trials: Sequence[TrialSpec], outcomes: Sequence[Outcome]) -> None:
        """Count what has ended: outcomes of the first of the trials."""
        for trial, outcome in zip(trials, outcomes, strict=False):
            self.trials += 1
            self.seconds += outcome.record.seconds
            if trial.expected_s:
                self.foreseen_s += outcome.record.seconds
                self.expected_s += trial.expected_s

    def of(self, trial: TrialSpec) -> float:
        """Seconds that a trial seems to take; without end where nothing tells."""
        if trial.expected_s:
            return trial.expected_s * (self.foreseen_s / self.expected_s if self.expected_s else 1.0)
        return self.seconds / self.trials if self.trials else math.inf

    def fitting(self, trials: Iterable[TrialSpec], work_s: float) -> int:
        """How many of the trials, from the first on, seem to be `work_s` seconds of work; at least one."""
        left, count = work_s, 0
        for trial in trials:
            left -= self.of(trial)
            if left < 0 or count == MAX_BATCH:
                break
            count += 1
        return max(1, count)


@dataclass
class Driver:
    """What a batch costs the driver of a run, with all that it does with the records; measured, from a guess on."""

    seconds: float = 0.04
    batches: float = 20.0

    def add(self, seconds: float, batches: int) -> None:
        """It was busy so long with so many."""
        self.seconds += seconds
        self.batches += batches
        if self.batches > 1000:
            self.seconds, self.batches = self.seconds / 2, self.batches / 2

    @property
    def every_s(self) -> float:
        """Seconds from one batch to the next where half of its time is enough for them."""
        return 2 * self.seconds / self.batches

    def work_s(self, workers: int) -> float:
        """Seconds of work after which a worker comes back."""
        return min(MOST_BATCH_S, max(BATCH_SECONDS, workers * self.every_s))


@dataclass(eq=False)
class Actor:
    """A worker as the scheduler sees it."""

    id: int
    pool: Pool
    site: Site | None = None
    """None while it is not known where it starts."""
    cards: Sequence[int] = ()
    others: Sequence[tuple[Site, Sequence[int]]] = ()
    """Further nodes that a trial of several spans, and its cards there."""
    ready: bool = False
    batch: Batch | None = None
    behind: Batch | None = None
    """What it does once it has done that."""
    behind_s: float = 0.0
    """After so much work it comes back from it."""
    deadline: float = math.inf
    warm: bool = False
    """It has brought a batch back."""
    spare_since: float = math.inf
    since: float = math.inf
    """When it got what it does."""

    @property
    def places(self) -> Sequence[tuple[Site, Sequence[int]]]:
        """Its nodes and its cards there."""
        return ((self.site, self.cards), *self.others) if self.site else ()


@dataclass(eq=False)
class Pool:
    """Trials of one shape and the workers that they have."""

    shape: Resources
    queue: Queue
    memory_queue: deque[Batch] = field(default_factory=deque)
    """Second chances of trials that ran out of memory: alone on a node, once nothing else waits."""
    elsewhere: list[Batch] = field(default_factory=list)
    """Trials that run again on a node that they do not avoid."""
    cost: Cost = field(default_factory=Cost)
    idle: list[Actor] = field(default_factory=list)
    unfollowed: dict[Actor, None] = field(default_factory=dict)
    """Workers that have got single trials and nothing behind them; some may have ended since."""
    starting: set[Actor] = field(default_factory=set)
    actors: int = 0
    """Those that start, wait and work."""
    open: int = 0
    """Trials that have no record yet."""
    work_s: float = 0.0
    """Expected seconds of what has no record yet."""
    sites: list[Site] = field(default_factory=list)
    """Nodes that can hold one, those without a GPU first where the shape has none."""
    cursor: int = 0
    """Sites before it are known to be full."""
    unplaced: int = 0
    """Workers that start on a node which the cluster has yet to name."""
    addable: int = 0
    """How many the nodes hold that the cluster may add."""
    came_up: bool = False
    """A worker has started."""
    failed_starts: int = 0
    """On nodes that are not known."""

    def expect(self, trials: Sequence[TrialSpec], sign: int = 1) -> None:
        """Count the work of trials, or count it off."""
        self.open += sign * len(trials)
        self.work_s += sign * sum(trial.expected_s or 1.0 for trial in trials)

    @property
    def drain_s(self) -> float:
        """Expected seconds until all is done with one worker more."""
        return self.work_s / (self.actors + 1)

    def waiting(self, quiet: bool) -> int:
        """Trials that a worker could take; those that run alone only where it is `quiet`."""
        return len(self.queue) + len(self.elsewhere) + (len(self.memory_queue) if quiet else 0)

    def wants(self, quiet: bool) -> bool:
        """Whether one more worker would find work."""
        return self.waiting(quiet) > len(self.starting) + len(self.idle)

    def next(self, driver: Driver, workers: int) -> tuple[Batch, float] | None:
        """The next batch, and the seconds of work after which it comes back; `workers` are those that the driver serves in all."""
        batch = self.queue.next(partial(self._size, driver, workers))
        return (batch, driver.work_s(workers)) if batch else None

    def following(self, driver: Driver, workers: int) -> tuple[Batch, float] | None:
        """The same for one that waits at a worker which is not done yet: only trials so short that they travel together go there."""
        work_s = driver.work_s(workers)
        batch = self.queue.singles(
            lambda waiting: self._size(driver, workers, waiting) if self._travels(next(iter(waiting)), work_s) else 0
        )
        return (batch, work_s) if batch else None

    def is_short(self, batch: Batch, work_s: float) -> bool:
        """Whether others may wait behind a batch: its worker will be back in time, which is known of trials once some have ended."""
        return bool(self.cost.trials) and all(self._travels(trial, work_s) for trial in batch.trials)

    def _travels(self, trial: TrialSpec, work_s: float) -> bool:
        return self.shape.world_size == 1 and 2 * self.cost.of(trial) <= work_s

    def _size(self, driver: Driver, workers: int, waiting: Collection[TrialSpec]) -> int:
        """How many of the trials that wait travel together: half of a worker's share, so that all end at about the same time.

        No more than it does before it comes back. No fewer than it does while the driver hands out the rest in batches of that size: in
        smaller ones, all would end later.
        """
        if self.shape.world_size > 1:
            return 1  # ranks that have to end at once cannot agree by their clocks when a batch has had its time
        share = math.ceil(len(waiting) / (2 * self.queue.workers))
        least = math.sqrt(len(waiting) * driver.every_s / max(self.cost.of(next(iter(waiting))), 1e-6))
        return min(self.cost.fitting(waiting, driver.work_s(workers)), max(share, int(least)))
