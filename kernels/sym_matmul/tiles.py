"""Launch candidates of the symmetric product: TILE x TILE of the result a program, INNER columns of the factors at a time."""

from __future__ import annotations

from kernels.configs import Config, Tunable

SYM_MATMUL = Tunable(
    "sym_matmul",
    (
        Config(tiles={"TILE": 128, "INNER": 64}, num_warps=8, num_stages=3),
        Config(tiles={"TILE": 128, "INNER": 64}, num_warps=8, num_stages=4),
        Config(tiles={"TILE": 128, "INNER": 32}, num_warps=8, num_stages=4),
        Config(tiles={"TILE": 64, "INNER": 64}, num_warps=4, num_stages=4),
    ),
)
SYM_MATMUL_WIDE = Tunable(
    "sym_matmul_float32",
    (
        Config(tiles={"TILE": 64, "INNER": 32}, num_warps=4, num_stages=3),
        Config(tiles={"TILE": 128, "INNER": 32}, num_warps=8, num_stages=3),
    ),
)
