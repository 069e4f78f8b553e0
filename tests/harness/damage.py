"""Ways in which a file goes bad, for tests of what reads it."""

from __future__ import annotations

import copy
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import strategies as st

ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just([]), st.just({}), st.just([[[]]]), st.just({"": {}})
)


@st.composite
def mutated_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    """`data` with a bit flipped, a block zeroed, a piece cut out, doubled or put in, or its end gone."""
    start = draw(st.integers(0, len(data) - 1))
    end = min(len(data), start + draw(st.integers(1, 64)))
    kind = draw(st.sampled_from(["flip", "zero", "cut", "double", "noise", "truncate"]))
    middle = {
        "flip": bytes([data[start] ^ (1 << draw(st.integers(0, 7)))]) + data[start + 1 : end],
        "zero": bytes(end - start),
        "cut": b"",
        "double": data[start:end] * 2,
        "noise": draw(st.binary(min_size=1, max_size=16)),
        "truncate": b"",
    }[kind]
    return data[:start] + middle + (b"" if kind == "truncate" else data[end:])


@st.composite
def mutated_json(draw: st.DrawFn, value: Any) -> Any:
    """`value` with one of its parts, however deep, gone or replaced by something else."""
    found = copy.deepcopy(value)
    place = found
    while True:
        if not isinstance(place, dict | list) or not place:
            return draw(ODD)
        key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        below = place[key]
        if isinstance(below, dict | list) and below and draw(st.booleans()):
            place = below
            continue
        if draw(st.booleans()):
            place[key] = draw(ODD)
        else:
            del place[key]
        return found


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """No file can grow beyond `size` bytes: what a full disk looks like to a program."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
