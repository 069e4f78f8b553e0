"""Many replicates at once: each is what its own frame gives, whatever ended badly in another one."""

from __future__ import annotations

import math
from statistics import fmean

import numpy as np
import pandas as pd
import pytest

from harness.estimates import (
    Combined,
    Curve,
    Difference,
    Estimate,
    Farthest,
    In,
    LogDistance,
    Magnitude,
    Mean,
    MeanOver,
    Of,
    OptimumShift,
    PowerTrend,
    RankCorrelation,
    RankTrend,
    Reading,
    Slope,
    interpolated,
    log2_optimum,
    log_log_slopes,
    rank_correlation,
    ratio,
    values_of,
)
from harness.sweeps import AtLargest, Chosen, Sweep
from harness.table import Table, best

SEEDS = 60
WIDTHS, RATES = (8, 16, 32, 64), (0.1, 0.2, 0.4, 0.8)
SWEEP = Sweep("lr", by=("val", "cost"), better=("lower", "higher"), ties="largest")
LOSS = Reading("train", "loss", sweep=SWEEP)


def seed_frames() -> list[pd.DataFrame]:
    """Positive numbers with ties; a trial in fifty diverged, one in fifty failed, one in fifty lacks a number."""
    random = np.random.default_rng(3)
    rows = [
        {"experiment": name, "method": method, "param.width": float(width), "param.lr": lr, "param.kind": "a" if width < 20 else None}
        for name in ("train", "time")
        for method in ("ours", "theirs")
        for width in WIDTHS
        for lr in RATES
    ]
    frames = []
    for seed in range(SEEDS):
        frame = pd.DataFrame(rows).assign(seed=seed, status="ok", **{"view.wide": [row["param.width"] > 10 for row in rows]})
        for metric in ("loss", "val", "cost"):
            frame[f"metric.{metric}"] = np.exp(random.normal(size=len(rows)).round(1))
        frame["metric.only"] = np.where(frame["experiment"] == "time", frame["metric.cost"] + seed, math.nan)
        ended = random.random(len(rows))
        frame.loc[ended < 0.02, "status"] = "diverged"
        frame.loc[ended > 0.98, "status"] = "failed"
        frame.loc[(ended > 0.5) & (ended < 0.52), "metric.val"] = math.nan
        frames.append(frame)
    return frames


FRAMES = seed_frames()
AT_TENTH = {"lr": 0.1}
ESTIMATES: dict[str, Estimate] = {
    "mean": In("train", Mean("loss")),
    "mean of an empty cell": In("train", Of("ours", Mean("loss", {"kind": None}))),
    "mean of nothing": In("train", Mean("loss", {"width": 9})),
    "reading": LOSS.of("ours"),
    "reading of a view": LOSS.at("wide").of("ours"),
    "logarithm": LOSS.log10().of("theirs"),
    "untuned": LOSS.untuned().of("ours"),
    "slope": In("train", Of("ours", Slope("loss", "width", AT_TENTH))),
    "shift": In("train", Of("ours", OptimumShift("loss", "lr", "width", {"kind": "a"}))),
    "difference": Difference(LOSS.of("ours"), LOSS.of("theirs")),
    "ratio": ratio("ours", "theirs", LOSS),
    "combined": Combined(fmean, (LOSS.of("ours"), Magnitude(LOSS.of("theirs")))),
    "distance": In("train", Of("ours", LogDistance(("loss", "val"), "width", AT_TENTH))),
    "curve": In("train", Curve("val", "loss", AT_TENTH, ends=((0.0, Of("theirs", Mean("loss", AT_TENTH))),)).of("ours", 1.0)),
    "curve of choices": In("train", Curve("val", "loss", target="width", sweep=SWEEP).of("ours", 0.4)),
    "ranks": In("train", Of("ours", RankCorrelation("loss", "cost", AT_TENTH))),
    "mean over": In("train", Of("ours", MeanOver("lr", Slope("loss", "width")))),
    "smallest": In("train", Of("ours", MeanOver("lr", Mean("loss"), only="smallest"))),
    "trend": In("train", Of("ours", RankTrend("width", LOSS))),
    "power": In("train", Of("ours", PowerTrend("width", LOSS))),
    "farthest": In("train", Of("ours", Farthest("loss", 0.5, 2.0, AT_TENTH))),
    "chosen": In("train", Of("ours", Chosen("lr", SWEEP))),
    "not swept": In("train", Of("ours", Chosen("lr", SWEEP, AT_TENTH))),
    "at the largest": In("train", Of("ours", AtLargest("loss", "lr"))),
    "another experiment's": In("train", Mean("only")),
    "a function of a frame": In("train", Of("ours", lambda frame: float(frame["metric.loss"].sum()))),
}
NEVER = {"mean of nothing", "not swept", "another experiment's"}


