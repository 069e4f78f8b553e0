"""What methods cost, beside their rank."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

import pytest

from harness.cost import unequal_tuning
from harness.judgement import judge
from harness.leaderboard import Board
from harness.plan import TrialSpec
from harness.report.tables import layout, leaderboard_csv, progress
from harness.sweeps import Sweep
from harness.task import Experiment, Grid, Method, Metric
from tests.harness.fabricated import noise, study_of, task_of

METRICS = [Metric("val_loss", "nats", "lower"), Metric("work", "FLOPs", "none")]
METHODS = [Method("left", "baseline"), Method("right", "proposed"), Method("twin", "control")]


def grids(train: Experiment) -> list[Grid]:
    return [
        Grid(train, axes={"width": [8, 16, 32, 64]}, methods=["right"], view="tuned"),
        Grid(train, axes={"width": [8, 16]}, methods=["left"], view="tuned"),
        Grid(train, axes={"width": [8]}, methods=["twin"], view="tuned"),
        Grid(train, axes={"width": [128]}, methods=["left"], view="large"),
    ]


def board(folder: Path, **changes: Any) -> Board:
    fields: dict[str, Any] = {"methods": METHODS, "metrics": METRICS, "tuned": Sweep("width"), "grids": grids}

    def outcome(trial: TrialSpec) -> dict[str, float] | str:
        return "failed" if trial.params["width"] == 128 else {"val_loss": 2.0 + 0.1 * noise(trial), "work": 1e9 * trial.params["width"]}

    def change(trial: TrialSpec) -> dict[str, Any]:
        return {"seconds": trial.params["width"] / 8, "peak_memory_mib": 100.0 + trial.seed}

    (found,) = judge(study_of(folder, task_of(**(fields | changes)), outcome, change=change)).boards
    return found


def test_seconds_are_the_mean_and_memory_the_peak_of_trials_that_ended_ok(tmp_path: Path) -> None:
    costs = {row.method: row.cost for row in board(tmp_path).rows}
    assert costs["right"].seconds == pytest.approx((1 + 2 + 4 + 8) / 4)
    assert costs["left"].seconds == pytest.approx(1.5), "the trial that failed does not count"
    assert costs["left"].memory == 104.0


def test_tuning_counts_the_trials_that_compete_for_the_number_that_ranks(tmp_path: Path) -> None:
    found = board(tmp_path)
    assert found.ranked_by == "val_loss_tuned"
    assert {row.method: row.cost.tuning for row in found.rows} == {"right": 4.0, "left": 2.0, "twin": 1.0}
    assert found.unequal_tuning == "tuning budgets differ: 4 trials for right, 2 for left", "a control is no contender"
    assert found.unequal_tuning in progress(found)


def test_equal_budgets_are_not_flagged_and_no_choice_is_no_column(tmp_path: Path) -> None:
    same = board(tmp_path / "same", grids=lambda train: [Grid(train, axes={"width": [8, 16]})])
    assert (same.unequal_tuning, "tuning trials" in layout(same).headings) == ("", True)
    one = board(tmp_path / "one", grids=lambda train: [Grid(train)])
    assert (one.unequal_tuning, "tuning trials" in layout(one).headings) == ("", False)
    untuned = board(tmp_path / "untuned", tuned=None)
    assert all(math.isnan(row.cost.tuning) for row in untuned.rows)


def test_many_methods_of_one_budget_are_counted() -> None:
    budgets = {"a": 7.0, "b": 3.0, "c": 3.0, "d": 1.0, "e": 1.0, "f": 1.0, "g": 1.0, "h": math.nan}
    assert unequal_tuning(budgets) == "tuning budgets differ: 7 trials for a, 3 for b and c, 1 for d and 3 others"


def test_operations_are_shown_once(tmp_path: Path) -> None:
    shown = board(tmp_path / "shown")
    assert ("FLOPs" in layout(shown).headings, "work tuned (FLOPs)" in layout(shown).headings) == (False, True)
    hidden = board(tmp_path / "hidden", statistics=[], tuned=None)
    assert {row.method: row.cost.flops for row in hidden.rows}["right"] == pytest.approx(30e9)
    assert "FLOPs" in layout(hidden).headings


def test_the_csv_has_the_cost(tmp_path: Path) -> None:
    rows = {row["method"]: row for row in csv.DictReader(io.StringIO(leaderboard_csv([board(tmp_path)])))}
    assert [rows["left"][name] for name in ("trial_seconds", "peak_memory_mib", "tuning_trials")] == ["1.5", "104.0", "2.0"]
