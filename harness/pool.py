"""What waits and works of one resource shape."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.nodes import Site
from harness.plan import TrialSpec
from harness.queue import Batch, Queue
from harness.task import Resources
from harness.worker import BATCH_SECONDS, Outcome

MAX_BATCH = 512
BATCHES_A_SECOND = 200.0
"""What a driver has time for. Where there are more workers, each of them works longer before it comes back."""


@dataclass
class Cost:
    """Running mean of seconds a trial, which sets how many travel together."""

    seconds: float = 0.0
    trials: int = 0

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Count what has ended."""
        self.trials += len(outcomes)
        self.seconds += sum(outcome.record.seconds for outcome in outcomes)

    def batch_size(self, work_s: float) -> int:
        """How many trials are about `work_s` seconds of work; one while nothing is known."""
        if not self.trials:
            return 1
        return max(1, min(MAX_BATCH, int(work_s / max(self.seconds / self.trials, 1e-6))))


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

    def next(self, workers: int) -> tuple[Batch, float] | None:
        """The next batch, and the seconds of work after which it comes back; `workers` are those that the driver serves in all."""
        work_s = max(BATCH_SECONDS, workers / BATCHES_A_SECOND)
        alone = self.shape.world_size > 1  # ranks that have to end at once cannot agree by their clocks when a batch has had its time
        batch = self.queue.next(lambda: 1 if alone else self.cost.batch_size(work_s))
        return (batch, work_s) if batch else None
