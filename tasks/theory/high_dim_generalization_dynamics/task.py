"""High-dimensional dynamics of generalization error in neural networks (Advani, Saxe, Sompolinsky, arXiv 1710.03667)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.bounds import POSITIVE
from harness.claims import CONTROL, OURS, contrast, equivalent, exact, level, monotone, non_inferior, slope
from harness.estimates import paired
from harness.task import Above, Below, Claim, Experiment, Figure, Grid, Method, Metric, Paper, Scale, Task, Within, param
from tasks.blocks.hardware import costs, h100, smoke

_MODULE = "tasks.theory.high_dim_generalization_dynamics.experiment"
FLOW, NET = "flow", "network"
_NOISE = "variance of the labels' noise, where the signal has 1"


@dataclass(frozen=True)
class Linear:
    """A linear teacher; inputs are N(0, I / N)."""

    aspect: float = param(0.5, "examples P over inputs N", low=1e-3, high=100.0)
    inputs: int = param(200, "dimension N of the inputs", low=2, high=100_000)
    noise: float = param(0.2, _NOISE, low=0.0, high=1e6)
    init: float = param(0.0, "standard deviation of the weights at the start, where the teacher's is 1", low=0.0, high=1e3)
    horizon: float = param(1000.0, "training time over N / P of the unit in which inputs of length 1 are learned", low=0.1, high=1e9)
    steps: int = param(300, "steps of gradient descent, where it is compared with", unit="steps", low=1)
    teachers: int = param(50, "teachers, starts and noises that errors are averaged over", low=1, high=10_000)


@dataclass(frozen=True)
class Network:
    """A two-layer ReLU network that learns from another; inputs are N(0, I)."""

    width: int = param(64, "hidden units", unit="units", low=1, high=1_000_000)
    inputs: int = param(15, "dimension of the inputs", low=1, high=10_000)
    teacher: int = param(15, "hidden units of the teacher", unit="units", low=1, high=10_000)
    examples: int = param(128, "training examples P", low=1, high=1_000_000)
    noise: float = param(1.0, _NOISE, low=0.0, high=1e6)
    init: float = param(1.0, "standard deviation of the weights at the start", low=1e-3, high=1e3)
    lr: float = param(0.5, "learning rate, over init^2 where that is above 1", low=1e-6, high=1e3)
    steps: int = param(3000, "steps of gradient descent on all examples", unit="steps", low=1)


_ERRORS = (
    Metric("final_error", "", "lower", "excess mean squared error at the end of training", split="test", bounds=POSITIVE),
    Metric("best_error", "", "lower", "the same where training should have stopped", split="test", bounds=POSITIVE),
    Metric("overtraining", "", "lower", "final error less the best", split="test"),
)
_SPECTRUM = Metric("spectrum", "", "lower", "mean distance of eigenvalues to quantiles of the limit's", (FLOW,), bounds=POSITIVE)
linear = Experiment(
    "linear", params=Linear, metrics=(*_ERRORS, _SPECTRUM), run=f"{_MODULE}:linear", methods=(FLOW, "theory", "unfrozen", "ridge"),
    figures=[Figure(id=f"{view}-{y}", title=title, x=view, y=y, view=view, log_x=view != "init", log_y=view != "init")
             for view, y, title in (("aspect", "overtraining", "Overtraining peaks at P = N"), ("aspect", "final_error", "Double descent"),
                                    ("horizon", "final_error", "The peak grows"), ("init", "final_error", "Large starts stay"))],
    **costs(lambda cpu, _, p: (0.05 + p["inputs"] ** 3 * max(1.0, p["aspect"]) * (4e-9 if cpu else 1e-11),
                               5.0 * p["inputs"] * (p["aspect"] * (p["inputs"] + p["teachers"]) + p["teachers"]))),
    summary="a linear teacher learned by gradient flow: exact modes of a sample, and their limit",
)  # fmt: skip
descent = Experiment(
    "descent", params=Linear, run=f"{_MODULE}:descent", methods=(FLOW, "unfrozen"), exact=True,
    metrics=[Metric("descent_gap", "", "lower", "how far the error of the modes is off that of plain gradient descent", bounds=POSITIVE)],
    seconds=lambda _, _m, p: 0.05 + 1e-4 * p["steps"], summary="the modes against plain gradient descent",
)  # fmt: skip
network = Experiment(
    "network", params=Network, run_batch=f"{_MODULE}:networks", methods=(NET,), selecting=(NET,),
    metrics=(*_ERRORS, Metric("train_loss", "", "lower", "mean squared error on the noisy labels", bounds=POSITIVE)),
    alike=lambda _, p: (p["inputs"], p["width"], p["init"], p["examples"]),
    figures=[Figure(id=f"width-{y}", title=title, x="width", y=y, view="width", log_x=True)
             for y, title in (("final_error", "Error without stopping"), ("overtraining", "What stopping would have saved"))],
    **costs(lambda cpu, _, p: (0.1 + p["steps"] * (1e-4 + 6e-6 * p["width"]) * (1.0 if cpu else 0.01),
                               5.0 * (p["examples"] + 1800) * (p["width"] + p["inputs"]))),
    summary="a two-layer ReLU network of growing width, trained to the end on noisy labels of another",
)  # fmt: skip


def _grids(horizons: Sequence[float], widths: Sequence[int], size: Mapping[str, Any], net: Mapping[str, Any]) -> list[Grid]:
    ends, starts = (0.125, 0.25, 0.5, 0.8, 1.0, 1.25, 2.0, 4.0, 8.0), {"init": (0.0, 0.5, 1.0, 2.0)}
    exactly, two = {"inputs": 40, "teachers": 5, "init": 0.7}, (FLOW, "theory")
    return [
        Grid(linear, view="aspect", points=[size], axes={"aspect": ends}),
        Grid(linear, view="noiseless", points=[{**size, "noise": 0.0}], axes={"aspect": (0.5, 1.0, 2.0)}, methods=two),
        Grid(linear, view="horizon", points=[{**size, "aspect": 1.0}], axes={"horizon": horizons}, methods=two),
        Grid(linear, view="init", points=[size], axes=starts, methods=two),
        Grid(linear, view="many", points=[{**size, "aspect": 2.0}], axes=starts, methods=two),
        Grid(descent, points=[exactly], axes={"aspect": (0.5, 1.0, 2.0)}),
        Grid(network, view="width", points=[net], axes={"width": widths}),
        Grid(network, view="wide", points=[net], axes={"width": [width for width in widths if width >= 16]}),
        Grid(network, view="start", points=[net], axes={"init": (0.25, 0.5, 1.0, 2.0)}),
    ]


_WIDTHS = (2, 4, 8, 16, 32, 64, 128, 256)
_SCALES = {
    "smoke": smoke("N = 50, 200 steps", _grids((50.0, 100.0), (2, 8, 16, 32, 64), {"inputs": 50, "teachers": 10}, {"steps": 200})),
    "laptop": Scale(description="N = 200, networks of 2 to 256 units, 128 examples; 2 CPU cores", seeds=10, time_limit_s=300.0,
                    grids=_grids((100.0, 300.0, 1000.0), _WIDTHS, {}, {})),
    "gpu": h100(description="N = 2000, networks of up to 2048 units; one GPU", seeds=10, time_limit_s=600.0,
                grids=_grids((100.0, 1000.0, 10_000.0), (*_WIDTHS, 512, 1024, 2048), {"inputs": 2000}, {})),
    "paper": h100(description="N = 10,000, networks of up to 10,000 units; a cluster", seeds=20, time_limit_s=4 * 3600.0,
                  grids=_grids((100.0, 1000.0, 10_000.0), (*_WIDTHS, 1024, 4096, 10_000), {"inputs": 10_000}, {"steps": 30_000})),
}  # fmt: skip

_FINAL, _BEST, _OVER = (linear[name].at("aspect") for name in ("final_error", "best_error", "overtraining"))
_INIT, _MANY = linear["final_error"].at("init"), linear["final_error"].at("many").log10()
_WIDE, _STOPPED = (network[name].at("width").log10() for name in ("final_error", "best_error"))
_LATE = network["overtraining"].at("width")
_PEAK: Mapping[str, Any] = {"source": "abstract: worst where parameters are as many as samples", "group": "C1"}
_LARGE: Mapping[str, Any] = {"source": "abstract: very large networks are not harmed", "group": "C3"}
_SECTION: Mapping[str, Any] = {"source": "Section 2: theory and simulation", "margin_source": "ours: five per cent, mean over P / N"}
ONE, FIVE, TWO = math.log10(1.01), math.log10(1.05), math.log10(2)

TASK = Task(
    id="high-dim-generalization-dynamics", version=1,
    paper=Paper(arxiv="1710.03667", title="High-dimensional dynamics of generalization error in neural networks", year=2017,
                authors="Madhu S. Advani, Andrew M. Saxe, Haim Sompolinsky"),
    summary="When training too long hurts, how far large weights at the start do, and whether very large networks need to be stopped.",
    methods=[
        Method(FLOW, "proposed", "gradient flow on a linear teacher's labels, exact for a sample"),
        Method("theory", "control", "its limit for many inputs, an integral over the law of Marchenko and Pastur"),
        Method("unfrozen", "control", "the same without the directions that no example reaches"),
        Method("ridge", "rival", "the best ridge, noise over signal, instead of stopping"),
        Method(NET, "proposed", "both layers of a ReLU network by gradient descent on all examples"),
    ],
    experiments=(linear, descent, network), scales=_SCALES,
    claims=[
        *contrast("C1-peak", FLOW, *((_OVER.at(aspect=1), _OVER.at(aspect=other)) for other in (0.5, 0.8, 1.25, 2.0)), primary=True,
                  says="overtraining is larger at P = N than at P / N = 0.5, 0.8, 1.25 and 2", holds=Above(0.0), stands_on=("theory",),
                  **_PEAK),
        *level("C1-few", FLOW, _OVER.first("aspect"), holds=Below(0.05), says="with the fewest examples it is below 0.05", **_PEAK),
        *level("C1-many", FLOW, _OVER.last("aspect"), holds=Below(0.05), says="with the most examples it is below 0.05", **_PEAK),
        *exact("C1-noiseless", linear["overtraining"].at("noiseless"), method=FLOW, tolerance=1e-12, **CONTROL,
               says="without noise in the labels nothing overtrains"),
        *slope("C1-time", FLOW, linear["final_error"].at("horizon"), over="horizon", holds=Within(0.4, 0.6), null=0.0, **OURS,
               says="at P = N the final error grows as the root of the training time: the peak is that of a time"),
        *contrast("C1-network", NET, *((_LATE.at(width=8), _LATE.at(width=other)) for other in (2, 64)), holds=Above(0.0), **_PEAK,
                  says="networks of as many parameters as examples overtrain more than those of 2 units and of 64"),
        *monotone("C2-init", FLOW, _INIT, over="init", rises=True, primary=True, source="abstract: small weights at the start"),
        *contrast("C2-size", FLOW, (_INIT.at(init=2.0), _INIT.at(init=0.0)), holds=Within(1.9, 2.1),
                  says="at P = N / 2 weights of variance 4 at the start add the half of it that no example reaches",
                  source="Section 2: frozen modes keep their error"),
        *contrast("C2-many", FLOW, (_MANY.at(init=2.0), _MANY.at(init=0.0)), holds=Within(-ONE, ONE), exact=True, aim="equivalent",
                  says="at P = 2 N they change it by less than one per cent", margin_source="ours: one per cent", **CONTROL),
        *monotone("C2-network", NET, network["final_error"].at("start"), over="init", rises=True, **OURS),
        *monotone("C3-falls", NET, network["final_error"].at("wide"), over="width", rises=False, primary=True, **_LARGE,
                  says="from 16 units on, the error without stopping falls with width"),
        *contrast("C3-less", NET, (_LATE.last("width").log10(), _LATE.at(width=8).log10()), holds=Below(-TWO), **_LARGE,
                  says="the widest network overtrains less than half as much as that with as many parameters as examples"),
        *contrast("C3-smallest", NET, (_WIDE.last("width"), _WIDE.first("width")), holds=Below(0.0), **OURS,
                  says="without stopping the widest network is no worse than that with 2 units"),
        *contrast("C3-none", NET, (_WIDE.last("width"), _STOPPED.last("width")), holds=Below(math.log10(1.1)), aim="not worse", **OURS,
                  says="stopping the widest network would have saved less than a tenth of its error", margin_source="ours: a tenth"),
        *exact("modes", descent["descent_gap"], method=FLOW, tolerance=1e-9, source="Section 2: the solution by singular vectors"),
        *exact("modes-unfrozen", descent["descent_gap"].at(aspect=0.5), method="unfrozen", holds=Above(1e-3), **CONTROL),
        *equivalent("theory", FLOW, "theory", _FINAL.log10(), margin=FIVE, **_SECTION),
        *equivalent("theory-best", FLOW, "theory", _BEST.log10(), margin=FIVE, **_SECTION),
        Claim(id="theory-unfrozen", estimate=paired(FLOW, "unfrozen", _FINAL.log10().at(aspect=0.5)), holds=Above(TWO), null=0.0, **CONTROL,
              statement="at P = N / 2 the theory without frozen modes is off by more than a factor of two", unit="log10 of a ratio"),
        *non_inferior("ridge", FLOW, "ridge", _BEST.log10(), margin=FIVE, source="Section 2: stopping is nearly as good as weight decay",
                      margin_source="ours: five per cent"),
        *level("spectrum", FLOW, linear["spectrum"].at("aspect"), holds=Below(0.05), source="check", kind="check"),
    ],
)  # fmt: skip
