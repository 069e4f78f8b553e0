"""WHAT: does an autoencoder that says where a transformer is needed clean EEG as well as larger networks? AT-AT, arXiv 2502.05332."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from harness.bounds import CORRELATION, POSITIVE, SHARE, Bounds
from harness.estimates import Mean, Reading
from harness.task import Experiment, Figure, Metric, Paper, Requirement, Span, Statistic, Task, Traces, param
from tasks.eeg.bands import BANDS
from tasks.eeg.eeg_denoising_atat.claims import claims
from tasks.eeg.eeg_denoising_atat.memory import scoring_gib, training_gib
from tasks.eeg.eeg_denoising_atat.methods import (
    AUTOENCODER,
    FLOOR,
    GATED,
    HIGHEST,
    LEARNED,
    LOWEST,
    METHODS,
    NETWORKED,
    PUBLISHED_NETWORKS,
    TARGETED,
    TRAINED_AS,
    autoencoder_windows,
)
from tasks.eeg.eeg_denoising_atat.scales import EVERY_LEVEL, EYES, HALF_CLEAN, scales, scoring_seconds, training_seconds


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a network is trained. One training serves every level and mix at which it is scored."""

    artifact: str = param("emg", "what contaminates: emg (muscle) or eog (eye)", choices=("emg", "eog"))
    samples: int = param(0, "epochs are cut into windows of so many samples (0: whole epochs)", unit="samples", low=0, high=1_000_000)
    windows: int = param(
        24_000, "training windows seen by each method, repeats counted; at-*: half by the autoencoder", unit="windows", low=2, high=10**9
    )
    batch: int = param(40, "windows of a step", unit="windows", low=2, high=65_536)
    lr: float = param(1e-3, "peak learning rate", low=1e-7, high=1.0)
    optimizer: str = param("adam", "optimizer of every network", choices=("adam", "rmsprop"))
    schedule: str = param("cosine", "learning rate over the training; cosine: to 0", choices=("cosine", "constant"))
    dropout: float = param(0.3, "dropout of fcnn, cnn and rnn", low=0.0, high=0.99)
    pairings: int = param(10, "random pairings of the training epochs, fixed before training", low=1, high=1000)
    clean_share: float = param(0.2, "share of training and validation windows left without artifact", low=0.0, high=0.99)
    width: float = param(
        1.0, "at-*, ae-only: multiplier of all channel counts (16 in the autoencoder, 32 in the transformer)", low=0.25, high=64.0
    )
    segment: int = param(256, "at-*: stretch that is sent to the transformer or not", unit="samples", low=16, high=1_000_000)
    threshold: float = param(0.9, "at-* without a budget: a segment is sent where corr(noisy, autoencoder) is below", low=-1.0, high=1.0)
    budget: float = param(0.5, "at-budget: share of the validation segments that its threshold sends", low=0.01, high=1.0)
    adversarial: float = param(0.01, "at-at, at-everywhere, at-budget: weight of the adversarial term beside the MSE", low=0.0, high=100.0)


@dataclass(frozen=True, kw_only=True)
class Scoring(Training):
    """What a training gave, at one level and mix."""

    snr: float = param(0.0, "10 log10(RMS(x) / RMS(lambda n)), twice of which is the usual power ratio in dB", unit="dB", low=-60, high=60)
    contaminated: float = param(1.0, "share of the test windows that carry an artifact; the others are clean", low=0.0, high=1.0)
    test_windows: int = param(300, "test windows (0: all)", unit="windows", low=0, high=10_000_000)
    slow_windows: int = param(20, "the same for eemd, which is slow: the first of them", unit="windows", low=1, high=10_000_000)


_GATE = ("segment", "threshold", "budget", "adversarial")
"""What the training of the autoencoder does not depend on."""


