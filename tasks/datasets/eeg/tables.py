"""Tables of annotations beside a recording: TUAR's, a spreadsheet's, mne's CSV and text, BIDS's events."""

from __future__ import annotations

import codecs
import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tasks.datasets.eeg.annotations import Annotation, LeftOut, decoded

FORMS = {
    ("start_time", "stop_time", "label"): "TUAR's channel,start_time,stop_time,label,confidence",
    ("onset", "duration", "description"): "onset,duration,description",
    ("onset", "duration", "trial_type"): "BIDS's onset, duration, trial_type",
}
"""Columns that a table must have, by which its form is told, and what to call the form."""
_DELIMITERS = ",;\t"
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""From which mne counts in a CSV file when no recording has given it a date."""
_MOST = 8
"""Lines of a table that are named one by one."""


@dataclass(frozen=True)
class Clock:
    """How the times of a table are brought to the first sample."""

    date: datetime | None
    """Of the recording's own time zero; None where the file does not say."""
    first: float = 0.0
    """Seconds from there to the first sample."""

    def since_first(self, moment: datetime) -> float:
        """Seconds from the first sample. LeftOut where the recording does not say when that was taken."""
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        undated = abs(moment - _EPOCH) < timedelta(days=30) and (self.date is None or abs(self.date - _EPOCH) > timedelta(days=365))
        if undated and (self.date is not None or self.first == 0):
            return (moment - _EPOCH).total_seconds()
        if self.date is None:
            said = f"it gives times such as {moment:%Y-%m-%d %H:%M:%S}"
            raise LeftOut(f"{said}, but the recording does not say when its first sample was taken")
        return (moment - self.date).total_seconds() - self.first


def tables_of(recording: Path) -> tuple[list[Path], list[Path]]:
    """Beside a recording: tables that count before the annotations inside it, and those that count where there are none inside.

    `<stem>.csv` and `<stem>-annotations.csv` come first. The others are named as mne and BIDS do, also without `_raw`, `_eeg`, `_split-01`.
    """
    stem = recording.name.removesuffix(".gz").rsplit(".", 1)[0]
    base = re.sub(r"[-_](?:raw|eeg|ieeg|meg)(?:_t?sss)?$", "", stem)
    first = [f"{stem}.csv", f"{stem}-annotations.csv"]
    stems = dict.fromkeys((stem, base, re.sub(r"_split-\d+", "", base)))
    named = [f"{s}{joint}{word}" for s in stems for joint in "-_" for word in ("annotations", "annot")]
    others = [f"{s}{end}" for s in named for end in (".csv", ".txt", ".tsv", ".fif", ".fif.gz")] + [f"{s}_events.tsv" for s in stems]
    before, after = ([recording.with_name(n) for n in names if recording.with_name(n).is_file()] for names in (first, others))
    return before, [table for table in after if table not in before]


