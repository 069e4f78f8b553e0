"""The Principles of Deep Learning Theory (Roberts, Yaida and Hanin, arXiv 2106.10165)."""

import math
from collections.abc import Mapping
from typing import Any

from harness.claims import CONTROL, OURS, contrast, equivalent, exact, factor, fitted, follows, level, slope
from harness.estimates import Mean
from harness.task import Above, Below, Experiment, Figure, Grid, Method, Metric, Paper, Params, Scale, Task, Within, log_log, param
from tasks.blocks.hardware import costs, h100

_RUN = "tasks.theory.depth_width_criticality.experiment"
KINDS = ("relu", "linear", "leaky", "tanh")
C, SMALL, LARGE, _LAWS = "critical", "too-small", "too-large", ("exact", "first-order", "remembered")
_WIDTH = param(32, "units of every layer", unit="units", low=2, high=4096)
_NETS = param(5000, "networks of an ensemble", unit="networks", low=10, high=1_000_000)


class Vertex(Params):
    """Parameters of an ensemble of random networks at criticality."""

    activation: str = param("relu", "activation", choices=KINDS)
    aspect: float = param(0.125, "hidden layers over width", low=1e-4, high=4.0)
    width: int = _WIDTH
    skip: float = param(0.0, "factor of a layer's input where it is added to the output", low=0.0, high=0.99)
    nets: int = _NETS


class Infinite(Params):
    """Parameters of an infinitely wide network."""

    activation: str = param("relu", "activation", choices=KINDS)
    depth: int = param(16, "hidden layers", unit="layers", low=1, high=1000)
    skip = 0.0  # of every trial: no parameter


class Kernel(Infinite):
    """Parameters of an ensemble whose kernel is followed over depth."""

    width: int = _WIDTH
    nets: int = _NETS


class Law(Infinite):
    """Parameters of the law of the second moment."""

    activation: str = param("relu", "activation", choices=KINDS[:3])
    width: int = _WIDTH


def _cost(cpu: bool, method: str, p: Mapping[str, Any]) -> tuple[float, float]:
    """What drawing random numbers takes; on a GPU a guess, not measured."""
    depth = p["depth"] if "depth" in p else max(1, round(p["aspect"] * p["width"]))
    weights = p["nets"] * (10 * p["width"] + (depth - 1) * p["width"] ** 2)
    drawn = 0.0 if method in _LAWS else 1e-6 * p["nets"] * depth if method == "chain" else (3e-8 if cpu else 1e-10) * weights
    return 0.02 + drawn, 2.0 ** (24 if cpu else 29) + 50.0 * p["nets"] * depth


_RATE = Metric("rate", "1/layer", "none", "growth of log K a layer, over the second half of the depth")
vertex = Experiment("vertex", params=Vertex, run=f"{_RUN}:vertex", methods=(C, "chain", *_LAWS), **costs(_cost), metrics=(
    Metric("vertex", "", "lower", "Cov(z_i^2, z_j^2) / E[z^2]^2 of the last layer: how far it is from a Gaussian process"),
    Metric("per_aspect", "", "none", "the same over depth / width: nu where the law is linear"),
    Metric("typical", "", "none", "median over mean of K, over networks", methods=(C, "chain")),
), figures=(
    *(log_log(kind.lower(), f"{kind}: the vertex and the aspect ratio", "aspect", "vertex", kind.lower()) for kind in ("ReLU", "tanh")),
    Figure(id="skip", title="Residual ReLU networks", x="skip", y="vertex", view="skip", log_y=True),
))  # fmt: skip
kernel = Experiment("kernel", params=Kernel, run=f"{_RUN}:kernel", methods=(SMALL, C, LARGE), **costs(_cost), metrics=(
    Metric("ratio", "", "none", "mean kernel of the last layer over that of the first"), _RATE,
), figures=tuple(
    Figure(id=f"kernel-{kind}", title=f"Mean kernel, {kind}", x="step", y="kernel", view=kind, where=where, log_y=True, x_label="layer")
    for kind, where in (("relu", {}), ("tanh", {"depth": 32}))
))  # fmt: skip
infinite = Experiment("infinite", params=Infinite, run=f"{_RUN}:infinite", methods=(SMALL, C, LARGE), exact=True, metrics=(
    Metric("ratio", "", "none", "kernel of the last layer over that of the first"), _RATE,
    Metric("inverse", "", "none", "2 l K of the last layer"), Metric("vertex_rate", "", "none", "n V / K^2 over depth"),
    Metric("apart", "", "none", "chi_perp: growth a layer of the squared distance of nearby inputs"),
), seconds=lambda *_: 0.2)  # fmt: skip
law = Experiment("law", params=Law, run=f"{_RUN}:law", methods=("exact", "first-order"), exact=True, metrics=(
    Metric("error", "", "lower", "relative error of E[K^2] / E[K]^2 against an enumeration"),
), seconds=lambda *_: 0.02)  # fmt: skip


