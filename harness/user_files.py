"""The files that a user names: found, digested, and shown, whatever their names and links are."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from harness.errors import DataError
from harness.file_memory import remembered
from harness.shown import reason_of

FINGERPRINT = re.compile(r"[0-9a-f]{16}")
"""The first 16 digits of a SHA-256, by which records name what a user brought."""


def files_below(path: Path) -> tuple[list[Path], list[str]]:
    """The files of a folder, links followed, in the order of their paths (or the one file); and sentences about what is left out.

    That is what is no file: a link to nothing or in a circle, a pipe. Hidden ones are not mentioned. DataError where a folder cannot
    be read.
    """
    if path.is_file():
        return [path], []
    files: list[Path] = []
    left_out: list[str] = []
    for name, folders, names in os.walk(path, followlinks=True, onerror=_unreadable):
        folder = Path(name)
        circles = _circles(folder, folders)
        folders[:] = [child for child in folders if child not in circles]
        left_out += [f"{(folder / child).relative_to(path.parent)}: left out, a link to a folder that it lies in" for child in circles]
        for file in (folder / child for child in names):
            if file.is_file():
                files.append(file)
            elif not file.name.startswith("."):
                what = "a link to a file that is not there" if file.is_symlink() else "neither a file nor a folder"
                left_out.append(f"{file.relative_to(path.parent)}: left out, {what}")
    return sorted(files), sorted(left_out)


def _circles(folder: Path, children: Sequence[str]) -> list[str]:
    """Which children are links to a folder that they lie in, however the path came there."""
    links = [child for child in children if (folder / child).is_symlink()]
    around = {os.path.realpath(one) for one in (folder, *folder.parents)} if links else set()
    return [child for child in links if os.path.realpath(folder / child) in around]


def _unreadable(error: OSError) -> NoReturn:
    raise DataError(f"{error.filename}: cannot be read ({reason_of(error)})") from None


def content_digest(path: Path, files: Sequence[Path], *reading: int, memory: Path) -> str:
    """SHA-256 over the names and contents of the files below `path`, and over the versions of what reads them.

    Contents are read once: `memory` keeps their digests until a file's size or time of change differs.
    """
    try:
        digests = remembered(memory, "sha256", files, file_digest)
        lines = [f"{file.relative_to(path.parent)} {digest}" for file, digest in zip(files, digests, strict=True)]
    except OSError as error:
        _unreadable(error)
    text = "\n".join([".".join(map(str, reading)), *lines])
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
