"""What a file is by its first bytes, whatever its name says."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from harness.errors import DataError

_SIGNATURES = (
    (b"\x1f\x8b\x08", "compressed with gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard"),
    (b"\xfd7zXZ\x00", "compressed with xz"),
    (b"BZh91AY&SY", "compressed with bzip2"),
    (b"\x04\x22\x4d\x18", "compressed with LZ4"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"\x93NUMPY", "a NumPy array (.npy)"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"%PDF-", "a PDF"),
    (b"MMIDIDX\x00\x00", "an index of Megatron"),
    (b"version https://git-lfs.github.com/spec/", "a pointer of Git LFS to a file that is not here (git lfs pull fetches it)"),
)
_CONTROL = frozenset(range(32)) - frozenset(b"\t\n\r\f\x1b")


def container(head: bytes) -> str | None:
    """What kind of archive or table starts with these bytes, in words; None where they are none that is known."""
    return next((said for mark, said in _SIGNATURES if head.startswith(mark)), None)


def unpacked(file: Path) -> bytes:
    """What a file holds, unpacked where it is packed with gzip, which its name may say or not. DataError where it cannot be read."""
    try:
        content = file.read_bytes()
        return gzip.decompress(content) if file.suffix == ".gz" or content.startswith(b"\x1f\x8b") else content
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(f"{file}: cannot be read ({error})") from None


def is_text(head: bytes) -> bool:
    """Whether these first bytes of a file are text a person can read: UTF-8 or UTF-16 with its mark, without control characters."""
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    try:
        text = head.decode(encoding)
    except UnicodeDecodeError as error:
        if error.end < len(head) or error.start == 0:
            return False
        text = head[: error.start].decode(encoding)  # the head may end inside a character
    return bool(text) and not any(ord(letter) in _CONTROL for letter in text)