def _grids(narrow: int, wide: int, nets: int, chains: tuple[int, ...], depth: int) -> list[Grid]:
    shares, few, both = [0.03125, 0.0625, 0.125, 0.25], [0.015625, 0.03125, 0.0625], ("exact", "first-order")
    base = {"width": narrow, "nets": nets}
    return [
        *(Grid(vertex, view=kind, points=[{**base, "activation": kind}], axes={"aspect": shares}, methods=(C, "first-order", *more))
          for kind, more in (("relu", ("exact", "chain")), ("linear", ("exact", "chain")), ("tanh", ()))),
        Grid(vertex, view="wide", points=[{**base, "width": wide}], axes={"aspect": few}, methods=(C, *both)),
        Grid(vertex, view="chain", points=[{"nets": nets}], axes={"aspect": shares, "width": chains}, methods=("chain", "exact")),
        Grid(vertex, view="skip", points=[base], axes={"skip": (0.0, 0.5, 0.7, 0.9)}, methods=(C, "first-order", "remembered")),
        Grid(vertex, view="skip-linear", points=[{**base, "activation": "linear"}], axes={"skip": (0.7,)}, methods=(C, "exact")),
        Grid(kernel, view="relu", points=[{**base, "nets": nets // 5, "depth": depth}]),
        Grid(kernel, view="tanh", points=[{**base, "nets": nets // 10, "activation": "tanh"}], axes={"depth": (4, 8, 16, 32)}),
        Grid(infinite, axes={"activation": ("relu", "tanh"), "depth": (16, 64, 1000)}),
        Grid(law, axes={"activation": ("relu", "linear", "leaky"), "depth": (2, 16), "width": (16, 256)}),
    ]  # fmt: skip


_VERTEX, _LOG, _NU = vertex["vertex"], vertex["vertex"].log10(), vertex["per_aspect"]
_SKIP, _RELU, _TANH = _LOG.at("skip"), kernel["rate"].at("relu"), kernel["rate"].at("tanh", depth=32)
_DEEP = dict[str, Any](activation="tanh", depth=1000)
_CHECK = dict[str, Any](source="check", kind="check")
_FIRST = dict[str, Any](source="chapter 5: nu to first order; catalogue: within 15 per cent", group="C1-nu", null=0.0)
_POWER = dict[str, Any](over="aspect", holds=Within(0.85, 1.15))
_SIGNAL = dict[str, Any](source="abstract; chapters 3 and 5", group="C2")
_TEN = math.log10(1.1)
_MARGIN = dict[str, Any](margin=_TEN, margin_source="ours: ten per cent, where the linear law is off by 20")

TASK = Task(
    id="depth-width-criticality", version=1,
    paper=Paper(arxiv="2106.10165", title="The Principles of Deep Learning Theory", year=2021,
                authors="Daniel A. Roberts, Sho Yaida, Boris Hanin"),
    summary="Whether depth over width measures how far a random network is from a Gaussian process, and only criticality keeps its kernel.",
    methods=[
        Method(C, "proposed", "networks at the critical C_W: 2 for ReLU, 1 for linear and tanh"),
        Method(SMALL, "baseline", "C_W below: 1.5 for ReLU, 0.5 for tanh"),
        Method(LARGE, "baseline", "C_W above: 2.5 for ReLU, 2 for tanh"),
        Method("chain", "control", "the same law drawn layer by layer from chi-squares, without weights"),
        Method("exact", "rival", "(1 + nu / n)^depth - 1"),
        Method("first-order", "control", "the book's recursion to first order in 1/n: nu depth / n where activations are scale-invariant"),
        Method("remembered", "rival", "first order with what a unit of a residual network remembers of its sign (ours)"),
    ],
    experiments=(vertex, kernel, infinite, law),
    scales={
        "smoke": Scale(description="small ensembles: does it run", grids=_grids(32, 64, 100, (64,), 8), seeds=2, time_limit_s=60.0),
        "laptop": Scale(description="width 32 and 64, thousands of networks; 2 CPU cores", grids=_grids(32, 64, 5000, (64, 256), 16),
                        seeds=10, time_limit_s=300.0),
        "gpu": h100(description="width 128 and 256, 20,000 networks", grids=_grids(128, 256, 20_000, (256,), 16), seeds=5,
                    time_limit_s=600.0),
        "paper": h100(description="width 512 and 1024, up to 128 layers, 100,000 networks", grids=_grids(512, 1024, 100_000, (1024,), 64),
                      seeds=5, time_limit_s=3 * 3600.0),
    },
    claims=[
        *slope("C1-rate-relu", C, _VERTEX.at("relu"), **_POWER, group="C1-rate", primary=True,
               source="abstract; catalogue: at L/n <= 0.25 within 0.15 of 1"),
        *fitted("C1-rate-linear", C, _VERTEX.at("linear"), law="power-law", quantity="a", along={"aspect": "x"}, holds=_POWER["holds"],
                group="C1-rate", source="abstract; chapters 3 and 5"),
        *slope("C1-rate-tanh", C, _VERTEX.at("tanh"), **_POWER, group="C1-rate", source="abstract; chapter 5"),
        *slope("C1-rate-wide", C, _VERTEX.at("wide"), **_POWER, **OURS, says="ReLU at L/n <= 1/16: the power is 0.85 to 1.15"),
        *level("C1-nu-relu", C, _NU.at("wide"), holds=Within(4.25, 5.75), published=5.0, primary=True, **_FIRST),
        *level("C1-nu-linear", C, _NU.at("linear", aspect=0.125), holds=Within(1.7, 2.3), published=2.0, **_FIRST),
        *level("C1-nu-tanh", C, _NU.at("tanh"), holds=Within(0.567, 0.767), published=2 / 3, **_FIRST),
        *contrast("C1-aspect", C, (_LOG.at("wide", aspect=0.0625), _LOG.at("relu", aspect=0.0625)), holds=Within(-_TEN, _TEN),
                  says="at one depth over width, 1/16, networks of two widths have the same vertex to ten per cent", source="abstract",
                  aim="equivalent", margin_source="ours: ten per cent, where twice the aspect ratio doubles it", primary=True),
        *equivalent("C1-exact", C, "exact", _LOG.at("relu", aspect=0.125), **_MARGIN, **OURS),
        *factor("C1-linear-law", "first-order", C, _LOG.at("relu", aspect=0.25), by=1.25, **OURS,
                says="at depth / width = 1/4 the linear law is short of ReLU networks by more than a fifth"),
        *equivalent("C1-chain", "chain", "exact", _LOG.at("chain", aspect=0.125), **_MARGIN, **_CHECK),
        *equivalent("C1-tanh", C, "first-order", _LOG.at("tanh", aspect=0.125), **_MARGIN, **OURS),
        *exact("C1-moment", law["error"], method="exact", tolerance=1e-12, source="chapter 3 for linear networks; ours for the others"),
        *exact("C1-moment-control", law["error"], method="first-order", holds=Above(1e-5), **CONTROL),
        *level("C1-typical", C, vertex["typical"].at("relu", aspect=0.25), holds=Below(0.8), null=1.0, **OURS,
               says="at criticality and depth / width = 1/4 the typical network's kernel is below 0.8 of the mean"),
        *level("C2-relu", C, _RELU, holds=Within(-0.02, 0.02), aim="equivalent", null=0.0, primary=True, **_SIGNAL,
               margin_source="ours: a tenth of what a quarter more or less of C_W does"),
        *level("C2-relu-small", SMALL, _RELU, holds=Below(-0.1), published=math.log(0.75), null=0.0, primary=True, **_SIGNAL),
        *level("C2-relu-large", LARGE, _RELU, holds=Above(0.1), published=math.log(1.25), null=0.0, primary=True, **_SIGNAL),
        *level("C2-tanh-small", SMALL, _TANH, holds=Below(-0.1), published=math.log(0.5), null=0.0, **_SIGNAL),
        *level("C2-tanh-large", LARGE, _TANH, holds=Above(0.1), null=0.0, **OURS, says="tanh above criticality: the kernel explodes"),
        *slope("C2-tanh", C, kernel["ratio"].at("tanh"), over="depth", holds=Within(-1.25, -0.85), published=-1.0, **_SIGNAL),
        *follows("C2-tanh-power", C, kernel.within(Mean("ratio"), "tanh"), over="depth", law="1/depth", rivals=("exp(-depth/16)",),
                 **_SIGNAL),
        *exact("C2-exact", infinite["rate"].at(activation="relu"), method=C, tolerance=1e-12, **_SIGNAL),
        *exact("C2-exact-small", infinite["rate"].at(activation="relu"), method=SMALL, holds=Below(-0.28), **CONTROL),
        *exact("C2-inverse", infinite["inverse"].at(**_DEEP), method=C, holds=Within(0.99, 1.01), published=1.0, **_SIGNAL),
        *exact("C2-chaos", infinite["apart"].at(activation="tanh"), method=LARGE, holds=Above(1.05), **_SIGNAL,
               says="tanh above criticality: nearby inputs come apart exponentially"),
        *exact("C1-two-thirds", infinite["vertex_rate"].at(**_DEEP), method=C, holds=Within(0.66, 0.67), published=2 / 3,
               source="chapter 5: V / (n K^2) tends to 2/3 of depth over width"),
        *contrast("C3-skip", C, (_SKIP.at(skip=0.7), _SKIP.at(skip=0.0)), holds=Below(0.0), source="abstract; appendix B",
                  says="ReLU networks with a skip of 0.7 have a lower vertex than those without"),
        *equivalent("C3-linear", C, "exact", _LOG.at("skip-linear"), **_MARGIN, **_CHECK),
        *equivalent("C3-remembered", C, "remembered", _SKIP.at(skip=0.9), **_MARGIN, **OURS),
        *factor("C3-even", "first-order", C, _SKIP.at(skip=0.9), by=1.25, **OURS,
                says="with a skip of 0.9 the recursion of even moments alone is short of ReLU networks by more than a fifth"),
    ],
)  # fmt: skip
