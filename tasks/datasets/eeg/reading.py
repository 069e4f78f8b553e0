"""Recordings of any maker, read through mne: the channels that were asked for, at one rate, in microvolts."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from tasks.datasets.eeg import fif
from tasks.datasets.eeg.annotations import RINGING, Annotation, LeftOut, Span, Stretch
from tasks.datasets.eeg.channels import labels, place
from tasks.datasets.eeg.edf_annotations import Content, Run, read_content
from tasks.datasets.eeg.edf_header import Header, ambiguous, mended, read_header
from tasks.datasets.eeg.levels import absurd_level
from tasks.datasets.eeg.resampling import resample
from tasks.datasets.eeg.tables import Clock

if TYPE_CHECKING:
    from mne.io import BaseRaw

SUFFIXES = (".edf", ".bdf", ".fif", ".fif.gz")
RATES = (10.0, 200_000.0)
"""Samples a second that an amplifier of EEG may take."""
_FLAT = 1.0
"""Seconds without any change after which a channel is not connected, rather than at the end of its range."""


@dataclass(frozen=True)
class Part:
    """What was recorded without a gap."""

    x: npt.NDArray[np.float64]
    """(channels, samples), microvolts, at the rate that was asked for; zero where it is bad."""
    span: Span


@dataclass(frozen=True)
class Signals:
    """What was read of a recording."""

    parts: list[Part]
    rate: float
    """Of the file, samples a second."""
    bad: list[Stretch]
    notes: list[str]

    @property
    def spans(self) -> list[Span]:
        """Where something was recorded, in order."""
        return [part.span for part in self.parts]


@dataclass(frozen=True)
class Inside:
    """What a recording says besides its signals."""

    annotations: list[Annotation]
    gaps: bool
    notes: list[str]


def recordings_in(path: Path) -> list[Path]:
    """Every recording of a folder and the folders in it, or the one file. DataError where there is none."""
    if not path.is_dir():
        found = [path] if path.name.lower().endswith(SUFFIXES) else []
    else:
        there = (file for file in path.rglob("*") if file.name.lower().endswith(SUFFIXES) and not file.name.startswith("."))
        found = sorted(file for file in there if not file.is_dir() and not fif.is_annotations(file))
    if not found:
        raise DataError(f"{path}: holds no recording ({', '.join(SUFFIXES)})")
    return found


def further_parts(file: Path, name: str) -> list[Path]:
    """The files that a recording goes on in; none where it cannot be opened."""
    if _is_edf(file):
        return []
    try:
        return fif.further_parts(fif.open_fif(file, name))
    except LeftOut:
        return []


def channels_of(file: Path, name: str) -> dict[str, str]:
    """What the channels of a recording are called here -> their names in the file; LeftOut where it cannot be opened."""
    if not _is_edf(file):
        return labels(fif.eeg_names(fif.open_fif(file, name), name))
    header = _header(file, name)
    doubled = ambiguous([channel.label for channel in header.signals])
    known = [channel for channel in header.signals if place(channel.label) or channel.microvolts is not None]
    if not known:
        units = ", ".join(sorted({repr(channel.unit) for channel in header.signals})) or "none"
        raise LeftOut(f"{name}: none of its channels has a unit of voltage (V, mV, uV, nV), but {units}; the recording is left out")
    return labels([channel.label for channel in known if channel.label not in doubled])


def read_inside(file: Path, name: str) -> Inside:
    """Annotations that a recording carries itself, those outside of it too. LeftOut where it cannot be opened."""
    if not _is_edf(file):
        raw = fif.open_fif(file, name)
        return Inside(fif.annotations_of(file, raw, name), False, [])
    content = _content(file, name, _header(file, name))
    notes = [f"{name}: its annotations are not in UTF-8; read as Latin-1"] if content.latin else []
    if content.broken:
        notes.append(f"{name}: {content.broken} entries among its annotations cannot be read; left out")
    return Inside(content.annotations, len(content.runs) > 1, notes)


def clock_of(file: Path, name: str) -> Clock:
    """When the first sample was taken. An EDF whose first record is late gives no date: what others make of that differs."""
    if not _is_edf(file):
        return fif.clock_of(fif.open_fif(file, name))
    header = _header(file, name)
    if _content(file, name, header).offset:
        return Clock(None)
    with _open_edf(file, name, header, [channel.label for channel in header.signals[:1]]) as raw:
        return Clock(raw.info["meas_date"])


def read_signals(file: Path, name: str, channels: Sequence[str], rate: float) -> Signals:
    """The channels in this order, resampled. LeftOut where one is missing or useless throughout, or the file cannot be read."""
    available = channels_of(file, name)
    if missing := [channel for channel in channels if channel not in available]:
        doubled = _doubled(file, name, missing)
        what = f"has more than one channel {', '.join(doubled)}" if doubled else f"has no channel {', '.join(missing)}"
        raise LeftOut(f"{name}: {what}; the recording is left out")
    wanted = [available[channel] for channel in channels]
    x, before, runs, notes = _read_edf(file, name, wanted) if _is_edf(file) else _read_fif(file, name, wanted)
    if not x.size:
        raise LeftOut(f"{name}: truncated: no sample of any channel is there; the recording is left out")
    if not RATES[0] <= before <= RATES[1]:
        raise LeftOut(f"{name}: takes {before:g} samples a second, which is no rate of EEG; the recording is left out")
    parts, bad = [], list[Stretch]()
    for first, stop, start in runs:
        piece, seconds = x[:, first:stop], (stop - first) / before
        bad += [Stretch(s.channel, s.what, start + s.start, start + s.stop) for s in bad_stretches(piece, channels, before)]
        parts.append((piece, (start, start + seconds)))
    for stretch in bad:
        if len(parts) == 1 and stretch.stop - stretch.start >= x.shape[1] / before - 1 / before:
            raise LeftOut(f"{name}: {stretch}, which is all of it; the recording is left out")
    for channel, row in zip(channels, x, strict=True):
        if level := absurd_level(row, before):
            raise LeftOut(f"{name}: channel {channel} {level}; the recording is left out")
    x[~np.isfinite(x)] = 0.0
    return Signals([Part(resample(piece, before, rate), span) for piece, span in parts], before, bad, notes)


Read = tuple[npt.NDArray[np.float64], float, list[tuple[int, int, float]], list[str]]
"""Microvolts, rate, (first sample, stop, start in seconds) of what has no gap, notes."""


def _read_fif(file: Path, name: str, wanted: Sequence[str]) -> Read:
    raw = fif.open_fif(file, name)
    fif.check_units(raw, name, wanted)
    x = _data(raw, name, wanted)
    return x, float(raw.info["sfreq"]), [(0, x.shape[1], 0.0)], []


def _read_edf(file: Path, name: str, wanted: Sequence[str]) -> Read:
    header = _header(file, name)
    runs = _content(file, name, header).runs
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
    with _open_edf(file, name, header, wanted) as raw:
        x = _data(raw, name, wanted)
        rate = float(raw.info["sfreq"])
    for row, channel in zip(x, chosen, strict=True):
        if channel.microvolts is not None and channel.microvolts < 1:
            row *= channel.microvolts
    return x, rate, [_in_samples(run, samples) for run in runs], notes


def _in_samples(run: Run, samples: int) -> tuple[int, int, float]:
    return run.first * samples, run.stop * samples, run.start


def _data(raw: BaseRaw, name: str, wanted: Sequence[str]) -> npt.NDArray[np.float64]:
    try:
        x: npt.NDArray[np.float64] = raw.get_data(picks=list(wanted)) * 1e6
    except Exception as error:  # readers of damaged files raise whatever they trip over
        raise LeftOut(f"{name}: truncated or damaged ({error}); the recording is left out") from None
    return x


def bad_stretches(x: npt.NDArray[np.float64], channels: Sequence[str], rate: float) -> list[Stretch]:
    """Where (channels, samples) are not finite, widened by what resampling smears, or the same for a second or longer."""
    found = []
    for channel, row in zip(channels, x, strict=True):
        same = np.append(np.diff(row) == 0, False)
        for start, stop in _runs(~np.isfinite(row)):
            found.append(
                Stretch(channel, "holds no numbers", max(0.0, start / rate - RINGING), min(len(row) / rate, stop / rate + RINGING))
            )
        for start, stop in _runs(same):
            if stop + 1 - start >= _FLAT * rate:
                found.append(Stretch(channel, "is flat", start / rate, (stop + 1) / rate))
    return found


def _runs(mask: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """[start, stop) of each stretch of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _lengths(header: Header, name: str) -> list[str]:
    """EDF and BDF say in their header how long they are; a file that was cut off is shorter."""
    seconds, announced = header.records * header.duration, header.announced * header.duration
    if seconds < announced - 0.01:
        said = f"its header announces {announced:.1f} s, all channels end at {seconds:.1f} s"
        return [f"{name}: truncated: {said}; what lies after is left out"]
    if header.extra:
        return [f"{name}: {header.extra} bytes follow the {seconds:.1f} s that its header announces; left out"]
    return []


def _is_edf(file: Path) -> bool:
    return file.name.lower().endswith((".edf", ".bdf"))


def _doubled(file: Path, name: str, missing: Sequence[str]) -> list[str]:
    if not _is_edf(file):
        return []
    names = [channel.label for channel in _header(file, name).signals]
    return [channel for channel in missing if any((place(label) or label) == channel for label in ambiguous(names))]


def _header(file: Path, name: str) -> Header:
    try:
        return read_header(file)
    except (OSError, ValueError) as error:
        raise LeftOut(f"{name}: truncated or damaged, it cannot be opened ({error}); the recording is left out") from None


def _content(file: Path, name: str, header: Header) -> Content:
    try:
        return read_content(file, header)
    except (OSError, ValueError) as error:
        raise LeftOut(f"{name}: cannot be read ({error}); the recording is left out") from None


def needs_mne() -> None:
    """DataError where mne is missing."""
    try:
        import mne  # noqa: F401
    except ImportError:
        raise DataError("recordings are read with mne, which is not installed: pip install 'papertrial[eeg]'") from None


@contextmanager
def _open_edf(file: Path, name: str, header: Header, include: Sequence[str]) -> Iterator[BaseRaw]:
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
