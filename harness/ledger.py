"""The append-only file of a study's records: the source of truth while it runs, and after a kill."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO

from harness.record import Record
from harness.store import LEDGER, StudyStore


@dataclass(frozen=True)
class LedgerContents:
    """What a ledger holds: the last record of each trial, and the lines that could not be read."""

    records: dict[str, Record] = field(default_factory=dict)
    unreadable: list[int] = field(default_factory=list)
    """Line numbers, from 1. Their trials count as not done: they run again."""


def read(store: StudyStore) -> LedgerContents:
    """The records of a study. Empty lines are skipped; a torn or damaged line costs its own trial only."""
    if not store.exists(LEDGER):
        return LedgerContents()
    contents = LedgerContents()
    for number, line in enumerate(store.read_bytes(LEDGER).split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            record = Record.from_json(json.loads(line))
        except (ValueError, KeyError, TypeError):
            contents.unreadable.append(number)
        else:
            contents.records[record.trial_id] = record
    return contents


class Ledger:
    """The one writer of a study's ledger. `append` returns when the records are safe."""

    def __init__(self, store: StudyStore) -> None:
        self._store = store
        self._file: IO[bytes] | None = None
        self._remote = b""
        path = store.local(LEDGER)
        before = store.read_bytes(LEDGER) if store.exists(LEDGER) else b""
        torn = bool(before) and not before.endswith(b"\n")
        if path is None:
            self._remote = before + (b"\n" if torn else b"")
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")
        if torn:
            self._file.write(b"\n")

    def append(self, records: Sequence[Record]) -> None:
        """Add records as one group: one write, one sync (a whole-object put on a remote store)."""
        lines = b"".join(_line(record) for record in records)
        if self._file is None:
            self._remote += lines
            self._store.write_bytes(LEDGER, self._remote)
            return
        self._file.write(lines)
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Release the file."""
        if self._file is not None:
            self._file.close()


def _line(record: Record) -> bytes:
    return json.dumps(record.to_json(), allow_nan=False, separators=(",", ":")).encode() + b"\n"
