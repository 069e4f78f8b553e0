"""Whether the bytes of a file are the uint16 token ids that they are read as: evidence against it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

_RUNS, _RUN = 64, 8192
"""The sample: so many stretches of so many words (2 MB in all), or everything."""
_WIDER = ("<i8", ">i8", "<f8", ">f8", "<i4", ">i4", "<f4", ">f4")
"""Eight bytes first: every second four of them are zeros, which would pass for an id too."""
_LIMIT = 2**20
"""Ids lie below it in any vocabulary."""
_NEARLY, _LEAST_NONZERO = 0.95, 20
"""Of the numbers that are not zero: the others may be an unknown header or a mark for padding."""
_APART, _ALIKE, _UNEVEN = 0.3, 0.15, 0.3
"""Total variation distances: between 0 (the same distribution) and 1."""
_ENOUGH = 1000
"""Words from which on the statistics of their two bytes are trusted."""

Words = npt.NDArray[np.uint16]
Frequencies = npt.NDArray[np.float64]


def other_width(words: Words) -> tuple[str, str] | None:
    """The dtype that these little-endian 16-bit words have rather than uint16, and what shows it; None where nothing speaks against it.

    Token ids do not care whether their place is even or odd, and the low byte of an id is spread more evenly than its high byte.
    """
    sample = _sample(words)
    for form in _WIDER:
        if _fits(sample, form):
            unsigned = form.replace("i", "u") if sample.view(form).min() >= 0 else form
            return unsigned, f"every {np.dtype(form).itemsize} bytes of it are a number that could be an id"
    if len(sample) < _ENOUGH:
        return None
    low, high = (_frequencies(part, 256) for part in (sample & 0xFF, sample >> 8))
    pooled = (low + high) / 2
    if _distance(low, high) < _ALIKE and _distance(pooled, np.full(256, 1 / 256)) > _UNEVEN and 1 - high[0] > 0.05:
        return "|u1", "its even and odd bytes have the same frequencies"
    if _entropy(low) < _entropy(high) - 0.25:
        return ">u2", "its first bytes vary less than its second ones"
    return None


def _sample(words: Words) -> Words:
    """A whole number of eight bytes."""
    if len(words) <= _RUNS * _RUN:
        return np.array(words[: len(words) // 4 * 4])
    starts = np.linspace(0, len(words) - _RUN, _RUNS).astype(np.int64) // 4 * 4
    return np.concatenate([words[start : start + _RUN] for start in starts.tolist()])


def _fits(sample: Words, form: str) -> bool:
    """Whether nearly all of it could be ids (or a -1 or -100) in `form`, while its parts are too different to be ids themselves."""
    values: npt.NDArray[Any] = sample.view(form)
    with np.errstate(invalid="ignore"):
        could_be = (np.abs(values) < _LIMIT) & (values == np.floor(values))
    nonzero = values != 0
    if np.count_nonzero(nonzero) < _LEAST_NONZERO or could_be[nonzero].mean() < _NEARLY:
        return False
    columns = sample.reshape(len(values), -1)
    most, least = (columns[:, -1], columns[:, 0]) if form[0] == "<" else (columns[:, 0].byteswap(), columns[:, -1].byteswap())
    return not most.any() or _distance(_frequencies(most, 2**16), _frequencies(least, 2**16)) > _APART


def _frequencies(values: npt.NDArray[Any], size: int) -> Frequencies:
    return np.bincount(values, minlength=size) / len(values)


def _distance(one: Frequencies, other: Frequencies) -> float:
    return float(np.abs(one - other).sum() / 2)


def _entropy(frequencies: Frequencies) -> float:
    """Bits."""
    some = frequencies[frequencies > 0]
    return float(-(some * np.log2(some)).sum())
