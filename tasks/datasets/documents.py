"""Documents (UTF-8 texts) out of wheels, folders of text, Parquet and JSON lines."""

from __future__ import annotations

import gzip
import json
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.user_files import files_below
from tasks.datasets.signatures import container
from tasks.datasets.token_files import is_token_file

MAX_SOURCE_BYTES = 1_000_000
"""Larger files in a wheel are generated tables, not text that a person wrote."""
PIECE_BYTES = 16_384
"""A user's document longer than this is cut at line ends, so that one long file can be split too."""
_JSON_LINES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")


def wheel_sources(archives: Sequence[Path]) -> Iterator[bytes]:
    """The `.py` files of wheels in the order of their paths: UTF-8, not empty, at most 1 MB. No code is imported."""
    for archive in sorted(archives, key=lambda path: path.name):
        with zipfile.ZipFile(archive) as wheel:
            names = sorted(info.filename for info in wheel.infolist() if info.filename.endswith(".py"))
            for name in names:
                if wheel.getinfo(name).file_size > MAX_SOURCE_BYTES:
                    continue
                content = wheel.read(name)
                if content.strip() and _is_utf8(content):
                    yield content


def user_documents(path: Path) -> Iterator[bytes]:
    """Documents of the user's file or folder; DataError names the file (and line) that cannot be read."""
    files = [path] if path.is_file() else [file for file in files_below(path)[0] if not _hidden(file, path)]
    if not files:
        raise DataError(f"{path}: there is no file in this folder")
    for file in files:
        for document in _read(file):
            yield from pieces(document)


def pieces(document: bytes) -> Iterator[bytes]:
    """`document` whole, or cut after line ends into pieces of about PIECE_BYTES when it is longer than two of them."""
    if len(document) <= 2 * PIECE_BYTES:
        if document.strip():
            yield document
        return
    start = 0
    while start < len(document):
        end = document.find(b"\n", start + PIECE_BYTES - 1) + 1 or len(document)
        if document[start:end].strip():
            yield document[start:end]
        start = end


def _read(file: Path) -> Iterator[bytes]:
    name = file.name.lower()
    if name.endswith(".parquet"):
        return _parquet(file)
    if name.endswith(_JSON_LINES):
        return _json_lines(file)
    if is_token_file(file):
        raise DataError(f"{file}: token ids ({file.suffix}) are read one file at a time, not from a folder")
    return _text(file)


def _text(file: Path) -> Iterator[bytes]:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from None
    found = container(content)
    if found:
        raise DataError(f"{file}: not UTF-8 text: it is {found}")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{file}: not UTF-8 text: it starts with the mark of UTF-16")
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not UTF-8 text (byte {error.start + 1} is 0x{content[error.start]:02x})") from None
    if b"\0" in content:
        raise DataError(f"{file}: not text: byte {content.index(0) + 1} is zero (UTF-16 without a mark has such bytes, and binary files)")
    yield content


def _json_lines(file: Path) -> Iterator[bytes]:
    try:
        with gzip.open(file, "rb") if file.name.lower().endswith(".gz") else file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _text_of_line(file, number, line)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file}: cannot be read ({error})") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object with one `text` at most: of two no reader can know which was meant."""
    if sum(name == "text" for name, _ in pairs) > 1:
        raise ValueError("its text stands twice")
    return dict(pairs)


def _text_of_line(file: Path, number: int, line: bytes) -> bytes:
    try:
        row = json.loads(line, object_pairs_hook=_once)
    except UnicodeDecodeError:
        raise DataError(f"{file}, line {number}: not UTF-8 text") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}, line {number}: not JSON ({error})") from None
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise DataError(f"{file}, line {number}: has no `text` string")
    return _encoded(row["text"], f"{file}, line {number}")


def _parquet(file: Path) -> Iterator[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(file)
        schema = table.schema_arrow
        if "text" not in schema.names or not (pa.types.is_string(schema.field("text").type) or _is_large(schema.field("text").type)):
            raise DataError(f"{file}: has no `text` column of strings (columns: {', '.join(schema.names)})")
        row = 0
        for batch in table.iter_batches(columns=["text"]):
            for value in batch.column(0):
                row += 1
                try:
                    text = value.as_py()
                except UnicodeDecodeError:
                    raise DataError(f"{file}, row {row}: not UTF-8 text") from None
                if text is None:
                    raise DataError(f"{file}, row {row}: `text` is empty (null)")
                yield _encoded(text, f"{file}, row {row}")
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file}: not a Parquet file that can be read ({error})") from None


def _is_large(kind: object) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_large_string(kind))


def _encoded(text: str, where: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise DataError(f"{where}: not UTF-8 text (a lone surrogate)") from None


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _hidden(file: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(root).parts)
