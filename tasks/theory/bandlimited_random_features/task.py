"""How Powerful are Shallow Neural Networks with Bandlimited Random Weights? (Li et al., arXiv 2008.08427)."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from harness.bounds import POSITIVE
from harness.claims import CONTROL, better, contrast, equivalent, factor, fitted, level
from harness.sweeps import Sweep, powers
from harness.task import Above, Below, Experiment, Figure, Grid, Method, Metric, Paper, Params, Scale, Task, Within, log_log, param
from tasks.blocks.hardware import costs, h100

_RUN = "tasks.theory.bandlimited_random_features.experiment"
MATCHED, UNIT, DIGITS, MEAN = "matched", "unit-box", "many-digits", "mean"
RCONDS = (1e-6, 1e-10, 1e-14)


class Fit(Params):
    """Parameters of a fit."""

    bandwidth: float = param(1.0, "lambda: weights and biases are uniform in [-lambda, lambda]", low=1e-3, high=1e5)
    width: int = param(200, "hidden units N", unit="units", low=1, high=1_000_000)
    target: str = param("rough", "the function that is fitted", choices=("rough", "smooth"))
    rcond: float = param(1e-10, "singular values below this share of the largest are cut off", low=1e-16, high=1.0)
    points: int = param(1000, "points of a split", low=2, high=1_000_000)


class Precise(Fit):
    """And of the arithmetic."""

    digits: int = param(130, "decimal digits of `many-digits`", low=20, high=10_000)


def _cost(cpu: bool, method: str, p: Mapping[str, Any]) -> tuple[float, float]:
    """On a GPU a guess, not measured."""
    n, width = p["points"], p["width"]
    digits, fit = 0.02 + 4e-4 * n * width + 1e-6 * width**2 * (n + width), 0.005 + (1e-9 if cpu else 1e-10) * n * width * min(n, width)
    return digits if method == DIGITS else fit, 6.25 * n * width


_RMSE = Metric("test_rmse", "", "lower", "root mean squared error", bounds=POSITIVE)
_NORM = Metric("norm", "", "lower", "|c|, the norm of the coefficients", (MATCHED, UNIT, DIGITS), bounds=POSITIVE)
fit = Experiment("fit", params=Fit, run=f"{_RUN}:fit", methods=(MATCHED, UNIT, MEAN), tuned=Sweep("bandwidth", by="val_rmse"), metrics=(
    _RMSE,
    *(Metric(f"{split}_rmse", "", "lower", "root mean squared error", bounds=POSITIVE) for split in ("val", "train")),
    _NORM,
    Metric("rank", "", "none", "singular values that are kept", (MATCHED, UNIT)),
    Metric("chosen", "", "none", "lambda", (MATCHED, UNIT), split="val", bounds=POSITIVE),
), figures=[
    *(log_log(f"bandwidth-{name}", f"Error against lambda, {name} target", "bandwidth", "test_rmse", "sweep", where={"target": name},
              methods=(MATCHED,)) for name in ("rough", "smooth")),
    *(log_log(f"width-{name}", f"Error against width at lambda = {size:g}", "width", "test_rmse", "width", where={"bandwidth": size})
      for name, size in (("one", 1.0), ("ten", 10.0), ("hundred", 100.0))),
], **costs(_cost))  # fmt: skip
precision = Experiment("precision", params=Precise, run=f"{_RUN}:precision", methods=(UNIT, DIGITS), metrics=(_RMSE, _NORM), figures=[
    Figure(id=f"digits-{y}", title=f"{y} against width at lambda = 1", x="width", y=y, log_y=True) for y in ("test_rmse", "norm")
], **costs(_cost))  # fmt: skip


def _grids(width: int, points: int, bandwidths: Sequence[float], small: Sequence[int], few: int) -> list[Grid]:
    sizes = {"points": points}
    ladder = [round(width * 2.0**power) for power in range(-2, 3)]
    sweep = {**sizes, "width": width}
    return [
        Grid(fit, view="width", points=[sizes], axes={"width": ladder}, methods=(UNIT,)),
        Grid(fit, view="width", points=[sizes], axes={"width": ladder, "bandwidth": (10.0, 100.0)}, methods=(MATCHED,)),
        Grid(fit, view="floor", points=[sizes], axes={"width": (width, 4 * width), "rcond": RCONDS}, methods=(UNIT,)),
        Grid(fit, view="sweep", points=[sweep], axes={"bandwidth": bandwidths, "target": ("rough", "smooth")}, methods=(MATCHED,)),
        Grid(fit, view="sweep", points=[sweep], axes={"target": ("rough", "smooth")}, methods=(UNIT, MEAN)),
        Grid(precision, points=[{"points": few, "rcond": 1e-14}], axes={"width": small}),
    ]


_FINE = powers(10, 0, 3, each=4)
_SCALES = {
    "smoke": Scale(description="N = 50 to 200: does it run", seeds=2, time_limit_s=60.0,
                   grids=_grids(50, 200, _FINE[::4], (5, 10), 60)),
    "laptop": Scale(description="N to 800, 1,000 points; 2 CPU cores", seeds=10, time_limit_s=120.0,
                    grids=_grids(200, 1000, _FINE, (10, 20, 30), 100)),
    "gpu": h100(description="N to 8,000, 10,000 points; one GPU", seeds=10, time_limit_s=600.0,
                grids=_grids(2000, 10_000, _FINE, (10, 20, 30), 400)),
    "paper": h100(description="N to 32,000, 40,000 points; more dimensions and real sets are left out; a cluster", seeds=20,
                  time_limit_s=6 * 3600.0, grids=_grids(8000, 40_000, _FINE, (10, 20, 30), 1000)),
}  # fmt: skip
_LOG, _SWEEP = fit["test_rmse"].log10(), fit["test_rmse"].at("sweep", target="rough")
_WIDTH, _FLOOR = fit["test_rmse"].untuned().at("width"), _LOG.untuned().at("floor")
_CHOSEN, _ENDS = fit["chosen"].log10().at("sweep"), _SWEEP.log10().untuned()
_TEN = math.log10(1.1)
_ZERO = dict[str, Any](source="abstract: may not achieve zero approximation error")
_MATCH = dict[str, Any](source="abstract; take-home (ii)", primary=True)
_SOLVER = dict[str, Any](source="ours: whether the floor is the solver's", kind="extension", margin_source="the catalogue: ten per cent")

TASK = Task(
    id="bandlimited-random-features", version=1, experiments=(fit, precision), scales=_SCALES,
    paper=Paper(arxiv="2008.08427", title="How Powerful are Shallow Neural Networks with Bandlimited Random Weights?", year=2020,
                authors="Ming Li, Sho Sonoda, Feilong Cao, Yu Guang Wang, Jiye Liang"),
    summary="Whether random hidden weights from a bounded box leave an error that no width removes, and what that error is made of.",
    methods=[
        Method(MATCHED, "proposed", "the box whose size is best on validation points"),
        Method(UNIT, "baseline", "the usual box [-1, 1]"),
        Method(DIGITS, "control", "the box [-1, 1] solved in decimal arithmetic, where no singular value is too small"),
        Method(MEAN, "floor", "predicts the mean of the training targets"),
    ],
    claims=[
        *contrast("C1-floor", UNIT, *((at.last("width"), at.first("width")) for at in _FLOOR.each("rcond", RCONDS)), primary=True,
                  says="in the unit box the error at four times the width is within 10 % of what it was, at each rcond", **_ZERO,
                  holds=Within(-_TEN, _TEN), aim="equivalent", margin_source="the catalogue: ten per cent"),
        *fitted("C1-law", MATCHED, _WIDTH.at(bandwidth=10.0), law="power-law-floor", quantity="E", along={"width": "x"},
                holds=Above(0.03), null=0.0, **_ZERO, says="at lambda = 10 the error falls to a floor E + A N^-alpha with E above 0.03"),
        *level("C1-matched", MATCHED, _WIDTH.at(bandwidth=100.0).last("width"), holds=Below(0.005), null=0.05, **CONTROL,
               says="at lambda = 100 four times the width leaves an error below 0.005"),
        *contrast("C1-rcond", UNIT, (_FLOOR.last("width").at(rcond=RCONDS[-1]), _FLOOR.last("width").at(rcond=RCONDS[0])), **_SOLVER,
                  says="the unit box has the same floor, within 10 %, at the finest as at the coarsest rcond", holds=Within(-_TEN, _TEN),
                  aim="equivalent"),
        *equivalent("C1-digits", DIGITS, UNIT, precision["test_rmse"].log10().last("width"), margin=_TEN, **_SOLVER,
                    says="with the most units that many digits solve, they find the error of float64 within 10 %"),
        *factor("C1-norm", UNIT, DIGITS, precision["norm"].last("width"), by=1e6, source="ours", kind="extension",
                says="what many digits solve needs coefficients a million times as large"),
        *level("C1-smooth", UNIT, fit["test_rmse"].at("sweep", target="smooth"), holds=Below(0.01), null=0.01, **CONTROL,
               says="for the smooth target the unit box has no floor above 0.01"),
        *(claim for end, at in (("smallest", _ENDS.first("bandwidth")), ("largest", _ENDS.last("bandwidth")))
          for claim in contrast(f"C2-{end}", MATCHED, (at, _SWEEP.log10()), holds=Above(math.log10(2.0)), group="C2-U", **_MATCH,
                                says=f"at the {end} lambda the error is more than twice that at the lambda that validation selects")),
        *contrast("C2-rougher", MATCHED, (_CHOSEN.at(target="rough"), _CHOSEN.at(target="smooth")), holds=Above(0.0), **_MATCH,
                  says="validation selects a larger lambda for the rougher target"),
        *factor("C2-baseline", MATCHED, UNIT, _SWEEP, by=2.0, source="take-home (ii)"),
        *better("C2-mean", UNIT, MEAN, _SWEEP, **CONTROL),
    ],
)  # fmt: skip
