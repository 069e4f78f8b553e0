"""Clean EEG and artifact epochs of one channel, kept apart so that a reader mixes them. Opening a prepared set needs numpy alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
    others: Mapping[str, EegEpochs] = field(default_factory=dict)
    """Artifact -> its epochs and the EEG to mix them with, at a rate of their own; those above have the other artifacts."""

    def of(self, artifact: str) -> EegEpochs:
        """The epochs to mix that artifact with EEG at one rate."""
        return self.others.get(artifact, self)

    def split(self, name: SplitName) -> Epochs:
        """The split of that name."""
        return {"train": self.train, "val": self.val, "test": self.test}[name]


def write_epochs(target: Path, epochs: EegEpochs, *, licence: str, about: Mapping[str, Any], step: float | None = None) -> None:
    """Write `{train,val,test}-{eeg,emg,eog}.npy` and `meta.json`; DataError where a split is empty or holds what is not finite.

    Epochs of another rate are `{artifact}-{split}-{kind}.npy`. With `step` (microvolts) values are kept as int16 multiples of it, cut off
    at 32,767 steps; without, as float32.
    """
    meta = {**_saved(target, epochs, "", step), "step": step}
    if epochs.others:
        meta["others"] = {artifact: _saved(target, other, f"{artifact}-", step) for artifact, other in epochs.others.items()}
    (target / "meta.json").write_text(json.dumps({**meta, "licence": licence, **about}, indent=2) + "\n")


def _saved(target: Path, epochs: EegEpochs, prefix: str, step: float | None) -> dict[str, Any]:
    """Write the epochs of one rate; what `meta.json` says of them."""
    for name in SPLITS:
        split = epochs.split(name)
        for kind, waves in {"eeg": split.eeg, **split.artifacts}.items():
            if not len(waves):
                raise DataError(f"too few {kind} epochs: the {name} split is empty")
            if not np.isfinite(waves).all():
                raise DataError(f"the {kind} epochs of the {name} split hold values that are not finite")
            np.save(target / f"{prefix}{name}-{kind}.npy", quantized(waves, step))
    counts = {name: {"eeg": len(epochs.split(name).eeg), **_counts(epochs.split(name))} for name in SPLITS}
    return {"rate": epochs.rate, "artifacts": sorted(epochs.train.artifacts), "epochs": counts}


def open_epochs(folder: Path) -> EegEpochs:
    """Open a prepared folder; float32 epochs are memory-mapped, int16 ones turned into microvolts in memory."""
    meta = json.loads((folder / "meta.json").read_text())

    def opened(of: Mapping[str, Any], prefix: str) -> EegEpochs:
        def waves(name: str, kind: str) -> Waves:
            return microvolts(np.load(folder / f"{prefix}{name}-{kind}.npy", mmap_mode="r"), meta["step"])

        splits = {name: Epochs(waves(name, "eeg"), {kind: waves(name, kind) for kind in of["artifacts"]}) for name in SPLITS}
        return EegEpochs(splits["train"], splits["val"], splits["test"], of["rate"])

    others = {artifact: opened(of, f"{artifact}-") for artifact, of in meta.get("others", {}).items()}
    return replace(opened(meta, ""), others=others)


def _counts(split: Epochs) -> dict[str, int]:
    return {kind: len(waves) for kind, waves in split.artifacts.items()}
