"""On the Provable Advantage of Unsupervised Pretraining (Ge, Tang, Fan, Jin, arXiv 2303.01566)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.bounds import POSITIVE
from harness.claims import CONTROL, OURS, fitted, level, slope
from harness.claims import factor as times
from harness.task import Below, Experiment, Grid, Method, Metric, Paper, Scale, Task, Within, log_log, param
from tasks.blocks.hardware import costs, h100, smoke

_MODULE = "tasks.theory.unsup_pretraining_advantage.experiment"
PRE, SUP, RIDGE = "pretrained", "supervised", "ridge"


@dataclass(frozen=True)
class Regression:
    """Inputs whose features are `rank` directions of `dimension`."""

    unlabelled: int = param(1_000_000, "unlabelled examples (or pairs) m", low=2, high=100_000_000)
    labelled: int = param(400, "labelled examples n", low=2, high=10_000_000)
    dimension: int = param(100, "dimension d of the inputs", low=2, high=100_000)
    rank: int = param(5, "features r", low=1, high=1000)
    strength: float = param(0.2, "standard deviation of the loadings; of the features in contrastive learning", low=1e-3, high=100.0)
    noise: float = param(0.5, "standard deviation of the labels' noise", low=0.0, high=100.0)
    draws: int = param(20, "labelled samples that the excess risk is averaged over", low=1, high=10_000)


@dataclass(frozen=True)
class Mixture:
    """Two Gaussian classes."""

    unlabelled: int = param(5000, "unlabelled examples m", low=2, high=100_000_000)
    labelled: int = param(10, "labelled examples n", low=2, high=10_000_000)
    dimension: int = param(20, "dimension d of the inputs", low=1, high=100_000)
    distance: float = param(3.0, "distance of the classes' means over their standard deviation", low=0.1, high=100.0)
    draws: int = param(10, "labelled samples that the excess risk is averaged over", low=1, high=10_000)


_EXCESS = Metric("excess_risk", "", "lower", "risk on all new data above the Bayes risk", split="test")
_POSITIVE = Metric("excess_risk", "", "lower", "risk on all new data above the Bayes risk", split="test", bounds=POSITIVE)


def _costs(cpu: bool, _: str, p: Mapping[str, Any]) -> tuple[float, float]:
    d, n = p["dimension"], p["labelled"]
    work: float = 200 * d**3 + p["draws"] * n * min(n, d) * d
    return 0.05 + (1e-9 if cpu else 1e-10) * work, 3.0 * d * (d + 3 * p["draws"] * n)


factor = Experiment(
    "factor", params=Regression, run=f"{_MODULE}:factor", methods=(PRE, SUP, RIDGE, "oracle", "elsewhere", "zero"),
    metrics=(_POSITIVE, Metric("constant", "", "none", "n times the excess risk over the Bayes risk", split="test", bounds=POSITIVE)),
    figures=[log_log("factor-labelled", "Labels", "labelled", "excess_risk", view="labelled"),
             log_log("factor-unlabelled", "Unlabelled data", "unlabelled", "excess_risk", view="unlabelled")],
    **costs(_costs), summary="a factor model: probabilistic PCA, then regression on r features",
)  # fmt: skip
mixture = Experiment(
    "mixture", params=Mixture, run=f"{_MODULE}:mixture", methods=(PRE, SUP, "oracle"), metrics=(_EXCESS,), figures=(),
    **costs(lambda cpu, method, p: (0.1 + 2e-6 * p["unlabelled"] * p["dimension"], _costs(cpu, method, p)[1])),
    summary="two Gaussian classes: EM, then names for the components",
)  # fmt: skip
contrastive = Experiment(
    "contrastive", params=Regression, run=f"{_MODULE}:contrastive", methods=(PRE, SUP, RIDGE, "zero"), metrics=(_POSITIVE,), figures=(),
    **costs(lambda cpu, method, p: (_costs(cpu, method, p)[0] + 1e-6 * p["unlabelled"] * p["dimension"],
                                    8.0 * p["dimension"] * p["unlabelled"])),
    summary="pairs that are similar or not: logistic likelihood, then regression on r features",
)  # fmt: skip


def _grids(free: Sequence[int], labels: Sequence[int], many: int, size: Mapping[str, Any], pairs: int) -> list[Grid]:
    late, most = [n for n in labels if n >= 4 * size["dimension"]], max(labels)
    base = {**size, "unlabelled": many}
    both = {"unlabelled": free, "labelled": [n for n in labels if n >= 50]}
    return [
        Grid(factor, view="labelled", points=[base], axes={"labelled": labels}, methods=(PRE, SUP, RIDGE, "oracle", "zero")),
        Grid(factor, view="late", points=[base], axes={"labelled": late}, methods=(PRE, SUP, "elsewhere")),
        Grid(factor, view="unlabelled", points=[{**size, "labelled": most}], axes={"unlabelled": free}, methods=(PRE,)),
        Grid(factor, view="scarce", points=[{**size, "unlabelled": 2 * size["dimension"], "labelled": most}], methods=(PRE, RIDGE)),
        Grid(factor, view="both", points=[size], axes=both, methods=(PRE,)),
        Grid(factor, view="rank", points=[{**base, "labelled": most}], axes={"rank": (2, 4, 8)}, methods=(PRE,)),
        Grid(factor, view="dimension", points=[{**base, "labelled": most}], axes={"dimension": (25, 50, 100)}, methods=(PRE, SUP)),
        Grid(mixture, axes={"labelled": (4, 10, 40)}),
        Grid(contrastive, points=[{**size, "dimension": 50, "rank": 3, "strength": 3.0, "unlabelled": pairs, "labelled": 200}]),
    ]


_SIZE = {"dimension": 100}
_SCALES = {
    "smoke": smoke("few examples", _grids((200, 1000), (20, 50, 400, 1000), 5000, {**_SIZE, "draws": 2}, 2000)),
    "laptop": Scale(description="d = 100, r = 5, up to 10^6 unlabelled examples; 2 CPU cores", seeds=10, time_limit_s=120.0,
                    grids=_grids((500, 2000, 8000), (20, 50, 150, 400, 1000, 2000), 1_000_000, _SIZE, 10_000)),
    "gpu": h100(description="ten times the examples", seeds=20, time_limit_s=600.0,
                grids=_grids((500, 2000, 8000, 32_000), (20, 50, 150, 400, 1000, 2000, 10_000), 10_000_000, _SIZE, 100_000)),
    "paper": h100(description="100 seeds, up to 10^7 unlabelled and 10^5 labelled examples; a cluster", seeds=100, time_limit_s=4 * 3600.0,
                  grids=_grids((500, 2000, 8000, 32_000), (20, 50, 150, 400, 1000, 2000, 10_000, 100_000), 10_000_000, _SIZE, 1_000_000)),
}  # fmt: skip

_RISK, _CONSTANT = factor["excess_risk"], factor["constant"]
_ABSTRACT: Mapping[str, Any] = {"source": "abstract: better than n labelled examples alone", "group": "C1", "stands_on": ("floor",)}
_RATE: Mapping[str, Any] = {"source": "abstract: C_Phi / m + C_Psi / n", "group": "C2"}
_ALSO: Mapping[str, Any] = {"source": "abstract: Gaussian mixtures and contrastive learning too", "group": "C3"}
_LAW: Mapping[str, Any] = {"law": "two-powers", "along": {"unlabelled": "n", "labelled": "d"}, "holds": Within(0.8, 1.2), **_RATE}
_LABELS = _RISK.at("labelled")

TASK = Task(
    id="unsup-pretraining-advantage", version=1,
    paper=Paper(arxiv="2303.01566", title="On the Provable Advantage of Unsupervised Pretraining", year=2023,
                authors="Jiawei Ge, Shange Tang, Jianqing Fan, Chi Jin"),
    summary="Whether features that are learned without labels save labels, at which rates, and beside a tuned ridge.",
    methods=[
        Method(PRE, "proposed", "maximum likelihood without labels, then least squares on its features"),
        Method(SUP, "baseline", "least squares on the inputs; for mixtures the rule between the labelled classes' means"),
        Method(RIDGE, "rival", "ridge on the inputs, tuned by leave-one-out errors"),
        Method("oracle", "control", "the true features: what unlimited unlabelled data would give"),
        Method("elsewhere", "control", "pretrained on a factor model with other loadings: unlabelled data that tell nothing"),
        Method("zero", "floor", "predicts the mean, 0"),
    ],
    experiments=(factor, mixture, contrastive), scales=_SCALES,
    claims=[
        *times("C1-supervised", PRE, SUP, _LABELS.at(labelled=400), by=2.0, primary=True, **_ABSTRACT),
        *times("C1-ridge", PRE, RIDGE, _LABELS.at(labelled=400), by=2.0, primary=True, **_ABSTRACT),
        *times("C1-few", PRE, RIDGE, _LABELS.first("labelled"), **_ABSTRACT),
        *times("C1-scarce", PRE, RIDGE, _RISK.at("scarce"), **OURS,
               says="with fewer unlabelled than labelled examples pretraining is still better than a tuned ridge"),
        *times("elsewhere", PRE, "elsewhere", _RISK.at("late"), by=5.0, **CONTROL),
        *times("floor", PRE, "zero", _LABELS.last("labelled"), by=5.0, **CONTROL),
        *times("unlimited", "oracle", PRE, _LABELS.at(labelled=400), by=1.1, **OURS,
               says="the true features would be better by more than a tenth"),
        *slope("C2-labels", PRE, _RISK.at("late"), over="labelled", holds=Within(-1.15, -0.85), null=0.0, primary=True, **_RATE),
        *slope("C2-free", PRE, _RISK.at("unlabelled"), over="unlabelled", holds=Below(-0.5), null=0.0, **_RATE,
               says="with many labels the excess risk still falls with unlabelled data, faster than their root"),
        *fitted("C2-alpha", PRE, _RISK.at("both"), quantity="alpha", **_LAW, says="in A / m^alpha + B / n^beta alpha is 1"),
        *fitted("C2-beta", PRE, _RISK.at("both"), quantity="beta", **_LAW, says="and beta is 1"),
        *level("C2-r", PRE, _CONSTANT.at("labelled", labelled=1000), holds=Within(4.0, 6.5), published=5.0, **_RATE,
               says="its constant is r = 5"),
        *level("C2-d", SUP, _CONSTANT.at("labelled", labelled=1000), holds=Within(90.0, 125.0), published=100.0, **_RATE,
               says="without pretraining it is d = 100"),
        *slope("C2-rank", PRE, _CONSTANT.at("rank"), over="rank", holds=Within(0.7, 1.3), null=0.0, **_RATE),
        *slope("C2-dimension", SUP, _CONSTANT.at("dimension"), over="dimension", holds=Within(0.85, 1.15), null=0.0, **_RATE),
        *slope("C2-free-of-d", PRE, _CONSTANT.at("dimension"), over="dimension", holds=Within(-0.3, 0.3), null=0.0, aim="equivalent",
               margin_source="ours: less than a third of the exponent without pretraining", **_RATE),
        *times("C3-mixture", PRE, SUP, mixture["excess_risk"].at(labelled=10), by=2.0, **_ALSO),
        *times("C3-contrastive", PRE, SUP, contrastive["excess_risk"], by=2.0, **_ALSO),
        *times("C3-contrastive-ridge", PRE, RIDGE, contrastive["excess_risk"], by=2.0, **_ALSO),
    ],
)  # fmt: skip
