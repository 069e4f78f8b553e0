"""WHAT: does the optimizer decide how well a network takes 4-bit quantization? Beyond Outliers, arXiv 2509.23500."""

from __future__ import annotations

from harness.task import Method, Paper, Task
from tasks.llm.optimizers_under_quantization.claims import CLAIMS
from tasks.llm.optimizers_under_quantization.columns import METRICS, STATISTICS
from tasks.llm.optimizers_under_quantization.figures import FIGURES
from tasks.llm.optimizers_under_quantization.params import Params
from tasks.llm.optimizers_under_quantization.scales import SCALES, seconds

METHODS = (
    Method("shampoo", "proposed", "L^(-1/4) M R^(-1/4), steps of a fixed RMS: the paper's winner under quantization"),
    Method("adamw", "baseline", "torch's AdamW on every parameter"),
    Method("muon", "rival", "Newton-Schulz steps along the Nesterov momentum, RMS matched to AdamW"),
    Method("psgd", "rival", "PSGD with a Kronecker-factored triangular preconditioner"),
    Method("scion", "rival", "unconstrained Scion: the spectral-norm oracle of the momentum"),
    Method("soap", "rival", "Adam in Shampoo's eigenbasis"),
)

TASK = Task(
    id="optimizers-under-quantization",
    version=1,
    paper=Paper(arxiv="2509.23500", title="Beyond Outliers: A Study of Optimizers Under Quantization", year=2025),
    params=Params,
    methods=METHODS,
    metrics=METRICS,
    scales=SCALES,
    claims=CLAIMS,
    statistics=STATISTICS,
    figures=FIGURES,
    run="tasks.llm.optimizers_under_quantization.experiment:run",
    seconds=seconds,
    summary="How the optimizer that a language model was trained with decides what 4-bit quantization costs it.",
)
