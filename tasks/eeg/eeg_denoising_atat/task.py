"""WHAT: does an autoencoder that says where a transformer is needed clean EEG as well as larger networks? AT-AT, arXiv 2502.05332."""

from __future__ import annotations

from harness.task import Method, Paper, Task
from tasks.eeg.eeg_denoising_atat.claims import CLAIMS
from tasks.eeg.eeg_denoising_atat.columns import STATISTICS
from tasks.eeg.eeg_denoising_atat.figures import FIGURES
from tasks.eeg.eeg_denoising_atat.metrics import METRICS
from tasks.eeg.eeg_denoising_atat.params import Params, requires_training
from tasks.eeg.eeg_denoising_atat.scales import SCALES, seconds

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

TASK = Task(
    id="eeg-denoising-atat",
    version=1,
    paper=Paper(
        arxiv="2502.05332",
        title="Removing Neural Signal Artifacts with Autoencoder-Targeted Adversarial Transformers (AT-AT)",
        year=2025,
        authors="B. J. Choi",
    ),
    params=Params,
    methods=METHODS,
    metrics=METRICS,
    scales=SCALES,
    claims=CLAIMS,
    statistics=STATISTICS,
    figures=FIGURES,
    requires=requires_training,
    run="tasks.eeg.eeg_denoising_atat.experiment:run",
    seconds=seconds,
    summary="Artifact removal by an autoencoder that targets a transformer: a re-construction, as neither code nor sizes are public.",
)
