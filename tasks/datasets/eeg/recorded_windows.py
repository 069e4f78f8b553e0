"""Annotated recordings of the user's own -> labelled windows. What cannot be used is left out by name, the others go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from harness.errors import DataError
from tasks.datasets.eeg.annotations import Annotation, LeftOut, within
from tasks.datasets.eeg.artifact_windows import CLASSES
from tasks.datasets.eeg.beside import annotations_of
from tasks.datasets.eeg.channels import common, places_of
from tasks.datasets.eeg.cutting import extract
from tasks.datasets.eeg.duplicates import Recorded, landmarks, without_copies
from tasks.datasets.eeg.montage import PLACES
from tasks.datasets.eeg.options import ONSET, Options, read_options
from tasks.datasets.eeg.reading import Part, channels_of, further_parts, needs_mne, read_signals, recordings_in
from tasks.datasets.eeg.stratified import fitting
from tasks.datasets.eeg.subject_table import subject_table
from tasks.datasets.eeg.subjects import Piece, deal, of_classes, stretches, subject_of, windows_of
from tasks.datasets.eeg.tuar_labels import Vocabulary, vocabulary
from tasks.datasets.eeg.windowing import Plan, accounts, plan_at_onsets, plan_windows
from tasks.datasets.eeg_windows import FEWEST_COMPARED, EegWindows, comparable, open_windows, write_windows
from tasks.datasets.eeg_windows import Split as Windows
from tasks.datasets.text_splits import SPLITS, Split

RATE, SECONDS, STRIDE = 250.0, 2.0, 1.0
"""Samples a second, length of a window inside events and distance between two, seconds."""
AT_ONSET, BEFORE = 1.0, 0.5
"""Length of a window at the onset of an event and how much of it lies before, seconds: the paper's."""


def adopt_tuar(path: Path, target: Path) -> list[str]:
    """Write the splits of a tree of the Temple University Artifact corpus. DataError where they are too small to compare anything."""
    return _large_enough(path, target, write_tuar(path, target))


def adopt_recordings(path: Path, target: Path) -> list[str]:
    """Write the splits of any recordings with annotations. DataError where they are too small to compare anything."""
    return _large_enough(path, target, write_recordings(path, target))


def _large_enough(path: Path, target: Path, notes: list[str]) -> list[str]:
    if (count := comparable(open_windows(target))) < FEWEST_COMPARED:
        few = f"{count} windows of val can be set against as many of half of test, and {FEWEST_COMPARED} are needed"
        raise DataError(f"{path}: too few windows: {few}. {'. '.join(notes[:5])}")
    return notes


def write_tuar(path: Path, target: Path) -> list[str]:
    """The eight channels and five classes are given."""
    options = read_options(path, CLASSES)
    return _adopt(path, target, tuple(PLACES), vocabulary(options.labels), options.classes or CLASSES, options)


def write_recordings(path: Path, target: Path) -> list[str]:
    """The channels are what the recordings have in common, the classes what is annotated."""
    options = read_options(path, None)
    return _adopt(path, target, None, lambda label: (label,), options.classes or None, options)


def _adopt(
    path: Path,
    target: Path,
    channels: tuple[str, ...] | None,
    vocabulary: Vocabulary,
    classes: tuple[str, ...] | None,
    options: Options,
) -> list[str]:
    files = recordings_in(path)
    root = path if path.is_dir() else path.parent
    needs_mne()
    table = subject_table(root) if path.is_dir() else None
    files, notes = _without_parts(files, root)
    if channels is None:
        channels = _common_channels(files, root)
    read, rates, tallies = [], dict[float, list[str]](), []
    for file in files:
        try:
            recorded, rate, plan, said = _windows_of(file, root, channels, vocabulary, options)
        except LeftOut as reason:
            notes.append(str(reason))
            continue
        notes += said
        tallies.append(plan.tally)
        if rate != RATE:
            rates.setdefault(rate, []).append(str(recorded.piece.file))
        if recorded.piece.starts:
            read.append(recorded)
    pieces, said = without_copies(read)
    notes += said
    if not pieces:
        raise DataError(f"{path}: no window is left. {'. '.join(notes[:5])}")
    notes += [f"resampled from {rate:g} to {RATE:g} Hz: {_first(names)}" for rate, names in rates.items()]
    dealt, said = deal(_chosen_classes(pieces, classes), table)
    if empty := [split for split in SPLITS if not dealt[split]]:
        raise DataError(f"{path}: the {empty[0]} split would be empty. {'. '.join([*said, *notes][:5])}")
    known = classes or tuple(sorted({label for piece in pieces for label in piece.classes}))
    kept, lost = fitting({split: windows_of(dealt[split]) for split in SPLITS}, known)
    if not kept:
        why = ". ".join([*lost, *said, *notes][:5])
        raise DataError(f"{path}: no class has enough windows in all three splits. {why}")
    dealt = {split: [of_classes(piece, kept) for piece in dealt[split]] for split in SPLITS}
    windows = _assembled(dealt, channels, tuple(kept))
    about = {"files": sorted(str(piece.file) for piece in pieces), "windows_rule": options.windows, "labels_rule": options.labels}
    write_windows(target, windows, licence="", about=about)
    return [*lost, *said, accounts(tallies, _rule(options)), *notes]


