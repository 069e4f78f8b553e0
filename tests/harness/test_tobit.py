"""Exponents through points that were not reached: what they give, where they give nothing, and what taking bounds for values would."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from harness import verdict as verdicts
from harness.bounds import POSITIVE
from harness.censoring import reached
from harness.claims import slope
from harness.ends import ends_of
from harness.estimates import PowerTrend, Reading, Slope, log_log_slopes
from harness.evidence import Evidence
from harness.plan import TrialSpec
from harness.stats import Samples
from harness.table import Table
from harness.task import Above, Below, Grid, Metric, Region, Within
from harness.tobit import censored_slopes, identified
from harness.verdict import Verdict
from tests.harness.fabricated import experiment_of, noise, study_of, task_of

STEPS = Metric("steps", "steps", "lower", censored=True, bounds=POSITIVE)
WIDTHS = (1, 2, 4, 8, 16, 32)


def cut(exponent: float, cap: float, n: int, *, sd: float = 0.3, curves: int = 800, seed: int = 0) -> tuple[np.ndarray, ...]:
    """x, y as it was seen, and what of it is a bound, of curves x ** exponent with noise, cut off at a cap."""
    x = 2.0 ** np.linspace(0, 5, n)
    y = x**exponent * np.exp(sd * np.random.default_rng(seed).normal(size=(curves, n)))
    return x, np.minimum(y, cap), y > cap


@pytest.mark.parametrize(("exponent", "cap", "n"), [(1.0, 8.0, 8), (0.5, 3.0, 6), (-1.0, 0.25, 8)])
def test_planted_exponents_come_out_where_dropping_or_taking_bounds_for_values_is_biased(exponent: float, cap: float, n: int) -> None:
    x, y, bound = cut(exponent, cap, n)
    usable = identified(bound)
    assert 0.3 < bound.mean() < 0.6
    found = censored_slopes(x, y, bound)[usable] / exponent
    error = found.std() / math.sqrt(len(found))
    assert abs(found.mean() - 1) < 0.03 + 2 * error
    dropped = np.array([float(log_log_slopes(x[~gone], own[~gone])) for gone, own in zip(bound[usable], y[usable], strict=True)])
    assert dropped.mean() / exponent < 0.96 - 2 * error
    assert log_log_slopes(x, y[usable]).mean() / exponent < 0.75


@pytest.mark.parametrize("seeds", [5, 10])
def test_intervals_over_seeds_of_such_exponents_cover_the_planted_one(seeds: int) -> None:
    x, y, bound = cut(1.0, 8.0, 8, curves=300 * seeds, seed=1)
    usable = identified(bound)
    found = np.where(usable, censored_slopes(x, y, bound), math.nan).reshape(-1, seeds)
    found = found[np.isfinite(found).all(axis=1)]
    low, high = Samples.of(found).interval(0.95)
    assert ((low < 1.0) & (high > 1.0)).mean() > 0.95 - 2.5 * math.sqrt(0.95 * 0.05 / len(found))


def test_it_is_the_largest_likelihood() -> None:
    """Against a general optimiser of the likelihood as it is written down."""
    x, y, bound = cut(1.0, 8.0, 8, curves=6, seed=3)
    for own, gone in zip(y, bound, strict=True):

        def lost(theta: np.ndarray, own: np.ndarray = own, gone: np.ndarray = gone) -> float:
            z = (np.log(own) - theta[0] - theta[1] * np.log(x)) / math.exp(theta[2])
            return -float(np.where(gone, stats.norm.logsf(z), stats.norm.logpdf(z) - theta[2]).sum())

        best = optimize.minimize(
            lost, np.array([0.0, 1.0, -1.0]), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000}
        )
        assert censored_slopes(x, own[None], gone[None])[0] == pytest.approx(best.x[1], abs=1e-4)


def test_without_bounds_it_is_least_squares_and_points_on_a_line_give_the_line() -> None:
    x, y, bound = cut(1.0, math.inf, 6, curves=5)
    assert censored_slopes(x, y, bound) == pytest.approx(log_log_slopes(x, y))
    line = x**1.5
    seen, gone = np.minimum(line, 40.0)[None], (line > 40.0)[None]
    assert gone.sum() == 2
    assert censored_slopes(x, seen, gone)[0] == pytest.approx(1.5, abs=1e-6), "bounds that lie under the line move it nowhere"


def table_of(values: list[float], marks: list[bool]) -> Table:
    rows = [
        {"experiment": "train", "status": "ok", "method": "left", "param.width": x, "metric.steps": y, "metric.steps_censored": float(mark)}
        for x, y, mark in zip(WIDTHS, values, marks, strict=True)
    ]
    return Table.of(pd.DataFrame(rows))


@pytest.mark.parametrize("trend", [PowerTrend("width", Reading("train", "steps")), Slope("steps", "width")])
def test_too_few_reached_points_leave_the_exponent_open(trend: PowerTrend | Slope) -> None:
    values = [3.0, 5.0, 13.0, 20.0, 20.0, 20.0]
    known = ends_of(trend, table_of(values, [False] * 3 + [True] * 3))
    assert known.low[0] == known.high[0] > float(log_log_slopes(np.array(WIDTHS), np.array(values)))
    late = ends_of(trend, table_of(values, [False] * 2 + [True] * 4))
    assert (math.isfinite(late.low[0]), late.high[0]) == (False, math.inf), "the third is one of the lower half"
    assert ends_of(trend, table_of([20.0] * 6, [True] * 6)).high[0] == math.inf
    assert identified(np.array([[False] * 3 + [True] * 3, [False] * 2 + [True] * 4])).tolist() == [True, False]
    assert identified(np.array([[False] * 3 + [True] * 4, [False] * 4 + [True] * 3])).tolist() == [False, True], "more bounds than points"
    ends = ends_of(trend, table_of([20.0, 20.0, 20.0, 20.0, 5.0, 3.0], [True] * 4 + [False] * 2))
    assert (ends.low[0], ends.high[0]) == (-math.inf, math.inf)


def test_a_bound_of_nothing_moves_no_exponent() -> None:
    """Five points of six widths with noise, and a bound of 0 at the sixth: the exponent of the five, wherever the sixth is."""
    values, trend = [3.0, 5.0, 13.0, 20.0, 44.0, 90.0], PowerTrend("width", Reading("train", "steps"))
    for place in (0, 2, 5):
        others = [i for i in range(6) if i != place]
        alone = float(log_log_slopes(np.array(WIDTHS)[others], np.array(values)[others]))
        found = ends_of(trend, table_of([0.0 if i == place else y for i, y in enumerate(values)], [i == place for i in range(6)]))
        assert found.low[0] == found.high[0] == pytest.approx(alone, abs=1e-6)


def claimed(folder: Path, holds: Region, cap: float, *, power: float = 1.0) -> Verdict:
    """The verdict on the exponent of steps in width, five seeds; true steps are 10 width ** power."""

    def outcome(trial: TrialSpec) -> dict[str, float]:
        steps = 10 * trial.params["width"] ** power * math.exp(0.1 * noise(trial))
        return reached("steps", min(steps, cap), steps > cap)

    train = experiment_of(metrics=[STEPS])
    claim = slope("C1", "left", train["steps"], over="width", holds=holds, source="Fig. 2")
    task = task_of(experiment=train, claims=claim, grids=lambda own: [Grid(own, axes={"width": list(WIDTHS)})])
    (found,) = verdicts.decide(Evidence(study_of(folder, task, outcome), task, "laptop"))
    return found


def test_a_claim_about_an_exponent_reads_its_bounds_as_bounds(tmp_path: Path) -> None:
    found = claimed(tmp_path, Within(0.8, 1.2), cap=60.0)
    assert found.verdict == "reproduced", "as values the bounds would give about 0.6"
    assert found.interval.estimate == pytest.approx(1.0, abs=0.1)
    assert "In 5 of 5 seeds it reads numbers that were not reached, as bounds." in found.reason
    flat = claimed(tmp_path / "flat", Below(0.7), cap=60.0)
    assert flat.verdict == "not reproduced"


def test_a_claim_about_an_exponent_of_too_few_points_is_open(tmp_path: Path) -> None:
    found = claimed(tmp_path, Within(0.8, 1.2), cap=15.0)
    assert found.verdict == "inconclusive"
    assert found.censored == 5
    assert claimed(tmp_path / "above", Above(-5.0), cap=5.0).verdict == "inconclusive", "nothing was reached at all"
    assert "not reached, as bounds" not in claimed(tmp_path / "all", Within(0.8, 1.2), cap=math.inf).reason
