"""Which stretch of a recording is what, and what marks stretches that are of no use."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

Span = tuple[float, float]
"""Seconds from the first sample, gaps included."""
_MARKS = ("BAD", "BAD_", "BAD_ACQ_SKIP", "BAD BOUNDARY", "EDGE BOUNDARY")
"""What mne writes where nothing was recorded, where it glued recordings together, or for a stretch that is bad for no named reason."""
RINGING = 0.1
"""Seconds around a bad stretch that resampling touches."""


class LeftOut(Exception):  # noqa: N818 - no error: a piece of the data that the rest goes on without
    """A piece that cannot be used, and why: a sentence for the record."""


@dataclass(frozen=True)
class Annotation:
    """Seconds from the first sample."""

    start: float
    stop: float
    label: str
    channel: str = ""
    """As the table names it; empty for the whole head."""

    def __str__(self) -> str:
        where = f" on {self.channel}" if self.channel else ""
        return f"{self.label}{where}, {self.start:.1f}-{self.stop:.1f} s"


@dataclass(frozen=True)
class Stretch:
    """Where a channel holds nothing that could be used."""

    channel: str
    """Empty for all of them."""
    what: str
    start: float
    stop: float

    def __str__(self) -> str:
        whose = f"channel {self.channel} {self.what}" if self.channel else self.what
        return f"{whose} from {self.start:.1f} to {self.stop:.1f} s"


def decoded(text: bytes) -> tuple[str, bool]:
    """UTF-8, or else Latin-1 as Windows extends it, and whether it was that. UnicodeDecodeError for what is neither."""
    try:
        return text.decode("utf-8-sig"), False
    except UnicodeDecodeError:
        return text.decode("cp1252"), True


def marks_apart(annotations: Iterable[Annotation]) -> tuple[list[Annotation], list[Stretch]]:
    """What annotates something, and the stretches that mne's own marks say are bad, as wide as resampling smears them."""
    kept, bad = [], []
    for annotation in annotations:
        if annotation.label.strip().upper() in _MARKS:
            start, stop = max(0.0, annotation.start - RINGING), annotation.stop + RINGING
            bad.append(Stretch("", f"marked {annotation.label.strip()}", start, stop))
        else:
            kept.append(annotation)
    return kept, bad


def sound(annotations: Iterable[Annotation], name: str) -> tuple[list[Annotation], list[str]]:
    """Those inside a recording that have a label and times that are times; the others are left out by name."""
    kept, notes = [], []
    for annotation in annotations:
        if annotation.label.strip() and annotation.start <= annotation.stop and math.isfinite(annotation.stop - annotation.start):
            kept.append(annotation)
        else:
            notes.append(f"{name}: {annotation} has no label or no duration; left out")
    return kept, notes


def within(annotations: Iterable[Annotation], spans: Sequence[Span], name: str) -> tuple[list[Annotation], list[str]]:
    """The parts of the annotations that lie in the spans that were recorded; what reaches over is cut, what lies outside left out."""
    ends = spans[-1][1]
    kept, notes = [], []
    for annotation in annotations:
        inside = [(max(low, annotation.start), min(high, annotation.stop)) for low, high in spans]
        inside = [span for span, (low, high) in zip(inside, spans, strict=True) if annotation.start < high and annotation.stop > low]
        outside = annotation.start >= ends or annotation.stop <= 0
        if not inside:
            where = f"outside the recording, which ends at {ends:.1f} s" if outside else "in a gap of the recording"
            notes.append(f"{name}: {annotation} lies {where}; left out")
            continue
        if annotation.start < -0.05 or annotation.stop > ends + 0.05:
            notes.append(f"{name}: {annotation} reaches outside the recording, which ends at {ends:.1f} s; cut there")
        elif annotation.stop - annotation.start > sum(stop - start for start, stop in inside) + 0.05:
            notes.append(f"{name}: {annotation} reaches into a gap of the recording; cut there")
        kept += [replace(annotation, start=start, stop=stop) for start, stop in inside]
    return kept, notes
