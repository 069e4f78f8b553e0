"""The sizes at which the task runs, and what a trial costs there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.task import Experiment, Grid, Resources, Scale
from tasks.blocks.hardware import H100, H200
from tasks.blocks.memory import gib

FULL = "full-precision"
"""The view of all trials without quantization in training, of either experiment: what rho is relative to."""
_SWEPT = {"lr_multiplier": (0.4, 1.0, 2.5)}
_APART = {"embedding_multiplier": (0.4, 2.5)}
"""Beside the base rates: with them three rates of embedding and gains, tuned apart."""
_GPU_SHARE = {"gpu": 1 / 12, "paper": 1.0}
"""Of a card, for each trial."""
_GPU = {"head_dim": 64, "length": 128, "batch": 64, "warmup": 60, "precision": "bfloat16", "eval_windows": 256}
_GPU_PROBES = {"probe_every": 40, "probe_windows": 64, "ladder_top": 6.0, "anneal_steps": 10, "calibration_windows": 128}
_PAPER = _GPU | {"length": 2048, "batch": 128, "warmup": 500, "head_dim": 128, "eval_windows": 2048}
_PAPER_PROBES = _GPU_PROBES | {"probe_every": 250, "probe_windows": 256, "anneal_steps": 100, "calibration_windows": 256}
_SIZES = {"50M": (640, 10), "125M": (768, 18), "350M": (1024, 28), "500M": (1280, 26), "760M": (1536, 27), "1.5B": (2048, 30)}
"""Width and depth whose hidden matrices hold that many parameters; the paper's own shapes are not known to us."""
_RATES = (0.125, 0.25, 0.5, 0.707, 1.0, 1.414, 2.0, 4.0)


def _sized(base: Mapping[str, Any], width: int, depth: int, tokens_per_parameter: float) -> dict[str, Any]:
    """A size with as many steps as its tokens ask for."""
    parameters = 12 * depth * width**2
    steps = round(tokens_per_parameter * parameters / (base["batch"] * base["length"]))
    return dict(base) | {"width": width, "depth": depth, "steps": max(steps, 4 * base["warmup"])}


def scales(base: Experiment, qat: Experiment, law: Experiment) -> dict[str, Scale]:
    """The base size in full precision and by QAT, and further sizes of the scaling law in both."""

    def at_base(point: Mapping[str, Any], probes: Mapping[str, Any], data: str, rates: Mapping[str, Sequence[float]]) -> list[Grid]:
        return [
            Grid(base, view=FULL, points=[{**point, **probes}], axes=rates, data=data),
            Grid(qat, view="base", points=[point], axes=rates, data=data),
        ]

    def further(points: Sequence[Mapping[str, Any]], data: str, methods: Sequence[str] = (), **axes: Sequence[float]) -> list[Grid]:
        """In both kinds of training, at the base rates unless axes say otherwise."""
        return [
            Grid(law, view=FULL, points=points, axes=axes, methods=methods, data=data),
            Grid(qat, view="sizes", points=points, axes=axes, methods=methods, data=data),
        ]

    small = {"depth": 1, "steps": 40, "warmup": 4, "eval_windows": 32}
    published = {name: _sized(_PAPER, *shape, 20.0) for name, shape in _SIZES.items()}
    few = [published[name] for name in ("50M", "125M", "350M", "500M")]
    return {
        "smoke": Scale(
            description="Does it run: three optimizers on one block, a minute of training in all; too short for a verdict to mean much",
            grids=[
                Grid(
                    base,
                    view=FULL,
                    points=[{**small, "probe_windows": 16, "probe_every": 6, "ladder_top": 3.0, "anneal_steps": 2}],
                    methods=("adamw", "muon", "shampoo"),
                    data="text",
                ),
                Grid(qat, view="base", points=[small], methods=("adamw", "muon", "shampoo"), data="text"),
            ],
            seeds=3,
            time_limit_s=60,
        ),
        "laptop": Scale(
            description="Six optimizers on bytes: rates swept and quantized at two blocks; full precision and 4-bit QAT at one to three",
            grids=[
                *at_base({}, {}, "text", _SWEPT),
                *further([{"depth": 1, "steps": 40, "warmup": 4}, {"depth": 3, "steps": 120, "warmup": 12}], "text"),
            ],
            seeds=5,
            time_limit_s=300,
        ),
        "gpu": Scale(
            description="Six optimizers on BPE tokens, 0.8M to 11M hidden parameters at 1.5 tokens each; twelve trials to a card",
            grids=[
                *at_base(_sized(_GPU, 256, 4, 1.5), _GPU_PROBES, "text-bpe", _SWEPT),
                Grid(base, view=FULL, points=[_sized(_GPU, 256, 4, 1.5) | _GPU_PROBES], axes=_APART, data="text-bpe"),
                *further([_sized(_GPU, 128, 4, 1.5), _sized(_GPU, 384, 6, 1.5)], "text-bpe"),
            ],
            seeds=3,
            time_limit_s=400,
            resources=Resources(cpus=1, gpus=_GPU_SHARE["gpu"]),
            hardware=H100,
        ),
        "paper": Scale(
            description="50M to 1.5B parameters, 20 tokens each, eight rates a size; decay and embedding swept at 50M",
            grids=[
                *at_base(published["760M"], _PAPER_PROBES, "text-bpe", {"lr_multiplier": _RATES}),
                *further(few, "text-bpe", lr_multiplier=_RATES),
                *further(few[:1], "text-bpe", decay_multiplier=(0.1, 0.3, 1.0, 3.0)),
                *further(few[:1], "text-bpe", embedding_multiplier=(0.1, 0.3, 3.0)),
                *further([published["1.5B"]], "text-bpe", ("adamw", "muon", "shampoo"), lr_multiplier=_RATES),
            ],
            seeds=3,
            time_limit_s=21 * 24 * 3600,
            resources=Resources(cpus=8, gpus=_GPU_SHARE["paper"]),
            hardware=H200,
        ),
    }


