"""The methods by what they do, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Objective = Literal["v", "noise"]


@dataclass(frozen=True)
class Denoising:
    """A diffusion model: what its network predicts, the noise schedule it is trained with, and whether its decoder sees the encoder."""

    objective: Objective
    schedule: Literal["cosine", "linear"]
    skips: bool


DDPM = {
    "ddpm-v": Denoising("v", "cosine", True),
    "ddpm-v-no-skips": Denoising("v", "cosine", False),
    "ddpm-eps": Denoising("noise", "cosine", True),
    "ddpm-eps-no-skips": Denoising("noise", "linear", False),
}
"""Those that are trained. The configuration file asks for v and cosine; the main text and the code predict noise, with linear betas; the
released decoder has no skips."""

RELEASED = "ddpm-released"
"""Samples of `ddpm-eps-no-skips` drawn by the released sampler."""
TRAINED_AS = {RELEASED: "ddpm-eps-no-skips"}
"""Whose training a method that only samples in another way stands on."""

GAN, VAE = "wgan-gp", "vae"
LEARNED = (GAN, VAE, *DDPM)
FLOOR = "held-out"
SIMPLE = (FLOOR, "bootstrap", "phase-randomised", "ar")
"""Methods without a network: they make their windows where these are scored."""
DIFFUSION = (*DDPM, RELEASED)
