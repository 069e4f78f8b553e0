"""Grokking at the Edge of Numerical Stability: perp-Grad, StableMax and softmax collapse (Prieto et al., arXiv 2501.04697)."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.bounds import CORRELATION, POSITIVE, SHARE
from harness.sweeps import Sweep
from harness.task import Experiment, Figure, Grid, Method, Metric, Paper, Phase, Resources, Scale, Task, param
from tasks.blocks.hardware import H100
from tasks.blocks.memory import gib
from tasks.grokking.grokking_stablemax.claims import (
    ADAMW,
    DTYPES,
    FLOOR,
    PERP,
    ROLLED,
    SOFTMAX16,
    SOFTMAX64,
    STABLEMAX,
    claims,
)

_RUN = "tasks.grokking.grokking_stablemax.experiment"
_Point = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Training:
    """Parameters of a training; the optimizer is AdamW on all training pairs at once."""

    p: int = param(47, "modulus: p^2 pairs, p classes", low=3, high=1000)
    width: int = param(128, "units of each of the two hidden layers", unit="units", low=2, high=100_000)
    fraction: float = param(0.5, "share of the pairs that it is trained on", low=0.01, high=0.9)
    held_out: float = param(0.1, "share of the pairs that validate", low=0.01, high=0.5)
    lr: float = param(0.01, "learning rate", low=1e-7, high=100.0)
    decay: float = param(0.0, "decoupled weight decay", low=0.0, high=1000.0)
    steps: int = param(300, "steps", unit="steps", low=1, high=10_000_000)
    beta2: float = param(0.999, "of the second moment", low=0.0, high=0.99999)
    eps: float = param(1e-8, "beside the root of the second moment", low=0.0, high=1.0)


@dataclass(frozen=True, kw_only=True)
class Arithmetic:
    """Parameters of a threshold."""

    dtype: str = param("float32", "arithmetic of softmax", choices=DTYPES)


def _alike(method: str, p: _Point) -> Hashable:
    """Shapes, the loss and the gradient, Adam's constants, and the points at which all are measured."""
    program = PERP if method == FLOOR else method
    return program, p["p"], p["width"], p["fraction"], p["held_out"], p["steps"], p["beta2"], p["eps"]


def _seconds(scale: str, method: str, p: _Point) -> float:
    """By the products of a step."""
    step, product = (2e-4, 6e-11) if scale in ("smoke", "laptop") else (5e-6, 3e-13)
    products = p["fraction"] * p["p"] ** 2 * p["width"] * (p["width"] + p["p"])
    return float(0.05 + p["steps"] * (step + product * products * (1.5 if method in (STABLEMAX, SOFTMAX64) else 1.0)))


def _memory(scale: str, method: str, p: _Point) -> float:  # noqa: ARG001 - one signature for all tasks
    """A dozen numbers an activation of all pairs, in float64 where it is measured, and AdamW's four a weight."""
    return gib(60.0 * p["p"] ** 2 * (2 * p["width"] + p["p"]) + 16.0 * p["width"] * (p["width"] + 3 * p["p"]))


def _share(name: str, description: str, better: Any = "higher") -> Metric:
    return Metric(name, "share", better, description, counted=True, bounds=SHARE)


def _steps(name: str, description: str, better: Any = "none", split: Any = "train") -> Metric:
    return Metric(name, "steps", better, description, censored=True, bounds=POSITIVE, split=split)


train = Experiment(
    "train",
    params=Training,
    metrics=(
        _share("test_accuracy", "after the last step"),
        _share("val_accuracy", "after the last step"),
        _share("train_accuracy", "after the last step"),
        Metric("train_loss", "nats", "lower", "of the loss that is trained", bounds=POSITIVE),
        _steps("steps", "until test accuracy is 0.95", "lower", "test"),
        _steps("fit_steps", "until training accuracy is 0.999"),
        *(_share(f"collapse_{name}", f"training pairs whose softmax has collapsed in {name}", "none") for name in DTYPES),
        *(_steps(f"steps_{name}", f"until half of them have in {name}") for name in DTYPES),
        Metric("alignment", "cosine", "none", "of the last layer's descent and its weights", bounds=CORRELATION),
        Metric("alignment_rise", "cosine", "none", "since the start"),
        Metric("norm_ratio", "ratio", "none", "of all weights, end over start", bounds=POSITIVE),
    ),
    run_batch=f"{_RUN}:train",
    alike=_alike,
    tuned=Sweep(("lr", "decay"), by=("val_accuracy",)),
    seconds=_seconds,
    memory=_memory,
    figures=[
        Phase(
            id="plane",
            title="Test accuracy over rate and decay",
            x="lr",
            y="decay",
            z="test_accuracy",
            level=0.5,
            view="plane",
            along="peak",
            log_x=True,
            log_y=True,
        ),
        Figure(id="rates", title="Test accuracy over the learning rate", x="lr", y="test_accuracy", view="main", log_x=True),
        *(
            Figure(id=f"{y}-steps", title=f"{y} while training", x="step", y=y, view="main", where={"lr": 0.01}, log_x=True)
            for y in ("train_accuracy", "test_accuracy")
        ),
        *(
            Figure(id=f"collapse-{name}", title=f"Collapsed in {name}", x="step", y=f"collapse_{name}", view="collapse", log_x=True)
            for name in DTYPES
        ),
        Figure(id="alignment", title="Descent along the weights", x="step", y="alignment", view="main", where={"lr": 0.01}, log_x=True),
    ],
    methods=(ADAMW, PERP, ROLLED, STABLEMAX, SOFTMAX16, SOFTMAX64, FLOOR),
    summary="ReLU networks on modular addition",
)
threshold = Experiment(
    "threshold",
    params=Arithmetic,
    metrics=(
        Metric("gap", "nats", "none", "between two logits where their softmax collapses", split="none"),
        Metric("gap_error", "", "zero", "over log(2 / eps), less 1", split="none"),
    ),
    run=f"{_RUN}:threshold",
    methods=(SOFTMAX64,),
    seconds=lambda *_: 0.02,
    memory=lambda *_: gib(1e6),
    exact=True,
    summary="where the softmax of two logits collapses",
)