_COST = {"adamw": 1.0, "muon": 1.5, "scion": 1.5, "shampoo": 1.4, "psgd": 2.1, "soap": 1.9}
"""A step's time over AdamW's, measured at the base size of the laptop scale; the paper has 1.33 for Shampoo at 760M."""


def seconds(scale: str, method: str, params: Mapping[str, Any], *, afterwards: float = 0.5, quest: bool = False) -> float:
    """Expected seconds of one trial: measured on one core of an EPYC server; on a GPU, launches and FLOPs of an H200.

    `afterwards` is what evaluation costs; `quest` adds QuEST's passes over weights and inputs. Looks anneal copies once the loss is below
    their top: over about half of the steps.
    """
    multiplications = 36.0 * float(params["depth"] * params["width"] ** 2 * params["batch"] * params["length"])
    share = _GPU_SHARE.get(scale)
    if share:
        # Launch-bound steps of about 5 ms a block, or 2 FLOPs a multiply-add at 200 TFLOP/s of the trial's share.
        launched = (0.003 + 0.005 * float(params["depth"])) * _COST[method]
        step = max(launched * parts(params), 2.0 * multiplications / (2e14 * share))
    else:
        blocks, wide = float(params["depth"]), float(params["width"]) / 128
        step = 0.006 + 0.016 * blocks * wide**3 * _COST[method] + (0.022 * blocks * wide if quest else 0.0) + multiplications * 3.5e-11
    looks = 0.5 * params["anneal_steps"] / params["probe_every"] if "anneal_steps" in params else 0.0
    return afterwards + step * float(params["steps"]) * (1.0 + looks)


PART = 8192
"""Tokens that go forward and backward at once: a larger batch is taken in parts, for the memory of one and the gradient of all."""
_VOCABULARY = {"gpu": 4096, "paper": 4096}
"""Tokens of the scale's text: a BPE, or bytes."""
_KEPT: Mapping[str, Mapping[bool, tuple[float, float]]] = {
    "float32": {False: (92.0, 0.0), True: (109.0, 60.0)},
    "bfloat16": {False: (66.0, 24.0), True: (75.0, 45.0)},
}
"""Arithmetic -> whether it is QuEST's -> bytes that backward keeps of a block by token and channel, and by squared width: counted."""
STATE = {"adamw": 2.0, "muon": 1.0, "scion": 1.0, "psgd": 4.5, "shampoo": 8.0, "soap": 9.0}
"""Numbers that an optimizer holds for an entry of the hidden matrices, of which two thirds have four times as many rows as columns."""


def parts(params: Mapping[str, Any]) -> int:
    """Parts that a batch is taken in."""
    return int(min(params["batch"], max(1, params["batch"] * params["length"] // PART)))


def kept(params: Mapping[str, Any], vocabulary: int, *, quest: bool = False) -> float:
    """Bytes that the backward pass of one part of the batch keeps."""
    width, depth, tokens = float(params["width"]), float(params["depth"]), params["batch"] * params["length"] / parts(params)
    token, fixed = _KEPT[params["precision"]][quest]
    block: float = tokens * (token * width + 4.0 * width / params["head_dim"] + 16.0) + fixed * width**2
    return depth * block + float(tokens) * (12.0 * width + 20.0 + 4.0 * vocabulary)


def memory(scale: str, method: str, params: Mapping[str, Any], *, quest: bool = False) -> float:
    """Peak GiB of one trial: weights, gradients and their optimizer, a second time where copies are annealed, and a step on one part."""
    width, vocabulary = float(params["width"]), _VOCABULARY.get(scale, 256)
    hidden, others = 12.0 * params["depth"] * width**2, vocabulary * width
    trained = 4.0 * (hidden * (2.0 + STATE[method]) + others * 4.0) * (2.0 if "anneal_steps" in params else 1.0)
    logits = 8.0 * vocabulary * params["batch"] * params["length"] / parts(params)
    # Both networks' activations around the modules of 2048 tokens, and the rounded copy of the weights.
    errors = 160.0 * 2048.0 * width * params["depth"] + 4.0 * hidden if "anneal_steps" in params else 0.0
    return gib(trained + max(kept(params, vocabulary, quest=quest) + logits, errors))
