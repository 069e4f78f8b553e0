"""Recordings of any maker, read through mne: the channels that were asked for, at one rate, in microvolts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from tasks.datasets.eeg.annotations import Annotation, LeftOut
from tasks.datasets.eeg.channels import labels
from tasks.datasets.eeg.resampling import resample

if TYPE_CHECKING:
    from mne.io import BaseRaw

SUFFIXES = (".edf", ".bdf", ".fif", ".fif.gz")
_FLAT = 1.0
"""Seconds without any change after which a channel is not connected, rather than at the end of its range."""
_RINGING = 0.1
"""Seconds around a bad stretch that resampling touches."""


@dataclass(frozen=True)
class Stretch:
    """Where a channel holds nothing that could be used."""

    channel: str
    what: str
    start: float
    stop: float

    def __str__(self) -> str:
        return f"channel {self.channel} {self.what} from {self.start:.1f} to {self.stop:.1f} s"


@dataclass(frozen=True)
class Signals:
    """What was read of a recording."""

    x: npt.NDArray[np.float64]
    """(channels, samples), microvolts, at the rate that was asked for; zero where it is bad."""
    seconds: float
    rate: float
    """Of the file, samples a second."""
    bad: list[Stretch]
    notes: list[str]


def recordings_in(path: Path) -> list[Path]:
    """Every recording of a folder and the folders in it, or the one file. DataError where there is none."""
    if not path.is_dir():
        found = [path] if path.name.lower().endswith(SUFFIXES) else []
    else:
        found = sorted(file for file in path.rglob("*") if file.name.lower().endswith(SUFFIXES) and not file.name.startswith("."))
    if not found:
        raise DataError(f"{path}: holds no recording ({', '.join(SUFFIXES)})")
    return found


def channels_of(file: Path, name: str) -> dict[str, str]:
    """What the channels of a recording are called here -> their names in the file; LeftOut where it cannot be opened."""
    raw = _open(file, name)
    if not file.name.lower().endswith((".edf", ".bdf")):
        import mne

        return labels([raw.ch_names[index] for index in mne.pick_types(raw.info, meg=False, eeg=True, exclude=())])
    return labels(raw.ch_names)


def annotations_inside(file: Path, name: str) -> list[Annotation]:
    """The annotations that a recording carries itself; of EDF and BDF those outside of it too, which mne drops when it opens them."""
    import mne

    raw = _open(file, name)
    if not file.name.lower().endswith((".edf", ".bdf")):
        found, shift = raw.annotations, raw.first_time if raw.annotations.orig_time is not None else 0.0
    else:
        found, shift = mne.read_annotations(file), 0.0
    return [Annotation(float(a["onset"]) - shift, float(a["onset"] + a["duration"]) - shift, str(a["description"])) for a in found]


def read_signals(file: Path, name: str, channels: Sequence[str], rate: float) -> Signals:
    """The channels in this order, resampled. LeftOut where one is missing or useless throughout, or the file cannot be read."""
    available = channels_of(file, name)
    if missing := [channel for channel in channels if channel not in available]:
        raise LeftOut(f"{name}: has no channel {', '.join(missing)}; the recording is left out")
    wanted = [available[channel] for channel in channels]
    raw = _open(file, name, include=wanted)
    try:
        x = raw.get_data(picks=wanted) * 1e6
    except Exception as error:  # readers of damaged files raise whatever they trip over
        raise LeftOut(f"{name}: truncated or damaged ({error}); the recording is left out") from None
    before, seconds = float(raw.info["sfreq"]), x.shape[1] / float(raw.info["sfreq"])
    if not x.size:
        raise LeftOut(f"{name}: truncated: no sample of any channel is there; the recording is left out")
    bad = bad_stretches(x, channels, before)
    for stretch in bad:
        if stretch.stop - stretch.start >= seconds - 1 / before:
            raise LeftOut(f"{name}: {stretch}, which is all of it; the recording is left out")
    x[~np.isfinite(x)] = 0.0
    return Signals(resample(x, before, rate), seconds, before, bad, _shortfall(file, name, seconds))


def bad_stretches(x: npt.NDArray[np.float64], channels: Sequence[str], rate: float) -> list[Stretch]:
    """Where (channels, samples) are not finite, widened by what resampling smears, or the same for a second or longer."""
    found = []
    for channel, row in zip(channels, x, strict=True):
        same = np.append(np.diff(row) == 0, False)
        for start, stop in _runs(~np.isfinite(row)):
            found.append(
                Stretch(channel, "holds no numbers", max(0.0, start / rate - _RINGING), min(len(row) / rate, stop / rate + _RINGING))
            )
        for start, stop in _runs(same):
            if stop + 1 - start >= _FLAT * rate:
                found.append(Stretch(channel, "is flat", start / rate, (stop + 1) / rate))
    return found


def _runs(mask: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """[start, stop) of each stretch of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _shortfall(file: Path, name: str, seconds: float) -> list[str]:
    """EDF and BDF say in their header how long they are; a file that was cut off is shorter."""
    if not file.name.lower().endswith((".edf", ".bdf")):
        return []
    with file.open("rb") as opened:
        header = opened.read(256)
    announced = int(header[236:244]) * float(header[244:252])
    if seconds >= announced - 0.01:
        return []
    return [f"{name}: truncated: its header announces {announced:.1f} s, all channels end at {seconds:.1f} s; what lies after is left out"]


def _open(file: Path, name: str, include: Sequence[str] = ()) -> BaseRaw:
    try:
        import mne
    except ImportError:
        raise DataError("recordings are read with mne, which is not installed: pip install 'papertrial[eeg]'") from None
    suffix = file.name.lower().removesuffix(".gz").rpartition(".")[2]
    reader, more = {
        "edf": (mne.io.read_raw_edf, {"include": list(include) or None}),
        "bdf": (mne.io.read_raw_bdf, {"include": list(include) or None}),
        "fif": (mne.io.read_raw_fif, {}),
    }[suffix]
    options: dict[str, Any] = {**more, "verbose": "ERROR"}
    try:
        return reader(file, **options)
    except Exception as error:  # as above
        raise LeftOut(f"{name}: truncated or damaged, it cannot be opened ({error}); the recording is left out") from None
