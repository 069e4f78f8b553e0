"""The user's own `subject,split` table: who is train, val and test."""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path

from harness.errors import DataError
from tasks.datasets.eeg.annotations import decoded
from tasks.datasets.text_splits import Split

WORDS: dict[str, Split] = {
    "train": "train",
    "dev": "val",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "eval": "test",
    "test": "test",
}
"""What people call the splits."""
_HEADS = (["subject", "split"], ["subject_id", "split"])


def subject_table(root: Path) -> tuple[str, dict[str, Split]] | None:
    """Name and contents of the .csv file in `root` whose columns are `subject,split` (or `subject_id,split`); None where there is none.

    DataError for two such files, a line that is no such pair, a split of another name, and a subject in two splits.
    """
    found = [(file, rows) for file in sorted(root.glob("*.csv")) if file.is_file() and (rows := _rows(file)) is not None]
    if not found:
        return None
    if len(found) > 1:
        raise DataError(f"{root}: {found[0][0].name} and {found[1][0].name} both say who is in which split; keep one")
    file, rows = found[0]
    table: dict[str, Split] = {}
    for number, cells in rows:
        if len(cells) != 2 or not cells[0] or cells[1].lower() not in WORDS:
            raise DataError(f"{file.name}, line {number}: {','.join(cells)!r} is no subject,split (splits: {', '.join(WORDS)})")
        split = WORDS[cells[1].lower()]
        if table.setdefault(cells[0], split) != split:
            raise DataError(f"{file.name}, line {number}: subject {cells[0]} is in two splits, {table[cells[0]]} and {split}")
    return file.name, table


def unlisted(name: str, table: dict[str, Split], subjects: Collection[str]) -> list[str]:
    """Notes on subjects whom the table does not name, who are left out, and on those of the table without a usable window."""
    others = sorted(set(subjects) - set(table))
    lost = sorted(set(table) - set(subjects))
    notes = [f"{name}: splits are as it says"]
    if others:
        notes.append(f"{name}: does not name {len(others)} subject(s), who are left out: {', '.join(others[:5])}")
    if lost:
        notes.append(f"{name}: {len(lost)} of its subjects have no usable window here: {', '.join(lost[:5])}")
    return notes


def _rows(file: Path) -> list[tuple[int, list[str]]] | None:
    try:
        text, _ = decoded(file.read_bytes())
        lines = [(number, [cell.strip() for cell in row]) for number, row in enumerate(csv.reader(text.splitlines()), start=1)]
    except (OSError, UnicodeDecodeError, csv.Error):
        return None
    lines = [(number, cells) for number, cells in lines if any(cells)]
    return lines[1:] if lines and [cell.lower() for cell in lines[0][1]] in _HEADS else None
