"""Token ids in a file: a `.bin` of uint16, a `.bin` with the header of llm.c, or a `.npy` of any integers.

A `.bin` without a header does not say how wide its ids are. It is read as uint16, unless its bytes show that it is something else:
then it is refused, and `.npy` is the way to say the width.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from harness.shown import sentence
from tasks.datasets.signatures import container, is_text
from tasks.datasets.token_width import other_width

SUFFIXES = (".bin", ".npy")
LEAST = 200
"""Fewer ids cannot be split."""
MAX_ID = 2**20 - 1
"""No published vocabulary is larger."""
_HEADER = 256
"""32-bit integers: magic, version, number of tokens, then zeros (karpathy/llm.c, `dev/data/data_common.py`)."""
_FORMS = {(20240520, 1): "<u2", (20240801, 7): "<u4"}
"""Magic and version -> dtype of the tokens."""

Tokens = npt.NDArray[np.integer[Any]]


def is_token_file(path: Path) -> bool:
    """Whether the name says that a file holds token ids."""
    return path.is_file() and path.suffix.lower() in SUFFIXES


def read_tokens(path: Path) -> Tokens:
    """The ids (count,) of a token file, memory-mapped: none is negative, none above MAX_ID. DataError says what else it is."""
    size = path.stat().st_size
    if not size:
        raise DataError(f"{path}: is empty")
    tokens = _array(path) if path.suffix.lower() == ".npy" else _binary(path, size)
    if len(tokens) < LEAST:
        raise DataError(f"{path}: {len(tokens)} token ids are too few to split")
    least, most = int(tokens.min()), int(tokens.max())
    if least < 0:
        raise DataError(f"{path}: token {int(np.argmax(tokens < 0))} is {tokens[np.argmax(tokens < 0)]}: a token id is not negative")
    if most > MAX_ID:
        raise DataError(f"{path}: token {int(np.argmax(tokens))} is {most}: no vocabulary has so many entries")
    if least == most:
        raise DataError(f"{path}: all {len(tokens)} token ids are {most}: there is nothing to predict")
    return tokens


def _array(path: Path) -> Tokens:
    try:
        tokens: Any = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # a broken header may raise nearly anything
        raise DataError(f"{path}: not a .npy file that can be read ({sentence(error)})") from None
    if tokens.ndim != 1:
        raise DataError(f"{path}: an array of shape {tokens.shape}: token ids are one flat array")
    if tokens.dtype.kind not in "ui":
        raise DataError(f"{path}: an array of {tokens.dtype}: token ids are integers")
    if tokens.offset + tokens.nbytes != path.stat().st_size:
        raise DataError(f"{path}: {path.stat().st_size} bytes are not the {len(tokens)} {tokens.dtype} of its header")
    return tokens  # type: ignore[no-any-return]


def _binary(path: Path, size: int) -> Tokens:
    with path.open("rb") as file:
        head = file.read(4 * _HEADER)
    found = container(head) or ("text" if is_text(head) else None)
    if found:
        raise DataError(f"{path}: is {found}, not token ids")
    return _headed(path, size, head) if head[:4] in _MAGICS else _bare(path, size)


_MAGICS = {np.array(magic, "<i4").tobytes() for magic, _ in _FORMS}


def _headed(path: Path, size: int, head: bytes) -> Tokens:
    if len(head) < 4 * _HEADER:
        raise DataError(f"{path}: ends within the header of llm.c")
    magic, version, count = (int(value) for value in np.frombuffer(head, "<i4")[:3])
    if (magic, version) not in _FORMS:
        raise DataError(f"{path}: starts as a file of llm.c with magic {magic}, but of the unknown version {version}")
    form = np.dtype(_FORMS[magic, version])
    if size - len(head) != count * form.itemsize or not count:
        raise DataError(f"{path}: its header says {count} tokens of {form.itemsize} bytes, {size - len(head)} bytes follow")
    return np.memmap(path, dtype=form, mode="r", offset=len(head))


def _bare(path: Path, size: int) -> Tokens:
    if size % 2:
        raise DataError(f"{path}: {size} bytes are not a whole number of uint16 token ids")
    tokens = np.memmap(path, dtype="<u2", mode="r")
    other = other_width(tokens) if len(tokens) >= LEAST else None
    if other:
        form, evidence = other
        order = {"<": ", little-endian", ">": ", big-endian"}.get(form[0], "")
        whole = ".astype('u4')" if "f" in form else ""
        raise DataError(
            f"{path}: a .bin without a header is read as uint16, but {evidence}, as in {np.dtype(form).name}{order}. "
            f"Say the width in a .npy, such as numpy.save('ids.npy', numpy.memmap('{path.name}', '{form}'){whole})"
        )
    return tokens
