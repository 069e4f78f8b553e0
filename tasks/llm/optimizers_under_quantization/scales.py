"""The sizes at which the task runs, and what a trial costs there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.task import Grid, Resources, Scale

FULL, QAT = {"training": "full"}, {"training": "qat"}


def _law(points: Sequence[Mapping[str, Any]], data: str, **axes: Sequence[float]) -> Grid:
    """Further sizes in both kinds of training, at the base rates unless axes say otherwise."""
    return Grid(points=[dict(point) | kind | {"size": "other"} for point in points for kind in (FULL, QAT)], axes=axes, data=data)


_SMOKE = {"depth": 1, "steps": 40, "warmup": 4, "eval_windows": 32, "probe_windows": 16, "probe_every": 6, "ladder_top": 3.0}
SMOKE = Scale(
    description="Does it run: AdamW, Muon and Shampoo on one block, a minute of training in all; too short for a verdict to mean much",
    grids=[Grid(points=[_SMOKE | FULL, _SMOKE | QAT], methods=("adamw", "muon", "shampoo"), data="text")],
    seeds=3,
    time_limit_s=60,
)

LAPTOP = Scale(
    description="Six optimizers on bytes: rates swept and quantized at two blocks; full precision and 4-bit QAT at one, two and three",
    grids=[
        Grid(points=[FULL], axes={"lr_multiplier": (0.5, 1.0, 2.0)}, data="text"),
        Grid(points=[QAT], data="text"),
        _law([{"depth": 1, "steps": 50, "warmup": 5}, {"depth": 3, "steps": 150, "warmup": 15}], "text"),
    ],
    seeds=5,
    time_limit_s=300,
)

_GPU = {
    "head_dim": 64,
    "length": 128,
    "batch": 64,
    "warmup": 60,
    "precision": "bfloat16",
    "probe_every": 20,
    "probe_windows": 64,
    "ladder_top": 6.0,
    "eval_windows": 256,
    "calibration_windows": 128,
}


def _sized(base: Mapping[str, Any], width: int, depth: int, tokens_per_parameter: float) -> dict[str, Any]:
    """A size with as many steps as its tokens ask for."""
    parameters = 12 * depth * width**2
    steps = round(tokens_per_parameter * parameters / (base["batch"] * base["length"]))
    return dict(base) | {"width": width, "depth": depth, "steps": max(steps, 4 * base["warmup"])}


_GPU_BASE = _sized(_GPU, 256, 4, 2.0)
GPU = Scale(
    description="Six optimizers on BPE tokens, 0.8M to 25M hidden parameters at two tokens each; twelve trials to a card",
    grids=[
        Grid(points=[_GPU_BASE | FULL, _GPU_BASE | QAT], axes={"lr_multiplier": (0.5, 1.0, 2.0)}, data="text-bpe"),
        _law([_sized(_GPU, 128, 4, 2.0), _sized(_GPU, 384, 6, 2.0), _sized(_GPU, 512, 8, 2.0)], "text-bpe"),
    ],
    seeds=1,
    time_limit_s=400,
    resources=Resources(cpus=1, gpus=1 / 12),
)

_PAPER = _GPU | {
    "length": 2048,
    "batch": 128,
    "warmup": 500,
    "head_dim": 128,
    "probe_every": 250,
    "probe_windows": 256,
    "eval_windows": 2048,
    "calibration_windows": 256,
}
_SIZES = {"50M": (640, 10), "125M": (768, 18), "350M": (1024, 28), "500M": (1280, 26), "760M": (1536, 27), "1.5B": (2048, 30)}
"""Width and depth whose hidden matrices hold that many parameters; the paper's own shapes are not known to us."""
_RATES = (0.125, 0.25, 0.5, 0.707, 1.0, 1.414, 2.0, 4.0)
_BIG = ("adamw", "muon", "shampoo")
_PAPER_LAW = [_sized(_PAPER, *_SIZES[name], 20.0) for name in ("50M", "125M", "350M", "500M")]
_PAPER_BASE = _sized(_PAPER, *_SIZES["760M"], 20.0)
PAPER = Scale(
    description="50M to 1.5B parameters, 20 tokens each, eight rates a size, decay swept at 50M, three optimizers at 1.5B; 30B tokens",
    grids=[
        Grid(points=[_PAPER_BASE | FULL, _PAPER_BASE | QAT], axes={"lr_multiplier": _RATES}, data="text-bpe"),
        _law(_PAPER_LAW, "text-bpe", lr_multiplier=_RATES),
        _law(_PAPER_LAW[:1], "text-bpe", decay_multiplier=(0.1, 0.3, 1.0, 3.0)),
        Grid(
            points=[_sized(_PAPER, *_SIZES["1.5B"], 20.0) | kind | {"size": "other"} for kind in (FULL, QAT)],
            axes={"lr_multiplier": _RATES},
            methods=_BIG,
            data="text-bpe",
        ),
    ],
    seeds=3,
    time_limit_s=14 * 24 * 3600,
    resources=Resources(cpus=8, gpus=1),
)

SCALES = {"smoke": SMOKE, "laptop": LAPTOP, "gpu": GPU, "paper": PAPER}


def seconds(scale: str, _method: str, params: Mapping[str, Any]) -> float:
    """Expected seconds of one trial: measured on one core of an EPYC server; on a GPU, launches and FLOPs of an H200."""
    share = SCALES[scale].resources.gpus
    step = _gpu_step(params, share) if share else _cpu_step(params)
    afterwards = 5.0 if params["training"] == "full" and params["size"] == "base" else 0.5
    return afterwards + step * float(params["steps"])


def _multiplications(params: Mapping[str, Any]) -> float:
    """Multiply-adds of a step, forward and backward, of the hidden matrices."""
    return 36.0 * float(params["depth"] * params["width"] ** 2 * params["batch"] * params["length"])


def _cpu_step(params: Mapping[str, Any]) -> float:
    """Forward and backward, the mean over the optimizers of what a block costs them, and QuEST's passes over weights and inputs."""
    blocks, wide = float(params["depth"]), float(params["width"]) / 128
    optimizer = 0.022 * blocks * wide * wide * wide
    quest = 0.022 * blocks * wide if params["training"] == "qat" else 0.0
    return 0.006 + optimizer + quest + _multiplications(params) * 3.5e-11


def _gpu_step(params: Mapping[str, Any], share: float) -> float:
    """Launch-bound steps of about 5 ms a block, or 2 FLOPs a multiply-add at 200 TFLOP/s of the trial's share."""
    return max(0.003 + 0.005 * float(params["depth"]), 2.0 * _multiplications(params) / (2e14 * share))
