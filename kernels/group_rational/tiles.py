"""Launch candidates of the group-rational kernels; ROWS x COLUMNS is a tile, `PROGRAMS` splits the rows of the backward pass."""

from __future__ import annotations

from kernels.configs import Config, Tunable

FORWARD = Tunable(
    "group_rational_forward",
    (
        Config(tiles={"ROWS": 16, "COLUMNS": 128}, num_warps=4),
        Config(tiles={"ROWS": 8, "COLUMNS": 128}, num_warps=4),
        Config(tiles={"ROWS": 32, "COLUMNS": 128}, num_warps=8),
        Config(tiles={"ROWS": 32, "COLUMNS": 64}, num_warps=4),
    ),
)
BACKWARD = Tunable(
    "group_rational_backward",
    (
        Config(tiles={"ROWS": 8, "COLUMNS": 128, "PROGRAMS": 64}, num_warps=4),
        Config(tiles={"ROWS": 4, "COLUMNS": 128, "PROGRAMS": 64}, num_warps=4),
        Config(tiles={"ROWS": 8, "COLUMNS": 128, "PROGRAMS": 128}, num_warps=4),
        Config(tiles={"ROWS": 16, "COLUMNS": 128, "PROGRAMS": 64}, num_warps=8),
        Config(tiles={"ROWS": 16, "COLUMNS": 64, "PROGRAMS": 64}, num_warps=4),
    ),
)
PER_TILE_ATOMIC = Tunable("group_rational_per_tile_atomic", (Config(tiles={"ROWS": 16, "COLUMNS": 128}, num_warps=4),))
PER_ELEMENT_ATOMIC = Tunable("group_rational_per_element_atomic", (Config(tiles={"BLOCK": 256}, num_warps=4),))
