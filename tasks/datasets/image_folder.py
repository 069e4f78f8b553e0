"""Photographs in folders named after their classes: indexed once (`image_folder_index`), decoded when they are drawn."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from tasks.datasets.images import Pixels, normalized, spread
from tasks.datasets.photographs import read_photograph
from tasks.datasets.text_splits import SPLITS, Split

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's channels, as every published recipe has them."""


@dataclass(frozen=True)
class FolderImages:
    """The same reading side as `Images`, for photographs of any size; `all` is left out, since a split does not fit in memory.

    Training images are a random part (8 to 100 % of the area, aspect 3/4 to 4/3) scaled to `size` and mirrored half of the time; the
    others the centre of the image scaled so that its shorter side is `size` / 0.875 (Szegedy et al. 2015, as DeiT has it).
    """

    root: Path
    files: dict[Split, list[tuple[str, int]]]
    num_classes: int
    size: int = 224
    threads: int = field(default_factory=lambda: os.cpu_count() or 1)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        return 3, self.size, self.size

    def count(self, split: Split) -> int:
        """How many images a split has."""
        return len(self.files[split])

    def batch(self, split: Split, size: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """`size` augmented images drawn with replacement: float32 (size, 3, height, width) and int64 labels (size,)."""
        import torch

        return self.take(split, torch.randint(0, self.count(split), (size,), generator=generator).numpy(), generator)

    def take(self, split: Split, index: npt.NDArray[np.int64], generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """The images at these places, in this order, augmented."""
        import torch

        draws = torch.rand(len(index), 5, generator=generator).tolist()
        return self._decode([(split, int(i), draw) for i, draw in zip(index, draws, strict=True)])

    def batches(self, split: Split, size: int, limit: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """The same `limit` images on every call, not augmented, evenly spread over the split, at most `size` at a time."""
        index = spread(self.count(split), limit).tolist()
        for start in range(0, len(index), size):
            yield self._decode([(split, one, None) for one in index[start : start + size]])

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        """Pillow lets go of the interpreter while it decodes."""
        return ThreadPoolExecutor(self.threads)

    def _decode(self, wanted: Sequence[tuple[Split, int, Sequence[float] | None]]) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        pixels = np.stack(list(self._pool.map(lambda one: self._image(*one), wanted)))
        labels = torch.tensor([self.files[split][index][1] for split, index, _ in wanted])
        return normalized(torch.from_numpy(pixels).permute(0, 3, 1, 2), MEAN, STD), labels

    def _image(self, split: Split, index: int, draw: Sequence[float] | None) -> Pixels:
        file = self.root / self.files[split][index][0]
        try:
            image = read_photograph(file).image
        except ValueError as error:
            raise DataError(f"{file}: not an image that can be read ({error})") from None
        return np.asarray(_centre(image, self.size) if draw is None else _random_part(image, self.size, draw))


def _random_part(image: Image, size: int, draw: Sequence[float]) -> Image:
    """A part chosen by five uniform numbers: area, aspect, left, top, mirror. A part that would not fit is shrunk until it does."""
    from PIL import Image as Pillow

    width, height = image.size
    area = width * height * (0.08 + 0.92 * draw[0])
    aspect = math.exp(math.log(3 / 4) + (math.log(4 / 3) - math.log(3 / 4)) * draw[1])
    w, h = (max(1, min(full, round(side))) for full, side in ((width, math.sqrt(area * aspect)), (height, math.sqrt(area / aspect))))
    left, top = draw[2] * (width - w), draw[3] * (height - h)
    part = image.resize((size, size), Pillow.Resampling.BICUBIC, box=(left, top, left + w, top + h))
    return part.transpose(Pillow.Transpose.FLIP_LEFT_RIGHT) if draw[4] < 0.5 else part


def _centre(image: Image, size: int) -> Image:
    from PIL import Image as Pillow

    side = min(image.size) * 0.875
    left, top = (image.size[0] - side) / 2, (image.size[1] - side) / 2
    return image.resize((size, size), Pillow.Resampling.BICUBIC, box=(left, top, left + side, top + side))


def open_folder(folder: Path) -> FolderImages:
    """Open an index; the photographs are read where they were indexed."""
    index = json.loads((folder / "index.json").read_text())
    root = Path(index["root"])
    if not root.is_dir():
        raise DataError(f"{root}: the indexed photographs are not there on this machine")
    files: dict[Split, list[tuple[str, int]]] = {split: [(name, label) for name, label, _ in index["files"][split]] for split in SPLITS}
    return FolderImages(root, files, len(index["classes"]))
