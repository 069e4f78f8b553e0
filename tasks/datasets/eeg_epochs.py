"""Clean EEG and artifact epochs of one channel, kept apart so that a reader mixes them. Opening a prepared set needs numpy alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from tasks.datasets.eeg_windows import microvolts, quantized
from tasks.datasets.text_splits import SPLITS
from tasks.datasets.text_splits import Split as SplitName

Waves = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Epochs:
    """One split."""

    eeg: Waves
    """(n, samples), clean, microvolts."""
    artifacts: Mapping[str, Waves]
    """"emg" or "eog" -> (m, samples), microvolts; m differs from n."""


@dataclass(frozen=True)
class EegEpochs:
    """Three splits of epochs of one rate; neither EEG nor an artifact is in two splits."""

    train: Epochs
    val: Epochs
    test: Epochs
    rate: float
    """Samples a second."""

    def split(self, name: SplitName) -> Epochs:
        """The split of that name."""
        return {"train": self.train, "val": self.val, "test": self.test}[name]


def write_epochs(target: Path, epochs: EegEpochs, *, licence: str, about: Mapping[str, Any], step: float | None = None) -> None:
    """Write `{train,val,test}-{eeg,emg,eog}.npy` and `meta.json`; DataError where a split is empty or holds what is not finite.

    With `step` (microvolts) values are kept as int16 multiples of it, cut off at 32,767 steps; without, as float32.
    """
    for name in SPLITS:
        split = epochs.split(name)
        for kind, waves in {"eeg": split.eeg, **split.artifacts}.items():
            if not len(waves):
                raise DataError(f"too few {kind} epochs: the {name} split is empty")
            if not np.isfinite(waves).all():
                raise DataError(f"the {kind} epochs of the {name} split hold values that are not finite")
            np.save(target / f"{name}-{kind}.npy", quantized(waves, step))
    counts = {name: {"eeg": len(epochs.split(name).eeg), **_counts(epochs.split(name))} for name in SPLITS}
    meta = {"rate": epochs.rate, "artifacts": sorted(epochs.train.artifacts), "step": step, "epochs": counts, "licence": licence, **about}
    (target / "meta.json").write_text(json.dumps(meta, indent=2) + "\n")


def open_epochs(folder: Path) -> EegEpochs:
    """Open a prepared folder; float32 epochs are memory-mapped, int16 ones turned into microvolts in memory."""
    meta = json.loads((folder / "meta.json").read_text())

    def waves(name: str, kind: str) -> Waves:
        return microvolts(np.load(folder / f"{name}-{kind}.npy", mmap_mode="r"), meta["step"])

    splits = {name: Epochs(waves(name, "eeg"), {kind: waves(name, kind) for kind in meta["artifacts"]}) for name in SPLITS}
    return EegEpochs(**splits, rate=meta["rate"])


def _counts(split: Epochs) -> dict[str, int]:
    return {kind: len(waves) for kind, waves in split.artifacts.items()}
