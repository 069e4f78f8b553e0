"""How a run ends early: Ctrl-C, SIGTERM (a scheduler, `ray job stop`) and a lost terminal, with everything written that was measured."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """Raised where the run stands when it is told to stop; not KeyboardInterrupt, which a trial may raise itself."""


class Stop:
    """What signals do to a run.

    The first ends the trials, but never in the middle of a write. What follows (workers ended, tables written) goes on through a second
    one; a third leaves at once. Each says so on the standard error the moment it comes: a scheduler may kill soon after.
    """

    def __init__(self, say: str = "stopping", leave: str = "left at once", *, budget_s: float | None = None) -> None:
        """What people read at the first signal, and at the one that leaves; `budget_s` seconds from now trials end as at a signal.

        A budget waits for the trial that this process is in: what it measures is paid for.
        """
        self._say, self._leave = say, leave
        self._until = None if budget_s is None else time.monotonic() + budget_s
        self.watch: Callable[[], None] = lambda: None
        """Called by every `check` while trials run: raises what else ends them, such as a study that another run has taken over."""
        self._raises = False
        self._over = False
        self._times = self._late = 0

    @property
    def asked(self) -> bool:
        """Whether a signal came while trials ran."""
        return self._times > self._late

    @property
    def seconds_left(self) -> float:
        """Of the budget; infinite without one."""
        return math.inf if self._until is None else self._until - time.monotonic()

    @contextmanager
    def installed(self) -> Iterator[Stop]:
        """Signals are handled here, and as before afterwards. Outside a main thread Python can handle none: then nothing changes."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.getsignal(number) for number in SIGNALS}
        self.claim()
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def claim(self) -> None:
        """Take the signals again from whoever took them: Ray does when it starts. Under `nohup` a lost terminal stays ignored.

        SIGINT is taken although a shell has it ignored for what it runs in the background: schedulers send it there on purpose.
        """
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, self._handle)

    @contextmanager
    def interrupts(self) -> Iterator[None]:
        """A signal raises Stopped inside, wherever the code is: for trials of this process, which nothing else can end.

        Elsewhere it is only noted, for `check`: native code of Ray, Arrow or pandas breaks when a handler raises in it.
        """
        self._raises = True
        try:
            self._check_signal()
            yield
        finally:
            self._raises = False
        self._check_signal()

    def check(self) -> None:
        """Stopped, if a signal has come or the budget is spent; what `watch` raises."""
        self._check_signal()
        if not self._over:
            self.watch()
        if self.seconds_left <= 0 and not self._over:
            raise Stopped

    def _check_signal(self) -> None:
        if self.asked and not self._over:
            raise Stopped

    def begin(self) -> None:
        """More trials may follow those that have ended: a signal that came in between ends them too."""
        self._over, self._late = False, 0

    def over(self) -> None:
        """The trials have ended: from here on the run only writes, through one more signal too."""
        self._over = True

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self._times += 1
        self._late += self._over
        name = signal.Signals(number).name
        if self._times > 2 or self._late > 1:
            _tell(f"{name}: {self._leave}")
            os._exit(1)
        if self._times == 1 and not self._over:
            _tell(f"{name}: {self._say}")
        else:
            _tell(f"{name}: the tables are being written; once more leaves at once")
        if self._raises:
            raise Stopped


def _tell(sentence: str) -> None:
    """Straight to the descriptor: a handler may run in the middle of somebody's print. A terminal that is gone is no trouble."""
    with suppress(OSError):
        os.write(2, f"\npapertrial: {sentence}\n".encode(errors="replace"))
