"""What of a photograph a network sees: a random part while it trains, the centre when it is measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from tasks.datasets.photographs import read_photograph

if TYPE_CHECKING:
    from PIL.Image import Image

Resampling = Literal["bilinear", "bicubic"]
Box = tuple[float, float, float, float]
_SCALES = (8, 4, 2)
"""By how much libjpeg can divide width and height while it decodes."""
_DRAWN = 5
_WORDS = 8
"""64-bit words of an image's draws: two blocks of four, which is what Philox makes at once."""


def random_view(file: Path, size: int, draw: Sequence[float], resampling: Resampling) -> Image:
    """A random part of 8 to 100 % of the area and aspect 3/4 to 4/3 (Szegedy et al. 2015), scaled to `size` and mirrored half of the time.

    A JPEG whose part has at least twice `size` pixels each way is decoded at a half, a quarter or an eighth of its size (`draft`): faster,
    and not quite the pixels of the whole. ValueError with the reason where the file is no photograph.
    """
    from PIL import Image as Pillow

    photo = read_photograph(file, lambda stored: draft_scale(part(stored, draw), size))
    left, top, right, bottom = (edge / photo.scale for edge in part(photo.stored, draw))
    box = (left, top, min(right, photo.image.size[0]), min(bottom, photo.image.size[1]))
    view = photo.image.resize((size, size), _filter(resampling), box=box)
    return view.transpose(Pillow.Transpose.FLIP_LEFT_RIGHT) if draw[4] < 0.5 else view


def part(stored: tuple[int, int], draw: Sequence[float]) -> Box:
    """Left, top, right, bottom, chosen by four uniform numbers: area, aspect, left, top. What does not fit is shrunk until it does."""
    width, height = stored
    area = width * height * (0.08 + 0.92 * draw[0])
    aspect = math.exp(math.log(3 / 4) + (math.log(4 / 3) - math.log(3 / 4)) * draw[1])
    w, h = (max(1, min(full, round(side))) for full, side in ((width, math.sqrt(area * aspect)), (height, math.sqrt(area / aspect))))
    left, top = draw[2] * (width - w), draw[3] * (height - h)
    return left, top, left + w, top + h


def draft_scale(box: Box, size: int) -> int:
    """The largest divisor that leaves the part at least `size` pixels each way, so that nothing is enlarged that need not be."""
    least = min(box[2] - box[0], box[3] - box[1])
    return next((scale for scale in _SCALES if least >= scale * size), 1)


def centre_view(file: Path, size: int, resampling: Resampling) -> Image:
    """The published evaluation: all of the file decoded, the shorter side scaled to `size` / 0.875 (256 for 224), the centre cut out.

    Lengths and offsets are rounded as torchvision's `Resize` and `CenterCrop` do. ValueError as above.
    """
    image = read_photograph(file).image
    short, (width, height) = round(size / 0.875), image.size
    scaled = (short, int(short * height / width)) if width <= height else (int(short * width / height), short)
    left, top = (round((side - size) / 2) for side in scaled)
    return image.resize(scaled, _filter(resampling)).crop((left, top, left + size, top + size))


def draws(seed: int, first: int, count: int) -> npt.NDArray[np.float64]:
    """Five uniform numbers for each of `count` images from the `first` on, float64 (count, 5): what the n-th image gets follows from the
    seed and n alone, whichever batch it is in and whoever decodes it (Philox, Salmon et al. 2011, whose counter is n)."""
    stream = np.random.Philox(key=seed)
    stream.advance(first * _WORDS // 4)
    words = stream.random_raw(count * _WORDS).reshape(count, _WORDS)[:, :_DRAWN]
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _filter(resampling: Resampling) -> int:
    from PIL import Image as Pillow

    return {"bilinear": Pillow.Resampling.BILINEAR, "bicubic": Pillow.Resampling.BICUBIC}[resampling]
