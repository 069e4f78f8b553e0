"""Progress of a run: a bar with rate and time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from harness.durations import duration
from harness.plan import TrialSpec
from harness.record import Record

LINE_EVERY_S = 10.0
FORESEEN = 0.02
"""Share of the work from which on a time left is shown: before, workers start and programs are probed."""


class RunProgress:
    """Shows records as they become safe. The time left weighs trials by their expected seconds where the task gives them."""

    def __init__(self, trials: Sequence[TrialSpec], console: Console) -> None:
        self._weights = {trial.id: trial.expected_s or 1.0 for trial in trials}
        self._console = console
        self._states: Counter[str] = Counter()
        self._total = 0
        self._total_weight = self._done_weight = 0.0
        self._started = self._printed = time.monotonic()
        self._bar: Progress | None = None
        self._row = TaskID(0)

    def __enter__(self) -> RunProgress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()

    def begin(self, todo: Sequence[TrialSpec], slots: int) -> None:
        """The executor is ready: `todo` trials, `slots` of them at once."""
        self._total, self._started = len(todo), time.monotonic()
        self._total_weight = sum(self._weights[trial.id] for trial in todo)
        self._console.print(f"running {len(todo)} trials, {slots} at a time")
        if self._console.is_terminal:
            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
            self._bar = Progress(*columns, console=self._console)
            self._row = self._bar.add_task("", total=self._total)
            self._bar.start()

    def observe(self, record: Record) -> None:
        """One more record is safe."""
        self._states[record.status] += 1
        self._done_weight += self._weights.get(record.trial_id, 1.0)
        if self._bar:
            self._bar.update(self._row, advance=1, description=self._summary())
        elif time.monotonic() - self._printed > LINE_EVERY_S or self._states.total() == self._total:
            self._printed = time.monotonic()
            self._console.print(f"{self._states.total()}/{self._total} trials, {self._summary()}")

    def _summary(self) -> str:
        elapsed = max(time.monotonic() - self._started, 1e-9)
        left = ""
        if self._done_weight >= FORESEEN * self._total_weight:
            left = f"about {duration(max(0.0, elapsed * (self._total_weight - self._done_weight) / max(self._done_weight, 1e-9)))} left"
        troubles = ", ".join(f"{count} {state}" for state, count in sorted(self._states.items()) if state != "ok")
        return ", ".join(filter(None, [f"{self._states.total() / elapsed:.3g}/s", left, troubles]))
