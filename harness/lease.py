"""The lease of a study in an object store: one driver at a time writes it, however many are started on however many machines.

Clocks of two machines are never compared: whether a holder still beats is what a reader sees change between two of its own looks.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime

from harness.durations import seconds_of
from harness.errors import Say, StoreError, quiet
from harness.object_folder import Conflict, ObjectFolder, Version

LEASE = "lease.json"
HEARTBEAT_VARIABLE = "PAPERTRIAL_HEARTBEAT"
HEARTBEAT_S = 10.0
MISSED = 3
"""Heartbeats that a holder may miss before the study may be taken over from it."""
_RELEASE_S = 5.0


@dataclass(frozen=True)
class Holder:
    """What a lease says of the driver that has it."""

    driver: str
    host: str
    pid: int
    period_s: float
    """Seconds between its heartbeats."""
    term: int
    """Counts the drivers of the study: what two of them write never bears the same number."""
    beat: int = 0
    at: str = ""
    """When it beat last by its own clock, for people."""
    released: bool = False

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class Lease:
    """One driver's hold on a study. `take` before anything is written; `check` before every write; `release` at the end."""

    def __init__(self, folder: ObjectFolder, quick: ObjectFolder, study: str, first_term: Callable[[], int], say: Say = quiet) -> None:
        """`quick` is the same folder, asked by heartbeats: none waits for an answer until it is overdue itself.

        `first_term` is the term of a study that has no lease.
        """
        self._folder, self._quick, self._study, self._first_term, self._say = folder, quick, study, first_term, say
        self._own = Holder(secrets.token_hex(4), platform.node(), os.getpid(), heartbeat_s(), 0)
        self._version: Version = {}
        self._renewed = 0.0
        self._lost = ""
        self._over = threading.Event()
        self._one_at_a_time = threading.Lock()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    @property
    def term(self) -> int:
        """See `Holder`."""
        return self._own.term

    @property
    def driver(self) -> str:
        """The driver's own name, unlike any other's."""
        return self._own.driver

    @property
    def lost(self) -> str:
        """To whom the lease was lost, in a sentence, as far as the heartbeats have found; else empty."""
        return self._lost

    def take(self) -> None:
        """Take the lease, and keep it by heartbeats. StoreError where another driver has it, or where the store keeps no conditions."""
        while True:
            found = look(self._folder)
            try:
                if found is None:
                    self._write(replace(self._own, term=self._first_term()), None)
                else:
                    holder, version = found
                    if not holder.released and not self._is_gone(holder, version):
                        raise StoreError(f"study {self._study} is being run by {holder}: wait, or name another with --study")
                    self._write(replace(self._own, term=holder.term + 1), version)
                break
            except Conflict:
                continue
        self._check_conditions()
        self._thread.start()

    def check(self) -> None:
        """StoreError when the lease was lost. Where it may have been, for want of heartbeats, the store is asked first."""
        if not self._lost and now() - self._renewed > (MISSED - 1) * self._own.period_s:
            self._renew(self._folder)
        if self._lost:
            raise StoreError(self._lost)

    def release(self) -> None:
        """Give the lease back. Where the store is away the next driver finds it stale."""
        self._over.set()
        self._thread.join()
        if not self._lost:
            try:
                self._write(replace(self._own, released=True), self._version, self._quick, _RELEASE_S)
            except (Conflict, OSError):
                return

    def _beat(self) -> None:
        while not self._lost and not self._over.wait(self._own.period_s):
            try:
                self._renew(self._quick, 0.0)
            except OSError:
                continue

    def _renew(self, folder: ObjectFolder, patience_s: float | None = None) -> None:
        with self._one_at_a_time:
            if not self._lost:
                try:
                    self._write(self._own, self._version, folder, patience_s)
                except Conflict:
                    found = look(self._folder)
                    who = f"taken over by {found[0]}" if found else f"left without its {LEASE}"
                    self._lost = f"study {self._study} was {who}: this run stops writing, and what it recorded before stays"

    def _write(self, holder: Holder, version: Version | None, folder: ObjectFolder | None = None, patience_s: float | None = None) -> None:
        """Write the lease with one more beat. Conflict where it is another driver's, or gone."""
        folder = folder or self._folder
        holder = replace(holder, beat=holder.beat + 1, at=datetime.now(UTC).isoformat(timespec="seconds"))
        text = json.dumps(asdict(holder)).encode()
        asked = now()
        try:
            self._version = folder.write_if(LEASE, text, version, patience_s=patience_s)
        except Conflict:
            # A write of this driver may have been heard, and its answer lost: this one's, or one before.
            found = look(self._folder)
            if found is None or found[0].driver != holder.driver:
                raise
            self._version = folder.write_if(LEASE, text, found[1], patience_s=patience_s)
        # From before it was asked: another driver may have counted from when the store wrote it.
        self._own, self._renewed = holder, asked

    def _is_gone(self, holder: Holder, version: Version) -> bool:
        """Whether the holder misses its heartbeats while this driver watches. A store that is slow or away may hold them up: it waits."""
        wanted = MISSED * holder.period_s
        self._say(f"study {self._study} was begun by {holder}, without an end: waiting up to {wanted:g} s for a sign of it")
        since = now()
        while now() - since < wanted:
            time.sleep(holder.period_s / 4)
            asked = now()
            found = look(self._folder)
            if found is None or found[1] != version:
                return found is None or found[0].released
            if now() - asked > holder.period_s / 2:
                since = now()
        self._say(f"{holder} has given no sign for {wanted:g} s: this run takes study {self._study} over from it")
        return True

    def _check_conditions(self) -> None:
        """Some servers take a conditional write and forget the condition: there two drivers would each believe that they are alone."""
        first = self._version
        self._write(self._own, first)
        for version in (first, None):
            try:
                self._folder.write_if(LEASE, json.dumps(asdict(self._own)).encode(), version)
            except Conflict:
                continue
            raise StoreError(
                "the store forgets the conditions of writes (If-Match, If-None-Match): two runs of one study would not see each other"
            )


def look(folder: ObjectFolder) -> tuple[Holder, Version] | None:
    """Who has the lease, or had it last, and in which version it says so; None without one. StoreError when it is no lease."""
    try:
        text, version = folder.read_version(LEASE)
    except FileNotFoundError:
        return None
    try:
        found = json.loads(text)
        holder = Holder(**{field.name: found[field.name] for field in fields(Holder)})
        datetime.fromisoformat(holder.at)
        if not (isinstance(holder.term, int) and isinstance(holder.period_s, int | float) and 0 < holder.period_s < float("inf")):
            raise ValueError
    except (ValueError, KeyError, TypeError):
        raise StoreError(f"{LEASE} cannot be read: where no run of the study is under way, delete it") from None
    return holder, version


def heartbeat_s() -> float:
    """Seconds between heartbeats. UsageError where the variable holds no number above zero."""
    return seconds_of(HEARTBEAT_VARIABLE, HEARTBEAT_S)


def now() -> float:
    """Seconds of this machine, those it slept through too where it counts them."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
