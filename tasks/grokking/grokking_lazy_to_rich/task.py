"""Grokking as the Transition from Lazy to Rich Training Dynamics (Kumar et al., arXiv 2310.06110)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.bounds import POSITIVE, SHARE
from harness.claims import better, monotone, slope
from harness.estimates import Difference, Estimate, In, MeanOver, Of, Reading
from harness.task import Above, Below, Claim, Experiment, Figure, Grid, Method, Metric, Paper, Phase, Resources, Scale, Task, Within, param
from tasks.blocks.hardware import H100
from tasks.blocks.memory import gib
from tasks.grokking.gap import gap_metrics

_MODULE = "tasks.grokking.grokking_lazy_to_rich.experiment"
C = "committee"
TRAINED = (C, "uncentred", "unscaled-rate", "linear")
_DROPPED = "loss at which a curve has dropped, as a share of what predicting the mean loses"


@dataclass(frozen=True)
class Regression:
    """Parameters of a committee machine on the quadratic target; inputs are N(0, I / D)."""

    alpha: float = param(1.0, "scale of the outputs: large is lazy, small is rich", low=1e-4, high=1e4)
    epsilon: float = param(0.1, "curvature of the activation h + epsilon h^2 / 2", low=0.0, high=100.0)
    sigma: float = param(1.0, "standard deviation of the weights at the start", low=1e-3, high=1e3)
    inputs: int = param(30, "dimension D of the inputs", low=2, high=4096)
    examples: int = param(165, "training examples P", low=1, high=1_000_000)
    units: int = param(100, "hidden units N", unit="units", low=1, high=1_000_000)
    lr: float = param(0.1, "learning rate over D N / (alpha sigma)^2", low=1e-6, high=1e3)
    steps: int = param(8000, "steps of gradient descent on all examples", unit="steps", low=1)
    threshold: float = param(0.2, _DROPPED, low=1e-6, high=1.0)


@dataclass(frozen=True)
class Addition:
    """Parameters of a network of squares on addition modulo p."""

    alpha: float = param(1.0, "scale of the outputs: the square of the authors' `scale`", low=1e-4, high=1e4)
    modulus: int = param(23, "the prime p", low=3, high=1000)
    train_share: float = param(0.9, "share of all pairs that are trained on", low=0.01, high=0.99)
    units: int = param(100, "hidden units", unit="units", low=1, high=1_000_000)
    lr: float = param(100.0, "learning rate times alpha^2", low=1e-6, high=1e6)
    steps: int = param(50_000, "steps of gradient descent on all examples", unit="steps", low=1)
    threshold: float = param(0.2, _DROPPED, low=1e-6, high=1.0)


def _products(params: Mapping[str, Any]) -> tuple[float, float]:
    """Multiplications of a forward pass, and numbers that a trial keeps of one."""
    if "modulus" in params:
        p, units = params["modulus"], params["units"]
        return p**2 * units * p, p**2 * (units + 3 * p)
    d, p, n = params["inputs"], params["examples"], params["units"]
    return d**2 * (p + n), 2.0 * d * (6 * p + 6 * n + 6 * d)


def _seconds(scale: str, method: str, params: Mapping[str, Any]) -> float:
    """Of a trial in a pack of dozens; on a GPU a guess from its peak, not measured."""
    per_step = 3e-5 + 8e-10 * _products(params)[0] if scale in ("smoke", "laptop") else 1.5e-5 + 3e-12 * _products(params)[0]
    return 0.01 if method == "mean" else 0.05 + params["steps"] * per_step


_LOSSES = [Metric(f"{split}_loss", "", "lower", "mean squared error after the last step", bounds=POSITIVE) for split in ("test", "train")]
regression = Experiment(
    "regression",
    params=Regression,
    metrics=(
        *_LOSSES,
        *gap_metrics(TRAINED),
        Metric("lag", "", "lower", "share of the steps to generalise that come after those to fit; a lower bound as delay is", TRAINED,
               split="test", censored=True),
        Metric("alignment", "", "none", "y K y / (|K| |y|^2) with the tangent kernel at the start", TRAINED, bounds=SHARE),
        Metric("norm_growth", "", "none", "|W|^2 where the test loss drops over where the training loss does", TRAINED, bounds=POSITIVE),
        Metric("movement", "", "none", "|W - W0| / |W0| after the last step: 0 is lazy", TRAINED, bounds=POSITIVE),
    ),
    run_batch=f"{_MODULE}:regression",
    alike=lambda _, p: (p["inputs"], p["examples"], p["units"]),
    methods=(*TRAINED, "mean"),
    figures=(
        Phase(id="alpha-epsilon", title="Where the test loss lags", x="alpha", y="epsilon", z="lag", level=0.75, view="phase",
              log_x=True, log_y=True, along="rises", caption="share of the steps to generalise after those to fit"),
        Phase(id="samples", title="Where there is a gap", x="examples", y="inputs", z="lag", level=0.5, view="samples", log_x=True,
              along="falls", caption="share of the steps to generalise after those to fit"),
        Phase(id="generalises", title="Where it generalises", x="examples", y="inputs", z="test_loss", level=0.1, view="samples",
              log_x=True, along="falls", caption="exact test loss after the last step"),
        Figure(id="gap", title="The gap and the scale of the outputs", x="alpha", y="grok_gap", view="alpha", log_x=True, log_y=True),
    ),
    seconds=_seconds,
    memory=lambda _, _m, p: gib(8.0 * _products(p)[1]),
    summary="a committee machine with fixed readouts on y = (beta.x)^2 / 2; its test loss is exact",
)  # fmt: skip

addition = Experiment(
    "addition",
    params=Addition,
    metrics=(*_LOSSES, *gap_metrics(), Metric("test_accuracy", "", "higher", bounds=SHARE)),
    run_batch=f"{_MODULE}:addition",
    alike=lambda _, p: (p["modulus"], p["train_share"], p["units"]),
    methods=(C,),
    seconds=_seconds,
    memory=lambda _, _m, p: gib(8.0 * _products(p)[1]),
    summary="a network of squares on addition modulo p",
)


SIGMAS = [{"alpha": alpha, "sigma": sigma} for alpha, sigma in ((1.0, 1.0), (0.25, 2.0), (4.0, 0.5), (1.0, 2.0), (1.0, 0.5))]


def _scale(what: str, alphas: Sequence[float], grid: Mapping[str, Sequence[float]], samples: Mapping[str, Sequence[int]], *, seeds: int,
           limit: float, gpus: float = 0.0, base: Mapping[str, Any] | None = None, lazier: Mapping[str, Any] | None = None,
           few: Mapping[str, Any] | None = None, ended: float = 0.0, sums: Sequence[Grid] = ()) -> Scale:  # fmt: skip
    """`alphas` are swept at `base`, as are the epsilons of the phase diagram `grid` from `ended` on: training ends in time."""
    base, scaled = base or {}, [alpha for alpha in alphas if 0.2 < alpha < 3.0]
    epsilons = [epsilon for epsilon in grid["epsilon"] if epsilon >= ended]
    few = {**base, "alpha": 2.0, **(few or {})}
    grids = [
        Grid(regression, view="alpha", points=[base], axes={"alpha": alphas}, methods=(C, "uncentred")),
        Grid(regression, view="rate", points=[base], axes={"alpha": scaled}, methods=(C, "unscaled-rate")),
        Grid(regression, view="phase", points=[base], axes=grid, methods=(C,)),
        Grid(regression, view="epsilon", points=[base], axes={"epsilon": epsilons}, methods=(C,)),
        Grid(regression, view="samples", points=[few], axes=samples, methods=(C,)),
        Grid(regression, view="examples", points=[few], axes={"examples": samples["examples"]}, methods=(C,)),
        Grid(regression, view="sigma", points=[{**base, **(lazier or {}), **point} for point in SIGMAS], methods=(C,)),
        Grid(regression, view="floor", points=[base], methods=(C, "linear", "mean")),
    ]
    hardware, resources = (H100, Resources(gpus=gpus)) if gpus else (None, Resources())
    return Scale(description=what, grids=[*grids, *sums], seeds=seeds, time_limit_s=limit, resources=resources, hardware=hardware)


def _powers(low: int, high: int, each: int = 1) -> list[float]:
    return [2.0 ** (k / each) for k in range(low * each, high * each + 1)]


_SMALL = {"inputs": 12, "examples": 60, "units": 40, "steps": 400}
_PAPER = {"inputs": 100, "examples": 550, "units": 500, "lr": 0.2, "steps": 110_000, "epsilon": 0.02}
_PAPER_ALPHAS, _PAPER_EPSILONS = [round(0.4 * k, 1) for k in range(1, 15)], [round(0.02 * k, 2) for k in range(1, 15)]
_SCALES = {
    "smoke": _scale("D = 12 and 400 steps: does it run", (0.25, 1.0, 2.0), {"alpha": (0.5, 2.0), "epsilon": (0.1, 0.2, 0.4)},
                    {"inputs": (12, 20), "examples": (12, 120, 240)}, seeds=2, limit=60.0, base=_SMALL,
                    sums=[Grid(addition, points=[{"modulus": 5, "units": 16, "lr": 10.0, "steps": 200}], axes={"alpha": (0.25, 1.0)})]),
    "laptop": _scale("D = 30, P = 5.5 D, as many examples an input as in the paper; 2 CPU cores", _powers(-4, 3),
                     {"alpha": _powers(-2, 3), "epsilon": (0.025, 0.05, 0.1, 0.2, 0.4)},
                     {"inputs": (20, 30, 40), "examples": (30, 60, 120, 240, 480)}, seeds=5, limit=600.0, ended=0.05,
                     few={"steps": 5000}),
    "gpu": _scale("the same ten times finer, and addition modulo 23; one GPU", _powers(-4, 3, 4),
                  {"alpha": _powers(-2, 3, 4), "epsilon": [0.025 * x for x in _powers(0, 4, 3)]},
                  {"inputs": (20, 25, 30, 35, 40, 45, 50), "examples": [30, 40, 60, 80, 120, 160, 240, 320, 480, 640]}, seeds=5,
                  limit=600.0, gpus=1.0, ended=0.05, sums=[Grid(addition, axes={"alpha": (0.25, 1.0, 2.25)})]),
    "paper": _scale("Figure 3: D = 100, P = 550, N = 500; addition modulo 23; a cluster", _PAPER_ALPHAS,
                    {"alpha": _PAPER_ALPHAS, "epsilon": _PAPER_EPSILONS}, {"inputs": (40,), "examples": (50, 120, 500)}, seeds=5,
                    limit=12 * 3600.0, gpus=1.0, base=_PAPER,
                    lazier={"examples": 450, "epsilon": 0.25, "lr": 0.005, "steps": 50_000},
                    few={"alpha": 1.0, "epsilon": 0.5, "inputs": 40, "units": 100, "lr": 0.0125, "steps": 50_000},
                    sums=[Grid(addition, points=[{"steps": 100_000}], axes={"alpha": (0.25, 1.0, 2.25, 4.0)})]),
}  # fmt: skip


def _at(reading: Reading, over: str, end: Literal["smallest", "largest"]) -> Estimate:
    """What the committee reads at one end of a swept parameter."""
    return Of(C, In(reading.experiment, MeanOver(over, reading, only=end), reading.view))


def _moved(first: Mapping[str, float], second: Mapping[str, float]) -> Difference:
    """log10 of how much farther weights move at the first alpha and sigma than at the second."""
    moved = regression["movement"].log10()
    return Difference(*(moved.at("sigma", **point).of(C) for point in (first, second)))


_ALPHA = {name: regression[name].at("alpha") for name in ("grok_gap", "delay", "norm_growth")}
_EPSILON = {name: regression[name].at("epsilon") for name in ("grok_gap", "delay", "test_loss", "alignment")}
_LAG, _LEFT = (regression[name].at("examples") for name in ("delay", "test_loss"))
_FLOOR = regression["test_loss"].at("floor")
_OURS: Mapping[str, Any] = {"source": "ours", "kind": "extension"}
_CONTROL: Mapping[str, Any] = {"source": "control", "kind": "control"}
_LAZY: Mapping[str, Any] = {"source": "abstract; Figure 3(a), (e)", "group": "C1", "stands_on": ("floor",)}
_FIT: Mapping[str, Any] = {"source": "abstract; Figure 3(b), (e)", "group": "C2", "stands_on": ("floor",)}
_DATA: Mapping[str, Any] = {"source": "abstract; appendix, P = 50, 120 and 500 at D = 40", "group": "C3", "stands_on": ("floor",)}
_TENFOLD = "ours: ten per cent, where the same two sigmas at one alpha differ fourfold"

TASK = Task(
    id="grokking-lazy-to-rich",
    version=1,
    paper=Paper(arxiv="2310.06110", title="Grokking as the Transition from Lazy to Rich Training Dynamics", year=2023,
                authors="Tanishq Kumar, Blake Bordelon, Samuel J. Gershman, Cengiz Pehlevan"),
    summary="Whether gradient descent without weight decay groks a quadratic target because it starts lazy.",
    methods=[
        Method(C, "proposed", "gradient descent at a rate over alpha^2; what it computes at the start is subtracted"),
        Method("uncentred", "control", "the same with nothing subtracted, as the paper's formulas are written"),
        Method("unscaled-rate", "control", "the same at the rate of alpha = 1 for every alpha"),
        Method("linear", "control", "epsilon = 0: the network has no quadratic part"),
        Method("mean", "floor", "predicts the mean of y"),
    ],
    experiments=(regression, addition),
    scales=_SCALES,
    claims=[
        *monotone("C1-gap", C, _ALPHA["grok_gap"], over="alpha", rises=True, primary=True, **_LAZY),
        Claim(id="C1-vanishes", statement="the gap is ten times smaller at the smallest alpha than at the largest", unit="log10 of a ratio",
              estimate=Difference(*(_at(_ALPHA["grok_gap"].log10(), "alpha", end) for end in ("smallest", "largest"))), holds=Below(-1.0),
              null=0.0, note="At a rate over alpha^2 all times of rich training are proportional to alpha: see C1-lag.", **_LAZY),
        *monotone("C1-uncentred", "uncentred", _ALPHA["grok_gap"], over="alpha", rises=True, **_CONTROL),
        *monotone("C1-rate", "unscaled-rate", regression["grok_gap"].at("rate"), over="alpha", rises=False, **_CONTROL,
                  says="at one rate for every alpha the gap in steps falls with alpha instead"),
        *monotone("C1-delay", C, _ALPHA["delay"], over="alpha", rises=True, **_OURS),
        Claim(id="C1-lag", statement="at the smallest alpha the test loss drops within 1.5 times the steps that the training loss takes",
              estimate=_at(_ALPHA["delay"], "alpha", "smallest"), holds=Below(1.5), bounds=POSITIVE, **_OURS),
        *slope("C1-power", C, _ALPHA["grok_gap"], over="alpha", holds=Above(1.0), null=1.0, **_OURS,
               says="the gap grows faster than the times of rich training, which are proportional to alpha"),
        *monotone("C2-gap", C, _EPSILON["grok_gap"], over="epsilon", rises=False, primary=True, **_FIT),
        *monotone("C2-loss", C, _EPSILON["test_loss"], over="epsilon", rises=True, primary=True, **_FIT),
        *monotone("C2-lazy", C, regression["grok_gap"].at("phase", alpha=4.0), over="epsilon", rises=False,
                  scales=("laptop", "gpu", "paper"), **_OURS),
        *monotone("C2-delay", C, _EPSILON["delay"], over="epsilon", rises=False, **_OURS),
        *monotone("C2-alignment", C, _EPSILON["alignment"], over="epsilon", rises=True, **{**_CONTROL, "kind": "check"}),
        Claim(id="C3-few", statement="with the fewest examples the final test loss is above that of predicting the mean",
              estimate=Difference(_at(_LEFT, "examples", "smallest"), _FLOOR.of("mean")), holds=Above(0.0), null=0.0, **_DATA),
        Claim(id="C3-groks", statement="with 120 examples the final test loss is less than half that of predicting the mean",
              estimate=Difference(_LEFT.at(examples=120).of(C), _FLOOR.of("mean")), holds=Below(-0.25), null=0.0, **_DATA),
        Claim(id="C3-many", statement="with the most examples the delay is less than half that with 120", unit="log10 of a ratio",
              estimate=Difference(_at(_LAG.log10(), "examples", "largest"), _LAG.log10().at(examples=120).of(C)),
              holds=Below(-math.log10(2)), null=0.0, primary=True, **_DATA),
        Claim(id="C4-norm", statement="the weights grow from the drop of the training loss to that of the test loss, mean over alpha",
              estimate=Of(C, In("regression", MeanOver("alpha", _ALPHA["norm_growth"].log10()), "alpha")), holds=Above(0.0), null=0.0,
              unit="log10 of a ratio", source="section 5: weight norm is not what explains grokking here", primary=True,
              stands_on=("floor",)),
        Claim(id="C5-laziness", statement="weights move as far at sigma = 2, alpha = 1/4 as at sigma = alpha = 1",
              estimate=_moved(SIGMAS[1], SIGMAS[0]), holds=Within(-math.log10(1.1), math.log10(1.1)), null=0.0, unit="log10 of a ratio",
              source="appendix: weight norm and laziness have the same effect, alpha ~ sigma^-2", aim="equivalent",
              margin_source=_TENFOLD, stands_on=("C5-sigma",)),
        Claim(id="C5-sigma", statement="at one alpha, weights move less than half as far at sigma = 2 as at sigma = 1/2",
              estimate=_moved(SIGMAS[3], SIGMAS[4]), holds=Below(-math.log10(2)), null=0.0, unit="log10 of a ratio", **_CONTROL),
        *better("floor", C, "mean", _FLOOR, **_CONTROL),
        *better("linear", "mean", "linear", _FLOOR, **_CONTROL, says="without a quadratic part the test loss is above that of the mean"),
        *monotone("C6-addition", C, addition["grok_gap"], over="alpha", rises=True, source="Figure 2(c)", scales=("gpu", "paper")),
    ],
)  # fmt: skip
