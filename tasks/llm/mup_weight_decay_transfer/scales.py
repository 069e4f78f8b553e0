"""The sizes at which the task runs, and what a trial costs there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.task import Grid, Resources, Scale

MUP = ("sqrt-width", "constant", "linear-width")
_FFN = {"setting": "ffn", "batch": 64, "warmup": 0, "lr": 0.02, "decay": 1.0}


def _spectra(base: dict[str, Any], data: str | None) -> Grid:
    """Three values of eta/lambda, each 4 times the last, at one width; and a redraw of the middle one."""
    points = [base | {"part": "spectra", "balance": c} for c in (0.5, 1.0, 2.0)] + [base | {"part": "spectra", "replicate": 1}]
    return Grid(points=points, methods=("sqrt-width",), data=data)


def _sweep(base: dict[str, Any], widths: Sequence[int], data: str, decayed: Sequence[str], rated: Sequence[str]) -> list[Grid]:
    """Rate sweep for the methods of `rated`, decay sweep for those of `decayed`; they meet in the middle."""
    point = [base | {"part": "sweep"}]
    return [
        Grid(points=point, axes={"width": widths, "lr_multiplier": (0.25, 0.5, 1.0, 2.0, 4.0)}, methods=rated, data=data),
        Grid(points=point, axes={"width": widths, "decay_multiplier": (0.0625, 0.25, 1.0, 4.0, 16.0)}, methods=decayed, data=data),
    ]


SMOKE = Scale(
    description="Does it run: two or three widths, short runs, real text; decides C3 against the constant rule in both settings",
    grids=[
        Grid(points=[_FFN | {"steps": 600}], axes={"width": (32, 64, 128)}, methods=MUP),
        _spectra(_FFN | {"width": 32, "steps": 600}, None),
        Grid(points=[{"steps": 400}], axes={"width": (32, 64)}, data="text"),
        _spectra({"width": 32, "steps": 400}, "text"),
    ],
    seeds=3,
    time_limit_s=60,
)

_LAPTOP_SWEEP = {"batch": 16, "steps": 400, "schedule": "cosine", "lr": 0.04, "vector_lr": 0.04, "head_lr": 0.04, "decay": 0.2}
LAPTOP = Scale(
    description="Widths 32 to 256 of the synthetic pair and 32 to 128 of a one-block decoder on bytes; rate and decay sweeps at 16 to 64",
    grids=[
        Grid(points=[_FFN | {"steps": 1600}], axes={"width": (32, 64, 128, 256)}, methods=MUP),
        _spectra(_FFN | {"width": 64, "steps": 1600}, None),
        Grid(axes={"width": (32, 64, 128)}, data="text"),
        _spectra({"width": 64}, "text"),
        *_sweep(
            _LAPTOP_SWEEP,
            (16, 32, 64),
            "text",
            decayed=("sqrt-width",),
            rated=("sqrt-width", "constant", "standard-parametrisation"),
        ),
    ],
    seeds=5,
    time_limit_s=300,
)

_GPU = {"base_width": 128, "depth": 2, "head_dim": 64, "length": 128, "batch": 32, "steps": 1200, "warmup": 100, "precision": "bfloat16"}
_GPU_RATES = {"lr": 0.01, "vector_lr": 0.01, "head_lr": 0.01}
_GPU_LM = _GPU | _GPU_RATES | {"decay": 2.5}
GPU = Scale(
    description="Widths 128 to 1024, a two-block decoder on BPE tokens, eight trials to a card; rate and decay sweeps at every width",
    grids=[
        Grid(points=[_FFN | {"steps": 3200, "base_width": 64, "lr": 0.01, "decay": 2.0}], axes={"width": (64, 128, 256, 512)}, methods=MUP),
        _spectra(_FFN | {"width": 128, "base_width": 64, "steps": 3200, "lr": 0.01, "decay": 2.0}, None),
        Grid(points=[_GPU_LM], axes={"width": (128, 256, 512, 1024)}, data="text-bpe"),
        _spectra(_GPU_LM | {"width": 256}, "text-bpe"),
        *_sweep(
            _GPU_LM | {"decay": 0.5, "steps": 600, "schedule": "cosine"},
            (128, 256, 512, 1024),
            "text-bpe",
            decayed=("sqrt-width",),
            rated=("sqrt-width", "constant", "standard-parametrisation"),
        ),
    ],
    seeds=3,
    time_limit_s=300,
    resources=Resources(cpus=1, gpus=0.125),
)

_PAPER = {
    "base_width": 256,
    "depth": 12,
    "head_dim": 64,
    "length": 1024,
    "batch": 128,
    "steps": 10_000,
    "warmup": 500,
    "precision": "bfloat16",
}
_PAPER_LM = _PAPER | {"lr": 0.004, "vector_lr": 0.004, "head_lr": 0.004, "decay": 0.5, "eval_windows": 1024}
PAPER = Scale(
    description="The paper's widths, 256 to 2048, with a full grid of rate x decay; bring 1.3 billion tokens with --data",
    grids=[
        Grid(
            points=[_FFN | {"steps": 6400, "base_width": 64, "lr": 0.01, "decay": 2.0}],
            axes={"width": (64, 128, 256, 512, 1024)},
            methods=MUP,
        ),
        _spectra(_FFN | {"width": 256, "base_width": 64, "steps": 6400, "lr": 0.01, "decay": 2.0}, None),
        Grid(points=[_PAPER_LM], axes={"width": (256, 512, 1024, 2048)}, data="text-bpe"),
        _spectra(_PAPER_LM | {"width": 512}, "text-bpe"),
        Grid(
            points=[_PAPER_LM | {"part": "sweep", "schedule": "cosine"}],
            axes={
                "width": (256, 512, 1024, 2048),
                "lr_multiplier": (0.25, 0.5, 1.0, 2.0, 4.0),
                "decay_multiplier": (0.0625, 0.25, 1.0, 4.0, 16.0),
            },
            methods=(*MUP, "standard-parametrisation"),
            data="text-bpe",
        ),
    ],
    seeds=3,
    time_limit_s=12 * 3600,
    resources=Resources(cpus=4, gpus=1),
)

SCALES = {"smoke": SMOKE, "laptop": LAPTOP, "gpu": GPU, "paper": PAPER}


def seconds(scale: str, _method: str, params: Mapping[str, Any]) -> float:
    """Expected seconds of one trial: measured on one core of an EPYC server; on a GPU, launches and FLOPs of an H200."""
    share = SCALES[scale].resources.gpus
    return _gpu_seconds(params, share) if share else _cpu_seconds(params)


def _matrix_entries(params: Mapping[str, Any], vocab: int) -> float:
    width = float(params["width"])
    if params["setting"] == "ffn":
        return 8.0 * width**2
    return 12.25 * float(params["depth"]) * width**2 + vocab * width


def _tokens(params: Mapping[str, Any]) -> float:
    return float(params["batch"] * (1 if params["setting"] == "ffn" else params["length"]))


def _cpu_seconds(params: Mapping[str, Any]) -> float:
    """Fixed cost of a step + traffic of activations + multiply-adds, on bytes."""
    width, tokens, entries = params["width"], _tokens(params), _matrix_entries(params, 256)
    if params["setting"] == "ffn":
        step = 1.2e-4 + 8e-11 * tokens * entries
    else:
        step = 4e-4 + (6e-4 + 5.5e-8 * tokens * width) * float(params["depth"]) + 7e-11 * tokens * entries
    return 0.1 + float(params["steps"]) * step


def _gpu_seconds(params: Mapping[str, Any], share: float) -> float:
    """Launch-bound steps of about 1 ms + 2.5 ms a block, or 6 FLOPs an entry and token at 200 TFLOP/s of the trial's share."""
    ffn = params["setting"] == "ffn"
    launches = 1.5e-3 if ffn else 1e-3 + 2.5e-3 * params["depth"]
    arithmetic = 6.0 * _tokens(params) * _matrix_entries(params, 4096) / (2e14 * share)
    return 3.0 + float(params["steps"]) * max(launches, arithmetic)
