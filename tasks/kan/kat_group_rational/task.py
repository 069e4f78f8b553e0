"""WHAT: does a learned rational in the MLP's place help a transformer, and what does it cost? KAT, arXiv 2409.10594."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from harness.bounds import PERCENT, POSITIVE
from harness.sweeps import Sweep
from harness.task import Experiment, Figure, Metric, Paper, Task, param
from tasks.kan.kat_group_rational.claims import claims
from tasks.kan.kat_group_rational.methods import METHODS, RATIONAL, SCHEDULED, TRAINED
from tasks.kan.kat_group_rational.scales import TIMED, memory, scales, seconds


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network and how a step of it is taken. The defaults are laptop scale."""

    width: int = param(32, "model width d", unit="channels", low=8, high=8192)
    depth: int = param(2, "blocks", unit="blocks", low=1, high=128)
    head_dim: int = param(16, "width of one attention head", unit="channels", low=2, high=256)
    groups: int = param(8, "groups of channels that share a denominator; divides the width", unit="groups", low=1, high=1024)
    batch: int = param(8, "sequences or images of a step", unit="examples", low=1, high=65536)
    lr: float = param(3e-3, "peak learning rate of every parameter", low=1e-7, high=10.0)
    decay: float = param(0.05, "decoupled weight decay of matrices and rational coefficients", low=0.0, high=1e4)
    attention_init: str = param(
        "normal",
        "attention of every method alike. normal: N(0, 0.02^2); mimetic: W_q W_k ~ 0.7 noise + 0.7 I, W_v W_out ~ 0.4 noise - 0.4 I",
        choices=("normal", "mimetic"),
    )
    precision: str = param(
        "float32", "arithmetic of the forward pass (bfloat16: autocast; weights stay in float32)", choices=("float32", "bfloat16")
    )


@dataclass(frozen=True, kw_only=True)
class Decoder(Network):
    """A decoder on text."""

    length: int = param(64, "tokens of a training sequence", unit="tokens", low=2, high=65536)


@dataclass(frozen=True, kw_only=True)
class Vision(Network):
    """A vision transformer on labelled images."""

    attention_init: str = param("mimetic", "see the decoder's", choices=("normal", "mimetic"))
    patch: int = param(4, "side of a patch; divides the image", unit="pixels", low=1, high=64)
    smoothing: float = param(0.0, "label smoothing of the training loss", low=0.0, high=0.9)


@dataclass(frozen=True, kw_only=True)
class Training:
    """A training run."""

    steps: int = param(400, "optimizer steps, the same for every method", unit="steps", low=2, high=10_000_000)
    warmup: int = param(20, "steps of linear warm-up before a cosine to a tenth", unit="steps", low=0, high=1_000_000)
    eval_examples: int = param(
        256, "windows or images, evenly spread, that val and test are measured on (at most all)", unit="examples", low=1, high=10_000_000
    )


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Steps timed in turns with those of mlp-gelu."""

    rounds: int = param(12, "timed steps of each of the two networks", unit="steps", low=3, high=10_000)


@dataclass(frozen=True, kw_only=True)
class DecoderTraining(Training, Decoder):
    """Train a decoder."""


@dataclass(frozen=True, kw_only=True)
class VisionTraining(Training, Vision):
    """Train a vision transformer."""


@dataclass(frozen=True, kw_only=True)
class DecoderTiming(Timing, Decoder):
    """Time a decoder."""


@dataclass(frozen=True, kw_only=True)
class VisionTiming(Timing, Vision):
    """Time a vision transformer."""


_positive = partial(Metric, bounds=POSITIVE)


def _losses(unit: str) -> list[Metric]:
    return [
        _positive("val_loss", unit, "lower", "cross-entropy on the validation split; chooses the learning rate"),
        _positive("test_loss", unit, "lower", "the same on the test split; selects nothing"),
        _positive("train_loss", unit, "lower", "mean over the last tenth of the steps (with label smoothing where that is on)"),
        _positive("parameters", "count", "none", "numbers that are trained, of the whole network", split="none"),
    ]


ACCURACIES = [
    Metric("val_accuracy", "percent", "higher", "top-1 on the validation split", counted=True, bounds=PERCENT),
    Metric("test_accuracy", "percent", "higher", "top-1 on the test split", counted=True, bounds=PERCENT),
]
COSTS = [
    _positive("step_ratio", "ratio", "lower", "median over rounds of its step over a step of mlp-gelu that runs next to it", timed=True),
    _positive("step_seconds", "s", "lower", "median time of a training step: depends on the machine and on what else it runs", timed=True),
    _positive(
        "activation_ratio",
        "ratio",
        "lower",
        "forward and backward of the activation alone over those of GELU, (tokens, 4 d)",
        methods=(*RATIONAL, "kan-spline"),
        timed=True,
    ),
    _positive(
        "coefficient_gradient_error",
        "ratio",
        "lower",
        "||g - g64|| / ||g64|| of the second rational's coefficient gradients",
        methods=RATIONAL,
        split="none",
    ),
]


def _curves(name: str, where: str) -> list[Figure]:
    rates = "Every method is taken at its own lowest point, seed by seed."
    return [
        Figure(id=f"rate-{name}", title=f"Learning rate, {where}", x="lr", y="val_loss", log_x=True, caption=rates),
        Figure(
            id=f"curve-{name}",
            title=f"Training loss, {where}",
            x="step",
            y="train_loss",
            caption="Mean over the learning rates of the scale.",
        ),
    ]


def _steps(name: str, where: str) -> list[Figure]:
    return [Figure(id=f"cost-{name}", title=f"Step over GELU step, {where}", x="width", y="step_ratio", log_y=True)]


_TRAIN, _TIME = "tasks.kan.kat_group_rational.experiment:run", "tasks.kan.kat_group_rational.cost:run"
trained = partial(Experiment, methods=TRAINED, tuned=Sweep("lr", by="val_loss"), run=_TRAIN)

LM = trained(
    "lm",
    summary="a decoder on text: an extension, the paper has no language model",
    params=DecoderTraining,
    metrics=_losses("nats/token"),
    seconds=partial(seconds, vision=False),
    memory=partial(memory, vision=False),
    figures=_curves("lm", "language model"),
)
VIT = trained(
    "vit",
    summary="a vision transformer on labelled images",
    params=VisionTraining,
    metrics=[*_losses("nats"), *ACCURACIES],
    seconds=partial(seconds, vision=True),
    memory=partial(memory, vision=True),
    figures=_curves("vit", "vision transformer"),
)
timed = partial(Experiment, metrics=COSTS, run=_TIME)
LM_COST = timed(
    "lm-cost",
    params=DecoderTiming,
    methods=TIMED,
    seconds=partial(seconds, vision=False),
    memory=partial(memory, vision=False),
    figures=_steps("lm", "language model"),
)
VIT_COST = timed(
    "vit-cost",
    params=VisionTiming,
    methods=(*TIMED, *SCHEDULED),
    seconds=partial(seconds, vision=True),
    memory=partial(memory, vision=True),
    figures=_steps("vit", "vision transformer"),
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
    methods=METHODS,
    experiments=(LM, VIT, LM_COST, VIT_COST),
    scales=scales(LM, VIT, LM_COST, VIT_COST),
    claims=claims(LM, VIT, LM_COST, VIT_COST),
    summary="Whether a learned group-wise rational beats GELU in a transformer's MLP at equal parameters, or its initialisation does.",
)
