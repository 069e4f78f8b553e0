"""The sizes at which the task runs, and what a trial costs there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.task import Grid, Resources, Scale
from tasks.eeg.eeg_artifact_synthesis.designs import DDPM, GAN, LEARNED, RELEASED, SIMPLE
from tasks.eeg.eeg_artifact_synthesis.params import COMMON, PUBLISHED

_SWEPT = (GAN, "vae", "ddpm-v")
"""Methods whose training compute is swept."""
_RESAMPLED = ("ddpm-v", "ddpm-eps", "ddpm-eps-cosine")


def _grids(
    base: Mapping[str, Any],
    data: str,
    *,
    budgets: Sequence[float],
    steps: Sequence[int],
    swept_methods: Sequence[str] = _SWEPT,
    resampled: Sequence[str] = _RESAMPLED,
) -> list[Grid]:
    """All methods in both protocols, then the sweeps on a common scale; `budgets` are shares of the whole one."""
    methods = (*SIMPLE, *LEARNED, RELEASED)
    whole = float(base["budget"])
    swept = [dict(base) | {"part": "budget", "budget": share * whole} for share in budgets]
    return [
        Grid(points=[base], axes={"protocol": (COMMON, PUBLISHED)}, methods=methods, data=data),
        Grid(points=swept, methods=swept_methods, data=data),
        Grid(points=[dict(base) | {"part": "steps"}], axes={"sampling_steps": steps}, methods=resampled, data=data),
    ]


_TINY = {"ddpm_width": 8, "ddpm_blocks": 1, "ddpm_batch": 16, "ddpm_lr": 3e-3, "ema": 0.98, "gan_width": 8, "gan_batch": 16, "gan_lr": 1e-3}
_TINY_VAE = {"vae_width": 8, "vae_lr": 3e-3, "latent": 16}
SMOKE = Scale(
    description="Does it run: four channels at 160 Hz, networks of 8 channels, some tens of steps",
    grids=_grids(
        {
            **_TINY,
            **_TINY_VAE,
            **{
                "rate": 160.0,
                "channels": "Fp1,C3,O1,T3",
                "budget": 1e10,
                "kept_steps": 10,
                "windows": 20,
                "permutations": 50,
                "guidance": 1.0,
            },
        },
        "eeg-artifacts",
        budgets=(0.25, 1.0),
        steps=(5, 10),
        swept_methods=(GAN, "ddpm-v"),
        resampled=("ddpm-v",),
    ),
    seeds=2,
    time_limit_s=120,
)

_SMALL = {
    "ddpm_width": 16,
    "ddpm_blocks": 1,
    "ddpm_batch": 16,
    "ddpm_lr": 2e-3,
    "ema": 0.99,
    "gan_width": 16,
    "gan_batch": 32,
    "gan_lr": 3e-4,
}
_SMALL_VAE = {"vae_width": 16, "vae_lr": 1e-3, "latent": 32}
LAPTOP = Scale(
    description="Eight channels at 160 Hz, networks of 16 to 64 channels, 1.2e12 FLOPs of training each",
    grids=_grids(
        {**_SMALL, **_SMALL_VAE, "rate": 160.0, "budget": 1.2e12, "windows": 50},
        "eeg-artifacts",
        budgets=(1 / 16, 1 / 4, 1.0),
        steps=(5, 10, 20, 50),
    ),
    seeds=5,
    time_limit_s=300,
)

_WIDTHS = {"ddpm_width": 64, "ddpm_blocks": 2, "gan_width": 64, "vae_width": 64, "latent": 128}
GPU = Scale(
    description="Eight channels at 250 Hz, published widths, 3e13 FLOPs of training each, eight trials to a card",
    grids=_grids(
        {**_WIDTHS, "ddpm_lr": 5e-4, "ema": 0.99, "budget": 3e13, "windows": 50},
        "eeg-artifacts",
        budgets=(1 / 16, 1 / 4, 1.0),
        steps=(5, 10, 20, 50, 100),
    ),
    seeds=3,
    time_limit_s=600,
    resources=Resources(cpus=2, gpus=0.125),
)

PAPER = Scale(
    description="TUAR (bring it with --data), published widths, batches and rates, 1e17 FLOPs of training each",
    grids=_grids(
        {**_WIDTHS, "ddpm_batch": 32, "ddpm_lr": 1e-4, "ema": 0.999, "gan_batch": 64, "gan_lr": 2e-4, "rate": 250.0, "budget": 1e17}
        | {"windows": 100, "permutations": 1000},
        "tuar",
        budgets=(1 / 64, 1 / 16, 1 / 4, 1.0),
        steps=(10, 20, 50, 80, 250, 1000),
    ),
    seeds=5,
    time_limit_s=48 * 3600,
    resources=Resources(cpus=4, gpus=1),
)

SCALES = {"smoke": SMOKE, "laptop": LAPTOP, "gpu": GPU, "paper": PAPER}

_SPEED = {"smoke": 2e10, "laptop": 3.5e10, "gpu": 1.5e12, "paper": 1e13}
"""FLOPs a second of a training step."""


def seconds(scale: str, method: str, params: Mapping[str, Any]) -> float:
    """Expected seconds of one trial: measured on a core of an EPYC server; on a GPU, estimates."""
    gpu = bool(SCALES[scale].resources.gpus)
    if params["stage"] == "train":
        return float(params["budget"]) / _SPEED[scale] * (1.2 if method in DDPM else 1.0) + 2.0
    again = params["sampling_steps"] or (params["kept_steps"] if method == RELEASED else 0)
    return (1.0 if params["protocol"] == PUBLISHED else 4.0) + again * (0.05 if gpu else 0.15 if scale == "laptop" else 0.01)
