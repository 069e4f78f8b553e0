"""A mean over parameters says so, and shows its cells."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.estimates import Difference, Mean, Of, Slope
from harness.judgement import judge
from harness.leaderboard import Board
from harness.plan import DataRef, TrialSpec
from harness.report import screen
from harness.report.tables import layout, leaderboard_csv, progress
from harness.sweeps import Sweep
from harness.task import Experiment, Grid, Metric, Statistic
from tests.harness.fabricated import difference_claim, noise, study_of, task_of

DATA = {name: DataRef(name, name, "real", name) for name in ("digits", "letters")}
METRICS = [Metric("loss", "nats", "lower")]


def outcome(trial: TrialSpec) -> dict[str, float]:
    shift = 1.0 if trial.data and trial.data.name == "letters" else 0.0
    return {metric: trial.params["width"] + shift + 0.1 * noise(trial, metric) for metric in ("loss", "val_loss")}


def board(folder: Path, grids: Callable[[Experiment], Sequence[Grid]], **changes: Any) -> Board:
    task = task_of(**{"grids": grids, "metrics": METRICS, **changes})
    metrics = [metric.name for metric in task.experiments[0].metrics]
    (found,) = judge(study_of(folder, task, lambda t: {name: outcome(t)[name] for name in metrics}, data=DATA)).boards
    return found


def widths(*values: int, **more: Any) -> Callable[[Experiment], list[Grid]]:
    return lambda train: [Grid(train, axes={"width": values}, **more)]


def test_a_mean_over_an_axis_says_so_and_shows_each_value(tmp_path: Path) -> None:
    found = board(tmp_path, widths(128, 64))
    assert "mean over width = 64, 128" in progress(found)
    assert found.cells == ["width = 64", "width = 128"]
    for row in found.rows:
        parts = [row.cells[label]["loss"].interval.estimate for label in found.cells]
        assert parts == pytest.approx([64.0, 128.0], abs=0.5)
        assert sum(parts) / 2 == pytest.approx(row.entries["loss"].interval.estimate)
    laid = layout(found)
    assert [row[0] for row in laid.rows][:3] == [found.rows[0].method, "· width = 64", "· width = 128"]
    assert laid.rows[1][laid.headings.index("loss (nats) ↓")] == found.rows[0].cells["width = 64"]["loss"].text
    assert laid.rows[1][laid.headings.index("rank")] == ""


def test_one_value_is_no_mean(tmp_path: Path) -> None:
    found = board(tmp_path, widths(64))
    assert "mean over" not in progress(found)
    assert (found.cells, layout(found).rows[1][0]) == ([], found.rows[1].method)


def test_what_is_tuned_or_named_is_not_called_a_mean(tmp_path: Path) -> None:
    metrics = [Metric("val_loss", "nats", "lower")]
    assert "mean over" not in progress(board(tmp_path / "tuned", widths(64, 128), tuned=Sweep("width"), metrics=metrics))
    statistics = [
        Statistic(name="at 64", estimate=Mean("loss", {"width": 64}), better="lower"),
        Statistic(name="slope", estimate=Slope("loss", over="width")),
    ]
    assert "mean over" not in progress(board(tmp_path / "named", widths(64, 128), statistics=statistics))


def test_data_sets_that_are_averaged_are_cells_too(tmp_path: Path) -> None:
    found = board(tmp_path, lambda train: [Grid(train, axes={"width": [8]}, data=name) for name in DATA])
    assert "mean over data = digits, letters" in progress(found)
    parts = [[row.cells[label]["loss"].interval.estimate for label in found.cells] for row in found.rows]
    assert parts == [pytest.approx([8.0, 9.0], abs=0.5)] * 2


def test_parameters_that_move_together_are_one_axis(tmp_path: Path) -> None:
    points = [{"width": 8, "setting": "lm"}, {"width": 16, "setting": "ffn"}]
    found = board(tmp_path / "line", lambda train: [Grid(train, points=points)])
    assert "mean over width = 8, 16 (with setting)" in progress(found)
    grid = board(tmp_path / "grid", lambda train: [Grid(train, axes={"width": [8, 16], "setting": ["lm", "ffn"]})])
    assert "mean over 4 cells of width and setting" in progress(grid)
    assert found.cells == ["width = 8", "width = 16"]
    assert grid.cells[0] == "width = 8, setting = ffn"


def test_many_values_are_said_and_not_shown(tmp_path: Path) -> None:
    found = board(tmp_path, widths(*range(1, 9)))
    assert "mean over 8 values of width (1 to 8)" in progress(found)
    assert found.cells == []


def test_columns_that_average_over_other_things_are_named(tmp_path: Path) -> None:
    estimate = Mean("loss")
    statistics = [
        Statistic(name="at 64", estimate=Mean("loss", {"width": 64}), better="lower"),
        Statistic(name="all", estimate=estimate, better="lower"),
        Statistic(name="gap", estimate=Difference(estimate, Of("left", estimate))),
    ]
    found = board(tmp_path, widths(64, 128), statistics=statistics)
    assert "; all and gap: mean over width = 64, 128" in progress(found)
    assert found.cells == [], "what ranks is none"


def test_a_method_has_no_row_for_a_cell_that_it_lacks(tmp_path: Path) -> None:
    statistics = [Statistic(name="loss", estimate=Mean("loss"), better="lower")]
    found = board(
        tmp_path, lambda t: [Grid(t, axes={"width": [64, 128]}, methods=["left"]), Grid(t, methods=["right"])], statistics=statistics
    )
    assert [row[0] for row in layout(found).rows] == ["right", "· width = 64", "left", "· width = 64", "· width = 128"]


def test_a_seed_is_lost_in_the_cell_that_failed_alone(tmp_path: Path) -> None:
    task = task_of(grids=widths(64, 128), metrics=METRICS)
    fails = lambda t: "failed" if (t.seed, t.params["width"]) == (0, 128) else {"loss": outcome(t)["loss"]}  # noqa: E731
    (found,) = judge(study_of(tmp_path, task, fails)).boards
    row = found.rows[0]
    assert row.entries["loss"].lost == 1
    assert [row.cells[label]["loss"].lost for label in found.cells] == [0, 1]


def test_the_csv_has_a_line_a_cell(tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(leaderboard_csv([board(tmp_path, widths(64, 128))]))))
    assert [row["cell"] for row in rows] == ["", "width = 64", "width = 128"] * 2
    assert [row["rank_low"] != "" for row in rows] == [True, False, False] * 2


@pytest.mark.parametrize("width", [80, 160])
def test_a_terminal_wraps_no_number(tmp_path: Path, width: int) -> None:
    metrics = [Metric("loss", "nats", "lower"), *(Metric(f"a_rather_long_name_{i}", "percent", "none") for i in range(7))]
    task = task_of(metrics=metrics, grids=widths(64, 128))
    study = study_of(tmp_path, task, lambda t: {metric.name: 1000.0 + noise(t, metric.name) for metric in metrics})
    sink = io.StringIO()
    screen.show(judge(study), Console(file=sink, width=width), full=True)
    lines = sink.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    table = "\n".join(line for line in lines if line.strip().startswith(("left", "right", "·")))
    (found,) = judge(study).boards
    shown = [row.entries[s.name].text for row in found.rows for s in found.statistics]
    shown += [own["loss"].text for row in found.rows for own in row.cells.values()]
    assert all(text in table for text in shown)


def test_a_verdict_over_values_that_a_user_chose_says_so(tmp_path: Path) -> None:
    claim = difference_claim()
    measure = lambda t: {"loss": t.params["width"] * (1.0 + 0.01 * t.seed) + (t.method == "left")}  # noqa: E731
    own, varied = task_of(claims=[claim]), task_of(claims=[claim], grids=widths(64, 128))
    asked = replace(study_of(tmp_path / "asked", varied, measure), tasks={own.id: own})
    (verdict,) = judge(asked).verdicts
    assert "It is one number over width = 64, 128, of which the task has one value" in verdict.reason
    for name, task in (("declared", varied), ("plain", own)):
        (verdict,) = judge(study_of(tmp_path / name, task, measure)).verdicts
        assert "one number over" not in verdict.reason
    of = {method: Of(method, Mean("loss", where={"width": 64})) for method in ("left", "right")}
    named = task_of(claims=[difference_claim(estimate=Difference(of["left"], of["right"]))])
    wider = task_of(claims=named.claims, grids=widths(64, 128))
    (verdict,) = judge(replace(study_of(tmp_path / "named", wider, measure), tasks={named.id: named})).verdicts
    assert "one number over" not in verdict.reason
