"""The append-only file of a study's records: the source of truth while it runs, and after a kill.

In an object store, where nothing can be appended to, each driver writes files of its own below `ledger/`; read, they are one ledger.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any, NoReturn

import msgspec

from harness.checksums import FIELD, is_signed, read_signed, signed
from harness.errors import StoreError
from harness.plan import trial_id
from harness.record import FIRST_WITH_CHECKSUMS, SCHEMA_VERSION, Reader, Record, Status, counted
from harness.store import LEDGER, StudyStore

PARTS = "ledger"
"""The folder of the files of a ledger in an object store."""
AT_ONCE = 16
"""Parts that are asked for side by side."""
NUMBER = "line"
"""Which line a record was written in. A line that says so and has no checksum is no old one: it lost it."""
MOST_NUMBERS = 20
"""Lines that one sentence names."""


@dataclass
class LedgerContents:
    """What a ledger holds: the record of each trial that counts, and the lines that could not be read."""

    records: dict[str, Record] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    """Where that record is, from 1; its curve bears the same number. 0 where it is from before curves had one."""
    unreadable: dict[int, str] = field(default_factory=dict)
    """Line -> why. Their trials count as not done: they run again."""

    unreadable_parts: dict[str, dict[int, str]] = field(default_factory=dict)
    """The same, of each part that has such lines."""

    kept: bool = True
    """Whether the study has a ledger."""

    absent: bool = False
    """Whether the study has tables of records and no ledger, as one that was published without it."""

    last: int = 0
    """The highest number of a line, whether its record counts or not."""

    def add(self, record: Record, line: int) -> None:
        """One more record. One that is not `ok` does not replace one that is; of others the later one counts, in whatever file it is."""
        self.last = max(self.last, line)
        before, number = self.records.get(record.trial_id), self.lines.get(record.trial_id, 0)
        if before is not None and counted(record, before) is before and 0 < line < number:
            return
        if counted(before, record) is record:
            self.records[record.trial_id], self.lines[record.trial_id] = record, line

    @property
    def damages(self) -> list[str]:
        """A sentence for each reason why lines could not be read, with their numbers."""
        numbers: dict[tuple[str, str], list[int]] = {}
        for name, lines in {LEDGER: self.unreadable, **self.unreadable_parts}.items():
            for line, why in lines.items():
                numbers.setdefault((name, why), []).append(line)
        gone = [f"{LEDGER} is not there: the tables in trials/ are shown, and no run writes over them"] if self.absent else []
        return gone + [
            f"{name} line{'s' if found[1:] else ''} {_listed(found)} cannot be read ({why}): "
            f"{'their trials count' if found[1:] else 'its trial counts'} as not done"
            for (name, why), found in numbers.items()
        ]


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:MOST_NUMBERS]))
    return f"{shown} and {len(numbers) - MOST_NUMBERS} more" if len(numbers) > MOST_NUMBERS else shown


def is_kept(store: StudyStore) -> bool:
    """Whether the study has a ledger."""
    return store.exists(LEDGER) or bool(part_names(store))


def part_names(store: StudyStore) -> list[str]:
    """The parts of a ledger in an object store, in the order in which they were begun; of a copy of one too."""
    return [name for name in store.names(PARTS) if name.endswith(".jsonl")]


def read(store: StudyStore) -> LedgerContents:
    """The records of a study. Empty lines are skipped; a torn, damaged or edited line costs its own trial only."""
    texts = _texts(store)
    if not texts:
        return LedgerContents(kept=False, absent=bool(store.names("trials")))
    contents = LedgerContents()
    for name, text in texts.items():
        _parsed(text, contents, name)
    return contents


def _texts(store: StudyStore) -> dict[str, bytes]:
    """The files of a ledger by their names, in the order in which they count; empty where there are none."""
    try:
        whole, names = {LEDGER: store.read_bytes(LEDGER)}, part_names(store)
    except FileNotFoundError:
        whole, names = {}, part_names(store)
    return whole | dict(zip(names, _read_all(store, names), strict=True))


def _read_all(store: StudyStore, names: Sequence[str]) -> list[bytes]:
    if not names:
        return []
    with ThreadPoolExecutor(1 if store.is_local else AT_ONCE) as pool:
        return list(pool.map(store.read_bytes, names))


class State(msgspec.Struct, frozen=True, gc=False):
    """What a status needs of a record."""

    trial_id: str
    task: str
    scale: str
    experiment: str
    method: str
    status: Status
    started: str
    source_digest: str = ""
    version: int = 0


def states(store: StudyStore) -> tuple[dict[str, State | Record], list[str]]:
    """How each trial ended, by its id, and the damages of `read`, in half its time: lines with their own checksum are not made records."""
    texts = _texts(store)
    found: dict[str, State | Record] = {}
    contents = LedgerContents()
    for name, text in texts.items():
        unreadable = contents.unreadable if name == LEDGER else {}
        for number, line in enumerate(io.BytesIO(text), start=1):
            own = _state(line) or _checked(contents, unreadable, line, number)
            if own and counted(found.get(own.trial_id), own) is own:
                found[own.trial_id] = own
        if unreadable and name != LEDGER:
            contents.unreadable_parts[name] = unreadable
    return (found, contents.damages) if texts else ({}, read(store).damages)


def _state(line: bytes) -> State | None:
    fields = read_signed(line)
    if fields is None or not _is_readable(fields.get("schema_version")):
        return None
    try:
        return msgspec.convert(fields, State)
    except msgspec.ValidationError:
        return None


def _parsed(text: bytes, contents: LedgerContents | None = None, name: str = LEDGER) -> LedgerContents:
    """The records of a file, added to `contents` where there are some of others."""
    contents, reader = contents or LedgerContents(), Reader()
    unreadable = contents.unreadable if name == LEDGER else {}
    for number, line in enumerate(io.BytesIO(text), start=1):
        if found := _intact(reader, line, number):
            contents.add(*found)
        else:
            _checked(contents, unreadable, line, number)
    if unreadable and name != LEDGER:
        contents.unreadable_parts[name] = unreadable
    return contents


def _checked(contents: LedgerContents, unreadable: dict[int, str], line: bytes, number: int) -> Record | None:
    """The record of any line, which is added to the contents; why there is none to `unreadable`."""
    if not line.strip():
        return None
    try:
        fields = json.loads(line, parse_constant=_no_number)
        record = _record(fields)
    except RecursionError:
        unreadable[number] = "it is nested too deeply"
    except UnicodeDecodeError:
        unreadable[number] = "it is no UTF-8 text"
    except ValueError as error:
        unreadable[number] = str(error)
    else:
        contents.add(record, _written_as(fields, number) if FIELD in fields else 0)
        return record
    return None


def _intact(reader: Reader, line: bytes, number: int) -> tuple[Record, int] | None:
    """The record of a line that is what was written, and where it was; None of any other, of which `json` says what is wrong."""
    fields = read_signed(line)
    if fields is None or not _is_readable(fields.get("schema_version")):
        return None
    try:
        record = reader.read(fields)
    except ValueError:
        return None
    return (record, _written_as(fields, number)) if record else None


def _is_readable(version: Any) -> bool:
    return type(version) is int and FIRST_WITH_CHECKSUMS <= version <= SCHEMA_VERSION


def _written_as(fields: dict[str, Any], number: int) -> int:
    """The line that a record was written in: lines that were lost or put in move it, and its curve bears the first number."""
    written = fields.get(NUMBER)
    return written if type(written) is int and written > 0 else number


def _record(fields: Any) -> Record:
    """The record of a line, once it is sure that it says what was written. ValueError, which says why not, otherwise."""
    if not isinstance(fields, dict):
        raise ValueError("it is no JSON object")
    version = fields.get("schema_version", 0)
    if FIELD in fields or version or NUMBER in fields:
        if not is_signed(fields):
            raise ValueError("its checksum is not its own: it was damaged or edited")
        if not _is_readable(version):
            raise ValueError(f"it has schema version {version!r}; this papertrial reads {FIRST_WITH_CHECKSUMS} to {SCHEMA_VERSION}")
    record = Record.from_json(fields)
    own = trial_id(
        record.task,
        record.version,
        record.scale,
        record.experiment,
        record.method,
        record.params,
        record.seed,
        record.data_fingerprint,
    )
    if record.trial_id != own:
        raise ValueError(f"it says that it is trial {record.trial_id[:40]}, and what it holds is trial {own}: it was damaged or edited")
    return record


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


class Ledger:
    """The one writer of a study's ledger on a local store. `append` returns when the records are safe."""

    def __init__(self, store: StudyStore, contents: LedgerContents | None = None) -> None:
        """`contents` are those of the ledger, of a caller that has read it under the study's lock: they grow with it."""
        self._store = store
        path = store.local(LEDGER)
        assert path is not None
        self.contents = contents or read(store)
        """What the ledger holds with all that was appended."""
        before = store.read_bytes(LEDGER) if self.contents.kept and store.exists(LEDGER) else b""
        torn = b"\n" if before and not before.endswith(b"\n") else b""
        self.next_line = max((before + torn).count(b"\n"), self.contents.last) + 1
        """The number of the next record."""
        with store.writing(LEDGER):
            path.parent.mkdir(parents=True, exist_ok=True)
            # Without a buffer: what could not be written must not be tried again when the file is closed.
            self._file: IO[bytes] = path.open("ab", buffering=0)
            self._write(torn)

    def append(self, records: Sequence[Record]) -> None:
        """Add records as one group: one write, one sync. StoreError when that fails."""
        before = self._file.seek(0, os.SEEK_END)
        try:
            with self._store.writing(LEDGER):
                self._write(to_lines(records, self.next_line))
                os.fsync(self._file.fileno())
        except StoreError:
            with suppress(OSError):  # else the next run finds half a line, which costs its trial only
                self._file.truncate(before)
            raise
        for record in records:
            self.contents.add(record, self.next_line)
            self.next_line += 1

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]

    def close(self) -> None:
        """Release the file."""
        self._file.close()


def to_lines(records: Sequence[Record], first: int) -> bytes:
    """Records as lines of a ledger, numbered from `first` on."""
    return b"".join(_line(record, number) for number, record in enumerate(records, first))


def _line(record: Record, number: int) -> bytes:
    fields = signed({"schema_version": SCHEMA_VERSION, NUMBER: number, **record.to_json()})
    return json.dumps(fields, allow_nan=False, separators=(",", ":")).encode() + b"\n"
