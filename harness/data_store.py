"""Data sets in a store: pushed once, fetched by the nodes that lack them, by fingerprint.

<store>/data/<name>/<fingerprint>/<file>            the prepared files; large ones in pieces
<store>/data/<name>/<fingerprint>/manifest.json     sizes and SHA-256, as in a prepared folder; written last
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.data import MANIFEST, Dataset, fetched_folder, fingerprint, manifest, planned_folder
from harness.errors import DataError
from harness.plan import DataRef
from harness.shown import failure
from harness.store import StudyStore, join

FOLDER = "data"
"""Beside the studies of the store."""
PIECE_BYTES = 2**26
"""A file is read, sent and fetched in pieces of this size: neither side holds more of it in memory."""


@dataclass(frozen=True)
class Pushed:
    """Where a set lies in the store, its size, and whether it was there before."""

    uri: str
    size: int
    was_there: bool


def push(data: DataRef, store_uri: str, *, force: bool = False) -> Pushed:
    """Put a verified set of this machine into the store; nothing is sent where a copy of this fingerprint is there already.

    `force` sends it again. StoreError when the store cannot be written.
    """
    store, root, folder = StudyStore(store_uri, FOLDER), _root(data), Path(data.path)
    described = manifest(folder) | {"piece_bytes": PIECE_BYTES}
    pushed = Pushed(join(store.uri, root), sum(entry["bytes"] for entry in described["files"].values()), store.exists(f"{root}/{MANIFEST}"))
    if pushed.was_there and not force:
        return pushed
    store.remove(f"{root}/{MANIFEST}")
    for file, entry in described["files"].items():
        with (folder / file).open("rb") as content:
            for piece in _pieces(file, entry["bytes"], PIECE_BYTES):
                store.write_bytes(f"{root}/{piece}", content.read(PIECE_BYTES))
    store.write_text(f"{root}/{MANIFEST}", json.dumps(described, indent=2) + "\n")
    return pushed


class NodeData:
    """The data of one node: what a trial needs and the node lacks is fetched from the study's store."""

    def __init__(self, store_uri: str) -> None:
        self._store_uri = store_uri
        self._here: set[str] = set()

    def bring(self, dataset: Dataset, data: DataRef) -> None:
        """See to it that the planned data lies on this machine, if the store has it. DataError when the store's copy is not that data.

        It comes before a trial's clock: what a node waits for its data is no trial's cost. Where nothing was pushed, nothing
        happens, and opening the data says what is missing.
        """
        if data.fingerprint in self._here:
            return
        try:
            planned_folder(dataset, data)
        except DataError:
            if not _fetch(data, self._store_uri):
                return
        self._here.add(data.fingerprint)


def _fetch(data: DataRef, store_uri: str) -> bool:
    """Whether the store has the set, which then lies here, verified."""
    # The run began on this store: where it is silent now, it is waited for.
    store, root, target = StudyStore(store_uri, FOLDER, answered=True), _root(data), fetched_folder(data)
    uri = join(store.uri, root)
    mend = f"send it again with `papertrial data push {data.name} --store {store.store_uri} --force`"
    try:
        described = _described(store.read_bytes(f"{root}/{MANIFEST}"))
    except FileNotFoundError:
        return False
    if not described or fingerprint(described["files"]) != data.fingerprint:
        raise DataError(f"data set {data.name}: {join(uri, MANIFEST)} is damaged, its fingerprint is not {data.fingerprint}; {mend}")
    try:
        with _alone(target):
            if not _sound(target, data):
                _write(target, store, root, described, f"data set {data.name}: the copy in {uri} is damaged", mend)
    except OSError as error:
        raise DataError(f"data set {data.name} cannot be fetched from {uri}: {failure(error)}") from error
    return True


def _write(target: Path, store: StudyStore, root: str, described: Mapping[str, Any], damaged: str, mend: str) -> None:
    """Into a temporary neighbour, each file checked, then renamed: a folder that exists is whole."""
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        for file, entry in described["files"].items():
            digest = hashlib.sha256()
            with (scratch / file).open("wb") as written:
                for piece in _pieces(file, entry["bytes"], described["piece_bytes"]):
                    try:
                        content = store.read_bytes(f"{root}/{piece}")
                    except FileNotFoundError:
                        raise DataError(f"{damaged}: {piece} is missing; {mend}") from None
                    digest.update(content)
                    written.write(content)
            if digest.hexdigest() != entry["sha256"]:
                raise DataError(f"{damaged}: {file} is not what its SHA-256 says; {mend}")
        (scratch / MANIFEST).write_text(json.dumps(described, indent=2) + "\n")
        shutil.rmtree(target, ignore_errors=True)
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _described(text: bytes) -> dict[str, Any] | None:
    """The manifest of a copy; None where it is none, or names files that would lie elsewhere."""
    try:
        described: dict[str, Any] = json.loads(text)
        plain = all(
            Path(file).name == file and int(entry["bytes"]) >= 0 and isinstance(entry["sha256"], str)
            for file, entry in described["files"].items()
        )
        return described if plain and int(described["piece_bytes"]) > 0 else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _sound(folder: Path, data: DataRef) -> bool:
    try:
        return bool(manifest(folder)["fingerprint"] == data.fingerprint)
    except DataError:
        return False


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """One process of this machine at a time: the workers of a node wait for the first of them instead of fetching the same."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f".{target.name}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _root(data: DataRef) -> str:
    return f"{data.name}/{data.fingerprint}"


def _pieces(file: str, size: int, piece_bytes: int) -> list[str]:
    """Names of the pieces of a file, in order; a small file is one, under its own name."""
    count = -(-size // piece_bytes)
    return [file] if count <= 1 else [f"{file}.{number:05d}" for number in range(count)]
