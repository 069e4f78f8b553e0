"""EDF and BDF through mne, from a copy with a mended header where mne would read it wrongly."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tasks.datasets.eeg.annotations import LeftOut
from tasks.datasets.eeg.channels import place
from tasks.datasets.eeg.edf_annotations import Content, Run, read_content
from tasks.datasets.eeg.edf_header import Header, ambiguous, mended, read_header
from tasks.datasets.eeg.tables import Clock

if TYPE_CHECKING:
    from mne.io import BaseRaw

Read = tuple[npt.NDArray[np.float64], float, list[tuple[int, int, float]], list[str]]
"""Microvolts, rate, (first sample, stop, start in seconds) of what has no gap, notes."""


def is_edf(file: Path) -> bool:
    """Whether a file is EDF or BDF by its name."""
    return file.name.lower().endswith((".edf", ".bdf"))


def header_of(file: Path, name: str) -> Header:
    """The header of a file; LeftOut where it is damaged."""
    try:
        return read_header(file)
    except (OSError, ValueError) as error:
        raise LeftOut(f"{name}: truncated or damaged, it cannot be opened ({error}); the recording is left out") from None


def content_of(file: Path, name: str, header: Header) -> Content:
    """What its annotation channels say; LeftOut where they contradict themselves."""
    try:
        return read_content(file, header)
    except (OSError, ValueError) as error:
        raise LeftOut(f"{name}: cannot be read ({error}); the recording is left out") from None


def names_of(file: Path, name: str) -> list[str]:
    """The channels that may be EEG and are the only ones of their name. LeftOut where none is in a unit of voltage."""
    header = header_of(file, name)
    doubled = ambiguous([channel.label for channel in header.signals])
    known = [channel for channel in header.signals if place(channel.label) or channel.microvolts is not None]
    if not known:
        units = ", ".join(sorted({repr(channel.unit) for channel in header.signals})) or "none"
        raise LeftOut(f"{name}: none of its channels has a unit of voltage (V, mV, uV, nV), but {units}; the recording is left out")
    return [channel.label for channel in known if channel.label not in doubled]


def clock_of(file: Path, name: str) -> Clock:
    """When the first sample was taken. A file whose first record is late gives no date: what others make of that differs."""
    header = header_of(file, name)
    if content_of(file, name, header).offset:
        return Clock(None)
    with _opened(file, name, header, [channel.label for channel in header.signals[:1]]) as raw:
        return Clock(raw.info["meas_date"])


def read_edf(file: Path, name: str, wanted: Sequence[str]) -> Read:
    """The channels of these names. LeftOut where one of them means nothing in microvolts, or no sample is there."""
    header = header_of(file, name)
    runs = content_of(file, name, header).runs
    chosen = [next(channel for channel in header.signals if channel.label == label) for label in wanted]
    for channel in chosen:
        if channel.microvolts is None:
            what = f"has the unit {channel.unit!r}, which is no voltage that is known (V, mV, uV, nV)"
            raise LeftOut(f"{name}: channel {channel.label} {what}; the recording is left out")
        if channel.fault:
            raise LeftOut(f"{name}: channel {channel.label} {channel.fault}; the recording is left out")
    if not header.records:
        raise LeftOut(f"{name}: truncated: no sample of any channel is there; the recording is left out")
    samples = max(channel.samples for channel in chosen)
    slower = [channel for channel in chosen if channel.samples != samples]
    notes = _lengths(header, name)
    if slower and len(runs) > 1:
        raise LeftOut(f"{name}: has gaps and channels of different rates; the recording is left out")
    if slower:
        names = ", ".join(f"{channel.label} at {channel.samples / header.duration:g} Hz" for channel in slower)
        notes.append(f"{name}: {names}, brought to the {samples / header.duration:g} Hz of its other channels")
    if len(runs) > 1:
        gaps = [(a.start + (a.stop - a.first) * header.duration, b.start) for a, b in pairwise(runs)]
        named = ", ".join(f"{start:.1f} to {stop:.1f} s" for start, stop in gaps[:5]) + (", ..." if len(gaps) > 5 else "")
        notes.append(f"{name}: was interrupted from {named}; no window crosses a gap")
    with _opened(file, name, header, wanted) as raw:
        x = data_of(raw, name, wanted)
        rate = float(raw.info["sfreq"])
    for row, channel in zip(x, chosen, strict=True):
        if channel.microvolts is not None and channel.microvolts < 1:
            row *= channel.microvolts
    return x, rate, [_in_samples(run, samples) for run in runs], notes


def _in_samples(run: Run, samples: int) -> tuple[int, int, float]:
    return run.first * samples, run.stop * samples, run.start


def data_of(raw: BaseRaw, name: str, wanted: Sequence[str]) -> npt.NDArray[np.float64]:
    """(channels, samples), microvolts, of what mne has opened."""
    try:
        x: npt.NDArray[np.float64] = raw.get_data(picks=[raw.ch_names.index(label) for label in wanted]) * 1e6
    except Exception as error:  # readers of damaged files raise whatever they trip over
        raise LeftOut(f"{name}: truncated or damaged ({error}); the recording is left out") from None
    return x


def doubled_of(file: Path, name: str, missing: Sequence[str]) -> list[str]:
    """Those of the channels that are missing because more than one channel has their name."""
    names = [channel.label for channel in header_of(file, name).signals]
    return [channel for channel in missing if any((place(label) or label) == channel for label in ambiguous(names))]


def _lengths(header: Header, name: str) -> list[str]:
    """EDF and BDF say in their header how long they are; a file that was cut off is shorter."""
    seconds, announced = header.records * header.duration, header.announced * header.duration
    if seconds < announced - 0.01:
        said = f"its header announces {announced:.1f} s, all channels end at {seconds:.1f} s"
        return [f"{name}: truncated: {said}; what lies after is left out"]
    if header.extra:
        return [f"{name}: {header.extra} bytes follow the {seconds:.1f} s that its header announces; left out"]
    return []


@contextmanager
def _opened(file: Path, name: str, header: Header, include: Sequence[str]) -> Iterator[BaseRaw]:
    """Through mne, with the header mended in a copy where mne would read it wrongly."""
    import mne

    reader = mne.io.read_raw_bdf if header.width == 3 else mne.io.read_raw_edf
    with tempfile.TemporaryDirectory(prefix="papertrial-") as scratch:
        try:
            content = mended(header)
            if content != header.content or header.extra:
                file, original = Path(scratch) / f"mended{file.suffix.lower()}", file
                _copy(original, file, content, header.size)
            raw = reader(file, include=list(include) or None, encoding="latin1", verbose="ERROR")
        except Exception as error:  # readers of damaged files raise whatever they trip over
            raise LeftOut(f"{name}: truncated or damaged, it cannot be opened ({error}); the recording is left out") from None
        yield raw


def _copy(source: Path, target: Path, header: bytes, size: int) -> None:
    """The header given and `size` bytes of what follows the source's own."""
    with source.open("rb") as before, target.open("wb") as after:
        after.write(header)
        before.seek(len(header))
        while size > 0 and (chunk := before.read(min(size, 1 << 24))):
            after.write(chunk)
            size -= len(chunk)
