"""Censored rows: the likelihood of Tobin's model, what bounds change and what they do not, and what the command refuses."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.optimize import minimize

from harness.errors import DataError
from harness.laws import Options, fit
from tests.harness.conftest import Command, papertrial  # noqa: F401 - a fixture
from tests.laws.conftest import chinchilla_runs


def limited(seed: int = 0, points: int = 60, sigma: float = 0.1) -> pd.DataFrame:
    """A falling power law read by an instrument that ends at 2: what lies above is only known to."""
    rng, x = np.random.default_rng(seed), np.logspace(0, 2, points)
    y = 3 * x**-0.3 * np.exp(rng.normal(0, sigma, points))
    return pd.DataFrame({"x": x, "y": np.minimum(y, 2.0), "at": np.where(y > 2.0, ">", "")})


def test_the_optimum_is_that_of_tobin_s_likelihood() -> None:
    frame = limited()
    log_x, log_y, exact = np.log(frame["x"]), np.log(frame["y"]), frame["at"] == ""
    assert 8 < (~exact).sum() < 20
    line = stats.linregress(log_x[exact], log_y[exact])
    sigma = math.sqrt(float(((log_y - line.intercept - line.slope * log_x)[exact] ** 2).sum()) / (exact.sum() - 2))

    def negative(free: np.ndarray) -> float:
        mean = free[0] + free[1] * log_x
        inside = stats.norm.logpdf(log_y[exact], mean[exact], sigma).sum()
        return -float(inside + stats.norm.logsf(log_y[~exact], mean[~exact], sigma).sum())

    theirs = minimize(negative, [1.0, -0.3], method="BFGS", options={"gtol": 1e-10}).x
    found = fit("power-law", frame, options=Options(resamples=50, censored="at"))
    assert math.log(found.estimate("c").value) == pytest.approx(theirs[0], abs=1e-5)
    assert found.estimate("a").value == pytest.approx(theirs[1], abs=1e-5)
    assert found.parts[0].notes == [f"{(~exact).sum()} of 60 rows are bounds, not values"]
    upside_down = frame.assign(y=1 / frame["y"], at=frame["at"].replace(">", "<"))
    assert fit("power-law", upside_down, options=Options(resamples=0, censored="at")).estimate("a").value == pytest.approx(
        -theirs[1], abs=1e-5
    )


def test_bounds_take_the_bias_that_values_in_their_place_have() -> None:
    slopes = {"bounds": [], "values": [], "left out": []}
    for seed in range(30):
        frame = limited(seed)
        for name, table, censored in (("bounds", frame, "at"), ("values", frame, None), ("left out", frame[frame["at"] == ""], None)):
            slopes[name].append(fit("power-law", table, options=Options(resamples=0, censored=censored)).estimate("a").value)
    bias = {name: abs(np.mean(found) + 0.3) for name, found in slopes.items()}
    assert bias["bounds"] < 0.006
    assert bias["values"] > 0.03
    assert bias["left out"] > 2 * bias["bounds"]


def test_intervals_cover_with_bounds() -> None:
    sets, held = 40, 0
    for seed in range(sets):
        a = fit("power-law", limited(seed, sigma=0.05), options=Options(resamples=60, seed=seed, censored="at")).estimate("a")
        held += a.low <= -0.3 <= a.high
    least, most = stats.binom.interval(0.999, sets, 0.95)
    assert least <= held <= most


def test_bounds_that_the_law_keeps_by_far_change_nothing() -> None:
    frame = chinchilla_runs(points=40).assign(at="")
    far = frame.iloc[:6].assign(y=9.0, at="<")
    plain = fit("chinchilla", frame, options=Options(resamples=0))
    found = fit("chinchilla", pd.concat([frame, far]), options=Options(resamples=30, censored="at"))
    for name in ("A", "alpha", "B", "beta", "E"):
        assert found.estimate(name).value == pytest.approx(plain.estimate(name).value, rel=1e-5)
        assert found.estimate(name).low is not None
    assert len(found.parts[0].residuals) == 40
    near = frame.iloc[:6].assign(y=frame["y"].iloc[:6] * 0.99, at="<")
    moved = fit("chinchilla", pd.concat([frame, near]), options=Options(resamples=0, censored="at"))
    assert moved.estimate("E").value != pytest.approx(plain.estimate("E").value, rel=1e-5)


def test_cells_that_say_no_side_are_named(papertrial: Command) -> None:  # noqa: F811
    frame = limited()
    with pytest.raises(DataError, match="row 2: column at holds 'over': > where the truth is above y"):
        fit("power-law", frame.assign(at=["", "over", *[""] * 58]), options=Options(censored="at"))
    with pytest.raises(DataError, match="makes every row a bound"):
        fit("power-law", frame.assign(at=">"), options=Options(censored="at"))
    frame.to_csv("runs.csv", index=False)
    said = papertrial("fit", "power-law", "runs.csv", "--censored", "at", "--resamples", "30", "--plots", "figures")
    assert (said.code, "of 60 rows are bounds, not values" in said.out) == (0, True), said.err
    said = papertrial("fit", "power-law", "runs.csv", "--censored", "art")
    assert (said.code, "unknown column of runs.csv: 'art'; did you mean 'at'" in said.err) == (2, True)


def censored_runs(seed: int = 0) -> pd.DataFrame:
    """As a study's records: steps that grow as size ** 0.8, not reached beyond 100 in a third of the rows."""
    rng, x = np.random.default_rng(seed), np.logspace(0, 2, 60)
    steps = 8 * x**0.8 * np.exp(rng.normal(0, 0.1, 60))
    return pd.DataFrame(
        {
            "param.size": x,
            "metric.steps": np.minimum(steps, 100.0),
            "metric.steps_censored": (steps > 100.0).astype(float),
            "metric.loss": 1 / x,
        }
    )


