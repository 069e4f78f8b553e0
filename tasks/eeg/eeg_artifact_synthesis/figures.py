"""Plots of the report."""

from __future__ import annotations

from harness.task import Figure, Matrix, Span, Traces
from tasks.eeg.bands import BANDS
from tasks.eeg.eeg_artifact_synthesis.designs import DDPM, FLOOR, GAN, RELEASED, VAE
from tasks.eeg.eeg_artifact_synthesis.estimates import scored
from tasks.eeg.eeg_artifact_synthesis.params import COMMON, PUBLISHED

CLASSES = {"eyem": "eyes", "musc": "muscle", "elec": "electrode", "chew": "chewing", "shiv": "shiver"}
"""TUAR's; windows with other classes have scores, but no traces and confusion in the report."""
_SPANS = tuple(Span(band.low, band.high, band.name) for band in BANDS)
_SHOWN = (FLOOR, "phase-randomised", "ar", VAE, GAN, "ddpm-v", "ddpm-eps-no-skips", RELEASED)
_HELD_OUT = "`held-out` are real windows of the validation split."

FIGURES: tuple[Figure | Traces | Matrix, ...] = (
    Figure(
        id="spectra",
        title="Spectra, both sides in z-scores",
        x="step",
        y="psd",
        where=scored(COMMON),
        methods=_SHOWN,
        log_y=True,
        x_label="frequency (Hz)",
        y_label="density (1/Hz)",
        spans=_SPANS,
        caption=f"Welch, mean over windows and channels. {_HELD_OUT}",
    ),
    *(
        Figure(
            id=f"spectra-over-real-{name}",
            title=f"Spectra over those of real windows, {words}",
            x="step",
            y="psd_ratio",
            where=scored(protocol),
            methods=_SHOWN,
            log_y=True,
            x_label="frequency (Hz)",
            y_label="density over that of the test windows",
            spans=_SPANS,
            caption=f"1: as in the test split. {_HELD_OUT}",
        )
        for name, protocol, words in (("common", COMMON, "common scale"), ("published", PUBLISHED, "the paper's evaluation"))
    ),
    *(
        Figure(
            id=f"bands-{name}",
            title=f"Error of band power, {words}",
            x="step",
            y="band_error_at",
            where=scored(protocol),
            methods=_SHOWN,
            log_x=True,
            log_y=True,
            x_label="frequency (Hz)",
            y_label="relative error",
            spans=_SPANS,
            caption="One point a band. The same windows in both protocols.",
        )
        for name, protocol, words in (("common", COMMON, "common scale"), ("published", PUBLISHED, "the paper's evaluation"))
    ),
    Traces(
        id="traces",
        title="One window of each class",
        ys=tuple((words, f"trace_{name}") for name, words in CLASSES.items()),
        where=scored(COMMON),
        methods=_SHOWN,
        x_label="s",
        caption=f"First channel, microvolts; the first window made, not the best. {_HELD_OUT}",
    ),
    Matrix(
        id="recovery",
        title="Which class is found in windows of a class",
        rows=tuple(CLASSES.values()),
        columns=tuple((words, f"as_{name}") for name, words in CLASSES.items()),
        where=scored(COMMON),
        methods=_SHOWN,
        x_label="found",
        y_label="asked for",
        caption="By the nearest real windows of the test split.",
    ),
    Figure(
        id="steps",
        title="Error and sampling steps",
        x="sampling_steps",
        y="band_error",
        where=scored(part="steps"),
        methods=tuple(DDPM),
        log_x=True,
        log_y=True,
        caption="DDIM, the same networks; common scale.",
    ),
    Figure(
        id="budget",
        title="Error and training compute",
        x="budget",
        y="band_error",
        where=scored(part="budget"),
        methods=(GAN, "ddpm-v"),
        log_x=True,
        log_y=True,
        x_label="training FLOPs",
    ),
)
