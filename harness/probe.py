"""How many trials go into one program: one member against more and more of them, on their first steps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.isolation import isolated
from harness.packing import Program, end, is_out_of_memory, share
from harness.plan import TrialSpec
from harness.time_limit import time_limit
from harness.trial import Trial

PROBE_SECONDS = 0.1
"""What each of the probe's programs runs for, beyond its first step."""
FIRST_PROBED = 8
GROWTH = 4
"""Members of the next larger program that the probe tries."""
LARGER = 1.25
"""How much larger the next program has to be to be worth a probe."""
PAYS = 1.05
"""How much faster the next larger program has to be."""
MOST_MEMBERS = 4096
FILLED = 0.7
"""Of the free memory, what more members may take; what a program keeps beyond its first steps is not seen."""

Made = Callable[[TrialSpec, Callable[[], float]], Trial]
"""A trial of a program, and what it says it has cost so far."""


@dataclass(frozen=True)
class Gauge:
    """What a program is measured by: a clock in seconds, its peak of memory so far and what is free for it, both in MiB.

    The clock is the processor's own on a CPU, where what else the machine does would count.
    """

    clock: Callable[[], float] = time.perf_counter
    peak_mib: Callable[[], float] = lambda: 0.0
    free_mib: Callable[[], float] = lambda: math.inf


@dataclass(frozen=True)
class Pace:
    """What a probe found: members of the fastest program, 1 where one trial after another is, and trials a second over theirs."""

    size: int
    gain: float = 1.0

    def __str__(self) -> str:
        return f"{self.gain:.3g} times as fast as one by one"


def probe(program: Program, specs: Sequence[TrialSpec], made: Made, gauge: Gauge = Gauge()) -> Pace:
    """One member against more and more of them, each program on its first steps, until more are not faster or do not fit.

    Memory is that of the last members added, times those of the next program. A program of several members that raises for another
    reason than memory raises here: its members have to be told apart.
    """
    if len(specs) < 2:
        return Pace(1)
    longest = max(specs, key=lambda spec: spec.expected_s)
    alone = _shares_a_second(program, [longest], made, gauge.clock)
    others = [longest, *(spec for spec in specs if spec is not longest)]
    limit_s, best, size, before = longest.time_limit_s, Pace(1), min(FIRST_PROBED, len(specs)), 1
    peak = gauge.peak_mib()
    while True:
        try:
            rate = _shares_a_second(program, others[:size], made, gauge.clock)
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
        used, free = gauge.peak_mib(), FILLED * gauge.free_mib()
        each = max(0.0, used - peak) / (size - before)
        more = math.floor(free / each) if each and math.isfinite(free) else MOST_MEMBERS
        before, peak, size = size, used, min(GROWTH * size, size + more, len(specs), MOST_MEMBERS)
        if size < LARGER * before:
            return best


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
            done = share(said)
            if ahead:
                ahead -= 1
                first = now, done
            elif first and now - first[0] > PROBE_SECONDS and done > first[1]:
                end(running)
                return (done - first[1]) / (now - first[0])
        return 1.0 / max(clock() - start, 1e-9)
