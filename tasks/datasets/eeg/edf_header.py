"""Headers of EDF and BDF (Kemp et al. 1992, 2003), in which no field is trusted. mne reads the samples, but any unknown unit as volts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_FIELDS = {
    "label": 16,
    "transducer": 80,
    "unit": 8,
    "physical minimum": 8,
    "physical maximum": 8,
    "digital minimum": 8,
    "digital maximum": 8,
    "prefiltering": 80,
    "samples in a record": 8,
    "reserved": 32,
}
"""Of a channel, in the order of the file, with their widths in bytes."""
_ANNOTATIONS = ("EDF Annotations", "BDF Annotations")
_MICRO = rb"(?:u|micro|\xb5|\xc2\xb5|\xce\xbc|\x83\xca)"
"""ASCII; the micro sign in Latin-1 and UTF-8; the Greek letter in UTF-8 and Shift-JIS."""
_VOLTS = (
    (re.compile(_MICRO + rb"v(?:olts?)?", re.IGNORECASE), 1.0),
    (re.compile(rb"m[vV](?:olts?)?"), 1e3),
    (re.compile(rb"v(?:olts?)?", re.IGNORECASE), 1e6),
    (re.compile(rb"nv(?:olts?)?", re.IGNORECASE), 1e-3),
)
"""`MV` is none: nobody can tell whether it means milli or mega."""
_MNE = (b"uV", b"\xb5V", b"\x83\xcaV", b"mV", b"V", b"v")
"""Spellings of units from which mne takes the right factor."""
_WHOLE = re.compile(r"[+-]?\d+")
_REAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


@dataclass(frozen=True)
class Channel:
    """One channel, as its header describes it."""

    label: str
    unit: str
    microvolts: float | None
    """In one of its units; None where that is no voltage."""
    samples: int
    """In a record."""
    fault: str | None
    """Why its samples mean nothing, such as a range of zero."""


@dataclass(frozen=True)
class Header:
    """Of one file."""

    channels: tuple[Channel, ...]
    """The annotations too, in the order of the file."""
    announced: int
    """Records; negative where the writer did not know."""
    records: int
    """That are there and announced."""
    duration: float
    """Of a record, seconds."""
    extra: int
    """Bytes after the last record that is counted."""
    discontinuous: bool
    width: int
    """Bytes of a sample."""
    content: bytes

    @property
    def size(self) -> int:
        """Of the records that are counted, bytes."""
        return self.records * self.width * sum(channel.samples for channel in self.channels)

    @property
    def signals(self) -> list[Channel]:
        """Without the channels of annotations."""
        return [channel for channel in self.channels if channel.label not in _ANNOTATIONS]

    def annotation_bytes(self, file: Path) -> list[list[bytes]]:
        """For each record, what its annotation channels hold."""
        sizes = [channel.samples * self.width for channel in self.channels]
        ends = np.cumsum(sizes).tolist()
        places = [(e - s, e) for s, e, c in zip(sizes, ends, self.channels, strict=True) if c.label in _ANNOTATIONS]
        if not places or not self.records:
            return []
        data = np.memmap(file, np.uint8, "r", len(self.content), (self.records, ends[-1]))
        return [[row[start:stop].tobytes() for start, stop in places] for row in data]


def read_header(file: Path) -> Header:
    """The header of a file. ValueError says what is wrong with it."""
    bdf = file.name.lower().endswith(".bdf")
    with file.open("rb") as opened:
        content = opened.read(256)
        if len(content) < 256:
            raise ValueError(f"it has {len(content)} bytes, a header has 256 or more")
        if (content[0] == 0xFF) != bdf or (not bdf and content[:8].strip(b" \0") not in (b"0", b"")):
            raise ValueError(f"its first bytes are not those of {'a BDF' if bdf else 'an EDF'} file")
        size, count = _whole(content[184:192], "size of the header"), _whole(content[252:256], "number of channels")
        if count < 1 or size != 256 * (count + 1):
            raise ValueError(f"its header announces {count} channels and a header of {size} bytes, which do not fit")
        content += opened.read(size - 256)
    if len(content) < size:
        raise ValueError(f"it ends inside its header of {size} bytes")
    channels = tuple(_channel(content[256:], index, count) for index in range(count))
    announced, duration = _whole(content[236:244], "number of records"), _real(content[244:252], "duration of a record")
    if not duration > 0 and any(channel.label not in _ANNOTATIONS for channel in channels):
        raise ValueError(f"its header says that a record lasts {duration:g} s")
    width = 3 if bdf else 2
    record, there = width * sum(channel.samples for channel in channels), file.stat().st_size - size
    if not record:
        raise ValueError("its header announces records without samples")
    records = there // record if announced < 0 else min(announced, there // record)
    discontinuous = content[192:197] in (b"EDF+D", b"BDF+D")
    return Header(channels, announced, records, duration, there - records * record, discontinuous, width, content)


def mended(header: Header) -> bytes:
    """The header as mne reads it right: padded with spaces, units as mne spells them, as many records as are read.

    It is the same, byte by byte, where nothing stands in mne's way. A unit of nanovolts is called microvolts: scale what is read.
    """
    content, count = header.content, len(header.channels)
    widths = [8, 80, 80, 8, 8, 8, 44, 8, 8, 4, *(width for width in _FIELDS.values() for _ in range(count))]
    ends = np.cumsum(widths).tolist()
    fields = [content[end - width : end] for width, end in zip(widths, ends, strict=True)]
    fields[1:] = [field.split(b"\0")[0].ljust(len(field)) if b"\0" in field else field for field in fields[1:]]
    if any(word.count(b"=") > 1 for word in fields[1].split()):
        fields[1] = b"X X X X".ljust(80)
    if header.announced != header.records:
        fields[7] = str(header.records).encode().ljust(8)
    for index, channel in enumerate(header.channels):
        place = 10 + 2 * count + index
        unit = fields[place].strip()
        if channel.microvolts is not None and unit not in _MNE:
            fields[place] = {1.0: b"uV", 1e3: b"mV", 1e6: b"V", 1e-3: b"uV"}[channel.microvolts].ljust(8)
    reserved = len(fields) - count
    fields[reserved:] = [field if field.isascii() else b" " * 32 for field in fields[reserved:]]
    return b"".join(fields)


def ambiguous(labels: Sequence[str]) -> set[str]:
    """Labels that more than one channel has."""
    return {label for label in labels if labels.count(label) > 1}


def _channel(content: bytes, index: int, count: int) -> Channel:
    cells, before = {}, 0
    for name, width in _FIELDS.items():
        cells[name] = content[before + index * width : before + (index + 1) * width]
        before += width * count
    label, unit = _text(cells["label"]), cells["unit"].split(b"\0")[0].strip()
    samples = _whole(cells["samples in a record"], f"samples in a record of channel {label}")
    if samples < 0:
        raise ValueError(f"its header announces {samples} samples in a record of channel {label}")
    low, high, bottom, top = (_real(cells[f"{kind} {end}"], f"{kind} {end} of channel {label}") for kind, end in _ENDS)
    fault = None
    if not samples:
        fault = "has no samples in its records"
    elif low == high:
        fault = f"has the physical range {low:g} to {high:g}"
    elif bottom == top:
        fault = f"has the digital range {bottom:g} to {top:g}"
    microvolts = next((factor for pattern, factor in _VOLTS if pattern.fullmatch(unit)), None)
    return Channel(label, _text(cells["unit"]), microvolts, samples, fault)


_ENDS = (("physical", "minimum"), ("physical", "maximum"), ("digital", "minimum"), ("digital", "maximum"))


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].strip().decode("latin-1")


def _whole(field: bytes, what: str) -> int:
    text = _text(field)
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} in its header is no {what}")
    return int(text)


def _real(field: bytes, what: str) -> float:
    text = _text(field).replace(",", ".")
    if not _REAL.fullmatch(text) or not np.isfinite(float(text)):
        raise ValueError(f"{text!r} in its header is no {what}")
    return float(text)
