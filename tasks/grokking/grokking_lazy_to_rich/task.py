"""Grokking as the Transition from Lazy to Rich Training Dynamics (Kumar et al., arXiv 2310.06110)."""

import math
from collections.abc import Mapping, Sequence

from harness.bounds import POSITIVE, SHARE
from harness.claims import CONTROL, OURS, better, contrast, level, monotone, slope
from harness.estimates import Difference, In, MeanOver, Of
from harness.params import Axis, Point
from harness.sweeps import powers
from harness.task import Above, Below, Claim, Experiment, Grid, Method, Metric, Paper, Params, Phase, Scale, Task, Within, log_log, param
from tasks.blocks.hardware import costs, h100, smoke
from tasks.grokking.gap import gap_metrics

_MODULE = "tasks.grokking.grokking_lazy_to_rich.experiment"
_SIGMAS = [{"alpha": alpha, "sigma": sigma} for alpha, sigma in ((1.0, 1.0), (0.25, 2.0), (4.0, 0.5), (1.0, 2.0), (1.0, 0.5))]
C = "committee"
TRAINED = (C, "uncentred", "unscaled-rate", "linear")
_DROPPED = "loss at which a curve has dropped, as a share of what predicting the mean loses"


class Regression(Params):
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


class Addition(Params):
    """Parameters of a network of squares on addition modulo p."""

    alpha: float = param(1.0, "scale of the outputs: the square of the authors' `scale`", low=1e-4, high=1e4)
    modulus: int = param(23, "the prime p", low=3, high=1000)
    train_share: float = param(0.9, "share of all pairs that are trained on", low=0.01, high=0.99)
    units: int = param(100, "hidden units", unit="units", low=1, high=1_000_000)
    lr: float = param(100.0, "learning rate times alpha^2", low=1e-6, high=1e6)
    steps: int = param(50_000, "steps of gradient descent on all examples", unit="steps", low=1)
    threshold: float = param(0.2, _DROPPED, low=1e-6, high=1.0)


def _costs(cpu: bool, method: str, params: Point) -> tuple[float, float]:
    """Of a trial in a pack of dozens, by the products of a forward pass; on a GPU a guess from its peak, not measured."""
    n, (step, product) = params["units"], (3e-5, 8e-10) if cpu else (1.5e-5, 3e-12)
    if "modulus" in params:
        p = params["modulus"]
        products, held = p**2 * n * p, p**2 * (n + 3 * p)
    else:
        d, p = params["inputs"], params["examples"]
        products, held = d**2 * (p + n), 2.0 * d * (6 * p + 6 * n + 6 * d)
    return 0.01 if method == "mean" else 0.05 + params["steps"] * (step + product * products), held


_LOSSES = [Metric(f"{split}_loss", "", "lower", "mean squared error after the last step", bounds=POSITIVE) for split in ("test", "train")]
_LAGS: Point = {"z": "lag", "log_x": True, "caption": "share of the steps to generalise after those to fit"}
_SAMPLES: Point = {"x": "examples", "y": "inputs", "view": "samples", "log_x": True, "along": "falls"}
regression = Experiment(
    "regression", params=Regression, run_batch=f"{_MODULE}:regression", methods=(*TRAINED, "mean"), **costs(_costs),
    alike=lambda _, p: (p["inputs"], p["examples"], p["units"]),
    metrics=(
        *_LOSSES,
        *gap_metrics(TRAINED),
        Metric("alignment", "", "none", "y K y / (|K| |y|^2) with the tangent kernel at the start", TRAINED, bounds=SHARE),
        Metric("norm_growth", "", "none", "|W|^2 where the test loss drops over where the training loss does", TRAINED, bounds=POSITIVE),
        Metric("movement", "", "none", "|W - W0| / |W0| after the last step: 0 is lazy", TRAINED, bounds=POSITIVE),
    ),
    figures=(
        Phase(id="alpha-epsilon", title="Where the test loss lags", x="alpha", y="epsilon", level=0.75, view="phase", log_y=True,
              along="rises", **_LAGS),
        Phase(id="samples", title="Where there is a gap", level=0.5, **{**_SAMPLES, **_LAGS}),
        Phase(id="generalises", title="Where it generalises", z="test_loss", level=0.1, caption="exact test loss after the last step",
              **_SAMPLES),
        log_log("gap", "The gap and the scale of the outputs", "alpha", "grok_gap", "alpha"),
    ),
    summary="a committee machine with fixed readouts on y = (beta.x)^2 / 2; its test loss is exact",
)  # fmt: skip
addition = Experiment(
    "addition", params=Addition, run_batch=f"{_MODULE}:addition", methods=(C,), **costs(_costs),
    metrics=(*_LOSSES, *gap_metrics(), Metric("test_accuracy", "", "higher", bounds=SHARE)),
    alike=lambda _, p: (p["modulus"], p["train_share"], p["units"]), summary="a network of squares on addition modulo p",
)  # fmt: skip


