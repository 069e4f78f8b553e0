"""The trial's windows on its device, and the pairs that every method of its seed shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from harness.errors import UsageError
from harness.trial import Trial
from tasks.blocks.training import generator
from tasks.datasets.eeg_epochs import EegEpochs
from tasks.datasets.text_splits import Split
from tasks.eeg.eeg_denoising_atat.mixing import Pairs, cut, mixed, scoring_pairs, training_pairs


@dataclass(frozen=True)
class Signals:
    """Clean windows (n, t) and artifacts (m, t) of one split, in microvolts, and how they are paired."""

    eeg: Tensor
    artifacts: Tensor
    pairs: Pairs
    rate: float

    @property
    def samples(self) -> int:
        """Length of a window."""
        return self.eeg.shape[1]

    def mixed(self, index: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(noisy, clean) of the pairs at `index`, or of all, each (k, t)."""
        return mixed(self.eeg, self.artifacts, self.pairs if index is None else self.pairs.take(index))


def training_signals(trial: Trial, split: Split) -> Signals:
    """What networks learn from, or are watched on: `pairings` pairs an artifact, of the validation split one."""
    eeg, artifacts, rate = _windows(trial, split)
    params = trial.params
    pairings = params.pairings if split == "train" else 1
    pairs = training_pairs(len(eeg), len(artifacts), pairings, params.clean_share, generator(trial.seed_for(f"{split} pairs")))
    return Signals(eeg, artifacts, pairs.to(trial.device), rate)


def held_out_signals(trial: Trial) -> Signals:
    """What the trial is scored on: the same pairs for every method, level and mix of a seed."""
    eeg, artifacts, rate = _windows(trial, "test")
    params = trial.params
    stream = generator(trial.seed_for("test pairs"))
    pairs = scoring_pairs(len(eeg), len(artifacts), params.test_windows, params.snr, params.contaminated, stream)
    return Signals(eeg, artifacts, pairs.to(trial.device), rate)


def _windows(trial: Trial, split: Split) -> tuple[Tensor, Tensor, float]:
    data: EegEpochs = trial.dataset()
    params = trial.params
    epochs = data.of(params.artifact)
    part = epochs.split(split)
    if params.artifact not in part.artifacts:
        raise UsageError(f"this data set has no {params.artifact} epochs: it has {', '.join(sorted(part.artifacts))}")
    eeg, artifacts = (
        cut(torch.from_numpy(np.array(values, dtype=np.float32)), params.samples).to(trial.device)
        for values in (part.eeg, part.artifacts[params.artifact])
    )
    return eeg, artifacts, float(epochs.rate)
