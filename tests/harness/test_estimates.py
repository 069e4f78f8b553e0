"""Estimates on planted data: the planted value comes out, and what cannot be computed is NaN rather than a guess."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.estimates import (
    Combined,
    Curve,
    Difference,
    Estimate,
    Magnitude,
    Mean,
    MeanOver,
    Of,
    OptimumShift,
    RankCorrelation,
    Slope,
    log2_optimum,
)
from harness.table import best

WIDTHS = (32, 64, 128, 256)


def frame(rows: list[dict[str, object]]) -> pd.DataFrame:
    return pd.DataFrame([{"method": "m", "seed": 0, "status": "ok", **row} for row in rows])


def power_law(exponent: float, method: str = "m") -> list[dict[str, object]]:
    return [{"method": method, "param.width": d, "param.kind": "a", "metric.gain": 3.0 * d**exponent} for d in WIDTHS]


@pytest.mark.parametrize("exponent", [-1.0, 0.0, 0.62])
def test_the_slope_of_a_power_law_is_its_exponent(exponent: float) -> None:
    assert Slope("gain", over="width")(frame(power_law(exponent))) == pytest.approx(exponent, abs=1e-12)


def test_a_slope_is_least_squares_in_logarithms() -> None:
    noise = np.random.default_rng(0).normal(size=4)
    rows = [row | {"metric.gain": float(row["metric.gain"]) * math.exp(e)} for row, e in zip(power_law(0.5), noise, strict=True)]  # type: ignore[arg-type]
    expected = np.polyfit(np.log(WIDTHS), np.log([3.0 * d**0.5 for d in WIDTHS]) + noise, 1)[0]
    assert Slope("gain", over="width")(frame(rows)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        power_law(0.5)[:1],
        [*power_law(0.5), {"param.width": 512, "param.kind": "a", "metric.gain": math.nan, "status": "diverged"}],
        [*power_law(0.5), {"param.width": 512, "param.kind": "a", "metric.gain": -1.0}],
        [{"param.other": 1.0}],
    ],
    ids=["no rows", "one width", "a diverged trial", "a negative value", "another task's rows"],
)
def test_a_slope_that_cannot_be_computed_is_nan(rows: list[dict[str, object]]) -> None:
    estimate: Estimate = Slope("gain", over="width")
    data = frame(rows) if rows else frame([{"param.width": 1, "metric.gain": 1.0}]).iloc[:0]
    assert math.isnan(estimate(data))


def test_where_and_of_choose_rows() -> None:
    rows = power_law(1.0) + power_law(0.5, "n") + [{"param.width": 32, "param.kind": "b", "metric.gain": 1e9}]
    estimate = Slope("gain", over="width", where={"kind": "a"})
    assert Of("n", estimate)(frame(rows)) == pytest.approx(0.5)
    assert Difference(Of("n", estimate), Of("m", estimate))(frame(rows)) == pytest.approx(-0.5)
    assert Magnitude(Difference(Of("n", estimate), Of("m", estimate)))(frame(rows)) == pytest.approx(0.5)
    assert Mean("gain", {"kind": "b"})(frame(rows)) == 1e9
    assert math.isnan(Mean("gain", {"kind": "c"})(frame(rows)))
    assert math.isnan(Mean("gain", {"nothing": 1})(frame(rows)))


def test_a_mean_over_a_diverged_trial_is_not_a_number() -> None:
    rows = frame([{"metric.gain": 1.0}, {"metric.gain": math.nan, "status": "diverged"}])
    assert math.isnan(Mean("gain")(rows))


def valley(shift: float, *, points: tuple[float, ...] = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)) -> list[dict[str, object]]:
    """A parabola in log2(lr) whose minimum moves by `shift` octaves per doubling of the width, from 0.3 at width 64."""
    return [
        {"param.width": d, "param.lr": lr, "metric.loss": 2.0 + 0.1 * (math.log2(lr) - 0.3 - shift * math.log2(d / 64)) ** 2}
        for d in (32, 64, 128)
        for lr in points
    ]


@pytest.mark.parametrize("shift", [-1.0, -0.4, 0.0, 0.7])
def test_a_planted_shift_of_the_optimum_is_found(shift: float) -> None:
    assert OptimumShift("loss", axis="lr", per="width")(frame(valley(shift))) == pytest.approx(shift, abs=1e-9)


def test_an_optimum_at_the_edge_of_the_sweep_is_no_optimum() -> None:
    assert math.isnan(OptimumShift("loss", axis="lr", per="width")(frame(valley(2.0, points=(0.5, 1.0, 2.0)))))


def test_a_diverged_rate_bounds_the_valley_and_a_failed_one_hides_it() -> None:
    rows = [row | ({"metric.loss": math.nan, "status": "diverged"} if row["param.lr"] == 8.0 else {}) for row in valley(0.0)]
    assert OptimumShift("loss", axis="lr", per="width")(frame(rows)) == pytest.approx(0.0, abs=1e-9)
    rows = [row | ({"metric.loss": math.nan, "status": "failed"} if row["param.lr"] == 8.0 else {}) for row in valley(0.0)]
    assert math.isnan(OptimumShift("loss", axis="lr", per="width")(frame(rows)))


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([2.0, 1.0, 2.0], 1.0),
        ([3.0, 1.0, 2.0], 1.0 + 1 / 6),
        ([2.0, 1.0, math.inf], 1.0),
        ([1.0, 2.0, 3.0], math.nan),
        ([math.nan, 1.0, 2.0], math.nan),
        ([1.0, 1.0, 1.0], math.nan),
    ],
)
def test_the_vertex_of_three_points(losses: list[float], expected: float) -> None:
    assert log2_optimum(np.array([1.0, 2.0, 4.0]), np.array(losses)) == pytest.approx(expected, nan_ok=True)


def test_a_function_of_estimates_needs_all_of_them() -> None:
    rows = frame([{"method": "a", "metric.gain": 3.0}, {"method": "b", "metric.gain": 1.0}, {"method": "c", "metric.gain": math.nan}])
    a, b, c = (Of(name, Mean("gain")) for name in "abc")
    assert Combined(min, (a, b))(rows) == 1.0
    assert Combined(max, (a, b))(rows) == 3.0
    assert math.isnan(Combined(min, (a, b, c))(rows)), "the best of the survivors is not the best"


def test_a_mean_over_a_parameter_takes_each_value_by_itself() -> None:
    """Exponents 1 and 0.5 with other factors: a slope through trials of both would mix them where one has fewer widths."""
    rows = frame(
        [{"param.beta": 0.1, "param.width": w, "metric.gain": 9.0 * w} for w in (1, 2, 8)]
        + [{"param.beta": 0.2, "param.width": w, "metric.gain": w**0.5} for w in (2, 8)]
    )
    exponent = Slope("gain", "width")
    assert MeanOver("beta", exponent)(rows) == pytest.approx(0.75)
    assert MeanOver("beta", exponent, only="smallest")(rows) == pytest.approx(1.0)
    assert MeanOver("beta", exponent, only="largest")(rows) == pytest.approx(0.5)
    assert math.isnan(MeanOver("beta", exponent)(rows[rows["param.width"] < 8])), "one width at one beta has no slope"
    assert math.isnan(MeanOver("rate", exponent)(rows))


def test_a_curve_of_one_method_may_end_at_numbers() -> None:
    rows = frame([{"metric.kept": 60.0, "metric.right": 90.0}, {"metric.kept": 20.0, "metric.right": 80.0}])
    curve = Curve("kept", "right", ends=((100.0, 91.0),))
    assert curve.at(40.0)(rows) == pytest.approx(85.0)
    assert curve.at(80.0)(rows) == pytest.approx(90.5)
    assert math.isnan(curve.at(10.0)(rows)), "nothing is extrapolated"
    assert curve.of("m", 80.0)(rows) == pytest.approx(90.5)
    assert math.isnan(curve.of("other", 80.0)(rows))


@pytest.mark.parametrize(("values", "rho"), [((1.0, 5.0, 6.0, 90.0), 1.0), ((4.0, 3.0, 2.0), -1.0), ((1.0, 3.0, 2.0), 0.5)])
def test_rank_correlations_of_planted_orders(values: tuple[float, ...], rho: float) -> None:
    rows = frame([{"metric.a": 10.0 * place, "metric.b": value} for place, value in enumerate(values)])
    assert RankCorrelation("a", "b")(rows) == pytest.approx(rho)


@pytest.mark.parametrize("values", [(1.0, 2.0), (5.0, 5.0, 5.0), (1.0, math.nan, 2.0)])
def test_a_rank_correlation_of_too_little_is_nan(values: tuple[float, ...]) -> None:
    rows = frame([{"metric.a": float(place), "metric.b": value} for place, value in enumerate(values)])
    assert math.isnan(RankCorrelation("a", "b")(rows))


def selected(rows: list[dict[str, Any]], by: Any) -> dict[str, Any] | None:
    """The row that `best` places first."""
    ok, diverged = (np.array([[row["status"] == status for row in rows]], dtype=bool).reshape(1, -1) for status in ("ok", "diverged"))
    keys = np.array([by(row) for row in rows], dtype=float).reshape(len(rows), 2)
    place = int(best(diverged, ok, list(keys.T[:, None]))[0])
    return rows[place] if place >= 0 else None


def _row(quality: float, status: str = "ok", tie: float = 0.0) -> dict[str, Any]:
    return {"status": status, "quality": quality, "tie": tie}


def test_a_sweep_chooses_among_whole_trials_only() -> None:
    by = lambda row: (row["quality"], row["tie"])  # noqa: E731
    assert selected([_row(1.0), _row(3.0, tie=1.0), _row(3.0, tie=2.0)], by) == _row(3.0, tie=2.0)
    assert selected([_row(math.nan, "diverged"), _row(1.0)], by) == _row(1.0)
    for missing in (_row(math.nan, "failed"), _row(math.nan, "timeout"), _row(math.nan)):
        assert selected([_row(1.0), missing], by) is None, "the missing one could have been the best"
    assert selected([_row(math.nan, "diverged")], by) is None
    assert selected([], by) is None
