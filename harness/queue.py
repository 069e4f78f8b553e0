"""What goes to workers next: single trials in batches, trials that can share a program in packs, halves of what failed first."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.pack import Problem
from harness.packing import shared, without_program
from harness.plan import TrialSpec
from harness.probe import MOST_MEMBERS, Pace
from harness.shown import sentence
from harness.worker import Slice

ALONE = "by itself: no other trial that shares its program was left"
UNPACKED = "by itself: --no-packing"


@dataclass(eq=False)
class Batch:
    """Trials that one worker gets at once."""

    trials: list[TrialSpec]
    attempt: int = 1
    losses: int = 0
    """How often the node was lost on which it ran: no fault of its trials."""
    avoid: frozenset[str] = frozenset()
    """Nodes on which its trial failed, maybe for the node's own reasons."""
    alone: bool = False
    """Nothing else runs beside it: a second chance for a trial that ran out of memory."""
    program: Hashable | None = None
    """What its trials agree on where they share a program; None where they run one after another."""
    pace: Pace | None = None
    """What a probe of such a program found; None before there was one."""
    most: int = MOST_MEMBERS
    """Members that its program may have; the rest is for other workers."""
    packing: Mapping[str, str] = field(default_factory=dict)
    """Why trials share no program, by id."""
    fresh: bool = False
    """Single trials of which none is known to have begun: one such batch may wait at a worker behind another."""


class Queue:
    """Trials that may start, of one resource shape, for `workers` workers."""

    def __init__(self, workers: int, *, packs: bool = True) -> None:
        self.workers, self._packs = max(1, workers), packs
        self._plain: deque[TrialSpec] = deque()
        self._packing: dict[str, str] = {}
        self._first: deque[Batch] = deque()
        self._groups: dict[Hashable, deque[TrialSpec]] = {}
        self._expected: dict[Hashable, float] = {}
        """Seconds that what is left of each group is expected to take."""
        self._paces: dict[Hashable, Pace] = {}
        self._parts: dict[Hashable, int] = {}
        """Members of each of the equal parts that what is left of a group is cut into."""
        self._probing: set[Hashable] = set()

    def __bool__(self) -> bool:
        return bool(self._first or self._plain or self._groups)

    def __len__(self) -> int:
        """Batches that go before, and trials."""
        return len(self._first) + len(self._plain) + sum(map(len, self._groups.values()))

    def add(self, trials: Iterable[TrialSpec]) -> None:
        """Trials that may start now."""
        for trial in trials:
            program = shared(trial)
            if program is not None and self._packs:
                self._groups.setdefault(program, deque()).append(trial)
                self._expect(program, [trial])
                continue
            if why := UNPACKED if program is not None else without_program(trial):
                self._packing[trial.id] = why
            self._plain.append(trial)

    def put_back(self, trials: Sequence[TrialSpec]) -> None:
        """Trials that travelled and have not run: they go before the others, as many together as is right by now."""
        self._plain.extendleft(reversed(trials))

    def again(self, batch: Batch) -> None:
        """A batch that goes before all that waits, to a worker that does nothing else."""
        batch.fresh = False
        self._first.append(batch)

    def next(self, size: Callable[[Collection[TrialSpec]], int]) -> Batch | None:
        """The next batch; `size` says how many of the single trials that wait travel together. None where nothing may start yet."""
        if self._first:
            return self._first.popleft()
        if batch := self._pack():
            return batch
        return self.singles(size)

    def singles(self, size: Callable[[Collection[TrialSpec]], int]) -> Batch | None:
        """The next batch of single trials; None where none waits, or none may."""
        trials = [self._plain.popleft() for _ in range(size(self._plain))] if self._plain else []
        if not trials:
            return None
        return Batch(trials, packing={trial.id: self._packing[trial.id] for trial in trials if trial.id in self._packing}, fresh=True)

    def began(self, batch: Batch, found: Slice) -> None:
        """What the worker of a pack said first: its pace, and which of its trials it took."""
        self._probing.discard(batch.program)
        if batch.program is None or not found.pace:
            return
        batch.pace = self._paces[batch.program] = found.pace
        rest, batch.trials = batch.trials[found.taken :], batch.trials[: found.taken]
        if rest:
            group = self._groups.setdefault(batch.program, deque())
            group.extendleft(reversed(rest))
            self._expect(batch.program, rest)
            programs = max(self._shares(), math.ceil(len(group) / found.pace.size))
            self._parts[batch.program] = math.ceil(len(group) / programs)

    def lost(self, batch: Batch) -> None:
        """The node of a batch was lost: it goes before all that waits, as it was."""
        self._probing.discard(batch.program)
        if batch.program is not None and batch.pace is None:
            # Its size is still to be found, and one probe at a time finds it.
            self._groups.setdefault(batch.program, deque()).extendleft(reversed(batch.trials))
            self._expect(batch.program, batch.trials)
        else:
            self.again(batch)

    def broke(self, batch: Batch, problem: Problem) -> None:
        """Halve a program that ended before its trials did, until the one that ends it is alone."""
        self._probing.discard(batch.program)
        if problem.status == "oom" and batch.program in self._paces:
            self._paces[batch.program] = Pace(max(1, len(batch.trials) // 2), self._paces[batch.program].gain)
        first = sentence(problem.error.partition("\n")[0])
        middle = math.ceil(len(batch.trials) / 2)
        for half in (batch.trials[:middle], batch.trials[middle:]):
            if len(half) > 1:
                self.again(Batch(half, batch.attempt, program=batch.program, pace=batch.pace))
            elif half:
                why = f"by itself: its program ended early ({first})"
                self.again(Batch(half, batch.attempt, packing={half[0].id: why}))

    def _pack(self) -> Batch | None:
        """Of the group with the most work left, as much as its pace says and leaves something for the other workers."""
        while waiting := [program for program in self._groups if program not in self._probing]:
            program = max(waiting, key=self._expected.__getitem__)
            group, pace = self._groups[program], self._paces.get(program)
            if len(group) == 1 or (pace and pace.size < 2):
                why = ALONE if len(group) == 1 else f"by itself: packing did not pay ({pace})"
                self._packing |= dict.fromkeys((trial.id for trial in group), why)
                self._plain.extend(self._take(program, len(group)))
                continue
            if pace is None:
                most = math.ceil(len(group) / self._shares())
                self._probing.add(program)
                return Batch(self._take(program, MOST_MEMBERS), program=program, most=most)
            return Batch(self._take(program, min(pace.size, self._parts.get(program, pace.size))), program=program, pace=pace)
        return None

    def _shares(self) -> int:
        """Workers for every group: where there are fewer groups, each leaves something for others."""
        return math.ceil(self.workers / max(1, len(self._groups.keys() | self._probing)))

    def _take(self, program: Hashable, most: int) -> list[TrialSpec]:
        """The first trials of a group, which is gone when none is left."""
        group = self._groups[program]
        taken = [group.popleft() for _ in range(min(most, len(group)))]
        self._expect(program, taken, -1)
        if not group:
            del self._groups[program], self._expected[program]
        return taken

    def _expect(self, program: Hashable, trials: Sequence[TrialSpec], sign: int = 1) -> None:
        self._expected[program] = self._expected.get(program, 0.0) + sign * sum(trial.expected_s for trial in trials)
