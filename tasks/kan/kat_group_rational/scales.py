"""The sizes at which the task runs, and what a trial costs there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.task import Experiment, Grid, Resources, Scale
from tasks.blocks.hardware import H100
from tasks.blocks.memory import gib, parts_of, transformer_kept
from tasks.kan.kat_group_rational.methods import DESIGNS, SCHEDULED

TIMED = ("mlp-gelu", "mlp-swiglu", "kat-released", "kat-ungrouped", "kan-spline")
"""A start costs nothing, so the others' steps are those of these. mlp-gelu is timed against itself: the floor of the noise."""
SWEPT = ("mlp-gelu", "mlp-swiglu", "mlp-gelu-vp", "kat-released", "kat-vp")
"""What claims compare."""

_GPU = {"head_dim": 64, "precision": "bfloat16"}
_GPU_LM = _GPU | {"width": 256, "depth": 4, "length": 256, "batch": 32}
_GPU_RUN = {"warmup": 50, "steps": 1000}
_PAPER = _GPU | {"depth": 12, "lr": 1e-3}
_PAPER_LM = _PAPER | {"width": 768, "length": 1024}
_PAPER_VIT = _PAPER | {"patch": 16, "smoothing": 0.1}
_SHARES = {"gpu": Resources(cpus=1, gpus=0.125), "paper": Resources(cpus=16, gpus=1)}


def scales(lm: Experiment, vit: Experiment, lm_cost: Experiment, vit_cost: Experiment) -> dict[str, Scale]:
    """The four scales."""
    gpu_rates = {"lr": (3e-4, 1e-3, 3e-3)}
    return {
        "smoke": Scale(
            description="Does it run: two blocks of width 32 on bytes and on 8 x 8 digits, one learning rate",
            grids=[
                Grid(lm, points=[{"steps": 60, "eval_examples": 64}], data="text"),
                Grid(vit, points=[{"patch": 2, "batch": 32, "steps": 60}], data="digits"),
                Grid(lm_cost, points=[{"rounds": 6}], data="text"),
                Grid(vit_cost, points=[{"patch": 2, "batch": 32, "rounds": 6}], methods=TIMED, data="digits"),
            ],
            seeds=3,
            time_limit_s=60,
        ),
        "laptop": Scale(
            description="Two blocks of width 32 on bytes and on Fashion-MNIST, three learning rates for every method; "
            "steps timed at width 64",
            grids=[
                Grid(lm, points=[{"warmup": 40}], axes={"lr": (3e-3, 6e-3, 1.2e-2)}, data="text"),
                Grid(
                    vit,
                    points=[{"warmup": 40, "patch": 7, "batch": 48, "eval_examples": 2000}],
                    axes={"lr": (2e-3, 4e-3, 8e-3)},
                    data="fashion-mnist",
                ),
                Grid(lm_cost, points=[{"width": 64}], data="text"),
                Grid(vit_cost, points=[{"width": 64, "patch": 7, "batch": 48}], methods=TIMED, data="fashion-mnist"),
            ],
            seeds=5,
            time_limit_s=300,
        ),
        "gpu": Scale(
            description="Width 256 on bytes and width 192 on Fashion-MNIST, eight trials to a card; "
            "schedules of the backward timed on 196 patches",
            grids=[
                Grid(lm, points=[_GPU_LM | _GPU_RUN], axes=gpu_rates, methods=SWEPT, data="text"),
                Grid(
                    vit,
                    points=[_GPU | _GPU_RUN | {"width": 192, "depth": 6, "batch": 128, "eval_examples": 10_000}],
                    axes=gpu_rates,
                    methods=SWEPT,
                    data="fashion-mnist",
                ),
                Grid(lm_cost, points=[_GPU_LM], data="text"),
                Grid(
                    vit_cost,
                    points=[_GPU | {"width": 384, "depth": 2, "patch": 2, "batch": 64, "rounds": 20}],
                    methods=(*TIMED, *SCHEDULED),
                    data="fashion-mnist",
                ),
            ],
            seeds=3,
            time_limit_s=300,
            resources=_SHARES["gpu"],
            hardware=H100,
        ),
        "paper": Scale(
            description="KAT-T, -S and -B on ImageNet-1k for 300 epochs (bring it with --data), a 12-block decoder; "
            "every backward timed at ViT-B",
            grids=[
                Grid(
                    vit,
                    points=[_PAPER_VIT | {"batch": 1024, "steps": 368_000, "warmup": 6_130, "eval_examples": 50_000}],
                    axes={"width": (192, 384, 768)},
                    methods=SWEPT,
                    data="imagenet",
                ),
                Grid(
                    lm,
                    points=[_PAPER_LM | {"batch": 128, "steps": 20_000, "warmup": 1_000, "eval_examples": 1024}],
                    axes=gpu_rates,
                    methods=SWEPT,
                    data="text",
                ),
                Grid(lm_cost, points=[_PAPER_LM | {"batch": 8}], data="text"),
                Grid(vit_cost, points=[_PAPER_VIT | {"width": 768, "batch": 128}], methods=(*TIMED, *SCHEDULED), data="imagenet"),
            ],
            seeds=3,
            time_limit_s=21 * 24 * 3600,
            resources=_SHARES["paper"],
            hardware=H100,
        ),
    }


