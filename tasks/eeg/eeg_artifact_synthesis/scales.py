"""The sizes at which the task runs, and what a trial costs there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.task import Grid, Resources, Scale
from tasks.eeg.eeg_artifact_synthesis.designs import DDPM, GAN, LEARNED, RELEASED, SIMPLE
from tasks.eeg.eeg_artifact_synthesis.params import COMMON, PUBLISHED

_SWEPT = (GAN, "ddpm-v")
"""Methods whose training compute is swept."""


def _grids(
    base: Mapping[str, Any], data: str, *, budgets: Sequence[float], steps: Sequence[int], resampled: Sequence[str] = ("ddpm-v", "ddpm-eps")
) -> list[Grid]:
    """All methods in both protocols, then the sweeps on a common scale; `budgets` are shares of the whole one."""
    methods = (*SIMPLE, *LEARNED, RELEASED)
    whole = float(base["budget"])
    swept = [dict(base) | {"part": "budget", "budget": share * whole} for share in budgets]
    return [
        Grid(points=[base], axes={"protocol": (COMMON, PUBLISHED)}, methods=methods, data=data),
        Grid(points=swept, methods=_SWEPT, data=data),
        Grid(points=[dict(base) | {"part": "steps"}], axes={"sampling_steps": steps}, methods=resampled, data=data),
    ]


def _networks(width: int, blocks: int, latent: int) -> dict[str, Any]:
    """All networks of one width."""
    return {"ddpm_width": width, "ddpm_blocks": blocks, "gan_width": width, "vae_width": width, "latent": latent}


SMOKE = Scale(
    description="Does it run: four channels at 160 Hz, networks of 8 channels, some tens of steps",
    grids=_grids(
        _networks(8, 1, 16)
        | {"ddpm_batch": 8, "ddpm_lr": 3e-3, "ema": 0.98, "gan_batch": 16, "gan_lr": 1e-3, "vae_lr": 3e-3, "budget": 8e9}
        | {"rate": 160.0, "channels": "Fp1,C3,O1,T3", "windows": 16, "kept_steps": 10, "guidance": 1.0, "permutations": 50},
        "eeg-artifacts",
        budgets=(0.25, 1.0),
        steps=(5, 10),
        resampled=("ddpm-v",),
    ),
    seeds=2,
    time_limit_s=120,
)

LAPTOP = Scale(
    description="Eight channels at 160 Hz, networks of 16 to 64 channels, 9e11 FLOPs of training each",
    grids=_grids(
        _networks(16, 1, 32)
        | {"ddpm_batch": 8, "ddpm_lr": 2e-3, "ema": 0.99, "gan_batch": 16, "gan_lr": 1e-3, "vae_lr": 1e-3, "budget": 9e11}
        | {"rate": 160.0},
        "eeg-artifacts",
        budgets=(1 / 16, 1 / 4, 1.0),
        steps=(5, 10, 20, 50),
        resampled=("ddpm-v",),
    ),
    seeds=5,
    time_limit_s=400,
)

GPU = Scale(
    description="Eight channels at 250 Hz, published widths, 1.2e14 FLOPs of training each, eight trials to a card",
    grids=_grids(
        _networks(64, 2, 128) | {"ddpm_lr": 1e-3, "ema": 0.99, "gan_lr": 5e-4, "budget": 1.2e14},
        "eeg-artifacts",
        budgets=(1 / 16, 1 / 4, 1.0),
        steps=(5, 10, 25, 50, 100),
    ),
    seeds=3,
    time_limit_s=600,
    resources=Resources(cpus=2, gpus=0.125),
)

PAPER = Scale(
    description="TUAR (bring it with --data), published widths, batches and rates, 1e17 FLOPs of training each: some hours of a card",
    grids=_grids(
        _networks(64, 2, 128)
        | {"ddpm_batch": 32, "ddpm_lr": 1e-4, "ema": 0.999, "gan_batch": 64, "gan_lr": 2e-4, "budget": 1e17}
        | {"rate": 250.0, "windows": 100, "permutations": 1000},
        "tuar",
        budgets=(1 / 64, 1 / 16, 1 / 4, 1.0),
        steps=(10, 20, 50, 80, 250, 1000),
    ),
    seeds=5,
    time_limit_s=48 * 3600,
    resources=Resources(cpus=4, gpus=1),
)

SCALES = {"smoke": SMOKE, "laptop": LAPTOP, "gpu": GPU, "paper": PAPER}

_SPEED = {"smoke": 1.2e10, "laptop": 2.5e10, "gpu": 1.4e12, "paper": 1e13}
"""FLOPs a second of a training step, of one of the trials that share the machine."""
_SAMPLING_STEP = {"smoke": 0.01, "laptop": 0.3, "gpu": 0.05, "paper": 0.2}
"""Seconds of a sampling step of all windows, with guidance where the scale has it."""


def seconds(scale: str, method: str, params: Mapping[str, Any]) -> float:
    """Expected seconds of one trial: measured where two share the two cores of an EPYC server, and six an H100; `paper` is an estimate."""
    if params["stage"] == "train":
        sampling = params["kept_steps"] * _SAMPLING_STEP[scale] if method in DDPM else 0.0
        return 1.0 + float(params["budget"]) / _SPEED[scale] + sampling
    again = params["sampling_steps"] or (params["kept_steps"] if method == RELEASED else 0)
    judged = 0.2 if params["protocol"] == PUBLISHED else 2.5 if params["part"] == "main" else 0.5
    return float(judged + again * _SAMPLING_STEP[scale])
