"""Delimited text: which delimiter, which lines, and nothing that could shift a column.

The csv module splits; every row must have as many fields as the header, and numbers of lines are those of the file, whatever quotes span.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import DataError
from harness.laws.cells import same_number

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_SEPARATOR = re.compile(r'"?sep=([^\w"\r\n])"?[ \t]*(?:\r\n|\r|\n)', re.IGNORECASE)
_Record = tuple[int, list[str]]


@dataclass(frozen=True)
class Lines:
    """A table as it stands in a text file."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    """As many fields each as the header, without blanks around them."""
    lines: Sequence[int]
    """The line of the file on which each row begins, from 1."""
    notes: Sequence[str]
    delimiter: str


def parse(text: str, source: str, *, delimiter: str = "") -> Lines:
    """The table in `text`. `delimiter` wins where the header holds it; a first line `sep=;` wins over both.

    DataError, by line: a row with more or fewer fields than the header, a quote that never closes, a delimiter that cannot be told.
    """
    start, forced = 1, ""
    if found := _SEPARATOR.match(text):
        text, start, forced = text[found.end() :], 2, found[1]
    told, records = (forced, _records(text, forced, start, source)) if forced else _detected(text, start, source, delimiter)
    if not records:
        raise DataError(f"{source} has no header line")
    width = next((len(fields) for _, fields in records if not fields[0].startswith("#")), len(records[0][1]))
    remarks = {line for line, fields in records if fields[0].startswith("#") and len(fields) != width}
    (_, names), *rows = (record for record in records if record[0] not in remarks)
    for line, fields in rows:
        _check(line, fields, names, source)
    if all(same_number(name) is not None for name in names):
        raise DataError(f"{source}: its first line holds numbers, not the names of columns")
    notes = [f"{len(remarks)} lines that start with # are left out (line {min(remarks)})"] if remarks else []
    return _named(names, rows, notes, told, source)


def _named(names: Sequence[str], rows: Sequence[_Record], notes: list[str], delimiter: str, source: str) -> Lines:
    """A column without a name is dropped when it is empty, otherwise named by its place as pandas does."""
    kept = [i for i, name in enumerate(names) if name or any(fields[i] for _, fields in rows)]
    header = [names[i] or f"Unnamed: {i}" for i in kept]
    for name in header:
        if header.count(name) > 1:
            raise DataError(f"{source} has column {name!r} more than once")
    return Lines(header, [[fields[i] for i in kept] for _, fields in rows], [line for line, _ in rows], notes, delimiter)


def _check(line: int, fields: Sequence[str], names: Sequence[str], source: str) -> None:
    if len(fields) != len(names):
        hint = "" if len(fields) < len(names) else ": a delimiter too many at its end"
        if any(fields[len(names) :]):
            hint = ": name every column, and quote a value that holds the delimiter"
        raise DataError(f"{source}, line {line} has {len(fields)} fields, the header has {len(names)}{hint}")
    if fields == names:
        raise DataError(f"{source}, line {line} repeats the header: two tables in one file")


def _detected(text: str, start: int, source: str, preferred: str) -> tuple[str, list[_Record]]:
    """The delimiter that the header holds, and where it holds several the one that cuts every line into as many fields."""
    lines = [line.strip() for line in io.StringIO(text, newline="") if line.strip()]
    head = next((line for line in lines if not line.startswith("#")), lines[0] if lines else "")
    present = [one for one in DELIMITERS if any(len(fields) > 1 for _, fields in _records(head, one, 1, source, strict=False))]
    if preferred in present or len(present) == 1:
        found = preferred if preferred in present else present[0]
        return found, _records(text, found, start, source)
    if not present:
        # Columns apart by blanks, as simulation codes write them: only where every line has as many.
        spaced = "".join(line.replace("\t", " ").strip() + "\n" for line in io.StringIO(text, newline=""))
        return " ", _even(spaced, " ", start, source) or _records(text, ",", start, source)
    even = [(one, records) for one in present if (records := _even(text, one, start, source))]
    if len(even) > 1:
        names = " or ".join(DELIMITERS[one] for one in present)
        raise DataError(f"{source} can be read with {names} between columns: say which on a first line of its own, such as sep=;")
    likely = max(present, key=head.count)
    return even[0] if even else (likely, _records(text, likely, start, source))


def _even(text: str, delimiter: str, start: int, source: str) -> list[_Record]:
    """The records when all have the same number of fields, more than one; otherwise none."""
    try:
        records = _records(text, delimiter, start, source)
    except DataError:
        return []
    widths = {len(fields) for _, fields in records if not fields[0].startswith("#")}
    return records if len(widths) == 1 and widths != {1} else []


def _records(text: str, delimiter: str, start: int, source: str, *, strict: bool = True) -> list[_Record]:
    """(line on which it begins, fields) of every record that is not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=strict)
    records, line = list[_Record](), 0
    try:
        while True:
            line = reader.line_num + start
            fields = [_stripped(cell) for cell in next(reader)]
            if fields and fields != [""]:
                records.append((line, fields))
    except StopIteration:
        return records
    except csv.Error as error:
        what = "a quote that opens here is never closed" if "unexpected end" in str(error) else str(error)
        raise DataError(f"{source}, line {line}: {what}") from None


def _stripped(cell: str) -> str:
    """Without blanks, and without the byte order mark that joined files leave inside."""
    return cell.strip().strip("\ufeff").strip()
