"""One program that trains many trials, under way in this process: driven in slices, its cost shared, its size chosen by a probe."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from harness import gate
from harness.isolation import isolated
from harness.packing import Metrics, Program, Progress
from harness.plan import TrialSpec
from harness.record import Record, Status
from harness.time_limit import TrialTimeout, time_limit
from harness.trial import Trial

SLICE_SECONDS = 2.0
"""After this much work a program is left where it is and what has ended goes to the ledger."""
PROBE_SECONDS = 0.1
"""What each of the probe's programs runs for, beyond its first step."""
FIRST_PROBED = 8
GROWTH = 4
"""Members of the next larger program that the probe tries."""
PAYS = 1.05
"""How much faster the next larger program has to be."""
MOST_MEMBERS = 4096


@dataclass(frozen=True)
class Pace:
    """What a probe found: members of the fastest program, 1 where one trial after another is, and trials a second over theirs."""

    size: int
    gain: float = 1.0

    def __str__(self) -> str:
        return f"{self.gain:.3g} times as fast as one by one"


@dataclass(frozen=True)
class Ended:
    """A trial that a program is done with, and how."""

    trial: Trial
    metrics: Metrics
    seconds: float
    started: str


@dataclass(frozen=True)
class Problem:
    """Why a program ended before its trials did."""

    status: Status
    error: str


Made = Callable[[TrialSpec, Callable[[], float]], Trial]
"""A trial of a program, and what it says it has cost so far."""


class Pack:
    """`advance` until `left` is false. Between two slices other code of this process runs as it would inside a trial."""

    def __init__(self, program: Program, specs: Sequence[TrialSpec], made: Made) -> None:
        self.members = len(specs)
        self._limit_s = specs[0].time_limit_s
        self._spent = self._each = 0.0
        self._clock = time.perf_counter()
        self._started = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._live: dict[str, Trial] = {}
        self._isolation = ExitStack()
        self._isolation.enter_context(isolated(int(specs[0].id, 16)))
        self._program, self._specs, self._made = program, specs, made
        self._running: Iterator[Progress] | None = None

    @property
    def left(self) -> bool:
        """Whether it has members that have not ended."""
        return self._running is None or bool(self._live)

    def advance(self, budget_s: float) -> tuple[list[Ended], Problem | None]:
        """Trials that ended within the next `budget_s` seconds or so; a problem ends the program."""
        ended: list[Ended] = []
        problem: Problem | None = None
        self._clock, began = time.perf_counter(), self._spent
        try:
            with time_limit(max(self._limit_s - self._spent, 1e-3)):
                for said in self._begun():
                    self._charge()
                    if isinstance(said, tuple):
                        ended.append(self._end(*said))
                    if not self._live or self._spent - began > budget_s:
                        break
                else:
                    problem = Problem("failed", f"its program ended without the metrics of {len(self._live)} of its trials")
        except TrialTimeout as late:
            problem = Problem("timeout", f"its program ran longer than the limit of a trial, {self._limit_s:g} s\n{gate.error(late)}")
        except BaseException as error:
            problem = Problem("oom" if is_out_of_memory(error) else "failed", gate.error(error))
        if problem or not self._live:
            self.close()
        return ended, problem

    def close(self) -> None:
        """End the program where it is; what its members have saved stays."""
        self._live = {}
        if self._running is not None and hasattr(self._running, "close"):
            self._running.close()
        self._isolation.close()

    def _begun(self) -> Iterator[Progress]:
        if self._running is None:
            trials = [self._made(spec, self._elapsed) for spec in self._specs]
            self._live = {trial.id: trial for trial in trials}
            self._running = iter(self._program(trials))
        return self._running

    def _elapsed(self) -> float:
        return self._each + (time.perf_counter() - self._clock) / max(1, len(self._live))

    def _charge(self) -> None:
        """The time since the last yield, in equal parts to the members that it was spent on."""
        now = time.perf_counter()
        self._each += (now - self._clock) / max(1, len(self._live))
        self._spent += now - self._clock
        self._clock = now

    def _end(self, trial: Trial, metrics: Metrics) -> Ended:
        if self._live.get(trial.id) is not trial:
            raise ValueError(f"the program ended trial {trial.id}, which is none of its members or has ended before")
        ended = Ended(trial, metrics, trial.seconds_before + self._each, self._started)
        del self._live[trial.id]
        return ended


def probe(program: Program, specs: Sequence[TrialSpec], made: Made, clock: Callable[[], float] = time.perf_counter) -> Pace:
    """One member against more and more of them, each program on its first steps, until more are not faster or do not fit.

    `clock` is the processor's own on a CPU, where what else the machine does would count. A program of several members that raises for
    another reason than memory raises here: its members have to be told apart.
    """
    if len(specs) < 2:
        return Pace(1)
    longest = max(specs, key=lambda spec: spec.expected_s)
    alone = _shares_a_second(program, [longest], made, clock)
    others = [longest, *(spec for spec in specs if spec is not longest)]
    limit_s, best, size = longest.time_limit_s, Pace(1), min(FIRST_PROBED, len(specs))
    while True:
        try:
            rate = _shares_a_second(program, others[:size], made, clock)
        except Exception as error:
            if is_out_of_memory(error):
                return best
            raise
        found = Pace(size, size * rate / alone)
        # Half the limit: the probe sees the first steps, and those that follow may be dearer.
        fits = rate * limit_s > 2.0 or rate >= alone
        if not fits or found.gain < PAYS * best.gain:
            return best
        best = found
        if size == len(specs) or size >= MOST_MEMBERS:
            return best
        size = min(GROWTH * size, len(specs), MOST_MEMBERS)


def _shares_a_second(program: Program, specs: Sequence[TrialSpec], made: Made, clock: Callable[[], float]) -> float:
    """Shares of its work that a program does in a second. Its beginning counts only where it ends within the probe."""
    with isolated(int(specs[0].id, 16)), time_limit(specs[0].time_limit_s):
        start = clock()
        running = iter(program([made(spec, lambda: 0.0) for spec in specs]))
        first: tuple[float, float] | None = None
        # What is said before the first step has nothing of it, and the first step imports and compiles.
        ahead = 2
        for said in running:
            now = clock()
            if isinstance(said, tuple):
                continue
            if ahead:
                ahead -= 1
                first = now, said
            elif first and now - first[0] > PROBE_SECONDS and said > first[1]:
                if hasattr(running, "close"):
                    running.close()
                return (said - first[1]) / (now - first[0])
        return 1.0 / max(clock() - start, 1e-9)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, the main one's or a GPU's."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def counted_in(record: Record, members: int, pace: Pace | None) -> Record:
    """The record of a member of a program of several."""
    return replace(record, packed=members, packing=f"{members} trials at once{f', {pace}' if pace else ''}")
