"""Data that is there twice: one recording in two formats, in two folders, cut, or with another resolution. Counted twice it would leak."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tasks.datasets.eeg.annotations import Span
from tasks.datasets.eeg.reading import Part
from tasks.datasets.eeg.subjects import Piece, split_of

_APART = 0.5
"""Seconds on either side in which no sample moves more than a landmark."""
_LAG = 0.02
"""Seconds over which movement is measured: slow waves of any offset do not count."""
_NUMBERS = 48
"""Random projections that describe a second around a landmark; the first `_COARSE` find candidates."""
_COARSE = 6
_MANY = 1000
"""Landmarks that are described at a time."""
_CLOSE = 0.08
"""Distance of two descriptions, in parts of their length, up to which they are of the same second: rounding to 1 or 2 uV does less."""
_SHARE = 0.2
"""Of the landmarks in a common stretch that must agree: copies of real recordings have nearly all, strangers none."""
_JITTER = 0.02
"""Seconds by which landmarks of copies may differ."""


@dataclass(frozen=True)
class Landmarks:
    """Places that the signal itself singles out, wherever the file begins."""

    times: npt.NDArray[np.float64]
    """(n,), seconds, in order."""
    descriptions: npt.NDArray[np.float32]
    """(n, `_NUMBERS`), microvolts."""


@dataclass(frozen=True)
class Recorded:
    """The windows of a recording, where it recorded, and how it is told from others."""

    piece: Piece
    spans: Sequence[Span]
    landmarks: Landmarks


def landmarks(parts: Sequence[Part], rate: float) -> Landmarks:
    """About one a second, where the channels of (channels, samples) together move most."""
    from scipy.ndimage import maximum_filter1d

    half, lag = round(_APART * rate), max(1, round(_LAG * rate))
    times, described = [np.empty(0)], [np.empty((0, _NUMBERS), np.float32)]
    for part in parts:
        channels, samples = part.x.shape
        if samples <= 2 * half + 2 * lag:
            continue
        moved = np.zeros(samples)
        moved[lag:-lag] = np.abs(part.x[:, 2 * lag :] - part.x[:, : -2 * lag]).sum(0)
        moved[:half] = moved[samples - half :] = 0
        peaks = np.flatnonzero((moved == maximum_filter1d(moved, 2 * half + 1)) & (moved > 0))
        project = np.random.default_rng(0).standard_normal((channels * 2 * half, _NUMBERS)) / np.sqrt(_NUMBERS)
        for some in np.split(peaks, range(_MANY, len(peaks), _MANY)):
            seconds = np.array([part.x[:, peak - half : peak + half] for peak in some]).reshape(len(some), channels, 2 * half)
            seconds -= seconds.mean(-1, keepdims=True)
            times.append(part.span[0] + some / rate)
            described.append((seconds.reshape(len(some), len(project)) @ project).astype(np.float32))
    return Landmarks(np.concatenate(times), np.concatenate(described))


def without_copies(recordings: Sequence[Recorded]) -> tuple[list[Piece], list[str]]:
    """The pieces without the windows that an earlier recording holds too, and a note on each that lost some.

    What held out splits hold counts first. Recordings that share data are of one person, whatever their names say.
    """
    splits = [split_of(recorded.piece.file) for recorded in recordings]
    order = sorted(range(len(recordings)), key=lambda index: ({"test": 0, "val": 1}.get(splits[index] or "", 2), index))
    pairs = _sharing([recordings[index].landmarks for index in order])
    pieces = {index: recordings[index].piece for index in order}
    notes = []
    for (earlier, later), shift in sorted(pairs.items(), key=lambda item: (item[0][1], item[0][0])):
        first, second = recordings[order[earlier]], recordings[order[later]]
        kept, doubled = pieces[order[earlier]], pieces[order[later]]
        if not _agree(first, second, shift):
            continue
        if kept.group == doubled.group and split_of(kept.file) != split_of(doubled.file):
            continue  # one subject in two folders stays where it is held out
        for index, piece in pieces.items():
            if piece.group == doubled.group:
                pieces[index] = replace(piece, group=kept.group)
        whole = len(doubled.starts)
        pieces[order[later]] = rest = _outside(pieces[order[later]], [(start - shift, stop - shift) for start, stop in first.spans])
        if len(rest.starts) < whole:
            notes.append(f"{doubled.file}: holds the same data as {kept.file}; {whole - len(rest.starts)} of its {whole} windows left out")
        elif kept.group != doubled.group:
            notes.append(f"{doubled.file}: holds the same data as {kept.file}; counted as one person")
    return [pieces[index] for index in range(len(recordings)) if pieces[index].starts], notes


def _sharing(marks: Sequence[Landmarks]) -> dict[tuple[int, int], float]:
    """Pairs of recordings, earlier and later, with landmarks in common -> what to add to the later one's times, seconds."""
    from scipy.spatial import cKDTree

    owners = np.repeat(np.arange(len(marks)), [len(one.times) for one in marks])
    if not len(owners):
        return {}
    times, all_of = np.concatenate([one.times for one in marks]), np.concatenate([one.descriptions for one in marks])
    lengths = np.maximum(np.linalg.norm(all_of, axis=1), 1e-12)
    coarse = (all_of / lengths[:, None])[:, :_COARSE]
    found = cKDTree(coarse).query_pairs(2 * _CLOSE * np.sqrt(_COARSE / _NUMBERS), output_type="ndarray")
    found = found[owners[found[:, 0]] != owners[found[:, 1]]]
    one, other = found.min(1), found.max(1)
    same = np.linalg.norm(all_of[one] - all_of[other], axis=1) <= _CLOSE * np.minimum(lengths[one], lengths[other])
    shifts: dict[tuple[int, int], list[float]] = {}
    for a, b in zip(one[same].tolist(), other[same].tolist(), strict=True):
        shifts.setdefault((int(owners[a]), int(owners[b])), []).append(float(times[a] - times[b]))
    return {pair: _usual(values) for pair, values in shifts.items()}


def _usual(shifts: Sequence[float]) -> float:
    """The commonest shift, to the jitter."""
    counts = Counter(round(shift / _JITTER) for shift in shifts)
    most = counts.most_common(1)[0][0]
    return float(np.median([shift for shift in shifts if abs(shift / _JITTER - most) <= 1]))


def _agree(first: Recorded, second: Recorded, shift: float) -> bool:
    """Whether enough landmarks of the common stretch are the same at that shift."""
    moved = second.landmarks.times + shift
    common = [any(start + _APART <= time <= stop - _APART for start, stop in first.spans) for time in moved.tolist()]
    if not any(common) or not len(first.landmarks.times):
        return False
    place = np.abs(first.landmarks.times[:, None] - moved[None, common]).argmin(0)
    ours, theirs = first.landmarks.descriptions[place], second.landmarks.descriptions[common]
    lengths = np.minimum(np.linalg.norm(ours, axis=1), np.linalg.norm(theirs, axis=1))
    same = np.linalg.norm(ours - theirs, axis=1) <= _CLOSE * lengths
    return bool(same.mean() >= _SHARE)


def _outside(piece: Piece, spans: Sequence[Span]) -> Piece:
    """The windows of a piece that none of the spans touches by more than its edge."""
    windows = [(start, start + piece.length) for start in piece.starts]
    kept = [i for i, (low, high) in enumerate(windows) if not any(min(high, stop) - max(low, start) > _JITTER for start, stop in spans)]
    return replace(piece, x=piece.x[kept], classes=tuple(piece.classes[i] for i in kept), starts=tuple(piece.starts[i] for i in kept))
