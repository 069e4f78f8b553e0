"""Which scheme makes the intervals, what it covers, and what is said of rows that are no runs or have errors of different size."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from harness.laws import Options, bootstrap, fit, render
from harness.laws.bootstrap import Resamples
from harness.laws.units import Units, units
from tests.calibration import laws as calibration
from tests.laws.conftest import chinchilla_runs, precision_runs

FAST = Options(resamples=200)


def ends(found: object, name: str) -> tuple[float, float]:
    estimate = found.estimate(name)
    return estimate.low, estimate.high


def test_chinchilla_s_alpha_has_the_interval_of_the_literature(published: Path) -> None:
    path = published / "chinchilla" / "runs.csv"
    if not path.exists():
        pytest.skip("the points of Chinchilla's figure are not on this machine")
    found = fit("chinchilla", pd.read_csv(path), {"y": "loss"})
    assert found.parts[0].objective == pytest.approx(0.00101827402, rel=1e-8)
    assert ends(found, "alpha") == pytest.approx((0.317, 0.374), abs=0.002)
    assert any("rows have errors of different size" in line for line in found.cautions)


def test_checkpoints_of_gemstones_are_said_and_its_runs_are_resampled(published: Path) -> None:
    path = published / "gemstones" / "runs.csv"
    if not path.exists():
        pytest.skip("the runs of Gemstones are not on this machine")
    runs = pd.read_csv(path)
    rows, by_run = (fit("chinchilla", runs, {"y": "loss"}, Options(cluster=c, resamples=300)) for c in (None, "run"))
    assert "770 rows are of 22 values of run" in rows.cautions[0]
    assert ends(rows, "alpha") == pytest.approx((0.246, 0.273), abs=0.004)
    low, high = ends(by_run, "alpha")
    assert low < 0.21
    assert high > 0.31
    assert not any("values of run" in line for line in by_run.cautions)


def test_what_is_drawn_follows_from_what_the_clusters_hold() -> None:
    x = {"n": np.repeat([1e7, 1e8, 1e9], 4), "d": np.tile([1e9, 2e9, 3e9, 4e9], 3)}
    assert units(x, None).kind == "rows"
    runs, seeds = units(x, [str(n) for n in x["n"]]), units({"x": np.tile([1.0, 2.0, 3.0], 4)}, list(np.repeat(list("abcd"), 3)))
    assert (runs.kind, runs.count, runs.codes.tolist()) == ("runs", 3, [0] * 4 + [1] * 4 + [2] * 4)
    assert (seeds.kind, seeds.count) == ("repetitions", 4)
    assert runs.at(np.arange(12) >= 4).codes.tolist() == [0] * 4 + [1] * 4


def test_the_heading_names_the_scheme() -> None:
    checkpoints = calibration.tables(calibration.DESIGNS["chinchilla, 22 runs of 7 checkpoints"], "by run", 1)[0]
    seeds = calibration.tables(calibration.DESIGNS["power law, 6 sizes of 5 seeds"], "by seed", 1)[0]
    for law, frame, options, says in (
        ("chinchilla", chinchilla_runs(), FAST, "95 % intervals by the bootstrap of rows (percentile)"),
        ("chinchilla", checkpoints, Options(cluster="run", resamples=50), "by the bootstrap of runs, all rows of one run together"),
        (
            "power-law",
            seeds,
            Options(cluster="seed", resamples=50),
            "by the wild bootstrap-t over repetitions, all rows of one seed together",
        ),
        ("chinchilla", chinchilla_runs(6), FAST, "by the bootstrap-t of residuals, taken as of one size"),
        ("chinchilla", chinchilla_runs(), Options(resamples=0), "; no intervals"),
    ):
        found = fit(law, frame, options=options)
        assert says in render.about(found)
        assert found.to_json()["fits"][0]["intervals_by"] == (found.parts[0].scheme or None)


def test_percentile_ends_are_stretched_to_student_s() -> None:
    normal = stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000)[:, None]
    drawn = Resamples("rows", normal, 3 + 2 * normal, None, np.ones(len(normal), dtype=bool))
    low, high = bootstrap.intervals(np.array([3.0]), np.array([math.nan]), drawn, 6, 8, 0.95)
    half = 2 * stats.t.ppf(0.975, 6) * math.sqrt(8 / 6)
    assert (low[0], high[0]) == pytest.approx((3 - half, 3 + half), rel=1e-3)


def test_only_residuals_within_delta_cost_degrees_of_freedom() -> None:
    frame = chinchilla_runs(40)
    for delta in (math.inf, 1e-3):
        part = fit("chinchilla", frame, options=Options(delta=delta, resamples=20)).parts[0]
        share = (np.abs(part.residuals) <= delta).mean()
        found = bootstrap.degrees_of_freedom(part.design.problem(delta), part.residuals, part.resamples, part.units)
        assert found == pytest.approx(40 - 5 * share)
    assert 0.05 < share < 0.6
    runs = Units("runs", np.repeat(np.arange(8), 5))
    assert bootstrap.degrees_of_freedom(part.design.problem(delta), part.residuals, part.resamples, runs) == 7


def test_no_draw_loses_a_parameter() -> None:
    frame = precision_runs().groupby("bits").head(3)
    found = fit("precision-collapsed", frame, options=Options(group=["bits"], reference="16", resamples=300))
    part = found.parts[0]
    slot = next(quantity.slot for quantity in part.design.quantities if quantity.label == "rho[2]")
    assert part.scheme == "rows"
    stayed = part.resamples.theta == part.theta
    assert (stayed[:, slot] == stayed.all(axis=1)).all(), "what a draw does not determine would stay where it was"


def planted(noise: str, number: int = 0, points: int = 60) -> pd.DataFrame:
    """A power law whose errors are larger at both ends, or all alike."""
    rng, x = np.random.default_rng(number), np.logspace(16, 19, points)
    z = np.linspace(-1.7, 1.7, points)
    return pd.DataFrame({"x": x, "y": x**0.7 * np.exp(0.1 * rng.normal(size=points) * np.exp(np.abs(z) if noise == "unlike" else 0))})


def test_robust_over_plain_errors_are_white_s() -> None:
    frame = planted("unlike", points=12)
    part = fit("power-law", frame, options=Options(resamples=0)).parts[0]
    ratios, chance = bootstrap.unlike_errors(part.design, math.inf, part.theta, np.random.default_rng(0))
    design = np.stack([np.ones(12), np.log(frame["x"])])
    inverse = np.linalg.inv(design @ design.T)
    residual = np.log(frame["y"].to_numpy()) - (inverse @ design @ np.log(frame["y"])) @ design
    white = inverse @ (design * residual**2) @ design.T @ inverse * 12 / 10
    plain = inverse * (residual**2).sum() / 10
    assert ratios == pytest.approx(np.sqrt(np.diagonal(white) / np.diagonal(plain)), rel=1e-6)
    assert chance.shape == (bootstrap.PERMUTATIONS, 2)


def test_errors_of_different_size_are_said_and_chance_is_not() -> None:
    said = {
        noise: [fit("power-law", planted(noise, i), options=Options(resamples=0)).cautions for i in range(30)]
        for noise in ("unlike", "alike")
    }
    assert sum(map(bool, said["unlike"])) >= 16
    assert sum(map(bool, said["alike"])) <= 3
    few = [fit("chinchilla", chinchilla_runs(60, seed=i), options=Options(resamples=0)).cautions for i in range(12)]
    assert sum(map(bool, few)) <= 2, "densities from a kernel are uncertain, and the ratio passes 1.3 by chance in most tables"
    assert "rows have errors of different size: the robust standard error of" in next(filter(None, said["unlike"]))[0]
    assert "the intervals" not in next(filter(None, said["unlike"]))[0], "there are none"
    assert "the intervals allow for that" in fit("power-law", planted("unlike", 1), options=FAST).cautions[0]


def test_rows_that_look_like_checkpoints_are_said() -> None:
    frame = calibration.tables(calibration.DESIGNS["chinchilla, 22 runs of 7 checkpoints"], "by run", 1)[0]
    none = Options(resamples=0)
    assert (
        fit("chinchilla", frame, options=none)
        .cautions[0]
        .startswith("154 rows are of 22 values of run: checkpoints of one run are no runs")
    )
    by_size = fit("chinchilla", frame.drop(columns="run"), options=none).cautions[0]
    assert by_size.startswith("154 rows share 22 values of n, with several of d each: if those are checkpoints of one run")
    assert by_size.endswith("--cluster n resamples runs")
    for name in ("run", "n"):
        assert not any("resamples runs" in line for line in fit("chinchilla", frame, options=Options(cluster=name, resamples=0)).cautions)
    for other in (chinchilla_runs(), chinchilla_runs().assign(run_name=range(60)), chinchilla_runs().assign(prune=1)):
        assert not any("resamples runs" in line for line in fit("chinchilla", other, options=none).cautions)
    few = frame[frame["run"] < 8]
    assert "8 values of run are few" in fit("chinchilla", few, options=Options(cluster="run", resamples=0)).cautions[0]


@pytest.mark.parametrize(
    ("design", "errors", "sets", "least"),
    [
        ("power law, 8 rows", "unlike", 80, 0.9),
        ("power law with floor, 16 rows", "unlike", 50, 0.88),
        ("chinchilla, 22 runs of 7 checkpoints", "by run", 8, 0.75),
    ],
)
def test_intervals_hold_what_is_planted(design: str, errors: str, sets: int, least: float) -> None:
    held = calibration.cover(design, errors, sets, 100)
    assert {name: of for name, (_, of) in held.items()} == dict.fromkeys(held, sets)
    assert all(count >= least * sets for count, _ in held.values()), held


def test_checkpoints_taken_for_rows_hold_too_seldom() -> None:
    held, of = calibration.cover("chinchilla, 22 runs taken for 154 rows", "by run", 16, 50)["alpha"]
    assert held <= 0.8 * of
