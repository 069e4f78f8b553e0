"""One run of one side, seen from outside: its marks, its first record, how it ended; and the same with its driver killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from compared.sides import HERE, Side
from compared.work import MARKS

WORKERS = os.cpu_count() or 1
ROOT = HERE.parents[2]
LOOK_S = 0.02
SETTLED_S = 4.0
"""Without a mark for so long, what a killed driver has left behind has stopped."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A trial started or ended."""

    number: int
    ended: bool
    at: float


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds are from the start of the command. `wall` is None if it was stopped at the budget; `ends` are of trials, in order."""

    trials: int
    pause: float
    wall: float | None
    ends: Sequence[float]
    span: float
    first_record: float | None
    held: int

    def seconds(self, trials: int) -> float:
        """Of a command of so many trials: measured if it was so many, else this run's rate of trials goes on."""
        done, so_far = (len(self.ends), self.ends[-1]) if self.wall is None else (self.trials, self.wall)
        if self.wall is not None and trials == self.trials:
            return self.wall
        return so_far + (trials - done) * (self.ends[-1] - self.ends[0]) / max(len(self.ends) - 1, 1)

    def overhead(self, trials: int) -> float:
        """Seconds a trial beyond the trials themselves on all workers."""
        return self.seconds(trials) / trials - self.pause / WORKERS


@dataclass(frozen=True, slots=True)
class Killed:
    """A driver killed in mid-run and started again: how many trials had ended at the kill, how many were in flight, and ran again.

    In flight is what the killed driver's processes began and had not ended at the kill; they may still end it. `lost` is None if the second
    start was stopped at the budget.
    """

    trials: int
    ended: int
    ended_again: int
    in_flight: int
    in_flight_again: int
    lost: int | None


def marks(path: Path) -> list[Mark]:
    """All so far, in order; a last line that is still being written is left out."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    words = [line.split() for line in lines if line.endswith("\n")]
    return [Mark(int(number), what == "end", float(at)) for number, what, at in words]


def run(side: Side, trials: int, pause: float, budget: float) -> Run:
    """The command once, from nothing, stopped after `budget` seconds."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, log = Path(scratch) / "kept", Path(scratch) / "marks"
        folder.mkdir()
        first: list[float] = []

        def look(seconds: float) -> bool:
            if not first and side.records and any(path.stat().st_size for path in folder.glob(side.records)):
                first.append(seconds)
            return seconds > budget

        started, wall, driver = _watch(side, trials, pause, folder, log, look)
        _clear(driver)
        seen = marks(log)
        ends = [mark.at - started for mark in seen if mark.ended]
        span = max((mark.at for mark in seen), default=0.0) - min((mark.at for mark in seen), default=0.0)
        held = side.held(folder) if wall is not None else 0
        if wall is not None and held != trials:
            raise RuntimeError(f"{side.name} holds {held} results of {trials}")
        return Run(trials, pause, wall, ends, span, first[0] if first else None, held)


def killed(side: Side, trials: int, pause: float, budget: float) -> Killed:
    """SIGKILL of the driver once ten trials have ended, and the same command again."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, log = Path(scratch) / "kept", Path(scratch) / "marks"
        folder.mkdir()
        _, _, first = _watch(side, trials, pause, folder, log, lambda seconds: _ended(marks(log)) >= 10 or seconds > budget)
        dead, size = time.time(), -1
        while size != log.stat().st_size:
            size = log.stat().st_size
            time.sleep(SETTLED_S)
        again, wall, second = _watch(side, trials, pause, folder, log, lambda seconds: seconds > budget)
        for driver in (first, second):
            _clear(driver)
        return count(marks(log), dead, again, trials, None if wall is None else side.held(folder))


def count(seen: Sequence[Mark], dead: float, again: float, trials: int, held: int | None) -> Killed:
    """What the marks say about a kill at time `dead` and a second start at `again`; `held` is None if it was stopped."""
    ended = {mark.number for mark in seen if mark.ended and mark.at < dead}
    in_flight = {mark.number for mark in seen if mark.at < again} - ended
    repeated = {mark.number for mark in seen if mark.at >= again and not mark.ended}
    lost = None if held is None else trials - held
    return Killed(trials, len(ended), len(ended & repeated), len(in_flight), len(in_flight & repeated), lost)


def _ended(seen: Sequence[Mark]) -> int:
    return sum(mark.ended for mark in seen)


def _watch(
    side: Side, trials: int, pause: float, folder: Path, log: Path, stop: Callable[[float], bool]
) -> tuple[float, float | None, subprocess.Popen[bytes]]:
    """The time of the start, seconds until the driver ended or None if `stop` asked for its SIGKILL, and the driver."""
    command = side.command(trials, pause, WORKERS, folder)
    told = {MARKS: str(log), "COMPARED_TRIALS": str(trials), "COMPARED_PAUSE": str(pause), "OMP_NUM_THREADS": "1"}
    paths = {"PYTHONPATH": f"{HERE.parent}:{ROOT}", "PAPERTRIAL_TASKS": str(HERE)}
    with tempfile.TemporaryFile() as said:
        started = time.time()
        driver = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **told, **paths}, stdout=said, stderr=said, start_new_session=True
        )
        while driver.poll() is None:
            if stop(time.time() - started):
                driver.kill()
                return started, None, driver
            time.sleep(LOOK_S)
        wall = time.time() - started
        if driver.returncode:
            said.seek(0)
            raise RuntimeError(f"{side.name} ended with {driver.returncode}: {said.read().decode(errors='replace')[-2000:]}")
    return started, wall, driver


def _clear(driver: subprocess.Popen[bytes]) -> None:
    """End what outlives a driver in its process group: idle workers, and those of a command that was stopped.

    A driver that was killed is reaped only here, so that its number is still its own.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
