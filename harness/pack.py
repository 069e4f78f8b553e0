"""One program that trains many trials, under way in this process: driven in slices, its cost shared among its members."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from harness import gate
from harness.energy import Meter, between, of_trial
from harness.isolation import isolated
from harness.packing import Metrics, Program, Progress, end, is_out_of_memory, share
from harness.plan import TrialSpec
from harness.probe import Made, Pace
from harness.record import Record, Status
from harness.time_limit import TrialTimeout, time_limit
from harness.trial import Trial

SLICE_SECONDS = 2.0
"""After this much work a program is left where it is and what has ended goes to the ledger."""


@dataclass(frozen=True)
class Ended:
    """A trial that a program is done with, and how."""

    trial: Trial
    metrics: Metrics
    seconds: float
    energy_j: float
    """Its share of what the program took, in joules; NaN where that is not known."""
    started: str


@dataclass(frozen=True)
class Problem:
    """Why a program ended before its trials did."""

    status: Status
    error: str


class Pack:
    """`advance` until `left` is false. Between two slices other code of this process runs as it would inside a trial."""

    def __init__(self, program: Program, specs: Sequence[TrialSpec], made: Made, meter: Meter) -> None:
        self.members = len(specs)
        self._limit_s = specs[0].time_limit_s
        self._spent = self._each = self._joules_each = 0.0
        self._meter, self._read = meter, math.nan
        self._clock = time.perf_counter()
        self._started = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._live: dict[str, Trial] = {}
        self._closed = False
        self._isolation = ExitStack()
        self._isolation.enter_context(isolated(int(specs[0].id, 16)))
        self._program, self._specs, self._made = program, specs, made
        self._running: Iterator[Progress] | None = None

    @property
    def left(self) -> bool:
        """Whether it has members that have not ended."""
        return not self._closed and (self._running is None or bool(self._live))

    def advance(self, budget_s: float) -> tuple[list[Ended], Problem | None]:
        """Trials that ended within the next `budget_s` seconds or so; a problem ends the program."""
        ended: list[Ended] = []
        problem: Problem | None = None
        self._read = self._meter.joules()
        self._clock, began = time.perf_counter(), self._spent
        try:
            with time_limit(max(self._limit_s - self._spent, 1e-3)):
                for said in self._begun():
                    self._charge()
                    if isinstance(said, tuple):
                        ended.append(self._end(*said))
                    else:
                        share(said)
                    if not self._live or self._spent - began > budget_s:
                        break
                else:
                    problem = Problem("failed", f"its program ended without the metrics of {len(self._live)} of its trials")
        except TrialTimeout as late:
            problem = Problem("timeout", f"its program ran longer than the limit of a trial, {self._limit_s:g} s\n{gate.error(late)}")
        except BaseException as error:
            problem = Problem("oom" if is_out_of_memory(error) else "failed", gate.error(error))
        self._charge_energy()
        if problem or not self._live:
            self.close()
        return ended, problem

    def close(self) -> None:
        """End the program where it is; what its members have saved stays."""
        self._live, self._closed = {}, True
        try:
            end(self._running)
        finally:
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

    def _charge_energy(self) -> None:
        """What was taken since the last reading, in equal parts to the members, which are the same as then."""
        now = self._meter.joules()
        self._joules_each += between(self._read, now) / max(1, len(self._live))
        self._read = now

    def _end(self, trial: Trial, metrics: Metrics) -> Ended:
        if self._live.get(trial.id) is not trial:
            raise ValueError(f"the program ended trial {trial.id}, which is none of its members or has ended before")
        self._charge_energy()
        energy = of_trial(self._joules_each, self._spent, trial.seconds_before)
        ended = Ended(trial, metrics, trial.seconds_before + self._each, energy, self._started)
        del self._live[trial.id]
        return ended


def counted_in(record: Record, members: int, pace: Pace | None) -> Record:
    """The record of a member of a program of several."""
    return replace(record, packed=members, packing=f"{members} trials at once{f', {pace}' if pace else ''}")
