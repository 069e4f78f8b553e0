"""Parameters of the task, and which trial stands on which."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.task import Requirement, param
from tasks.eeg.eeg_denoising_atat.designs import AUTOENCODER, NETWORKED, TARGETED, TRAINED_AS


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a network is trained. One training serves every level and mix at which it is scored."""

    artifact: str = param("emg", "what contaminates: emg (muscle) or eog (eye)", choices=("emg", "eog"))
    samples: int = param(0, "epochs are cut into windows of so many samples (0: whole epochs)", unit="samples", low=0, high=1_000_000)
    windows: int = param(
        24_000, "training windows seen by each method, repeats counted; at-*: half by the autoencoder", unit="windows", low=2, high=10**9
    )
    batch: int = param(40, "windows of a step", unit="windows", low=2, high=65_536)
    lr: float = param(1e-3, "peak learning rate", low=1e-7, high=1.0)
    optimizer: str = param("adam", "optimizer of every network", choices=("adam", "rmsprop"))
    schedule: str = param("cosine", "learning rate over the training; cosine: to 0", choices=("cosine", "constant"))
    dropout: float = param(0.3, "dropout of fcnn, cnn and rnn", low=0.0, high=0.99)
    pairings: int = param(10, "random pairings of the training epochs, fixed before training", low=1, high=1000)
    clean_share: float = param(0.2, "share of training and validation windows left without artifact", low=0.0, high=0.99)
    width: float = param(
        1.0, "at-*, ae-only: multiplier of all channel counts (16 in the autoencoder, 32 in the transformer)", low=0.25, high=64.0
    )
    segment: int = param(256, "at-*: stretch that is sent to the transformer or not", unit="samples", low=16, high=1_000_000)
    threshold: float = param(0.9, "at-* without a budget: a segment is sent where corr(noisy, autoencoder) is below", low=-1.0, high=1.0)
    budget: float = param(0.5, "at-budget: share of the validation segments that its threshold sends", low=0.01, high=1.0)
    adversarial: float = param(0.01, "at-at, at-everywhere, at-budget: weight of the adversarial term beside the MSE", low=0.0, high=100.0)


@dataclass(frozen=True, kw_only=True)
class Params(Training):
    """A training, or a score of what it trained at one level and mix. Methods that learn nothing have scores only."""

    stage: str = param("score", "train: fit a network and keep it; score: clean the test windows", choices=("train", "score"))
    snr: float = param(
        0.0, "score: 10 log10(RMS(x) / RMS(lambda n)), twice of which is the usual power ratio in dB", unit="dB", low=-60.0, high=60.0
    )
    contaminated: float = param(1.0, "score: share of the test windows that carry an artifact; the others are clean", low=0.0, high=1.0)
    test_windows: int = param(300, "score: test windows (0: all)", unit="windows", low=0, high=10_000_000)
    slow_windows: int = param(20, "score: the same for eemd, which is slow: the first of them", unit="windows", low=1, high=10_000_000)


_GATE = ("segment", "threshold", "budget", "adversarial")
"""What the training of the autoencoder does not depend on."""


def requires_training(method: str, params: Mapping[str, Any]) -> Requirement | None:
    """A score stands on the training of its method; the training of a transformer on that of its autoencoder, of half the windows."""
    training = {field.name: params[field.name] for field in dataclasses.fields(Training)}
    if method not in NETWORKED:
        return None
    if params["stage"] == "score":
        return Requirement(method=TRAINED_AS.get(method, method), params=training | {"stage": "train"})
    if method not in TARGETED:
        return None
    autoencoder = {name: value for name, value in training.items() if name not in _GATE}
    return Requirement(method=AUTOENCODER, params=autoencoder | {"stage": "train", "windows": autoencoder_windows(params["windows"])})


def autoencoder_windows(windows: int) -> int:
    """The share of a budget of training windows that at-* give their autoencoder: half."""
    return windows // 2
