"""The reader of prepared text: memory-mapped token splits."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from harness.errors import DataError

if TYPE_CHECKING:
    import torch

    from tasks.datasets.text_splits import Split


@dataclass(frozen=True)
class Corpus:
    """Token ids in three splits, each a flat array that stays on disk until it is read."""

    train: npt.NDArray[np.unsignedinteger[Any]]
    val: npt.NDArray[np.unsignedinteger[Any]]
    test: npt.NDArray[np.unsignedinteger[Any]]
    vocab_size: int
    bytes_per_token: float | None
    """Mean bytes of text in a token; None where only token ids were given."""

    def batch(self, split: Split, batch_size: int, length: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """`batch_size` random windows: inputs and next-token targets, both int64 (batch_size, length)."""
        import torch

        tokens = self._split(split, length)
        starts = torch.randint(0, len(tokens) - length, (batch_size,), generator=generator)
        return _windows(tokens, starts.numpy(), length)

    def windows(self, split: Split, count: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The same `count` windows on every call, evenly spread over the split: inputs and targets, int64 (count, length)."""
        tokens = self._split(split, length)
        starts = np.linspace(0, len(tokens) - length - 1, count).astype(np.int64)
        return _windows(tokens, starts, length)

    def _split(self, split: Split, length: int) -> npt.NDArray[np.unsignedinteger[Any]]:
        tokens: npt.NDArray[np.unsignedinteger[Any]] = getattr(self, split)
        if len(tokens) <= length:
            raise DataError(f"the {split} split has {len(tokens)} tokens: too few for windows of {length}")
        return tokens


def _windows(tokens: npt.NDArray[np.unsignedinteger[Any]], starts: npt.NDArray[np.int64], length: int) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    rows = torch.from_numpy(tokens[starts[:, None] + np.arange(length + 1)].astype(np.int64))
    return rows[:, :-1].contiguous(), rows[:, 1:].contiguous()


def read_meta(folder: Path) -> dict[str, Any]:
    """What `text_splits.write_meta` wrote."""
    meta: dict[str, Any] = json.loads((folder / "meta.json").read_text())
    return meta


def open_corpus(folder: Path) -> Corpus:
    """Open a prepared folder."""
    meta = read_meta(folder)
    kind = np.dtype(meta["dtype"]).newbyteorder("<")
    train, val, test = (np.memmap(folder / f"{split}.bin", dtype=kind, mode="r") for split in ("train", "val", "test"))
    return Corpus(train, val, test, meta["vocab_size"], meta["bytes_per_token"])
