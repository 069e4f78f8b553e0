"""The numbers that a trial returns."""

from __future__ import annotations

from harness.task import Metric

METRICS = (
    Metric("cc", "", "higher", "correlation of cleaned and clean window, mean over the test windows"),
    Metric("rrmse_temporal", "ratio", "lower", "RMS(cleaned - clean) / RMS(clean), mean over the test windows"),
    Metric("rrmse_spectral", "ratio", "lower", "RMS(PSD cleaned - PSD clean) / RMS(PSD clean), mean over the test windows"),
    Metric("decorrelation", "", "lower", "1 - cc"),
    Metric("cc_sd", "", "none", "standard deviation of cc over the test windows"),
    Metric("cc_mixed", "", "higher", "cc of the windows with an artifact"),
    Metric("cc_clean", "", "higher", "cc of the windows without one: 1 when nothing is done"),
    Metric("share_sent", "ratio", "none", "segments sent to the transformer"),
    Metric("share_sent_mixed", "ratio", "none", "the same of windows with an artifact"),
    Metric("share_sent_clean", "ratio", "none", "the same of windows without one"),
    Metric("proxy_auc", "", "higher", "chance that the proxy is lower on a contaminated segment than on a clean one"),
    Metric("parameters", "count", "none", "learned numbers used in cleaning: the discriminator is not among them"),
    Metric("multiply_adds", "count", "none", "of convolutions and matrix products for one window, the transformer's by the share sent"),
    Metric("train_seconds", "s", "none", "of the training behind it, the autoencoder's included: depends on the machine"),
    Metric("seconds_per_1000", "s", "none", "to clean 1,000 windows: depends on the machine"),
    Metric("train_loss", "", "none", "train: mean over the last steps; MSE, of at-* with the adversarial terms of both players"),
    Metric("val_cc", "", "higher", "train: cc on the validation split, levels and clean share as in training"),
)
