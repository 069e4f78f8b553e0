"""Rows that are equal are one measurement: they count once in every interval, and the output says how many they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.laws import LAWS, Options, bootstrap, fit
from harness.laws.design import Rows, build
from harness.laws.selection import compare
from harness.laws.units import Units
from tests.harness.conftest import Command, papertrial  # noqa: F401 - a fixture
from tests.laws.conftest import chinchilla_runs, precision_runs

FAST = Options(resamples=200)
FRAME = {"centres": {"x": 5.0}, "scales": {"x": 2.0}}
"""Coordinates of a design that do not follow its rows."""


def widths(found: pd.DataFrame, law: str = "chinchilla", options: Options = FAST) -> dict[str, float]:
    estimates = fit(law, found, options=options).estimates
    return {estimate.label: estimate.high - estimate.low for _, estimate in estimates if estimate.low is not None}


@pytest.mark.parametrize("copies", [2, 3])
def test_a_table_in_the_file_twice_gives_the_intervals_of_one(copies: int) -> None:
    frame = chinchilla_runs(20)
    assert widths(pd.concat([frame] * copies)) == widths(frame)
    one, several = (compare(fit("chinchilla", rows, options=Options(resamples=0))) for rows in (frame, pd.concat([frame] * copies)))
    assert [repr(score) for score in one] == [repr(score) for score in several]
    bits, shared = precision_runs(sigma=0.004), Options(group=["bits"], reference="16", resamples=200)
    assert widths(pd.concat([bits] * copies), "precision-collapsed", shared) == widths(bits, "precision-collapsed", shared)


def test_equal_rows_do_not_narrow_whatever_their_order_and_their_cluster() -> None:
    frame = chinchilla_runs(20).assign(seed=np.arange(20) % 5, run=range(20))
    twice = pd.concat([frame, frame.assign(run=range(20, 40))]).sample(frac=1, random_state=1)
    assert widths(twice)["alpha"] > 0.85 * widths(frame)["alpha"], "not 0.71 of it: what is left is the order of the draws"
    seeds = Options(cluster="seed", resamples=200)
    assert widths(pd.concat([frame, frame]), options=seeds) == widths(frame, options=seeds)
    found = fit("chinchilla", twice, options=Options(cluster="run", resamples=0))
    assert "20 rows equal one of another cluster in all that is fitted" in found.repeats[0]
    few = fit("power-law", pd.DataFrame({"x": [1, 1, 2, 2], "y": [3, 3, 4, 4]}))
    assert few.estimate("a").reason == "2 rows for 2 parameters leave no error to estimate"


def test_weights_are_those_of_a_weighted_regression() -> None:
    rng = np.random.default_rng(0)
    x, times = np.logspace(1, 4, 9), np.array([1, 3, 1, 1, 2, 1, 1, 1, 4])
    y = 2 * x**0.6 * np.exp(rng.normal(0, 0.1, 9))
    found = fit("power-law", {"x": np.repeat(x, times), "y": np.repeat(y, times)})
    design = np.stack([np.ones(9), np.log(x)])
    inverse = np.linalg.inv(design * times @ design.T)
    slope = inverse @ (design * times) @ np.log(y)
    assert found.estimate("a").value == pytest.approx(slope[1], rel=1e-9)
    residual = np.log(y) - slope @ design
    spread = inverse @ (design * times**2) @ design.T @ inverse * (residual**2).sum() / 7
    half = 2.3646 * np.sqrt(spread[1, 1])
    assert found.estimate("a").high >= slope[1] + half * (1 - 1e-4)
    assert found.estimate("a").high == pytest.approx(slope[1] + half, abs=0.5 * half)


@pytest.mark.parametrize("clustered", [False, True])
def test_a_row_of_weight_three_pulls_as_three_rows_of_one_cluster(clustered: bool) -> None:
    x, times = np.logspace(1, 4, 6), np.array([1, 3, 1, 2, 1, 4])
    y, cluster = 2 * x**0.6 * (1 + np.array([0.1, -0.2, 0.0, 0.3, 0.1, -0.1])), ["a", "b", "a", "c", "c", "b"]
    own = np.unique(cluster, return_inverse=True)[1] if clustered else np.arange(6)
    designs = []
    for index in (np.arange(6), np.repeat(np.arange(6), times)):
        labels = [""] * len(index)
        designs.append(
            build(LAWS["power-law"], Rows({"x": x[index]}, y[index], labels, labels, frozenset()), frozenset({"c", "a"}), **FRAME)
        )
    once, often = (design.problem(np.inf) for design in designs)
    theta = np.array([[2.0, 0.5]])
    many = np.repeat(own, times)
    found = bootstrap.covariance(once, theta, designs[0].log_y, times.astype(float), Units("runs", own))
    np.testing.assert_allclose(found, bootstrap.covariance(often, theta, designs[1].log_y, np.ones(12), Units("runs", many)))


def test_equal_rows_are_said(papertrial: Command) -> None:  # noqa: F811
    frame = pd.concat([chinchilla_runs(20)] * 2)
    frame.to_csv("twice.csv", index=False)
    said = papertrial("fit", "chinchilla", "twice.csv", "--resamples", "0", "--json", "fit.json", "--markdown", "fit.md")
    sentence = "20 of 40 rows equal another in all that is fitted (row 21 is row 1 again): intervals count equal rows once"
    assert (said.code, sentence in said.out, sentence in Path("fit.md").read_text()) == (0, True, True)
    found = json.loads(Path("fit.json").read_text())
    assert (found["repeats"], found["fits"][0]["rows"], found["fits"][0]["different_rows"]) == ([sentence], 40, 20)
    pd.DataFrame({"flops": [1, 10, 10, 100], "y": [0.5, 0.7, 0.7, 0.8]}).to_csv("front.csv", index=False)
    assert "1 of 4 rows equal another in flops, y (such as row 3)" in papertrial("fit", "pareto", "front.csv").out
