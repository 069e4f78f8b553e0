"""Recordings of any maker, read through mne: the channels that were asked for, at one rate, in microvolts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from harness.user_files import files_below
from tasks.datasets.eeg import edf, fif
from tasks.datasets.eeg.annotations import RINGING, Annotation, LeftOut, Span, Stretch
from tasks.datasets.eeg.channels import labels
from tasks.datasets.eeg.levels import absurd_level
from tasks.datasets.eeg.resampling import resample
from tasks.datasets.eeg.tables import Clock

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
    """Every recording of a folder and the folders in it, links followed, or the one file. DataError where there is none."""
    found = [file for file in files_below(path)[0] if file.name.lower().endswith(SUFFIXES)]
    if path.is_dir():
        found = [file for file in found if not file.name.startswith(".") and not fif.is_annotations(file)]
    if not found:
        raise DataError(f"{path}: holds no recording ({', '.join(SUFFIXES)})")
    return found


def further_parts(file: Path, name: str) -> list[Path]:
    """The files that a recording goes on in; none where it cannot be opened."""
    if edf.is_edf(file):
        return []
    try:
        return fif.further_parts(fif.open_fif(file, name))
    except LeftOut:
        return []


def channels_of(file: Path, name: str) -> dict[str, str]:
    """What the channels of a recording are called here -> their names in the file; LeftOut where it cannot be opened."""
    if not edf.is_edf(file):
        return labels(fif.eeg_names(fif.open_fif(file, name), name))
    return labels(edf.names_of(file, name))


def read_inside(file: Path, name: str) -> Inside:
    """Annotations that a recording carries itself, those outside of it too. LeftOut where it cannot be opened."""
    if not edf.is_edf(file):
        raw = fif.open_fif(file, name)
        return Inside(fif.annotations_of(file, raw, name), False, [])
    content = edf.content_of(file, name, edf.header_of(file, name))
    notes = [f"{name}: its annotations are not in UTF-8; read as Latin-1"] if content.latin else []
    if content.broken:
        notes.append(f"{name}: {content.broken} entries among its annotations cannot be read; left out")
    return Inside(content.annotations, len(content.runs) > 1, notes)


def clock_of(file: Path, name: str) -> Clock:
    """When the first sample was taken."""
    return edf.clock_of(file, name) if edf.is_edf(file) else fif.clock_of(fif.open_fif(file, name))


def read_signals(file: Path, name: str, channels: Sequence[str], rate: float) -> Signals:
    """The channels in this order, resampled. LeftOut where one is missing or useless throughout, or the file cannot be read."""
    available = channels_of(file, name)
    if missing := [channel for channel in channels if channel not in available]:
        doubled = edf.doubled_of(file, name, missing) if edf.is_edf(file) else []
        what = f"has more than one channel {', '.join(doubled)}" if doubled else f"has no channel {', '.join(missing)}"
        raise LeftOut(f"{name}: {what}; the recording is left out")
    wanted = [available[channel] for channel in channels]
    x, before, runs, notes = edf.read_edf(file, name, wanted) if edf.is_edf(file) else _read_fif(file, name, wanted)
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


def _read_fif(file: Path, name: str, wanted: Sequence[str]) -> edf.Read:
    raw = fif.open_fif(file, name)
    fif.check_units(raw, name, wanted)
    x = edf.data_of(raw, name, wanted)
    return x, float(raw.info["sfreq"]), [(0, x.shape[1], 0.0)], []


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


def needs_mne() -> None:
    """DataError where mne is missing."""
    try:
        import mne  # noqa: F401
    except ImportError:
        raise DataError("recordings are read with mne, which is not installed: pip install 'papertrial[eeg]'") from None
