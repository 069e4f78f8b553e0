"""Where a study lives: a folder under a local path or an object store, written so that a kill leaves no half file."""

from __future__ import annotations

import os
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import StoreError, UsageError, unknown
from harness.masking import learn, mask
from harness.shown import reason_of, sentence

if TYPE_CHECKING:
    from pyarrow import fs

PLAN, ENV, LEDGER = "plan.json", "env.json", "ledger.jsonl"
REFERENCE = "reference"
"""The folder of a store whose studies are committed: a name that the store does not have is looked for there."""
LONGEST_NAME = 150
_NOT_IN_NAMES = set('/\\<>:"|?*')
_RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{i}" for port in ("COM", "LPT") for i in range(1, 10))}
PLAN_COPY = "plan.copy.json"
"""The plan once more: alone of all files it cannot be made again from others."""
PATIENCE_S = 15.0
"""How long Google's storage is asked again. Left alone, its client knocks for 15 minutes; that of S3 gives up after seconds."""


class StudyStore:
    """The folder of one study. Names are relative, with forward slashes.

    `parent_uri` opens the store; `uri` (of the study) and `store_uri` are for people, without credentials.
    """

    def __init__(self, uri: str, name: str) -> None:
        """`uri` is the store (a path, `s3://bucket/prefix`, `gs://...`); the study is the folder `name` in it."""
        self.name = check_name(name)
        self.parent_uri = uri
        self.is_local = "://" not in uri or uri.startswith("file://")
        self._files: fs.FileSystem | None = None
        if self.is_local:
            self._root = str(_folder(uri) / name)
            self.parent_uri = str(Path(self._root).parent)
            self.uri = self._root
        else:
            learn(uri)
            self._files, path = _filesystem(uri)
            self._root = f"{path.rstrip('/')}/{name}"
            self.uri = mask(join(uri, name))
        self.store_uri = mask(self.parent_uri)

    def local(self, name: str) -> Path | None:
        """The path of a file on this machine, None on a remote store."""
        return Path(self._root) / name if self.is_local else None

    @contextmanager
    def writing(self, name: str) -> Iterator[None]:
        """What the operating system or the store says of a failed write becomes a StoreError."""
        try:
            yield
        except OSError as error:
            raise StoreError(f"{join(self.uri, name)} cannot be written: {reason_of(error)}") from None

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            raise StoreError(f"{join(self.uri, name)} cannot be read: {reason_of(error)}") from None

    def check_writable(self) -> None:
        """Raise StoreError now rather than after the first trial."""
        self.write_bytes(".probe", b"")
        self.remove(".probe")

    def write_text(self, name: str, text: str) -> str:
        """Write a whole file as UTF-8; returns its path or URI."""
        return self.write_bytes(name, text.encode())

    def write_bytes(self, name: str, data: bytes) -> str:
        """Write a whole file: to a temporary name, synced, then renamed. StoreError when it fails.

        Object stores put it in one piece anyway.
        """
        with self.writing(name):
            if self._files is not None:
                with self._files.open_output_stream(f"{self._root}/{name}") as stream:
                    stream.write(data)
                return join(self.uri, name)
            path = Path(self._root) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, data)
            return str(path)

    def read_bytes(self, name: str) -> bytes:
        """The contents of a file; FileNotFoundError when there is none, StoreError when it cannot be read."""
        with self._reading(name):
            if self._files is None:
                return (Path(self._root) / name).read_bytes()
            with self._files.open_input_stream(f"{self._root}/{name}") as stream:
                return bytes(stream.read())

    def exists(self, name: str) -> bool:
        """Whether a file is there."""
        with self._reading(name):
            if self._files is None:
                return (Path(self._root) / name).exists()
            return bool(self._files.get_file_info(f"{self._root}/{name}").is_file)

    def names(self, folder: str) -> list[str]:
        """Files of a sub-folder, sorted, as names that the other methods take."""
        with self._reading(folder):
            if self._files is None:
                found = (Path(self._root) / folder).glob("*")
                return sorted(f"{folder}/{path.name}" for path in found if path.is_file() and not path.name.startswith("."))
            from pyarrow import fs

            infos = self._files.get_file_info(fs.FileSelector(f"{self._root}/{folder}", allow_not_found=True))
            return sorted(f"{folder}/{info.base_name}" for info in infos if info.is_file)

    def remove(self, name: str) -> None:
        """Delete a file if it is there."""
        with self.writing(name):
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


