"""Towards Exact Computation of Inductive Bias (Boopathy, Yue, Hwang, Iyer and Fiete, arXiv 2406.15941)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.bounds import POSITIVE, SHARE
from harness.claims import CONTROL, OURS, better, equivalent, exact, factor, level, monotone
from harness.task import Above, Below, Experiment, Figure, Grid, Method, Metric, Paper, Phase, Scale, Task, param
from tasks.blocks.hardware import costs, h100, smoke

_MODULE = "tasks.theory.inductive_bias_bits.experiment"
NETWORKS = ("mlp", "mlp-wide", "mlp-deep", "mlp-shuffled")


@dataclass(frozen=True)
class Data:
    """Parameters of a regression task on the unit sphere and of the process that is conditioned on it."""

    target: str = param("quadratic", "quadratic: sqrt(d (d + 2)) x1 x2; sign: sign(x1)", choices=("quadratic", "sign"))
    dimension: int = param(16, "dimension d of the inputs", low=2, high=4096)
    examples: int = param(200, "training examples", unit="examples", low=2, high=50_000)
    tests: int = param(200, "test examples", unit="examples", low=2, high=10_000)
    ridge: float = param(1e-8, "added to the diagonal of the training kernel", low=1e-12, high=1.0)


@dataclass(frozen=True)
class Kernel(Data):
    """Parameters of bits in the space of a Gaussian process."""

    epsilon: float = param(0.1, "test error that is asked for; predicting 0 has 1", low=1e-6, high=10.0)


@dataclass(frozen=True)
class Networks(Kernel):
    """Parameters of bits in the space of trained networks."""

    members: int = param(24, "networks, or draws", low=4, high=100_000)
    width: int = param(64, "units of a hidden layer; mlp-wide has four times as many", unit="units", low=1, high=8192)
    steps: int = param(600, "steps of Adam on all examples", unit="steps", low=1)
    lr: float = param(0.01, "learning rate at the start of a cosine schedule", low=1e-6, high=1.0)


def _costs(cpu: bool, method: str, p: Mapping[str, Any]) -> tuple[float, float]:
    """On a GPU a guess, not measured."""
    rows, d, width = float(p["examples"] + p["tests"]), p["dimension"], float(p.get("width", 0) * (4 if method == "mlp-wide" else 1))
    packed = min(p.get("members", 0), 1.0 + 2.0 ** (21 if cpu else 28) / (rows * max(width, 1.0)))
    held = 6.0 * rows**2 + 3e4 * p["tests"] + 0.5 * packed * width * (16.0 * rows + 12.0 * (d + width))
    if method not in NETWORKS:
        return 0.1 + (2e-10 if cpu else 1e-12) * rows**3 + (2e-4 if cpu else 1e-5) * float(p["tests"]), held
    products = float(p["members"]) * rows * width * (d + 20.0 + (width if method == "mlp-deep" else 0.0))
    return 0.2 + p["steps"] * (3e-4 + (8e-11 if cpu else 2e-13) * products), held


_BITS = Metric("bits", "bits", "lower", "-log2 P(test error <= epsilon | fits the training data)", split="test", bounds=POSITIVE)
_TOLD = (
    Metric("test_error", "", "lower", "mean of the test error over hypotheses", bounds=POSITIVE),
    Metric("reach", "", "lower", "smallest test error among those drawn: below it the law is extrapolated", split="test", bounds=POSITIVE),
    Metric("drawn", "share", "higher", "of those drawn with a test error of epsilon or less", split="test", bounds=SHARE),
)
kernel = Experiment(
    "kernel", params=Kernel, run=f"{_MODULE}:kernel", methods=("rbf", "matched", "tilted"), metrics=(_BITS, *_TOLD), **costs(_costs),
    figures=(
        Figure(id="dimension", title="Bits and dimension, quadratic target", x="dimension", y="bits", view="dimension", log_x=True),
        Figure(id="sign", title="Bits and dimension, discontinuous target", x="dimension", y="bits", view="sign", log_x=True, log_y=True),
        Figure(id="epsilon", title="Bits and the error that is asked for", x="epsilon", y="bits", view="epsilon", log_x=True, log_y=True),
        Phase(id="phase", title="Where 10,000 draws still reach it", x="dimension", y="examples", z="bits", level=math.log2(10_000),
              view="phase", methods=("rbf",), log_x=True, log_y=True, along="rises"),
    ),
)  # fmt: skip
networks = Experiment(
    "networks", params=Networks, run=f"{_MODULE}:networks", methods=(*NETWORKS, "rbf"), **costs(_costs),
    metrics=(_BITS, *_TOLD, Metric("train_error", "", "lower", "largest training error of a network", bounds=POSITIVE)),
    figures=(Figure(id="spaces", title="Bits in both spaces", x="dimension", y="bits", view="quadratic", methods=("mlp", "rbf")),),
)  # fmt: skip
cumulants = Experiment(
    "cumulants", params=Data, run=f"{_MODULE}:cumulants", methods=("rbf", "central"), exact=True, seconds=lambda *_: 0.2,
    metrics=(Metric("error", "", "lower", "largest relative error of three cumulants against automatic differentiation", split="test"),),
)  # fmt: skip


def _grids(n: int, dimensions: tuple[int, ...], phase: tuple[int, ...], train: Mapping[str, Any], hard: int) -> list[Grid]:
    sign, both = {"target": "sign", "epsilon": 0.2}, ("mlp", "rbf")
    return [
        Grid(kernel, view="dimension", points=[{"examples": 2 * n}], axes={"dimension": dimensions}),
        Grid(kernel, view="sign", points=[{**sign, "examples": n}], axes={"dimension": dimensions[1:]}, methods=("rbf", "matched")),
        Grid(kernel, view="sign-two", points=[{**sign, "examples": n, "dimension": 2}], methods=("rbf",)),
        Grid(kernel, view="ridge", points=[{**sign, "examples": n, "ridge": 1e-4}], axes={"dimension": dimensions[1:]}, methods=("rbf",)),
        Grid(kernel, view="epsilon", points=[{"examples": 2 * n, "dimension": 32}], axes={"epsilon": (0.02, 0.05, 0.1, 0.2, 0.4)}),
        Grid(kernel, view="phase", axes={"dimension": dimensions[2:], "examples": phase}, methods=("rbf",)),
        Grid(kernel, view="examples", points=[{"dimension": 32}], axes={"examples": phase}, methods=("rbf",)),
        Grid(networks, view="quadratic", points=[train], axes={"dimension": (hard // 2, 3 * hard // 4, hard, 3 * hard // 2)}, methods=both),
        Grid(networks, view="spaces", points=[{**train, "dimension": hard}]),
        Grid(networks, view="sign", points=[{**train, **sign, "dimension": 8, "lr": 0.03}], methods=("mlp", "mlp-deep", "rbf")),
        Grid(cumulants, points=[{"ridge": 1e-4}], axes={"dimension": (4, 16), "target": ("quadratic", "sign")}),
    ]  # fmt: skip


_AT = {view: kernel["bits"].at(view) for view in ("dimension", "sign", "sign-two", "ridge", "epsilon", "examples")}
_NETS = {view: networks["bits"].at(view) for view in ("quadratic", "spaces", "sign")}
_DIMENSION: Mapping[str, Any] = {"over": "dimension", "source": "abstract: more bits for tasks of higher dimension", "group": "C1"}
_SPACES: Mapping[str, Any] = {"source": "abstract: networks encode much bias beside generic hypotheses", "group": "C2"}
_SHAPES: Mapping[str, Any] = {"source": "ours: the abstract says that architectures differ", "kind": "extension"}
_CLOSE: Mapping[str, Any] = {"margin": math.log10(1.05), "margin_source": "ours: five per cent of the bits"}

TASK = Task(
    id="inductive-bias-bits", version=1,
    paper=Paper(arxiv="2406.15941", title="Towards Exact Computation of Inductive Bias", year=2024,
                authors="Akhilan Boopathy, William Yue, Jaedong Hwang, Abhiram Iyer, Ila Fiete",
                code="https://github.com/FieteLab/Exact-Inductive-Bias"),
    summary="How many bits pick a hypothesis that generalises among those that fit, in a kernel's space and among trained networks.",
    methods=[
        Method("mlp", "proposed", "ReLU, one hidden layer, trained by Adam until they fit; a law is fitted to the test errors"),
        Method("mlp-wide", "rival", "the same with four times as many units"),
        Method("mlp-deep", "rival", "the same with two hidden layers"),
        Method("mlp-shuffled", "control", "the same on training targets that were shuffled"),
        Method("rbf", "baseline", "draws of a Gaussian process with an RBF kernel of width 1, conditioned on the training data; exact law"),
        Method("matched", "rival", "the same with a chi-square of the same mean and variance as law, for the one that the authors fit"),
        Method("tilted", "control", "the same by importance sampling"),
        Method("central", "control", "cumulants that leave the mean out"),
    ],
    experiments=(kernel, networks, cumulants),
    scales={
        "smoke": smoke("few examples and steps",
                       _grids(40, (2, 4, 8, 16, 32), (20, 40, 80), {"examples": 40, "members": 6, "steps": 60, "width": 16}, 16)),
        "laptop": Scale(description="50 to 800 examples, 24 networks; 2 CPU cores", seeds=8, time_limit_s=300.0,
                        grids=_grids(200, (2, 4, 8, 16, 32, 64), (50, 100, 200, 400, 800), {}, 16)),
        "gpu": h100(description="2,000 to 8,000 examples, 240 networks", seeds=8, time_limit_s=600.0,
                    grids=_grids(2000, (2, 4, 8, 16, 32, 64, 128), (500, 1000, 2000, 4000, 8000),
                                 {"examples": 1000, "members": 240, "width": 256, "steps": 3000}, 32)),
        "paper": h100(description="up to 20,000 examples, 1,000 networks; data sets of the paper are not here", seeds=5,
                      time_limit_s=6 * 3600.0, grids=_grids(5000, (2, 4, 8, 16, 32, 64, 128, 256), (1000, 3000, 10_000, 20_000),
                                                            {"examples": 2000, "members": 1000, "width": 512, "steps": 10_000}, 32)),
    },
    claims=[
        *monotone("C1-quadratic", "rbf", _AT["dimension"], rises=True, primary=True, **_DIMENSION),
        *monotone("C1-sign", "rbf", _AT["sign"], rises=True, primary=True, **_DIMENSION),
        *monotone("C1-sign-falls", "rbf", _AT["sign"], over="dimension", rises=False, **OURS,
                  says="of a discontinuous target the order is the other way round from d = 4 on"),
        *monotone("C1-sign-ridge", "rbf", _AT["ridge"], over="dimension", rises=False, **OURS, says="so it is with a ridge of 1e-4"),
        *level("C1-sign-two", "rbf", kernel["test_error"].at("sign-two"), holds=Below(0.2), null=1.0, **OURS,
               says="and at d = 2 the mean test error is below epsilon: no bits are needed"),
        *monotone("C1-networks", "mlp", _NETS["quadratic"], rises=True, **_DIMENSION),
        *monotone("C1-examples", "rbf", _AT["examples"], over="examples", rises=False, **OURS),
        *monotone("C1-epsilon", "rbf", _AT["epsilon"], over="epsilon", rises=False, source="definition: bits rise as epsilon falls",
                  kind="check"),
        *factor("C2-quadratic", "mlp", "rbf", _NETS["spaces"].log10(), by=2.0, primary=True, stands_on=("interpolates",), **_SPACES),
        *factor("C2-sign", "mlp", "rbf", _NETS["sign"].log10(), by=2.0, stands_on=("interpolates-sign",), **_SPACES),
        *equivalent("C2-error", "mlp", "rbf", networks["test_error"].at("spaces"), margin=0.05, **OURS,
                    margin_source="ours: a twentieth of the targets' variance"),
        *better("C3-deep-quadratic", "mlp-deep", "mlp", _NETS["spaces"], **_SHAPES),
        *better("C3-deep-sign", "mlp-deep", "mlp", _NETS["sign"], **_SHAPES),
        *better("C3-wide", "mlp-wide", "mlp", _NETS["spaces"], **_SHAPES),
        *factor("shuffled", "mlp", "mlp-shuffled", _NETS["spaces"].log10(), by=2.0, **CONTROL),
        *level("interpolates", "mlp", networks["train_error"].at("quadratic"), holds=Below(0.01), null=0.5, **CONTROL),
        *level("interpolates-sign", "mlp", networks["train_error"].at("sign"), holds=Below(0.01), null=0.5, **CONTROL),
        *equivalent("exact-law", "rbf", "tilted", _AT["dimension"].at(dimension=32).log10(), margin=math.log10(1.01),
                    margin_source="ours: one per cent of the bits", source="check", kind="check"),
        *equivalent("law-quadratic", "matched", "rbf", _AT["dimension"].at(dimension=32).log10(), **_CLOSE, **OURS),
        *equivalent("law-sign", "matched", "rbf", _AT["sign"].at(dimension=8).log10(), **_CLOSE, **OURS),
        *level("support", "rbf", kernel["reach"].at("dimension", dimension=32), holds=Above(0.1), null=0.1, **OURS,
               says="at d = 32 the best of 10,000 draws has a test error above epsilon: these bits are the law's, not draws'"),
        *exact("cumulants", cumulants["error"], method="rbf", tolerance=1e-8, source="check", kind="check"),
        *exact("cumulants-control", cumulants["error"], method="central", holds=Above(1e-4), **CONTROL),
    ],
)  # fmt: skip
