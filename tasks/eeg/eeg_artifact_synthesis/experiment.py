"""Runs one trial of the paper: training a generator of windows, or measuring its windows."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.trial import Trial
from tasks.eeg.bands import BANDS
from tasks.eeg.eeg_artifact_synthesis.designs import SIMPLE
from tasks.eeg.eeg_artifact_synthesis.metrics import band_metric
from tasks.eeg.eeg_artifact_synthesis.params import PUBLISHED

if TYPE_CHECKING:
    from tasks.eeg.classify import Recovery
    from tasks.eeg.eeg_artifact_synthesis.windows import Labelled, Problem
    from tasks.eeg.spectra import Spectrum


def run(trial: Trial) -> Mapping[str, float]:
    """Train and keep windows, or score windows in one of the two protocols."""
    from tasks.eeg.eeg_artifact_synthesis.windows import problem

    windows = problem(trial)
    return train(trial, windows) if trial.params.stage == "train" else score(trial, windows)


def train(trial: Trial, windows: Problem) -> dict[str, float]:
    """Fit the method within its budget, and keep the model and as many windows of each class as will be compared."""
    from tasks.blocks.training import generator
    from tasks.eeg.eeg_artifact_synthesis.synthesis import kept, simple
    from tasks.eeg.eeg_artifact_synthesis.training import fit
    from tasks.eeg.eeg_artifact_synthesis.windows import asked_for, class_counts

    counts = class_counts(windows, trial.params.windows)
    y = asked_for(counts)
    if trial.method in SIMPLE:
        trial.keep(kept(windows, simple(trial, windows, counts), y, {}))
        return {"windows": float(len(y))}
    model, fitted = fit(trial, windows)
    began = time.perf_counter()
    x = model.sample(y.to(trial.device), generator(trial.seed_for("sampling"))).cpu()
    seconds = time.perf_counter() - began
    trial.keep(kept(windows, x, y, model.weights()))
    return {
        "train_loss": fitted.loss,
        "steps": float(fitted.steps),
        "training_flops": fitted.flops,
        "train_seconds": fitted.seconds,
        "parameters": float(model.parameters()),
        "sampling_seconds": 1000.0 * seconds / len(y),
        "windows": float(len(y)),
    }


def score(trial: Trial, windows: Problem) -> dict[str, float]:
    """Measure the trial's windows against as many of the test split."""
    from tasks.eeg.eeg_artifact_synthesis import common, published
    from tasks.eeg.eeg_artifact_synthesis.synthesis import synthetic
    from tasks.eeg.eeg_artifact_synthesis.windows import class_counts, drawn
    from tasks.eeg.spectra import mean_welch

    fake, seconds = synthetic(trial, windows)
    real = drawn(windows.test, class_counts(windows, trial.params.windows), trial.seed_for("test windows"))
    if trial.params.protocol == PUBLISHED:
        sides = published.compared(trial.method, windows.microvolts(real.x), fake.x, windows.rate)
        metrics = published.measured(sides, windows.rate) | {"windows": float(len(sides.fake)), "real_windows": float(len(sides.real))}
        log_spectra(trial, *published.spectra(sides, windows.rate))
    else:
        metrics = common.signal_metrics(trial, windows, real, fake) | {"windows": float(len(fake.x)), "real_windows": float(len(real.x))}
        log_spectra(trial, *(mean_welch(side.x, windows.rate, segment=trial.params.segment) for side in (real, fake)))
        if trial.params.part == "main":
            judged, recovered = common.class_metrics(windows, real, fake, trial.seed_for("classifiers") % 2**32)
            metrics |= judged
            log_confusion(trial, windows, recovered)
            log_traces(trial, windows, fake)
    log_bands(trial, metrics)
    return metrics if math.isnan(seconds) else metrics | {"sampling_seconds": seconds}


def log_spectra(trial: Trial, real: Spectrum, fake: Spectrum) -> None:
    """Densities of the synthetic windows over frequency, mean over channels, and, up to the last band, what they are of the real ones'."""
    for frequency, true, found in zip(real.frequencies.tolist(), real.density.mean(0).tolist(), fake.density.mean(0).tolist(), strict=True):
        if 0.0 < frequency < BANDS[-1].high:  # each segment is taken less its mean
            trial.log(frequency, psd=found, psd_ratio=found / true)
        elif frequency:
            trial.log(frequency, psd=found)


def log_bands(trial: Trial, metrics: Mapping[str, float]) -> None:
    """The error of each band at the geometric middle of its frequencies."""
    for band in BANDS:
        trial.log(math.sqrt(band.low * band.high), band_error_at=metrics[band_metric(band.name)])


def log_confusion(trial: Trial, windows: Problem, recovered: Recovery) -> None:
    """Row by row: where the windows of an asked-for class were found."""
    for row, shares in enumerate(recovered.confusion.tolist()):
        trial.log(row, **{f"as_{name}": share for name, share in zip(windows.classes, shares, strict=True)})


def log_traces(trial: Trial, windows: Problem, fake: Labelled) -> None:
    """The first synthetic window of each class, its first channel, in microvolts over seconds."""
    shown = {
        f"trace_{name}": windows.microvolts(fake.x[int((fake.y == kind).nonzero()[0])])[0].tolist()
        for kind, name in enumerate(windows.classes)
    }
    for place in range(windows.shape[1]):
        trial.log(place / windows.rate, **{name: values[place] for name, values in shown.items()})
