"""Right-censored metrics: what a trial returns, what estimates and verdicts make of bounds."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from harness import gate
from harness.censoring import reached
from harness.ends import ends_of
from harness.errors import TaskError
from harness.estimates import (
    Combined,
    Difference,
    Estimate,
    MeanOver,
    Of,
    PowerTrend,
    RankTrend,
    Reading,
    Slope,
    Transformed,
    rank_correlation,
    ratio,
)
from harness.sweeps import Sweep
from harness.table import Table
from harness.task import Metric
from tests.harness.fabricated import experiment_of

STEPS = Metric("steps", "steps", "lower", censored=True)


def test_a_censored_metric_comes_with_a_companion_that_is_0_or_1() -> None:
    experiment = experiment_of(metrics=[STEPS, Metric("late", "", "lower", optional=True, censored=True)])
    assert gate.metrics(experiment, "left", reached("steps", 300, True)) == {"steps": 300.0, "steps_censored": 1.0}
    assert gate.metrics(experiment, "left", reached("steps", 300, False)) == {"steps": 300.0, "steps_censored": 0.0}
    with pytest.raises(gate.SaidError, match=r"run returned steps without steps_censored, .* \(harness.censoring.reached makes both\)"):
        gate.metrics(experiment, "left", {"steps": 300.0})
    for wrong in (0.5, -1.0, 2.0, math.nan):
        with pytest.raises(gate.SaidError, match=r"metric steps_censored is .*: 1 where steps is a lower bound, 0 where it was reached"):
            gate.metrics(experiment, "left", {"steps": 300.0, "steps_censored": wrong})
    with pytest.raises(gate.SaidError, match="metric steps_censored is True: not a number"):
        gate.metrics(experiment, "left", {"steps": 300.0, "steps_censored": True})
    with pytest.raises(gate.SaidError, match="late_censored without late"):
        gate.metrics(experiment, "left", {**reached("steps", 300, True), "late_censored": 1.0})


def test_a_diverged_trial_may_leave_the_companion_out() -> None:
    experiment = experiment_of(metrics=[STEPS])
    kept = gate.metrics(experiment, "left", {"steps": math.nan})
    assert math.isnan(kept["steps"])
    assert gate.metrics(experiment, "left", reached("steps", math.nan, True))["steps_censored"] == 1.0


def test_a_metric_that_is_not_censored_has_no_companion() -> None:
    with pytest.raises(gate.SaidError, match="'steps_censored', which experiment train does not declare"):
        gate.metrics(experiment_of(metrics=[Metric("steps", "", "lower")]), "left", reached("steps", 3, True))


@pytest.mark.parametrize(("censored", "says"), [(True, "trials return it undeclared"), (False, "declare steps with censored=True")])
def test_a_companion_is_not_declared_by_hand(censored: bool, says: str) -> None:
    metrics = [Metric("steps", "", "lower", censored=censored), Metric("steps_censored", "", "none")]
    with pytest.raises(TaskError, match=f"metric 'steps_censored' says whether steps is a bound: {says}"):
        experiment_of(metrics=metrics)


def table_of(*rows: dict[str, object]) -> Table:
    """One replicate; a row is (method, width, steps, censored) and further metrics."""
    return Table.of(pd.DataFrame([{"experiment": "train", "status": "ok", "seed": 0, **row} for row in rows]))


def row(method: str, width: float, steps: float, censored: float = 0.0, **metrics: float) -> dict[str, object]:
    """A trial's row."""
    own = {"metric.steps": steps, "metric.steps_censored": censored, **{f"metric.{name}": value for name, value in metrics.items()}}
    return {"method": method, "param.width": width, **own}


def ends(estimate: Estimate, *rows: dict[str, object]) -> tuple[float, float]:
    """Of one replicate."""
    found = ends_of(estimate, table_of(*rows))
    return float(found.low[0]), float(found.high[0])


READING = Reading("train", "steps")
A, B = Of("left", READING), Of("right", READING)
INF = math.inf