def requires_training(method: str, params: Mapping[str, Any]) -> Requirement | None:
    """A score needs the training of its method."""
    training = {field.name: params[field.name] for field in dataclasses.fields(Training)}
    return Requirement(method=TRAINED_AS.get(method, method), params=training, experiment="train") if method in NETWORKED else None


def requires_autoencoder(method: str, params: Mapping[str, Any]) -> Requirement | None:
    """The training of a transformer needs that of its autoencoder, of half the windows."""
    shared = {name: value for name, value in params.items() if name not in _GATE}
    return (
        Requirement(method=AUTOENCODER, params={**shared, "windows": autoencoder_windows(params["windows"])})
        if method in TARGETED
        else None
    )


_tested = partial(Metric, split="test")
_networked = partial(Metric, methods=NETWORKED)
_gated = partial(Metric, methods=GATED, split="test")
SCORES = (
    _tested("cc", "correlation", "higher", "of cleaned and clean window, mean over the test windows", bounds=CORRELATION),
    _tested("rrmse_temporal", "ratio", "lower", "RMS(cleaned - clean) / RMS(clean), mean over the test windows", bounds=POSITIVE),
    _tested(
        "rrmse_spectral", "ratio", "lower", "RMS(PSD cleaned - PSD clean) / RMS(PSD clean), mean over the test windows", bounds=POSITIVE
    ),
    _tested("decorrelation", "", "lower", "1 - cc", bounds=Bounds(0.0, 2.0)),
    _tested("cc_sd", "", "none", "standard deviation of cc over the test windows", bounds=POSITIVE),
    _tested(
        "cc_mixed", "correlation", "higher", "cc of the windows with an artifact, where there are any", optional=True, bounds=CORRELATION
    ),
    _tested(
        "cc_clean", "correlation", "higher", "cc of the windows without one: 1 when nothing is done", optional=True, bounds=CORRELATION
    ),
    _gated("share_sent", "share", "none", "segments sent to the transformer", bounds=SHARE),
    _gated("share_sent_mixed", "share", "none", "the same of windows with an artifact", optional=True, bounds=SHARE),
    _gated("share_sent_clean", "share", "none", "the same of windows without one", optional=True, bounds=SHARE),
    _gated(
        "proxy_auc",
        "",
        "higher",
        "chance that the proxy is lower on a contaminated segment than on a clean one",
        optional=True,
        bounds=SHARE,
    ),
    _networked(
        "parameters",
        "count",
        "none",
        "learned numbers used in cleaning: the discriminator is not among them",
        split="none",
        bounds=POSITIVE,
    ),
    _networked(
        "multiply_adds",
        "count",
        "none",
        "of convolutions and matrix products for one window, the transformer's by the share sent",
        split="test",
        bounds=POSITIVE,
    ),
    _networked(
        "train_seconds", "s", "none", "of the training behind it, the autoencoder's included", split="none", timed=True, bounds=POSITIVE
    ),
    Metric("seconds_per_1000", "s", "none", "to clean 1,000 windows", split="none", timed=True, bounds=POSITIVE),
)
TRAININGS = (
    Metric("train_loss", "", "none", "mean over the last steps; MSE, of at-* with the adversarial terms of both players"),
    Metric("val_cc", "correlation", "higher", "cc on the validation split, levels and clean share as in training", bounds=CORRELATION),
    Metric(
        "parameters",
        "count",
        "none",
        "learned numbers used in cleaning: the discriminator is not among them",
        split="none",
        bounds=POSITIVE,
    ),
    Metric("train_seconds", "s", "none", "the autoencoder's included", split="none", timed=True, bounds=POSITIVE),
)


def _column(name: str, metric: str, view: str, text: str = "", **where: Any) -> Statistic:
    of = next(one for one in SCORES if one.name == metric)
    return Statistic(
        name=name, estimate=Reading("score", metric, view, where), unit=of.unit, better=of.better, description=text, bounds=of.bounds
    )


