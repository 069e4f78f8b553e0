"""Large sets of windows, taken a chunk at a time."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

CHUNK_BYTES = {"cpu": 1 << 19, "cuda": 1 << 27}
"""Windows of one chunk: on the CPU what stays in the cache of a core through several passes, on a GPU what fills it."""


def chunks(windows: Tensor) -> Iterator[Tensor]:
    """`windows` (n, ...) in order, as views of at most `CHUNK_BYTES` of their device, at least one window each."""
    each = max(1, windows[:1].nelement() * windows.element_size())
    yield from torch.split(windows, max(1, CHUNK_BYTES.get(windows.device.type, CHUNK_BYTES["cuda"]) // each))
