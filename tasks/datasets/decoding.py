"""A batch of photographs that is being decoded by as many threads as the trial has CPUs, while its owner does something else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from threading import Event
from typing import TYPE_CHECKING

from tasks.datasets.images import Pixels

if TYPE_CHECKING:
    import torch


class Decoding:
    """Begun as soon as it is made; `image` gives the pixels (size, size, 3) of one row.

    Every image has a row of its own in the batch, so that the order of the threads changes nothing.
    """

    def __init__(self, image: Callable[[int], Pixels], labels: torch.Tensor, size: int, *, pinned: bool) -> None:
        import torch

        self._pixels = torch.empty(len(labels), size, size, 3, dtype=torch.uint8, pin_memory=pinned)
        self._labels, self._stopped = labels, Event()
        places, threads = self._pixels.numpy(), torch.get_num_threads()

        def fill(first: int) -> None:
            for row in range(first, len(labels), threads):
                if self._stopped.is_set():
                    return
                places[row] = image(row)

        self._tasks: list[Future[None]] = [_pool(threads).submit(fill, first) for first in range(min(threads, len(labels)))]

    def finish(self) -> tuple[torch.Tensor, torch.Tensor]:
        """uint8 (count, size, size, 3) and labels (count,). Raises what an image raised; the others are then not decoded any more."""
        try:
            for task in self._tasks:
                task.result()
        finally:
            self.stop()
        return self._pixels, self._labels

    def stop(self) -> None:
        """Decode no more of it."""
        self._stopped.set()
        for task in self._tasks:
            task.cancel()


def one_ahead(decodings: Iterator[Decoding]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """What each of them gives, while the next is being decoded."""
    current = next(decodings, None)
    following: Decoding | None = None
    try:
        while current is not None:
            following = next(decodings, None)
            yield current.finish()
            current, following = following, None
    finally:
        for begun in (current, following):
            if begun is not None:
                begun.stop()


@lru_cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Pillow lets go of the interpreter while it decodes."""
    return ThreadPoolExecutor(threads, thread_name_prefix="decode")
