"""WHAT: does lambda_2 ∝ sqrt(d) make muP with AdamW transfer across widths? Robust Layerwise Scaling Rules, arXiv 2510.15262."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from harness.bounds import POSITIVE
from harness.estimates import In, Mean
from harness.task import Experiment, Figure, Method, Metric, Paper, Statistic, Task, param
from tasks.llm.mup_weight_decay_transfer.claims import (
    CLAIMS,
    decay_shift,
    gain_slope,
    implied_exponent,
    kappa,
    lr_shift,
    over_widths,
    ratio_slope,
    shape_distance,
    shape_noise,
)
from tasks.llm.mup_weight_decay_transfer.scales import MUP, memory_ffn, memory_lm, scales, seconds_ffn, seconds_lm

METHODS = (
    Method("sqrt-width", "proposed", "eta_2 ∝ 1/d, lambda_2 ∝ sqrt(d): the paper's rule"),
    Method("constant", "baseline", "eta_2 ∝ 1/d, lambda_2 constant: muP with decoupled AdamW"),
    Method("linear-width", "rival", "eta_2 ∝ 1/d, lambda_2 ∝ d: eta*lambda constant, 'independent' decay (arXiv 2510.19093)"),
    Method("standard-parametrisation", "control", "no scaling with the width, standard head, one decay for every parameter"),
    Method("no-decay", "floor", "eta_2 ∝ 1/d, no decay at all"),
)
DECAYED = ("sqrt-width", "constant", "linear-width", "standard-parametrisation")


@dataclass(frozen=True, kw_only=True)
class Params:
    """What both experiments have in common; the rules say what becomes of lr and decay at another width."""

    width: int = param(32, "model width d", unit="channels", low=8, high=8192)
    base_width: int = param(32, "width at which the rules leave lr and decay as they are", unit="channels", low=8, high=8192)
    steps: int = param(700, "optimizer steps, the same at every width: tokens are held fixed", unit="steps", low=2, high=10_000_000)
    schedule: str = param("constant", "after the warm-up; spectra are those of the last step", choices=("constant", "cosine"))
    lr: float = param(0.02, "peak rate of matrix-like parameters (eta_2) at the base width", low=1e-7, high=10.0)
    decay: float = param(1.0, "decoupled decay of matrix-like parameters (lambda_2) at the base width", low=1e-9, high=1e4)
    lr_multiplier: float = param(1.0, "multiplies every rate: the axis of the learning-rate sweep", low=1e-6, high=1e6)
    decay_multiplier: float = param(1.0, "multiplies lambda_2: the axis of the decay sweep", low=1e-6, high=1e6)
    balance: float = param(
        1.0, "c: eta_2 times c and lambda_2 over c, so that eta/lambda moves by c^2 at a fixed eta lambda", low=1e-3, high=1e3
    )
    replicate: int = param(0, "redraws all random numbers of a seed: the noise floor of spectrum distances", low=0, high=1000)


@dataclass(frozen=True, kw_only=True)
class PairParams(Params):
    """A feed-forward pair, width -> 4 width -> width, under injected noise gradients."""

    batch: int = param(64, "vectors of a step", unit="vectors", low=1, high=65536)
    warmup: int = param(0, "steps of linear warm-up", unit="steps", low=0, high=1_000_000)


@dataclass(frozen=True, kw_only=True)
class DecoderParams(Params):
    """A decoder on text. The defaults are the base width at laptop scale."""

    depth: int = param(1, "blocks of the decoder", unit="blocks", low=1, high=128)
    head_dim: int = param(16, "width of one attention head, the same at every model width", unit="channels", low=2, high=256)
    length: int = param(64, "tokens of a training sequence", unit="tokens", low=2, high=65536)
    batch: int = param(8, "sequences of a step", unit="sequences", low=1, high=65536)
    warmup: int = param(30, "steps of linear warm-up", unit="steps", low=0, high=1_000_000)
    vector_lr: float = param(0.02, "peak rate of vector-like parameters (eta_1)", low=1e-7, high=10.0)
    head_lr: float = param(0.02, "peak rate of the head at the base width", low=1e-7, high=10.0)
    precision: str = param(
        "float32", "arithmetic of the forward pass (bfloat16: autocast; weights stay in float32)", choices=("float32", "bfloat16")
    )
    eval_windows: int = param(
        128, "windows of `length` tokens that val_loss and test_loss are means over", unit="windows", low=1, high=100_000
    )


_positive = partial(Metric, bounds=POSITIVE)


def _weights(classes: tuple[str, ...]) -> list[Metric]:
    """What the matrix-like weights look like; without decay nothing can be divided by sqrt(eta/lambda)."""
    normed: dict[str, Any] = {"methods": DECAYED}
    return [
        _positive("horizon", "time constants", "none", "eta*lambda summed over the run: 3 forgets 95 % of the start", split="none"),
        _positive("entry_rms", "weight", "none", "RMS entry of the matrix-like weights, geometric mean"),
        _positive("entry_norm", "weight", "none", "entry_rms / sqrt(eta/lambda): sqrt(1/2) for pure noise in the steady state", **normed),
        _positive("sigma_top", "weight", "none", "top singular value, geometric mean over classes"),
        _positive("sigma_norm", "weight", "none", "sigma_top / sqrt(eta/lambda)", **normed),
        *(Metric(f"sigma_top_{name}", "weight", "none", f"top singular value of {name}") for name in classes),
        *(Metric(f"sigma_norm_{name}", "weight", "none", f"sigma_top_{name} / sqrt(eta/lambda)", **normed) for name in classes),
        _positive("shape_q10", "ratio", "none", "10 % quantile of the singular values over their RMS, geometric mean over the matrices"),
        _positive("shape_q50", "ratio", "none", "median of the singular values over their RMS"),
        _positive("shape_q90", "ratio", "none", "90 % quantile of the singular values over their RMS"),
        _positive("shape_top", "ratio", "none", "top singular value over the RMS"),
    ]


def _statistics(name: str, classes: tuple[str, ...], *sublayers: str) -> list[Statistic]:
    """Slopes over the widths under each rule, and what eta/lambda does to the spectrum at one width."""
    flat = {
        "gain_slope": (gain_slope(name), "d log gain / d log width"),
        **{f"gain_slope_{part}": (over_widths(name, f"gain_{part}"), "") for part in sublayers},
        "sigma_slope": (over_widths(name, "sigma_top"), "d log sigma_top / d log width, mean over the classes of matrices"),
        **{f"sigma_slope_{part}": (over_widths(name, f"sigma_top_{part}"), "") for part in classes},
    }
    described = {
        "kappa": (kappa(name), "exponent of the width in sigma_top / sqrt(eta/lambda)"),
        **{f"kappa_{part}": (kappa(name, part), "") for part in classes},
        "implied_exponent": (implied_exponent(name), "2 kappa - 1: the p of lambda_2 ∝ d^p that would hold sigma_top"),
        "kappa_entry": (over_widths(name, "entry_norm"), "the same for the RMS entry: 0 in the steady state"),
        "ratio_slope": (ratio_slope(name, "sigma_top"), "d log sigma_top / d log(eta/lambda)"),
        "ratio_slope_entry": (ratio_slope(name, "entry_rms"), "the same for the RMS entry"),
    }
    distances = {
        "shape_distance": (shape_distance(name), "of spectra over 16 times eta/lambda"),
        "shape_noise": (shape_noise(name), "floor of shape_distance: two redraws"),
    }
    horizon = "eta*lambda*T, mean over widths: steady above about 3"
    return [
        *(Statistic(name=label, estimate=estimate, better="zero", description=text) for label, (estimate, text) in flat.items()),
        *(Statistic(name=label, estimate=estimate, description=text) for label, (estimate, text) in described.items()),
        *(Statistic(name=label, estimate=estimate, bounds=POSITIVE, description=text) for label, (estimate, text) in distances.items()),
        Statistic(name="horizon", estimate=In(name, Mean("horizon"), "rules"), unit="time constants", bounds=POSITIVE, description=horizon),
    ]


def _over_width(id: str, title: str, metric: str, caption: str = "") -> Figure:
    return Figure(id=id, title=title, x="width", y=metric, view="rules", log_x=True, log_y=True, caption=caption)


def _sweep(axis: str, held: str, width: int) -> Figure:
    name = axis.removesuffix("_multiplier")
    title = f"{'Learning-rate' if name == 'lr' else 'Decay'} sweep at width {width}"
    where = {"width": width, held: 1.0}
    return Figure(id=f"{name}-sweep-{width}", title=title, x=axis, y="val_loss", view="sweep", where=where, log_x=True)


_FLAT = "Flat is what the paper's rule promises."
_PAIR_CLASSES, _DECODER_CLASSES = ("in", "out"), ("qkv", "o", "gate", "up", "down")
_SWEPT_WIDTHS = (16, 32, 64, 128, 256, 512, 1024)

PAIR = Experiment(
    "ffn",
    summary="a feed-forward pair under injected noise gradients: no data, no loss",
    params=PairParams,
    methods=MUP,
    metrics=[_positive("gain", "ratio", "none", "RMS(f(x)) / RMS(x), geometric mean over the second half"), *_weights(_PAIR_CLASSES)],
    run="tasks.llm.mup_weight_decay_transfer.ffn:run",
    seconds=seconds_ffn,
    memory=memory_ffn,
    statistics=_statistics("ffn", _PAIR_CLASSES),
    figures=[
        _over_width("gain-ffn", "Gain of the synthetic pair", "gain", _FLAT),
        _over_width("sigma-ffn", "Top singular value, synthetic pair", "sigma_top"),
        Figure(
            id="curve-ffn",
            title="Gain on the way to the steady state, width 64",
            x="step",
            y="gain",
            view="rules",
            where={"width": 64},
            log_y=True,
        ),
    ],
)
DECODER = Experiment(
    "lm",
    summary="a LLaMA-style decoder on text",
    params=DecoderParams,
    metrics=[
        _positive("val_loss", "nats/token", "lower", "cross-entropy on fixed validation windows; sweeps select on it"),
        _positive("test_loss", "nats/token", "lower", "the same on the test split; selects nothing"),
        _positive("train_loss", "nats/token", "lower", "mean over the last tenth of the steps"),
        _positive("gain", "ratio", "none", "RMS(f(x)) / RMS(x) of the sublayers f, geometric mean; x is the normalised input", split="val"),
        _positive("gain_attention", "ratio", "none", "gain of the attention sublayers", split="val"),
        _positive("gain_mlp", "ratio", "none", "gain of the SwiGLU sublayers", split="val"),
        *_weights(_DECODER_CLASSES),
    ],
    run="tasks.llm.mup_weight_decay_transfer.lm:run",
    seconds=seconds_lm,
    memory=memory_lm,
    statistics=[
        Statistic(
            name="val_loss",
            estimate=In("lm", Mean("val_loss"), "rules"),
            unit="nats/token",
            better="lower",
            bounds=POSITIVE,
            description="mean over widths at the base rates",
        ),
        *_statistics("lm", _DECODER_CLASSES, "attention", "mlp"),
        Statistic(name="lr_shift", estimate=lr_shift(), unit="octaves per doubling", better="zero"),
        Statistic(name="decay_shift", estimate=decay_shift(), unit="octaves per doubling", better="zero"),
    ],
    figures=[
        _over_width("gain-lm", "Sublayer gain of the decoder", "gain", _FLAT),
        _over_width("sigma-lm", "Top singular value, decoder", "sigma_top"),
        _over_width("horizon-lm", "How steady each run is", "horizon", "eta*lambda*T: above 3 the start is forgotten."),
        Figure(id="loss-width", title="Validation loss over width", x="width", y="val_loss", view="rules", log_x=True),
        *(_sweep("lr_multiplier", "decay_multiplier", width) for width in _SWEPT_WIDTHS),
        *(_sweep("decay_multiplier", "lr_multiplier", width) for width in _SWEPT_WIDTHS),
        Figure(id="curve-lm", title="Training loss at width 64", x="step", y="train_loss", view="rules", where={"width": 64}),
    ],
)

TASK = Task(
    id="mup-weight-decay-transfer",
    version=1,
    paper=Paper(
        arxiv="2510.15262",
        title="Robust Layerwise Scaling Rules by Proper Weight Decay Tuning",
        year=2025,
        authors="Fan, Liu, Zhao, Yuan, Gu",
    ),
    methods=METHODS,
    experiments=(PAIR, DECODER),
    scales=scales(PAIR, DECODER),
    claims=CLAIMS,
    summary="How weight decay must grow with the width so that learning rate and decay found on a narrow model serve a wide one.",
)
