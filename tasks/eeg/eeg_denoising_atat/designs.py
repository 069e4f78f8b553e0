"""Names of the methods by what they need."""

from __future__ import annotations

AUTOENCODER = "ae-only"
TARGETED = ("at-at", "at-everywhere", "at-no-adversary", "at-budget")
"""An autoencoder, a gate and a transformer, trained."""
PASS_THROUGH = "at-pass-through"
TRAINED_AS = {PASS_THROUGH: "at-at"}
"""Whose training a method stands on that cleans in another way with the same networks."""
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
