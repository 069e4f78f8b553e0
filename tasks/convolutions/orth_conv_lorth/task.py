"""Existence, Stability and Scalability of Orthogonal Convolutional Neural Networks (Achour, Malgouyres & Mamalet, arXiv 2108.05623)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from harness.bounds import PERCENT, POSITIVE, SHARE
from harness.sweeps import Sweep
from harness.task import Experiment, Grid, Method, Metric, Paper, Resources, Scale, Task, param
from tasks.blocks.hardware import H100
from tasks.blocks.memory import gib
from tasks.blocks.supervision import CLASSIFICATION, TRAINING, Supervised
from tasks.convolutions.orth_conv_lorth.claims import KERNEL, LORTH, NONE, TAP, ZEROS, claims

_MODULE = "tasks.convolutions.orth_conv_lorth.experiment"


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A convolution of M filters over C channels, k x k, with stride S, on images of S N x S N pixels."""

    filters: int = param(4, "output channels M", low=1, high=4096)
    channels: int = param(4, "input channels C", low=1, high=4096)
    kernel: int = param(3, "width k", unit="pixels", low=1, high=31)
    stride: int = param(1, "stride S", unit="pixels", low=1, high=16)
    size: int = param(8, "side N of the output", unit="pixels", low=1, high=4096)


@dataclass(frozen=True, kw_only=True)
class Optimized(Kernel):
    """A kernel that a regulariser was minimised over."""

    steps: int = param(800, "steps of Adam", unit="steps", low=0, high=1_000_000)


@dataclass(frozen=True, kw_only=True)
class Train(Supervised):
    """A classifier of three convolutions with circular padding."""

    epochs: float = param(15.0, "passes over the training images", unit="epochs", low=0.01, high=1000.0)
    lr: float = param(3e-2, "peak learning rate of Adam", low=1e-6, high=10.0)
    width: int = param(8, "filters of the first convolution; the others have twice as many", low=2, high=1024)
    weight: float = param(0.0, "weight lambda of the regulariser, summed over the layers", low=0.0, high=1e4)
    attack: float = param(1.0, "L2 norm of the attack, in pixels normalised to variance 1", low=0.0, high=1e3)


_SIDES = {"smoke": (8, 1), "laptop": (8, 1), "gpu": (28, 1), "paper": (32, 3)}
"""Pixels across an image of a scale, and its channels."""
_ATTACKED = 256
"""Images that are attacked at once."""


def _kernel_memory(_scale: str, _method: str, params: Mapping[str, Any]) -> float:
    """The map as one matrix a frequency, in double precision and complex, a few times over; or as one matrix, where its size is small."""
    pairs, pixels = params["filters"] * params["channels"], (params["stride"] * params["size"]) ** 2
    return gib(4.0 * 16.0 * pairs * pixels + 3.0 * 8.0 * pairs * params["size"] ** 2 * pixels * (params["size"] <= 8))


def _training_memory(scale: str, _method: str, params: Mapping[str, Any]) -> float:
    """What the backward pass of a batch keeps, in training or under attack, and Adam's four numbers a weight."""
    (side, channels), width = _SIDES[scale], float(params["width"])
    image = side**2 * (12.8 * width * (1.0 + 3.1 / side) + 12.0 * channels)
    weights = 54.0 * width**2 + 9.0 * channels * width + 20.0 * width * (side / 4) ** 2
    return gib(16.0 * weights + 1.5 * image * max(params["batch"], _ATTACKED))


_positive = partial(Metric, bounds=POSITIVE)

identity = Experiment(
    "identity",
    params=Kernel,
    metrics=(_positive("identity_error", "relative", "lower", "of err_F^2 against N^2 L_orth, of a random kernel"),),
    run=f"{_MODULE}:identity",
    methods=(LORTH, ZEROS),
    seconds=lambda *_: 0.1,
    memory=_kernel_memory,
    exact=True,
)
existence = Experiment(
    "existence",
    params=Optimized,
    metrics=(
        Metric("spread", "", "lower", "(max - min) / (max + min): 0 for a multiple of an orthogonal map, whatever its scale", bounds=SHARE),
        _positive("sigma_min", "", "higher", "smallest singular value of the convolution"),
        _positive("sigma_max", "", "lower", "largest singular value"),
        _positive("lorth", "", "lower", "L_orth of the kernel that was reached"),
        Metric(
            "agrees",
            "share",
            "higher",
            "all singular values within 2% of 1 where the rule says that they can be, and only there",
            bounds=SHARE,
        ),
    ),
    run=f"{_MODULE}:existence",
    methods=(LORTH, TAP, KERNEL, ZEROS, NONE),
    seconds=lambda _scale, method, params: 0.1 if method == NONE else 1e-3 * params["steps"],
    memory=_kernel_memory,
)
stability = Experiment(
    "stability",
    params=Optimized,
    metrics=(
        _positive("spectral_error", "", "lower", "||A A^T - I||_2"),
        _positive("bound_ratio", "ratio", "lower", "its square over alpha L_orth: the paper's bound says at most 1"),
        _positive("frobenius_error", "", "lower", "||A A^T - I||_F", methods=(LORTH, NONE)),
    ),
    run=f"{_MODULE}:stability",
    methods=(LORTH, ZEROS, NONE),
    seconds=lambda _scale, method, params: 0.3 + (method != NONE) * 1e-3 * params["steps"],
    memory=_kernel_memory,
    exact=True,
)
robustness = Experiment(
    "robustness",
    params=Train,
    metrics=(
        Metric("pgd_test_accuracy", "percent", "higher", "on attacked test images; selects nothing", counted=True, bounds=PERCENT),
        _positive("deviation", "", "lower", "largest |sigma - 1| of any layer"),
        *reversed(CLASSIFICATION),
        *TRAINING,
    ),
    run=f"{_MODULE}:robustness",
    methods=(LORTH, KERNEL, NONE),
    tuned=Sweep("lr", by="val_loss"),
    seconds=lambda scale, *_: {"smoke": 0.5, "laptop": 3.0, "gpu": 120.0, "paper": 3600.0}[scale],
    memory=_training_memory,
)