@pytest.mark.parametrize(
    ("estimate", "left", "right", "low", "high"),
    [
        (A, (300, 0), (100, 0), 300, 300),
        (A, (300, 1), (100, 0), 300, INF),
        (Difference(A, B), (300, 1), (100, 0), 200, INF),
        (Difference(A, B), (300, 0), (100, 1), -INF, 200),
        (Difference(A, B), (300, 1), (100, 1), -INF, INF),
        (Transformed(abs, Difference(A, B)), (300, 1), (100, 0), 200, INF),
        (Transformed(abs, Difference(A, B)), (50, 1), (100, 0), 0, INF),
        (Transformed(abs, Difference(B, A)), (300, 1), (100, 0), 200, INF),
        (ratio("left", "right", READING), (300, 1), (100, 0), 3, INF),
        (ratio("left", "right", READING), (300, 0), (100, 1), 0, 3),
        (ratio("left", "right", READING), (300, 1), (100, 1), 0, INF),
        (Of("left", READING.log10()), (1000, 1), (100, 0), 3, INF),
        (Transformed(lambda value: value * value, A), (300, 1), (100, 0), -INF, INF),
        (Transformed(lambda value: value * value, A), (300, 0), (100, 1), 90000, 90000),
        (Combined(max, (A, B)), (300, 0), (100, 1), 300, INF),
        (Combined(min, (A, B)), (300, 1), (100, 0), 100, 100),
        (Combined(lambda values: values[0] - values[1], (A, B)), (300, 1), (100, 0), -INF, INF),
        (MeanOver("width", READING), (300, 1), (100, 0), 200, INF),
        (lambda frame: float(frame["metric.steps"].sum()), (300, 1), (100, 0), -INF, INF),
        (lambda frame: float(frame["metric.steps"].sum()), (300, 0), (100, 0), 400, 400),
    ],
)
def test_bounds_go_through_estimates_by_their_monotonicity(
    estimate: Estimate, left: tuple[float, float], right: tuple[float, float], low: float, high: float
) -> None:
    assert ends(estimate, row("left", 1, *left), row("right", 2, *right)) == pytest.approx((low, high))


def test_a_number_that_does_not_say_what_it_is_is_a_bound() -> None:
    assert ends(A, row("left", 1, 300, math.nan)) == (300, INF)


def test_a_trend_is_bounded_by_the_weights_of_its_points() -> None:
    points = [row("left", width, width**0.5) for width in (1, 2, 4)]
    last, first, middle = ([*points[:at], points[at] | {"metric.steps_censored": 1.0}, *points[at + 1 :]] for at in (2, 0, 1))
    for trend in (PowerTrend("width", READING), Slope("steps", "width")):
        assert ends(trend, *points) == pytest.approx((0.5, 0.5))
        assert ends(trend, *last) == pytest.approx((0.5, INF))
        assert ends(trend, *first) == pytest.approx((-INF, 0.5))
        assert ends(trend, *middle) == pytest.approx((0.5, 0.5)), "the middle one has no weight"


def test_a_rank_trend_holds_every_order_that_the_bounds_leave_open() -> None:
    """Against all orders: bounds are drawn far above, and just above themselves."""
    random = np.random.default_rng(3)
    for _ in range(40):
        values, marks = random.integers(1, 6, size=5).astype(float), random.integers(0, 2, size=5)
        low, high = ends(RankTrend("width", READING), *(row("left", w, v, m) for w, (v, m) in enumerate(zip(values, marks, strict=True))))
        drawn = np.where(marks, values + random.exponential(2.0, size=(500, 5)), values)
        found = rank_correlation(np.arange(5.0), drawn)
        found = found[np.isfinite(found)]
        assert low - 1e-12 <= found.min() <= found.max() <= high + 1e-12
        if not marks.any():
            assert (low, high) == pytest.approx((found[0], found[0]))
    rising = [row("left", w, w + 1.0, w > 2) for w in range(4)]
    assert ends(RankTrend("width", READING), *rising) == pytest.approx((1.0, 1.0)), "a bound at the end leaves no order open"


def swept(better: str, *trials: tuple[float, float, float]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Ends of the metric that selects, and of another, from (steps, censored, loss) of trials that compete."""
    sweep = Sweep("width", by="steps", better=(better,))
    rows = [row("left", width, steps, mark, loss=loss) for width, (steps, mark, loss) in enumerate(trials)]
    return ends(Reading("train", "steps", sweep=sweep), *rows), ends(Reading("train", "loss", sweep=sweep), *rows)


def test_a_sweep_by_a_censored_metric_selects_what_is_known_to_be_best() -> None:
    assert swept("lower", (500, 1, 1.0), (500, 0, 2.0), (500, 1, 3.0)) == ((500, 500), (2, 2)), "the exact number beats equal bounds"
    assert swept("lower", (500, 1, 1.0), (300, 0, 2.0)) == ((300, 300), (2, 2))
    assert swept("lower", (200, 1, 1.0), (300, 0, 2.0)) == ((200, 300), (1, 2)), "a bound below it leaves both open"
    assert swept("lower", (500, 1, 1.0), (500, 1, 3.0)) == ((500, INF), (1, 3)), "none was reached: any may be the best"
    assert swept("higher", (500, 1, 1.0), (500, 0, 2.0)) == ((500, INF), (1, 2))
    assert swept("higher", (500, 1, 1.0), (300, 0, 2.0)) == ((500, INF), (1, 1))
