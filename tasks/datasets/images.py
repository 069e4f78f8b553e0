"""Labelled images of one size: how they are kept, read and normalised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from tasks.datasets.placing import sent, standardized
from tasks.datasets.text_splits import SPLITS, Split

if TYPE_CHECKING:
    import torch

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Images:
    """Three splits of uint8 pixels (count, height, width, channels) and labels (count,), on disk until they are read.

    What it hands out is float32 (count, channels, height, width), each channel with the mean 0 and variance 1 of the training split.
    """

    pixels: Mapping[Split, Pixels]
    labels: Mapping[Split, Labels]
    num_classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        height, width, channels = self.pixels["train"].shape[1:]
        return channels, height, width

    def count(self, split: Split) -> int:
        """How many images a split has."""
        return len(self.labels[split])

    def batch(
        self, split: Split, size: int, generator: torch.Generator, device: torch.device | str = "cpu"
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`size` images drawn with replacement: float32 (size, channels, height, width) and int64 labels (size,), on the device."""
        import torch

        return self.take(split, torch.randint(0, self.count(split), (size,), generator=generator).numpy(), device)

    def batches(
        self, split: Split, size: int, limit: int, device: torch.device | str = "cpu"
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """The same `limit` images on every call, evenly spread over the split (all, where it has no more), at most `size` at a time."""
        index = spread(self.count(split), limit)
        for start in range(0, len(index), size):
            yield self.take(split, index[start : start + size], device)

    def all(self, split: Split) -> tuple[torch.Tensor, torch.Tensor]:
        """A whole split at once."""
        return self.take(split, slice(None))

    def take(
        self, split: Split, index: npt.NDArray[np.int64] | slice, device: torch.device | str = "cpu"
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The images at these places, in this order, and their labels, on the device."""
        return self.placed(self.read(split, index), device)

    def read(self, split: Split, index: npt.NDArray[np.int64] | slice) -> tuple[torch.Tensor, torch.Tensor]:
        """The same as they lie on disk: uint8 (count, height, width, channels)."""
        import torch

        return torch.from_numpy(np.array(self.pixels[split][index])), torch.from_numpy(np.array(self.labels[split][index]))

    def placed(self, batch: tuple[torch.Tensor, torch.Tensor], device: torch.device | str) -> tuple[torch.Tensor, torch.Tensor]:
        """Pixels as they are read and labels (or what else is taught) as numbers on the device."""
        pixels, labels = batch
        return standardized(pixels, self.mean, self.std, device), sent(labels, device)


def spread(count: int, limit: int) -> npt.NDArray[np.int64]:
    """At most `limit` of the numbers 0 to count - 1, evenly spread."""
    return np.linspace(0, count - 1, min(limit, count)).astype(np.int64)


def write_images(
    target: Path,
    splits: Mapping[Split, tuple[Pixels, Labels]],
    *,
    num_classes: int,
    licence: str,
    about: Mapping[str, Any] | None = None,
) -> list[str]:
    """Write `{train,val,test}.npy`, `{train,val,test}-labels.npy` and `meta.json` with the statistics of the training split.

    `about` is what a reader of `meta.json` should know besides. What a reader of results should know comes back in sentences.
    """
    for split in SPLITS:
        pixels, labels = splits[split]
        if not len(labels):
            raise DataError(f"too few images: the {split} split is empty")
        if labels.min() < 0 or labels.max() >= num_classes:
            raise DataError(f"the {split} split holds label {labels.max()}: labels lie in 0 to {num_classes - 1}")
        np.save(target / f"{split}.npy", pixels)
        np.save(target / f"{split}-labels.npy", labels.astype(np.int64))
    train = splits["train"][0].astype(np.float64).reshape(-1, splits["train"][0].shape[-1]) / 255.0
    counts = {split: len(splits[split][1]) for split in SPLITS}
    statistics = {"mean": train.mean(0).tolist(), "std": train.std(0).tolist()}
    meta = {"num_classes": num_classes, **statistics, "images": counts, "licence": licence, **(about or {})}
    (target / "meta.json").write_text(json.dumps(meta, indent=2) + "\n")
    return list(_shared(splits))


def _shared(splits: Mapping[Split, tuple[Pixels, Labels]]) -> Iterator[str]:
    """Held-out images that are training images too: published sets hold a few, and a reader should know of many."""
    digests = {split: [_digest(image) for image in splits[split][0]] for split in SPLITS}
    known = set(digests["train"])
    for split in ("val", "test"):
        shared = [digest in known for digest in digests[split]]
        if any(shared):
            yield f"{sum(shared)} of {len(shared)} {split} images are training images too (the first is number {shared.index(True) + 1})"


def open_images(folder: Path) -> Images:
    """Open a prepared folder."""
    meta = json.loads((folder / "meta.json").read_text())
    pixels: dict[Split, Pixels] = {split: np.load(folder / f"{split}.npy", mmap_mode="r") for split in SPLITS}
    labels: dict[Split, Labels] = {split: np.load(folder / f"{split}-labels.npy") for split in SPLITS}
    return Images(pixels, labels, meta["num_classes"], tuple(meta["mean"]), tuple(meta["std"]))


def buckets(pixels: Pixels) -> npt.NDArray[np.int64]:
    """A number of 0 to 99 for each image, from the SHA-256 of its pixels: splits made of it keep identical images together."""
    return np.array([int.from_bytes(_digest(image)[:8], "big") % 100 for image in pixels], dtype=np.int64)


def _digest(image: Pixels) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).digest()