def write_file(path: Path, text: str) -> str:
    """Write a file that the user named, with the folders it lies in; UsageError where that cannot be."""
    data = text.encode(errors="backslashreplace")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file() and not path.is_dir():  # a device or a pipe is written to, never replaced
            path.write_bytes(data)
        else:
            replace_file(path, data)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {reason_of(error)}") from None
    return str(path)


def open_study(text: str, store: str = "results") -> StudyStore:
    """The study that a user names by its folder, its URI, or its name in `store` or among the committed ones there."""
    if "://" in text:
        path, mark, query = text.partition("?")
        parent, _, name = path.rstrip("/").rpartition("/")
        found = StudyStore(parent + mark + query, name)
    elif any(os.path.exists(os.path.join(text, plan)) for plan in (PLAN, PLAN_COPY)):  # noqa: PTH110, PTH118 - pathlib's raises for a name that is too long
        here = Path(text).resolve()
        found = StudyStore(str(here.parent), here.name)
    else:
        found = StudyStore(store, text)
        if found.is_local and not _is_study(found):
            committed = StudyStore(str(Path(found.parent_uri) / REFERENCE), text)
            found = committed if _is_study(committed) else found
    if not _is_study(found):
        raise unknown(f"study in {found.store_uri}", found.name, [path.name for path in studies(found.parent_uri)])
    return found


def _is_study(store: StudyStore) -> bool:
    return any(store.exists(name) for name in (PLAN, PLAN_COPY, LEDGER))


def check_name(name: str) -> str:
    """`name`, if a study may be called that: one folder of the store, on every system and object store. UsageError otherwise."""
    wrong = ""
    if not name.strip() or name in (".", ".."):
        wrong = "it is empty" if not name.strip() else "it names a folder that is there already"
    elif found := [character for character in name if character in _NOT_IN_NAMES or unicodedata.category(character) in ("Cc", "Cs")]:
        wrong = f"it holds {found[0]!r}"
    elif name[0] in "-. ~" or name[-1] in ". ":
        wrong = f"it {'starts' if name[0] in '-. ~' else 'ends'} with {(name[0] if name[0] in '-. ~' else name[-1])!r}"
    elif len(name.encode()) > LONGEST_NAME:
        wrong = f"it is longer than {LONGEST_NAME} bytes"
    elif name.partition(".")[0].upper() in _RESERVED:
        wrong = "Windows keeps that name for itself"
    if wrong:
        raise UsageError(
            f"a study cannot be called {name[:LONGEST_NAME]!r}: {wrong}. Letters, digits, spaces and - _ . + = , @ [ ] ( ) will do"
        )
    return name


def join(uri: str, name: str) -> str:
    """The URI of `name` in the folder `uri`, whose query stays last."""
    path, mark, query = uri.partition("?")
    return f"{path.rstrip('/')}/{name}{mark}{query}"


def _folder(uri: str) -> Path:
    """The folder behind a local store. UsageError where no folder can be meant."""
    text = uri.removeprefix("file://")
    if not text.strip() or "\0" in text:
        raise UsageError(f"--store takes a folder or a URI, not {uri!r}")
    try:
        path = Path(text).expanduser().resolve()
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            path.lstat()
        return path
    except (OSError, RuntimeError) as error:
        raise UsageError(f"the store {uri[:LONGEST_NAME]!r} is no folder that can be opened: {reason_of(error)}") from None


def studies(store: str) -> list[Path]:
    """The folders of the studies that a local store holds, oldest first, after those that are committed in its `reference`."""
    root = Path(store.removeprefix("file://")).expanduser()
    found = {path.parent for name in (PLAN, PLAN_COPY, LEDGER) for path in root.glob(f"*/{name}")}
    committed = {path.parent for name in (PLAN, PLAN_COPY, LEDGER) for path in root.glob(f"{REFERENCE}/*/{name}")}
    return [*sorted(committed), *sorted(found, key=lambda folder: (folder.stat().st_mtime, folder.name))]


def _filesystem(uri: str) -> tuple[Any, str]:
    from pyarrow import ArrowInvalid, fs

    try:
        files, path = fs.FileSystem.from_uri(_bounded(uri))
    except (ArrowInvalid, OSError) as error:
        raise UsageError(f"the store {mask(uri)!r} is not a path or URI that can be opened: {sentence(error)}") from None
    return files, path


def _bounded(uri: str) -> str:
    """The URI with a limit to how long its client asks again, where it has none of its own."""
    if not uri.startswith(("gs://", "gcs://")) or "retry_limit_seconds=" in uri:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}retry_limit_seconds={PATIENCE_S:g}"
