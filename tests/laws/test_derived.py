"""Compute-optimal sizes and predictions against minimisers and closed forms, fixed and tied parameters against scipy."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize, minimize_scalar

from harness.errors import UsageError
from harness.laws import LAWS, Options, derived, fit, prediction
from harness.laws.design import Rows, build
from tests.harness.conftest import Command, papertrial  # noqa: F401 - a fixture
from tests.laws.conftest import CHINCHILLA, RHO, chinchilla_runs


def loss(n: float, d: float, rho: float = 1.0) -> float:
    c = CHINCHILLA
    return c["A"] * (n * rho) ** -c["alpha"] + c["B"] * d ** -c["beta"] + c["E"]


def test_the_best_division_of_a_budget_is_the_minimiser_s() -> None:
    found = fit("chinchilla", chinchilla_runs(sigma=0.0), options=Options(resamples=0, budgets=[1e20, 1e24]))
    for budget in (1e20, 1e24):
        best = math.exp(minimize_scalar(lambda u, c=budget: loss(math.exp(u), c / 6 / math.exp(u)), bounds=(10, 35), method="bounded").x)
        assert found.estimate(f"N*({budget:g})").value == pytest.approx(best, rel=1e-3)
        assert found.estimate(f"D*({budget:g})").value == pytest.approx(budget / 6 / best, rel=1e-3)
        assert found.estimate(f"D*/N*({budget:g})").value == pytest.approx(budget / 6 / best**2, rel=2e-3)
    assert found.estimate("a").value == pytest.approx(0.28 / 0.62, rel=1e-4)
    assert found.estimate("b").value == pytest.approx(0.34 / 0.62, rel=1e-4)


def test_an_efficiency_moves_the_optimum_of_its_group() -> None:
    frame = precision_frame()
    found = fit("precision", frame, options=Options(group=["bits"], reference="16", resamples=0, budgets=[1e22]))
    for bits, rho in RHO.items():
        best = math.exp(minimize_scalar(lambda u, r=rho: loss(math.exp(u), 1e22 / 6 / math.exp(u), r), bounds=(10, 35), method="bounded").x)
        assert found.estimate("N*(1e+22)", bits).value == pytest.approx(best, rel=5e-3)
    assert found.estimate("a").group == "", "the exponents are shared, so is their ratio"


def precision_frame() -> object:
    import pandas as pd

    runs = chinchilla_runs(sigma=0.0)
    parts = [runs.assign(bits=bits, y=[loss(n, d, rho) for n, d in zip(runs["n"], runs["d"], strict=True)]) for bits, rho in RHO.items()]
    return pd.concat(parts, ignore_index=True)


def rows_of(law: str) -> tuple[object, Rows]:
    rng = np.random.default_rng(0)
    x = {column.name: 10 ** rng.uniform(6, 9, 24) for column in LAWS[law].columns}
    family = [f"f{i % 2}" for i in range(24)]
    group = [f"{own}/{i % 3}" for i, own in enumerate(family)] if LAWS[law].efficiencies else family
    rows = Rows(x, 10 ** rng.uniform(0, 0.5, 24), family, group, frozenset({"f0/0", "f1/0", "f1/1"}) & set(group))
    return build(dataclasses.replace(LAWS[law], fixed={"E": 1.1}), rows, frozenset({"beta"})), rows


@pytest.mark.parametrize("law", ["chinchilla", "precision", "over-training"])
def test_gradients_of_what_is_derived_are_those_of_finite_differences(law: str) -> None:
    design, rows = rows_of(law)
    theta = np.abs(np.random.default_rng(1).normal(0.5, 0.3, design.terms.shape[2])) + 0.1
    points = prediction.points(design, rows, [dict.fromkeys(rows.x, 3e7)])
    everything = [*design.quantities, *derived.allocation(design, rows, [1e21]), *points]
    assert len(everything) > 12
    steps = 1e-6 * np.eye(len(theta))
    for one in everything:
        across = (one.fitted(theta + steps) - one.fitted(theta - steps)) / 2e-6
        np.testing.assert_allclose(one.gradient(theta[None])[0], across, rtol=1e-5, atol=1e-6, err_msg=one.label)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"fixed": {"E": 1.69}}, ["A", "alpha", "B", "beta"]),
        ({"fixed": {"A": 406.4, "beta": 0.3}}, ["alpha", "B", "E"]),
        ({"ties": {"beta": "alpha"}}, ["A", "alpha", "B", "E"]),
        ({"ties": {"beta": "alpha"}, "fixed": {"alpha": 0.31}}, ["A", "B", "E"]),
    ],
)
def test_constraints_give_the_constrained_optimum_of_scipy(options: dict[str, dict[str, float]], names: list[str]) -> None:
    frame = chinchilla_runs(points=40)
    log_n, log_d, log_y = (np.log(frame[name].to_numpy()) for name in ("n", "d", "y"))

    def objective(free: np.ndarray) -> float:
        v = dict(zip(names, free, strict=True)) | options.get("fixed", {})
        level = {name: v[name] if name in options.get("fixed", {}) else math.exp(v[name]) for name in ("A", "B", "E")}
        beta = v[options.get("ties", {}).get("beta", "beta")]
        mean = np.log(level["A"] * np.exp(-v["alpha"] * log_n) + level["B"] * np.exp(-beta * log_d) + level["E"])
        return float(0.5 * np.sum((log_y - mean) ** 2))

    found = fit("chinchilla", frame, options=Options(resamples=100, delta=math.inf, **options))
    ours = {e.name: e for _, e in found.estimates}
    start = [math.log(ours[name].value) if name in "ABE" else ours[name].value for name in names]
    theirs = minimize(objective, start, method="BFGS", options={"gtol": 1e-12})
    assert found.parts[0].objective == pytest.approx(objective(np.array(start)), rel=1e-8)
    assert found.parts[0].objective <= theirs.fun * (1 + 1e-9)
    assert list(ours) == ["A", "alpha", "B", "beta", "E"], "in the order of the formula"
    for name, value in options.get("fixed", {}).items():
        assert (ours[name].value, ours[name].fixed, ours[name].low) == (value, True, None)
    for name in names:
        assert ours[name].low < ours[name].value < ours[name].high
    if "ties" in options:
        assert (ours["beta"].value, ours["beta"].low) == (ours["alpha"].value, ours["alpha"].low)


def test_a_parameter_that_is_fixed_narrows_the_others() -> None:
    frame = chinchilla_runs()
    free, fixed = (fit("chinchilla", frame, options=Options(resamples=200, fixed=f)).estimate("alpha") for f in ({}, {"E": 1.69}))
    assert fixed.high - fixed.low < 0.75 * (free.high - free.low)


def test_what_is_derived_shares_the_intervals_resamples() -> None:
    found = fit("chinchilla", chinchilla_runs(), options=Options(resamples=200, budgets=[1e23]))
    part = found.parts[0]
    assert part.resamples.fitted.shape == (200, 5 + 2 + 3)
    alpha, beta = part.resamples.fitted[:, 1], part.resamples.fitted[:, 3]
    np.testing.assert_allclose(part.resamples.fitted[:, 5], beta / (alpha + beta))
    a, n = found.estimate("a"), found.estimate("N*(1e+23)")
    assert a.low < a.value < a.high
    truth = (0.34 * 406.4 / (0.28 * 410.7)) ** (1 / 0.62) * (1e23 / 6) ** (0.28 / 0.62)
    assert n.low < truth < n.high
    same = fit("chinchilla", chinchilla_runs(), options=Options(resamples=200)).estimate("alpha")
    assert (same.low, same.high) == (found.estimate("alpha").low, found.estimate("alpha").high)


def test_what_follows_from_fixed_parameters_alone_is_not_estimated() -> None:
    fixed = {name: value for name, value in CHINCHILLA.items() if name != "E"}
    assert fit("chinchilla", chinchilla_runs(), options=Options(resamples=50, fixed=fixed)).parts[0].derived == []


def test_parameters_without_an_interval_give_none_to_what_they_make() -> None:
    found = fit("chinchilla", chinchilla_runs(ratio=20.0), options=Options(resamples=100, budgets=[1e22]))
    assert found.estimate("a").low is None
    assert "d moves with n" in found.estimate("N*(1e+22)").reason


def test_bands_of_predictions_cover_as_often_as_promised() -> None:
    sets, x = 40, np.logspace(7, 10, 14)
    law, new = 0, 0
    for number in range(sets):
        rng = np.random.default_rng(number)
        errors = np.exp(rng.normal(0, 0.01, 15))
        frame = {"x": x, "y": (400 * x**-0.34 + 1.7) * errors[:14]}
        (point,) = fit("power-law-floor", frame, options=Options(resamples=100, seed=number, predict=[{"x": 3e10}])).parts[0].predictions
        truth = 400 * 3e10**-0.34 + 1.7
        law += point.low <= truth <= point.high
        new += point.new_low <= truth * errors[14] <= point.new_high
        assert point.new_high - point.new_low > point.high - point.low
    least, most = stats.binom.interval(0.999, sets, 0.95)
    assert least <= law <= most
    assert least <= new <= most


def test_a_new_run_may_be_as_far_off_as_the_rows_were() -> None:
    # One row in twelve is off by 1: more often than the tails of the interval, although Student's would end at 0.57.
    residuals = np.array([1.0] + [0.0] * 11)
    low, high = prediction.new_run(2.0, 0.01, np.zeros(4000), residuals, 1000, 0.95, np.random.default_rng(0))
    assert (low, high) == pytest.approx((1.0, 3.0))
    low, high = prediction.new_run(2.0, 0.01, np.zeros(4000), np.full(12, 1e-6), 5, 0.95, np.random.default_rng(0))
    assert high - 2.0 == pytest.approx(stats.t.ppf(0.975, 5) * 0.01, rel=1e-3)


def test_a_point_far_from_the_rows_says_so() -> None:
    frame = chinchilla_runs()
    options = Options(resamples=50, predict=[{"N": 10 * frame["n"].max(), "d": frame["d"].mean()}])
    (point,) = fit("chinchilla", frame, options=options).parts[0].predictions
    assert point.beyond == "n 10 times the largest"
    assert point.value == pytest.approx(loss(point.at["n"], point.at["d"]), rel=0.02)


def test_wishes_that_contradict_the_law_are_one_sentence() -> None:
    frame = chinchilla_runs(points=20)
    for options, says in (
        ({"fixed": {"gamma": 1.0}}, "unknown parameter of law chinchilla: 'gamma'"),
        ({"fixed": {"E": -1.0}}, "E cannot be fixed at -1: it is positive"),
        ({"fixed": dict(CHINCHILLA)}, "every parameter of law chinchilla is fixed"),
        ({"ties": {"beta": "E"}}, "unknown exponent of law chinchilla: 'E'"),
        ({"ties": {"beta": "alpha", "alpha": "beta"}}, "tie each exponent to one that is free"),
        ({"ties": {"beta": "alpha"}, "fixed": {"beta": 0.3}}, "beta cannot be both fixed and tied"),
        ({"predict": [{"n": 1e9}]}, "--predict takes one value of each of n, d: d is missing"),
        ({"predict": [{"n": 1e9, "d": -1.0}]}, "--predict d=-1: the law is for positive numbers"),
        ({"predict": [{"n": 1e9, "e": 1.0}]}, "unknown column of law chinchilla: 'e'"),
    ):
        with pytest.raises(UsageError, match=says.replace("(", r"\(")):
            fit("chinchilla", frame, options=Options(**options))


def test_the_command_says_fixed_derived_and_predicted(papertrial: Command) -> None:  # noqa: F811
    chinchilla_runs().rename(columns={"n": "N", "d": "D"}).to_csv("runs.csv", index=False)
    words = ["fit", "chinchilla", "runs.csv", "--n", "N", "--d", "D", "--resamples", "60", "--json", "fit.json", "--markdown", "fit.md"]
    said = papertrial(*words, "--fix", "E=1.69", "--tie", "beta=alpha", "--budget", "1e21,5.76e23", "--predict", "N=7e10,D=1.4e12")
    assert said.code == 0, said.err
    (part,) = json.loads(Path("fit.json").read_text())["fits"]
    assert part["parameters"][-1] == {"name": "E", "group": "", "value": 1.69, "low": None, "high": None, "fixed": True}
    assert [one["name"] for one in part["derived"]] == [f"{what}({c})" for c in ("1e+21", "5.76e+23") for what in ("N*", "D*", "D*/N*")]
    (point,) = part["predictions"]
    assert point["new_run_low"] < point["low"] < point["value"] < point["high"] < point["new_run_high"]
    text = Path("fit.md").read_text()
    assert "| E |  | 1.69 | fixed |" in text
    assert "| n = 7e+10, d = 1.4e+12 |" in text
    for wish, says in (
        (["--fix", "E"], "--fix takes NAME=VALUE[,NAME=VALUE...], not 'E'"),
        (["--fix", "E=low"], "--fix E takes a number such as 1.69 or 7e9, not 'low'"),
        (["--fix", "E=1,E=2"], "--fix E is given twice"),
        (["--budget", "0"], "--budget takes positive FLOPs, not 0"),
        (["--predict", "n=1e9"], "d is missing"),
    ):
        said = papertrial(*words, *wish)
        assert (said.code, says in said.err) == (2, True), said.err
