"""Where a study lives: a folder under a local path or an object store, written so that a kill leaves no half file."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import StoreError, UsageError, unknown
from harness.local_folder import LocalFolder, replace_file
from harness.masking import again, learn, mask
from harness.object_folder import ObjectFolder
from harness.shown import reason_of

if TYPE_CHECKING:
    from harness.lease import Lease

PLAN, ENV, LEDGER = "plan.json", "env.json", "ledger.jsonl"
DEFAULT = "results"
"""Where commands look that name no store."""
REFERENCE = "reference"
"""The folder of a store whose studies are committed: a name that the store does not have is looked for there."""
LONGEST_NAME = 150
_NOT_IN_NAMES = set('/\\<>:"|?*')
_RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{i}" for port in ("COM", "LPT") for i in range(1, 10))}
PLAN_COPY = "plan.copy.json"
"""The plan once more: alone of all files it cannot be made again from others."""
_OF_A_STUDY = (PLAN, PLAN_COPY, LEDGER)
"""A folder with any of these is a study's."""


class StudyStore:
    """The folder of one study. Names are relative, with forward slashes.

    `parent_uri` opens the store; `uri` (of the study) and `store_uri` are for people, without credentials.
    """

    def __init__(self, uri: str, name: str, *, answered: bool = False) -> None:
        """`uri` is the store (a path, `s3://bucket/prefix`, `gs://...`); the study is the folder `name` in it.

        `answered` says that the store is known to be there: an object store that is silent is waited for from the start.
        """
        self.name = check_name(name)
        self.parent_uri = uri
        self.is_local = "://" not in uri or uri.startswith("file://")
        self.lease: Lease | None = None
        """Held by the run that writes a study of an object store: without it no more is written."""
        self._files: LocalFolder | ObjectFolder
        if self.is_local:
            root = _folder(uri) / name
            self._files = LocalFolder(root)
            self.parent_uri = str(root.parent)
            self.uri = str(root)
        else:
            learn(uri)
            self._files = ObjectFolder(uri, name, answered=answered)
            self.uri = mask(join(uri, name))
        self.store_uri = mask(self.parent_uri)

    @property
    def words(self) -> list[str]:
        """The study as a command names it."""
        return [self.name, *store_words(self.parent_uri)]

    def local(self, name: str) -> Path | None:
        """The path of a file on this machine, None on a remote store."""
        return self._files.root / name if isinstance(self._files, LocalFolder) else None

    @property
    def remote(self) -> ObjectFolder | None:
        """The folder in an object store, None on a local one."""
        return self._files if isinstance(self._files, ObjectFolder) else None

    @contextmanager
    def writing(self, name: str) -> Iterator[None]:
        """What the operating system or the store says of a failed write becomes a StoreError."""
        try:
            if self.lease is not None:
                self.lease.check()
            yield
        except OSError as error:
            raise StoreError(f"{join(self.uri, name)} cannot be written: {reason_of(error)}") from None

    @contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """What goes wrong while a file is read becomes a StoreError, but for its absence."""
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
        """Write a whole file or none of it. StoreError when it fails."""
        with self.writing(name):
            self._files.write(name, data)
        return str(self.local(name) or join(self.uri, name))

    def read_bytes(self, name: str) -> bytes:
        """The contents of a file; FileNotFoundError when there is none, StoreError when it cannot be read."""
        with self.reading(name):
            return self._files.read(name)

    def exists(self, name: str) -> bool:
        """Whether a file is there."""
        with self.reading(name):
            return self._files.exists(name)

    def names(self, folder: str) -> list[str]:
        """Files of a sub-folder, sorted, as names that the other methods take."""
        with self.reading(folder):
            return sorted(f"{folder}/{name}" for name in self._files.names(folder))

    def remove(self, name: str) -> None:
        """Delete a file if it is there."""
        with self.writing(name):
            self._files.remove(name)


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


def open_study(text: str, store: str = DEFAULT) -> StudyStore:
    """The study that a user names by its folder, its URI, or its name in `store` or among the committed ones there.

    The start of a name will do in a local store where only one study is called so.
    """
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
        there = {path.name: path for path in studies(found.parent_uri)}
        longer = [name for name in there if name.startswith(found.name)]
        if len(longer) != 1:
            raise unknown(
                f"study in {found.store_uri}", found.name, longer or list(there), listed_by=again(["ls", *store_words(found.parent_uri)])
            )
        found = StudyStore(str(there[longer[0]].parent), longer[0])
    return found


def store_words(uri: str) -> list[str]:
    """`--store URI`, with which a command writes beside the studies of a store and finds them by name; nothing for the usual store."""
    if "://" in uri and not uri.startswith("file://"):
        return ["--store", uri]
    folder = _folder(uri)
    folder = folder.parent if folder.name == REFERENCE else folder
    return [] if folder == _folder(DEFAULT) else ["--store", str(folder)]


def alone(text: str) -> list[Path]:
    """The folder of the study that a local path names, if it is one's."""
    here = path_of(text)
    return [here.resolve()] if any((here / name).exists() for name in _OF_A_STUDY) else []


def _is_study(store: StudyStore) -> bool:
    return any(store.exists(name) for name in _OF_A_STUDY)


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


def path_of(store: str) -> Path:
    """The folder that a local store names. UsageError for the home of somebody who has none."""
    try:
        return Path(store.removeprefix("file://")).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{store} is no folder: {reason_of(error)}") from None


def studies(store: str) -> list[Path]:
    """The folders of the studies that a local store holds, oldest first, after those that are committed in its `reference`."""
    root = path_of(store)
    found = {path.parent for name in _OF_A_STUDY for path in root.glob(f"*/{name}")}
    committed = {path.parent for name in _OF_A_STUDY for path in root.glob(f"{REFERENCE}/*/{name}")}
    return [*sorted(committed), *sorted(found, key=lambda folder: (folder.stat().st_mtime, folder.name))]
