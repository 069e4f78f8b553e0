"""Documents -> train, val and test files of tokens, split by the hash of a document's content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from harness.errors import DataError
from tasks.datasets.documents import user_documents, wheel_sources
from tasks.datasets.text import WHEELS
from tasks.datasets.token_files import is_token_file, read_tokens

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
END_OF_DOCUMENT = 0xFF
"""UTF-8 never holds this byte, so no text can be mistaken for it."""
_CHUNK = 2**22
"""Token ids that are copied at once."""


def split_of(document: bytes) -> Split:
    """Where a document belongs: 90 % train, 5 % val, 5 % test, by its SHA-256, so that identical texts stay together."""
    bucket = int.from_bytes(hashlib.sha256(document).digest()[:8], "big") % 100
    return "train" if bucket < 90 else "val" if bucket < 95 else "test"


def unique(documents: Iterable[bytes]) -> Iterator[bytes]:
    """Each different document once, in the order of first appearance."""
    seen: set[bytes] = set()
    for document in documents:
        digest = hashlib.sha256(document).digest()
        if digest not in seen:
            seen.add(digest)
            yield document


def prepare_bytes(archives: Sequence[Path], target: Path) -> None:
    """Write the splits of the pinned wheels as uint8."""
    write_bytes(wheel_sources(archives), target, licences={wheel.requirement: wheel.licence for wheel in WHEELS})


def adopt_bytes(path: Path, target: Path) -> None:
    """Write the splits of the user's own text as uint8, or those of a token file as they are."""
    if is_token_file(path):
        adopt_tokens(path, target)
    else:
        write_bytes(user_documents(path), target, licences={})


@dataclass
class _Counts:
    documents: dict[Split, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))
    tokens: dict[Split, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))


def write_bytes(documents: Iterable[bytes], target: Path, *, licences: dict[str, str]) -> None:
    """Stream the deduplicated documents into `{train,val,test}.bin` (uint8) and describe them in `meta.json`."""
    counts = _Counts()
    files: dict[Split, IO[bytes]] = {split: (target / f"{split}.bin").open("wb") for split in SPLITS}
    try:
        for document in unique(documents):
            split = split_of(document)
            files[split].write(document + bytes([END_OF_DOCUMENT]))
            counts.documents[split] += 1
            counts.tokens[split] += len(document) + 1
    finally:
        for file in files.values():
            file.close()
    for split in SPLITS:
        if not counts.documents[split]:
            total = sum(counts.documents.values())
            raise DataError(f"too little text: {total} documents leave the {split} split empty (give a few hundred, or a few hundred kB)")
    write_meta(
        target, vocab_size=256, dtype="uint8", bytes_per_token=1.0, documents=counts.documents, tokens=counts.tokens, licences=licences
    )


def adopt_tokens(path: Path, target: Path) -> None:
    """Copy the ids of a token file: the first 90 % are train, then 5 % val, then 5 % test, in contiguous blocks.

    They are kept as uint16, or as uint32 where they do not fit: the same ids are the same data in whatever width they came.
    """
    tokens = read_tokens(path)
    vocab_size = int(tokens.max()) + 1
    dtype = "uint16" if vocab_size <= 2**16 else "uint32"
    edges = [0, len(tokens) * 90 // 100, len(tokens) * 95 // 100, len(tokens)]
    counts = _Counts()
    for split, start, end in zip(SPLITS, edges, edges[1:], strict=False):
        with (target / f"{split}.bin").open("wb") as file:
            for first in range(start, end, _CHUNK):
                file.write(tokens[first : min(first + _CHUNK, end)].astype(np.dtype(dtype).newbyteorder("<")).tobytes())
        counts.tokens[split] = end - start
    write_meta(target, vocab_size=vocab_size, dtype=dtype, bytes_per_token=None, documents=None, tokens=counts.tokens, licences={})


def write_meta(
    target: Path,
    *,
    vocab_size: int,
    dtype: str,
    bytes_per_token: float | None,
    documents: dict[Split, int] | None,
    tokens: dict[Split, int],
    licences: dict[str, str],
) -> None:
    """Write `meta.json`, which `corpus.open_corpus` reads."""
    meta: dict[str, Any] = {
        "vocab_size": vocab_size,
        "dtype": dtype,
        "bytes_per_token": bytes_per_token,
        "documents": documents,
        "tokens": tokens,
        "licences": licences,
    }
    (target / "meta.json").write_text(json.dumps(meta, indent=2) + "\n")
