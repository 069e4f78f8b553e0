"""Grokking at the Edge of Numerical Stability: perp-Grad, StableMax and softmax collapse (Prieto et al., arXiv 2501.04697)."""

from collections.abc import Hashable
from itertools import pairwise

from harness.bounds import CORRELATION, POSITIVE
from harness.claims import CONTROL, ablation, better, contrast, exact, level
from harness.estimates import Difference
from harness.params import Axis, Point
from harness.sweeps import Sweep
from harness.task import Above, Below, Claim, Experiment, Figure, Grid, Method, Metric, Paper, Params, Phase, Scale, Task, param
from tasks.blocks.hardware import costs, h100
from tasks.blocks.memory import gib
from tasks.blocks.supervision import ACCURACIES, share, steps

_RUN = "tasks.grokking.grokking_stablemax.experiment"
ADAMW, PERP, ROLLED, FLOOR = "adamw", "perp-grad", "rolled-perp-grad", "random-labels"
STABLEMAX, SOFTMAX16, SOFTMAX64 = "stablemax", "softmax-float16", "softmax-float64"
DTYPES = ("float16", "float32", "float64")


class Training(Params):
    """Parameters of a training; the optimizer is AdamW on all training pairs at once."""

    p: int = param(47, "modulus: p^2 pairs, p classes", low=3, high=1000)
    width: int = param(128, "units of each of the two hidden layers", unit="units", low=2, high=100_000)
    fraction: float = param(0.5, "share of the pairs that it is trained on", low=0.01, high=0.9)
    held_out: float = param(0.1, "share of the pairs that validate", low=0.01, high=0.5)
    lr: float = param(0.01, "learning rate", low=1e-7, high=100.0)
    decay: float = param(0.0, "decoupled weight decay", low=0.0, high=1000.0)
    steps: int = param(300, "steps", unit="steps", low=1, high=10_000_000)
    beta2: float = param(0.999, "of the second moment", low=0.0, high=0.99999)
    eps: float = param(1e-8, "beside the root of the second moment", low=0.0, high=1.0)


class Arithmetic(Params):
    """Parameters of a threshold."""

    dtype: str = param("float32", "arithmetic of softmax", choices=DTYPES)


def _alike(method: str, p: Point) -> Hashable:
    """Shapes, the loss and the gradient, Adam's constants, and the points at which all are measured: all but rate and decay."""
    return PERP if method == FLOOR else method, *(p[name] for name in sorted(p) if name not in ("lr", "decay"))


def _costs(cpu: bool, method: str, p: Point) -> tuple[float, float]:
    """Seconds by the products of a step; a dozen numbers an activation of all pairs, some in float64, and AdamW's four a weight."""
    step, product = (2e-4, 6e-11) if cpu else (5e-6, 3e-13)
    products = p["fraction"] * p["p"] ** 2 * p["width"] * (p["width"] + p["p"]) * (1.5 if method in (STABLEMAX, SOFTMAX64) else 1.0)
    held = 7.5 * p["p"] ** 2 * (2 * p["width"] + p["p"]) + 2.0 * p["width"] * (p["width"] + 3 * p["p"])
    return 0.05 + p["steps"] * (step + product * products), held


_CURVE: Point = {"x": "step", "log_x": True}
_AT_ONE_RATE: Point = {"view": "main", "where": {"lr": 0.01}, **_CURVE}
train = Experiment(
    "train", params=Training, run_batch=f"{_RUN}:train", alike=_alike, tuned=Sweep(("lr", "decay"), by=("val_accuracy",)),
    **costs(_costs), methods=(ADAMW, PERP, ROLLED, STABLEMAX, SOFTMAX16, SOFTMAX64, FLOOR),
    metrics=(
        *ACCURACIES,
        Metric("train_loss", "nats", "lower", "of the loss that is trained", bounds=POSITIVE),
        steps("steps", "until test accuracy is 0.95", split="test"),
        steps("fit_steps", "until training accuracy is 0.999", "none"),
        *(share(f"collapse_{name}", f"training pairs whose softmax has collapsed in {name}", "none") for name in DTYPES),
        *(steps(f"steps_{name}", f"until half of them have in {name}", "none") for name in DTYPES),
        Metric("alignment", "cosine", "none", "of the last layer's descent and its weights", bounds=CORRELATION),
        Metric("alignment_rise", "cosine", "none", "since the start"),
        Metric("norm_ratio", "ratio", "none", "of all weights, end over start", bounds=POSITIVE),
    ),
    figures=[
        Phase(id="plane", title="Test accuracy over rate and decay", x="lr", y="decay", z="test_accuracy", view="plane", along="peak",
              log_x=True, log_y=True),
        Figure(id="rates", title="Test accuracy over the learning rate", x="lr", y="test_accuracy", view="main", log_x=True),
        *(Figure(id=f"{y}-steps", title=f"{y} while training", y=y, **_AT_ONE_RATE) for y in ("train_accuracy", "test_accuracy")),
        *(Figure(id=f"collapse-{name}", title=f"Collapsed in {name}", y=f"collapse_{name}", view="collapse", **_CURVE) for name in DTYPES),
        Figure(id="alignment", title="Descent along the weights", y="alignment", **_AT_ONE_RATE),
    ],
    summary="ReLU networks on modular addition",
)  # fmt: skip
threshold = Experiment(
    "threshold", params=Arithmetic, run=f"{_RUN}:threshold", methods=(SOFTMAX64,), exact=True,
    seconds=lambda *_: 0.02, memory=lambda *_: gib(1e6), summary="where the softmax of two logits collapses",
    metrics=(Metric("gap", "nats", "none", "between two logits where their softmax collapses", split="none"),
             Metric("gap_error", "", "zero", "over log(2 / eps), less 1", split="none")),
)  # fmt: skip

