"""Parameters of the task, and what a trial stands on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.task import Requirement, param
from tasks.eeg.eeg_artifact_synthesis.designs import RELEASED, SIMPLE, TRAINED_AS

COMMON, PUBLISHED = "common-scale", "as-published"


@dataclass(frozen=True, kw_only=True)
class Generation:
    """The windows, and everything that the training of a model and the windows that it keeps depend on."""

    rate: float = param(0.0, "sampling rate of all windows, resampled with anti-aliasing (0: the data set's own)", unit="Hz", low=0.0)
    channels: str = param("", "channels by name, such as Fp1,C3,O1,T3 (empty: all)")
    windows: int = param(
        50, "synthetic windows of each class, fewer where val or test hold fewer; as many real ones", unit="windows", low=1, high=100_000
    )
    budget: float = param(
        1e12, "training compute of every learned method, forward and backward, a multiply-add counts two", unit="FLOPs", low=1.0, high=1e24
    )
    ddpm_width: int = param(64, "U-Net: channels of its first level, then two and four times as many", low=1, high=4096)
    ddpm_blocks: int = param(2, "U-Net: residual blocks of each level, on either side", low=1, high=16)
    ddpm_batch: int = param(32, "windows of a step of the diffusion models and the autoencoder", unit="windows", low=1, high=65536)
    ddpm_lr: float = param(1e-4, "learning rate of the diffusion models (AdamW)", low=1e-8, high=1.0)
    ema: float = param(0.999, "decay of the averaged weights that a diffusion model samples with", low=0.0, high=0.999999)
    dropped_labels: float = param(0.1, "share of training windows whose label is hidden, for classifier-free guidance", low=0.0, high=1.0)
    guidance: float = param(1.5, "w of e(null) + w (e(label) - e(null)); 1: no guidance, and half the cost", low=0.0, high=100.0)
    kept_steps: int = param(50, "DDIM steps of the windows that a training trial keeps", unit="steps", low=1, high=1000)
    gan_width: int = param(
        64, "critic: channels of its first layer, then two and four times as many; the generator mirrors it", low=1, high=4096
    )
    gan_batch: int = param(64, "windows of a step of the adversarial networks", unit="windows", low=1, high=65536)
    gan_lr: float = param(2e-4, "learning rate of generator and critic (Adam, betas 0 and 0.9)", low=1e-8, high=1.0)
    critic_steps: int = param(5, "steps of the critic for one of the generator", low=1, high=1000)
    penalty: float = param(10.0, "weight of the gradient penalty", low=0.0, high=1e6)
    vae_width: int = param(64, "variational autoencoder: as gan_width", low=1, high=4096)
    vae_lr: float = param(1e-3, "its learning rate (Adam)", low=1e-8, high=1.0)
    latent: int = param(128, "latent numbers of generator and autoencoder", low=1, high=65536)
    ar_order: int = param(8, "lags of the autoregressive model", unit="samples", low=1, high=1000)


@dataclass(frozen=True, kw_only=True)
class Params(Generation):
    """How windows are made, and how they are compared with real ones."""

    stage: str = param(
        "score", "train: fit the model and keep its windows; score: measure windows against the test split", choices=("train", "score")
    )
    part: str = param(
        "main",
        "main: all methods with the whole budget; budget: over training compute; steps: over sampling steps",
        choices=("main", "budget", "steps"),
    )
    protocol: str = param(
        COMMON,
        "common-scale: one unit, the true rate, as many windows on both sides, unbiased MMD^2; as-published: the paper's evaluation",
        choices=(COMMON, PUBLISHED),
    )
    sampling_steps: int = param(
        0, "diffusion: sample again from the kept model in so many steps (0: the windows that it kept)", unit="steps", low=0, high=1000
    )
    segment: int = param(128, "segment of Welch's spectra", unit="samples", low=4, high=1_000_000)
    permutations: int = param(200, "relabellings behind the p-value of MMD^2", low=0, high=1_000_000)


def generation_fields(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters in `params` that a training depends on."""
    return {field.name: params[field.name] for field in dataclasses.fields(Generation)}


def requires_training(method: str, params: Mapping[str, Any]) -> Requirement | None:
    """The training of the same method and parameters; what trains, or has nothing to train, stands alone."""
    if method in SIMPLE or (params["stage"] == "train" and method != RELEASED):
        return None
    return Requirement(method=TRAINED_AS.get(method, method), params=generation_fields(params) | {"stage": "train"})