_SIDE = {"smoke": 8, "laptop": 28, "gpu": 28, "paper": 224}
"""Pixels across an image of each scale."""


def seconds(scale: str, _method: str, params: Mapping[str, Any], *, vision: bool) -> float:
    """Expected seconds of one trial, mean over the methods: measured on a busy core of an EPYC server; on a GPU, estimates for an H200."""
    share = _SHARES[scale].gpus if scale in _SHARES else 0.0
    batch = float(params["batch"])
    tokens = batch * ((_SIDE[scale] // params["patch"]) ** 2 if vision else params["length"])
    step = _gpu_step(params, tokens, share) if share else _cpu_step(params, tokens)
    start = 5.0 if share else 0.1
    if "rounds" in params:
        # Two networks, the activation alone, and on a GPU the slowest schedule, some hundred times the rest.
        return start + step * float(params["rounds"]) * (30.0 if share else 3.0)
    decoding = 5e-4 * batch if vision and scale == "paper" else 0.0
    held_out = 2.0 * float(params["eval_examples"]) / batch * (step / 3.0 + decoding)
    return start + float(params["steps"]) * (step + decoding) + held_out


def _cpu_step(params: Mapping[str, Any], tokens: float) -> float:
    """Fixed cost of a step + traffic of activations, the greater part at these widths."""
    return 2e-3 + 4.2e-7 * tokens * float(params["width"]) * float(params["depth"])


def _gpu_step(params: Mapping[str, Any], tokens: float, share: float) -> float:
    """Launch-bound steps of 1 ms + 3 ms a block, or 6 FLOPs an entry and token at 200 TFLOP/s of the trial's share."""
    entries = 12.0 * float(params["depth"]) * float(params["width"]) ** 2
    return max(1e-3 + 3e-3 * float(params["depth"]), 6.0 * tokens * entries / (2e14 * share))


_CLASSES = {"paper": 1000}
_MLP = {"gelu": "activation", "swiglu": "swiglu", "rational": "rational", "spline": "spline"}


def kept(scale: str, method: str, params: Mapping[str, Any], *, vision: bool) -> float:
    """Bytes that the backward pass of a whole batch keeps. On a GPU the kernel evaluates the rational, which keeps its inputs alone."""
    mlp = _MLP[DESIGNS[method].mlp]
    mlp = "rational-kernel" if mlp == "rational" and scale in _SHARES else mlp
    tokens = params["batch"] * ((_SIDE[scale] // params["patch"]) ** 2 if vision else params["length"])
    sizes = (tokens, params["width"], params["depth"], mlp, params["precision"])
    return transformer_kept(*sizes, decoder=not vision, logits=0 if vision else 256)


def parts(scale: str, method: str, params: Mapping[str, Any], *, vision: bool) -> int:
    """In how many parts a batch is trained: 1 but at paper scale."""
    return parts_of(params["batch"], kept(scale, method, params, vision=vision))


def memory(scale: str, method: str, params: Mapping[str, Any], *, vision: bool) -> float:
    """Expected peak GiB of a trial: AdamW's four numbers a weight, of two networks in a timing, and what backward keeps of a part."""
    timed = "rounds" in params
    cut = 1 if timed else parts(scale, method, params, vision=vision)
    outside = 512 if not vision else _CLASSES.get(scale, 10) + 3 * params["patch"] ** 2
    weights = 12.6 * params["depth"] * params["width"] ** 2 + outside * params["width"]
    # What the baseline of a timing keeps is gone before the other's step begins; its weights stay.
    return gib((2.0 if timed else 1.0) * 16.0 * weights + kept(scale, method, params, vision=vision) / cut)
