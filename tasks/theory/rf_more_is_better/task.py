"""More is Better in Modern Machine Learning: when Infinite Overparameterization is Optimal and Overfitting is Obligatory."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from harness.bounds import POSITIVE
from harness.claims import CONTROL, contrast, exact, factor, level, slope
from harness.estimates import Reading
from harness.sweeps import powers
from harness.task import Above, Below, Claim, Experiment, Figure, Grid, Method, Metric, Paper, Params, Scale, Task, Within, log_log, param
from tasks.blocks.hardware import costs, h100

_RUN, TUNED, NONE, UNDERFIT = "tasks.theory.rf_more_is_better.experiment", "tuned", "no-ridge", "underfit"
_SIMULATED, _CLOSED = (TUNED, NONE, UNDERFIT), ("theory", "theory-no-ridge")


class Sizes(Params):
    """Parameters of a fit."""

    base: int = param(256, "what n and k are multiples of", low=2, high=1_000_000)
    examples: float = param(1.0, "training examples n over the base", low=1e-3, high=1e3)
    features: float = param(1.0, "random features k over the base; 0: infinitely many, which is kernel ridge regression", low=0.0, high=1e3)
    ridges: int = param(60, "ridges from 1e-10 to 100 among which validation selects", low=2, high=1000)


class Curve(Sizes):
    """And of the task: eigenvalues l_i ~ i^-a, squared coefficients v_i^2 ~ i^-b."""

    modes: int = param(1500, "eigenfunctions", low=4, high=10_000_000)
    eigenvalues: float = param(1.5, "a", low=1.0, high=10.0)
    signal: float = param(1.5, "b", low=1.0, high=10.0)
    noise: float = param(0.0, "variance of the noise, where the signal's is 1", low=0.0, high=100.0)
    relative_noise: float = param(0.0, "more of it, over what interpolation leaves of the signal", low=0.0, high=1e4)
    draws: int = param(1, "data sets and features over which a trial takes the mean", low=1, high=1000)
    validation: int = param(1000, "examples that select the ridge", low=2, high=1_000_000)


class Theorems(Params):
    """Parameters of the checks."""

    modes: int = param(600, "eigenfunctions of Theorem 1", low=4, high=1_000_000)
    doublings: int = param(4, "of n and of k, from 16 on", low=1, high=10)
    many: int = param(50_000, "eigenfunctions of Theorem 2", low=4, high=10_000_000)
    base: int = param(512, "n of Theorem 2", low=2, high=1_000_000)


def _cost(cpu: bool, method: str, p: Mapping[str, Any]) -> tuple[float, float]:
    """On a GPU a guess from what is drawn on the CPU, not measured."""
    modes, fresh, n, mixed = p.get("modes", 64), p.get("validation", 700), p["base"] * p["examples"], p["base"] * p["features"]
    if method in _CLOSED:
        return 0.02 + 5e-6 * modes, 20.0 * modes
    k, numbers = mixed or modes, (n + mixed + fresh) * modes + n * (mixed or modes)
    work = 2e-8 * numbers + (6e-11 if cpu else 1e-12) * n * k * (modes + 6 * min(n, k))
    return p.get("draws", 1) * (0.02 + work), 3.0 * numbers


def _figures(name: str) -> list[Figure]:
    return [log_log(f"{name}-{view}", f"Test error against {view}", over, "test_error", view, caption="theory: the closed form")
            for view, over in (("features", "features"), ("samples", "examples"))]  # fmt: skip


_ERRORS = (
    *(Metric(f"{split}_error", "", "lower", "mean squared error against noisy targets", bounds=POSITIVE) for split in ("test", "train")),
    Metric("fit_ratio", "", "none", "training over test error at the ridge", split="test"),
    Metric("val_error", "", "lower", "mean squared error on the examples that select", _SIMULATED, bounds=POSITIVE),
)
curve = Experiment("curve", params=Curve, run=f"{_RUN}:curve", **costs(_cost), metrics=(
    *_ERRORS,
    *(Metric(f"over_{what}_form", "", "none", f"test error over the closed form{of} at the same ridge", _SIMULATED, split="test")
      for what, of in (("closed", ""), ("kernel", " of infinitely many features"))),
), figures=[*_figures("risk"), log_log("rate", "Kernel regression", "examples", "test_error", "rate")])  # fmt: skip
digits = Experiment("digits", params=Sizes, metrics=_ERRORS, run=f"{_RUN}:digits", methods=(TUNED, NONE), selecting=(TUNED,),
                    figures=_figures("digits"), **costs(_cost))  # fmt: skip
theorem = Experiment("theorem", params=Theorems, run=f"{_RUN}:theorem", methods=("theory", "changed"), exact=True, metrics=(
    Metric("upward_step", "log of a ratio", "lower", "largest rise of the test error where n or k doubles"),
    Metric("ratio_error", "", "zero", "training over test error at the best ridge, less what Theorem 2 says"),
), seconds=lambda _, method, p: 0.1 + (2e-6 if method == "changed" else 4e-5) * p["modes"] * (p["doublings"] + 1) ** 2 + 4e-6 * p["many"],
)  # fmt: skip
_KERNEL = {"features": 0.0, "validation": 500}
_CELLS: list[dict[str, Any]] = [{"signal": b, "relative_noise": noise} for b, noise in ((2.0, 0.1), (1.5, 0.1), (1.5, 10.0))]
_LADDER = powers(2, -3, 4)
_FEWER = _LADDER[:6]


def _grids(base: int, modes: int, checks: Mapping[str, int]) -> list[Grid]:
    noisy, learners = {"noise": 0.1, "base": base, "modes": modes}, (TUNED, NONE, *_CLOSED)
    kernel = {**_KERNEL, "base": base, "modes": 3 * modes}
    rough = {**_KERNEL, "signal": 1.2, "relative_noise": 0.1, "modes": 100_000}
    rate = {**_KERNEL, "signal": 2.0, "base": base // 8, "modes": 5 * modes}
    return [
        Grid(curve, view="features", points=[noisy], axes={"features": _LADDER}, methods=learners),
        Grid(curve, view="samples", points=[noisy], axes={"examples": _FEWER}, methods=learners),
        Grid(curve, view="kernel", points=[{**kernel, **cell} for cell in _CELLS], methods=(TUNED, UNDERFIT, "theory")),
        Grid(curve, view="closed", points=[{**noisy, "base": base // 2, "draws": 8}], axes={"features": _FEWER}, methods=(TUNED, NONE)),
        Grid(curve, view="rough", points=[rough], methods=("theory",)),
        Grid(curve, view="rate", points=[rate], axes={"examples": _LADDER[3:]}, methods=(TUNED, "theory")),
        Grid(digits, view="features", points=[{"base": min(base, 256)}], axes={"features": _LADDER}, data="digits"),
        Grid(digits, view="samples", points=[{"base": min(base, 256)}], axes={"examples": _FEWER}, data="digits"),
        Grid(theorem, points=[checks]),
    ]


_SCALES = {
    "smoke": Scale(description="n = 32: does it run", seeds=2, time_limit_s=60.0, grids=_grids(32, 200, {"modes": 120, "doublings": 1})),
    "laptop": Scale(description="n = 256, k to 4096; 2 CPU cores", seeds=10, time_limit_s=300.0, grids=_grids(256, 1500, {})),
    "gpu": h100(description="n = 2048, k to 32768; one GPU", seeds=10, time_limit_s=600.0, grids=_grids(2048, 12_000, {"doublings": 5})),
    "paper": h100(description="n = 4096, k to 65536; the paper's tasks have no code; a cluster", seeds=20, time_limit_s=6 * 3600.0,
                  grids=_grids(4096, 25_000, {"doublings": 5})),
}  # fmt: skip
_FIRST = dict[str, Any](source="abstract; Theorem 1")
_SECOND = dict[str, Any](source="abstract; Theorem 2", group="C2")
_REAL = dict[str, Any](source="abstract; Figure 1", group="C1-real")
_CLOSE = dict[str, Any](source="section 4, the omniscient risk estimate", margin_source="the catalogue: 5 % at n >= 128",
                        holds=Within(0.95, 1.05), aim="equivalent", null=1.0, unit="ratio")  # fmt: skip
_RATIO, _IS_CLOSE = curve["over_closed_form"].at("closed"), "the mean test error is within 5 % of the closed form"
_RATE = dict[str, Any](over="examples", holds=Within(-1.1, -0.9))
_RISK, _DIGITS = curve["test_error"].log10(), digits["test_error"].log10()


def _never_worse(id: str, reading: Reading, over: str, ladder: Sequence[float], **about: Any) -> list[Claim]:
    says = f"with a tuned ridge no doubling of {over} raises the test error by 1 % ({reading.experiment})"
    steps = [(after, before) for before, after in pairwise(reading.each(over, ladder))]
    return contrast(id, TUNED, *steps, holds=Below(math.log10(1.01)), says=says, aim="not worse",
                    margin_source="ours: one per cent, where a doubling takes up to a third away", **about)  # fmt: skip


def _peak(id: str, reading: Reading, over: str, **about: Any) -> list[Claim]:
    says = f"without a ridge the test error at k = n is more than twice that at a quarter of the {over}"
    peak, quarter = reading.each(over, (1.0, 0.25))
    return contrast(id, NONE, (peak, quarter), holds=Above(math.log10(2.0)), says=says, **about)


_FIT, _COST = curve["fit_ratio"].at("kernel"), curve["test_error"].at("kernel")

TASK = Task(
    id="rf-more-is-better", version=1, experiments=(curve, digits, theorem), scales=_SCALES,
    paper=Paper(arxiv="2311.14646", year=2023, authors="James B. Simon, Dhruva Karkada, Nikhil Ghosh, Mikhail Belkin", title=
                "More is Better in Modern Machine Learning: when Infinite Overparameterization is Optimal and Overfitting is Obligatory"),
    summary="Whether ridge regression on random features only gains from features, examples and overfitting once its ridge is tuned.",
    methods=[
        Method(TUNED, "proposed", "the ridge that is best on validation examples"),
        Method(NONE, "baseline", "a ridge of 1e-9, as good as none"),
        Method(UNDERFIT, "control", "the best on validation of the ridges that leave a training error of a tenth of it and more"),
        Method("theory", "control", "the closed form at its own best ridge"),
        Method("theory-no-ridge", "control", "the closed form at a ridge of 1e-9"),
        Method("changed", "control", "the theorems without tuning and without a square: shows that they can fail"),
    ],
    claims=[
        *_never_worse("C1-features", _RISK.at("features"), "features", _LADDER, primary=True, **_FIRST),
        *_never_worse("C1-samples", _RISK.at("samples"), "examples", _FEWER, primary=True, **_FIRST),
        *_peak("C1-peak-features", _RISK.at("features"), "features", group="C1-untuned", **_FIRST),
        *_peak("C1-peak-samples", _RISK.at("samples"), "examples", group="C1-untuned", **_FIRST),
        *_never_worse("C1-digits-features", _DIGITS.at("features"), "features", _LADDER, **_REAL),
        *_never_worse("C1-digits-samples", _DIGITS.at("samples"), "examples", _FEWER, **_REAL),
        *_peak("C1-digits-peak", _DIGITS.at("features"), "features", **CONTROL),
        *exact("C1-theorem", theorem["upward_step"], method="theory", holds=Below(1e-9), source="Theorem 1"),
        *exact("C1-changed", theorem["upward_step"], method="changed", holds=Above(0.1), **CONTROL),
        *level("C2-smooth", TUNED, _FIT.at(**_CELLS[0]), holds=Below(0.1), primary=True, **_SECOND),
        *level("C2-middle", TUNED, _FIT.at(**_CELLS[1]), holds=Below(0.1), **_SECOND),
        *exact("C2-rough", curve["fit_ratio"].at("rough"), method="theory", holds=Below(0.1), **_SECOND,
               says="even where b < a (1.2 and 1.5) the closed form's best fit has a training error below a tenth of its test error"),
        *level("C2-noisy", TUNED, _FIT.at(**_CELLS[2]), holds=Above(0.1), null=0.1, **CONTROL,
               says="with ten times the noise that is left of the signal, overfitting is not obligatory"),
        *(claim for cell, name in zip(_CELLS[:2], ("smooth", "middle"), strict=True)
          for claim in factor(f"C2-cost-{name}", TUNED, UNDERFIT, _COST.at(**cell), by=1.1, **{**_SECOND, "group": "C2-cost"})),
        *exact("C2-theorem", theorem["ratio_error"], method="theory", tolerance=0.02, source="Theorem 2"),
        *exact("C2-changed", theorem["ratio_error"], method="changed", holds=Above(0.02), **CONTROL),
        *level("C3-tuned", TUNED, _RATIO.each("features", _FEWER), says=f"at tuned ridges, {_IS_CLOSE}", group="C3", **_CLOSE),
        *level("C3-no-ridge", NONE, _RATIO.each("features", [ratio for ratio in _FEWER if ratio != 1.0]), group="C3", **_CLOSE,
               says=f"without a ridge, but for k = n, {_IS_CLOSE}"),
        *level("C3-peak", NONE, _RATIO.each("features", [1.0]), says=f"without a ridge at k = n, {_IS_CLOSE}", kind="extension", **_CLOSE),
        *level("C3-kernel", TUNED, curve["over_kernel_form"].at("features").first("features"), holds=Above(1.05), null=1.0, **CONTROL,
               says="the closed form of infinitely many features misses the smallest k by more than 5 %"),
        *slope("C4-rate", TUNED, _COST.at("rate"), **_RATE, kind="extension", source="section 5: risk ~ n^-(b - 1)", published=-1.0),
        *slope("C4-theory", "theory", _COST.at("rate"), **_RATE, kind="check", source="the same of the closed form", exact=True),
    ],
)  # fmt: skip
