"""Aggregates over cells against closed forms, and how often their intervals hold the truth."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from harness.aggregates import MANY, Aggregate, aggregate, bootstrapped, improvement, interquartile_mean, merit, performance_profile
from harness.bounds import SHARE
from harness.estimates import Mean
from harness.evidence import Evidence
from harness.leaderboard import boards
from harness.plan import TrialSpec
from harness.sweeps import Sweep
from harness.task import Grid, Method, Metric, Statistic
from tests.harness.fabricated import noise, study_of, task_of

WHOLE = np.arange(4)[None]


def test_the_interquartile_mean_is_that_of_the_middle_half() -> None:
    rng = np.random.default_rng(0)
    scores = rng.permutation(np.arange(8.0)).reshape(2, 4)
    assert interquartile_mean(scores[:, WHOLE]) == pytest.approx([3.5]), "2 to 5"
    heavy = rng.standard_cauchy(size=(5, 9))
    assert float(interquartile_mean(heavy)) == pytest.approx(stats.trim_mean(heavy.ravel(), 0.25))
    many = rng.normal(size=(3, 50, 4))
    assert interquartile_mean(many)[7] == pytest.approx(stats.trim_mean(many[:, 7].ravel(), 0.25)), "draws stay apart"


def test_the_probability_of_improvement_is_mann_whitneys() -> None:
    merits = np.array([[[1.0, 2, 3, 4]], [[0, 2, 2, 5]], [[9, 9, 9, 9]]])
    u = stats.mannwhitneyu(merits[0, 0], merits[1, 0]).statistic / 16
    assert improvement(merits[:2], 0, WHOLE) == pytest.approx([u])
    assert improvement(merits[:2], 1, WHOLE) == pytest.approx([1 - u])
    assert improvement(merits, 2, WHOLE) == pytest.approx([1.0])
    assert improvement(merits, 0, WHOLE) == pytest.approx([u / 2]), "the mean over the others"
    drawn = np.array([[3, 3, 0, 0]])
    assert improvement(merits[:2], 0, drawn) == pytest.approx([stats.mannwhitneyu([4, 4, 1, 1], [5, 5, 0, 0]).statistic / 16])


def test_normal_scores_improve_with_their_computed_probability() -> None:
    merits = np.random.default_rng(1).normal(size=(2, 50, 100)) + np.array([1.0, 0.0])[:, None, None]
    assert improvement(merits, 0, np.arange(100)[None])[0] == pytest.approx(stats.norm.cdf(1 / np.sqrt(2)), abs=0.02)


def test_a_profile_counts_the_runs_that_reach_a_threshold() -> None:
    assert performance_profile(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.0, 2.0, 4.0, 5.0])).tolist() == [1.0, 0.75, 0.25, 0.0]


def test_merits_are_larger_where_scores_are_better() -> None:
    scores = np.array([-3.0, 1.0, 2.0])
    assert [int(merit(scores, better).argmax()) for better in ("lower", "higher", "zero")] == [0, 2, 1]


@pytest.mark.parametrize("shared", [0.0, 1.0])
def test_intervals_hold_the_truth_also_where_cells_share_their_seeds(shared: float) -> None:
    # 5 seeds, 6 cells, 200 studies: .95 less three standard errors. Drawing each cell by itself covers .62 where a seed moves them all.
    rng = np.random.default_rng(2)
    noise = rng.normal(size=(200, 6, 5)) + shared * rng.normal(size=(200, 1, 5))
    found = [bootstrapped(lambda draws, own=own: interquartile_mean(own[:, draws]), 5) for own in noise]  # type: ignore[misc]
    assert 0.90 <= np.mean([interval.low <= 0.0 <= interval.high for interval in found]) < 0.995


def test_the_interval_of_a_mean_is_students() -> None:
    seeds = np.array([1.0, 2.0, 4.0, 8.0])
    found = bootstrapped(lambda draws: seeds[draws].mean(axis=-1), 4)
    half = stats.t.ppf(0.975, 3) * seeds.std(ddof=1) / 2
    assert (found.estimate, found.n) == (3.75, 4)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.04), "4,000 draws: 1.1 % standard error"


def test_a_probability_stays_one() -> None:
    merits = np.array([[[0.0, 2, 4]], [[-1.0, 1, 3]]])
    found = bootstrapped(partial(improvement, merits, 0), 3, SHARE)
    assert found.estimate == pytest.approx(6 / 9)
    assert 0.0 < found.low < found.estimate < found.high == 1.0


GRID = {"width": [8, 16, 32, 64]}


def found_in(folder: Path, outcome: Any = None, **changes: Any) -> Aggregate | None:
    methods = [Method("left", "baseline"), Method("right", "proposed"), Method("twin", "control")]
    task = task_of(**({"methods": methods, "grids": lambda train: [Grid(train, axes=GRID)]} | changes))
    evidence = Evidence(study_of(folder, task, outcome or level), task, "laptop")
    (board,) = boards(evidence)
    return aggregate(evidence, board)


def level(trial: TrialSpec) -> dict[str, float]:
    return {"loss": trial.params["width"] + {"left": 0.5, "right": 0.0, "twin": -9.0}[trial.method] + 0.01 * noise(trial)}


def test_contenders_are_summed_up_over_the_cells_that_all_have(tmp_path: Path) -> None:
    found = found_in(
        tmp_path,
        grids=lambda train: [Grid(train, axes=GRID, view="all"), Grid(train, points=[{"width": 1}], methods=["right"], view="own")],
    )
    assert found is not None
    assert (found.metric, found.unit, found.cells, found.seeds) == ("loss", "nats", 4, 5)
    assert [(own.method, own.improvement.estimate) for own in found.summaries] == [("right", 1.0), ("left", 0.0)], "a control is none"
    # Of 20 runs the middle ten are those at widths 16 and 32.
    assert [own.iqm.estimate for own in found.summaries] == pytest.approx([24.0, 24.5], abs=0.02)
    assert found.thresholds[0] > found.thresholds[-1], "a loss: what most reach is large"
    assert found.summaries[0].profile[0] >= found.summaries[0].profile[-1]


def test_a_contender_that_lost_a_seed_is_left_out_by_name(tmp_path: Path) -> None:
    methods = [Method(name, "rival") for name in ("left", "right", "twin")]
    bad = lambda t: "failed" if (t.method, t.seed, t.params["width"]) == ("twin", 0, 8) else level(t)  # noqa: E731
    found = found_in(tmp_path, bad, methods=methods)
    assert found is not None
    assert ([own.method for own in found.summaries], found.left_out) == (["right", "left"], ["twin"])


def test_what_is_swept_is_no_cell_and_one_cell_is_none(tmp_path: Path) -> None:
    metrics = [Metric("val_loss", "nats", "lower")]
    outcome = lambda t: {"val_loss": level(t)["loss"]}  # noqa: E731
    assert found_in(tmp_path / "swept", outcome, metrics=metrics, tuned=Sweep("width")) is None
    grids = lambda train: [Grid(train, axes={**GRID, "setting": ["lm", "ffn"]})]  # noqa: E731
    both = found_in(tmp_path / "both", outcome, metrics=metrics, tuned=Sweep("width"), grids=grids)
    assert both is not None
    assert (both.cells, both.summaries[0].iqm.estimate) == (2, pytest.approx(8.0, abs=0.02)), "validation selects the smallest"
    assert found_in(tmp_path / "one", grids=lambda train: [Grid(train)]) is None


def test_a_parameter_that_tells_methods_apart_tells_no_cells(tmp_path: Path) -> None:
    statistics = [Statistic(name="loss", estimate=Mean("loss"), better="lower")]
    found = found_in(
        tmp_path,
        statistics=statistics,
        grids=lambda train: [
            Grid(train, points=[{"setting": "lm"}], axes=GRID, methods=["left"]),
            Grid(train, points=[{"setting": "ffn"}], axes=GRID, methods=["right"]),
        ],
    )
    assert found is not None
    assert found.cells == 4


def test_many_seeds_are_summarised_as_few_are() -> None:
    rng = np.random.default_rng(3)
    few = rng.normal(size=(2, 2, 100)) + np.array([0.0, 0.2])[:, None, None]
    many = np.repeat(few, MANY // 100, axis=-1)

    def middle(merits: Any, draws: Any) -> Any:
        return interquartile_mean(merits[1][:, draws])

    def wins(merits: Any, draws: Any) -> Any:
        return improvement(merits, 1, draws)

    for statistic in (middle, wins):
        small, large = (bootstrapped(partial(statistic, merits), merits.shape[2]) for merits in (few, many))
        assert large.estimate == pytest.approx(small.estimate, abs=0.002)
        assert (large.high - large.low) * math.sqrt(MANY / 100) == pytest.approx(small.high - small.low, rel=0.35)


def test_ties_count_half_among_many_seeds_as_among_few() -> None:
    values = np.random.default_rng(4).integers(3, size=(3, 2, 40)).astype(float)
    repeated = np.tile(values, (1, 1, MANY // 40))
    few = improvement(values, 0, np.arange(40)[None])
    assert improvement(repeated, 0, np.arange(40)[None]) == pytest.approx(few)
    assert improvement(repeated, 0, np.arange(MANY)[None]) == pytest.approx(few)
