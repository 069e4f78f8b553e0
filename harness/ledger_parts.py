"""The ledger of a study in an object store: parts that one driver each writes, so that a sync uploads what is new."""

from __future__ import annotations

from collections.abc import Sequence

from harness import ledger
from harness.errors import StoreError
from harness.object_folder import Conflict, Version
from harness.record import Record
from harness.store import StudyStore, join

PART_BYTES = 64 << 10
"""A part that has come to so much is left, and another begun: no sync uploads more than this of what was uploaded before."""
LINES_A_TERM = 10**9
"""Lines of the driver of term n are numbered from n times this: two drivers never number alike, and the later one's count as later."""


class PartedLedger:
    """One driver's writer of the ledger, under its lease. `append` returns when the records are safe.

    A part is only ever written over what its writer knows it to be: a request that was given up, and that the store hears much later,
    changes nothing any more.
    """

    def __init__(self, store: StudyStore, contents: ledger.LedgerContents | None = None) -> None:
        """`contents` as of `ledger.Ledger`."""
        if store.remote is None or store.lease is None:
            raise StoreError(f"study {store.name} is not held: it has no writer")
        self._store, self._folder = store, store.remote
        self._name = f"{ledger.PARTS}/{store.lease.term:06d}-{store.lease.driver}"
        self.contents = contents or ledger.read(store)
        """What the ledger holds with all that was appended."""
        self.next_line = max(store.lease.term * LINES_A_TERM, self.contents.last) + 1
        """The number of the next record."""
        self._parts = sum(name.startswith(self._name) for name in ledger.part_names(store))
        self._begin(b"")

    def append(self, records: Sequence[Record]) -> None:
        """Add records as one group, in one request. StoreError when that fails for longer than the store's patience."""
        new = ledger.to_lines(records, self.next_line)
        if self._text and len(self._text) + len(new) > PART_BYTES:
            self._begin(b"")
        self._put(self._text + new)
        for record in records:
            self.contents.add(record, self.next_line)
            self.next_line += 1

    def close(self) -> None:
        """Every group was safe when `append` returned."""

    def _begin(self, text: bytes) -> None:
        self._parts += 1
        self._part, self._text = f"{self._name}-{self._parts:04d}.jsonl", text
        self._version: Version | None = None

    def _put(self, text: bytes) -> None:
        with self._store.writing(self._part):
            try:
                self._version = self._folder.write_if(self._part, text, self._version)
            except Conflict:
                found, version = self._folder.read_version(self._part)
                if found != text:
                    raise StoreError(f"{join(self._store.uri, self._part)} was written by another run") from None
                self._version = version  # the answer was lost, and not the write
        self._text = text


def next_term(store: StudyStore) -> int:
    """One more than the highest term of the parts that are there."""
    terms = [name.rpartition("/")[2].partition("-")[0] for name in ledger.part_names(store)]
    return max((int(term) for term in terms if term.isdecimal()), default=0) + 1
