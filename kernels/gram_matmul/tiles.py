"""Launch candidates of the kernel-product kernels: ROWS x COLUMNS is a tile of K, DEPTH the step along D (and P), OUT a slice of dx."""

from __future__ import annotations

from kernels.configs import Config, Tunable

FORWARD = Tunable(
    "gram_matmul_forward",
    (
        Config(tiles={"ROWS": 128, "COLUMNS": 64, "DEPTH": 32}, num_warps=8, num_stages=1),
        Config(tiles={"ROWS": 128, "COLUMNS": 64, "DEPTH": 16}, num_warps=8, num_stages=2),
        Config(tiles={"ROWS": 128, "COLUMNS": 32, "DEPTH": 32}, num_warps=8, num_stages=2),
        Config(tiles={"ROWS": 64, "COLUMNS": 32, "DEPTH": 32}, num_warps=4, num_stages=2),
    ),
)
GRADIENT = Tunable(
    "gram_matmul_gradient",
    (
        Config(tiles={"ROWS": 128, "COLUMNS": 32, "DEPTH": 32, "OUT": 64}, num_warps=8, num_stages=1),
        Config(tiles={"ROWS": 128, "COLUMNS": 64, "DEPTH": 16, "OUT": 64}, num_warps=8, num_stages=1),
        Config(tiles={"ROWS": 64, "COLUMNS": 32, "DEPTH": 32, "OUT": 64}, num_warps=4, num_stages=1),
        Config(tiles={"ROWS": 128, "COLUMNS": 32, "DEPTH": 32, "OUT": 128}, num_warps=8, num_stages=1),
    ),
)
SUMS = Tunable(
    "gram_matmul_sums",
    (
        Config(tiles={"ROWS": 128, "COLUMNS": 64, "DEPTH": 64}, num_warps=8, num_stages=1),
        Config(tiles={"ROWS": 128, "COLUMNS": 32, "DEPTH": 64}, num_warps=8, num_stages=1),
        Config(tiles={"ROWS": 64, "COLUMNS": 32, "DEPTH": 64}, num_warps=4, num_stages=1),
    ),
)
WIDEST = 64
"""Columns of +-1 that a launch of the sums takes: 128 spill registers, and two launches over half of K are one over K."""
HELD = 64
"""Widest points that a program of the sums holds: it spills registers with wider ones."""
