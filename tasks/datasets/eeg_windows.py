"""Labelled windows of multi-channel EEG: how they are kept and read. Opening a prepared set needs numpy alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from tasks.datasets.eeg.halving import halved
from tasks.datasets.text_splits import SPLITS
from tasks.datasets.text_splits import Split as SplitName

FEWEST_COMPARED = 6
"""Windows on either side without which there are no five neighbours, nor five folds, to measure with."""
_MOST = np.iinfo(np.int16).max


@dataclass(frozen=True)
class Split:
    """One split, in the file's order."""

    x: npt.NDArray[np.float32]
    """(n, channels, samples), microvolts."""
    labels: npt.NDArray[np.int64]
    """(n,): index into `classes`."""
    groups: npt.NDArray[np.int64]
    """(n,): index into `groups` of the set. No group is in two splits."""
    events: npt.NDArray[np.int64] | None = None
    """(n,): windows of one number overlap, those of two share no signal; None where that is not known."""


@dataclass(frozen=True, eq=False)
class EegWindows:
    """Three splits of windows that share rate, channels and classes; a group is a subject, or a block of one recording.

    It is itself and nothing else: arrays have no one answer to whether they are equal.
    """

    train: Split
    val: Split
    test: Split
    rate: float
    """Samples a second."""
    channels: tuple[str, ...]
    classes: tuple[str, ...]
    groups: tuple[str, ...]

    def split(self, name: SplitName) -> Split:
        """The split of that name."""
        return {"train": self.train, "val": self.val, "test": self.test}[name]


def write_windows(target: Path, windows: EegWindows, *, licence: str, about: Mapping[str, Any], step: float | None = None) -> None:
    """Write `{train,val,test}.npy`, their labels, groups and events, and `meta.json`; DataError where a split is empty or a group in two.

    With `step` (microvolts) values are kept as int16 multiples of it, cut off at 32,767 steps; without, as float32. `about` is what
    a reader of `meta.json` should know besides.
    """
    _check(windows)
    for name in SPLITS:
        split = windows.split(name)
        np.save(target / f"{name}.npy", quantized(split.x, step))
        np.save(target / f"{name}-labels.npy", split.labels.astype(np.int64))
        np.save(target / f"{name}-groups.npy", split.groups.astype(np.int64))
        if split.events is not None:
            np.save(target / f"{name}-events.npy", split.events.astype(np.int64))
    meta = {
        "rate": windows.rate,
        "channels": windows.channels,
        "classes": windows.classes,
        "groups": windows.groups,
        "step": step,
        "windows": {name: np.bincount(windows.split(name).labels, minlength=len(windows.classes)).tolist() for name in SPLITS},
        "licence": licence,
        **about,
    }
    (target / "meta.json").write_text(json.dumps(meta, indent=2) + "\n")


def open_windows(folder: Path) -> EegWindows:
    """Open a prepared folder; float32 windows are memory-mapped, int16 ones turned into microvolts in memory."""
    meta = json.loads((folder / "meta.json").read_text())
    splits = {
        name: Split(
            microvolts(np.load(folder / f"{name}.npy", mmap_mode="r"), meta["step"]),
            np.load(folder / f"{name}-labels.npy"),
            np.load(folder / f"{name}-groups.npy"),
            np.load(file) if (file := folder / f"{name}-events.npy").exists() else None,
        )
        for name in SPLITS
    }
    channels, classes, groups = (tuple(meta[key]) for key in ("channels", "classes", "groups"))
    return EegWindows(**splits, rate=meta["rate"], channels=channels, classes=classes, groups=groups)


def comparable(windows: EegWindows) -> int:
    """How many windows of val can be set against as many of either half of test, class by class."""
    val, test = windows.val, windows.test
    events = np.arange(len(test.labels)) if test.events is None else test.events
    pairs = 0
    for kind in range(len(windows.classes)):
        of_kind = np.flatnonzero(test.labels == kind)
        smaller = min(map(len, halved(zip(of_kind.tolist(), events[of_kind].tolist(), strict=True))))
        pairs += min(int((val.labels == kind).sum()), smaller)
    return pairs


def quantized(x: npt.NDArray[np.floating[Any]], step: float | None) -> npt.NDArray[Any]:
    """Microvolts -> what is kept on disk: int16 multiples of `step`, or float32."""
    if step is None:
        return x.astype(np.float32)
    steps: npt.NDArray[np.int16] = np.clip(np.rint(x / step), -_MOST, _MOST).astype(np.int16)
    return steps


def microvolts(kept: npt.NDArray[Any], step: float | None) -> npt.NDArray[np.float32]:
    """The other way."""
    return kept if step is None else kept.astype(np.float32) * np.float32(step)


def _check(windows: EegWindows) -> None:
    seen: dict[int, str] = {}
    for name in SPLITS:
        split = windows.split(name)
        if not len(split.labels):
            raise DataError(f"too few windows: the {name} split is empty")
        if not np.isfinite(split.x).all():
            raise DataError(f"the {name} split holds values that are not finite")
        for group in np.unique(split.groups).tolist():
            if seen.setdefault(group, name) != name:
                raise DataError(f"{windows.groups[group]} is in two splits, {seen[group]} and {name}")
