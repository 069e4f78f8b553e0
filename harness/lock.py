"""One driver a study: two of them would run the same trials twice."""

from __future__ import annotations

import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

from harness.errors import StoreError
from harness.store import StudyStore


@contextmanager
def held(store: StudyStore) -> Iterator[None]:
    """Hold the study for this process; StoreError when another process has it. The lock dies with its holder.

    Remote stores have no locks: there the scheduler must see to it that one job runs one study.
    """
    path = store.local(".lock")
    if path is None:
        yield
        return
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
    """Whether some process on this machine runs the study now."""
    path = store.local(".lock")
    if path is None or not path.exists():
        return False
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
