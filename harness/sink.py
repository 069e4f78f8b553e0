"""Where a run's outcomes go: curves first, then the ledger; for an object store by a thread, so that no worker waits for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from harness.errors import StoreError
from harness.frames import CurveWriter
from harness.ledger import Ledger, LedgerContents
from harness.ledger_parts import PartedLedger
from harness.record import Record
from harness.store import StudyStore
from harness.worker import Outcome

SYNC_S = 5.0
"""Seconds between syncs to an object store. A local store syncs every group."""
MOST_WAITING = 10_000
"""Outcomes that wait for a store that is away: beyond these the run waits as well, since they must fit into memory."""

Observe = Callable[[Record], None]


class Sink:
    """Ledger and curves of a study on a local store: what `write` returns from is safe."""

    def __init__(self, store: StudyStore, observe: Observe, contents: LedgerContents | None = None) -> None:
        self._ledger: Ledger | PartedLedger = Ledger(store, contents) if store.is_local else PartedLedger(store, contents)
        self._curves = CurveWriter(store)
        self._store, self._observe = store, observe

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """One more group. StoreError when it, or one before, cannot be kept."""
        try:
            self._put(outcomes)
        except StoreError as error:
            raise StoreError(f"{error}; what was recorded before is safe") from None
        for outcome in outcomes:
            self._observe(outcome.record)

    def _put(self, outcomes: Sequence[Outcome]) -> None:
        if outcomes:
            curves = {outcome.record.trial_id: outcome.curve for outcome in outcomes}
            self._curves.write(curves, self._ledger.next_line, self._ledger.contents.lines)
            self._ledger.append([outcome.record for outcome in outcomes])

    def check(self) -> None:
        """StoreError where nothing more can be kept, at once: trials that run on would run for nothing."""

    def close(self) -> None:
        """Pack the curves."""
        with suppress(StoreError):  # packing only tidies: the parts are read as well
            self._curves.compact(self._ledger.contents.lines)
        self._ledger.close()


class RemoteSink(Sink):
    """The same for an object store. `write` only hands over; `close` waits until all is safe."""

    def __init__(self, store: StudyStore, observe: Observe, contents: LedgerContents | None = None) -> None:
        super().__init__(store, observe, contents)
        self._waiting: deque[Outcome] = deque()
        self._safe: deque[Record] = deque()
        self._problem = ""
        self._over = False
        self._changed = threading.Condition()
        self._writer = threading.Thread(target=self._sync, name="sync", daemon=True)
        self._writer.start()

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Hand a group to the writer; the observer is told here of those that have become safe. StoreError once the store has failed."""
        with self._changed:
            self._waiting += outcomes
            self._changed.notify_all()
            self._changed.wait_for(lambda: len(self._waiting) <= MOST_WAITING or bool(self._problem))
        self.check()
        self._tell()

    def check(self) -> None:
        """StoreError, with the number of records that are lost, when the store has failed or another run has taken the study over."""
        if problem := self._problem or (self._store.lease.lost if self._store.lease else ""):
            lost = len(self._waiting)
            raise StoreError(f"{problem}; {lost} records are not in the store: their trials run again with the next run")

    def close(self) -> None:
        """Wait for the writer. StoreError, which says how many records are lost, when the store has failed."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._writer.join()
        self._tell()
        self._check()
        super().close()

    def _check(self) -> None:
        if self._problem:
            raise StoreError(
                f"{self._problem}; {len(self._waiting)} records are not in the store: their trials run again with the next run"
            )

    def _tell(self) -> None:
        while self._safe:
            self._observe(self._safe.popleft())

    def _sync(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._over or len(self._waiting) > MOST_WAITING, SYNC_S)
                group = list(self._waiting)
                last = self._over
            try:
                self._put(group)
            except StoreError as error:
                self._end(str(error))
                return
            except Exception as error:  # whatever it is, the run must not wait for a writer that has gone
                self._end(f"records cannot be written: {type(error).__name__}: {error}")
                return
            with self._changed:
                for _ in group:
                    self._waiting.popleft()
                self._safe += [outcome.record for outcome in group]
                self._changed.notify_all()
                if last and not self._waiting:
                    return

    def _end(self, problem: str) -> None:
        with self._changed:
            self._problem = problem
            self._changed.notify_all()


def open_sink(store: StudyStore, observe: Observe, contents: LedgerContents | None = None) -> Sink:
    """The sink for the kind of store. `contents` as of `ledger.Ledger`."""
    return Sink(store, observe, contents) if store.is_local else RemoteSink(store, observe, contents)
