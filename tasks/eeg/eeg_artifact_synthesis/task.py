"""WHAT: GAN or diffusion model, which makes EEG artifacts, and what does the evaluation alone decide? ArtifactGen, arXiv 2509.08188."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from harness.bounds import CORRELATION, POSITIVE, SHARE, UNBOUNDED, Bounds
from harness.columns import columns
from harness.task import Experiment, Figure, Matrix, Metric, Paper, Requirement, Span, Task, Traces, param
from tasks.eeg.bands import BANDS, band_error
from tasks.eeg.eeg_artifact_synthesis.claims import claims
from tasks.eeg.eeg_artifact_synthesis.memory import scoring_gib, training_gib
from tasks.eeg.eeg_artifact_synthesis.methods import FLOOR, GAN, LEARNED, METHODS, NOISE, OTHERS, RELEASED, SIMPLE, TRAINED_AS, WORKING
from tasks.eeg.eeg_artifact_synthesis.scales import COMPUTE, MAIN, STEPS, scales, seconds_scoring, seconds_training


@dataclass(frozen=True, kw_only=True)
class Generation:
    """The windows, and everything that the training of a model and the windows that it keeps depend on."""

    rate: float = param(0.0, "sampling rate of all windows, resampled with anti-aliasing (0: the data set's own)", unit="Hz", low=0.0)
    channels: str = param("", "channels by name, such as Fp1,C3,O1,T3 (empty: all)")
    windows: int = param(
        50,
        "synthetic windows of each class, fewer where val or half of test hold fewer; as many real",
        unit="windows",
        low=1,
        high=100_000,
    )
    budget: float = param(
        1e12, "training compute of every learned method, forward and backward, a multiply-add counts two", unit="FLOPs", low=1.0, high=1e24
    )
    ddpm_width: int = param(64, "U-Net: channels of its first level, then two and four times as many", low=1, high=4096)
    ddpm_blocks: int = param(2, "U-Net: residual blocks of each level, on either side", low=1, high=16)
    ddpm_batch: int = param(32, "windows of a step of the diffusion models", unit="windows", low=1, high=65536)
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
    latent: int = param(128, "latent numbers of the generator", low=1, high=65536)
    ar_order: int = param(8, "lags of the autoregressive model", unit="samples", low=1, high=1000)


@dataclass(frozen=True, kw_only=True)
class Scoring(Generation):
    """How windows are made that are compared with real ones."""

    sampling_steps: int = param(
        0, "diffusion: sample again from the kept model in so many steps (0: the windows that it kept)", unit="steps", low=0, high=1000
    )


@dataclass(frozen=True, kw_only=True)
class CommonScale(Scoring):
    """Our comparison."""

    segment: int = param(128, "segment of Welch's spectra", unit="samples", low=4, high=1_000_000)
    taught: int = param(10, "training windows of each class that augmentation adds to", unit="windows", low=1, high=100_000)
    permutations: int = param(200, "relabellings behind the p-value of MMD^2", low=0, high=1_000_000)


def needs_training(method: str, params: Mapping[str, Any]) -> Requirement | None:
    """The training of the same method and parameters, where there is something to train."""
    if method in SIMPLE:
        return None
    values = {field.name: params[field.name] for field in dataclasses.fields(Generation)}
    return Requirement(experiment="train", method=TRAINED_AS.get(method, method), params=values)


_clocked = partial(Metric, unit="s", better="lower", timed=True, bounds=POSITIVE)
_tested = partial(Metric, split="test")
_share = partial(_tested, unit="share", bounds=SHARE)
_counted = partial(_share, counted=True)
_gain = partial(_counted, bounds=CORRELATION)

COSTS = [
    Metric(
        "steps", "steps", "none", "of training, that the budget paid for; of wgan-gp those of the generator", split="none", bounds=POSITIVE
    ),
    Metric("training_flops", "FLOPs", "none", "forward and backward, counted on one step", split="none", bounds=POSITIVE),
    _clocked("train_seconds", description="of the training steps: depends on the machine and what else it does"),
    Metric("parameters", "count", "none", "learned numbers, of every network that training needs", split="none", bounds=POSITIVE),
    _clocked("sampling_seconds", description="for 1,000 windows: depends on the machine and what else it does"),
]
TRAIN_LOSS = Metric("train_loss", "", "none", "mean over the last tenth of the steps; of wgan-gp the critic's distance. NaN: diverged")
MADE = Metric("windows", "windows", "none", "synthetic windows", split="none", bounds=POSITIVE)
COUNTS = [
    MADE,
    Metric("real_windows", "windows", "none", "real windows that they were compared with", split="none", bounds=POSITIVE),
    _clocked("sampling_seconds", description="for 1,000 windows, where they were not made in training", optional=True),
]


def _signals(mmd: str, bounds: Bounds) -> list[Metric]:
    """What both protocols measure; an unbiased MMD^2 may be below 0."""
    return [
        _tested("band_error", "ratio", "lower", "relative error of power, mean over the five bands", bounds=POSITIVE),
        *(
            _tested(band_error(band), "ratio", "lower", f"|P_fake - P_real| / P_real, {band.low:g} to {band.high:g} Hz", bounds=POSITIVE)
            for band in BANDS
        ),
        _tested("psd_distance", "ratio", "lower", "||S_real - S_fake|| / ||S_real|| of the mean spectra", bounds=POSITIVE),
        _tested("mmd2", "", "lower", f"MMD^2 of {mmd}", bounds=bounds),
        Metric("diversity", "", "none", "1 less the mean correlation of two windows", split="none", bounds=Bounds(0.0, 2.0)),
    ]


PUBLISHED_SIGNALS = _signals("flattened windows, biased, four bandwidths", POSITIVE)
SIGNALS = [
    *_signals("features, unbiased, one bandwidth", UNBOUNDED),
    _share("mmd_p", better="none", description="of relabellings with an MMD^2 so large: a p-value of both sides being alike"),
    _tested(
        "covariance_distance",
        "ratio",
        "lower",
        "||C_real - C_fake|| / ||C_real||, Frobenius, of the channels' mean covariance",
        bounds=POSITIVE,
    ),
    _tested("autocorrelation_distance", "", "lower", "L2 over lags between the mean autocorrelations", bounds=POSITIVE),
    _counted("precision", better="higher", description="synthetic windows inside the neighbourhood of a real one (feature space)"),
    _counted("coverage", better="higher", description="real windows with a synthetic one in their neighbourhood"),
    _counted(
        "recovery_accuracy", better="higher", description="synthetic windows whose nearest real ones are of the class that was asked for"
    ),
    _gain("recovery_above_chance", better="higher", description="recovery_accuracy less 1 / classes"),
    _counted("tstr_accuracy", better="higher", description="train on synthetic, test on real"),
    _gain(
        "augmentation_gain",
        better="higher",
        description="accuracy on real windows after training on a few real and the synthetic ones, less that after the few",
    ),
    _share("c2st_accuracy", better="lower", description="telling real from synthetic by features; 0.5: cannot be told apart"),
]


CLASSES = {"eyem": "eyes", "musc": "muscle", "elec": "electrode", "chew": "chewing", "shiv": "shiver"}
"""TUAR's; windows with other classes have scores, but no traces and confusion in the report."""
_SHOWN = (FLOOR, OTHERS, NOISE, "phase-randomised", "ar", GAN, WORKING, "ddpm-eps-no-skips", RELEASED)
_HELD_OUT = "`held-out` are real windows, of the test split too."
_over_frequency = partial(
    Figure,
    x="step",
    methods=_SHOWN,
    log_y=True,
    x_label="frequency (Hz)",
    spans=[Span(band.low, band.high, band.name) for band in BANDS],
)
_swept = partial(Figure, y="band_error", log_x=True, log_y=True)


