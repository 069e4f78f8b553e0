"""Neural Tangent Kernel: Convergence and Generalization in Neural Networks (Jacot, Gabriel and Hongler, arXiv 1806.07572)."""

from collections.abc import Mapping, Sequence
from typing import Any

from harness.bounds import POSITIVE
from harness.claims import CONTROL, OURS, better, equivalent, factor, level, monotone, slope
from harness.task import Below, Experiment, Figure, Grid, Method, Metric, Paper, Params, Scale, Task, Traces, Within, log_log, param
from tasks.blocks.hardware import costs, h100

_RUN, NTK, BASIS = "tasks.theory.ntk_convergence.experiment", "ntk", "random-basis"


class Points(Params):
    """Points that are uniform on the unit sphere."""

    examples: int = param(40, "training points n", low=5, high=100_000)
    inputs: int = param(10, "dimension d of the sphere's space", low=2, high=10_000)


class Shape(Points):
    """A network of such points."""

    width: int = param(512, "units of every hidden layer", unit="units", low=2, high=1_000_000)
    depth: int = param(1, "hidden layers", low=1, high=64)


class Start(Shape):
    """Networks before training."""

    draws: int = param(10, "networks of which the root mean square is taken", low=1, high=1000)


class Train(Shape):
    """Training on sign(x1 x2) by gradient descent on the mean square."""

    lr: float = param(0.5, "learning rate in NTK parametrisation", low=1e-6, high=10.0)
    widest: int = param(2048, "width at which the standard parametrisation's one rate has the same pace", unit="units", low=2)
    steps: int = param(400, "steps on all examples", unit="steps", low=1)


class Stop(Points):
    """Kernel flow with as many points for training, for validation and for the test."""

    flipped: float = param(0.2, "share of labels that are turned around", low=0.0, high=0.5)


def _cost(cpu: bool, _method: str, p: Mapping[str, Any]) -> tuple[float, float]:
    """Of a trial in a pack: what weights and activations of all points take; on a GPU a guess from its peak, not measured."""
    width, hidden, n = p.get("width", 0), p.get("depth", 1), p["examples"]
    weights, units = width * p["inputs"] + (hidden - 1) * width**2, 2.0 * n * width * hidden
    once = 0.01 + (1e-9 if cpu else 2e-12) * p.get("draws", 1) * n * (units + 12.0 * weights) + (1e-9 if cpu else 1e-11) * n**3
    step = 1e-5 + 4e-9 * units + 1e-9 * n * weights if cpu else 1e-4 + 2e-11 * units + 4e-13 * n * weights
    return once + p.get("steps", 0) * step, 5 * weights + 6 * units + 40 * n**2


start = Experiment("start", params=Start, run=f"{_RUN}:start", methods=(NTK, "last-layer", "theory"), **costs(_cost), metrics=[
    Metric("deviation", "", "lower", "|K_0 - K| / |K|, Frobenius", bounds=POSITIVE),
], figures=[
    log_log("width", "The kernel at the start nears its limit", "width", "deviation", "width"),
    log_log("depth", "and is farther from it in deep networks", "depth", "deviation", "depth"),
], summary="the tangent kernel of a relu network before training, against infinite width")  # fmt: skip
train = Experiment("train", params=Train, run_batch=f"{_RUN}:train", methods=(NTK, "standard", "mean-field", BASIS), metrics=[
    Metric("drift", "", "lower", "|K_T - K_0| / |K_0| on the training points", bounds=POSITIVE),
    Metric("distance", "", "lower", "RMSE on test points to flow in the limit kernel from the same f_0", (NTK, BASIS), bounds=POSITIVE),
    Metric("linearised", "", "lower", "RMSE on test points to flow in the kernel at the start", bounds=POSITIVE),
    Metric("rate_exponent", "", "none", "exponent of the rates of bands over their eigenvalues", (NTK, BASIS)),
    Metric("train_loss", "", "lower", bounds=POSITIVE), Metric("test_loss", "", "lower", bounds=POSITIVE, split="test"),
], alike=lambda method, p: (method, p["width"], p["depth"], p["examples"], p["inputs"]), **costs(_cost), figures=[
    log_log("drift", "What training moves the kernel", "width", "drift", "width"),
    log_log("flow", "Distance to kernel flow", "width", "distance", "width"),
    log_log("own-flow", "Distance to flow in its own kernel", "width", "linearised", "width"),
    Traces(id="bands", title="Residuals along eigenvectors, the largest eigenvalues above", view="widest", methods=(NTK, BASIS),
           ys=[(f"band {k}", f"left_{k}") for k in range(1, 6)]),
], summary="gradient descent against flow in the space of the tangent kernel")  # fmt: skip
stop = Experiment("stop", params=Stop, run=f"{_RUN}:stop", methods=("stopped", "fitted", "prior"), **costs(_cost), metrics=[
    Metric("test_loss", "", "lower", "mean square against the labels before any was turned", bounds=POSITIVE, split="test"),
], figures=[
    Figure(id="stopping", title="Stopping early and noise", x="flipped", y="test_loss"),
], summary="kernel flow, stopped where validation is best or never")  # fmt: skip


