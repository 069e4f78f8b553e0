"""EEGdenoiseNet's files of epochs (Zhang et al. 2021): two seconds a row, at 256 or 512 Hz."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from tasks.datasets.eeg.resampling import resample
from tasks.datasets.eeg_epochs import EegEpochs, Epochs, Waves, write_epochs

SECONDS = 2.0
RATES = (256.0, 512.0)
KINDS = {"eeg": "EEG", "emg": "EMG", "eog": "EOG"}
SHARES = (0.8, 0.1)
"""Train and val, by position: neighbours are of one person more often than not, and nothing is repeated before the split."""


def adopt_epochs(path: Path, target: Path) -> list[str]:
    """Write the splits of `{EEG,EMG,EOG}_all_epochs.npy`, or of the files `..._512hz.npy` where a kind has no other.

    All are brought to the rate of the EEG. Rows that are flat or hold no numbers are left out; one kind of artifact is enough.
    """
    if not path.is_dir():
        raise DataError(f"{path}: there is no such folder; EEGdenoiseNet comes as a folder of npy files")
    notes: list[str] = []
    found: dict[str, tuple[Waves, float]] = {}
    for kind, prefix in KINDS.items():
        file = next((f for f in (path / f"{prefix}_all_epochs.npy", path / f"{prefix}_all_epochs_512hz.npy") if f.exists()), None)
        if file is None:
            notes.append(f"{prefix}_all_epochs.npy: is not there, so there are no {kind} epochs")
            continue
        try:
            found[kind] = _sound(file, notes)
        except ValueError as error:
            notes.append(f"{file.name}: {error}; the {kind} epochs are left out")
    if "eeg" not in found or len(found) < 2:
        raise DataError(f"{path}: EEG epochs and one kind of artifact are needed. {'. '.join(notes)}")
    rate = found["eeg"][1]
    for kind, (waves, before) in found.items():
        if before != rate:
            found[kind] = resample(waves.astype(np.float64), before, rate).astype(np.float32), rate
            notes.append(f"{KINDS[kind]}: resampled from {before:g} to {rate:g} Hz, the rate of the EEG")
    parts = {kind: _parts(waves) for kind, (waves, _) in found.items()}
    train, val, test = (
        Epochs(parts["eeg"][split], {kind: waves[split] for kind, waves in parts.items() if kind != "eeg"}) for split in range(3)
    )
    write_epochs(target, EegEpochs(train, val, test, rate), licence="", about={})
    return notes


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
