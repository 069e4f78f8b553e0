"""Plots of the report."""

from __future__ import annotations

from harness.task import Figure, Span, Traces
from tasks.eeg.bands import BANDS
from tasks.eeg.eeg_denoising_atat.designs import AUTOENCODER, FLOOR, GATED, HIGHEST, LOWEST, PUBLISHED_NETWORKS, TARGETED
from tasks.eeg.eeg_denoising_atat.estimates import half_clean, scores

_SPANS = tuple(Span(band.low, band.high, band.name) for band in BANDS)
_LEVEL = "Levels in EEGdenoiseNet's dB, of amplitudes: twice as many of power."
_DRAWN = ("eemd", "fcnn", "rnn", "ae-only", "at-at")
_KINDS = (FLOOR, "band-pass", "eemd", *PUBLISHED_NETWORKS, AUTOENCODER, "at-at")
"""One of each kind: the variants of at-at lie on each other."""
_EXAMPLE = "The first test window of the first seed, in units of the noisy window's standard deviation."


def _curve(id: str, title: str, y: str, artifact: str, caption: str = _LEVEL, *, log_y: bool = False) -> Figure:
    return Figure(
        id=f"{id}-{artifact}",
        title=f"{title}, {artifact.upper()}",
        x="snr",
        y=y,
        where=scores(artifact),
        methods=_KINDS,
        log_y=log_y,
        caption=caption,
    )


FIGURES: tuple[Figure | Traces, ...] = (
    _curve("cc", "Correlation by level", "cc", "emg"),
    _curve("cc", "Correlation by level", "cc", "eog"),
    _curve("rrmse-temporal", "Error of the samples by level", "rrmse_temporal", "emg", log_y=True),
    _curve("rrmse-spectral", "Error of the spectrum by level", "rrmse_spectral", "emg", log_y=True),
    *(
        Figure(
            id=f"spectrum-{artifact}",
            title=f"Spectrum after cleaning at -7 dB, {artifact.upper()}",
            x="step",
            y="psd_cleaned",
            where=scores(artifact, snr=LOWEST),
            methods=(FLOOR, "fcnn", "rnn", "ae-only", "at-at"),
            x_label="frequency (Hz)",
            y_label="density, of noisy windows with variance 1 (1/Hz)",
            spans=_SPANS,
            log_y=True,
            caption="do-nothing is the noisy spectrum. The clean one is the next figure.",
        )
        for artifact in ("emg", "eog")
    ),
    Figure(
        id="spectrum-clean",
        title="Spectrum of the clean windows at -7 dB, EMG",
        x="step",
        y="psd_clean",
        where=scores(snr=LOWEST),
        methods=(FLOOR,),
        x_label="frequency (Hz)",
        y_label="density, of noisy windows with variance 1 (1/Hz)",
        spans=_SPANS,
        log_y=True,
        caption="What the figure before it should look like: the same windows in the same unit.",
    ),
    *(
        Traces(
            id=f"traces-{name}",
            title=f"One window at {snr:g} dB, {artifact.upper()}",
            ys=(("clean", "trace_clean"), ("noisy", "trace_noisy"), ("cleaned", "trace_cleaned")),
            where=scores(artifact, snr=snr),
            methods=_DRAWN,
            x_label="s",
            caption=_EXAMPLE,
        )
        for name, artifact, snr in (("emg-minus-7db", "emg", LOWEST), ("emg-2db", "emg", HIGHEST), ("eog-minus-7db", "eog", LOWEST))
    ),
    Figure(
        id="size",
        title="Correlation and parameters at -7 dB, EMG",
        x="width",
        y="cc",
        at="parameters",
        where={"stage": "score", "artifact": "emg", "contaminated": 1.0, "snr": LOWEST},
        methods=("fcnn", "cnn", "rnn", "complex-cnn", "ae-only", "at-at"),
        log_x=True,
        caption="AT-AT at several multiples of its channel counts; the others at their published form.",
    ),
    Figure(
        id="share-sent",
        title="Segments sent to the transformer",
        x="snr",
        y="share_sent",
        where=scores(),
        methods=TARGETED,
        caption=f"All windows contaminated. {_LEVEL}",
    ),
    Figure(
        id="share-sent-half",
        title="Segments sent, half of the windows clean",
        x="snr",
        y="share_sent",
        where=half_clean(),
        methods=TARGETED,
        caption="A gate that found every contaminated window and nothing else would send half.",
    ),
    Figure(
        id="cc-half",
        title="Correlation, half of the windows clean",
        x="snr",
        y="cc",
        where=half_clean(),
        methods=(FLOOR, AUTOENCODER, *GATED),
        caption=_LEVEL,
    ),
    Figure(
        id="training",
        title="Training loss, EMG",
        x="step",
        y="train_loss",
        where={"stage": "train", "artifact": "emg", "width": 1.0},
        log_y=True,
        caption="MSE; of at-* over sent segments alone and with the adversarial terms of both players: not to be compared.",
    ),
)
