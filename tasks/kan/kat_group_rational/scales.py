"""The sizes at which the task runs, and what a trial costs there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.task import Grid, Resources, Scale
from tasks.kan.kat_group_rational.designs import SCHEDULED, TRAINED

TIMED = ("mlp-gelu", "mlp-swiglu", "kat-released", "kat-ungrouped", "kan-spline")
"""A start costs nothing, so the others' steps are those of these. mlp-gelu is timed against itself: the floor of the noise."""
SWEPT = ("mlp-gelu", "mlp-swiglu", "mlp-gelu-vp", "kat-released", "kat-vp")
"""What claims compare."""

_LM: dict[str, Any] = {"setting": "lm"}
_VIT: dict[str, Any] = {"setting": "vit", "attention_init": "mimetic"}
_COST = {"part": "cost"}

_SMOKE_LM = _LM | {"steps": 60, "eval_examples": 64, "rounds": 6}
_SMOKE_VIT = _VIT | {"patch": 2, "batch": 32, "steps": 60, "rounds": 6}
SMOKE = Scale(
    description="Does it run: two blocks of width 32 on bytes and on 8 x 8 digits, one learning rate",
    grids=[
        Grid(points=[_SMOKE_LM], methods=TRAINED, data="text"),
        Grid(points=[_SMOKE_VIT], methods=TRAINED, data="digits"),
        Grid(points=[_SMOKE_LM | _COST], methods=TIMED, data="text"),
        Grid(points=[_SMOKE_VIT | _COST], methods=TIMED, data="digits"),
    ],
    seeds=3,
    time_limit_s=60,
)

_LAPTOP_LM = _LM | {"warmup": 40}
_LAPTOP_VIT = _VIT | {"warmup": 40, "patch": 7, "batch": 48, "eval_examples": 2000}
LAPTOP = Scale(
    description="Two blocks of width 32 on bytes and on Fashion-MNIST, three learning rates for every method; steps timed at width 64",
    grids=[
        Grid(points=[_LAPTOP_LM], axes={"lr": (3e-3, 6e-3, 1.2e-2)}, methods=TRAINED, data="text"),
        Grid(points=[_LAPTOP_VIT], axes={"lr": (2e-3, 4e-3, 8e-3)}, methods=TRAINED, data="fashion-mnist"),
        Grid(points=[_LAPTOP_LM | _COST | {"width": 64}], methods=TIMED, data="text"),
        Grid(points=[_LAPTOP_VIT | _COST | {"width": 64}], methods=TIMED, data="fashion-mnist"),
    ],
    seeds=5,
    time_limit_s=300,
)

_GPU = {"head_dim": 64, "precision": "bfloat16", "warmup": 50, "steps": 1000}
_GPU_LM = _LM | _GPU | {"width": 256, "depth": 4, "length": 256, "batch": 32}
_GPU_VIT = _VIT | _GPU | {"width": 192, "depth": 6, "batch": 128, "eval_examples": 10_000}
_GPU_COST = _VIT | _COST | {"width": 384, "depth": 2, "head_dim": 64, "patch": 2, "batch": 64, "precision": "bfloat16", "rounds": 20}
GPU = Scale(
    description="Width 256 on bytes and width 192 on Fashion-MNIST, eight trials to a card; schedules of the backward timed on 196 patches",
    grids=[
        Grid(points=[_GPU_LM], axes={"lr": (3e-4, 1e-3, 3e-3)}, methods=SWEPT, data="text"),
        Grid(points=[_GPU_VIT], axes={"lr": (3e-4, 1e-3, 3e-3)}, methods=SWEPT, data="fashion-mnist"),
        Grid(points=[_GPU_LM | _COST], methods=TIMED, data="text"),
        Grid(points=[_GPU_COST], methods=(*TIMED, *SCHEDULED), data="fashion-mnist"),
    ],
    seeds=3,
    time_limit_s=300,
    resources=Resources(cpus=1, gpus=0.125),
)

_PAPER = {"head_dim": 64, "depth": 12, "precision": "bfloat16", "lr": 1e-3}
_PAPER_VIT = _VIT | _PAPER | {"patch": 16, "batch": 1024, "smoothing": 0.1, "steps": 368_000, "warmup": 6_130, "eval_examples": 50_000}
_PAPER_LM = _LM | _PAPER | {"width": 768, "length": 1024, "batch": 128, "steps": 20_000, "warmup": 1_000, "eval_examples": 1024}
PAPER = Scale(
    description="KAT-T, -S and -B on ImageNet-1k for 300 epochs (bring it with --data), a 12-block decoder; every backward timed at ViT-B",
    grids=[
        Grid(points=[_PAPER_VIT], axes={"width": (192, 384, 768)}, methods=SWEPT, data="imagenet"),
        Grid(points=[_PAPER_LM], axes={"lr": (3e-4, 1e-3, 3e-3)}, methods=SWEPT, data="text"),
        Grid(points=[_PAPER_LM | _COST | {"batch": 8}], methods=TIMED, data="text"),
        Grid(points=[_PAPER_VIT | _COST | {"width": 768, "batch": 128}], methods=(*TIMED, *SCHEDULED), data="imagenet"),
    ],
    seeds=3,
    time_limit_s=21 * 24 * 3600,
    resources=Resources(cpus=16, gpus=1),
)

SCALES = {"smoke": SMOKE, "laptop": LAPTOP, "gpu": GPU, "paper": PAPER}


_SIDE = {"smoke": 8, "laptop": 28, "gpu": 28, "paper": 224}
"""Pixels across an image of each scale."""


def seconds(scale: str, _method: str, params: Mapping[str, Any]) -> float:
    """Expected seconds of one trial, mean over the methods: measured on a busy core of an EPYC server; on a GPU, estimates for an H200."""
    share = SCALES[scale].resources.gpus
    vit, batch = params["setting"] == "vit", float(params["batch"])
    tokens = batch * ((_SIDE[scale] // params["patch"]) ** 2 if vit else params["length"])
    step = _gpu_step(params, tokens, share) if share else _cpu_step(params, tokens)
    start = 5.0 if share else 0.1
    if params["part"] == "cost":
        # Two networks, the activation alone, and on a GPU the slowest schedule, some hundred times the rest.
        return start + step * float(params["rounds"]) * (30.0 if share else 3.0)
    decoding = 5e-4 * batch if vit and scale == "paper" else 0.0
    held_out = 2.0 * float(params["eval_examples"]) / batch * (step / 3.0 + decoding)
    return start + float(params["steps"]) * (step + decoding) + held_out


def _cpu_step(params: Mapping[str, Any], tokens: float) -> float:
    """Fixed cost of a step + traffic of activations, the greater part at these widths."""
    return 2e-3 + 4.2e-7 * tokens * float(params["width"]) * float(params["depth"])


def _gpu_step(params: Mapping[str, Any], tokens: float, share: float) -> float:
    """Launch-bound steps of 1 ms + 3 ms a block, or 6 FLOPs an entry and token at 200 TFLOP/s of the trial's share."""
    entries = 12.0 * float(params["depth"]) * float(params["width"]) ** 2
    return max(1e-3 + 3e-3 * float(params["depth"]), 6.0 * tokens * entries / (2e14 * share))