_RATES, _DECAYS = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1), (0.1, 0.3, 1.0, 3.0, 10.0)
_FINE, _FINE_DECAYS = [round(1e-3 * 10 ** (i / 9), 6) for i in range(20)], [round(0.1 * 10 ** (i / 5), 3) for i in range(15)]
_PUBLISHED: Point = {"p": 113, "width": 200, "fraction": 0.4}
_FIGURE_2: Point = {"lr": 5e-4, "eps": 1e-30}
_LATE: Point = {"lr": 0.01, "eps": 1e-30, "beta2": 0.9}
"""A second moment that forgets the large gradients of before: otherwise the logits all but stop growing, long before float32 rounds."""


def _grids(point: Point, late: Point, rates: Axis = _RATES, decays: Axis = _DECAYS, plane: Axis = ()) -> list[Grid]:
    """`late`: the networks whose collapse is followed; `plane`: the rates that are crossed with the decays, unless all `rates` are."""
    return [
        Grid(train, view="main", points=[point], axes={"lr": rates}, methods=(ADAMW, PERP, ROLLED, FLOOR)),
        Grid(train, view="plane", points=[point], axes={"lr": plane or rates, "decay": [0.0, *decays]}, methods=(ADAMW, PERP)),
        Grid(train, view="collapse", points=[{**point, **late}], methods=(SOFTMAX64,)),
        Grid(threshold, axes={"dtype": DTYPES}),
    ]


def _lasting(steps: int) -> list[Grid]:
    """Figures 1 and 4 (StableMax and softmax at rate 0.01) and 2 (softmax in three arithmetics at 0.0005)."""
    return [
        Grid(train, view="long", points=[{**_PUBLISHED, "lr": 0.01, "steps": steps}], methods=(STABLEMAX, ADAMW)),
        Grid(train, view="bits", points=[{**_PUBLISHED, **_FIGURE_2, "steps": 20_000}], methods=(SOFTMAX16, ADAMW, SOFTMAX64)),
    ]


_WIDE: Point = {**_PUBLISHED, "beta2": 0.99}
_SCALES = {
    "smoke": Scale(description="p = 7, 30 steps: does it run", seeds=2, time_limit_s=120.0,
                   grids=_grids({"p": 7, "width": 16, "steps": 30}, _LATE, _RATES[2:4], (1.0,))),
    "laptop": Scale(description="p = 47, 300 steps, 5 rates by 6 decays; 2 CPU cores", seeds=5, time_limit_s=120.0,
                    grids=_grids({}, {**_LATE, "steps": 800})),
    "gpu": h100(description="p = 113, 300 steps, 20 rates by 16 decays, 20,000 steps of StableMax; one GPU", seeds=5, time_limit_s=7200.0,
                grids=[*_grids(_WIDE, {**_LATE, "steps": 2000}, decays=_FINE_DECAYS, plane=_FINE), *_lasting(20_000)]),
    "paper": h100(description="p = 113, the authors' settings; GPUs", seeds=5, time_limit_s=7200.0,
                  grids=[*_grids(_WIDE, {**_FIGURE_2, "steps": 20_000}), *_lasting(100_000)]),
}  # fmt: skip

