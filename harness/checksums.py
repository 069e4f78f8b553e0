"""Checksums of what a study keeps: damage and edits are found before a value is used.

A file of bytes carries its SHA-256 inside, where its format keeps text for others (metadata of Parquet, the comment of a zip
file), so that any reader of the format still opens it. A JSON object has it as a field, over what it says and not how it is spaced.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping
from typing import Any

import msgspec

_MARK, _DIGITS = b"papertrial-sha256:", 64
PLACEHOLDER = _MARK + b"0" * _DIGITS
FIELD = "checksum"
_SORTED = msgspec.json.Encoder(order="sorted").encode
_PLAIN = msgspec.json.Decoder().decode
_SPELT_OTHERWISE = re.compile(r"(?<=[:,\[])-?(?:0\.0000\d+|\d(?:\.\d+)?e-?\d+)(?=[,}\]])|[^\x00-\x7e]")
_END_OF_ZIP = b"PK\x05\x06"


def seal(data: bytes) -> bytes:
    """`data` with its checksum in the place of the last PLACEHOLDER."""
    start = data.rindex(PLACEHOLDER) + len(_MARK)
    return b"".join([data[:start], _digest(data, start), data[start + _DIGITS :]])


def seal_zip(data: bytes, owner: str = "") -> bytes:
    """A zip file without a comment (what `torch.save` writes is one) with its checksum as the comment, and `owner`, whose file it is."""
    if data[-22:-18] != _END_OF_ZIP or data[-2:] != b"\0\0":
        raise ValueError("not a zip file without a comment")
    comment = PLACEHOLDER + owner.encode()
    return seal(b"".join([data[:-2], len(comment).to_bytes(2, "little"), comment]))


def is_owned(data: bytes, owner: str) -> bool:
    """Whether an intact zip file is `owner`'s, or from before files said whose they are."""
    mark = data.rfind(_MARK)
    return mark < 0 or data[mark + len(PLACEHOLDER) :] in (b"", owner.encode())


def is_intact(data: bytes) -> bool | None:
    """Whether the checksum in `data` is its own; None when it holds none."""
    mark = data.rfind(_MARK)
    if mark < 0:
        return None
    start = mark + len(_MARK)
    return data[start : start + _DIGITS] == _digest(data, start)


def is_intact_zip(data: bytes) -> bool:
    """Whether a zip file is what was written; by the CRC of its members where it comes from before there were checksums."""
    sealed = is_intact(data)
    if sealed is not None:
        return sealed
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            # A comment without a checksum is one that lost it.
            return not archive.comment and archive.testzip() is None
    except Exception:  # what a damaged archive makes `zipfile` raise is not one kind of error
        return False


def signed(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with the checksum of its fields."""
    return {**fields, FIELD: _of(fields)}


def is_signed(fields: Mapping[str, Any]) -> bool:
    """Whether the checksum of a JSON object is its own."""
    return fields.get(FIELD) == _of({name: value for name, value in fields.items() if name != FIELD})


def read_signed(text: bytes) -> dict[str, Any] | None:
    """What a JSON object that bears its own checksum says beside it; None where it may not, and `json` and `is_signed` have to tell.

    It takes a fifth of their time. Nothing is taken on trust: whatever it makes of a text, the checksum is over what it made.
    """
    try:
        fields = _PLAIN(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if type(fields) is not dict or (checksum := fields.pop(FIELD, None)) is None:
        return None
    plain = _SORTED(fields)
    if _short(plain) == checksum or _short(_SPELT_OTHERWISE.sub(_as_json, plain.decode()).encode()) == checksum:
        return fields
    return None


def _as_json(spelt: re.Match[str]) -> str:
    """A number or a character as `json` writes it, where its spelling is not the only one."""
    found = spelt[0]
    return repr(float(found)) if found[-1].isdigit() and found.isascii() else json.dumps(found)[1:-1]


def _of(fields: Mapping[str, Any]) -> str:
    return _short(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode())


def _short(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:16]


def _digest(data: bytes, start: int) -> bytes:
    """The checksum over `data` as it is without one, which stands at `start`."""
    found = hashlib.sha256(memoryview(data)[:start])
    found.update(b"0" * _DIGITS)
    found.update(memoryview(data)[start + _DIGITS :])
    return found.hexdigest().encode()
