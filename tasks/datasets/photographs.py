"""A photograph of any kind as 8-bit RGB, or the reason why it cannot be: nothing is clipped, and no background is made up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.shown import sentence

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".jpeg", ".jpg", ".png", ".webp")
_PLAIN = ("1", "L", "P", "RGB", "CMYK", "YCbCr", "LA", "PA", "RGBA")
"""What Pillow converts to RGB without loss; CMYK as it does everywhere, without a profile."""
_ANIMATED = ("GIF", "PNG", "WEBP")
"""A second picture in a JPEG (MPO) is a preview or the other eye; here it is a later moment."""
_DARK = 4096
"""A 16-bit picture that stays below it holds 12 bits or fewer, unscaled: eight bits of it would be nearly black."""


@dataclass(frozen=True)
class Photograph:
    """A decoded photograph."""

    image: Image
    """Of mode RGB."""
    grey16: bool
    """Whether it was brought from 16 bits of grey to 8."""
    stored: tuple[int, int]
    """Width and height as stored."""
    scale: int = 1
    """By how much both were divided, rounded up, while it was decoded."""


Reduction = Callable[[tuple[int, int]], int]
"""From the stored width and height to the divisor of both, 1, 2, 4 or 8, at which a JPEG is decoded."""


def read_photograph(source: Path | bytes, reduction: Reduction | None = None) -> Photograph:
    """Decode all of it, or a JPEG at a smaller scale. ValueError with the reason where it is broken, or where its colours are not what 8
    bits of RGB would show."""
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    try:
        with Pillow.open(BytesIO(source) if isinstance(source, bytes) else source) as opened:
            return _converted(opened, reduction)
    except _UnusableError as error:
        raise ValueError(str(error)) from None
    except UnidentifiedImageError:
        raise ValueError("it is empty" if _is_empty(source) else "it is in no format of images that is known") from None
    except Exception as error:  # a broken image may raise nearly anything
        raise ValueError(sentence(error)) from None


class _UnusableError(Exception):
    """An image that is sound, but not what 8-bit RGB can hold."""


def _is_empty(source: Path | bytes) -> bool:
    return not (source if isinstance(source, bytes) else source.stat().st_size)


def _converted(opened: Image, reduction: Reduction | None) -> Photograph:
    frames = getattr(opened, "n_frames", 1)
    if frames > 1 and opened.format in _ANIMATED:
        raise _UnusableError(f"it is an animation of {frames} frames")
    if opened.format == "PNG" and (opened.mode == "I" or opened.mode.startswith("I;16")):
        return Photograph(_from_16_bits(opened), True, opened.size)
    if opened.mode not in _PLAIN:
        raise _UnusableError(f"it is {opened.format} of mode {opened.mode}, whose values are no 8-bit colours: save it as 8-bit RGB")
    if (opened.mode in ("LA", "PA", "RGBA") or "transparency" in opened.info) and _is_transparent(opened):
        raise _UnusableError("it has transparent pixels: save it on a background")
    stored, scale = opened.size, 1
    if reduction and opened.format == "JPEG":
        wanted = reduction(stored)
        drafted = opened.draft(None, (stored[0] // wanted, stored[1] // wanted))
        scale = round(stored[0] / drafted[1][2]) if drafted else 1
    if opened.format == "JPEG" and opened.mode == "RGB":
        opened.load()
        return Photograph(opened, False, stored, scale)  # most photographs: a copy would cost a tenth of the decoding
    return Photograph(opened.convert("RGB"), False, stored, scale)


def _from_16_bits(opened: Image) -> Image:
    """The upper eight bits, as Pillow itself has them of 16-bit colour: in a PNG, 65535 is white whatever the picture holds."""
    from PIL import Image as Pillow

    values = np.asarray(opened).astype(np.int64)
    most = int(values.max())
    if 0 < most < _DARK:
        raise _UnusableError(f"its 16-bit values reach {most} of 65535, which 8 bits would show nearly black: scale it first")
    if "transparency" in opened.info and (values == opened.info["transparency"]).any():
        raise _UnusableError("it has transparent pixels: save it on a background")
    return Pillow.fromarray((values >> 8).astype(np.uint8)).convert("RGB")


def _is_transparent(opened: Image) -> bool:
    return bool((np.asarray(opened.convert("RGBA").getchannel("A")) < 255).any())