def _compared(short: str, words: str, view: str = "") -> Figure:
    """Spectra against those of real windows."""
    return _over_frequency(
        id=f"spectra-over-real-{short}",
        title=f"Spectra over those of real windows, {words}",
        y="psd_ratio",
        y_label="density over that of the test windows",
        view=view,
        caption=f"1: as in the test split. {_HELD_OUT} The same windows in both protocols.",
    )


_run = "tasks.eeg.eeg_artifact_synthesis.experiment:{}".format
TRAIN = Experiment(
    "train",
    summary="fit a model within its budget, keep it and the windows that it makes",
    params=Generation,
    methods=LEARNED,
    metrics=[TRAIN_LOSS, *COSTS, MADE],
    run=_run("train"),
    seconds=seconds_training,
    memory=training_gib,
    statistics=columns("train", COSTS, MAIN),
)
COMMON = Experiment(
    "common-scale",
    summary="one unit, the true rate, as many windows on both sides, unbiased MMD^2",
    params=CommonScale,
    metrics=[*SIGNALS, *COUNTS],
    run=_run("score_on_common_scale"),
    requires=needs_training,
    seconds=partial(seconds_scoring, measuring=2.5),
    memory=scoring_gib,
    statistics=columns("common-scale", SIGNALS, MAIN),
    figures=[
        _over_frequency(
            id="spectra",
            title="Spectra, both sides in z-scores",
            y="psd",
            y_label="density (1/Hz)",
            view=MAIN,
            caption=f"Welch, mean over windows and channels. {_HELD_OUT}",
        ),
        _compared("common", "common scale", MAIN),
        Traces(
            id="traces",
            title="One window of each class",
            ys=[(words, f"trace_{name}") for name, words in CLASSES.items()],
            view=MAIN,
            methods=_SHOWN,
            x_label="s",
            caption=f"First channel, microvolts; the first window made, not the best. {_HELD_OUT}",
        ),
        Matrix(
            id="recovery",
            title="Which class is found in windows of a class",
            rows=list(CLASSES.values()),
            columns=[(words, f"as_{name}") for name, words in CLASSES.items()],
            view=MAIN,
            methods=_SHOWN,
            x_label="found",
            y_label="asked for",
            caption="By the nearest real windows of the test split.",
        ),
        _swept(
            id="steps", title="Error and sampling steps", x="sampling_steps", view=STEPS, caption="DDIM, the same networks; common scale."
        ),
        _swept(id="budget", title="Error and training compute", x="budget", view=COMPUTE, x_label="training FLOPs"),
    ],
)
PUBLISHED = Experiment(
    "as-published",
    summary="the paper's evaluation, of the same windows",
    params=Scoring,
    metrics=[*PUBLISHED_SIGNALS, *COUNTS],
    run=_run("score_as_published"),
    requires=needs_training,
    seconds=partial(seconds_scoring, measuring=0.2),
    memory=scoring_gib,
    statistics=columns("as-published", PUBLISHED_SIGNALS),
    figures=[_compared("published", "the paper's evaluation")],
)

TASK = Task(
    id="eeg-artifact-synthesis",
    version=2,
    paper=Paper(
        arxiv="2509.08188",
        title="ArtifactGen: Benchmarking WGAN-GP vs Diffusion for Label-Aware EEG Artifact Synthesis",
        year=2025,
        authors="Arasu, Jahangiri",
        code="https://github.com/ahritik/ArtifactGen",
    ),
    methods=METHODS,
    experiments=(TRAIN, COMMON, PUBLISHED),
    scales=scales(TRAIN, COMMON, PUBLISHED),
    claims=claims(COMMON, PUBLISHED),
    summary="Whether a GAN or a diffusion model makes EEG artifacts nearer to real ones, and what the published evaluation adds.",
)
