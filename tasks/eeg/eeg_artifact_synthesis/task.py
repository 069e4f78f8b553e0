"""WHAT: GAN or diffusion model, which makes EEG artifacts, and what does the evaluation alone decide? ArtifactGen, arXiv 2509.08188."""

from __future__ import annotations

from harness.task import Method, Paper, Task
from tasks.eeg.eeg_artifact_synthesis.claims import CLAIMS
from tasks.eeg.eeg_artifact_synthesis.columns import STATISTICS
from tasks.eeg.eeg_artifact_synthesis.figures import FIGURES
from tasks.eeg.eeg_artifact_synthesis.metrics import METRICS
from tasks.eeg.eeg_artifact_synthesis.params import Params, requires_training
from tasks.eeg.eeg_artifact_synthesis.scales import SCALES, seconds

METHODS = (
    Method("held-out", "floor", "real windows of the validation split in the place of synthetic ones: real against real"),
    Method("bootstrap", "control", "training windows, drawn with replacement: what pure memory gets"),
    Method("phase-randomised", "baseline", "training windows with random phases, the same for all channels"),
    Method("ar", "baseline", "one Gaussian autoregressive process a class over all channels, by least squares"),
    Method("vae", "baseline", "conditional variational autoencoder of the GAN's layers, learned deviation of the output"),
    Method("wgan-gp", "proposed", "conditional Wasserstein GAN, gradient penalty, projection critic: the paper's recommendation"),
    Method(
        "ddpm-v", "rival", "1-D U-Net, v-prediction, cosine schedule, DDIM, guidance; decoder with skips: the configuration file, working"
    ),
    Method("ddpm-v-no-skips", "control", "the same, without the decoder's skips"),
    Method("ddpm-eps", "control", "ddpm-v with noise prediction instead of v"),
    Method(
        "ddpm-eps-no-skips",
        "rival",
        "noise prediction, linear betas, no skips: what the released code trains, sampled by DDIM with guidance",
    ),
    Method("ddpm-released", "rival", "the same network through the released sampler: read as v, cosine, steps of one level"),
)

TASK = Task(
    id="eeg-artifact-synthesis",
    version=1,
    paper=Paper(
        arxiv="2509.08188",
        title="ArtifactGen: Benchmarking WGAN-GP vs Diffusion for Label-Aware EEG Artifact Synthesis",
        year=2025,
        authors="Arasu, Jahangiri",
        code="https://github.com/ahritik/ArtifactGen",
    ),
    params=Params,
    methods=METHODS,
    metrics=METRICS,
    scales=SCALES,
    claims=CLAIMS,
    statistics=STATISTICS,
    figures=FIGURES,
    requires=requires_training,
    run="tasks.eeg.eeg_artifact_synthesis.experiment:run",
    seconds=seconds,
    summary="Whether a GAN or a diffusion model makes EEG artifacts nearer to real ones, and what the published evaluation adds.",
)