def _grids(base: Point, alphas: Axis, plane: Mapping[str, Axis], samples: Mapping[str, Sequence[int]], few: Point,
           ended: float = 0.0, lazier: Point | None = None) -> list[Grid]:  # fmt: skip
    """`alphas` are swept at `base`, as are the epsilons of the phase diagram `plane` from `ended` on: training ends in time."""
    few = {**base, "alpha": 2.0, **few}
    views: list[tuple[str, Sequence[Point], Mapping[str, Axis], Sequence[str]]] = [
        ("alpha", [base], {"alpha": alphas}, ["uncentred"]),
        ("rate", [base], {"alpha": [alpha for alpha in alphas if 0.2 < alpha < 3.0]}, ["unscaled-rate"]),
        ("phase", [base], plane, []),
        ("epsilon", [base], {"epsilon": [epsilon for epsilon in plane["epsilon"] if epsilon >= ended]}, []),
        ("samples", [few], samples, []),
        ("examples", [few], {"examples": samples["examples"]}, []),
        ("sigma", [{**base, **(lazier or {}), **point} for point in _SIGMAS], {}, []),
        ("floor", [base], {}, ["linear", "mean"]),
    ]
    return [Grid(regression, view=view, points=points, axes=axes, methods=(C, *beside)) for view, points, axes, beside in views]


_PAPER: Point = {"inputs": 100, "examples": 550, "units": 500, "lr": 0.2, "steps": 110_000, "epsilon": 0.02}
_FEW: Point = {"alpha": 1.0, "epsilon": 0.5, "inputs": 40, "units": 100, "lr": 0.0125, "steps": 50_000}
_PAPER_ALPHAS, _PAPER_EPSILONS = [round(0.4 * k, 1) for k in range(1, 15)], [round(0.02 * k, 2) for k in range(1, 15)]
_SCALES = {
    "smoke": smoke("D = 12 and 400 steps", [
        *_grids({"inputs": 12, "examples": 60, "units": 40, "steps": 400}, (0.25, 1.0, 2.0),
                {"alpha": (0.5, 2.0), "epsilon": (0.1, 0.2, 0.4)}, {"inputs": (12, 20), "examples": (12, 120, 240)}, {}),
        Grid(addition, points=[{"modulus": 5, "units": 16, "lr": 10.0, "steps": 200}], axes={"alpha": (0.25, 1.0)})]),
    "laptop": Scale(description="D = 30, P = 5.5 D, as many examples an input as in the paper; 2 CPU cores", seeds=5, time_limit_s=600.0,
                    grids=_grids({}, powers(2, -4, 3), {"alpha": powers(2, -2, 3), "epsilon": (0.025, 0.05, 0.1, 0.2, 0.4)},
                                 {"inputs": (20, 30, 40), "examples": (30, 60, 120, 240, 480)}, {"steps": 5000}, ended=0.05)),
    "gpu": h100(description="the same ten times finer, and addition modulo 23; one GPU", seeds=5, time_limit_s=600.0, grids=[
        *_grids({}, powers(2, -4, 3, 4), {"alpha": powers(2, -2, 3, 4), "epsilon": [0.025 * x for x in powers(2, 0, 4, 3)]},
                {"inputs": range(20, 51, 5), "examples": [30, 40, 60, 80, 120, 160, 240, 320, 480, 640]}, {}, ended=0.05),
        Grid(addition, axes={"alpha": (0.25, 1.0, 2.25)})]),
    "paper": h100(description="Figure 3: D = 100, P = 550, N = 500; addition modulo 23; a cluster", seeds=5, time_limit_s=43_200.0, grids=[
        *_grids(_PAPER, _PAPER_ALPHAS, {"alpha": _PAPER_ALPHAS, "epsilon": _PAPER_EPSILONS}, {"inputs": (40,), "examples": (50, 120, 500)},
                _FEW, lazier={"examples": 450, "epsilon": 0.25, "lr": 0.005, "steps": 50_000}),
        Grid(addition, points=[{"steps": 100_000}], axes={"alpha": (0.25, 1.0, 2.25, 4.0)})]),
}  # fmt: skip

