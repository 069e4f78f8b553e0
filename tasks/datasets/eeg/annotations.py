"""Which stretch of a recording is what: tables beside the recording, or annotations inside it."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

TABLES = {
    ("start_time", "stop_time", "label"): "TUAR's channel,start_time,stop_time,label,confidence",
    ("onset", "duration", "description"): "onset,duration,description",
}
"""Columns that a table must have, by which its form is told, and what to call the form."""


class LeftOut(Exception):  # noqa: N818 - no error: a piece of the data that the rest goes on without
    """A piece that cannot be used, and why: a sentence for the record."""


@dataclass(frozen=True)
class Annotation:
    """Seconds from the first sample."""

    start: float
    stop: float
    label: str
    channel: str = ""
    """As the table names it; empty for the whole head."""

    def __str__(self) -> str:
        where = f" on {self.channel}" if self.channel else ""
        return f"{self.label}{where}, {self.start:.1f}-{self.stop:.1f} s"


def table_of(recording: Path) -> Path | None:
    """`<stem>.csv` or `<stem>-annotations.csv` beside a recording."""
    stem = recording.name.removesuffix(".gz").rsplit(".", 1)[0]
    beside = (recording.with_name(f"{stem}.csv"), recording.with_name(f"{stem}-annotations.csv"))
    return next((table for table in beside if table.is_file()), None)


def read_table(table: Path, name: str) -> tuple[list[Annotation], list[str]]:
    """The annotations of a table and a note on each line that is none; lines that begin with `#` are comments. `name` is for the notes."""
    try:
        lines = [(number, line) for number, line in enumerate(table.read_text(encoding="utf-8-sig").splitlines(), start=1)]
    except (OSError, UnicodeDecodeError) as error:
        raise LeftOut(f"{name}: cannot be read ({error}); its recording is left out") from None
    lines = [(number, line) for number, line in lines if line.strip() and not line.startswith("#")]
    header = next(csv.reader(line for _, line in lines[:1]), [])
    columns = {column.strip().lower(): index for index, column in enumerate(header)}
    form = next((form for form in TABLES if set(form) <= set(columns)), None)
    if form is None:
        raise LeftOut(f"{name}: its columns must be {' or '.join(TABLES.values())}; its recording is left out")
    found, notes = [], []
    for number, line in lines[1:]:
        cells = [cell.strip() for cell in next(csv.reader([line]))]
        try:
            start, end, label = (cells[columns[column]] for column in form)
            stop = float(end) + (float(start) if form[1] == "duration" else 0.0)
            channel = cells[columns["channel"]] if "channel" in columns else ""
            annotation = Annotation(float(start), stop, label, channel)
        except (IndexError, ValueError):
            notes.append(f"{name}, line {number}: {line.strip()!r} does not hold the times and label of an annotation; left out")
            continue
        if label and annotation.start < annotation.stop and math.isfinite(annotation.stop - annotation.start):
            found.append(annotation)
        else:
            notes.append(f"{name}, line {number}: {annotation} has no label or no duration; left out")
    return found, notes


def within(annotations: Iterable[Annotation], seconds: float, name: str) -> tuple[list[Annotation], list[str]]:
    """The annotations inside a recording of so many seconds; what reaches over its ends is cut, what lies outside left out."""
    kept, notes = [], []
    for annotation in annotations:
        if annotation.start >= seconds or annotation.stop <= 0:
            notes.append(f"{name}: {annotation} lies outside the recording, which ends at {seconds:.1f} s; left out")
            continue
        if annotation.start < -0.05 or annotation.stop > seconds + 0.05:
            notes.append(f"{name}: {annotation} reaches outside the recording, which ends at {seconds:.1f} s; cut there")
        kept.append(replace(annotation, start=max(0.0, annotation.start), stop=min(seconds, annotation.stop)))
    return kept, notes
