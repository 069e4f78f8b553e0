"""One driver a study: two of them would run the same trials twice."""

from __future__ import annotations

import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from harness.errors import Say, StoreError, quiet
from harness.lease import LEASE, MISSED, Lease, heartbeat_s, look
from harness.ledger_parts import next_term
from harness.object_folder import ObjectFolder
from harness.store import StudyStore

_CLOCKS_APART_S = 60.0


@contextmanager
def held(store: StudyStore, say: Say = quiet) -> Iterator[None]:
    """Hold the study for this process; StoreError when another process has it.

    On a local store the lock dies with its holder. In an object store it is a lease, which is taken over from a holder that gives no
    sign of life; `say` is told.
    """
    if not store.is_local:
        with _leased(store, say):
            yield
        return
    path = store.local(".lock")
    assert path is not None
    with _locked(store, path):
        yield


@contextmanager
def _leased(store: StudyStore, say: Say) -> Iterator[None]:
    assert store.remote is not None
    quick = ObjectFolder(store.parent_uri, store.name, answered=True, answer_s=heartbeat_s() / 2)
    lease = Lease(store.remote, quick, store.name, lambda: next_term(store), say)
    with store.writing(LEASE):
        lease.take()
    store.lease = lease
    try:
        yield
    finally:
        store.lease = None
        lease.release()


@contextmanager
def _locked(store: StudyStore, path: Path) -> Iterator[None]:
    with store.writing(".lock"):
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = path.open("a+b", buffering=0)
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().decode(errors="replace").strip() or "another process"
            raise StoreError(f"study {store.name} is being run by {holder}: wait, or name another with --study") from None
        with store.writing(".lock"):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {platform.node()}\n".encode())
        yield


def is_held(store: StudyStore) -> bool:
    """Whether a process runs the study now: of this machine on a local store, of any in an object store.

    There it is told by when the holder beat last, for people to read: clocks that are a minute apart may make a difference.
    """
    if (folder := store.remote) is not None:
        with store.reading(LEASE):
            found = look(folder)
        if found is None or found[0].released:
            return False
        age = (datetime.now(UTC) - datetime.fromisoformat(found[0].at)).total_seconds()
        return age < MISSED * found[0].period_s + _CLOCKS_APART_S
    path = store.local(".lock")
    if path is None or not path.exists():
        return False
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
