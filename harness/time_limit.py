"""The time limit of a trial, raised inside it: by the alarm of the process, and by a watchdog where the trial has masked the alarm."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

AGAIN_S = 1.0
"""A trial that swallows the exception gets it again after this long, and one that masks the alarm that much later."""
IMPORT_S = 60.0
"""How long beyond the limit an import is let finish: a library whose first import was cut off leaves the process broken."""
_LOOK_S = 0.25


class TrialTimeout(BaseException):
    """Raised inside a trial that passed its limit; not an Exception, so that a task's own `except Exception` lets it through."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TrialTimeout in the code inside after `seconds`, again and again until it ends; where it imports, once it has.

    Code that never comes back to Python (a sleep or a loop in C with the alarm masked) cannot be reached from inside: the engine
    then kills the worker. Outside a main thread only the watchdog acts.
    """
    thread, alarms = threading.get_ident(), threading.current_thread() is threading.main_thread()
    inside, latest = True, time.monotonic() + seconds + IMPORT_S
    outside = id(sys._getframe(2))  # the frame of the `with`: an import below it is none of the trial's

    def expire(_signal: int, frame: FrameType | None) -> None:
        if inside and not (_imports(frame, outside) and time.monotonic() < latest):
            raise TrialTimeout

    masked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    before = signal.signal(signal.SIGALRM, expire) if alarms else None
    if alarms:
        signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN_S)
    _watchdog().watch(thread, seconds + AGAIN_S, outside)
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


def _imports(frame: FrameType | None, outside: int) -> bool:
    """Whether an import is under way between a frame and the one with the id `outside`, which it was called from."""
    while frame is not None and id(frame) != outside:
        if frame.f_code.co_filename == _IMPORTLIB:
            return True
        frame = frame.f_back
    return False


_IMPORTLIB = "<frozen importlib._bootstrap>"


@dataclass
class _Watched:
    due: float
    """When it is told next."""
    latest: float
    """When it is told although it imports."""
    outside: int


class _Watchdog:
    """One thread of the process that looks every quarter of a second whether a watched thread has passed its limit."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self._lock = threading.Lock()
        self._watched: dict[int, _Watched] = {}
        threading.Thread(target=self._look, name="papertrial-watchdog", daemon=True).start()

    def watch(self, thread: int, seconds: float, outside: int) -> None:
        due = time.monotonic() + seconds
        with self._lock:
            self._watched[thread] = _Watched(due, due + IMPORT_S, outside)

    def rest(self, thread: int) -> None:
        """After this no TrialTimeout of the watchdog reaches the thread, one that is on its way included."""
        resting = False
        while not resting:
            with suppress(TrialTimeout):
                with self._lock:
                    self._watched.pop(thread, None)
                # What was on its way arrives at a jump backwards. To take it back instead leaves the interpreter slow for good.
                for _ in range(3):
                    pass
                resting = True

    def _look(self) -> None:
        while True:
            time.sleep(_LOOK_S)
            with self._lock:
                now = time.monotonic()
                for thread, one in self._watched.items():
                    if now > one.due and not (now < one.latest and _imports(sys._current_frames().get(thread), one.outside)):
                        one.due = now + AGAIN_S
                        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(TrialTimeout))


_THE_ONE: list[_Watchdog] = []


def _watchdog() -> _Watchdog:
    if not _THE_ONE or _THE_ONE[0].process != os.getpid():
        _THE_ONE[:] = [_Watchdog()]
    return _THE_ONE[0]
