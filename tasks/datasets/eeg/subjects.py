"""Who a recording is of, and which split they belong to: nobody is in two."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

import numpy as np
import numpy.typing as npt

from tasks.datasets.text_splits import SPLITS, Split

HELD = 0.15
"""Share of the subjects that is test, and the share that is val."""
_FOLDERS: dict[str, Split] = {
    "train": "train",
    "dev": "val",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "eval": "test",
    "test": "test",
}
_PART = re.compile(r"_split-\d+")
"""BIDS: parts of one recording."""
_NAMES = (re.compile(r"(sub-[^_]+)_.*"), re.compile(r"(.+?)_s\d+_t\d+"))
"""BIDS and the Temple corpora. Other files are a subject each."""


@dataclass(frozen=True)
class Piece:
    """The windows of one recording."""

    file: PurePath
    """Relative to the folder that the user named."""
    group: str
    x: npt.NDArray[np.float32]
    """(n, channels, samples)"""
    classes: tuple[str, ...]
    """Of each window."""
    starts: tuple[float, ...]
    """Seconds, in order."""
    length: float


def subject_of(file: PurePath) -> str:
    """`sub-01_task-x.edf` -> `sub-01`, `aaaaaaju_s005_t000.edf` -> `aaaaaaju`, `anything.edf` and `anything_split-02.edf` -> `anything`."""
    stem = _PART.sub("", file.name.removesuffix(".gz").rsplit(".", 1)[0])
    matches = (pattern.fullmatch(stem) for pattern in _NAMES)
    return next((match[1] for match in matches if match), stem)


def split_of(file: PurePath) -> Split | None:
    """The split that a folder on the way to the file names, such as `train` or `eval`."""
    return next((_FOLDERS[part.lower()] for part in file.parts[:-1] if part.lower() in _FOLDERS), None)


def deal(pieces: Sequence[Piece]) -> tuple[dict[Split, list[Piece]], list[str]]:
    """Pieces of each split and what to note: as the folders say, else by subject 70 : 15 : 15, else (fewer than three) by time."""
    places = {split_of(piece.file) for piece in pieces}
    if {"train", "test"} <= places:
        return _by_folder(pieces)
    if len({piece.group for piece in pieces}) >= len(SPLITS):
        return _by_subject(pieces), []
    return _by_time(pieces)


def _by_folder(pieces: Sequence[Piece]) -> tuple[dict[Split, list[Piece]], list[str]]:
    """A subject of two folders keeps the one that is held out: test before val before train."""
    dealt: dict[Split, list[Piece]] = {split: [] for split in SPLITS}
    notes, taken = [], dict[str, Split]()
    for split in reversed(SPLITS):
        doubled: dict[str, list[Piece]] = {}
        for piece in pieces:
            if split_of(piece.file) == split:
                if taken.setdefault(piece.group, split) == split:
                    dealt[split].append(piece)
                else:
                    doubled.setdefault(piece.group, []).append(piece)
        for subject, members in doubled.items():
            files = ", ".join(str(piece.file) for piece in members)
            notes.append(f"subject {subject} is in two splits, {split} and {taken[subject]}: {files} left out of {split}")
    notes += [f"{piece.file}: lies in no folder of a split, as others do; left out" for piece in pieces if split_of(piece.file) is None]
    if not dealt["val"]:
        held = set(_order(dealt["train"])[: max(1, round(HELD * len(_order(dealt["train"]))))])
        dealt["val"] = [piece for piece in dealt["train"] if piece.group in held]
        dealt["train"] = [piece for piece in dealt["train"] if piece.group not in held]
    return dealt, notes


def _by_subject(pieces: Sequence[Piece]) -> dict[Split, list[Piece]]:
    order = _order(pieces)
    held = max(1, round(HELD * len(order)))
    chosen: dict[Split, list[str]] = {"train": order[2 * held :], "val": order[held : 2 * held], "test": order[:held]}
    return {split: [piece for piece in pieces if piece.group in chosen[split]] for split in SPLITS}


def _order(pieces: Sequence[Piece]) -> list[str]:
    """The subjects in an order that has nothing to do with their names or with who else is there: by SHA-256."""
    return sorted({piece.group for piece in pieces}, key=lambda group: hashlib.sha256(group.encode()).hexdigest())


def _by_time(pieces: Sequence[Piece]) -> tuple[dict[Split, list[Piece]], list[str]]:
    """The first 70 % of each recording's windows are train, the next 15 % val, the rest test; those across a cut are left out."""
    dealt: dict[Split, list[Piece]] = {split: [] for split in SPLITS}
    lost = 0
    for piece in pieces:
        count = len(piece.starts)
        cuts = [piece.starts[min(count - 1, round(share * count))] for share in (1 - 2 * HELD, 1 - HELD)]
        edges = [-np.inf, *cuts, np.inf]
        for split, low, high in zip(SPLITS, edges, edges[1:], strict=False):
            inside = [i for i, start in enumerate(piece.starts) if start >= low and start + piece.length <= high]
            lost -= len(inside)
            if inside:
                dealt[split].append(_part(piece, inside))
        lost += count
    subjects = len({piece.group for piece in pieces})
    return dealt, [f"recordings of {subjects} subject(s) only: split by time, not by subject; {lost} windows across the cuts left out"]


def _part(piece: Piece, inside: Sequence[int]) -> Piece:
    starts = tuple(piece.starts[i] for i in inside)
    group = f"{piece.group}, {piece.file.name} {starts[0]:.0f}-{starts[-1] + piece.length:.0f} s"
    return replace(piece, group=group, x=piece.x[inside], classes=tuple(piece.classes[i] for i in inside), starts=starts)