def _grids(widths: Sequence[int], deep: Sequence[int], depths: Sequence[int], n: int, *, steps: int, few: int) -> list[Grid]:
    """`widths` of one hidden layer, `deep` ones of three, whose kernel is larger; `depths` at the widest of those."""
    base = {"examples": n, "steps": steps, "widest": widths[-1]}
    three = {"depth": 3, "lr": 0.1, "steps": 2 * steps}
    return [
        Grid(start, view="width", points=[{"examples": n}], axes={"width": widths}),
        Grid(start, view="deep", points=[{"examples": n, "depth": 3}], axes={"width": deep}, methods=(NTK,)),
        Grid(start, view="depth", points=[{"examples": n, "width": deep[-1]}], axes={"depth": depths}, methods=(NTK,)),
        Grid(train, view="width", points=[base], axes={"width": widths}, methods=(NTK, "standard", "mean-field")),
        Grid(train, view="widest", points=[{**base, "width": widths[-1]}], methods=(NTK, BASIS)),
        Grid(train, view="deep", points=[{**base, **three}], axes={"width": deep}, methods=(NTK,)),
        Grid(stop, points=[{"examples": few, "inputs": 5}], axes={"flipped": (0.0, 0.2)}),
    ]


_POWERS = [2**k for k in range(17)]
_SCALES = {
    "smoke": Scale(description="three widths and 100 steps: does it run", seeds=3, time_limit_s=60.0,
                   grids=_grids((16, 64, 256), (16, 64), (1, 2, 3), 20, steps=100, few=60)),
    "laptop": Scale(description="40 points, widths to 2048 (of three hidden layers to 256); 2 CPU cores", seeds=10, time_limit_s=120.0,
                    grids=_grids(_POWERS[5:12], _POWERS[5:9], (1, 2, 3, 4), 40, steps=400, few=600)),
    "gpu": h100(description="400 points, widths to 16384 (of three hidden layers to 2048); one GPU", seeds=5, time_limit_s=600.0,
                grids=_grids(_POWERS[8:15:2], _POWERS[8:12], (1, 2, 4, 8), 400, steps=4000, few=3000)),
    "paper": h100(description="1000 points, widths to 65536 (of three hidden layers to 8192); a cluster", seeds=5, time_limit_s=14400.0,
                  grids=_grids(_POWERS[8::2], _POWERS[9:14:2], (1, 2, 4, 8), 1000, steps=20_000, few=8000)),
}  # fmt: skip
_WIDE = dict[str, Any](over="width", null=0.0)
_C1 = dict[str, Any](source="abstract; Theorem 1; the exponent is that of a mean over units", group="C1", published=-0.5)
_C2 = dict[str, Any](source="abstract; Theorem 2, whose bound is of the order of width^(-1/2)", group="C2", holds=Below(-0.5))
_C3 = dict[str, Any](source="abstract; Section 5", group="C3")
_C4 = dict[str, Any](source="abstract: a motivation for early stopping", group="C4")
_SAME = dict[str, Any](holds=Within(-0.2, 0.2), aim="equivalent",
                       margin_source="ours: under half of the least exponent of a network that turns lazy, 1/2")  # fmt: skip
