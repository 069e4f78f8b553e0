"""Patches drawn from photographs: splits that share no pixel, and no colour by which a photograph could be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from tasks.datasets.images import Labels, Pixels
from tasks.datasets.text_splits import SPLITS, Split

SIDE, BLOCK = 32, 64
"""Of a patch and of a block, in pixels."""
PER_CLASS: Mapping[Split, int] = {"train": 500, "val": 100, "test": 200}
"""They overlap within a split (five blocks of the flower give its 200 test patches), so they count for fewer than independent images."""
_SEED = 20240
_HELD = 0.2
"""Share of a photograph's blocks that is val, and the share that is test."""
_LEAST_STD = 8
"""Grey levels. Normalising a flatter channel would show the noise of its compression instead of the scene."""
_MEAN, _STD = 128.0, 20.0
"""Grey levels of every channel of every patch. 0 and 255 are 6.4 standard deviations away, so little is lost."""
_REACH, _ROUNDS = 6, 4
"""Values are cut off at so many standard deviations, so many times: cut once, a few bright stars leave a patch a smaller deviation
than others have, which tells the photograph."""
_FINE = 256
"""Steps to a grey level while values are cut off: integers, so that no order of summation makes machines differ."""

Places = npt.NDArray[np.int64]
"""(count, 2): row and column of a patch's top left pixel."""


@dataclass(frozen=True)
class _Block:
    row: int
    column: int
    starts: Places
    """Where inside it a patch may start."""


def draw_patches(photos: Mapping[str, Pixels], per_class: Mapping[Split, int] = PER_CLASS) -> dict[Split, tuple[Pixels, Labels]]:
    """Balanced splits in random order: pixels uint8 (count, 32, 32, 3) and labels, the place of the photograph in `photos`.

    Photographs are uint8 (height, width, 3); DataError names one that is too small or too flat. Each has a random stream of its own.
    """
    pieces: dict[Split, list[Pixels]] = {split: [] for split in SPLITS}
    for label, (name, photo) in enumerate(photos.items()):
        generator = np.random.default_rng([_SEED, label])
        try:
            places = patch_places(photo, per_class, generator)
        except ValueError as error:
            raise DataError(f"{name}: {error}") from None
        for split in SPLITS:
            pieces[split].append(disguise(cut(photo, places[split]), generator))
    shuffle = np.random.default_rng(_SEED)
    drawn = {}
    for split in SPLITS:
        order = shuffle.permutation(per_class[split] * len(photos))
        labels = np.repeat(np.arange(len(photos), dtype=np.int64), per_class[split])
        drawn[split] = np.concatenate(pieces[split])[order], labels[order]
    return drawn


def patch_places(photo: Pixels, per_class: Mapping[Split, int], generator: np.random.Generator) -> dict[Split, Places]:
    """Where the patches of each split start. Whole blocks belong to one split; a block is drawn first, then a place inside it.

    Blocks without a patch that varies in every channel are not dealt out. ValueError when fewer than three are left.
    """
    blocks = _blocks(photo)
    if len(blocks) < 3:
        height, width = photo.shape[:2]
        raise ValueError(
            f"too small or too flat: of its {width} x {height} pixels, {len(blocks)} blocks of {BLOCK} x {BLOCK} can be used, "
            f"and train, val and test need one each"
        )
    held = max(1, round(_HELD * len(blocks)))
    order = generator.permutation(len(blocks)).tolist()
    dealt: dict[Split, list[int]] = {"val": order[:held], "test": order[held : 2 * held], "train": order[2 * held :]}
    return {split: _starts([blocks[index] for index in dealt[split]], per_class[split], generator) for split in SPLITS}


def _starts(blocks: list[_Block], count: int, generator: np.random.Generator) -> Places:
    places = np.empty((count, 2), dtype=np.int64)
    for place in places:
        block = blocks[generator.integers(len(blocks))]
        place[:] = block.starts[generator.integers(len(block.starts))] + (block.row, block.column)
    return places


def _blocks(photo: Pixels) -> list[_Block]:
    height, width = photo.shape[:2]
    found = []
    for row in range(0, height - BLOCK + 1, BLOCK):
        for column in range(0, width - BLOCK + 1, BLOCK):
            starts = np.argwhere(_varied(photo[row : row + BLOCK, column : column + BLOCK]))
            if len(starts):
                found.append(_Block(row, column, starts.astype(np.int64)))
    return found


def _varied(block: Pixels) -> npt.NDArray[np.bool_]:
    """Where a patch may start: every channel of it has at least the least standard deviation. Integers throughout, so exact."""
    values = block.astype(np.int64)
    size = SIDE * SIDE
    spread = size * _window_sums(values**2) - _window_sums(values) ** 2
    varied: npt.NDArray[np.bool_] = spread.min(axis=-1) >= (_LEAST_STD * size) ** 2
    return varied


def _window_sums(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Sums over all SIDE x SIDE windows of (height, width, channels)."""
    total = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0), (0, 0)))
    sums: npt.NDArray[np.int64] = total[SIDE:, SIDE:] - total[:-SIDE, SIDE:] - total[SIDE:, :-SIDE] + total[:-SIDE, :-SIDE]
    return sums


def cut(photo: Pixels, places: Places) -> Pixels:
    """The patches (count, 32, 32, 3) as they are in the photograph."""
    return np.stack([photo[row : row + SIDE, column : column + SIDE] for row, column in places.tolist()])


def disguise(patches: Pixels, generator: np.random.Generator) -> Pixels:
    """Without this, the mean colours of a patch would tell most photographs apart.

    Of every patch the channels are put in random order and given the same mean and standard deviation; half of the patches are mirrored.
    How far the three channels agree is left: that is part of the scene.
    """
    count = len(patches)
    channels = generator.permuted(np.tile(np.arange(3), (count, 1)), axis=1)
    mirrored = generator.random(count) < 0.5
    shown = np.take_along_axis(patches, channels[:, None, None, :], axis=3)
    shown = np.where(mirrored[:, None, None, None], shown[:, :, ::-1], shown)
    flat = _normalised(shown.transpose(0, 3, 1, 2).reshape(count, 3, SIDE * SIDE).astype(np.int64) * _FINE)
    return np.ascontiguousarray(flat.reshape(count, 3, SIDE, SIDE).transpose(0, 2, 3, 1))


def _normalised(values: npt.NDArray[np.int64]) -> Pixels:
    """Every row (the last axis) with the common mean and standard deviation, its extreme values cut off."""
    for _ in range(_ROUNDS):
        mean, std = _moments(values)
        values = np.clip(values, np.ceil(mean - _REACH * std).astype(np.int64), np.floor(mean + _REACH * std).astype(np.int64))
    mean, std = _moments(values)
    return np.rint(np.clip((values - mean) / std * _STD + _MEAN, 0, 255)).astype(np.uint8)


def _moments(values: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and standard deviation of each row, out of exact sums."""
    count = values.shape[-1]
    total, squares = values.sum(-1, keepdims=True), (values * values).sum(-1, keepdims=True)
    return total / count, np.sqrt(count * squares - total * total) / count
