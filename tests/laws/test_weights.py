"""Rows that weigh differently: weighted least squares by hand, published weighted exponents, and what errors in the table are for."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.errors import DataError, UsageError
from harness.laws import LAWS, Options, fit, starts
from harness.laws.design import Rows, build
from tests.harness.conftest import Command, papertrial  # noqa: F401 - a fixture
from tests.laws.conftest import chinchilla_runs


def uneven_runs(seed: int = 0) -> pd.DataFrame:
    """A power law whose small runs are ten times as noisy as its large ones; `sd` is the standard error of y."""
    rng, x = np.random.default_rng(seed), np.logspace(1, 4, 20)
    log_sd = np.logspace(-1, -2, 20)
    y = 2 * x**0.6 * np.exp(log_sd * rng.normal(size=20))
    return pd.DataFrame({"x": x, "y": y, "sd": log_sd * y, "w": 7 / log_sd**2})


def test_errors_and_weights_are_weighted_least_squares() -> None:
    frame = uneven_runs()
    slope, level = np.polyfit(np.log(frame["x"]), np.log(frame["y"]), 1, w=np.sqrt(frame["w"]))
    for wishes in ({"errors": "sd"}, {"weights": "w"}, {"weights": "1/(sd/y)**2"}):
        found = fit("power-law", frame, options=Options(resamples=200, **wishes))
        assert found.estimate("a").value == pytest.approx(slope, rel=1e-9)
        assert found.estimate("c").value == pytest.approx(math.exp(level), rel=1e-9)
    equal = fit("power-law", frame, options=Options(resamples=200))
    assert equal.estimate("a").value != pytest.approx(slope, rel=1e-4)
    inverse = np.linalg.inv(
        sum(w * np.outer(r, r) for w, r in zip(frame["w"], np.stack([np.log(frame["x"]), np.ones(20)], 1), strict=True))
    )
    left = np.log(frame["y"]) - level - slope * np.log(frame["x"])
    error = math.sqrt(inverse[0, 0] * float((frame["w"] * left**2).sum()) / 18)
    a = found.estimate("a")
    # Twenty rows drawn anew scatter by a quarter around the textbook's standard error.
    assert (a.high - a.low) / 2 == pytest.approx(2.1 * error, rel=0.35)


def test_the_unit_of_weights_and_errors_changes_nothing_but_what_is_said() -> None:
    frame = uneven_runs()
    one, other = (fit("power-law", frame.assign(sd=frame["sd"] * by), options=Options(resamples=100, errors="sd")) for by in (1, 50))
    a, b = one.estimate("a"), other.estimate("a")
    assert (a.value, a.low, a.high) == pytest.approx((b.value, b.low, b.high), rel=1e-9)
    said = one.parts[0].over_stated
    assert 0.6 < said < 1.5
    assert other.parts[0].over_stated == pytest.approx(said / 50)
    assert fit("power-law", frame, options=Options(resamples=0, weights="w")).parts[0].over_stated is None


def test_equal_errors_are_no_errors() -> None:
    frame = chinchilla_runs(points=20)
    plain, same = (fit("chinchilla", frame.assign(w=3.0), options=Options(resamples=60, weights=w)) for w in (None, "w"))
    for name in ("A", "alpha", "B", "beta", "E"):
        assert same.estimate(name).low == pytest.approx(plain.estimate(name).low, rel=1e-6)


def test_the_best_levels_of_a_start_are_those_of_the_table_s_unit() -> None:
    frame = chinchilla_runs(points=20, sigma=0.0)
    x = {name: frame[name].to_numpy() for name in ("n", "d")}
    rows = Rows(x, frame["y"].to_numpy(), [""] * 20, [""] * 20, frozenset(), np.linspace(0.3, 3, 20))
    design = build(LAWS["chinchilla"], rows, frozenset(LAWS["chinchilla"].parameters))
    start = design.start({"A": 0.0, "alpha": 0.34, "B": 0.0, "beta": 0.28, "E": 0.0})
    found = starts.project(design, start[None])
    assert [math.exp(one.fitted(found)[0]) for one in design.quantities if one.logarithmic] == pytest.approx([406.4, 410.7, 1.69], rel=1e-6)


def test_porian_s_weighted_exponents_to_four_decimals(published: Path) -> None:
    key = ["source", "dataset", "hparams", "warmup", "decay", "param_count", "split"]
    optima = pd.read_csv(published / "porian" / "isoflop_optima.csv")
    wishes = Options(group=key, skip_empty=True, resamples=0, errors="n_star*n_star_log_std")
    found = fit("power-law", optima, {"x": "flops", "y": "n_star"}, wishes)
    theirs = pd.read_csv(published / "porian" / "published_fits.csv")
    for _, row in theirs.iterrows():
        assert found.estimate("a", "/".join(row[key])).value == pytest.approx(row["weighted.n_exponent"], abs=5e-5)


def test_what_cannot_weigh_is_named(papertrial: Command) -> None:  # noqa: F811
    frame = uneven_runs()
    with pytest.raises(UsageError, match="say the same thing twice"):
        fit("power-law", frame, options=Options(weights="w", errors="sd"))
    with pytest.raises(DataError, match="row 3: column w is 0, which is not positive"):
        fit("power-law", frame.assign(w=[1, 1, 0, *[1] * 17]), options=Options(weights="w"))
    frame.to_csv("runs.csv", index=False)
    said = papertrial("fit", "power-law", "runs.csv", "--errors", "sd", "--resamples", "50")
    assert (said.code, "rows weigh by errors sd" in said.out, "times the errors that the table states" in said.out) == (0, True, True)
    said = papertrial("fit", "power-law", "runs.csv", "--weights", "sd2")
    assert (said.code, "unknown column of runs.csv: 'sd2'; did you mean 'sd'" in said.err) == (2, True), said.err