COLUMNS = {"x": "param.size", "y": "metric.steps"}


def test_a_censored_metric_brings_its_bounds_by_itself() -> None:
    frame = censored_runs()
    found = fit("power-law", frame, COLUMNS, options=Options(resamples=0))
    marked = frame.assign(at=np.where(frame["metric.steps_censored"] == 1, ">", ""))
    asked = fit("power-law", marked, COLUMNS, options=Options(resamples=0, censored="at"))
    assert found.estimate("a").value == pytest.approx(asked.estimate("a").value, rel=1e-12)
    assert found.estimate("a").value == pytest.approx(0.8, abs=0.04)
    assert (found.censored, found.to_json()["censored"]) == ("metric.steps_censored", "metric.steps_censored")
    values = fit("power-law", frame.drop(columns="metric.steps_censored"), COLUMNS, options=Options(resamples=0))
    assert values.estimate("a").value < 0.7, "as values the bounds are biased"
    reached = fit("power-law", frame.assign(**{"metric.steps_censored": 0.0}), COLUMNS, options=Options(resamples=0))
    assert (reached.censored, reached.estimate("a").value) == ("", values.estimate("a").value)


def test_a_number_of_a_study_that_does_not_say_what_it_is_is_a_bound() -> None:
    frame = censored_runs()
    silent = frame.assign(**{"metric.steps_censored": frame["metric.steps_censored"].replace(1.0, math.nan)})
    found, silently = (fit("power-law", own, COLUMNS, options=Options(resamples=0)) for own in (frame, silent))
    assert found.estimate("a").value == silently.estimate("a").value


@pytest.mark.parametrize("columns", [{"x": "metric.steps", "y": "metric.loss"}, {"x": "param.size", "y": "100/`metric.steps`"}])
def test_bounds_are_fitted_as_y_alone(columns: dict[str, str]) -> None:
    bound = int(censored_runs()["metric.steps_censored"].sum())
    with pytest.raises(DataError, match=rf"metric.steps was not reached and is only a bound in {bound} rows: fit it as y"):
        fit("power-law", censored_runs(), columns, options=Options(resamples=0))


def test_the_command_says_what_it_did_with_bounds(papertrial: Command) -> None:  # noqa: F811
    censored_runs().to_csv("runs.csv", index=False)
    of = ["runs.csv", "--x", "param.size", "--y", "metric.steps", "--resamples", "20"]
    said = papertrial("fit", "power-law", *of)
    assert said.code == 0
    text = " ".join(said.out.split())
    assert "y is only a bound where metric.steps_censored says so" in text
    assert "of 60 rows are bounds, not values" in text
    refused = papertrial("fit", "power-law", *of, "--compare")
    assert (refused.code, "does not go with bounds (metric.steps_censored)" in refused.err) == (2, True)
    pareto = papertrial("fit", "pareto", "runs.csv", "--flops", "param.size", "--y", "metric.steps")
    assert (pareto.code, "pareto takes no bounds, and metric.steps was not reached in some rows" in pareto.err) == (2, True)
