"""Photographs in folders named after their classes: indexed once (`image_folder_index`), decoded when they are drawn."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from tasks.datasets.decoding import Decoding, one_ahead
from tasks.datasets.images import Pixels, spread
from tasks.datasets.photo_views import Resampling, centre_view, random_view
from tasks.datasets.placing import sent, standardized
from tasks.datasets.text_splits import SPLITS, Split

if TYPE_CHECKING:
    import torch

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's channels, as every published recipe has them."""


@dataclass(frozen=True)
class FolderImages:
    """The same reading side as `Images`, for photographs of any size; `all` is left out, since a split does not fit in memory.

    Training images are random parts, the others centres (`photo_views`), as torchvision's reference recipe has them; DeiT's is bicubic.
    """

    root: Path
    files: dict[Split, list[tuple[str, int]]]
    num_classes: int
    size: int = 224
    resampling: Resampling = "bilinear"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        return 3, self.size, self.size

    def count(self, split: Split) -> int:
        """How many images a split has."""
        return len(self.files[split])

    def batch(
        self, split: Split, size: int, generator: torch.Generator, device: torch.device | str = "cpu"
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`size` augmented images drawn with replacement: float32 (size, 3, height, width) and int64 labels (size,), on the device."""
        import torch

        index = torch.randint(0, self.count(split), (size,), generator=generator).numpy()
        draws = torch.rand(size, 5, generator=generator).numpy()
        return self.placed(self.begin(split, index, draws, device=device).finish(), device)

    def batches(
        self, split: Split, size: int, limit: int, device: torch.device | str = "cpu"
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """The same `limit` images on every call, not augmented, evenly spread over the split, at most `size` at a time, on the device."""
        index = spread(self.count(split), limit)
        pieces = (index[start : start + size] for start in range(0, len(index), size))
        for decoded in one_ahead(self.begin(split, piece, device=device) for piece in pieces):
            yield self.placed(decoded, device)

    def begin(
        self,
        split: Split,
        index: npt.NDArray[np.int64],
        draws: npt.NDArray[np.floating] | None = None,
        *,
        device: torch.device | str = "cpu",
    ) -> Decoding:
        """Begin to decode the images at these places, in this order: augmented by the five uniform numbers that each has in `draws`.

        What comes of it has its pixels in pinned memory where the device is CUDA. DataError names a file that cannot be read.
        """
        import torch

        files = [self.files[split][place] for place in index.tolist()]
        numbers: Sequence[Sequence[float] | None] = [None] * len(files) if draws is None else draws.tolist()

        def image(row: int) -> Pixels:
            return self._image(self.root / files[row][0], numbers[row])

        labels = torch.tensor([label for _, label in files])
        return Decoding(image, labels, self.size, pinned=torch.device(device).type == "cuda")

    def placed(self, batch: tuple[torch.Tensor, torch.Tensor], device: torch.device | str) -> tuple[torch.Tensor, torch.Tensor]:
        """Pixels as they are decoded and labels (or what else is taught) as numbers on the device."""
        pixels, labels = batch
        return standardized(pixels, MEAN, STD, device), sent(labels, device)

    def _image(self, file: Path, draw: Sequence[float] | None) -> Pixels:
        try:
            view = centre_view(file, self.size, self.resampling) if draw is None else random_view(file, self.size, draw, self.resampling)
        except ValueError as error:
            raise DataError(f"{file}: not an image that can be read ({error})") from None
        return np.asarray(view)


def open_folder(folder: Path) -> FolderImages:
    """Open an index; the photographs are read where they were indexed."""
    index = json.loads((folder / "index.json").read_text())
    root = Path(index["root"])
    if not root.is_dir():
        raise DataError(f"{root}: the indexed photographs are not there on this machine")
    files: dict[Split, list[tuple[str, int]]] = {split: [(name, label) for name, label, _ in index["files"][split]] for split in SPLITS}
    return FolderImages(root, files, len(index["classes"]))
