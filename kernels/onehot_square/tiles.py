"""Launch candidates of the gather-square-product: tiles of EXAMPLES, hidden units (WIDTH), table rows (ROWS) and outputs (CLASSES)."""

from __future__ import annotations

from kernels.configs import Config, Tunable

FORWARD = Tunable(
    "onehot_square_forward",
    (
        Config(tiles={"EXAMPLES": 128, "WIDTH": 16, "CLASSES": 128}, num_warps=8, num_stages=2),
        Config(tiles={"EXAMPLES": 128, "WIDTH": 32, "CLASSES": 128}, num_warps=8, num_stages=2),
        Config(tiles={"EXAMPLES": 64, "WIDTH": 16, "CLASSES": 128}, num_warps=4, num_stages=2),
        Config(tiles={"EXAMPLES": 64, "WIDTH": 32, "CLASSES": 64}, num_warps=4, num_stages=2),
    ),
)
TABLES = Tunable(
    "onehot_square_tables",
    (
        Config(tiles={"EXAMPLES": 64, "WIDTH": 32, "ROWS": 128, "CLASSES": 16}, num_warps=8, num_stages=2),
        Config(tiles={"EXAMPLES": 64, "WIDTH": 16, "ROWS": 128, "CLASSES": 32}, num_warps=8, num_stages=2),
        Config(tiles={"EXAMPLES": 32, "WIDTH": 32, "ROWS": 128, "CLASSES": 32}, num_warps=8, num_stages=2),
        Config(tiles={"EXAMPLES": 64, "WIDTH": 32, "ROWS": 64, "CLASSES": 32}, num_warps=8, num_stages=2),
    ),
)
READOUT = Tunable(
    "onehot_square_readout",
    (
        Config(tiles={"EXAMPLES": 16, "WIDTH": 128, "CLASSES": 128}, num_warps=8, num_stages=2),
        Config(tiles={"EXAMPLES": 32, "WIDTH": 64, "CLASSES": 128}, num_warps=8, num_stages=2),
        Config(tiles={"EXAMPLES": 16, "WIDTH": 64, "CLASSES": 128}, num_warps=4, num_stages=2),
        Config(tiles={"EXAMPLES": 32, "WIDTH": 64, "CLASSES": 64}, num_warps=4, num_stages=2),
    ),
)
_SMALLEST = 16
"""The shortest side of a tile that is multiplied."""


def fitted(config: Config, sizes: dict[str, int]) -> dict[str, int]:
    """The config's tiles, none longer than the power of two that holds what is there."""
    return {name: min(tile, max(_SMALLEST, 1 << (sizes[name] - 1).bit_length())) for name, tile in config.tiles.items()}