_SPANS = tuple(Span(band.low, band.high, band.name) for band in BANDS)
_LEVEL = "Levels in EEGdenoiseNet's dB, of amplitudes: twice as many of power."
_KINDS = (FLOOR, "band-pass", "eemd", *PUBLISHED_NETWORKS, AUTOENCODER, "at-at")
"""One of each kind: the variants of at-at lie on each other."""
_MEAN = "EMG, mean over the levels"


def _by_level(id: str, title: str, y: str, view: str = EVERY_LEVEL, **about: Any) -> Figure:
    return Figure(id=id, title=title, x="snr", y=y, view=view, **{"methods": _KINDS, "caption": _LEVEL, **about})


def _spectrum(id: str, title: str, y: str, view: str, methods: tuple[str, ...], caption: str) -> Figure:
    return Figure(
        id=id,
        title=title,
        x="step",
        y=y,
        view=view,
        where={"snr": LOWEST},
        methods=methods,
        x_label="frequency (Hz)",
        y_label="density, of noisy windows with variance 1 (1/Hz)",
        spans=_SPANS,
        log_y=True,
        caption=caption,
    )


def _spectra(artifact: str, view: str) -> Figure:
    title = f"Spectrum after cleaning at -7 dB, {artifact.upper()}"
    caption = "do-nothing is the noisy spectrum. The clean one, of EMG, is a figure of its own."
    return _spectrum(f"spectrum-{artifact}", title, "psd_cleaned", view, (FLOOR, "fcnn", "rnn", AUTOENCODER, "at-at"), caption)


def _traces(name: str, artifact: str, view: str, snr: float) -> Traces:
    return Traces(
        id=f"traces-{name}",
        title=f"One window at {snr:g} dB, {artifact.upper()}",
        ys=(("clean", "trace_clean"), ("noisy", "trace_noisy"), ("cleaned", "trace_cleaned")),
        view=view,
        where={"snr": snr},
        methods=("eemd", "fcnn", "rnn", AUTOENCODER, "at-at"),
        x_label="s",
        caption="The first test window of the first seed, in units of the noisy window's standard deviation.",
    )


