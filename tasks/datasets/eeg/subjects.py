"""Who a recording is of, and which split they belong to: nobody is in two."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

import numpy as np
import numpy.typing as npt

from tasks.datasets.eeg.stratified import HELD, by_hash, held, stratified
from tasks.datasets.eeg.subject_table import WORDS, unlisted
from tasks.datasets.text_splits import SPLITS, Split

_PART = re.compile(r"_split-\d+")
"""BIDS: parts of one recording."""
_NAMES = (re.compile(r"(sub-[^_]+)_.*"), re.compile(r"(.+?)_s\d+_t\d+"))
"""BIDS and the Temple corpora. Other files are a subject each."""
_CLOSE = 1e-6
"""Seconds that do not count."""


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
    return next((WORDS[part.lower()] for part in file.parts[:-1] if part.lower() in WORDS), None)


def deal(pieces: Sequence[Piece], table: tuple[str, dict[str, Split]] | None = None) -> tuple[dict[Split, list[Piece]], list[str]]:
    """Pieces of each split and what to note: as the user's table says, else the folders, else by subject, else (fewer than three) by time.

    By subject the windows of every class are split 70 : 15 : 15, the rarest first.
    """
    if table:
        name, chosen = table
        return _chosen(pieces, chosen), unlisted(name, chosen, {piece.group for piece in pieces})
    places = {split_of(piece.file) for piece in pieces}
    if {"train", "test"} <= places:
        return _by_folder(pieces)
    if len({piece.group for piece in pieces}) >= len(SPLITS):
        return _chosen(pieces, stratified(windows_of(pieces))), []
    return _by_time(pieces)


def windows_of(pieces: Sequence[Piece]) -> dict[str, Counter[str]]:
    """Group -> class -> windows."""
    counts: dict[str, Counter[str]] = {}
    for piece in pieces:
        counts.setdefault(piece.group, Counter()).update(piece.classes)
    return counts


def of_classes(piece: Piece, classes: Sequence[str]) -> Piece:
    """The windows of a piece that are of these classes."""
    return _part(piece, [i for i, label in enumerate(piece.classes) if label in classes], piece.group)


def stretches(piece: Piece) -> list[int]:
    """Of each window, which run of overlapping windows it is in, from 0: two of one run share signal."""
    runs, end = [-1], -np.inf
    for start in piece.starts:
        runs.append(runs[-1] + (start >= end - _CLOSE))
        end = max(end, start + piece.length)
    return runs[1:]


def _chosen(pieces: Sequence[Piece], splits: Mapping[str, Split]) -> dict[Split, list[Piece]]:
    return {split: [piece for piece in pieces if splits.get(piece.group) == split] for split in SPLITS}


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
        order = by_hash({piece.group for piece in dealt["train"]})
        chosen = set(order[: held(len(order))])
        dealt["val"] = [piece for piece in dealt["train"] if piece.group in chosen]
        dealt["train"] = [piece for piece in dealt["train"] if piece.group not in chosen]
    return dealt, notes


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
                first, last = piece.starts[inside[0]], piece.starts[inside[-1]] + piece.length
                dealt[split].append(_part(piece, inside, f"{piece.group}, {piece.file.name} {first:.0f}-{last:.0f} s"))
        lost += count
    subjects = len({piece.group for piece in pieces})
    return dealt, [f"recordings of {subjects} subject(s) only: split by time, not by subject; {lost} windows across the cuts left out"]


def _part(piece: Piece, inside: Sequence[int], group: str) -> Piece:
    starts = tuple(piece.starts[i] for i in inside)
    return replace(piece, group=group, x=piece.x[list(inside)], classes=tuple(piece.classes[i] for i in inside), starts=starts)
