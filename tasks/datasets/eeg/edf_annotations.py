"""Annotations of EDF+ and BDF+, and the time of each record: mne reads neither gaps nor texts that are not UTF-8."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from tasks.datasets.eeg.annotations import Annotation, decoded
from tasks.datasets.eeg.edf_header import Header

_TAL = re.compile(rb"([+-]\d+(?:\.\d*)?)(?:\x15(\d+(?:\.\d*)?))?\x14(.*)\x14", re.DOTALL)
"""A time-stamped list of annotations: onset, duration, texts."""
_STRAYS = {False: 0.05, True: 0.002}
"""Seconds by which a record may begin elsewhere than the one before it ends, in continuous and in discontinuous files."""


@dataclass(frozen=True)
class Run:
    """Records without a gap between them: `first` to before `stop`."""

    first: int
    stop: int
    start: float
    """Seconds from the first sample of the file."""


@dataclass(frozen=True)
class Content:
    """What the annotation channels of a file say."""

    annotations: list[Annotation]
    """Seconds from the first sample, gaps included."""
    runs: list[Run]
    offset: float
    """Seconds of the first sample after the start that the header names."""
    latin: bool
    """Whether some text is not UTF-8; it is read as Latin-1."""
    broken: int
    """Entries that are no annotations."""


def read_content(file: Path, header: Header) -> Content:
    """Of a file. ValueError where it is discontinuous and does not say when its records begin, or they go back in time."""
    found: list[tuple[float, float, str]] = []
    times: list[float | None] = []
    latin, broken = False, 0
    for channels in header.annotation_bytes(file):
        times.append(None)
        for channel, content in enumerate(channels):
            for place, entry in enumerate(part for part in content.split(b"\0") if part):
                match = _TAL.fullmatch(entry)
                if not match:
                    broken += 1
                    continue
                onset, duration, texts = float(match[1]), float(match[2] or 0), match[3].split(b"\x14")
                if channel == 0 and place == 0 and not texts[0]:
                    times[-1] = onset
                try:
                    read = [decoded(text) for text in texts if text]
                except UnicodeDecodeError:
                    broken += 1
                    continue
                latin |= any(other for _, other in read)
                found += [(onset, duration, text) for text, _ in read]
    offset = times[0] if times and times[0] is not None else 0.0
    labels = {channel.label for channel in header.signals}
    annotations = [_annotation(onset - offset, duration, text, labels) for onset, duration, text in sorted(found, key=lambda a: a[:2])]
    return Content(annotations, _runs(header, times), offset, latin, broken)


def _annotation(start: float, duration: float, text: str, labels: set[str]) -> Annotation:
    label, _, channel = text.partition("@@")
    return Annotation(start, start + duration, label, channel) if channel in labels else Annotation(start, start + duration, text)


def _runs(header: Header, times: Sequence[float | None]) -> list[Run]:
    """Where the records follow one another; a continuous file whose records all say the same time, or none, is one run."""
    if header.discontinuous and (not times or None in times):
        raise ValueError("it has gaps (EDF+D), but not each of its records says when it begins")
    known = [time for time in times if time is not None]
    told = bool(known) and len(known) == header.records and (header.discontinuous or len(set(known)) > 1)
    if not told:
        return [Run(0, header.records, 0.0)]
    runs = [Run(0, header.records, 0.0)]
    for record, (before, now) in enumerate(pairwise(known), start=1):
        ends = before + header.duration
        if abs(now - ends) <= _STRAYS[header.discontinuous]:
            continue
        last, start = runs[-1], now - known[0]
        if min(now - ends, start - (last.start + (record - last.first) * header.duration)) < 0:
            raise ValueError(f"its record {record + 1} begins at {now:g} s, before the one before it ends at {ends:g} s")
        runs[-1:] = [replace(last, stop=record), Run(record, header.records, start)]
    return runs