def _rule(options: Options) -> str:
    if options.windows == ONSET:
        return f"{AT_ONSET:g}-s windows from {BEFORE:g} s before each event"
    return f"{SECONDS:g}-s windows inside events"


def _chosen_classes(pieces: Sequence[Piece], classes: tuple[str, ...] | None) -> list[Piece]:
    return [part for piece in pieces if (part := of_classes(piece, classes) if classes else piece).starts]


def _without_parts(files: Sequence[Path], root: Path) -> tuple[list[Path], list[str]]:
    """Files that another goes on in are read with it, not once more as recordings of their own."""
    chains = [(file, further_parts(file, str(file.relative_to(root)))) for file in files]
    whole = {part: file for file, parts in sorted(chains, key=lambda chain: len(chain[1])) for part in parts}
    kept = [file for file in files if file.resolve() not in whole]
    parts = {file: whole[file.resolve()] for file in files if file.resolve() in whole}
    return kept, [f"{part.relative_to(root)}: is read with {file.relative_to(root)}, which goes on in it" for part, file in parts.items()]


def _common_channels(files: Sequence[Path], root: Path) -> tuple[str, ...]:
    readable = []
    for file in files:
        try:
            readable.append(list(channels_of(file, str(file.relative_to(root)))))
        except LeftOut:
            continue  # said when the recording is read
    if readable and not common(readable):
        raise DataError(f"{root}: no channel is in at least half of its recordings")
    return common(readable)


def _windows_of(
    file: Path, root: Path, channels: tuple[str, ...], vocabulary: Vocabulary, options: Options
) -> tuple[Recorded, float, Plan, list[str]]:
    """The windows of a recording, its rate in the file, how they were chosen, and what to note; LeftOut where nothing of it can be used."""
    name = str(file.relative_to(root))
    annotated = annotations_of(file, root)
    signals = read_signals(file, name, channels, RATE)
    annotations, outside = within(annotated.annotations, signals.spans, annotated.source)
    labelled, passed = _labelled(annotations, channels, vocabulary, annotated.source)
    bad = [*signals.bad, *annotated.bad]
    if options.windows == ONSET:
        seconds, plan = AT_ONSET, plan_at_onsets(labelled, bad, signals.spans, name, length=AT_ONSET, before=BEFORE)
    else:
        seconds, plan = SECONDS, plan_windows(labelled, bad, name, length=SECONDS, stride=STRIDE)
    x = np.concatenate([_cut(part, plan.starts, len(channels), seconds) for part in signals.parts])
    piece = Piece(file.relative_to(root), subject_of(file), x, tuple(plan.classes), tuple(plan.starts), seconds)
    recorded = Recorded(piece, signals.spans, landmarks(signals.parts, RATE))
    return recorded, signals.rate, plan, [*annotated.notes, *signals.notes, *outside, *passed, *plan.notes]


def _cut(part: Part, starts: Sequence[float], channels: int, seconds: float) -> npt.NDArray[np.float32]:
    """(n, channels, samples): the windows that lie in a part, each around zero."""
    samples = round(seconds * RATE)
    inside = [start - part.span[0] for start in starts if part.span[0] - 1e-6 <= start < part.span[1] - 1e-6]
    if not inside:
        return np.empty((0, channels, samples), dtype=np.float32)
    first = [min(round(start * RATE), part.x.shape[1] - samples) for start in inside]
    cut = extract(torch.from_numpy(part.x), torch.tensor(first, dtype=torch.int64), samples)
    centred: npt.NDArray[np.float32] = (cut - cut.mean(-1, keepdim=True)).float().numpy()
    return centred


def _labelled(
    annotations: Sequence[Annotation], channels: Sequence[str], vocabulary: Vocabulary, name: str
) -> tuple[list[tuple[str, Annotation]], list[str]]:
    """Annotations with their classes, and how many were passed over: of other labels, or on channels none of which is kept."""
    unknown: Counter[str] = Counter()
    elsewhere = 0
    kept = []
    for annotation in annotations:
        places = places_of(annotation.channel)
        if not (found := vocabulary(annotation.label)):
            unknown[annotation.label] += 1
        elif places and not places & set(channels):
            elsewhere += 1
        else:
            kept += [(one, annotation) for one in found]
    notes = [f"{name}: {count} annotations {label!r}, which is no class here, passed over" for label, count in sorted(unknown.items())]
    if elsewhere:
        notes.append(f"{name}: {elsewhere} annotations on channels of which none is kept passed over")
    return kept, notes


def _assembled(dealt: Mapping[Split, Sequence[Piece]], channels: tuple[str, ...], classes: tuple[str, ...]) -> EegWindows:
    groups = tuple(dict.fromkeys(piece.group for split in SPLITS for piece in dealt[split] if piece.classes))
    splits = {}
    for split in SPLITS:
        labels = np.array([classes.index(label) for piece in dealt[split] for label in piece.classes], dtype=np.int64)
        owners = np.array([groups.index(piece.group) for piece in dealt[split] for _ in piece.classes], dtype=np.int64)
        runs = [(number, run) for number, piece in enumerate(dealt[split]) for run in stretches(piece)]
        events = np.unique(np.array(runs, dtype=np.int64), axis=0, return_inverse=True)[1].reshape(-1)
        splits[split] = Windows(np.concatenate([piece.x for piece in dealt[split]]), labels, owners, events)
    return EegWindows(**splits, rate=RATE, channels=channels, classes=classes, groups=groups)


def _first(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
