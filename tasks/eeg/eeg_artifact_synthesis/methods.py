"""The methods, and what each does, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.task import Method


@dataclass(frozen=True)
class Denoising:
    """A diffusion model: what its network predicts, the noise schedule it is trained with, and whether its decoder sees the encoder."""

    objective: Literal["v", "noise"]
    schedule: Literal["cosine", "linear"]
    skips: bool


FLOOR, OTHERS, NOISE, GAN = "held-out", "validation", "white-noise", "wgan-gp"
WORKING, MENDED, RELEASED = "ddpm-v", "ddpm-eps-no-skips", "ddpm-released"
DDPM = {
    WORKING: Denoising("v", "cosine", True),
    "ddpm-v-no-skips": Denoising("v", "cosine", False),
    "ddpm-eps": Denoising("noise", "cosine", True),
    MENDED: Denoising("noise", "linear", False),
}
"""Those that are trained. The configuration file asks for v and cosine; the main text and the code predict noise, with linear betas; the
released decoder has no skips."""
TRAINED_AS = {RELEASED: MENDED}
"""Whose training a method needs that only samples in another way."""
DIFFUSION = (*DDPM, RELEASED)
LEARNED = (GAN, *DDPM)
SIMPLE = (FLOOR, OTHERS, NOISE, "bootstrap", "phase-randomised", "ar")
"""Methods without a network: they make their windows where these are scored."""

METHODS = (
    Method(FLOOR, "floor", "the other half of the real test windows in the place of synthetic ones: nothing can be nearer"),
    Method(OTHERS, "floor", "real windows of the validation split in their place: other stretches of time, or other people"),
    Method(NOISE, "floor", "white noise of each channel's variance: no distance may prefer it to real windows"),
    Method("bootstrap", "control", "training windows, drawn with replacement: what pure memory gets"),
    Method("phase-randomised", "baseline", "training windows with random phases, the same for all channels"),
    Method("ar", "baseline", "one Gaussian autoregressive process a class over all channels, by least squares"),
    Method(GAN, "proposed", "conditional Wasserstein GAN, gradient penalty, projection critic: the paper's recommendation"),
    Method(
        WORKING, "rival", "1-D U-Net, v-prediction, cosine schedule, DDIM, guidance; decoder with skips: the configuration file, working"
    ),
    Method("ddpm-v-no-skips", "control", "the same, without the decoder's skips"),
    Method("ddpm-eps", "control", "ddpm-v with noise prediction instead of v"),
    Method(MENDED, "rival", "noise prediction, linear betas, no skips: what the released code trains, sampled by DDIM with guidance"),
    Method(RELEASED, "rival", "the same network through the released sampler: read as v, cosine, steps of one level"),
)
