"""Launch candidates of the scan kernels: a program treats SPANS x STEPS time steps of CHANNELS channels at once."""

from __future__ import annotations

from kernels.configs import Config, Tunable

FORWARD = Tunable(
    "diag_ssm_scan_forward",
    (
        Config(tiles={"SPANS": 8, "STEPS": 16, "CHANNELS": 32}, num_warps=4),
        Config(tiles={"SPANS": 4, "STEPS": 16, "CHANNELS": 32}, num_warps=2),
        Config(tiles={"SPANS": 4, "STEPS": 32, "CHANNELS": 32}, num_warps=2),
        Config(tiles={"SPANS": 4, "STEPS": 16, "CHANNELS": 64}, num_warps=4),
        Config(tiles={"SPANS": 8, "STEPS": 8, "CHANNELS": 32}, num_warps=4),
    ),
)
BACKWARD = Tunable(
    "diag_ssm_scan_backward",
    (
        Config(tiles={"SPANS": 8, "STEPS": 16, "CHANNELS": 32}, num_warps=4),
        Config(tiles={"SPANS": 4, "STEPS": 16, "CHANNELS": 32}, num_warps=2),
        Config(tiles={"SPANS": 8, "STEPS": 8, "CHANNELS": 32}, num_warps=4),
        Config(tiles={"SPANS": 4, "STEPS": 16, "CHANNELS": 64}, num_warps=4),
    ),
)
