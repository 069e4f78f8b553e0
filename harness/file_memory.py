"""What was found out about users' files, remembered by their size and times of change: a million photographs are read once."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

_PIECE = 500
"""Files between two commits, so that what was found survives an interrupt; and within what SQLite takes in one query."""
_SETTLED_NS = 2_000_000_000
"""A file that changed later than this before it was looked at may change again within one tick of its file system's clock."""
_TABLE = (
    "CREATE TABLE IF NOT EXISTS seen "
    "(what TEXT, path BLOB, size INTEGER, mtime INTEGER, ctime INTEGER, value TEXT, PRIMARY KEY (what, path))"
)

_State = tuple[int, int, int]
"""Size, mtime, and ctime, which a copy that keeps times does not keep."""


def remembered(memory: Path, what: str, files: Sequence[Path], find: Callable[[Path], str]) -> list[str]:
    """`find(file)` for each file, in order, on all cores; from `memory` where the file has the size and times that it had then.

    `what` names the finding and its version. OSError where a file cannot be looked at; a memory that cannot be used is done without.
    """
    found: list[str] = []
    with closing(_opened(memory)) as database, ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for piece in _pieces(files):
            found += _piece(database, what, piece, find, pool)
    return found


def _pieces(files: Sequence[Path]) -> Iterator[Sequence[Path]]:
    return (files[start : start + _PIECE] for start in range(0, len(files), _PIECE))


def _piece(
    database: sqlite3.Connection, what: str, files: Sequence[Path], find: Callable[[Path], str], pool: ThreadPoolExecutor
) -> list[str]:
    now = time.time_ns()
    states = list(pool.map(_state, files))
    known = _known(database, what, files)
    values: list[str | None] = [known.get((os.fsencode(file), *state)) for file, state in zip(files, states, strict=True)]
    missing = [place for place, value in enumerate(values) if value is None]
    rows = []
    for place, value in zip(missing, pool.map(lambda place: find(files[place]), missing), strict=True):
        values[place] = value
        if max(states[place][1:]) < now - _SETTLED_NS:
            rows.append((what, os.fsencode(files[place]), *states[place], value))
    _keep(database, rows)
    return [value for value in values if value is not None]


def _state(file: Path) -> _State:
    status = file.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _opened(memory: Path) -> sqlite3.Connection:
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(memory, timeout=30)
        database.execute(_TABLE)
    except (OSError, sqlite3.Error):
        database = sqlite3.connect(":memory:")
        database.execute(_TABLE)
    return database


def _known(database: sqlite3.Connection, what: str, files: Sequence[Path]) -> dict[tuple[bytes, int, int, int], str]:
    marks = ",".join("?" * len(files))
    query = f"SELECT path, size, mtime, ctime, value FROM seen WHERE what = ? AND path IN ({marks})"
    try:
        rows = database.execute(query, (what, *map(os.fsencode, files))).fetchall()
    except sqlite3.Error:
        return {}
    return {(path, size, mtime, ctime): value for path, size, mtime, ctime, value in rows}


def _keep(database: sqlite3.Connection, rows: Sequence[tuple[str, bytes, int, int, int, str]]) -> None:
    try:
        with database:
            database.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?, ?)", rows)
    except sqlite3.Error:
        return
