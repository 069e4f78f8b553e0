"""Where a study lives: a folder under a local path or an object store, written so that a kill leaves no half file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import StoreError, UsageError, unknown

if TYPE_CHECKING:
    from pyarrow import fs

PLAN, ENV, LEDGER = "plan.json", "env.json", "ledger.jsonl"


class StudyStore:
    """The folder of one study. Names are relative, with forward slashes."""

    def __init__(self, uri: str, name: str) -> None:
        """`uri` is the store (a path, `s3://bucket/prefix`, `gs://...`); the study is the folder `name` in it."""
        self.name = name
        self.parent_uri = uri
        self.is_local = "://" not in uri or uri.startswith("file://")
        self._files: fs.FileSystem | None = None
        if self.is_local:
            self._root = str(Path(uri.removeprefix("file://")).expanduser().resolve() / name)
            self.parent_uri = str(Path(self._root).parent)
        else:
            self._files, path = _filesystem(uri)
            self._root = f"{path.rstrip('/')}/{name}"
        self.uri = self._root if self.is_local else f"{uri.rstrip('/')}/{name}"

    def local(self, name: str) -> Path | None:
        """The path of a file on this machine, None on a remote store."""
        return Path(self._root) / name if self.is_local else None

    def check_writable(self) -> None:
        """Raise StoreError now rather than after the first trial."""
        try:
            self.write_bytes(".probe", b"")
            self.remove(".probe")
        except OSError as error:
            raise StoreError(f"the store {self.uri} cannot be written: {error.strerror or error}") from None

    def write_text(self, name: str, text: str) -> str:
        """Write a whole file as UTF-8; returns its path or URI."""
        return self.write_bytes(name, text.encode())

    def write_bytes(self, name: str, data: bytes) -> str:
        """Write a whole file: to a temporary name, synced, then renamed. Object stores put it in one piece anyway."""
        if self._files is not None:
            with self._files.open_output_stream(f"{self._root}/{name}") as stream:
                stream.write(data)
            return f"{self.uri}/{name}"
        path = Path(self._root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, data)
        return str(path)

    def read_bytes(self, name: str) -> bytes:
        """The contents of a file; FileNotFoundError when there is none."""
        if self._files is None:
            return (Path(self._root) / name).read_bytes()
        with self._files.open_input_stream(f"{self._root}/{name}") as stream:
            return bytes(stream.read())

    def exists(self, name: str) -> bool:
        """Whether a file is there."""
        if self._files is None:
            return (Path(self._root) / name).exists()
        return bool(self._files.get_file_info(f"{self._root}/{name}").is_file)

    def names(self, folder: str) -> list[str]:
        """Files of a sub-folder, sorted, as names that the other methods take."""
        if self._files is None:
            found = (Path(self._root) / folder).glob("*")
            return sorted(f"{folder}/{path.name}" for path in found if path.is_file() and not path.name.startswith("."))
        from pyarrow import fs

        infos = self._files.get_file_info(fs.FileSelector(f"{self._root}/{folder}", allow_not_found=True))
        return sorted(f"{folder}/{info.base_name}" for info in infos if info.is_file)

    def remove(self, name: str) -> None:
        """Delete a file if it is there."""
        if self._files is None:
            (Path(self._root) / name).unlink(missing_ok=True)
        elif self.exists(name):
            self._files.delete_file(f"{self._root}/{name}")


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


def open_study(text: str, store: str = "results") -> StudyStore:
    """The study that a user names by its folder, its URI, or its name in `store`."""
    if "://" in text:
        parent, _, name = text.rstrip("/").rpartition("/")
        found = StudyStore(parent, name)
    elif (Path(text) / PLAN).exists():
        path = Path(text).resolve()
        found = StudyStore(str(path.parent), path.name)
    else:
        found = StudyStore(store, text)
    if not found.exists(PLAN):
        raise unknown(f"study in {found.parent_uri}", found.name, study_names(found.parent_uri))
    return found


def study_names(store: str) -> list[str]:
    """Studies that a local store holds."""
    root = Path(store)
    return sorted(path.parent.name for path in root.glob(f"*/{PLAN}")) if root.is_dir() else []


def _filesystem(uri: str) -> tuple[Any, str]:
    from pyarrow import ArrowInvalid, fs

    try:
        files, path = fs.FileSystem.from_uri(uri)
    except (ArrowInvalid, OSError) as error:
        raise UsageError(f"the store {uri!r} is not a path or URI that can be opened: {str(error).splitlines()[0]}") from None
    return files, path
