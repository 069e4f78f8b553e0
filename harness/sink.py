"""Where a run's outcomes go: curves first, then the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from harness.errors import StoreError
from harness.frames import CurveWriter
from harness.ledger import Ledger
from harness.record import Record
from harness.store import StudyStore
from harness.worker import Outcome

REMOTE_SYNC_S = 5.0
"""Seconds between syncs to a remote store, where each one uploads the ledger whole. A local store syncs every group."""

Observe = Callable[[Record], None]


class Sink:
    """Ledger and curves of a study; buffers groups for a remote store."""

    def __init__(self, store: StudyStore, observe: Observe) -> None:
        self._ledger = Ledger(store)
        self._curves = CurveWriter(store)
        self._observe = observe
        self._interval = 0.0 if store.is_local else REMOTE_SYNC_S
        self._buffer: list[Outcome] = []
        self._synced = time.monotonic()

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """One more group; StoreError when it cannot be kept."""
        self._buffer += outcomes
        if time.monotonic() - self._synced >= self._interval:
            self._flush()

    def _flush(self) -> None:
        outcomes, self._buffer = self._buffer, []
        if outcomes:
            try:
                curves = {outcome.record.trial_id: outcome.curve for outcome in outcomes}
                self._curves.write(curves, self._ledger.next_line, self._ledger.contents.lines)
                self._ledger.append([outcome.record for outcome in outcomes])
            except StoreError as error:
                raise StoreError(f"{error}; what was recorded before is safe") from None
            for outcome in outcomes:
                self._observe(outcome.record)
        self._synced = time.monotonic()

    def close(self) -> None:
        """Write what is left, and pack the curves."""
        self._flush()
        with suppress(StoreError):  # packing only tidies: the parts are read as well
            self._curves.compact(self._ledger.contents.lines)
        self._ledger.close()
