"""The sizes at which the task runs, and what a trial costs there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.task import Experiment, Grid, Resources, Scale
from tasks.blocks.hardware import H100

MUP = ("sqrt-width", "constant", "linear-width")
_RATED, _DECAYED = ("sqrt-width", "constant", "standard-parametrisation"), ("sqrt-width",)
_MULTIPLIERS = {"lr_multiplier": (0.25, 0.5, 1.0, 2.0, 4.0), "decay_multiplier": (0.0625, 0.25, 1.0, 4.0, 16.0)}

Point = Mapping[str, Any]


def _spectra(experiment: Experiment, base: Point, data: str | None = None) -> Grid:
    """Three values of eta/lambda, each 4 times the last, at one width; and a redraw of the middle one."""
    points = [*({**base, "balance": c} for c in (0.5, 1.0, 2.0)), {**base, "replicate": 1}]
    return Grid(experiment, view="spectra", points=points, methods=("sqrt-width",), data=data)


def _rules(experiment: Experiment, base: Point, widths: Sequence[int], data: str | None = None) -> Grid:
    return Grid(experiment, view="rules", points=[base], axes={"width": widths}, data=data)


def _sweep(lm: Experiment, base: Point, widths: Sequence[int], data: str) -> list[Grid]:
    """A sweep of the rate and one of the decay; they meet in the middle."""
    return [
        Grid(lm, view="sweep", points=[base], axes={"width": widths, axis: _MULTIPLIERS[axis]}, methods=methods, data=data)
        for axis, methods in (("lr_multiplier", _RATED), ("decay_multiplier", _DECAYED))
    ]


_LAPTOP_SWEEP = {"batch": 16, "steps": 400, "schedule": "cosine", "lr": 0.04, "vector_lr": 0.04, "head_lr": 0.04, "decay": 0.2}
_GPU = {"base_width": 128, "depth": 2, "head_dim": 64, "length": 128, "batch": 32, "steps": 1200, "warmup": 100, "precision": "bfloat16"}
_GPU_LM = _GPU | {"lr": 0.01, "vector_lr": 0.01, "head_lr": 0.01, "decay": 2.5}
_GPU_PAIR = {"steps": 3200, "base_width": 64, "lr": 0.01, "decay": 2.0}
_PAPER_LM: dict[str, Any] = {
    **{"base_width": 256, "depth": 12, "head_dim": 64, "length": 1024, "batch": 128, "steps": 10_000, "warmup": 500},
    **{"lr": 0.004, "vector_lr": 0.004, "head_lr": 0.004, "decay": 0.5, "eval_windows": 1024, "precision": "bfloat16"},
}
_PAPER_PAIR = _GPU_PAIR | {"steps": 6400}
_GPU_SHARE, _PAPER_SHARE = Resources(cpus=1, gpus=0.125), Resources(cpus=4, gpus=1)


def scales(pair: Experiment, lm: Experiment) -> dict[str, Scale]:
    """The four scales."""
    smoke = [
        _rules(pair, {"steps": 600}, (32, 64, 128)),
        _spectra(pair, {"width": 32, "steps": 600}),
        _rules(lm, {"steps": 400}, (32, 64), "text"),
        _spectra(lm, {"width": 32, "steps": 400}, "text"),
    ]
    laptop = [
        _rules(pair, {"steps": 1600}, (32, 64, 128, 256)),
        _spectra(pair, {"width": 64, "steps": 1600}),
        _rules(lm, {}, (32, 64, 128), "text"),
        _spectra(lm, {"width": 64}, "text"),
        *_sweep(lm, _LAPTOP_SWEEP, (16, 32, 64), "text"),
    ]
    gpu = [
        _rules(pair, _GPU_PAIR, (64, 128, 256, 512)),
        _spectra(pair, _GPU_PAIR | {"width": 128}),
        _rules(lm, _GPU_LM, (128, 256, 512, 1024), "text-bpe"),
        _spectra(lm, _GPU_LM | {"width": 256}, "text-bpe"),
        *_sweep(lm, _GPU_LM | {"decay": 0.5, "steps": 600, "schedule": "cosine"}, (128, 256, 512, 1024), "text-bpe"),
    ]
    widths = (256, 512, 1024, 2048)
    paper = [
        _rules(pair, _PAPER_PAIR, (64, 128, 256, 512, 1024)),
        _spectra(pair, _PAPER_PAIR | {"width": 256}),
        _rules(lm, _PAPER_LM, widths, "text-bpe"),
        _spectra(lm, _PAPER_LM | {"width": 512}, "text-bpe"),
        Grid(
            lm,
            view="sweep",
            points=[_PAPER_LM | {"schedule": "cosine"}],
            axes={"width": widths, **_MULTIPLIERS},
            methods=(*MUP, "standard-parametrisation"),
            data="text-bpe",
        ),
    ]
    return {
        "smoke": Scale(
            description="Does it run: two or three widths, short runs, real text; decides C3 against the constant rule in both settings",
            grids=smoke,
            seeds=3,
            time_limit_s=60,
        ),
        "laptop": Scale(
            description="Widths 32 to 256 of the synthetic pair and 32 to 128 of a one-block decoder on bytes; "
            "rate and decay sweeps at 16 to 64",
            grids=laptop,
            seeds=5,
            time_limit_s=300,
        ),
        "gpu": Scale(
            description="Widths 128 to 1024, a two-block decoder on BPE tokens, eight trials to a card; "
            "rate and decay sweeps at each width",
            grids=gpu,
            seeds=3,
            time_limit_s=300,
            resources=_GPU_SHARE,
            hardware=H100,
        ),
        "paper": Scale(
            description="The paper's widths, 256 to 2048, with a full grid of rate x decay; bring 1.3 billion tokens with --data",
            grids=paper,
            seeds=3,
            time_limit_s=12 * 3600,
            resources=_PAPER_SHARE,
            hardware=H100,
        ),
    }


_SHARES = {"gpu": _GPU_SHARE.gpus, "paper": _PAPER_SHARE.gpus}
"""Of a card that one trial has."""


def seconds_ffn(scale: str, _method: str, params: Mapping[str, Any]) -> float:
    """Expected seconds of a trial of the pair: measured on one core of an EPYC server; on a GPU, launches and FLOPs of an H200."""
    entries, tokens = 8.0 * float(params["width"]) ** 2, float(params["batch"])
    if scale in _SHARES:
        return 3.0 + float(params["steps"]) * max(1.5e-3, _gpu_arithmetic(tokens, entries, _SHARES[scale]))
    return 0.1 + float(params["steps"]) * (1.2e-4 + 8e-11 * tokens * entries)


def seconds_lm(scale: str, _method: str, params: Mapping[str, Any]) -> float:
    """The same of the decoder: fixed cost of a step + traffic of activations + multiply-adds, on bytes; BPE tokens on a GPU."""
    width, depth, tokens = float(params["width"]), float(params["depth"]), float(params["batch"] * params["length"])
    if scale in _SHARES:
        entries = 12.25 * depth * width**2 + 4096 * width
        return 3.0 + float(params["steps"]) * max(1e-3 + 2.5e-3 * depth, _gpu_arithmetic(tokens, entries, _SHARES[scale]))
    entries = 12.25 * depth * width**2 + 256 * width
    return 0.1 + float(params["steps"]) * (4e-4 + (6e-4 + 5.5e-8 * tokens * width) * depth + 7e-11 * tokens * entries)


def _gpu_arithmetic(tokens: float, entries: float, share: float) -> float:
    """6 FLOPs an entry and token at 200 TFLOP/s of the trial's share."""
    return 6.0 * tokens * entries / (2e14 * share)
