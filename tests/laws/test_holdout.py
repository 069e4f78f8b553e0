"""Rows that a law is not fitted to, and how well it predicts them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.errors import UsageError
from harness.laws import Options, fit, holdout
from harness.laws.facts import number
from harness.laws.selection import compare
from tests.harness.conftest import Command, papertrial  # noqa: F401 - a fixture
from tests.laws.conftest import chinchilla_runs

NONE = Options(resamples=0)


def bent(points: int = 20) -> pd.DataFrame:
    """A power law with a little noise, whose last five rows lie 10 % above it."""
    x = np.logspace(1, 5, points)
    y = 3 * x**0.4 * np.exp(np.random.default_rng(1).normal(0, 0.01, points))
    y[-5:] *= 1.1
    return pd.DataFrame({"x": x, "y": y})


def test_the_score_is_that_of_a_line_through_the_other_rows() -> None:
    frame = bent()
    x, y = np.log(frame["x"]), np.log(frame["y"])
    slope, level = np.polyfit(x[:15], y[:15], 1)
    missed = y[15:] - level - slope * x[15:]
    (score,) = compare(fit("power-law", frame, options=Options(resamples=300)), 0.25)
    assert score.held_out.rows == 5
    assert score.held_out.bias == pytest.approx(missed.mean(), rel=1e-6)
    assert score.held_out.rms == pytest.approx(float(np.sqrt((missed**2).mean())), rel=1e-6)
    assert score.held_out.bias > 0.05
    assert score.held_out.covered == 0.0, "they lie ten standard deviations off"
    (fair,) = compare(fit("power-law", frame[:15], options=Options(resamples=300)), 0.34)
    assert (fair.held_out.rows, fair.held_out.covered) == (6, 1.0)
    assert math.isnan(compare(fit("power-law", frame, options=NONE))[0].held_out.covered), "no resamples, no interval"


def test_a_run_is_left_out_as_a_whole() -> None:
    rng = np.random.default_rng(0)
    code = np.repeat(np.arange(6), 4)
    x1, x2 = 10.0**code, np.tile([1.0, 3.0, 9.0, 27.0], 6)
    frame = pd.DataFrame({"x1": x1, "x2": x2, "run": code, "y": 2 * x1**0.3 * x2**0.5 * np.exp(rng.normal(0, 0.1, 6)[code])})
    design = np.stack([np.ones(24), np.log(x1), np.log(x2)], axis=1)
    for cluster, groups in ((None, np.arange(24)), ("run", code)):
        missed = []
        for group in np.unique(groups):
            rest = groups != group
            line = np.linalg.lstsq(design[rest], np.log(frame["y"][rest]), rcond=None)[0]
            missed.append(np.log(frame["y"][~rest]) - design[~rest] @ line)
        (score, *_) = compare(fit("log-linear", frame, options=Options(cluster=cluster, resamples=0)))
        assert score.left_out == pytest.approx(float(np.sqrt(np.mean(np.concatenate(missed) ** 2))), rel=1e-6)
        assert score.left_out_unit == ("run" if cluster else "row")


def test_held_out_rows_are_in_their_intervals_as_often_as_promised() -> None:
    inside = []
    for seed in range(6):
        part = fit("chinchilla", chinchilla_runs(40, seed=seed), options=NONE).parts[0]
        some = np.isin(np.arange(40), np.random.default_rng(seed).choice(40, 10, replace=False))
        inside.append(holdout.score(part, part.design, some, 100, 0.95, seed).covered)
    assert 0.88 <= np.mean(inside) <= 0.99, inside


def test_compute_is_n_times_d_and_runs_and_ties_are_held_out_together() -> None:
    frame = pd.DataFrame({"n": np.repeat([1e7, 2e7, 4e7, 8e7], 3), "d": np.tile([1e9, 3e9, 40e9], 4), "run": np.repeat(list("abcd"), 3)})
    frame["y"] = chinchilla_value(frame)
    rows, runs = (fit("chinchilla", frame, options=Options(cluster=c, resamples=0)).parts[0] for c in (None, "run"))
    assert holdout.held_rows(rows, 0.3).nonzero()[0].tolist() == [2, 5, 8, 11]
    assert holdout.held_rows(rows, 0.01).sum() == 2, "one row is no score"
    assert holdout.held_rows(runs, 0.5).nonzero()[0].tolist() == [6, 7, 8, 9, 10, 11]
    tied = pd.DataFrame({"x": np.repeat([1.0, 2.0, 3.0, 4.0], 3), "y": np.arange(1.0, 13)})
    assert holdout.held_rows(fit("power-law", tied, options=NONE).parts[0], 0.2).sum() == 3
    assert holdout.held_rows(rows, frozenset({1, 12})).nonzero()[0].tolist() == [0, 11]


def chinchilla_value(frame: pd.DataFrame) -> pd.Series[float]:
    return 406.4 * frame["n"] ** -0.34 + 410.7 * frame["d"] ** -0.28 + 1.69


def test_one_row_and_rows_that_leave_the_law_open_are_no_score() -> None:
    part = fit("chinchilla", chinchilla_runs(20), options=NONE).parts[0]
    one, none, most = (np.arange(20) < count for count in (1, 0, 16))
    for held, reason in (
        (one, "a single row is no score"),
        (none, "no row is held out"),
        (most, "the other rows do not determine the law"),
    ):
        found = holdout.score(part, part.design, held, 0, 0.95, 0)
        assert found.reason == reason
        assert math.isnan(found.rms)
        assert found.to_json()["no_score_because"] == reason


def test_optima_of_one_objective_that_predict_apart_are_no_score() -> None:
    # Tokens in proportion to parameters: the terms of A and B change places, and only rows of another proportion tell.
    rng = np.random.default_rng(0)
    n = np.concatenate([np.logspace(7, 9, 20), np.logspace(9.1, 9.5, 6)])
    frame = pd.DataFrame({"n": n, "d": 20 * n * np.where(np.arange(26) < 20, 1.0, 50.0)})
    frame["y"] = chinchilla_value(frame) * np.exp(rng.normal(0, 0.002, 26))
    part = fit("chinchilla", frame, options=NONE).parts[0]
    found = holdout.score(part, part.design, np.arange(26) >= 20, 0, 0.95, 0)
    assert found.reason.startswith("optima of one objective miss them by"), "a refit from the optimum of all rows would stay near it"
    assert math.isnan(found.rms)


def test_the_choice_of_rows_is_read_as_where_reads_it() -> None:
    frame = number(pd.DataFrame({"n": [1e6, 1e7, 1e8], "corpus": ["a", "b", "b"], "y": [3.0, 2.0, 1.0]}))
    assert holdout.parse("0.3", frame, "t") == 0.3
    assert holdout.parse("n>=1e7", frame, "t") == {2, 3}
    assert holdout.parse("n <= 1e6", frame, "t") == {1}
    assert holdout.parse("corpus=b", frame, "t") == {2, 3}
    for text, says in (
        ("1.5", "a share between 0 and 1"),
        ("0", "a share between 0 and 1"),
        ("corpus", "a share between 0 and 1"),
        ("n>=big", "--holdout n>= takes a number"),
        ("n>=1e9", "holds no row out"),
        ("m>=1", "unknown column of t: 'm'"),
        ("corpus=c", "unknown value of column corpus"),
    ):
        with pytest.raises(UsageError, match=says):
            holdout.parse(text, frame, "t")


def test_the_command_holds_out_and_says_so(papertrial: Command) -> None:  # noqa: F811
    bent().to_csv("t.csv", index=False)
    words = ["fit", "power-law", "t.csv", "--compare", "--resamples", "100", "--json", "fit.json", "--markdown", "fit.md"]
    said = papertrial(*words, "--holdout", "x>=5e3")
    assert said.code == 0, said.err
    (score,) = json.loads(Path("fit.json").read_text())["comparison"]
    assert (score["held_out"]["rows"], score["held_out"]["covered"]) == (7, pytest.approx(2 / 7))
    assert "| held-out rows | bias | rms | in their interval |" in Path("fit.md").read_text()
    said = papertrial(*words, "--holdout", "x>=9e4")
    assert (said.code, "no held-out score for power-law: a single row is no score" in said.out) == (0, True)
    assert "no held-out score for power-law: a single row is no score" in Path("fit.md").read_text()
    assert "no_score_because" in Path("fit.json").read_text()
    said = papertrial("fit", "power-law", "t.csv", "--holdout", "0.2")
    assert (said.code, "--holdout is for --compare" in said.err) == (2, True)
    said = papertrial(*words, "--holdout", "2")
    assert (said.code, "--holdout takes a share between 0 and 1" in said.err) == (2, True)
