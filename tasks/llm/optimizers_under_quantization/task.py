"""WHAT: does the optimizer decide how well a network takes 4-bit quantization? Beyond Outliers, arXiv 2509.23500."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from harness.bounds import POSITIVE, SHARE
from harness.estimates import Reading, Slope
from harness.task import Better, Experiment, Figure, Method, Metric, Paper, Statistic, Task, param
from tasks.llm.optimizers_under_quantization.claims import BASE_RATES, claims
from tasks.llm.optimizers_under_quantization.ladder import ANNEALED_RISE, RATE, RISE
from tasks.llm.optimizers_under_quantization.ladder import METRICS as RUNGS
from tasks.llm.optimizers_under_quantization.measured import SWEEP, QatDrop
from tasks.llm.optimizers_under_quantization.scales import memory, scales, seconds

METHODS = (
    Method("shampoo", "proposed", "L^(-1/4) M R^(-1/4), steps of a fixed RMS: the paper's winner under quantization"),
    Method("adamw", "baseline", "torch's AdamW on every parameter"),
    Method("muon", "rival", "Newton-Schulz steps along the Nesterov momentum, RMS matched to AdamW"),
    Method("psgd", "rival", "PSGD with a Kronecker-factored triangular preconditioner"),
    Method("scion", "rival", "unconstrained Scion: the spectral-norm oracle of the momentum"),
    Method("soap", "rival", "Adam in Shampoo's eigenbasis"),
)


@dataclass(frozen=True, kw_only=True)
class Training:
    """One training run; the method is its optimizer. The defaults are the base size at laptop scale."""

    width: int = param(128, "model width; a multiple of 128 for QuEST's Hadamard blocks", unit="channels", low=16, high=8192)
    depth: int = param(2, "blocks of the decoder", unit="blocks", low=1, high=128)
    head_dim: int = param(32, "width of one attention head", unit="channels", low=2, high=256)
    length: int = param(64, "tokens of a training sequence", unit="tokens", low=2, high=65536)
    batch: int = param(8, "sequences of a step", unit="sequences", low=1, high=65536)
    steps: int = param(80, "optimizer steps", unit="steps", low=2, high=10_000_000)
    warmup: int = param(8, "steps of linear warm-up", unit="steps", low=0, high=1_000_000)
    lr_multiplier: float = param(1.0, "multiplies every rate of the optimizer's base setting", low=1e-4, high=1e4)
    embedding_multiplier: float = param(1.0, "multiplies the rate of embedding and gains apart", low=1e-4, high=1e4)
    decay_multiplier: float = param(1.0, "multiplies the decay of the hidden matrices", low=0.0, high=1e4)
    precision: str = param("float32", "arithmetic of the training's forward pass (bfloat16: autocast)", choices=("float32", "bfloat16"))
    eval_windows: int = param(96, "windows that losses and rises are means over", unit="windows", low=1, high=100_000)


@dataclass(frozen=True, kw_only=True)
class Quantized(Training):
    """Full precision, quantized on the way and afterwards."""

    probe_every: int = param(8, "steps from one look at the network to the next", unit="steps", low=1, high=1_000_000)
    probe_windows: int = param(48, "validation windows of a look", unit="windows", low=1, high=100_000)
    ladder_top: float = param(2.8, "loss from which on looks quantize, and copies are annealed", unit="nats/token", low=0.0, high=20.0)
    anneal_steps: int = param(8, "steps in which a copy's rates fall to zero", unit="steps", low=1, high=1_000_000)
    calibration_windows: int = param(32, "training windows that GPTQ is calibrated on", unit="windows", low=1, high=100_000)


@dataclass(frozen=True, kw_only=True)
class Aware(Training):
    """QuEST in every forward pass, from scratch."""

    bits: int = param(4, "bits of weights and activations", unit="bits", low=1, high=8)


SCHEMES = ("w4a4", "w8a8", "w4a16", "w4a4_rotated", "w4a16_gptq", "w4a4_gptq")
_NATS = "nats/token"
_positive = partial(Metric, bounds=POSITIVE)
LOSSES = (
    _positive("val_loss", _NATS, "lower", "of the trained network, before any post-training quantization; sweeps select on it"),
    _positive("test_loss", _NATS, "lower", "the same on the test split; selects nothing"),
    _positive("train_loss", _NATS, "lower", "mean over the last tenth of the steps"),
    _positive("hidden_parameters", "parameters", "none", "entries of the hidden matrices: N of the scaling law", split="none"),
    _positive("tokens", "tokens", "none", "that the network was trained on", split="none"),
)
_validated, _ratio = partial(Metric, split="val"), partial(Metric, split="val", bounds=POSITIVE)
_AT_RUNGS: tuple[tuple[str, str, Better, str], ...] = (
    (RISE, _NATS, "lower", "rise under w4a4 of the network on its way"),
    (ANNEALED_RISE, _NATS, "lower", "rise under w4a4 of a copy whose rate was taken to zero"),
    (RATE, "ratio", "none", "share of its peak rate that the network on its way had left"),
)
QUANTIZED = (
    *(_validated(f"rise_{name}", _NATS, "lower", f"rise of the validation loss under {name}") for name in SCHEMES),
    Metric("test_rise_w4a4", _NATS, "lower", "rise of the test loss under w4a4"),
    _ratio("r_l", "ratio", "lower", "R_L: relative squared error behind the final norm under w4a4"),
    _ratio("share_a", "ratio", "none", "mean A / R over linear layers and blocks: error carried over from the input"),
    _ratio("share_b", "ratio", "none", "mean B / R: error added by the module"),
    _validated("share_c", "ratio", "none", "mean C / R: interaction, may be negative"),
    _validated("accumulated", "share", "none", "linear layers and blocks in which A is the largest of A, B, |C|", bounds=SHARE),
    _ratio("gain", "ratio", "lower", "G = A_l / R_(l-1) of linear layers, geometric mean"),
    _positive("gain_spectral", "ratio", "none", "G1 of linear layers, geometric mean"),
    _ratio("gain_alignment", "ratio", "none", "G2 of linear layers, geometric mean"),
    _ratio("gain_rounding", "ratio", "none", "G3 of linear layers: what rounding their own inputs adds, geometric mean"),
    _positive("log_spectral", "nats", "none", "mean |log G1|"),
    _ratio("log_alignment", "nats", "none", "mean |log G2|"),
    _ratio("log_rounding", "nats", "none", "mean |log G3|"),
    _ratio("mmr_median", "ratio", "lower", "max / median of non-zero |h| of a row, inputs of the linear layers"),
    _ratio("mmr_mean", "ratio", "lower", "max / mean of |h| of a row"),
    _ratio("kurtosis", "ratio", "lower", "of a row, 3 for a Gaussian"),
    *(
        _validated(name, unit, better, f"{words} at {rung:.2f} nats, by a line through the checkpoints near", optional=True)
        for family, unit, better, words in _AT_RUNGS
        for name, rung in RUNGS[family].items()
    ),
)


def _columns(experiment: str, metrics: tuple[Metric, ...], view: str = "") -> list[Statistic]:
    """Of the trial of lowest validation loss."""
    return [
        Statistic(
            name=metric.name,
            estimate=Reading(experiment, metric.name, view, sweep=SWEEP),
            unit=metric.unit,
            better=metric.better,
            description=metric.description,
            bounds=metric.bounds,
        )
        for metric in metrics
    ]


def _slope(name: str, metric: str, text: str) -> Statistic:
    return Statistic(name=name, estimate=Slope(metric, "lr_multiplier", BASE_RATES), description=text)


def _over_lr(id: str, title: str, metric: str, caption: str = "") -> Figure:
    return Figure(id=id, title=title, x="lr_multiplier", y=metric, where=BASE_RATES, log_x=True, caption=caption)


_AT_BASE_RATES: dict[str, Any] = {"where": {"lr_multiplier": 1.0, **BASE_RATES}}
_SHOWN = tuple(metric for metric in QUANTIZED if not metric.optional and not metric.name.startswith("log_"))
_RUN = "tasks.llm.optimizers_under_quantization.experiment"

BASE = Experiment(
    "base",
    summary="full precision at the base size, rates swept; what came out is quantized in several ways",
    params=Quantized,
    metrics=(*LOSSES, *QUANTIZED),
    run=f"{_RUN}:base",
    tuned=SWEEP,
    seconds=partial(seconds, afterwards=6.0),
    memory=memory,
    statistics=[
        *_columns("base", (*LOSSES[:2], *_SHOWN)),
        _slope("mmr_slope", "mmr_median", "d log MMR (median) / d log learning rate"),
        _slope("mmr_mean_slope", "mmr_mean", "the same with the mean"),
    ],
    figures=[
        _over_lr("lr-sweep", "Learning-rate sweep", "val_loss", "Each optimizer's rates over its own base setting."),
        _over_lr("rise", "Rise of the loss under W4A4", "rise_w4a4"),
        _over_lr("residual", "R_L under W4A4", "r_l"),
        _over_lr("mmr", "Max-to-median ratio", "mmr_median", "Rising lines are the paper's C6."),
        _over_lr("kurtosis", "Kurtosis", "kurtosis"),
        Figure(id="probe", title="Probe loss on the way", x="step", y="probe_loss", **_AT_BASE_RATES),
        Figure(id="probe-rise", title="Rise under W4A4 on the way", x="step", y="w4a4_rise", **_AT_BASE_RATES),
        Figure(id="annealed-rise", title="Rise under W4A4 of annealed copies", x="step", y="annealed_rise", **_AT_BASE_RATES),
    ],
)
QAT = Experiment(
    "qat",
    summary="quantization-aware training with QuEST from scratch, at the base size and further ones: losses only",
    params=Aware,
    metrics=LOSSES,
    run=f"{_RUN}:qat",
    tuned=SWEEP,
    seconds=partial(seconds, quest=True),
    memory=partial(memory, quest=True),
    statistics=[
        Statistic(
            name="qat_drop",
            estimate=QatDrop(),
            unit="%",
            better="lower",
            description="loss over its own full-precision loss at the base size, minus one",
        ),
        *_columns("qat", LOSSES[:2], "base"),
    ],
    figures=[Figure(id="size-qat", title="Loss over depth, 4-bit QAT", x="depth", y="val_loss", log_x=True, **_AT_BASE_RATES)],
)
LAW = Experiment(
    "law",
    summary="further sizes in full precision for the scaling law: losses only",
    params=Training,
    metrics=LOSSES,
    run=f"{_RUN}:law",
    tuned=SWEEP,
    seconds=seconds,
    memory=memory,
    statistics=_columns("law", LOSSES[:2]),
    figures=[
        Figure(
            id="size-full",
            title="Loss over depth, full precision",
            x="depth",
            y="val_loss",
            log_x=True,
            caption="Without the base size, which has figures of its own.",
            **_AT_BASE_RATES,
        )
    ],
)

TASK = Task(
    id="optimizers-under-quantization",
    version=2,
    paper=Paper(arxiv="2509.23500", title="Beyond Outliers: A Study of Optimizers Under Quantization", year=2025),
    methods=METHODS,
    experiments=(BASE, QAT, LAW),
    scales=scales(BASE, QAT, LAW),
    claims=claims(BASE),
    summary="How the optimizer that a language model was trained with decides what 4-bit quantization costs it.",
)
