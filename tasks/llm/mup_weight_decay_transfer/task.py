"""WHAT: does lambda_2 ∝ sqrt(d) make muP with AdamW transfer across widths? Robust Layerwise Scaling Rules, arXiv 2510.15262."""

from __future__ import annotations

from harness.task import Method, Metric, Paper, Task
from tasks.llm.mup_weight_decay_transfer.claims import CLAIMS
from tasks.llm.mup_weight_decay_transfer.columns import FFN_CLASSES, LM_CLASSES, STATISTICS
from tasks.llm.mup_weight_decay_transfer.figures import FIGURES
from tasks.llm.mup_weight_decay_transfer.params import Params
from tasks.llm.mup_weight_decay_transfer.scales import SCALES, seconds

METHODS = (
    Method("sqrt-width", "proposed", "eta_2 ∝ 1/d, lambda_2 ∝ sqrt(d): the paper's rule"),
    Method("constant", "baseline", "eta_2 ∝ 1/d, lambda_2 constant: muP with decoupled AdamW"),
    Method("linear-width", "rival", "eta_2 ∝ 1/d, lambda_2 ∝ d: eta*lambda constant, 'independent' decay (arXiv 2510.19093)"),
    Method("standard-parametrisation", "control", "no scaling with the width, standard head, one decay for every parameter"),
    Method("no-decay", "floor", "eta_2 ∝ 1/d, no decay at all"),
)

METRICS = (
    Metric("val_loss", "nats/token", "lower", "lm: cross-entropy on fixed validation windows; sweeps select on it"),
    Metric("test_loss", "nats/token", "lower", "lm: the same on the test split; selects nothing"),
    Metric("train_loss", "nats/token", "lower", "lm: mean over the last tenth of the steps"),
    Metric("gain", "ratio", "none", "RMS(f(x)) / RMS(x) of the sublayers f, geometric mean; x is the normalised input"),
    Metric("gain_attention", "ratio", "none", "lm: gain of the attention sublayers"),
    Metric("gain_mlp", "ratio", "none", "lm: gain of the SwiGLU sublayers"),
    Metric("horizon", "time constants", "none", "eta*lambda summed over the run: 3 forgets 95 % of the start"),
    Metric("entry_rms", "weight", "none", "RMS entry of the matrix-like weights, geometric mean"),
    Metric("entry_norm", "weight", "none", "entry_rms / sqrt(eta/lambda): sqrt(1/2) for pure noise in the steady state"),
    Metric("sigma_top", "weight", "none", "top singular value, geometric mean over classes"),
    Metric("sigma_norm", "weight", "none", "sigma_top / sqrt(eta/lambda)"),
    *(Metric(f"sigma_top_{name}", "weight", "none", f"top singular value of {name}") for name in (*FFN_CLASSES, *LM_CLASSES)),
    *(Metric(f"sigma_norm_{name}", "weight", "none", f"sigma_top_{name} / sqrt(eta/lambda)") for name in (*FFN_CLASSES, *LM_CLASSES)),
    Metric("shape_q10", "ratio", "none", "10 % quantile of the singular values over their RMS, geometric mean over the matrices"),
    Metric("shape_q50", "ratio", "none", "median of the singular values over their RMS"),
    Metric("shape_q90", "ratio", "none", "90 % quantile of the singular values over their RMS"),
    Metric("shape_top", "ratio", "none", "top singular value over the RMS"),
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
    params=Params,
    methods=METHODS,
    metrics=METRICS,
    scales=SCALES,
    claims=CLAIMS,
    statistics=STATISTICS,
    figures=FIGURES,
    run="tasks.llm.mup_weight_decay_transfer.experiment:run",
    seconds=seconds,
    summary="How weight decay must grow with the width so that learning rate and decay found on a narrow model serve a wide one.",
)
