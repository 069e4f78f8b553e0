"""Metrics of a trial, and the leaderboard's columns: one number a method and seed."""

from __future__ import annotations

from harness.task import Metric, Statistic
from tasks.llm.optimizers_under_quantization.estimates import QatDrop, Selected, mmr_slope
from tasks.llm.optimizers_under_quantization.ladder import METRICS as RUNGS

SCHEME_NAMES = ("w4a4", "w8a8", "w4a16", "w4a4-rotated", "w4a16-gptq", "w4a4-gptq")
_NATS = "nats/token"


def rise(scheme: str) -> str:
    """The metric that holds the rise of the validation loss under a scheme."""
    return f"rise_{scheme.replace('-', '_')}"


METRICS = (
    Metric("val_loss", _NATS, "lower", "of the trained network, before any post-training quantization; sweeps select on it"),
    Metric("test_loss", _NATS, "lower", "the same on the test split; selects nothing"),
    Metric("train_loss", _NATS, "lower", "mean over the last tenth of the steps"),
    Metric("hidden_parameters", "parameters", "none", "entries of the hidden matrices: N of the scaling law"),
    Metric("tokens", "tokens", "none", "that the network was trained on"),
    *(Metric(rise(name), _NATS, "lower", f"rise of the validation loss under {name}") for name in SCHEME_NAMES),
    Metric("test_rise_w4a4", _NATS, "lower", "rise of the test loss under w4a4"),
    Metric("r_l", "ratio", "lower", "R_L: relative squared error behind the final norm under w4a4"),
    Metric("share_a", "ratio", "none", "mean A / R over linear layers and blocks: error carried over from the input"),
    Metric("share_b", "ratio", "none", "mean B / R: error added by the module"),
    Metric("share_c", "ratio", "none", "mean C / R: interaction, may be negative"),
    Metric("accumulated", "ratio", "none", "share of linear layers and blocks in which A is the largest of A, B, |C|"),
    Metric("gain", "ratio", "lower", "G = A_l / R_(l-1) of linear layers, geometric mean"),
    Metric("gain_spectral", "ratio", "none", "G1 of linear layers, geometric mean"),
    Metric("gain_alignment", "ratio", "none", "G2 of linear layers, geometric mean"),
    Metric("gain_rounding", "ratio", "none", "G3 of linear layers: what rounding their own inputs adds, geometric mean"),
    Metric("log_spectral", "nats", "none", "mean |log G1|"),
    Metric("log_alignment", "nats", "none", "mean |log G2|"),
    Metric("log_rounding", "nats", "none", "mean |log G3|"),
    Metric("mmr_median", "ratio", "lower", "max / median of non-zero |h| of a row, inputs of the linear layers"),
    Metric("mmr_mean", "ratio", "lower", "max / mean of |h| of a row"),
    Metric("kurtosis", "ratio", "lower", "of a row, 3 for a Gaussian"),
    *(Metric(name, _NATS, "lower", f"rise under w4a4 of the first checkpoint at {rung:.2f} nats or less") for name, rung in RUNGS.items()),
)

_LOWER = {"val_loss", "test_loss", "r_l", "mmr_median", "mmr_mean", "kurtosis", "test_rise_w4a4", *map(rise, SCHEME_NAMES)}
_SELECTED = (
    *("val_loss", "test_loss", *map(rise, SCHEME_NAMES), "test_rise_w4a4", "r_l", "mmr_median", "mmr_mean", "kurtosis"),
    *("share_a", "share_b", "share_c", "accumulated", "gain", "gain_spectral", "gain_alignment", "gain_rounding"),
)

STATISTICS = (
    *(
        Statistic(
            name=f"selected_{name}",
            estimate=Selected(name),
            better="lower" if name in _LOWER else "none",
            description=f"{name} of the trial of lowest validation loss",
        )
        for name in _SELECTED
    ),
    Statistic(
        name="qat_drop",
        estimate=QatDrop(),
        unit="%",
        better="lower",
        description="4-bit QAT loss over its own full-precision loss, minus one",
    ),
    Statistic(name="mmr_slope", estimate=mmr_slope(), description="d log MMR (median) / d log learning rate"),
    Statistic(name="mmr_mean_slope", estimate=mmr_slope("mmr_mean"), description="the same with the mean"),
)