_MAIN: dict[str, Any] = {"artifact": "emg", "width": 1.0}
_RUN = "tasks.eeg.eeg_denoising_atat"
SCORE = Experiment(
    "score",
    summary="clean the test windows at one level and mix, with what was trained",
    params=Scoring,
    metrics=SCORES,
    run=f"{_RUN}.experiment:score",
    requires=requires_training,
    selecting=("at-budget",),
    seconds=scoring_seconds,
    memory=scoring_gib,
    statistics=[
        _column("cc", "cc", EVERY_LEVEL, _MEAN),
        _column("cc_minus_7db", "cc", EVERY_LEVEL, "EMG at -7 dB", snr=LOWEST),
        _column("cc_2db", "cc", EVERY_LEVEL, "EMG at 2 dB", snr=HIGHEST),
        _column("rrmse_temporal", "rrmse_temporal", EVERY_LEVEL, _MEAN),
        _column("rrmse_spectral", "rrmse_spectral", EVERY_LEVEL, _MEAN),
        _column("share_sent", "share_sent", EVERY_LEVEL, f"segments sent; {_MEAN}"),
        _column("cc_half", "cc", HALF_CLEAN, "EMG, half of the windows clean"),
        _column("cc_of_clean", "cc_clean", HALF_CLEAN, "of the clean windows among them: what a method does to EEG that needs nothing"),
        _column("share_sent_half", "share_sent", HALF_CLEAN, "segments sent of both"),
        _column("proxy_auc", "proxy_auc", HALF_CLEAN, "proxy, contaminated against clean"),
        _column("cc_eog", "cc", EYES, "EOG, mean over the levels"),
        _column("rrmse_temporal_eog", "rrmse_temporal", EYES),
        _column("parameters", "parameters", EVERY_LEVEL, "used in cleaning"),
        _column("multiply_adds", "multiply_adds", EVERY_LEVEL, "a window"),
        _column("train_seconds", "train_seconds", EVERY_LEVEL, "depends on the machine"),
        _column("seconds_per_1000", "seconds_per_1000", EVERY_LEVEL, "to clean 1,000 windows"),
    ],
    figures=[
        _by_level("cc-emg", "Correlation by level, EMG", "cc"),
        _by_level("cc-eog", "Correlation by level, EOG", "cc", EYES),
        _by_level("rrmse-temporal-emg", "Error of the samples by level, EMG", "rrmse_temporal", log_y=True),
        _by_level("rrmse-spectral-emg", "Error of the spectrum by level, EMG", "rrmse_spectral", log_y=True),
        _spectra("emg", EVERY_LEVEL),
        _spectra("eog", EYES),
        _spectrum(
            "spectrum-clean",
            "Spectrum of the clean windows at -7 dB, EMG",
            "psd_clean",
            EVERY_LEVEL,
            (FLOOR,),
            "What the spectrum after cleaning should look like: the same windows in the same unit.",
        ),
        _traces("emg-minus-7db", "emg", EVERY_LEVEL, LOWEST),
        _traces("emg-2db", "emg", EVERY_LEVEL, HIGHEST),
        _traces("eog-minus-7db", "eog", EYES, LOWEST),
        Figure(
            id="size",
            title="Correlation and parameters at -7 dB, EMG",
            x="width",
            y="cc",
            at="parameters",
            where={"artifact": "emg", "contaminated": 1.0, "snr": LOWEST},
            methods=("fcnn", "cnn", "rnn", "complex-cnn", AUTOENCODER, "at-at"),
            log_x=True,
            caption="AT-AT at several multiples of its channel counts; the others at their published form.",
        ),
        _by_level(
            "share-sent",
            "Segments sent to the transformer",
            "share_sent",
            methods=TARGETED,
            caption=f"All windows contaminated. {_LEVEL}",
        ),
        _by_level(
            "share-sent-half",
            "Segments sent, half of the windows clean",
            "share_sent",
            HALF_CLEAN,
            methods=TARGETED,
            caption="A gate that found every contaminated window and nothing else would send half.",
        ),
        _by_level("cc-half", "Correlation, half of the windows clean", "cc", HALF_CLEAN, methods=(FLOOR, AUTOENCODER, *GATED)),
    ],
)
TRAIN = Experiment(
    "train",
    summary="fit a network and keep it for its scores",
    params=Training,
    methods=LEARNED,
    metrics=TRAININGS,
    run=f"{_RUN}.training:train",
    requires=requires_autoencoder,
    selecting=("at-budget",),
    seconds=training_seconds,
    memory=training_gib,
    statistics=[
        Statistic(
            name="val_cc",
            estimate=Mean("val_cc", _MAIN),
            unit="correlation",
            better="higher",
            bounds=CORRELATION,
            description="validation split, EMG; of ae-only also the half-budget autoencoder that at-* start from",
        )
    ],
    figures=[
        Figure(
            id="training",
            title="Training loss, EMG",
            x="step",
            y="train_loss",
            where=_MAIN,
            log_y=True,
            caption="MSE; of at-* over sent segments alone and with the adversarial terms of both players: not to be compared.",
        )
    ],
)

TASK = Task(
    id="eeg-denoising-atat",
    version=1,
    paper=Paper(
        arxiv="2502.05332",
        title="Removing Neural Signal Artifacts with Autoencoder-Targeted Adversarial Transformers (AT-AT)",
        year=2025,
        authors="B. J. Choi",
    ),
    methods=METHODS,
    experiments=(SCORE, TRAIN),
    scales=scales(TRAIN, SCORE),
    claims=claims(SCORE),
    summary="Artifact removal by an autoencoder that targets a transformer: a re-construction, as neither code nor sizes are public.",
)