def read_table(table: Path, name: str, clock: Clock) -> tuple[list[Annotation], list[str]]:
    """The annotations of a table and a note on each line that is none; lines that begin with `#` are comments. `name` is for the notes."""
    text, notes = _text(table, name)
    every = list(enumerate(re.split(r"\r\n|\r|\n", text), start=1))
    lines = [(number, line) for number, line in every if line.strip() and not line.startswith("#")]
    zero: datetime | None = None
    head = lines[0][1] if lines else ""
    if text.startswith("# MNE-Annotations"):
        comments = [line.lstrip("# ") for _, line in every if line.startswith("#")]
        head = next((line for line in comments if line.startswith("onset")), "")
        said = next((line.partition(":")[2].strip() for line in comments if line.startswith("orig_time")), "")
        try:
            zero = _moment(said)
        except ValueError:
            zero = None
        if said and zero is None:
            raise LeftOut(f"{name}: its orig_time {said!r} is no date and time; its recording is left out")
        if zero is None and clock.date is None and clock.first:
            raise LeftOut(f"{name}: whether its times count from the first sample cannot be told; its recording is left out")
    else:
        lines = lines[1:]
    delimiter, columns, form = _form(head, table, name)
    rows, width = [], max(columns.values()) + 1
    for number, line in lines:
        try:
            cells = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, strict=True))]
        except csv.Error:
            cells = []
        rows.append((number, line, cells if not any(cells[width:]) else []))
    point = "." if delimiter != ";" or any("." in row[columns[c]] for _, _, row in rows for c in form[:2] if columns[c] < len(row)) else ","
    found, wrong = [], list[str]()
    for number, line, cells in rows:
        try:
            annotation = _annotation(cells, columns, form, point, clock, zero)
        except (IndexError, ValueError, OverflowError):
            wrong.append(f"{name}, line {number}: {line.strip()[:200]!r} does not hold the times and label of an annotation; left out")
            continue
        except LeftOut as reason:
            raise LeftOut(f"{name}: {reason}; its recording is left out") from None
        if annotation.label not in ("", "n/a") and annotation.start < annotation.stop and math.isfinite(annotation.stop - annotation.start):
            found.append(annotation)
        else:
            wrong.append(f"{name}, line {number}: {annotation} has no label or no duration; left out")
    more = [f"{name}: {len(wrong) - _MOST} more lines hold no times, no label or no duration; left out"] if len(wrong) > _MOST else []
    return found, [*notes, *wrong[:_MOST], *more]


def _text(table: Path, name: str) -> tuple[str, list[str]]:
    try:
        content = table.read_bytes()
    except OSError as error:
        raise LeftOut(f"{name}: cannot be read ({error}); its recording is left out") from None
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if b"\0" in content and not wide:
        raise LeftOut(f"{name}: holds NUL bytes, so it is no text in UTF-8 or Latin-1; its recording is left out")
    try:
        text, latin = (content.decode("utf-16"), False) if wide else decoded(content)
    except UnicodeDecodeError as error:
        raise LeftOut(f"{name}: cannot be read ({error}); its recording is left out") from None
    return text, [f"{name}: is not in UTF-8; read as Latin-1"] if latin else []


def _form(head: str, table: Path, name: str) -> tuple[str, Mapping[str, int], tuple[str, str, str]]:
    """The delimiter, where each column is, and which columns count."""
    for delimiter in _DELIMITERS:
        try:
            names = [column.strip().lower() for column in next(csv.reader([head], delimiter=delimiter))]
        except csv.Error:
            continue
        if form := next((form for form in FORMS if set(form) <= set(names)), None):
            if twice := next((column for column in (*form, "channel", "ch_names") if names.count(column) > 1), None):
                raise LeftOut(f"{name}: has two columns {twice}; its recording is left out")
            return delimiter, {column: index for index, column in enumerate(names)}, form
    known = list(FORMS.values())[:2] if table.suffix.lower() == ".csv" else list(FORMS.values())[1:]
    raise LeftOut(f"{name}: its columns must be {' or '.join(known)}; its recording is left out")


def _annotation(
    cells: Sequence[str], columns: Mapping[str, int], form: tuple[str, str, str], point: str, clock: Clock, zero: datetime | None
) -> Annotation:
    """Of one line. ValueError or IndexError where it holds none."""
    start, end, label = (cells[columns[column]] for column in form)
    moment = _moment(start)
    onset = clock.since_first(moment) if moment else _number(start, point)
    if zero is not None and not moment:
        onset = clock.since_first(zero + timedelta(seconds=onset))
    stop = _number(end, point) + onset if form[1] == "duration" else _number(end, point)
    channel = cells[columns["channel"]] if "channel" in columns else ""
    if "ch_names" in columns and columns["ch_names"] < len(cells):
        channel = "-".join(cells[columns["ch_names"]].split(":"))
    return Annotation(onset, stop, label, channel)


def _number(text: str, point: str) -> float:
    if point == "," and _COMMA.fullmatch(text):
        text = text.replace(",", ".")
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return float(text)


def _moment(text: str) -> datetime | None:
    """What an ISO time stamp with date and time of day means; None for anything else."""
    if not re.match(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:", text, re.ASCII):
        return None
    return datetime.fromisoformat(text)
