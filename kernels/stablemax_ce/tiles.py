"""Launch candidates of StableMax cross-entropy: a program has ROWS x COLUMNS logits at a time, forward it walks along its rows."""

from __future__ import annotations

from kernels.configs import Config, Tunable

FORWARD = Tunable(
    "stablemax_ce_forward",
    (
        Config(tiles={"ROWS": 2, "COLUMNS": 1024}, num_warps=4),
        Config(tiles={"ROWS": 1, "COLUMNS": 2048}, num_warps=4),
        Config(tiles={"ROWS": 1, "COLUMNS": 4096}, num_warps=8),
        Config(tiles={"ROWS": 4, "COLUMNS": 512}, num_warps=4),
    ),
)
BACKWARD = Tunable(
    "stablemax_ce_backward",
    (
        Config(tiles={"ROWS": 2, "COLUMNS": 1024}, num_warps=4),
        Config(tiles={"ROWS": 1, "COLUMNS": 1024}, num_warps=4),
        Config(tiles={"ROWS": 4, "COLUMNS": 1024}, num_warps=8),
        Config(tiles={"ROWS": 4, "COLUMNS": 512}, num_warps=4),
    ),
)
_NARROWEST = 16


def fitted(config: Config, classes: int) -> Config:
    """The config for rows of so few classes: columns no wider than needed, and so many fewer warps that a thread treats as much as before.

    What is done once a row is done by every thread that has a part of it, so that a row of few classes should belong to one warp.
    """
    tiles = config.tiles
    columns = min(tiles["COLUMNS"], max(_NARROWEST, 1 << (classes - 1).bit_length()))
    warps = max(1, config.num_warps * columns // tiles["COLUMNS"])
    rows = tiles["ROWS"] * tiles["COLUMNS"] * warps // (config.num_warps * columns)
    return Config(tiles={"ROWS": rows, "COLUMNS": columns}, num_warps=warps, num_stages=config.num_stages)
