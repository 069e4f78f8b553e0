"""A study's folder on a local file system: whole files or none."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


class LocalFolder:
    """Files by name relative to `root`, with forward slashes. Errors are the operating system's."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, name: str, data: bytes) -> None:
        """Replace a whole file: to a temporary name, synced, then renamed."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, data)

    def read(self, name: str) -> bytes:
        """The contents of a file; FileNotFoundError when there is none."""
        return (self.root / name).read_bytes()

    def exists(self, name: str) -> bool:
        """Whether a file is there."""
        return (self.root / name).exists()

    def names(self, folder: str) -> list[str]:
        """Names of the files of a sub-folder, without those that are half written."""
        return [path.name for path in (self.root / folder).glob("*") if path.is_file() and not path.name.startswith(".")]

    def remove(self, name: str) -> None:
        """Delete a file if it is there."""
        (self.root / name).unlink(missing_ok=True)


def replace_file(path: Path, data: bytes) -> None:
    """Atomic replacement of a local file."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