_AT = {view: train["test_accuracy"].at(view) for view in ("main", "plane", "long", "bits")}
_ENDS = {name: train[name].at("main", lr=0.01) for name in ("train_accuracy", "alignment_rise", "alignment")}
_HALF = {name: train[f"steps_{name}"].at("collapse") for name in DTYPES}
_C1: Point = {"source": "section 5 and figure 6: orthogonal gradients generalise at once, without weight decay and without a delay",
               "group": "C1", "stands_on": ("fits", "floor")}  # fmt: skip
_C2: Point = {"source": "abstract, figure 4: StableMax generalises without regularisation where softmax does not",
               "scales": ("gpu", "paper")}  # fmt: skip
_C3: Point = {"source": "section 3, figure 2: softmax collapse comes earlier with fewer bits, and generalisation stops with it"}
_C4: Point = {"source": "section 4: after the training data are fitted the gradient aligns with the weights, in the last layer up to a "
               "cosine of 0.9", "group": "C4", "null": 0.0, "stands_on": ("fits",)}  # fmt: skip
_STOPS: Point = {**_C3, "group": "C3-stops", "scales": ("gpu", "paper")}

TASK = Task(
    id="grokking-stablemax", version=1,
    paper=Paper(arxiv="2501.04697", title="Grokking at the Edge of Numerical Stability", year=2025,
                authors="Lucas Prieto, Melih Barsbey, Pedro A. M. Mediano, Tolga Birdal",
                code="https://github.com/LucasPrietoAl/grokking-at-the-edge-of-numerical-stability"),
    summary="Whether gradients across the weights, and a softmax that does not round its loss away, end the delay of generalisation.",
    methods=[
        Method(ADAMW, "baseline", "softmax cross-entropy in float32"),
        Method(PERP, "proposed", "the gradient of each matrix without what lies along the matrix, as long as before"),
        Method(ROLLED, "control", "the same without what lies along the rolled matrix: another direction of equal length"),
        Method(STABLEMAX, "proposed", "linear and reciprocal terms instead of exponentials"),
        Method(SOFTMAX16, "control", "softmax in float16"),
        Method(SOFTMAX64, "control", "softmax in float64"),
        Method(FLOOR, "floor", "perp-grad on random labels: chance"),
    ],
    experiments=(train, threshold), scales=_SCALES,
    claims=[
        *better("C1-accuracy", PERP, ADAMW, _AT["main"], primary=True, **_C1),
        *better("C1-steps", PERP, ADAMW, train["steps"].at("main"), **_C1),
        *ablation("rolled", PERP, ROLLED, _AT["main"], part="the direction of the weights", stands_on=("floor",)),
        Claim(id="C1-decay", statement="perp-grad without decay has a higher test accuracy than adamw with the best rate and decay",
              estimate=Difference(_AT["main"].of(PERP), _AT["plane"].of(ADAMW)), holds=Above(0.0), null=0.0, unit="share",
              source="section 5 and figure 6, for a transformer; ours for this network", kind="extension", stands_on=("floor",)),
        *better("floor", PERP, FLOOR, _AT["main"], says="perp-grad knows more than random labels teach", **CONTROL),
        *level("fits", ADAMW, _ENDS["train_accuracy"], holds=Above(0.99), says="adamw fits its training data", null=0.02, **CONTROL),
        *(claim for few, many in pairwise(DTYPES) for claim in contrast(
            f"C3-{few}-{many}", SOFTMAX64, (_HALF[few], _HALF[many]), holds=Below(0.0), primary=few == "float16", group="C3-earlier",
            says=f"half the training pairs collapse earlier in {few} than in {many}", stands_on=("fits",), **_C3)),
        *level("C4-rise", ADAMW, _ENDS["alignment_rise"], holds=Above(0.0), says="adamw's descent turns to its weights", **_C4),
        *level("C4-cosine", ADAMW, _ENDS["alignment"], holds=Above(0.5), says="the cosine of the two ends above 0.5", published=0.9, **_C4),
        *better("C2-stablemax", STABLEMAX, ADAMW, _AT["long"], primary=True, **_C2),
        *better("C3-float64", SOFTMAX64, ADAMW, _AT["bits"], **_STOPS),
        *better("C3-float32", ADAMW, SOFTMAX16, _AT["bits"], **_STOPS),
        *(claim for name in DTYPES for claim in exact(
            f"threshold-{name}", threshold["gap_error"].at(dtype=name), tolerance=0.01, kind="check",
            says=f"softmax collapses in {name} where two logits are log(2 / eps) apart, to 1 %",
            source="equation 2; the closed form is ours")),
    ],
)  # fmt: skip
