"""Progress of a run: a bar with rate and time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from harness.causes import endings
from harness.durations import span
from harness.plan import TrialSpec
from harness.record import Record
from harness.timing import Cell, Cost, Timings

LINE_EVERY_S = 10.0
LOOK_EVERY_S = 0.5
"""How often a bar says anew what is left: it takes a step for every cell of the plan."""
FORESEEN = 0.02
"""Share of the work from which on a time left is shown, where workers have been there for half of the run, too: before, they start and
programs are probed."""


class RunProgress:
    """Shows records as they become safe, and how long the others will take by what trials took so far.

    `before` are records that the study had, of trials like those that run; `clock` gives seconds, and only their differences count.
    """

    def __init__(
        self,
        trials: Sequence[TrialSpec],
        console: Console,
        before: Iterable[Record] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timings = Timings(trials)
        for record in before:
            self._timings.learn(record)
        self._console, self._clock = console, clock
        self._states: Counter[str] = Counter()
        self._left: Counter[Cell] = Counter()
        self._total, self._slots = 0, 1
        self._worked_s = 0.0
        """Seconds of trials that ended in this run."""
        self._idle_s = 0.0
        """The start of workers at most: what the run took before a trial that ended, and beyond all, were all workers at work since."""
        self._started = self._printed = self._looked = clock()
        self._bar: Progress | None = None
        self._row = TaskID(0)

    def __enter__(self) -> RunProgress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()

    def begin(self, todo: Sequence[TrialSpec], slots: int) -> None:
        """The executor is ready: `todo` trials, `slots` of them at once."""
        self._total, self._slots, self._started = len(todo), slots, self._clock()
        self._idle_s = float("inf")
        self._left = Counter(self._timings.cell(trial.id) for trial in todo)
        self._console.print(f"running {len(todo)} trials, {slots} at a time")
        if self._console.is_terminal:
            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
            self._bar = Progress(*columns, console=self._console)
            self._row = self._bar.add_task("", total=self._total)
            self._bar.start()

    def observe(self, record: Record) -> None:
        """One more record is safe."""
        now = self._clock()
        self._states[record.status] += 1
        self._timings.learn(record)
        self._left[self._timings.cell(record.trial_id)] -= 1
        self._worked_s += record.seconds
        busy_s = max(record.seconds, self._worked_s / self._slots)
        self._idle_s = min(self._idle_s, max(0.0, now - self._started - busy_s))
        finished = self._states.total() == self._total
        if self._bar:
            self._bar.update(self._row, advance=1)
            if now - self._looked > LOOK_EVERY_S or finished:
                self._looked = now
                self._bar.update(self._row, description=self._summary(now))
        elif now - self._printed > LINE_EVERY_S or finished:
            self._printed = now
            self._console.print(f"{self._states.total()}/{self._total} trials, {self._summary(now)}")

    def _summary(self, now: float) -> str:
        elapsed = max(now - self._started, 1e-9)
        return ", ".join(filter(None, [f"{self._states.total() / elapsed:.3g}/s", self._time_left(elapsed), endings(self._states)]))

    def _time_left(self, elapsed: float) -> str:
        """Between two paces; nothing where none can be said. What the run took beyond the seconds of its trials goes on trial by trial.

        The slow one is that of what has ended since the run began. The fast one takes the start of workers out, and counts what trials
        under way have done, which is what workers had time for and nothing has come of yet.
        """
        left = Cost()
        for cell, count in self._left.items():
            left += self._timings.cost(cell) * count
        worked, ended = self._worked_s, self._states.total()
        busy_s, waiting = elapsed - self._idle_s, self._total - ended
        if not left.expected_s or worked < FORESEEN * (worked + left.expected_s) or busy_s < self._idle_s:
            return ""
        running = min(self._slots, waiting)
        under_way = min(max(0.0, self._slots * busy_s - worked), left.expected_s * running / waiting)
        # The last trials leave workers without any.
        share = running / self._slots
        coming = left.low_s * (1 - under_way / left.expected_s)
        fast = self._paced(coming, waiting - running, busy_s - (worked + under_way) / self._slots, ended + running) / share
        slow = self._paced(left.high_s, waiting, elapsed - worked / self._slots, ended) / share
        return f"{span(fast, max(fast, slow))} left"

    def _paced(self, work_s: float, trials: int, beyond_s: float, of: int) -> float:
        """Seconds of all workers for the work of some trials, where the run took `beyond_s` more than its work over `of` trials."""
        return max(0.0, work_s / self._slots + trials * beyond_s / of)