# (M, C, k, S), by the rule of existence; M = C S^2 with S <= k is a case of its own.
_POSSIBLE = ((2, 4, 3, 1), (8, 4, 3, 1), (6, 2, 3, 2), (12, 2, 3, 2), (9, 1, 3, 4))
_IMPOSSIBLE = ((10, 1, 3, 4), (20, 1, 3, 4), (4, 1, 1, 2))
_SQUARE = ((4, 4, 3, 1), (8, 2, 3, 2))
_OVERLAPPING = _POSSIBLE[:4]
_SEVERAL_RATES = (1e-2, 3e-2, 1e-1)


def _points(shapes: Sequence[tuple[int, int, int, int]], **more: Any) -> list[dict[str, Any]]:
    return [{"filters": m, "channels": c, "kernel": k, "stride": s, **more} for m, c, k, s in shapes]


def _theorems(sizes: tuple[int, ...], steps: int) -> list[Grid]:
    every = (*_POSSIBLE, *_IMPOSSIBLE, *_SQUARE)
    return [
        Grid(identity, view="wide", points=_points(every), axes={"size": (5, 8)}, methods=(LORTH,)),
        Grid(identity, view="wide", points=_points(_OVERLAPPING), axes={"size": (5, 8)}, methods=(ZEROS,)),
        Grid(identity, view="narrow", points=_points(_POSSIBLE[:2], size=4), methods=(LORTH,)),
        Grid(existence, view="rule", points=_points((*_POSSIBLE, *_IMPOSSIBLE), steps=steps)),
        Grid(existence, view="overlapping", points=_points(_OVERLAPPING, steps=steps)),
        Grid(existence, view="square", points=_points(_SQUARE, steps=steps), methods=(LORTH, TAP, NONE)),
        Grid(stability, points=_points(_OVERLAPPING[1:3], steps=steps), axes={"size": sizes}),
    ]


def _training(data: str, weights: tuple[float, ...], rates: tuple[float, ...] = _SEVERAL_RATES, **point: Any) -> list[Grid]:
    common: Mapping[str, Any] = {"data": data}
    return [
        Grid(robustness, view="weights", points=[point], axes={"weight": weights, "lr": rates}, methods=(LORTH, KERNEL), **common),
        Grid(robustness, view="at-one", points=[{**point, "weight": 1.0}], axes={"lr": rates}, methods=(LORTH, KERNEL), **common),
        Grid(robustness, view="at-one", points=[{**point, "weight": 0.0}], axes={"lr": rates}, methods=(NONE,), **common),
    ]


def _scale(what: str, seeds: int, limit: float, gpus: float, *grids: Sequence[Grid]) -> Scale:
    flat = [grid for several in grids for grid in several]
    return Scale(
        description=what, grids=flat, seeds=seeds, time_limit_s=limit, resources=Resources(gpus=gpus), hardware=H100 if gpus else None
    )


TASK = Task(
    id="orth-conv-lorth",
    version=1,
    paper=Paper(
        arxiv="2108.05623",
        title="Existence, Stability and Scalability of Orthogonal Convolutional Neural Networks",
        year=2021,
        authors="El Mehdi Achour, Francois Malgouyres, Franck Mamalet",
    ),
    summary="When orthogonal convolutions exist, whether minimising L_orth finds them, and what its value says of images of any size.",
    methods=[
        Method(LORTH, "proposed", "minimises L_orth(K) = ||conv(K, K) - I||_F^2; circular padding"),
        Method(TAP, "control", "the same from near one orthogonal tap: whether it is the start that decides"),
        Method(KERNEL, "rival", "minimises ||R R^T - I||_F^2 of the kernel as a matrix, blind to how windows overlap"),
        Method(ZEROS, "control", "the kernel of lorth with zero padding, which the theorems do not cover"),
        Method(NONE, "floor", "no regulariser: a random kernel, or a network trained without"),
    ],
    experiments=(identity, existence, stability, robustness),
    scales={
        "smoke": _scale(
            "small images, few steps, digits: does it run",
            2,
            60.0,
            0.0,
            _theorems((16, 33), 400),
            _training("digits", (0.1, 1.0, 10.0), (1e-2, 3e-2), epochs=1.0, train_images=256),
        ),
        "laptop": _scale(
            "ten shapes, images up to 64 x 64 outputs, 8 x 8 digits; 2 CPU cores",
            10,
            120.0,
            0.0,
            _theorems((9, 16, 33, 64), 800),
            _training("digits", (0.01, 0.1, 1.0, 10.0)),
        ),
        "gpu": _scale(
            "the same theorems; Fashion-MNIST; one GPU",
            5,
            600.0,
            0.25,
            _theorems((9, 16, 33, 64), 800),
            _training("fashion-mnist", (0.01, 0.1, 1.0, 10.0), width=32, batch=256),
        ),
        "paper": _scale(
            "the same theorems up to 129 x 129 outputs; CIFAR-10; a cluster",
            5,
            6 * 3600.0,
            1.0,
            _theorems((9, 16, 33, 64, 129), 2000),
            _training("cifar10", (1e-3, 0.01, 0.1, 1.0, 10.0), width=64, batch=256, epochs=100.0, augment=True),
        ),
    },
    claims=claims(identity, existence, stability, robustness),
)
