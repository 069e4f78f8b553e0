"""Wide and Deep Neural Networks Achieve Optimality for Classification (Radhakrishnan, Belkin and Uhler, arXiv 2204.14126)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.bounds import POSITIVE, SHARE
from harness.claims import CONTROL, OURS, better, contrast, exact, level, slope
from harness.estimates import Reading
from harness.task import Above, Below, Claim, Experiment, Figure, Grid, Method, Metric, Paper, Region, Scale, Task, Within, param
from tasks.blocks.hardware import costs, h100, smoke

_MODULE = "tasks.theory.deep_ntk_classification_taxonomy.experiment"
S, NTK, NNGP = "singular", "singular-ntk", "singular-nngp"
LIMITS, RULES, DEEP = (S, "sharper", "smoother"), ("nearest", "majority"), (NTK, NNGP, "h2-ntk", "mean-ntk", "relu-ntk")


@dataclass(frozen=True)
class Near:
    """Parameters of a slope of the kernel where points are near."""

    dimension: int = param(2, "d of the sphere S^d that inputs lie on", low=2, high=16)
    depth: int = param(40, "hidden layers of networks of finite depth", unit="layers", low=1, high=5000)
    nearest: float = param(1e-4, "smallest distance; the largest is a hundred times it", low=1e-5, high=1e-2)


@dataclass(frozen=True)
class Sample:
    """Parameters of noisy labels in stripes on the positive part of a sphere."""

    examples: int = param(300, "labelled examples n", low=2, high=1_000_000)
    dimension: int = param(2, "d of the sphere S^d that inputs lie on", low=2, high=16)
    frequency: float = param(8.0, "P(y = 1 | x) = 1/2 + margin sign(sin(frequency x_1))", low=0.1, high=100.0)
    margin: float = param(0.4, "1/2 less the Bayes risk", low=0.01, high=0.5)
    test_points: int = param(2000, "new points, scored by the true P(y | x)", low=10, high=1_000_000)


@dataclass(frozen=True)
class Deep(Sample):
    """The same for networks of finite depth."""

    depth: int = param(40, "hidden layers", unit="layers", low=1, high=5000)


def _costs(cpu: bool, method: str, p: Mapping[str, Any]) -> tuple[float, float]:
    """On a GPU a guess from the bandwidth of its memory, not measured."""
    n, m, deep = p["examples"], p["test_points"], "depth" in p
    entries = 8e-8 * p["depth"] * (n + m) if deep else {"smoother": 1e-6, "nearest": 2e-8}.get(method, 4e-7) * m
    solved = 6e-10 * n**3 if deep or method == "ridge" else 0.0
    held = 12.0 * n * (n + m) if deep else 6.0 * n**2 if method == "ridge" else 5.0 * 2**26
    return 0.02 + (n * entries + solved) / (1.0 if cpu else 150.0), held


def _share(name: str, what: str) -> Metric:
    return Metric(f"agrees_{name}", "share", "none", f"new points labelled as by {what}", split="test", counted=True, bounds=SHARE)


EXCESS = Metric("excess_risk", "", "lower", "risk over the Bayes risk", split="test", bounds=SHARE)
limit = Experiment(
    "limit", params=Near, run=f"{_MODULE}:limit", methods=(*LIMITS, NTK, NNGP), exact=True, seconds=lambda *_: 0.05,
    metrics=(Metric("from_dimension", "exponent", "zero", "slope of log kernel against log distance, + d"),
             Metric("from_formula", "exponent", "zero", "the slope - 4 log A' / log B'; A' = E[phi'], B' = E[phi'^2] by quadrature")),
    figures=(Figure(id="kernels", title="Kernels where points are near", x="step", y="log10_kernel", x_label="distance", log_x=True,
                    y_label="log10 of the kernel over that at the largest distance", where={"dimension": 2}),),
    summary="the exponent of the limit kernel's singularity, and of networks of finite depth",
)  # fmt: skip
risk = Experiment(
    "risk", params=Sample, run=f"{_MODULE}:risk", methods=(*LIMITS, *RULES, "ridge"), metrics=(EXCESS,), **costs(_costs),
    figures=(Figure(id="consistency", title="Excess risk and examples", x="examples", y="excess_risk", log_x=True, log_y=True),),
    summary="the limit classifiers on labels of which a tenth is wrong",
)  # fmt: skip
depth = Experiment(
    "depth", params=Deep, run=f"{_MODULE}:depth", methods=DEEP, **costs(_costs),
    metrics=(EXCESS,
             Metric("error", "", "lower", "|f - E[y | x]|^2 over |E[y | x]|^2: 1 is that of f = 0", split="test", bounds=POSITIVE),
             _share("nearest", "the nearest neighbour"), _share("majority", "the majority"), _share("limit", "the singular kernel")),
    figures=[Figure(id=f"depth-{y}", title=f"Depth and {y.replace('_', ' ')}", x="depth", y=y, log_x=True)
             for y in ("error", "excess_risk", "agrees_nearest", "agrees_majority", "agrees_limit")],
    summary="networks of finite depth trained to the end on the same data",
)  # fmt: skip


def _grids(dimensions: Sequence[int], examples: Sequence[int], solved: Sequence[int], depths: Sequence[int], n: int, m: int) -> list[Grid]:
    """`solved`: numbers of examples of the rival that solves a system; networks of `depths` learn from n examples, m test them."""
    return [
        Grid(limit, view="limits", axes={"dimension": dimensions}, methods=LIMITS),
        Grid(limit, view="finite", axes={"dimension": dimensions}, methods=(NTK, NNGP)),
        Grid(risk, view="risk", axes={"examples": examples}, methods=(*LIMITS, *RULES)),
        Grid(risk, view="rival", axes={"examples": solved}, methods=(S, "ridge")),
        Grid(depth, view="depth", points=[{"examples": n, "test_points": m}], axes={"depth": depths}),
    ]


_SCALES = {
    "smoke": smoke("100 and 300 examples", _grids((2,), (100, 300), (100,), (10, 20), 100, 200)),
    "laptop": Scale(description="S^2, up to 1,000 examples and 80 layers; 2 CPU cores", seeds=10, time_limit_s=120.0,
                    grids=_grids((2, 3, 5), (100, 300, 1000), (100, 300, 1000), (8, 10, 14, 20, 40, 80), 200, 500)),
    "gpu": h100(description="up to 10,000 examples and 640 layers; one GPU", seeds=10, time_limit_s=600.0,
                grids=_grids((2, 3, 5), (300, 1000, 3000, 10_000), (300, 1000, 3000), (10, 20, 40, 80, 160, 640), 200, 500)),
    "paper": h100(description="up to 1,000,000 examples, the kernel never held as a matrix; a cluster", seeds=10, time_limit_s=3600.0,
                  grids=_grids((2, 3, 5), (300, 1000, 10_000, 100_000, 1_000_000), (300, 1000, 10_000), (10, 40, 160, 640, 2560),
                               1000, 2000)),
}  # fmt: skip
_ALL = Above(0.99)


def _deeper(id: str, method: str, reading: Reading, holds: Region, what: str, **about: Any) -> list[Claim]:
    """A number of the deepest network set against that of ten layers."""
    ends, says = (reading.last("depth"), reading.at(depth=10)), f"{what} at the largest depth than at ten layers"
    return contrast(id, method, ends, holds=holds, says=says, source="abstract, last sentence", group="C3", **about)


def _like(id: str, method: str, rule: str, holds: Region = _ALL, **about: Any) -> list[Claim]:
    reading = depth[f"agrees_{rule}"].last("depth")
    return level(id, method, reading, holds=holds, says=f"{method} of the largest depth labels as {rule}: a share {holds}", **about)


_RISK, _NEAR, _FAR = risk["excess_risk"].at("risk"), limit["from_dimension"].at("limits"), limit["from_dimension"].at("finite")
_FIRST: Mapping[str, Any] = {"source": "abstract; the singular kernel is consistent", "group": "C1", "stands_on": ("floor",)}
_KINDS: Mapping[str, Any] = {"source": "abstract; the taxonomy of limits", "group": "C2"}

TASK = Task(
    id="deep-ntk-classification-taxonomy", version=1,
    paper=Paper(arxiv="2204.14126", title="Wide and Deep Neural Networks Achieve Optimality for Classification", year=2022,
                authors="Adityanarayanan Radhakrishnan, Mikhail Belkin, Caroline Uhler"),
    summary="Whether infinitely wide networks become consistent classifiers with depth, and which activations do.",
    methods=[
        Method(S, "proposed", "limit kernel of c = (0, A, sqrt(1 - 2 A^2), A), A = 2^(-d/4)"),
        Method(NTK, "proposed", "the tangent kernel of that activation at a finite depth"),
        Method(NNGP, "control", "the same with all but the last layer fixed: its NNGP kernel"),
        Method("sharper", "control", "the limit kernel of an activation whose exponent is 2 d"),
        Method("smoother", "control", "the limit kernel of an activation whose exponent is d/2"),
        Method("nearest", "baseline", "one nearest neighbour"),
        Method("ridge", "rival", "ridge regression with the tangent kernel of one relu layer; the ridge by leave-one-out error"),
        Method("majority", "floor", "the label that most examples have"),
        Method("h2-ntk", "control", "E[phi] = E[phi'] = 0: the second Hermite polynomial"),
        Method("mean-ntk", "control", "E[phi]^2 = 0.2, the rest of the second Hermite polynomial"),
        Method("relu-ntk", "control", "E[phi] > 0 and B' = 1"),
    ],
    experiments=(limit, risk, depth), scales=_SCALES,
    claims=[
        *slope("C1-falls", S, _RISK, over="examples", holds=Below(0.0), null=0.0, primary=True, **_FIRST),
        *better("C1-300", S, RULES, _RISK.at(examples=300), primary=True, **_FIRST),
        *better("C1-most", S, RULES, _RISK.last("examples"), **_FIRST),
        *better("floor", S, "majority", _RISK, **CONTROL),
        *exact("C2-exponent", _NEAR, method=S, tolerance=1e-3, **_KINDS, says="the limit kernel is singular with exponent -d"),
        *exact("C2-formula", limit["from_formula"].at("limits"), tolerance=1e-3, **_KINDS, says="exponents are 4 log A' / log B'"),
        *_like("C2-nearest", "h2-ntk", "nearest", primary=True, **_KINDS),
        *_like("C2-majority", "mean-ntk", "majority", primary=True, **_KINDS),
        *_like("C2-relu", "relu-ntk", "majority", **_KINDS),
        *_like("C2-limit", NTK, "limit", **_KINDS),
        *_like("X-nngp", NNGP, "limit", **OURS),
        *_like("nearest-is-not-majority", "h2-ntk", "majority", Below(0.9), source="ours", kind="check"),
        *_like("limit-is-not-nearest", NNGP, "nearest", Below(0.97), source="ours", kind="check"),
        *exact("sharper-exponent", _NEAR, method="sharper", holds=Below(-1.9), **CONTROL),
        *exact("smoother-exponent", _NEAR, method="smoother", holds=Above(0.9), **CONTROL),
        *exact("nngp-exponent", _FAR, method=NNGP, tolerance=0.01, **CONTROL),
        *exact("X-ntk", _FAR, method=NTK, holds=Within(-2.05, -1.95), says="the exponent of a finite depth is -(d + 2)", **OURS),
        *_deeper("C3-regression", NTK, depth["error"].log10(), Above(0.0), "the regression error is larger", primary=True),
        *_deeper("C3-relu", "relu-ntk", depth["error"].log10(), Above(0.0), "relu's regression error is larger"),
        *_deeper("C3-classification", NTK, depth["excess_risk"], Below(0.0), "the excess risk is lower"),
        *better("X-sharper", S, "sharper", _RISK.last("examples"), **OURS),
        *better("X-smoother", S, "smoother", _RISK.last("examples"), **OURS),
        *better("X-ridge", S, "ridge", risk["excess_risk"].at("rival").last("examples"), **OURS),
        *level("nearest-stays", "nearest", _RISK.last("examples"), holds=Above(0.08), source="Cover and Hart (1967)", kind="check",
               says="the nearest neighbour stays above 2 p (1 - p) - p = 0.08 where p = 0.1 of labels are wrong"),
    ],
)  # fmt: skip
