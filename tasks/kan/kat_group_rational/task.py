"""WHAT: does a learned rational in the MLP's place help a transformer, and what does it cost? KAT, arXiv 2409.10594."""

from __future__ import annotations

from harness.task import Method, Metric, Paper, Task
from tasks.kan.kat_group_rational.claims import CLAIMS
from tasks.kan.kat_group_rational.columns import STATISTICS
from tasks.kan.kat_group_rational.figures import FIGURES
from tasks.kan.kat_group_rational.params import Params
from tasks.kan.kat_group_rational.scales import SCALES, seconds

METHODS = (
    Method("kat-released", "proposed", "GR-KAN: identity-rational, fc1, swish-rational, fc2; weights N(0, 0.02^2), as the code trains"),
    Method("kat-vp", "proposed", "the same with the variance-preserving start that the paper describes: N(0, alpha/d_in)"),
    Method("kat-gelu", "proposed", "kat-released with the second rational fitted to GELU (for the form that the kernels evaluate)"),
    Method("mlp-gelu", "baseline", "fc1, GELU, fc2; weights N(0, 0.02^2)"),
    Method("mlp-swiglu", "baseline", "SwiGLU with as many parameters"),
    Method("mlp-gelu-vp", "control", "mlp-gelu with the variance-preserving start: what the start alone does"),
    Method("kat-ungrouped", "rival", "kat-released with one denominator for all channels (safe PAU)"),
    Method("kan-spline", "rival", "two layers of cubic B-splines with as many parameters"),
    Method("kat-two-stage", "proposed", "timed on CUDA: coefficient gradients summed in two stages, without atomics"),
    Method("kat-per-tile-atomic", "rival", "timed on CUDA: one atomic addition a tile and coefficient (FlashKAT)"),
    Method("kat-per-element-atomic", "rival", "timed on CUDA: one atomic addition an element and coefficient (KAT's first kernel)"),
)

METRICS = (
    Metric("val_loss", "nats", "lower", "cross-entropy on the validation split (lm: fixed windows); chooses the learning rate"),
    Metric("test_loss", "nats", "lower", "the same on the test split; selects nothing"),
    Metric("train_loss", "nats", "lower", "mean over the last tenth of the steps (with label smoothing where that is on)"),
    Metric("val_accuracy", "percent", "higher", "vit: top-1 on the validation split"),
    Metric("test_accuracy", "percent", "higher", "vit: top-1 on the test split"),
    Metric("parameters", "count", "none", "numbers that are trained, of the whole network"),
    Metric("step_seconds", "s", "lower", "median time of a training step: depends on the machine and on what else it runs"),
    Metric("step_ratio", "ratio", "lower", "median over rounds of its step over a step of mlp-gelu that runs next to it"),
    Metric("activation_ratio", "ratio", "lower", "forward and backward of the activation alone over those of GELU, (tokens, 4 d)"),
    Metric("coefficient_gradient_error", "ratio", "lower", "||g - g64|| / ||g64|| of the second rational's coefficient gradients"),
)

TASK = Task(
    id="kat-group-rational",
    version=1,
    paper=Paper(
        arxiv="2409.10594",
        title="Kolmogorov-Arnold Transformer",
        year=2024,
        authors="Yang, Wang",
        code="https://github.com/Adamdad/kat",
    ),
    params=Params,
    methods=METHODS,
    metrics=METRICS,
    scales=SCALES,
    claims=CLAIMS,
    statistics=STATISTICS,
    figures=FIGURES,
    run="tasks.kan.kat_group_rational.experiment:run",
    seconds=seconds,
    summary="Whether a learned group-wise rational beats GELU in a transformer's MLP at equal parameters, or its initialisation does.",
)
