"""Runs one trial of the paper: training a generator of windows, or measuring windows in one of two protocols."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.trial import Trial
from tasks.blocks.backends import recorded
from tasks.eeg.bands import BANDS

if TYPE_CHECKING:
    from tasks.eeg.classify import Recovery
    from tasks.eeg.eeg_artifact_synthesis.labelled_windows import Labelled, Problem
    from tasks.eeg.spectra import Spectrum


def train(trial: Trial) -> Mapping[str, float]:
    """Fit the method within its budget, and keep the model and as many windows of each class as will be compared."""
    from tasks.blocks.training import generator
    from tasks.eeg.eeg_artifact_synthesis.labelled_windows import asked_for, class_counts, problem
    from tasks.eeg.eeg_artifact_synthesis.synthesis import kept
    from tasks.eeg.eeg_artifact_synthesis.training import fit

    windows = problem(trial)
    y = asked_for(class_counts(windows, trial.params.windows, trial.seed_for("test halves")))
    model, metrics = fit(trial, windows)
    began = time.perf_counter()
    x = model.sample(y.to(trial.device), generator(trial.seed_for("sampling"))).cpu()
    seconds = time.perf_counter() - began
    trial.keep(kept(windows, x, y, model.sampler.state_dict()))
    return {**metrics, "sampling_seconds": 1000.0 * seconds / len(y), "windows": float(len(y))}


@recorded
def score_on_common_scale(trial: Trial) -> Mapping[str, float]:
    """Measure the trial's windows against as many real ones of the test split, both in z-scores."""
    from tasks.eeg.eeg_artifact_synthesis import common_scale
    from tasks.eeg.spectra import mean_welch

    windows, real, fake, seconds = _both_sides(trial)
    signals = common_scale.signal_metrics(trial, windows, real, fake)
    seed = trial.seed_for("classifiers") % 2**32
    judged, recovered = common_scale.class_metrics(windows, real, fake, trial.params.taught, seed)
    log_spectra(trial, *(mean_welch(side.x, windows.rate, segment=trial.params.segment) for side in (real, fake)))
    log_confusion(trial, windows, recovered)
    log_traces(trial, windows, fake)
    return {**signals, **judged, **seconds, "windows": float(len(fake.x)), "real_windows": float(len(real.x))}


@recorded
def score_as_published(trial: Trial) -> Mapping[str, float]:
    """Measure the same windows as the paper does."""
    from tasks.eeg.eeg_artifact_synthesis import published

    windows, real, fake, seconds = _both_sides(trial)
    sides = published.compared(trial.method, windows.microvolts(real.x), fake.x, windows.rate)
    signals = published.measured(sides, windows.rate)
    log_spectra(trial, *published.spectra(sides, windows.rate))
    return {**signals, **seconds, "windows": float(len(sides.fake)), "real_windows": float(len(sides.real))}


def _both_sides(trial: Trial) -> tuple[Problem, Labelled, Labelled, dict[str, float]]:
    """The data, real windows of one half of the test split, as many synthetic ones, and the seconds that these took if made here."""
    from tasks.eeg.eeg_artifact_synthesis.labelled_windows import class_counts, drawn, halves, problem
    from tasks.eeg.eeg_artifact_synthesis.synthesis import synthetic

    windows = problem(trial)
    fake, seconds = synthetic(trial, windows)
    seed = trial.seed_for("test halves")
    first, _ = halves(windows.test, seed)
    return windows, drawn(first, class_counts(windows, trial.params.windows, seed), trial.seed_for("test windows")), fake, seconds


def log_spectra(trial: Trial, real: Spectrum, fake: Spectrum) -> None:
    """Densities of the synthetic windows over frequency, mean over channels, and, up to the last band, what they are of the real ones'."""
    for frequency, true, found in zip(real.frequencies.tolist(), real.density.mean(0).tolist(), fake.density.mean(0).tolist(), strict=True):
        if 0.0 < frequency < BANDS[-1].high:  # each segment is taken less its mean
            trial.log(frequency, psd=found, psd_ratio=found / true)
        elif frequency:
            trial.log(frequency, psd=found)


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