def _scale(
    what: str,
    seeds: int,
    point: _Point,
    rates: Sequence[float],
    decays: Sequence[float],
    late: _Point,
    long: Sequence[Grid] = (),
    plane: Sequence[float] = (),
) -> Scale:
    """`late`: the networks whose collapse is followed; `long`: grids of those that are trained long; `plane`: its rates."""
    gpus = 1.0 if "GPU" in what else 0.0
    grids = [
        Grid(train, view="main", points=[point], axes={"lr": rates}, methods=(ADAMW, PERP, ROLLED, FLOOR)),
        Grid(train, view="plane", points=[point], axes={"lr": plane or rates, "decay": [0.0, *decays]}, methods=(ADAMW, PERP)),
        Grid(train, view="collapse", points=[{**point, **late}], methods=(SOFTMAX64,)),
        *long,
        Grid(threshold, axes={"dtype": DTYPES}),
    ]
    about: _Point = {"time_limit_s": 7200.0 if gpus else 120.0, "resources": Resources(gpus=gpus), "hardware": H100 if gpus else None}
    return Scale(description=what, grids=grids, seeds=seeds, **about)


_RATES, _DECAYS = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1), (0.1, 0.3, 1.0, 3.0, 10.0)
_FINE = [round(1e-3 * 10 ** (i / 9), 6) for i in range(20)]
_PUBLISHED: _Point = {"p": 113, "width": 200, "fraction": 0.4}
_FIGURE_2: _Point = {"lr": 5e-4, "eps": 1e-30}
_LATE: _Point = {"lr": 0.01, "eps": 1e-30, "beta2": 0.9}
"""A second moment that forgets the large gradients of before: otherwise the logits all but stop growing, long before float32 rounds."""


def _lasting(steps: int, short: int) -> list[Grid]:
    """Figures 1 and 4 (StableMax and softmax at rate 0.01) and 2 (softmax in three arithmetics at 0.0005)."""
    return [
        Grid(train, view="long", points=[{**_PUBLISHED, "lr": 0.01, "steps": steps}], methods=(STABLEMAX, ADAMW)),
        Grid(train, view="bits", points=[{**_PUBLISHED, **_FIGURE_2, "steps": short}], methods=(SOFTMAX16, ADAMW, SOFTMAX64)),
    ]


TASK = Task(
    id="grokking-stablemax",
    version=1,
    paper=Paper(
        arxiv="2501.04697",
        title="Grokking at the Edge of Numerical Stability",
        year=2025,
        authors="Lucas Prieto, Melih Barsbey, Pedro A. M. Mediano, Tolga Birdal",
        code="https://github.com/LucasPrietoAl/grokking-at-the-edge-of-numerical-stability",
    ),
    summary="Whether gradients across the weights, and a softmax that does not round its loss away, end the delay of generalisation.",
    methods=[
        Method(ADAMW, "baseline", "softmax cross-entropy in float32"),
        Method(PERP, "proposed", "the gradient of each matrix without what lies along the matrix, as long as before"),
        Method(ROLLED, "control", "the same without what lies along the rolled matrix: another direction of equal length"),
        Method(STABLEMAX, "proposed", "linear and reciprocal terms instead of exponentials"),
        Method(SOFTMAX16, "control", "softmax in float16"),
        Method(SOFTMAX64, "control", "softmax in float64"),
        Method(FLOOR, "floor", "perp-grad on random labels: chance"),
    ],
    experiments=(train, threshold),
    scales={
        "smoke": _scale("p = 7, 30 steps: does it run", 2, {"p": 7, "width": 16, "steps": 30}, _RATES[2:4], (1.0,), _LATE),
        "laptop": _scale("p = 47, 300 steps, 5 rates by 6 decays; 2 CPU cores", 5, {}, _RATES, _DECAYS, {**_LATE, "steps": 800}),
        "gpu": _scale(
            "p = 113, 300 steps, 20 rates by 16 decays, 20,000 steps of StableMax; one GPU",
            5,
            {**_PUBLISHED, "beta2": 0.99},
            _RATES,
            [round(0.1 * 10 ** (i / 5), 3) for i in range(15)],
            {**_LATE, "steps": 2000},
            _lasting(20_000, 20_000),
            _FINE,
        ),
        "paper": _scale(
            "p = 113, the authors' settings; GPUs",
            5,
            {**_PUBLISHED, "beta2": 0.99},
            _RATES,
            _DECAYS,
            {**_FIGURE_2, "steps": 20_000},
            _lasting(100_000, 20_000),
        ),
    },
    claims=claims(train, threshold),
)
