"""Published numbers, planted parameters, units, traps, and coverage of the intervals."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from harness.errors import DataError, UsageError
from harness.laws import LAWS, Column, Law, Options, Power, Term, bootstrap, fit, selection
from harness.laws.bootstrap import Resamples
from tests.laws.conftest import CHINCHILLA, RHO, chinchilla_runs, precision_runs

FAST = Options(resamples=200)
BITS = Options(group=["bits"], reference="16", resamples=200)


def test_porian_s_fifteen_exponents_to_four_decimals(published: Path) -> None:
    key = ["source", "dataset", "hparams", "warmup", "decay", "param_count", "split"]
    optima = pd.read_csv(published / "porian" / "isoflop_optima.csv")
    found = fit("power-law", optima, {"x": "flops", "y": "n_star"}, Options(group=key, skip_empty=True, resamples=0))
    theirs = pd.read_csv(published / "porian" / "published_fits.csv")
    assert len(theirs) == len(found.parts) == 15
    for _, row in theirs.iterrows():
        group = "/".join(row[key])
        assert round(found.estimate("a", group).value, 4) == round(row["basic.n_exponent"], 4), group
        assert found.estimate("c", group).value == pytest.approx(row["basic.n_coef"], rel=1e-5)


def test_quest_s_precision_law(published: Path) -> None:
    runs = pd.read_csv(published / "quest" / "runs.csv")
    full = (runs["w_bits"] == 16) & (runs["w_quant"] == "NoQuantizer")
    runs = runs[full | ((runs["w_quant"] == "HadamardTrustQuantizer") & runs["w_bits"].isin([2, 3, 4]))]
    found = fit("precision-collapsed", runs, {"n": "n_params", "y": "loss"}, Options(group=["w_bits"], reference="16"))
    assert round(found.estimate("alpha").value, 3) == 0.122
    assert round(found.estimate("E").value, 2) == 0.93
    four = found.estimate("rho", "4")
    assert round(four.value, 3) == 0.794
    assert round(found.estimate("rho", "3").value, 3) == 0.567
    assert round(found.estimate("rho", "2").value, 3) == 0.274
    assert four.low == pytest.approx(0.774, abs=0.015)
    assert four.high == pytest.approx(0.811, abs=0.015)


def test_quest_s_full_form_is_not_identifiable(published: Path) -> None:
    runs = pd.read_csv(published / "quest" / "runs.csv")
    runs = runs[runs["w_quant"].isin(["NoQuantizer", "HadamardTrustQuantizer"])]
    names = {"n": "n_params", "d": "n_tokens", "y": "loss"}
    found = fit("precision", runs, names, Options(group=["w_bits"], reference="16", resamples=50))
    assert {e.name for _, e in found.estimates if e.low is None} >= {"A", "alpha", "B", "beta", "rho"}


def test_planted_parameters_are_found_without_noise() -> None:
    found = fit("chinchilla", chinchilla_runs(sigma=0.0), options=Options(resamples=0))
    assert {e.name: e.value for _, e in found.estimates} == pytest.approx(CHINCHILLA, rel=1e-5)
    rho = fit("precision-collapsed", precision_runs(sigma=0.0), options=Options(group=["bits"], reference="16", resamples=0))
    assert [rho.estimate("rho", bits).value for bits in ("4", "2")] == pytest.approx([RHO["4"], RHO["2"]], rel=1e-4)
    x1, x2 = np.random.default_rng(0).uniform(1, 9, (2, 20))
    plane = fit("log-linear", {"x1": x1, "x2": x2, "y": 3 * x1**0.5 * x2**-1.5})
    assert {e.name: e.value for _, e in plane.estimates} == pytest.approx({"c": 3, "a": 0.5, "b": -1.5}, rel=1e-9)


def test_the_unit_of_a_column_changes_only_its_level() -> None:
    frame = chinchilla_runs()
    one, other = (
        fit("chinchilla", frame, options=FAST),
        fit("chinchilla", frame.assign(n=frame["n"] / 1e6, d=frame["d"] / 1e9), options=FAST),
    )
    assert other.parts[0].objective == pytest.approx(one.parts[0].objective, rel=1e-7)
    assert other.parts[0].condition == pytest.approx(one.parts[0].condition, rel=1e-3)
    for name in ("alpha", "beta", "E"):
        for side in ("value", "low", "high"):
            assert getattr(other.estimate(name), side) == pytest.approx(getattr(one.estimate(name), side), rel=1e-4)
    assert other.estimate("A").value == pytest.approx(one.estimate("A").value * 1e6 ** -one.estimate("alpha").value, rel=1e-3)


def test_the_order_of_rows_changes_nothing() -> None:
    frame = precision_runs()
    one, other = (fit("precision-collapsed", rows, options=BITS) for rows in (frame, frame.iloc[::-1]))
    for _, estimate in one.estimates:
        assert other.estimate(estimate.name, estimate.group).value == pytest.approx(estimate.value, rel=1e-5)


def test_published_values_as_a_start_are_left_for_the_optimum() -> None:
    # Fitted to other data, the published values are no optimum: mean-scaled losses with loose tolerances stop there all the same.
    frame = chinchilla_runs(seed=3)
    frame["y"] = frame["y"] * frame["n"] ** 0.01
    found = fit("chinchilla", frame, options=Options(starts=(CHINCHILLA,), resamples=0)).parts[0]
    alone = fit("chinchilla", frame, options=Options(resamples=0)).parts[0]
    assert found.converged
    assert found.objective == pytest.approx(alone.objective, rel=1e-9)
    assert found.objective < 0.5 * found.given[0]
    assert fit("chinchilla", frame, options=Options(resamples=0)).estimate("alpha").value != pytest.approx(0.34, abs=0.01)


def test_the_published_grid_is_all_4500_starts() -> None:
    found = fit("chinchilla", chinchilla_runs(points=12), options=Options(starts="published", resamples=0, delta=math.inf)).parts[0]
    assert found.starts > 4500
    assert found.reached > 500


def test_tokens_in_proportion_to_parameters_get_no_interval() -> None:
    found = fit("chinchilla", chinchilla_runs(ratio=20.0), options=FAST)
    assert {e.name for _, e in found.estimates if e.low is None} >= {"A", "alpha", "B", "beta"}
    assert "d moves with n" in found.estimate("alpha").reason
    assert "no_interval_because" in json.dumps(found.to_json())
    free = fit("chinchilla", chinchilla_runs(), options=FAST)
    assert all(e.low is not None and e.low < e.value < e.high for _, e in free.estimates)


def test_a_floor_that_is_not_there_gets_no_interval() -> None:
    x = np.logspace(6, 9, 20)
    y = 50 * x**-0.3 * np.exp(np.random.default_rng(2).normal(0, 0.01, 20)) * (1 - 0.02 * np.log(x / x[0]) / 7)
    found = fit("power-law-floor", {"x": x, "y": y}, options=FAST)
    assert found.estimate("E").low is None
    assert found.estimate("E").reason


def test_levels_that_rho_could_stand_for_get_no_interval() -> None:
    frame = pd.concat([precision_runs(seed=i).assign(optimizer=name) for i, name in enumerate(("adamw", "muon"))])
    wishes = Options(group=["optimizer", "bits"], reference="bits=16", resamples=100)
    found = fit("precision-collapsed", frame, options=wishes)
    assert found.shared == ["E", "alpha"]
    assert {(e.name, e.group) for _, e in found.estimates} == {
        ("A", "adamw"), ("A", "muon"), ("alpha", ""), ("E", ""),
        *(("rho", f"{name}/{bits}") for name in ("adamw", "muon") for bits in ("4", "2")),
    }  # fmt: skip
    assert all(e.low is not None for _, e in found.estimates)
    apart = fit("precision-collapsed", frame, options=Options(**{**vars(wishes), "separate": True}))
    assert [part.group for part in apart.parts] == ["adamw", "muon"]
    assert sum(part.objective for part in apart.parts) < found.parts[0].objective


def test_resamples_that_do_not_converge_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    real = bootstrap.resample

    def some_lost(*words: object, **named: object) -> Resamples:
        drawn = real(*words, **named)
        converged = drawn.converged.copy()
        converged[:lost] = False
        return replace(drawn, converged=converged)

    monkeypatch.setattr(bootstrap, "resample", some_lost)
    lost = 7
    few = fit("power-law-floor", chinchilla_runs().rename(columns={"n": "x"}), options=FAST)
    assert few.to_json()["fits"][0]["resamples_not_converged"] == 7
    assert few.estimate("alpha").low is not None
    lost = 20
    many = fit("power-law-floor", chinchilla_runs().rename(columns={"n": "x"}), options=FAST)
    assert many.estimate("alpha").low is None
    assert many.estimate("alpha").reason == "20 of 200 resamples did not converge"


def test_a_fit_without_a_degree_of_freedom_has_no_interval() -> None:
    found = fit("power-law", {"x": [1.0, 2.0], "y": [3.0, 4.0]})
    assert found.estimate("a").value == pytest.approx(math.log(4 / 3) / math.log(2))
    assert found.estimate("a").low is None


def test_least_squares_is_the_textbook_s() -> None:
    rng = np.random.default_rng(0)
    x = np.logspace(1, 4, 9)
    y = 2 * x**0.6 * np.exp(rng.normal(0, 0.1, 9))
    found = fit("power-law", {"x": x, "y": y}).estimate("a")
    line = stats.linregress(np.log(x), np.log(y))
    assert found.value == pytest.approx(line.slope, rel=1e-9)
    half = stats.t.ppf(0.975, 7) * line.stderr
    assert found.low == pytest.approx(line.slope - half, abs=0.5 * half)
    assert found.high == pytest.approx(line.slope + half, abs=0.5 * half)


@pytest.mark.parametrize(("law", "truth"), [("power-law", {"c": 2.0, "a": 0.6}), ("power-law-floor", {"A": 400, "alpha": 0.34, "E": 1.7})])
def test_intervals_cover_as_often_as_promised(law: str, truth: dict[str, float]) -> None:
    sets, x = 80, np.logspace(7, 10, 14)
    held = dict.fromkeys(truth, 0)
    for number in range(sets):
        rng = np.random.default_rng(number)
        mean = 2 * x**0.6 if law == "power-law" else 400 * x**-0.34 + 1.7
        found = fit(law, {"x": x, "y": mean * np.exp(rng.normal(0, 0.004, 14))}, options=Options(resamples=150, seed=number))
        for name, value in truth.items():
            estimate = found.estimate(name)
            held[name] += estimate.low <= value <= estimate.high
    low, high = stats.binom.interval(0.999, sets, 0.95)
    assert all(low <= count <= high for count in held.values()), held


def test_clusters_widen_what_dependent_errors_make_uncertain() -> None:
    rng = np.random.default_rng(0)
    x, seed = np.repeat(np.logspace(3, 6, 6), 5), np.tile(np.arange(5), 6)
    y = 2 * x**0.6 * np.exp(rng.normal(0, 0.2, 5)[seed] * np.log(x / 3e4) + rng.normal(0, 0.01, 30))
    runs, seeds = (fit("power-law", {"x": x, "y": y, "seed": seed}, options=Options(cluster=c)).estimate("a") for c in (None, "seed"))
    assert seeds.high - seeds.low > 1.5 * (runs.high - runs.low)
    assert seeds.low < 0.6 < seeds.high


def test_a_law_of_one_s_own() -> None:
    law = Law(
        name="two floors",
        summary="grows, then falls",
        columns=(Column("x", "steps"),),
        y=Column("y", "error"),
        terms=(Term("up", (Power("x", "p", 1),)), Term("down", (Power("x", "q", -1),))),
        meanings={"up": "level", "p": "exponent", "down": "level", "q": "exponent"},
    )
    x = np.logspace(-2, 2, 30)
    found = fit(law, {"x": x, "y": 0.5 * x**0.7 + 2 * x**-0.4}, options=Options(resamples=0))
    assert {e.name: e.value for _, e in found.estimates} == pytest.approx({"up": 0.5, "p": 0.7, "down": 2, "q": 0.4}, rel=1e-4)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"y": [3.0, -1.0, 2.0, 1.5]}, "table, row 2: column y is -1, which is not positive"),
        ({"y": [3.0, 2.5, math.nan, 1.5]}, "table, row 3: column y is empty or NaN"),
        ({"y": [3.0, 2.5, math.inf, 1.5]}, "table, row 3: column y is inf, which is not finite"),
        ({"x": ["30M", 60e6, 90e6, 120e6]}, "table, row 1: column x holds '30M', not a number beside numbers"),
        ({"x": [30.0, 60.0, 90e6, 120e6]}, "column x mixes units: row 1 and 1 more hold at most 60, row 3 and 1 more at least 9e+07"),
        ({"x": [5.0] * 4}, "column x is 5 in all 4 rows"),
        ({"y": [5.0] * 4}, "column y is 5 in all 4 rows"),
    ],
)
def test_bad_cells_are_named(change: dict[str, list[object]], says: str) -> None:
    frame = {"x": [30e6, 60e6, 90e6, 120e6], "y": [3.0, 2.5, 2.0, 1.5]} | change
    with pytest.raises(DataError) as caught:
        fit("power-law-floor", frame)
    assert says in str(caught.value)


def test_what_does_not_fit_the_law_is_named() -> None:
    frame = {"x": [1.0, 2.0, 3.0, 4.0], "y": [4.0, 3.0, 2.0, 1.0], "g": ["a", "a", "b", "b"]}
    with pytest.raises(DataError, match="table, a: 2 rows cannot determine the 3 parameters"):
        fit("power-law-floor", frame, options=Options(group=["g"]))
    with pytest.raises(UsageError, match="unknown column of table: 'loss'"):
        fit("power-law", frame, {"y": "loss"})
    with pytest.raises(UsageError, match="did you mean 'power-law'"):
        fit("powerlaw", frame)
    with pytest.raises(UsageError, match="x cannot be both x and y"):
        fit("power-law", frame, {"y": "x"})
    with pytest.raises(UsageError, match="unknown reference: '8'"):
        fit("precision-collapsed", precision_runs(), options=Options(group=["bits"], reference="8"))
    with pytest.raises(UsageError, match="families can share: 'alhpa'; did you mean 'alpha'"):
        fit("power-law-floor", frame, options=Options(group=["g"], share=["alhpa"]))


def test_an_exact_fit_has_criteria() -> None:
    for delta in (1e-3, math.inf):
        assert np.isfinite(selection.criteria(np.zeros(6), delta, 2)).all()


def test_every_parameter_has_a_meaning() -> None:
    for law in LAWS.values():
        assert set(law.meanings) >= set(law.parameters)
        assert all(column.meaning for column in (*law.columns, law.y))
