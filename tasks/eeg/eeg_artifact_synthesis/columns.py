"""The leaderboard's columns: one number a method and seed."""

from __future__ import annotations

from harness.estimates import Estimate, Mean
from harness.task import Statistic
from tasks.eeg.bands import BANDS
from tasks.eeg.eeg_artifact_synthesis.estimates import AtLargest, scored
from tasks.eeg.eeg_artifact_synthesis.metrics import METRICS, band_metric
from tasks.eeg.eeg_artifact_synthesis.params import COMMON, PUBLISHED

_KNOWN = {metric.name: metric for metric in METRICS}
_COMMON = (
    *("band_error", *(band_metric(band.name) for band in BANDS), "psd_distance", "mmd2", "mmd_p", "covariance_distance"),
    *("autocorrelation_distance", "precision", "recall", "density", "coverage", "recovery_accuracy", "tstr_accuracy", "trts_accuracy"),
    *("augmentation_gain", "c2st_accuracy", "diversity"),
)
_PUBLISHED = ("band_error", "psd_distance", "mmd2", "diversity")
_COSTS = ("steps", "training_flops", "train_seconds", "parameters", "sampling_seconds")


def _column(name: str, metric: str, estimate: Estimate) -> Statistic:
    known = _KNOWN[metric]
    return Statistic(name=name, estimate=estimate, unit=known.unit, better=known.better, description=known.description)


STATISTICS = (
    *(_column(metric, metric, Mean(metric, scored(COMMON))) for metric in _COMMON),
    *(_column(f"published_{metric}", metric, Mean(metric, scored(PUBLISHED))) for metric in _PUBLISHED),
    *(_column(metric, metric, AtLargest(Mean(metric), "budget", {"stage": "train"})) for metric in _COSTS),
)
