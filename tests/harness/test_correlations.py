"""Correlations over methods: known intervals, coverage by simulation, and verdicts that more seeds alone do not decide."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.bounds import CORRELATION
from harness.correlations import Correlation, CorrelationGap
from harness.fisher import correlation_interval, gap_interval
from harness.plan import TrialSpec
from harness.report.verdicts import verdicts_csv
from harness.tally import lines
from harness.task import Above, Claim, Method, Metric
from harness.verdict import Verdict
from tests.harness.fabricated import experiment_of, noise, study_of, task_of, verdicts_of

TRAIN = experiment_of(metrics=[Metric(name, "", "none") for name in ("x", "other", "y")])
X, OTHER, Y = (TRAIN[name] for name in ("x", "other", "y"))
LINE = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])


def seeds(points: Any, count: int = 5) -> Any:
    """The same points in every seed: no variance over seeds."""
    return np.repeat(np.asarray(points, dtype=float)[None], count, axis=0)


def test_the_interval_of_six_points_is_fishers() -> None:
    points = np.stack([LINE, [2.0, 1.0, 4.0, 3.0, 6.0, 5.0]], axis=-1)
    found = correlation_interval(seeds(points), 0.95)
    # r = 1 - 6 * 6 / (6 * 35) = 0.8286; z = 1.1838; 1.96 / sqrt(3) = 1.1316.
    assert (found.estimate, found.low, found.high, found.n) == pytest.approx((0.82857, 0.0522, 0.9807, 6), abs=1e-3)
    ranked = correlation_interval(seeds(points), 0.95, ranked=True)
    assert (ranked.low, ranked.high) == pytest.approx((math.tanh(1.1838 - 1.3114), math.tanh(1.1838 + 1.3114)), abs=1e-3)


def test_seeds_widen_an_interval_and_never_take_the_methods_out_of_it() -> None:
    rng = np.random.default_rng(0)
    true = np.stack([LINE, LINE + rng.normal(size=6)], axis=-1)
    widths = [np.ptp(np.arctanh(_ends(correlation_interval(true + 0.8 * rng.normal(size=(n, 6, 2)), 0.95)))) for n in (3, 300)]
    assert widths[0] > widths[1] > 2 * 1.96 / math.sqrt(3)
    assert widths[1] == pytest.approx(2 * 1.96 / math.sqrt(3), rel=0.02)


def test_the_variance_over_seeds_is_that_of_the_mean() -> None:
    # Many methods, few seeds: what is left is the noise of the points, whose variance in z falls as 1 / seeds.
    rng = np.random.default_rng(1)
    true = rng.normal(size=(400, 2)) @ np.array([[1.0, 0.6], [0.0, 0.8]])
    draws = [true + np.array([0.0, 0.4]) * rng.normal(size=(8, 400, 2)) for _ in range(150)]
    spread = np.std([np.arctanh(correlation_interval(d, 0.95).estimate) for d in draws])
    half = [np.ptp(np.arctanh(_ends(correlation_interval(d, 0.95)))) / 2 / 1.96 for d in draws]
    assert np.mean([math.sqrt(max(h**2 - 1 / 397, 0.0)) for h in half]) == pytest.approx(spread, rel=0.15)


def _ends(interval: Any) -> list[float]:
    return [interval.low, interval.high]


@pytest.mark.parametrize(("rho", "ranked"), [(0.0, False), (0.9, False), (0.5, True), (0.9, True)])
def test_coverage_with_six_methods(rho: float, ranked: bool) -> None:
    rng, hits, runs = np.random.default_rng(3), 0, 500
    target = 6 / math.pi * math.asin(rho / 2) if ranked else rho
    for _ in range(runs):
        points = rng.normal(size=(6, 2)) @ np.array([[1.0, rho], [0.0, math.sqrt(1 - rho**2)]])
        found = correlation_interval(points + 0.05 * rng.normal(size=(3, 6, 2)), 0.95, ranked=ranked)
        hits += found.low <= target <= found.high
    # Three standard errors of 500 draws are 2.9 points; where ranks agree in every pair the interval is careful.
    assert 0.921 < hits / runs < (1.0 if ranked else 0.979)


@pytest.mark.parametrize("shared", [(0.5, 0.5, 0.5), (0.6, 0.9, 0.5)])
def test_coverage_of_a_difference_of_two_correlations(shared: tuple[float, float, float]) -> None:
    between, first, second = shared
    mixing = np.linalg.cholesky(np.array([[1, between, first], [between, 1, second], [first, second, 1]])).T
    rng, hits, runs = np.random.default_rng(4), 0, 600
    for _ in range(runs):
        found = gap_interval(rng.normal(size=(6, 3)) @ mixing + 0.05 * rng.normal(size=(3, 6, 3)), 0.95)
        hits += found.low <= first - second <= found.high
    assert 0.923 < hits / runs < 0.99


def test_two_copies_of_one_number_go_with_the_third_alike() -> None:
    x, y = np.array([1.0, 1, 1, 1, -1, -1, -1, -1]), np.array([1.0, 1, -1, -1, 1, 1, -1, -1])
    found = gap_interval(seeds(np.stack([x, x, y], axis=-1)), 0.95)
    assert (found.estimate, found.low, found.high) == pytest.approx((0.0, 0.0, 0.0), abs=1e-6)


def test_zous_interval_when_the_two_have_nothing_in_common() -> None:
    # Both correlations 0 and the two numbers uncorrelated: c = 0, and the interval is that of two independent z.
    plus, minus = np.array([1.0, 1, 1, 1, -1, -1, -1, -1]), np.array([1.0, 1, -1, -1, 1, 1, -1, -1])
    found = gap_interval(seeds(np.stack([plus, minus, np.tile([1.0, -1.0], 4)], axis=-1)), 0.95)
    end = math.sqrt(2) * math.tanh(1.96 / math.sqrt(5))
    assert (found.estimate, found.low, found.high) == pytest.approx((0.0, -end, end), abs=1e-3)


def test_the_published_example_of_two_correlations_that_share_a_variable() -> None:
    # Zou (2007): r = .396 and .179 with one variable, .088 between the two, n = 66: [-.093, .517].
    plain = np.random.default_rng(7).normal(size=(66, 3))
    white, _ = np.linalg.qr(plain - plain.mean(axis=0))
    mixing = np.linalg.cholesky(np.array([[1, 0.088, 0.396], [0.088, 1, 0.179], [0.396, 0.179, 1]])).T
    found = gap_interval(seeds(white @ mixing), 0.95)
    assert (found.estimate, found.low, found.high) == pytest.approx((0.217, -0.093, 0.517), abs=6e-4)


def test_three_methods_or_one_seed_have_no_interval() -> None:
    rng = np.random.default_rng(6)
    for shape in ((5, 3, 3), (1, 6, 3)):
        points = rng.normal(size=shape)
        for found in (correlation_interval(points[..., :2], 0.95), gap_interval(points, 0.95)):
            assert (found.low, found.high) == (-math.inf, math.inf)


def test_correlations_in_one_seed() -> None:
    x = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0, "e": 10.0}
    rows = [{"experiment": "train", "method": m, "status": "ok", "metric.x": v, "metric.other": -v, "metric.y": v**3} for m, v in x.items()]
    frame = pd.DataFrame([*rows, {"experiment": "elsewhere", "method": "f", "status": "ok"}])
    pearson = float(pd.Series(x).corr(pd.Series(x) ** 3))
    assert Correlation(X, Y)(frame) == pytest.approx(pearson)
    assert Correlation(X, Y, ranked=True)(frame) == pytest.approx(1.0)
    assert CorrelationGap(X, OTHER, Y)(frame) == pytest.approx(2 * pearson)
    assert math.isnan(Correlation(X, Y)(frame[frame["method"].isin(["a", "b", "c"])]))
    assert math.isnan(Correlation(X, Y)(frame.assign(status=["diverged", *["ok"] * 5])))


def judged(folder: Path, outcome: Any, *, seeds: int) -> dict[str, Verdict]:
    about: Any = {"statement": "", "source": "", "null": 0.0}
    claims = [
        Claim(id="r", estimate=Correlation(X, Y), holds=Above(0.0), bounds=CORRELATION, **about),
        Claim(id="gap", estimate=CorrelationGap(X, OTHER, Y), holds=Above(0.0), **about),
    ]
    task = task_of(experiment=TRAIN, methods=[Method(f"m{i}", "rival") for i in range(6)], claims=claims)
    return {v.claim: v for v in verdicts_of(study_of(folder, task, outcome, seeds=seeds))}


def test_a_correlation_over_six_methods_is_not_decided_by_more_seeds(tmp_path: Path) -> None:
    def outcome(trial: TrialSpec, scatter: float) -> dict[str, float]:
        place = int(trial.method[1:])
        y = place + scatter * (-1) ** place
        return {"x": place + 0.1 * noise(trial), "other": [3, 1, 4, 1, 5, 9][place] * 1.0, "y": y}

    loose = judged(tmp_path, lambda trial: outcome(trial, 1.5), seeds=12)
    assert (loose["r"].interval.n, loose["r"].n) == (6, 12)
    assert {line.n for line in lines(verdicts_csv([*loose.values()]))} == {12}, "a table's n are seeds"
    assert loose["r"].interval.estimate == pytest.approx(0.67, abs=0.05)
    assert loose["r"].verdict == "inconclusive"
    assert "over 6 of what is compared, not over seeds. More seeds alone do not decide" in loose["r"].reason
    tight = judged(tmp_path, lambda trial: outcome(trial, 0.1), seeds=5)
    assert tight["r"].verdict == "reproduced"
    assert 0 < tight["r"].p < 0.05
    assert tight["gap"].interval.low > -1 < tight["gap"].interval.high