@pytest.mark.parametrize("name", ESTIMATES)
def test_replicates_do_not_see_each_other(name: str) -> None:
    together = values_of(ESTIMATES[name], Table.stacked(FRAMES))
    alone = [ESTIMATES[name](frame) for frame in FRAMES]
    assert together == pytest.approx(alone, rel=1e-12, nan_ok=True)
    numbers = np.isfinite(together).sum()
    assert numbers == 0 if name in NEVER else numbers > 3, "seeds with and without a number are compared"


def test_some_replicates_of_a_table() -> None:
    table = Table.stacked(FRAMES)
    some = table.of_replicates([7, 3])
    for name in ("reading", "a function of a frame"):
        assert values_of(ESTIMATES[name], some) == pytest.approx(values_of(ESTIMATES[name], table)[[7, 3]], nan_ok=True)


def test_a_bad_trial_has_no_number_in_any_estimate() -> None:
    for name, estimate in ESTIMATES.items():
        for bad in ("failed", "diverged"):
            ended = FRAMES[0].assign(status=bad)
            value = estimate(ended)
            assert math.isnan(value) or name == "a function of a frame", (name, bad)


def test_the_best_is_the_first_of_the_largest() -> None:
    yes, no = np.ones((1, 3), dtype=bool), np.zeros((1, 3), dtype=bool)
    first, second = np.array([[1.0, 2.0, 2.0]]), np.array([[9.0, 4.0, 5.0]])
    assert best(no, yes, [first]).tolist() == [1]
    assert best(no, yes, [first, second]).tolist() == [2]
    assert best(no, no, [first]).tolist() == [-1]
    assert best(np.array([[False, False, True]]), np.array([[True, True, False]]), [first]).tolist() == [1]
    assert best(no, np.array([[True, True, False]]), [first]).tolist() == [-1], "the missing one could be the best"
    assert best(no, yes, [np.array([[1.0, math.nan, 0.0]])]).tolist() == [-1]


def test_curves_of_known_values() -> None:
    x = np.array([1.0, 2.0, 4.0])
    assert log_log_slopes(x, np.stack([x**0.5, 3.0 / x, -x])) == pytest.approx([0.5, -1.0, math.nan], nan_ok=True)
    valleys = np.array([[4.0, 1.0, 4.0, 9.0], [9.0, 4.0, 1.0, math.inf], [1.0, 2.0, 3.0, 4.0]])
    assert log2_optimum(2.0 ** np.arange(4), valleys) == pytest.approx([1.0, 2.0, math.nan], nan_ok=True)
    assert interpolated([[1.0, 3.0, 3.0], [5.0, 1.0, 2.0]], [[0.0, 2.0, 4.0], [5.0, 1.0, 2.0]], [2.0, 5.0]).tolist() == [1.5, 5.0]
    random = np.random.default_rng(0)
    x, y, at = random.normal(size=(50, 6)), random.normal(size=(50, 6)), random.normal(size=50)
    oracle = [np.interp(a, u[o := np.argsort(u)], v[o], left=math.nan, right=math.nan) for u, v, a in zip(x, y, at, strict=True)]
    assert interpolated(x, y, at) == pytest.approx(oracle, nan_ok=True)


def test_ranks_against_scipy_and_one_is_one() -> None:
    from scipy.stats import spearmanr

    random = np.random.default_rng(1)
    x, y = random.integers(0, 5, size=(2, 40, 7))
    assert rank_correlation(x, y) == pytest.approx([spearmanr(u, v).statistic for u, v in zip(x, y, strict=True)], abs=1e-12)
    for n in range(3, 40):
        tied = np.sort(random.integers(0, n, size=n))
        if np.ptp(tied):
            assert rank_correlation(tied, tied**2) == 1.0
            assert rank_correlation(tied, -tied) == -1.0
