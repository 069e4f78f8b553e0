"""The sizes at which the task runs, and what a trial costs there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.task import Experiment, Grid, Resources, Scale
from tasks.blocks.hardware import H100
from tasks.blocks.memory import DecoderSize, gib

MUP = ("sqrt-width", "constant", "linear-width")
_STANDARD = "standard-parametrisation"
_RATED, _DECAYED = ("sqrt-width", "constant", _STANDARD), ("sqrt-width",)
_MULTIPLIERS = {"lr_multiplier": (0.25, 0.5, 1.0, 2.0, 4.0), "decay_multiplier": (0.0625, 0.25, 1.0, 4.0, 16.0)}
_LOWER = {"gpu": (0.0625, 0.125), "paper": (0.015625, 0.03125, 0.0625, 0.125)}
"""More of the rates that the standard parametrisation is swept over: its best one falls by an octave or more a doubling of the width."""

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


def _lower(lm: Experiment, base: Point, widths: Sequence[int], rates: Sequence[float]) -> Grid:
    return Grid(lm, view="sweep", points=[base], axes={"width": widths, "lr_multiplier": rates}, methods=(_STANDARD,), data="text-bpe")


_LAPTOP_SWEEP = {"batch": 16, "steps": 400, "schedule": "cosine", "lr": 0.04, "vector_lr": 0.04, "head_lr": 0.04, "decay": 0.2}
_GPU = {"base_width": 128, "depth": 2, "head_dim": 64, "length": 128, "batch": 32, "steps": 1200, "warmup": 100, "precision": "bfloat16"}
_GPU_LM = _GPU | {"lr": 0.01, "vector_lr": 0.01, "head_lr": 0.01, "decay": 2.5}
_GPU_SWEEP = _GPU_LM | {"decay": 0.5, "steps": 600, "schedule": "cosine"}
_GPU_PAIR = {"steps": 3200, "base_width": 64, "lr": 0.01, "decay": 2.0}
_PAPER_LM: dict[str, Any] = {
    **{"base_width": 256, "depth": 12, "head_dim": 64, "length": 1024, "batch": 128, "steps": 10_000, "warmup": 500},
    **{"lr": 0.004, "vector_lr": 0.004, "head_lr": 0.004, "decay": 0.5, "eval_windows": 1024, "precision": "bfloat16"},
}
_PAPER_PAIR = _GPU_PAIR | {"steps": 6400}
_GPU_SHARE, _PAPER_SHARE = Resources(cpus=1, gpus=1 / 12), Resources(cpus=4, gpus=1)


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
        *_sweep(lm, _GPU_SWEEP, (128, 256, 512, 1024), "text-bpe"),
        _lower(lm, _GPU_SWEEP, (128, 256, 512, 1024), _LOWER["gpu"]),
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
            methods=(*MUP, _STANDARD),
            data="text-bpe",
        ),
        _lower(lm, _PAPER_LM | {"schedule": "cosine"}, widths, _LOWER["paper"]),
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
            description="Widths 128 to 1024, a two-block decoder on BPE tokens, twelve trials to a card; "
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
_VOCABULARY = {"gpu": 4096, "paper": 4096}
"""Tokens of the scale's text: a BPE, or bytes."""
_CROWDED = 3.0
"""What eleven others on the card make of the time that launches take, at gpu scale."""


def seconds_ffn(scale: str, _method: str, params: Mapping[str, Any]) -> float:
    """Expected seconds of a trial of the pair: measured on one core of an EPYC server, and on an H100 with twelve trials on it."""
    entries, tokens = 8.0 * float(params["width"]) ** 2, float(params["batch"])
    if scale in _SHARES:
        launches = 3.5e-3 * (_CROWDED if scale == "gpu" else 1.0)
        return 3.0 + float(params["steps"]) * (launches + _gpu_arithmetic(tokens, entries, _SHARES[scale]))
    return 0.1 + float(params["steps"]) * (1.2e-4 + 8e-11 * tokens * entries)


def seconds_lm(scale: str, _method: str, params: Mapping[str, Any]) -> float:
    """The same of the decoder: fixed cost of a step + traffic of activations + multiply-adds, on bytes; BPE tokens on a GPU."""
    width, depth, tokens = float(params["width"]), float(params["depth"]), float(params["batch"] * params["length"])
    if scale in _SHARES:
        entries = 12.25 * depth * width**2 + _VOCABULARY[scale] * width
        launches = (7e-4 + 1.7e-3 * depth) * (_CROWDED if scale == "gpu" else 1.0)
        launches *= size(scale, params).parts(params["batch"], params["length"], params["precision"])
        return 3.0 + float(params["steps"]) * (launches + _gpu_arithmetic(tokens, entries, _SHARES[scale]))
    entries = 12.25 * depth * width**2 + 256 * width
    return 0.1 + float(params["steps"]) * (4e-4 + (6e-4 + 5.5e-8 * tokens * width) * depth + 7e-11 * tokens * entries)


def _gpu_arithmetic(tokens: float, entries: float, share: float) -> float:
    """6 FLOPs an entry and token at 200 TFLOP/s of the trial's share."""
    return 6.0 * tokens * entries / (2e14 * share)


def size(scale: str, params: Mapping[str, Any]) -> DecoderSize:
    """Of the decoder of a trial, on the text of its scale."""
    return DecoderSize(width=params["width"], depth=params["depth"], head_dim=params["head_dim"], vocab_size=_VOCABULARY.get(scale, 256))


def memory_ffn(_scale: str, _method: str, params: Mapping[str, Any]) -> float:
    """Peak GiB of a trial of the pair: AdamW's four numbers a weight, and one matrix in double precision, three times, for its spectrum."""
    weights = 8.0 * float(params["width"]) ** 2
    return gib(16.0 * weights + 3.0 * 8.0 * weights / 2.0 + 4.0 * 1024 * 12.0 * float(params["width"]))


def memory_lm(scale: str, _method: str, params: Mapping[str, Any]) -> float:
    """The same of the decoder: a step on one part of the batch, or losses over 64 windows at once."""
    decoder, length, arithmetic = size(scale, params), params["length"], params["precision"]
    part = -(-params["batch"] // decoder.parts(params["batch"], length, arithmetic))
    return gib(max(decoder.training(part * length, arithmetic), decoder.evaluation(min(64, params["eval_windows"]) * length)))