_GAP, _DELAY, _GROWN = regression.readings("alpha", "grok_gap", "delay", "norm_growth")
_EPSILON = {name: regression[name].at("epsilon") for name in ("grok_gap", "delay", "test_loss", "alignment")}
_LAG, _LEFT = regression["delay"].at("examples").log10(), regression["test_loss"].at("examples")
_FLOOR = regression["test_loss"].at("floor")
_MOVED = [regression["movement"].log10().at("sigma", **point) for point in _SIGMAS]
_LAZY: Point = {"source": "abstract; Figure 3(a), (e)", "group": "C1", "stands_on": ("floor",)}
_FIT: Point = {"source": "abstract; Figure 3(b), (e)", "group": "C2", "stands_on": ("floor",)}
_DATA: Point = {"source": "abstract; appendix, P = 50, 120 and 500 at D = 40", "group": "C3", "null": 0.0, "stands_on": ("floor",)}
_TENFOLD = "ours: ten per cent, where the same two sigmas at one alpha differ fourfold"

TASK = Task(
    id="grokking-lazy-to-rich", version=1,
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
    experiments=(regression, addition), scales=_SCALES,
    claims=[
        *monotone("C1-gap", C, _GAP, over="alpha", rises=True, primary=True, **_LAZY),
        *contrast("C1-vanishes", C, (_GAP.log10().first("alpha"), _GAP.log10().last("alpha")), holds=Below(-1.0),
                  says="the gap is ten times smaller at the smallest alpha than at the largest",
                  note="At a rate over alpha^2 all times of rich training are proportional to alpha: see C1-lag.", **_LAZY),
        *monotone("C1-uncentred", "uncentred", _GAP, over="alpha", rises=True, **CONTROL),
        *monotone("C1-rate", "unscaled-rate", regression["grok_gap"].at("rate"), over="alpha", rises=False, **CONTROL,
                  says="at one rate for every alpha the gap in steps falls with alpha instead"),
        *monotone("C1-delay", C, _DELAY, over="alpha", rises=True, **OURS),
        *level("C1-lag", C, _DELAY.first("alpha"), holds=Below(1.5), **OURS,
               says="at the smallest alpha the test loss drops within 1.5 times the steps that the training loss takes"),
        *slope("C1-power", C, _GAP, over="alpha", holds=Above(1.0), null=1.0, **OURS,
               says="the gap grows faster than the times of rich training, which are proportional to alpha"),
        *monotone("C2-gap", C, _EPSILON["grok_gap"], over="epsilon", rises=False, primary=True, **_FIT),
        *monotone("C2-loss", C, _EPSILON["test_loss"], over="epsilon", rises=True, primary=True, **_FIT),
        *monotone("C2-lazy", C, regression["grok_gap"].at("phase", alpha=4.0), over="epsilon", rises=False,
                  scales=("laptop", "gpu", "paper"), **OURS),
        *monotone("C2-delay", C, _EPSILON["delay"], over="epsilon", rises=False, **OURS),
        *monotone("C2-alignment", C, _EPSILON["alignment"], over="epsilon", rises=True, **{**CONTROL, "kind": "check"}),
        Claim(id="C3-few", statement="with the fewest examples the final test loss is above that of predicting the mean",
              estimate=Difference(_LEFT.first("examples").of(C), _FLOOR.of("mean")), holds=Above(0.0), **_DATA),
        Claim(id="C3-groks", statement="with 120 examples the final test loss is less than half that of predicting the mean",
              estimate=Difference(_LEFT.at(examples=120).of(C), _FLOOR.of("mean")), holds=Below(-0.25), **_DATA),
        *contrast("C3-many", C, (_LAG.last("examples"), _LAG.at(examples=120)), holds=Below(-math.log10(2)), primary=True, **_DATA,
                  says="with the most examples the delay is less than half that with 120"),
        Claim(id="C4-norm", statement="the weights grow from the drop of the training loss to that of the test loss, mean over alpha",
              estimate=Of(C, In("regression", MeanOver("alpha", _GROWN.log10()), "alpha")), holds=Above(0.0), null=0.0, primary=True,
              unit="log10 of a ratio", source="section 5: weight norm is not what explains grokking here", stands_on=("floor",)),
        *contrast("C5-laziness", C, (_MOVED[1], _MOVED[0]), holds=Within(-math.log10(1.1), math.log10(1.1)),
                  says="weights move as far at sigma = 2, alpha = 1/4 as at sigma = alpha = 1", aim="equivalent", margin_source=_TENFOLD,
                  source="appendix: weight norm and laziness have the same effect, alpha ~ sigma^-2", stands_on=("C5-sigma",)),
        *contrast("C5-sigma", C, (_MOVED[3], _MOVED[4]), holds=Below(-math.log10(2)), **CONTROL,
                  says="at one alpha, weights move less than half as far at sigma = 2 as at sigma = 1/2"),
        *better("floor", C, "mean", _FLOOR, **CONTROL),
        *better("linear", "mean", "linear", _FLOOR, **CONTROL, says="without a quadratic part the test loss is above that of the mean"),
        *monotone("C6-addition", C, addition["grok_gap"], over="alpha", rises=True, source="Figure 2(c)", scales=("gpu", "paper")),
    ],
)  # fmt: skip
