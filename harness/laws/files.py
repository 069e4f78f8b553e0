"""Tables in files: CSV, TSV, JSONL and Parquet, plain or gzipped. What cannot be read right is refused with the line it is on."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import DataError
from harness.laws import cells, delimited
from harness.laws.facts import Facts, number
from harness.shown import reason_of, sentence

if TYPE_CHECKING:
    import pandas as pd

GZIP, PARQUET, ZIP = b"\x1f\x8b", b"PAR1", b"PK\x03\x04"
"""First bytes, which tell a format whatever the file is called."""
_MARKS = {b"\xff\xfe\x00\x00": "utf-32", b"\x00\x00\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def read(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """The table in a file, rows numbered from 1, and notes on what was left out. DataError for what is no table."""
    source = str(path)
    if not path.is_file():
        raise DataError(f"there is no file {source}")
    try:
        data = path.read_bytes()
        if data.startswith(GZIP):
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{source} cannot be read: {reason_of(error)}") from None
    if data.startswith(PARQUET):
        return _parquet(data, source), []
    if data.startswith(ZIP):
        raise DataError(f"{source} is a ZIP archive, such as a spreadsheet: save the table as CSV")
    kind = suffix(path)
    if kind == ".parquet":
        raise DataError(f"{source} is no Parquet file: it does not begin with PAR1")
    if not kind:
        raise DataError(f"{source}: the name of a table ends in {', '.join(SUFFIXES)}, also with .gz behind it")
    return READERS[kind](data, source)


def suffix(path: Path) -> str:
    """The kind of table that the name of a file promises, `.csv` for `runs.CSV.gz`; empty for what is no table."""
    parts = [part.lower() for part in path.suffixes]
    found = parts[-2:-1] if parts[-1:] == [".gz"] else parts[-1:]
    return found[0] if found and found[0] in SUFFIXES else ""


def _delimited(delimiter: str) -> Callable[[bytes, str], tuple[pd.DataFrame, list[str]]]:
    def read(data: bytes, source: str) -> tuple[pd.DataFrame, list[str]]:
        import pandas as pd

        table = delimited.parse(_text(data, source), source, delimiter=delimiter)
        columns: dict[str, Any] = {}
        styles: dict[str, cells.Style | None] = {}
        for i, name in enumerate(table.header):
            columns[name], styles[name] = cells.typed([row[i] for row in table.rows])
        if table.delimiter != ",":
            _doubt_points(styles)
        return number(pd.DataFrame(columns), Facts.of(styles, table.lines)), list(table.notes)

    return read


def _doubt_points(styles: dict[str, cells.Style | None]) -> None:
    """Where a column of the file has decimal commas, 1.000 in another may be a thousand."""
    comma = next((name for name, style in styles.items() if style and style.mark == ","), None)
    for name, style in styles.items():
        if comma is not None and style and style.mark == "." and style.thousands:
            styles[name] = cells.Style(doubt=f"has points that may group thousands, for column {comma} has decimal commas", at=style.at)


def _jsonl(data: bytes, source: str) -> tuple[pd.DataFrame, list[str]]:
    import pandas as pd

    rows, lines = [], []
    for at, line in enumerate(io.StringIO(_text(data, source), newline=""), start=1):
        if line.strip():
            try:
                rows.append(_row(line))
            except ValueError as error:
                raise DataError(f'{source}, line {at} {error}: one object a line, {{"n": 1e6, "y": 3.2}}') from None
            lines.append(at)
    names = list(dict.fromkeys(name for row in rows for name in row))
    # As objects first, so that an integer beside a missing value keeps every digit.
    columns = {name: pd.Series([row.get(name) for row in rows], dtype=object) for name in names}
    return _described(pd.DataFrame(columns).infer_objects(), lines), []


def _row(line: str) -> dict[str, Any]:
    """The flat object of one line; ValueError says what is wrong with it."""
    try:
        found = json.loads(line, object_pairs_hook=_object)
        row = _flat(found) if isinstance(found, dict) else {}
        json.dumps(row, ensure_ascii=False).encode()
    except json.JSONDecodeError:
        raise ValueError("is no JSON") from None
    except UnicodeError:
        raise ValueError("holds half a character") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("is no JSON object")
    return row


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for i, (name, _) in enumerate(pairs) if name in dict(pairs[:i]))
        raise ValueError(f"has {twice!r} more than once")
    return found


def _flat(row: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"param": {"lr": 1}}` as `param.lr`; lists as JSON text."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        parts = _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
        for key, cell in parts.items():
            if key in found:
                raise ValueError(f"has {key!r} more than once")
            found[key] = json.dumps(cell) if isinstance(cell, list) else cell
    return found


def _parquet(data: bytes, source: str) -> pd.DataFrame:
    """The columns of the file as they are stored: what pandas took for an index is a column like the others."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(data), page_checksum_verification=True)
        table.validate(full=True)  # text that is no UTF-8 is noticed here, not where it is first used
        while any(pa.types.is_struct(kind) for kind in table.schema.types):
            table = table.flatten()
        frame: pd.DataFrame = table.to_pandas(ignore_metadata=True, integer_object_nulls=True, strings_to_categorical=False)
        for name in frame.columns:
            if frame[name].dtype == "category":
                frame[name] = frame[name].astype(object)
        _ranges(frame, table.schema.pandas_metadata)
    except Exception as error:  # whatever a damaged file makes Arrow raise
        raise DataError(f"{source} cannot be read as Parquet: {sentence(error)}") from None
    return _described(frame, None)


def _ranges(frame: pd.DataFrame, metadata: Mapping[str, Any] | None) -> None:
    """An index of equal steps is not among the stored columns: with a name it is a column too."""
    for index in (metadata or {}).get("index_columns", ()):
        if isinstance(index, dict) and index.get("kind") == "range" and index.get("name") is not None:
            frame.insert(0, str(index["name"]), range(index["start"], index["stop"], index["step"]))


def _described(frame: pd.DataFrame, lines: Sequence[int] | None) -> pd.DataFrame:
    """Numbered, with the styles of the columns of text."""
    unique = frame.columns[~frame.columns.duplicated(keep=False)]
    return number(frame, Facts.of({name: cells.style_of(frame[name]) for name in unique}, lines))


def _text(data: bytes, source: str) -> str:
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "utf-8-sig")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(f"{source}, line {line} is no {encoding.upper().removesuffix('-SIG')} text: save the file as UTF-8") from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise DataError(f"{source}, line {line} holds a NUL byte: it is no text, or UTF-16 without a mark")
    return text


READERS: Mapping[str, Callable[[bytes, str], tuple[pd.DataFrame, list[str]]]] = {
    ".csv": _delimited(""),
    ".tsv": _delimited("\t"),
    ".txt": _delimited(""),
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
}
SUFFIXES = (*READERS, ".parquet")