_EXACT = dict[str, Any](source="ours: the closed form", margin_source="ours: 12 %; one doubling of the width changes 41 %")
_BEGUN, _NOISY = start["deviation"].at("width"), stop["test_loss"].at(flipped=0.2)
_DRIFT, _OWN, _RATES = train["drift"].at("width"), train["linearised"].at("width"), train["rate_exponent"].at("widest")

TASK = Task(
    id="ntk-convergence", version=1, scales=_SCALES, experiments=(start, train, stop),
    paper=Paper(arxiv="1806.07572", title="Neural Tangent Kernel: Convergence and Generalization in Neural Networks", year=2018,
                authors="Arthur Jacot, Franck Gabriel, Clément Hongler"),
    summary="Whether the tangent kernel of wide networks is that of the limit and stays, and what training does is kernel flow.",
    methods=[
        Method(NTK, "proposed", "NTK parametrisation, one rate for all widths"),
        Method("standard", "control", "standard parametrisation, one rate for all widths"),
        Method("mean-field", "control", "outputs over the width instead of its root, at the same pace in function space"),
        Method(BASIS, "control", "NTK parametrisation; residuals along random directions instead of eigenvectors"),
        Method("last-layer", "control", "against a wrong limit, the kernel of the last layer alone"),
        Method("theory", "control", "the exact root mean square of the deviation for one hidden layer"),
        Method("stopped", "proposed", "flow in the limit kernel until validation is best"),
        Method("fitted", "baseline", "flow in the limit kernel until the labels are fitted"),
        Method("prior", "floor", "predicts 0"),
    ],
    claims=[
        *slope("C1-width", NTK, _BEGUN, holds=Within(-0.55, -0.45), primary=True, **_WIDE, **_C1),
        *slope("C1-deep", NTK, start["deviation"].at("deep"), holds=Within(-0.6, -0.4), **_WIDE, **_C1, says="so with three hidden layers"),
        *equivalent("C1-exact", NTK, "theory", _BEGUN.log10(), margin=0.05, kind="check", **_EXACT),
        *factor("C1-limit", NTK, "last-layer", _BEGUN.last("width"), by=5.0, **CONTROL,
                says="the widest networks are five times nearer to the limit than to a wrong one"),
        *monotone("C1-depth", NTK, start["deviation"].at("depth"), over="depth", rises=True, **OURS),
        *slope("C2-width", NTK, _DRIFT, primary=True, **_WIDE, **_C2),
        *slope("C2-deep", NTK, train["drift"].at("deep"), **_WIDE, **_C2, says="so with three hidden layers"),
        *slope("C2-mean-field", "mean-field", _DRIFT, **_WIDE, **_SAME, **CONTROL,
               says="in mean-field parametrisation the kernel moves as much at every width"),
        *better("C2-standard", NTK, "standard", _DRIFT.last("width").log10(), **OURS,
                says="in standard parametrisation at one rate the kernel of the widest networks moves more"),
        *slope("C2-pace", "standard", train["train_loss"].at("width"), holds=Below(-0.2), **_WIDE, **CONTROL,
               says="in standard parametrisation at one rate wide networks fit faster"),
        *slope("C3-flow", NTK, train["distance"].at("width"), holds=Within(-0.75, -0.25), primary=True, published=-0.5, **_WIDE, **_C3),
        *slope("C3-linearised", NTK, _OWN, holds=Below(-0.5), **_WIDE, **_C3),
        *slope("C3-mean-field", "mean-field", _OWN, **_WIDE, **_SAME, **CONTROL,
               says="a mean-field network is as far from its own kernel flow at every width"),
        *level("C3-modes", NTK, _RATES, holds=Within(0.8, 1.2), primary=True, published=1.0, null=0.0, **_C3,
               says="rates of convergence along eigenvectors are proportional to their eigenvalues"),
        *level("C3-basis", BASIS, _RATES, holds=Within(-0.3, 0.3), **CONTROL, says="along random directions they are not"),
        *better("C4-noise", "stopped", "fitted", _NOISY, **_C4),
        *better("C4-clean", "stopped", "fitted", stop["test_loss"].at(flipped=0.0), **_C4),
        *better("C4-floor", "stopped", "prior", _NOISY, **CONTROL),
    ],
)  # fmt: skip
