"""Small data sets in memory, in the form of every set that a task reads, whose three splits can be told apart and replaced one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from tasks.blocks import training
from tasks.datasets.corpus import Corpus
from tasks.datasets.eeg_epochs import EegEpochs, Epochs
from tasks.datasets.eeg_windows import EegWindows
from tasks.datasets.eeg_windows import Split as Windows
from tasks.datasets.images import Images
from tasks.datasets.text_splits import Split

SPLITS: tuple[Split, ...] = get_args(Split)
_SHAPES = {"digits": (8, 8, 1), "fashion-mnist": (28, 28, 1)}
_RATE, _SAMPLES = 256.0, 256
_CHANNELS = ("Fp1", "C3", "O1", "T3")
_CLASSES = ("eyes", "chewing", "muscle", "shiver", "electrode", "background")


def made(name: str) -> Any:
    """The set called `name`: images, text, EEG windows or epochs by what the name says."""
    if name.startswith("text"):
        return Corpus(*(_tokens(split, 0) for split in SPLITS), vocab_size=256, bytes_per_token=1.0)
    if name in ("eeg-artifacts", "tuar"):
        return EegWindows(
            **{split: _windows(split, 0) for split in SPLITS},
            rate=_RATE,
            channels=_CHANNELS,
            classes=_CLASSES,
            groups=SPLITS,
        )
    if name in ("eeg-denoise", "eegdenoisenet"):
        return EegEpochs(**{split: _epochs(split, 0) for split in SPLITS}, rate=_RATE)
    shape = _SHAPES.get(name, (32, 32, 3))
    drawn = {split: _images(split, shape, 0) for split in SPLITS}
    values = drawn["train"][0].reshape(-1, shape[2]) / 255.0
    mean, std = (tuple(found.tolist()) for found in (values.mean(0), values.std(0)))
    return Images({s: d[0] for s, d in drawn.items()}, {s: d[1] for s, d in drawn.items()}, 10, mean, std)


def altered(data: Any, split: Split) -> Any:
    """The same set with other examples in one split; all else, such as the statistics that inputs are normalised with, stays."""
    if isinstance(data, Images):
        pixels, labels = _images(split, data.pixels[split].shape[1:], 1)
        return replace(data, pixels={**data.pixels, split: pixels}, labels={**data.labels, split: labels})
    drawn = {Corpus: _tokens, EegWindows: _windows, EegEpochs: _epochs}[type(data)]
    return replace(data, **{split: drawn(split, 1)})


def _stream(split: Split, version: int) -> np.random.Generator:
    return np.random.default_rng([SPLITS.index(split), version])


def _images(split: Split, shape: tuple[int, ...], version: int) -> tuple[Any, Any]:
    """A bright row by the class, noise around it, and a share of wrong labels so that no loss is 0."""
    draw = _stream(split, version)
    labels = draw.integers(0, 10, size=240)
    pixels = draw.integers(0, 120, size=(len(labels), *shape))
    for image, label in zip(pixels, labels, strict=True):
        image[(label * shape[0]) // 10] += 100
    wrong = draw.random(len(labels)) < 0.1
    return pixels.astype(np.uint8), np.where(wrong, draw.integers(0, 10, size=len(labels)), labels)


def _tokens(split: Split, version: int) -> Any:
    """A noisy cycle: the next byte follows from the last one most of the time."""
    draw = _stream(split, version)
    steps = np.where(draw.random(6000) < 0.8, 7, draw.integers(0, 256, size=6000))
    return (np.cumsum(steps) % 97).astype(np.uint8)


def _waves(draw: np.random.Generator, shape: tuple[int, ...], low: float, high: float) -> Any:
    """Waves of 1 to 40 microvolts with frequencies of `low` to `high` Hz."""
    times = np.arange(shape[-1]) / _RATE
    rates, phases, sizes = (draw.uniform(a, b, size=(*shape[:-1], 1)) for a, b in ((low, high), (0, 2 * np.pi), (5, 40)))
    return (sizes * np.sin(2 * np.pi * rates * times + phases) + draw.normal(size=shape)).astype(np.float32)


def _windows(split: Split, version: int) -> Windows:
    draw = _stream(split, version)
    labels = np.repeat(np.arange(len(_CLASSES)), 12)
    x = np.concatenate([_waves(draw, (12, len(_CHANNELS), _SAMPLES), 4.0 + 8 * label, 8.0 + 8 * label) for label in range(len(_CLASSES))])
    return Windows(x, labels, np.full(len(labels), SPLITS.index(split)))


def _epochs(split: Split, version: int) -> Epochs:
    draw = _stream(split, version)
    artifacts: Mapping[str, Any] = {"emg": _waves(draw, (30, 2 * _SAMPLES), 30.0, 90.0), "eog": _waves(draw, (30, 2 * _SAMPLES), 0.5, 3.0)}
    return Epochs(_waves(draw, (60, 2 * _SAMPLES), 6.0, 12.0), artifacts)


def watched(data: Any, log: list[str], held_out: set[str]) -> Any:
    """The same set, which writes a digest of every training batch into `log`, and of all that is read of val and test into `held_out`.

    Of EEG the names of the splits that are asked for alone: readers get whole arrays, and `watched_loops` sees what they pick.
    """

    def note(split: Split, *arrays: Any) -> None:
        if split == "train":
            log.append(_digest(*arrays))
        else:
            held_out.add(f"{split}/{_digest(*arrays)}")

    if isinstance(data, Images):

        class Watched(Images):
            def read(self, split: Split, index: Any) -> Any:
                found = super().read(split, index)
                note(split, *(tensor.numpy() for tensor in found))
                return found

        return Watched(**vars(data))
    if isinstance(data, Corpus):

        class WatchedCorpus(Corpus):
            def batch(self, split: Split, batch_size: int, length: int, generator: Any) -> Any:
                found = super().batch(split, batch_size, length, generator)
                note(split, *(tensor.numpy() for tensor in found))
                return found

            def windows(self, split: Split, count: int, length: int) -> Any:
                found = super().windows(split, count, length)
                if split != "train":
                    note(split, *(tensor.numpy() for tensor in found))
                return found

        return WatchedCorpus(**vars(data))
    if isinstance(data, EegEpochs):

        class WatchedEpochs(EegEpochs):
            def split(self, name: Split) -> Any:
                held_out.add(name)
                return super().split(name)

        return WatchedEpochs(**vars(data))
    return data


def _digest(*arrays: Any) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()[:12]


@dataclass(frozen=True)
class Looped:
    """One training loop: its steps, and what it drew."""

    steps: int
    drawn: list[str]


@contextmanager
def watched_loops(log: list[str]) -> Iterator[list[Looped]]:
    """Every training loop that runs inside; `log` is what a watched set writes to, which takes what else is picked from arrays as well."""
    found: list[Looped] = []
    run = training._train

    def looped(trial: Any, loop: Any) -> Any:
        before = len(log)
        with _Picks(log):
            trained = run(trial, loop)
        found.append(Looped(loop.schedule.steps, log[before:]))
        return trained

    training._train = looped
    try:
        yield found
    finally:
        training._train = run


class _Picks(TorchFunctionMode):
    """Notes what is picked by an index from windows held in memory: (n, t) or (n, channels, t) of signals, as readers of EEG have them."""

    def __init__(self, log: list[str]) -> None:
        super().__init__()
        self.log = log

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if func is Tensor.__getitem__ and _is_of_windows(*args):
            self.log.append(f"{tuple(found.shape)}/{_digest(found.numpy())}")
        return found


def _is_of_windows(source: Tensor, index: Any) -> bool:
    picks = isinstance(index, Tensor) and index.dtype == torch.int64 and index.dim() == 1
    return picks and source.dim() > 1 and source.dtype == torch.float32 and source.shape[-1] > 32 and source.grad_fn is None
