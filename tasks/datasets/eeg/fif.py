"""FIF, mne's own format: annotations, the time of the first sample, and files that go on in another."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.datasets.eeg.annotations import Annotation, LeftOut
from tasks.datasets.eeg.tables import Clock

if TYPE_CHECKING:
    from mne.io import BaseRaw

_VOLTS = 107
"""FIFF_UNIT_V."""
_EDGE = 0.05
"""Seconds that do not count at the ends of a recording."""
_NO_RECORDING = re.compile(r".*[-_]annot(?:ations)?\.fif(?:\.gz)?", re.IGNORECASE)


def is_annotations(file: Path) -> bool:
    """Whether a file is named as mne names annotations that are kept alone."""
    return bool(_NO_RECORDING.fullmatch(file.name))


def open_fif(file: Path, name: str) -> BaseRaw:
    """A recording, with the files that it goes on in. LeftOut where it is none or one of them is missing."""
    import mne

    try:
        return mne.io.read_raw_fif(file, verbose="ERROR")
    except Exception as error:  # readers of damaged files raise whatever they trip over
        if str(error).startswith("No raw data"):
            raise LeftOut(f"{name}: holds no continuous recording; it is left out") from None
        if str(error).startswith("Split raw file"):
            missing = re.search(r"next file (.*) does not exist", str(error))
            what = Path(missing[1]).name if missing else "the next part"
            raise LeftOut(f"{name}: goes on in {what}, which is not there; the recording is left out") from None
        raise LeftOut(f"{name}: truncated or damaged, it cannot be opened ({error}); the recording is left out") from None


def eeg_names(raw: BaseRaw, name: str) -> list[str]:
    """The names of the channels that hold EEG. LeftOut where a channel is of no kind."""
    import mne

    try:
        return [raw.ch_names[index] for index in mne.pick_types(raw.info, meg=False, eeg=True, exclude=())]
    except Exception as error:  # as above
        raise LeftOut(f"{name}: truncated or damaged ({error}); the recording is left out") from None


def check_units(raw: BaseRaw, name: str, wanted: Sequence[str]) -> None:
    """LeftOut where one of these channels is not in volts."""
    for label in wanted:
        unit = raw.info["chs"][raw.ch_names.index(label)]["unit"]
        if unit != _VOLTS:
            raise LeftOut(f"{name}: channel {label} has the unit {unit!s}, which is not volts; the recording is left out")


def further_parts(raw: BaseRaw) -> list[Path]:
    """The files besides the first that a recording was split into."""
    return [Path(part).resolve() for part in raw.filenames[1:] if part]


def clock_of(raw: BaseRaw) -> Clock:
    """When the first sample was taken: of a recording that was cut out of a longer one, later than its time zero."""
    return Clock(raw.info["meas_date"], float(raw.first_time))


def annotations_of(file: Path, raw: BaseRaw, name: str) -> list[Annotation]:
    """What a recording holds; those that reach outside of it too, which mne cuts or drops without a word when it opens the file."""
    import mne

    clock = clock_of(raw)
    found = [_annotation(a, float(a["onset"]), clock.first) for a in raw.annotations]
    said = io.StringIO()
    try:
        with mne.utils.catch_logging(verbose="WARNING") as said, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kept = mne.read_annotations(file)
    except Exception as error:  # as above
        if "Invalid tag" in said.getvalue():
            raise LeftOut(f"{name}: truncated, and without annotations; the recording is left out") from None
        if str(error).startswith("No annotation data"):
            return found
        raise LeftOut(f"{name}: its annotations are damaged ({error}); the recording is left out") from None
    zero = (kept.orig_time - clock.date).total_seconds() if kept.orig_time and clock.date else 0.0
    first = 0.0 if clock.date and not kept.orig_time else clock.first
    every = [_annotation(a, float(a["onset"]), first - zero) for a in kept]
    ends = raw.n_times / float(raw.info["sfreq"])
    return found + [annotation for annotation in every if annotation.start < -_EDGE or annotation.stop > ends + _EDGE]


def read_annotations_fif(table: Path, name: str, clock: Clock) -> list[Annotation]:
    """Annotations that mne keeps in a file of their own."""
    import mne

    try:
        with mne.utils.use_log_level("ERROR"):
            kept = mne.read_annotations(table)
        rows: list[Any] = list(kept)
    except Exception as error:  # as above
        raise LeftOut(f"{name}: cannot be read ({error}); its recording is left out") from None
    if kept.orig_time is None and clock.date is None and clock.first:
        raise LeftOut(f"{name}: whether its times count from the first sample cannot be told; its recording is left out")
    return list(_dated(rows, kept.orig_time, name, clock))


def _dated(rows: Iterable[Any], zero: Any, name: str, clock: Clock) -> Iterable[Annotation]:
    for a in rows:
        try:
            yield _annotation(a, clock.since_first(zero + timedelta(seconds=float(a["onset"]))) if zero else float(a["onset"]))
        except (LeftOut, OverflowError, ValueError) as reason:
            raise LeftOut(f"{name}: {reason}; its recording is left out") from None


def _annotation(a: Any, onset: float, first: float = 0.0) -> Annotation:
    return Annotation(onset - first, onset + float(a["duration"]) - first, str(a["description"]), "-".join(a.get("ch_names") or ()))
