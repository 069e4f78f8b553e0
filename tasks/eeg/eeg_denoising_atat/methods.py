"""The methods, and their names by what they need."""

from __future__ import annotations

from harness.task import Method

METHODS = (
    Method("do-nothing", "floor", "the noisy window as it is"),
    Method("band-pass", "baseline", "1 to 80 Hz, zero phase"),
    Method("wavelet", "baseline", "soft universal threshold of sym4 details"),
    Method("eemd", "baseline", "ensemble EMD; modes above 25 Hz (EMG) or below 4 Hz (EOG) dropped"),
    Method("fcnn", "baseline", "EEGdenoiseNet: four dense layers as wide as the window"),
    Method("cnn", "baseline", "EEGdenoiseNet's simple CNN: four convolutions of 64 channels and a dense layer"),
    Method("complex-cnn", "baseline", "EEGdenoiseNet's complex CNN: residual convolutions of three kernel sizes and a dense layer"),
    Method("rnn", "baseline", "EEGdenoiseNet: an LSTM of one unit and three dense layers"),
    Method("at-at", "proposed", "autoencoder; transformer with an adversarial term on segments that the autoencoder changed enough"),
    Method("at-pass-through", "control", "at-at's networks; a segment that is not sent is left as it came"),
    Method("ae-only", "control", "the autoencoder alone, trained for as many windows as both parts of at-at"),
    Method("at-everywhere", "control", "at-at without a gate: the transformer on every segment"),
    Method("at-no-adversary", "control", "at-at trained by mean squared error alone"),
    Method("at-budget", "control", "at-at with the threshold that sends a set share of the validation segments"),
)

AUTOENCODER = "ae-only"
TARGETED = ("at-at", "at-everywhere", "at-no-adversary", "at-budget")
"""An autoencoder, a gate and a transformer, trained."""
PASS_THROUGH = "at-pass-through"
TRAINED_AS = {PASS_THROUGH: "at-at"}
"""Whose training a method needs that cleans in another way with the same networks."""
GATED = (*TARGETED, PASS_THROUGH)
PUBLISHED_NETWORKS = ("fcnn", "cnn", "rnn")
"""EEGdenoiseNet's, but for its largest, which is left to scales with a GPU."""
LEARNED = (*TARGETED, AUTOENCODER, *PUBLISHED_NETWORKS, "complex-cnn")
NETWORKED = (*LEARNED, PASS_THROUGH)
CLASSICAL = ("band-pass", "wavelet", "eemd")
FLOOR = "do-nothing"

LEVELS = tuple(float(level) for level in range(-7, 3))
"""The ten test levels of EEGdenoiseNet, dB in its own convention."""
LOWEST, HIGHEST = LEVELS[0], LEVELS[-1]
SHOWN = (LOWEST, HIGHEST)
"""Levels whose example traces and spectra are logged."""


def autoencoder_windows(windows: int) -> int:
    """The share of a budget of training windows that at-* give their autoencoder: half."""
    return windows // 2
