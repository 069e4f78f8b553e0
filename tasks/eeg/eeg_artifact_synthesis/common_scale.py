"""The common-scale protocol, ours: both sides in z-scores of the training split, at the true rate, as many windows of each class."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.trial import Trial
from tasks.blocks.training import generator
from tasks.eeg import classify, fidelity, manifold
from tasks.eeg.bands import BANDS, band_error
from tasks.eeg.eeg_artifact_synthesis.labelled_windows import Labelled, Problem, drawn

_LAGS = 64


def signal_metrics(trial: Trial, windows: Problem, real: Labelled, fake: Labelled) -> dict[str, float]:
    """Spectra, covariance, autocorrelation, diversity, and MMD^2 in the features' space with one bandwidth for all methods."""
    p, rate = trial.params, windows.rate
    errors = fidelity.band_errors(real.x, fake.x, rate, segment=p.segment)
    points, stream = (windows.space(real.x), windows.space(fake.x)), generator(trial.seed_for("relabelling"))
    mmd2, mmd_p = fidelity.discrepancy(*points, p.permutations, stream, sigmas=[windows.bandwidth])
    return {
        "band_error": float(errors.mean()),
        **{band_error(band): float(error) for band, error in zip(BANDS, errors, strict=True)},
        "psd_distance": fidelity.psd_distance(real.x, fake.x, rate, segment=p.segment),
        "mmd2": mmd2,
        "mmd_p": mmd_p,
        "diversity": fidelity.diversity(fake.x),
        "covariance_distance": fidelity.covariance_distance(real.x, fake.x),
        "autocorrelation_distance": fidelity.autocorrelation_distance(real.x, fake.x, min(_LAGS, real.x.shape[-1] - 1)),
    }


def class_metrics(windows: Problem, real: Labelled, fake: Labelled, taught: int, seed: int) -> tuple[dict[str, float], classify.Recovery]:
    """What neighbourhoods and classifiers say of the windows and their labels, and the confusion of recovery.

    `taught` training windows of each class, drawn by the seed, are what the synthetic ones are added to.
    """
    rate, classes = windows.rate, len(windows.classes)
    pair = (real.x, real.y, fake.x, fake.y, rate)
    recovered = classify.recovery(*pair, classes=classes)
    known = torch.bincount(windows.train.y, minlength=classes).clamp_max(taught).tolist()
    metrics = {
        **_neighbourhoods(windows.space(real.x), windows.space(fake.x)),
        "recovery_accuracy": recovered.accuracy,
        "recovery_above_chance": recovered.accuracy - 1.0 / classes,
        "tstr_accuracy": classify.tstr(*pair, seed=seed),
        "augmentation_gain": augmentation_gain(drawn(windows.train, known, seed), real, fake, rate, seed),
        "c2st_accuracy": classify.c2st(real.x, fake.x, rate, seed=seed),
    }
    return metrics, recovered


def augmentation_gain(train: Labelled, real: Labelled, fake: Labelled, rate: float, seed: int) -> float:
    """Accuracy on `real` of a classifier of the training and the synthetic windows, less that of one of the training windows alone."""
    both = Labelled(torch.cat([train.x, fake.x]), torch.cat([train.y, fake.y]))
    with_fakes, without = (classify.tstr(real.x, real.y, taught.x, taught.y, rate, seed=seed) for taught in (both, train))
    return with_fakes - without


def _neighbourhoods(real: Tensor, fake: Tensor) -> dict[str, float]:
    """Precision and coverage of points in the features' space."""
    found = manifold.prdc(real, fake)
    return {"precision": found.precision, "coverage": found.coverage}
