"""EEGdenoiseNet's files of epochs (Zhang et al. 2021): two seconds a row, at 256 or 512 Hz; rates are not mixed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from tasks.datasets.eeg_epochs import EegEpochs, Epochs, Waves, write_epochs

SECONDS = 2.0
RATES = (256.0, 512.0)
KINDS = {"eeg": "EEG", "emg": "EMG", "eog": "EOG"}
SUFFIXES = ("", "_512hz")
PREFERRED = {"emg": 512.0, "eog": 256.0}
"""The rates at which the authors mix: muscles reach above the 128 Hz that 256 samples a second can hold."""
SHARES = (0.8, 0.1)
"""Train and val, by position: neighbours are of one person more often than not, and nothing is repeated before the split."""


class File(NamedTuple):
    """The usable rows of a file."""

    name: str
    waves: Waves


def adopt_epochs(path: Path, target: Path) -> list[str]:
    """Write the splits of `{EEG,EMG,EOG}_all_epochs.npy` and `..._512hz.npy`: EMG at 512 Hz and EOG at 256 Hz where EEG is there at both.

    Rows that are flat or hold no numbers are left out; one kind of artifact is enough. DataError for an artifact whose rate no file of
    EEG has: resampled, it would have an edge in its spectrum that a network can learn.
    """
    if not path.is_dir():
        raise DataError(f"{path}: there is no such folder; EEGdenoiseNet comes as a folder of npy files")
    notes: list[str] = []
    found = {kind: _files(path, kind, notes) for kind in KINDS}
    kinds = [kind for kind in PREFERRED if found[kind]]
    if not found["eeg"] or not kinds:
        raise DataError(f"{path}: EEG epochs and one kind of artifact are needed. {'. '.join(notes)}")
    rates = {kind: _rate(path, kind, found[kind], found["eeg"], notes) for kind in kinds}
    said = []
    sets: dict[float, EegEpochs] = {}
    for rate in sorted(set(rates.values())):
        members = {kind: found[kind][rate] for kind in ("eeg", *kinds) if kind == "eeg" or rates[kind] == rate}
        names = " and ".join(file.name for kind, file in members.items() if kind != "eeg")
        said.append(f"{names} with {members['eeg'].name}: {rate:g} Hz, {round(SECONDS * rate):,} samples an epoch")
        parts = {kind: _parts(file.waves) for kind, file in members.items()}
        train, val, test = (
            Epochs(parts["eeg"][at], {kind: waves[at] for kind, waves in parts.items() if kind != "eeg"}) for at in range(3)
        )
        sets[rate] = EegEpochs(train, val, test, rate)
    first, *rest = sets.values()
    others = {kind: other for other in rest for kind in other.train.artifacts}
    write_epochs(target, replace(first, others=others), licence="", about={})
    return [*said, *notes]


def _files(path: Path, kind: str, notes: list[str]) -> dict[float, File]:
    """Rate -> the file of a kind that has it; what cannot be used is noted."""
    files: dict[float, File] = {}
    names = [f"{KINDS[kind]}_all_epochs{suffix}.npy" for suffix in SUFFIXES]
    there = [name for name in names if (path / name).exists()]
    for name in there:
        try:
            waves, rate = _sound(path / name, notes)
        except ValueError as error:
            notes.append(f"{name}: {error}; left out")
            continue
        if rate in files:
            notes.append(f"{name}: is at {rate:g} Hz as {files[rate].name}, which is read; left out")
        else:
            files[rate] = File(name, waves)
    if not there:
        notes.append(f"{names[0]}: is not there, so there are no {kind} epochs")
    return files


def _rate(path: Path, kind: str, files: Mapping[float, File], eeg: Mapping[float, File], notes: list[str]) -> float:
    """At which rate a kind is mixed with EEG."""
    shared = [rate for rate in files if rate in eeg]
    if not shared:
        have, other = (" and ".join(f"{file.name} ({rate:g} Hz)" for rate, file in of.items()) for of in (files, eeg))
        raise DataError(
            f"{path}: {have} would be mixed with {other}, and rates are not mixed: put EEG and {kind.upper()} of one rate there, or take "
            f"the {kind.upper()} file away. {'. '.join(notes)}".rstrip()
        )
    chosen = PREFERRED[kind] if PREFERRED[kind] in shared else shared[0]
    notes += [f"{file.name}: not read, {files[chosen].name} is" for rate, file in files.items() if rate != chosen]
    return chosen


def _sound(file: Path, notes: list[str]) -> tuple[Waves, float]:
    """The usable rows of a file and their rate; ValueError where it is no file of epochs."""
    try:
        read = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"truncated or damaged ({error})") from None
    rates = {round(SECONDS * rate): rate for rate in RATES}
    if read.ndim != 2 or read.shape[1] not in rates or not np.issubdtype(read.dtype, np.floating):
        raise ValueError(f"must hold rows of {' or '.join(map(str, rates))} numbers, holds {read.dtype} of shape {read.shape}")
    finite = np.isfinite(read).all(1)
    flat = finite & (np.ptp(np.where(finite[:, None], read, 0.0), axis=1) == 0)
    for rows, what in ((~finite, "hold no numbers"), (flat, "are flat")):
        if rows.any():
            notes.append(
                f"{file.name}: rows {', '.join(map(str, np.flatnonzero(rows)[:10].tolist()))} ({rows.sum()} in all) {what}; left out"
            )
    return read[finite & ~flat].astype(np.float32), rates[read.shape[1]]


def _parts(waves: npt.NDArray[np.float32]) -> list[Waves]:
    cuts = [round(SHARES[0] * len(waves)), round(sum(SHARES) * len(waves))]
    return np.split(waves, cuts)
