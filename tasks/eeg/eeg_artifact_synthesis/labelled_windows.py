"""The windows of a trial: resampled, of the channels asked for, and in z-scores of the training split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.errors import UsageError, unknown
from harness.trial import Trial
from tasks.blocks.training import generator
from tasks.datasets.eeg.halving import halved
from tasks.datasets.eeg.resampling import resample
from tasks.datasets.eeg_windows import EegWindows
from tasks.eeg.features import FeatureSpace
from tasks.eeg.fidelity import median_distance


@dataclass(frozen=True)
class Labelled:
    """Windows `x` (n, channels, samples), float32, and their classes `y` (n,), int64."""

    x: Tensor
    y: Tensor
    events: Tensor | None = None
    """(n,), int64: windows of one number overlap; None where that is not known."""


@dataclass(frozen=True)
class Problem:
    """What a trial learns and is measured on. Windows are in z-scores: one mean and deviation a channel, those of the training split."""

    train: Labelled
    val: Labelled
    test: Labelled
    mean: Tensor
    """(channels, 1), microvolts."""
    deviation: Tensor
    """(channels, 1), microvolts."""
    rate: float
    channels: tuple[str, ...]
    classes: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Channels and samples of a window."""
        return self.train.x.shape[1], self.train.x.shape[2]

    @cached_property
    def space(self) -> FeatureSpace:
        """Features in units of the training windows."""
        return FeatureSpace.of(self.train.x, self.rate)

    @cached_property
    def bandwidth(self) -> float:
        """The median distance of two training windows in that space: one kernel for all methods, whatever they make."""
        return median_distance(self.space(self.train.x))

    def microvolts(self, x: Tensor) -> Tensor:
        """Windows in z-scores, in microvolts."""
        return x * self.deviation + self.mean

    def z_scores(self, x: Tensor) -> Tensor:
        """Windows in microvolts, in z-scores."""
        return (x - self.mean) / self.deviation


def problem(trial: Trial) -> Problem:
    """The trial's windows. UsageError for a channel that the data set lacks, or one that never moves."""
    data: EegWindows = trial.dataset()
    return _prepared(data, trial.params.rate or data.rate, trial.params.channels)


@lru_cache(maxsize=1)
def _prepared(data: EegWindows, rate: float, channels: str) -> Problem:
    """Kept for the next trial of the process: nearly all of a study ask for the same, and resampling takes longer than most scores."""
    chosen = channel_indices(data.channels, channels)
    splits = [
        Labelled(
            resampled(split.x[:, chosen], data.rate, rate),
            torch.tensor(split.labels),
            None if split.events is None else torch.tensor(split.events),
        )
        for split in (data.train, data.val, data.test)
    ]
    x = splits[0].x
    mean, deviation = x.mean((0, 2)).unsqueeze(1), x.std((0, 2)).unsqueeze(1)
    names = tuple(data.channels[index] for index in chosen)
    for name, value in zip(names, deviation.flatten().tolist(), strict=True):
        if not value > 0.0:
            raise UsageError(f"channel {name} is flat in the training windows: leave it out with --set channels=...")
    train, val, test = (replace(split, x=(split.x - mean) / deviation) for split in splits)
    return Problem(train, val, test, mean, deviation, rate, names, tuple(data.classes))


def channel_indices(have: Sequence[str], asked: str) -> list[int]:
    """The places of the channels in `asked` (names with commas between, empty: all)."""
    names = [name.strip() for name in asked.split(",") if name.strip()] or list(have)
    for name in names:
        if name not in have:
            raise unknown("channel", name, list(have))
    return [list(have).index(name) for name in names]


def resampled(x: NDArray[np.float32], have: float, rate: float) -> Tensor:
    """`x` (..., samples) at `rate` Hz by a polyphase filter that lets no frequency fold; a window's ends are continued by its line."""
    return torch.tensor(np.ascontiguousarray(resample(x, have, rate)), dtype=torch.float32)


def class_counts(windows: Problem, most: int, seed: int) -> list[int]:
    """Windows of each class that are compared: `most`, or as many as val and either half of test hold. UsageError where there are none."""
    kinds = len(windows.classes)
    sides = (windows.train, windows.val, *halves(windows.test, seed))
    held = [torch.bincount(side.y, minlength=kinds).tolist() for side in sides]
    for name, train, val, first, second in zip(windows.classes, *held, strict=True):
        if not (train and val and first and second):
            raise UsageError(
                f"class {name} has {train} training and {val} validation windows, and {first} and {second} in the halves of test: "
                "it needs one of each"
            )
    return [min(most, *counts) for counts in zip(*held[1:], strict=True)]


def halves(split: Labelled, seed: int) -> tuple[Labelled, Labelled]:
    """The split in two without a common window, or, where overlaps are known, a common event: class after class, by the seed.

    Both hold the same stretches of time and people, so that what lies between them is what a perfect model would leave.
    """
    stream = generator(seed)
    order = torch.randperm(len(split.y), generator=stream)
    order = order[split.y[order].argsort(stable=True)]
    if split.events is None:
        first, second = order[0::2], order[1::2]
    else:
        coins = torch.randint(2, (int(split.y.max()) + 1,), generator=stream).tolist()
        labels, events = split.y.tolist(), split.events.tolist()
        dealt = [halved(((i, events[i]) for i in order.tolist() if labels[i] == kind), coin) for kind, coin in enumerate(coins)]
        first, second = (torch.tensor([place for parts in dealt for place in parts[side]], dtype=torch.int64) for side in (0, 1))
    return Labelled(split.x[first], split.y[first]), Labelled(split.x[second], split.y[second])


def asked_for(counts: Sequence[int]) -> Tensor:
    """The classes of the windows to make, in order, int64."""
    return torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))


def drawn(split: Labelled, counts: Sequence[int], seed: int, *, replacement: bool = False) -> Labelled:
    """So many windows of each class at random, class by class."""
    stream, places = generator(seed), []
    for kind, count in enumerate(counts):
        among = (split.y == kind).nonzero().flatten()
        picks = (
            torch.randint(len(among), (count,), generator=stream) if replacement else torch.randperm(len(among), generator=stream)[:count]
        )
        places.append(among[picks])
    index = torch.cat(places)
    return Labelled(split.x[index], split.y[index])
