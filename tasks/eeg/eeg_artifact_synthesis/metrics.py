"""The numbers that a trial returns."""

from __future__ import annotations

from harness.task import Metric
from tasks.eeg.bands import BANDS


def band_metric(band: str) -> str:
    """The metric of a band's error."""
    return f"band_error_{band}"


METRICS = (
    Metric("band_error", "ratio", "lower", "relative error of power, mean over the five bands"),
    *(Metric(band_metric(band.name), "ratio", "lower", f"|P_fake - P_real| / P_real, {band.low:g} to {band.high:g} Hz") for band in BANDS),
    Metric("psd_distance", "ratio", "lower", "||S_real - S_fake|| / ||S_real|| of the mean spectra"),
    Metric("mmd2", "", "lower", "MMD^2 of flattened windows; common-scale: unbiased, one bandwidth; as-published: biased, four bandwidths"),
    Metric("mmd_p", "probability", "none", "common-scale: of an MMD^2 so large when both sides are alike, by relabelling"),
    Metric("diversity", "ratio", "none", "1 less the mean correlation of two windows"),
    Metric("covariance_distance", "ratio", "lower", "||C_real - C_fake|| / ||C_real||, Frobenius, of the channels' mean covariance"),
    Metric("autocorrelation_distance", "", "lower", "L2 over lags between the mean autocorrelations"),
    Metric("precision", "ratio", "higher", "synthetic windows inside the neighbourhood of a real one (feature space)"),
    Metric("recall", "ratio", "higher", "real windows inside the neighbourhood of a synthetic one"),
    Metric("density", "ratio", "none", "real neighbourhoods around a synthetic window over those expected"),
    Metric("coverage", "ratio", "higher", "real windows with a synthetic one in their neighbourhood"),
    Metric("recovery_accuracy", "ratio", "higher", "synthetic windows whose nearest real ones are of the class that was asked for"),
    Metric("recovery_above_chance", "ratio", "higher", "recovery_accuracy less 1 / classes"),
    Metric("tstr_accuracy", "ratio", "higher", "train on synthetic, test on real"),
    Metric("trts_accuracy", "ratio", "higher", "train on real, test on synthetic"),
    Metric(
        "augmentation_gain",
        "ratio",
        "higher",
        "accuracy on real windows after training on real and synthetic ones, less that after real ones",
    ),
    Metric("c2st_accuracy", "ratio", "lower", "telling real from synthetic by features; 0.5: cannot be told apart"),
    Metric("windows", "windows", "none", "synthetic windows that were compared"),
    Metric("real_windows", "windows", "none", "real windows that were compared"),
    Metric("train_loss", "", "none", "mean over the last tenth of the steps; of wgan-gp the critic's distance. NaN: diverged"),
    Metric("steps", "steps", "none", "of training, that the budget paid for; of wgan-gp those of the generator"),
    Metric("training_flops", "FLOPs", "none", "forward and backward, counted on one step"),
    Metric("train_seconds", "s", "lower", "of the training steps: depends on the machine and what else it does"),
    Metric("parameters", "count", "none", "learned numbers, of every network that training needs"),
    Metric("sampling_seconds", "s", "lower", "for 1,000 windows: depends on the machine and what else it does"),
)
