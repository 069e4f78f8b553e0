"""Launch candidates of QuEST's kernels: ROWS rows a program; backward, a program takes BLOCKS blocks of 128 columns."""

from __future__ import annotations

from kernels.configs import Config, Tunable

# The lowest tile of tensor cores: four times as many programs where there are few rows, such as those of a weight.
FEW_ROWS_FORWARD = Config(tiles={"ROWS": 16}, num_warps=4, num_stages=3)
FEW_ROWS_BACKWARD = Config(tiles={"ROWS": 16, "BLOCKS": 4}, num_warps=4, num_stages=3)
QUEST_FORWARD = Tunable(
    "quest_fake_quant_forward",
    (
        Config(tiles={"ROWS": 64}, num_warps=4, num_stages=3),
        Config(tiles={"ROWS": 64}, num_warps=4, num_stages=2),
        Config(tiles={"ROWS": 64}, num_warps=8, num_stages=3),
        Config(tiles={"ROWS": 32}, num_warps=4, num_stages=3),
        FEW_ROWS_FORWARD,
        Config(tiles={"ROWS": 128}, num_warps=8, num_stages=3),
    ),
)
QUEST_BACKWARD = Tunable(
    "quest_fake_quant_backward",
    (
        Config(tiles={"ROWS": 64, "BLOCKS": 4}, num_warps=4, num_stages=3),
        Config(tiles={"ROWS": 64, "BLOCKS": 8}, num_warps=4, num_stages=3),
        Config(tiles={"ROWS": 64, "BLOCKS": 4}, num_warps=8, num_stages=3),
        Config(tiles={"ROWS": 32, "BLOCKS": 4}, num_warps=4, num_stages=3),
        FEW_ROWS_BACKWARD,
        Config(tiles={"ROWS": 128, "BLOCKS": 4}, num_warps=8, num_stages=3),
    ),
)
QUEST_FORWARD_FLOAT32 = Tunable("quest_fake_quant_forward_float32", (Config(tiles={"ROWS": 64}, num_warps=8, num_stages=1),))
QUEST_BACKWARD_FLOAT32 = Tunable("quest_fake_quant_backward_float32", (Config(tiles={"ROWS": 64, "BLOCKS": 4}, num_warps=8, num_stages=1),))
