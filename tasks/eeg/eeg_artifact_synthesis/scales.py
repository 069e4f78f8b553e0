"""The sizes at which the task runs, and what a trial costs there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.task import Experiment, Grid, Resources, Scale
from tasks.blocks.hardware import H100
from tasks.eeg.eeg_artifact_synthesis.methods import DDPM, GAN, RELEASED, WORKING

MAIN, COMPUTE, STEPS = "main", "compute-sweep", "steps-sweep"
"""Views: all methods with the whole training compute; shares of it; sampling steps."""

_WIDE = {"ddpm_width": 64, "ddpm_blocks": 2, "gan_width": 64, "latent": 128}


def _narrow(width: int, latent: int) -> dict[str, Any]:
    """All networks of one width, one block a level."""
    return {"ddpm_width": width, "ddpm_blocks": 1, "gan_width": width, "latent": latent}


def scales(train: Experiment, common: Experiment, published: Experiment) -> dict[str, Scale]:
    """The four scales."""

    def grids(
        base: Mapping[str, Any],
        *,
        shares: Sequence[float],
        steps: Sequence[int],
        permutations: int = 200,
        resampled: Sequence[str] = (WORKING,),
        data: str = "eeg-artifacts",
    ) -> list[Grid]:
        """All methods in both protocols, then the sweeps on a common scale; `shares` are those of the whole compute."""
        point = {**base, "permutations": permutations}
        swept = [{**point, "budget": share * float(base["budget"])} for share in shares]
        return [
            Grid(train, view=MAIN, points=[base], data=data),
            Grid(common, view=MAIN, points=[point], data=data),
            Grid(published, points=[base], data=data),
            Grid(common, view=COMPUTE, points=swept, methods=(GAN, WORKING), data=data),
            Grid(common, view=STEPS, points=[point], axes={"sampling_steps": steps}, methods=resampled, data=data),
        ]

    return {
        "smoke": Scale(
            description="Does it run: four channels at 160 Hz, networks of 8 channels, some tens of steps",
            grids=grids(
                _narrow(8, 16)
                | {"ddpm_batch": 8, "ddpm_lr": 3e-3, "ema": 0.98, "gan_batch": 16, "gan_lr": 1e-3, "budget": 8e9}
                | {"rate": 160.0, "channels": "Fp1,C3,O1,T3", "windows": 16, "kept_steps": 10, "guidance": 1.0},
                permutations=50,
                shares=(0.25, 1.0),
                steps=(5, 10),
            ),
            seeds=2,
            time_limit_s=120,
        ),
        "laptop": Scale(
            description="Eight channels at 160 Hz, networks of 16 to 64 channels, 9e11 FLOPs of training each",
            grids=grids(
                _narrow(16, 32)
                | {"ddpm_batch": 8, "ddpm_lr": 2e-3, "ema": 0.99, "gan_batch": 16, "gan_lr": 1e-3, "budget": 9e11}
                | {"rate": 160.0},
                shares=(1 / 16, 1 / 4, 1.0),
                steps=(5, 10, 20, 50),
            ),
            seeds=5,
            time_limit_s=400,
        ),
        "gpu": Scale(
            description="Eight channels at 250 Hz, published widths, 1.2e14 FLOPs of training each, eight trials to a card",
            grids=grids(
                _WIDE | {"ddpm_lr": 1e-3, "ema": 0.99, "gan_lr": 5e-4, "budget": 1.2e14},
                shares=(1 / 16, 1 / 4, 1.0),
                steps=(5, 10, 25, 50, 100),
                resampled=(WORKING, "ddpm-eps"),
            ),
            seeds=3,
            time_limit_s=600,
            resources=Resources(cpus=2, gpus=0.125),
            hardware=H100,
        ),
        "paper": Scale(
            description="TUAR (bring it with --data), published widths, batches and rates, 1e17 FLOPs of training each: hours of a card",
            grids=grids(
                _WIDE
                | {"ddpm_batch": 32, "ddpm_lr": 1e-4, "ema": 0.999, "gan_batch": 64, "gan_lr": 2e-4, "budget": 1e17}
                | {"rate": 250.0, "windows": 100},
                permutations=1000,
                shares=(1 / 64, 1 / 16, 1 / 4, 1.0),
                steps=(10, 20, 50, 80, 250, 1000),
                resampled=(WORKING, "ddpm-eps"),
                data="tuar",
            ),
            seeds=5,
            time_limit_s=48 * 3600,
            resources=Resources(cpus=4, gpus=1),
            hardware=H100,
        ),
    }


_SPEED = {"smoke": 1.2e10, "laptop": 2.5e10, "gpu": 1.4e12, "paper": 4e12}
"""FLOPs a second of a training step, of one of the trials that share the machine. `paper` takes the same steps as `gpu`, alone on a card:
half of what six of them reach together."""
_SAMPLING_STEP = {"smoke": 0.01, "laptop": 0.3, "gpu": 0.05, "paper": 0.2}
"""Seconds of a sampling step of all windows, with guidance where the scale has it."""


def seconds_training(scale: str, method: str, params: Mapping[str, Any]) -> float:
    """Expected seconds of one trial: measured where two share the two cores of an EPYC server, and six an H100; `paper` is an estimate."""
    sampling = params["kept_steps"] * _SAMPLING_STEP[scale] if method in DDPM else 0.0
    return 1.0 + float(params["budget"]) / _SPEED[scale] + float(sampling)


def seconds_scoring(scale: str, method: str, params: Mapping[str, Any], *, measuring: float) -> float:
    """The same of a trial that scores windows, `measuring` seconds beside the sampling."""
    steps = params["sampling_steps"] or (params["kept_steps"] if method == RELEASED else 0)
    return measuring + float(steps) * _SAMPLING_STEP[scale]
