"""The time limit of a trial, raised inside it: by the alarm of the process, and by a watchdog where the trial has masked the alarm."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

AGAIN_S = 1.0
"""A trial that swallows the exception gets it again after this long, and one that masks the alarm that much later."""
_LOOK_S = 0.25


class TrialTimeout(BaseException):
    """Raised inside a trial that passed its limit; not an Exception, so that a task's own `except Exception` lets it through."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TrialTimeout in the code inside after `seconds`, again and again until it ends.

    Code that never comes back to Python (a sleep or a loop in C with the alarm masked) cannot be reached from inside: the engine
    then kills the worker. Outside a main thread only the watchdog acts.
    """
    thread, alarms = threading.get_ident(), threading.current_thread() is threading.main_thread()
    inside = True

    def expire(_signal: int, _frame: FrameType | None) -> None:
        if inside:
            raise TrialTimeout

    masked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    before = signal.signal(signal.SIGALRM, expire) if alarms else None
    if alarms:
        signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_S)
    _watchdog().watch(thread, seconds + AGAIN_S)
    try:
        try:
            yield
        finally:
            inside = False
    finally:  # twice: an alarm may strike between the end of the code and the line above
        inside = False
        _watchdog().rest(thread)
        if alarms:
            signal.setitimer(signal.ITIMER_REAL, 0)
            # An alarm that waits behind the trial's mask must meet this handler: the default one ends the process.
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)
            signal.signal(signal.SIGALRM, before)


class _Watchdog:
    """One thread of the process that looks every quarter of a second whether a watched thread has passed its limit."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self._lock = threading.Lock()
        self._due: dict[int, float] = {}
        threading.Thread(target=self._look, name="papertrial-watchdog", daemon=True).start()

    def watch(self, thread: int, seconds: float) -> None:
        with self._lock:
            self._due[thread] = time.monotonic() + seconds

    def rest(self, thread: int) -> None:
        """After this no TrialTimeout of the watchdog reaches the thread, one that is on its way included."""
        resting = False
        while not resting:
            with suppress(TrialTimeout):
                with self._lock:
                    self._due.pop(thread, None)
                # What was on its way arrives at a jump backwards. To take it back instead leaves the interpreter slow for good.
                for _ in range(3):
                    pass
                resting = True

    def _look(self) -> None:
        while True:
            time.sleep(_LOOK_S)
            with self._lock:
                now = time.monotonic()
                for thread, due in self._due.items():
                    if now > due:
                        self._due[thread] = now + AGAIN_S
                        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(TrialTimeout))


_THE_ONE: list[_Watchdog] = []


def _watchdog() -> _Watchdog:
    if not _THE_ONE or _THE_ONE[0].process != os.getpid():
        _THE_ONE[:] = [_Watchdog()]
    return _THE_ONE[0]
