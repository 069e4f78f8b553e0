"""Numbers that are only bounds on leaderboards, in comparisons of methods, in MLflow and in figures: never a value, never a column."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes
from rich.console import Console

from harness.bounds import POSITIVE
from harness.censoring import reached
from harness.evidence import Evidence
from harness.judgement import judge
from harness.leaderboard import Board
from harness.mlflow_client import names
from harness.mlflow_study import metrics
from harness.plan import TrialSpec
from harness.ranking import Contender, standings
from harness.report.figures import Series, line_figure
from harness.report.html import render
from harness.report.plots import Plot, line_svg, plots_of
from harness.report.screen import show
from harness.report.tables import HOW_CENSORED, layout, leaderboard_csv, leaderboard_markdown
from harness.svg import PAGE
from harness.task import Better, Figure, Grid, Method, Metric
from tests.harness.fabricated import study_of, task_of

CAP = 1000.0
INF = math.inf
STEPS = Metric("steps", "steps", "lower", censored=True, bounds=POSITIVE)
METHODS = [Method("fast", "proposed"), Method("slow", "baseline"), Method("never", "rival")]
TIMES = {"fast": (300, 310, 290, 305, 295), "slow": (700, 2000, 720, 2000, 2000), "never": (2000,) * 5}


def outcome(trial: TrialSpec) -> dict[str, float]:
    steps = float(TIMES[trial.method][trial.seed % 5]) + trial.seed
    return reached("steps", min(steps, CAP), steps > CAP)


def judged(folder: Path, left: Callable[[TrialSpec], Any] = outcome, **changes: Any) -> Any:
    return judge(study_of(folder, task_of(**({"methods": METHODS, "metrics": [STEPS], "seeds": 5} | changes)), left))


def board_of(folder: Path, left: Callable[[TrialSpec], Any] = outcome, **changes: Any) -> Board:
    (found,) = judged(folder, left, **changes).boards
    return found


def test_a_bound_is_shown_as_one_with_how_many_were_not_reached(tmp_path: Path) -> None:
    judgement = judged(tmp_path)
    (board,) = judgement.boards
    shown = {row.method: row.entries["steps"].text for row in board.rows}
    assert not shown["fast"].startswith("≥")
    assert shown["slow"].startswith("≥ 872 [")
    assert shown["slow"].endswith(", ∞] (3/5 not reached)")
    assert shown["never"] == "≥ 1,000 [1,000, ∞] (5/5 not reached)"
    text = leaderboard_markdown("toy", judgement.rulings)
    assert HOW_CENSORED in text
    assert "≥ 1,000 [1,000, ∞] (5/5 not reached)" in text
    assert "≥ +698 [" in text, "the difference to the best is a bound too"


def test_the_companion_is_no_column(tmp_path: Path) -> None:
    judgement = judged(tmp_path)
    (board,) = judgement.boards
    assert [statistic.name for statistic in board.statistics] == ["steps"]
    assert not any("censored" in heading for heading in layout(board).headings)
    lines = list(csv.DictReader(io.StringIO(leaderboard_csv([board]))))
    assert {(line["method"], line["statistic"], line["bound"], line["censored"]) for line in lines} == {
        ("fast", "steps", "", "0"),
        ("slow", "steps", ">=", "3"),
        ("never", "steps", ">=", "5"),
    }
    found = [metrics(judgement.rulings[0].evidence, board, row) for row in board.rows]
    published = names(key for own in found for key in own)
    assert not any(name.endswith("_censored") for name in published.values())


def test_mlflow_gets_a_bound_under_a_name_that_says_so(tmp_path: Path) -> None:
    judgement = judged(tmp_path)
    (board,) = judgement.boards
    fast, slow, never = (metrics(judgement.rulings[0].evidence, board, row) for row in board.rows)
    assert fast["steps", ""] == pytest.approx(300, rel=0.01)
    assert ("steps", ".censored_seeds") not in fast
    for bound, count in ((slow, 3), (never, 5)):
        assert ("steps", "") not in bound, "under the bare name it would be sorted among numbers"
        assert ("\0mean.steps", "") not in bound
        assert bound["steps", ".censored_seeds"] == count
    assert never["steps", ".at_least"] == pytest.approx(CAP)
    assert never["\0mean.steps", ".at_least"] == pytest.approx(CAP)


def test_what_was_not_reached_is_behind_what_was(tmp_path: Path) -> None:
    board = board_of(tmp_path, seeds=8)
    assert [(row.method, str(row.standing)) for row in board.rows] == [("fast", "1"), ("slow", "2–3"), ("never", "2–3")]


def test_a_smaller_budget_does_not_make_a_method_faster(tmp_path: Path) -> None:
    """Cut off at 100 steps, `never` has the smallest numbers; nothing is known of its place."""

    def left(trial: TrialSpec) -> dict[str, float]:
        return reached("steps", 100.0, True) if trial.method == "never" else outcome(trial)

    board = board_of(tmp_path, left, methods=[METHODS[0], METHODS[2]])
    assert [(row.method, str(row.standing)) for row in board.rows] == [("fast", "1–2"), ("never", "1–2")]
    assert [row.standing.behind is None for row in board.rows if row.standing] == [True, False], "the best is one that arrived"


def test_over_cells_nothing_is_summed_up_from_bounds(tmp_path: Path) -> None:
    changes = {"methods": METHODS[:2], "grids": lambda train: [Grid(train, axes={"width": [1, 2]})]}
    assert not judged(tmp_path, **changes).rulings[0].aggregates
    plain = judged(tmp_path / "plain", lambda trial: reached("steps", TIMES[trial.method][trial.seed], False), **changes)
    assert plain.rulings[0].aggregates


def contenders(*rows: Sequence[tuple[float, float]]) -> list[Contender]:
    """Of the lowest and highest value of each seed."""
    return [
        Contender(
            f"{name}",
            {seed: low if math.isfinite(low) else high for seed, (low, high) in enumerate(row)},
            ranges={seed: ends for seed, ends in enumerate(row) if ends[0] != ends[1]},
        )
        for name, row in enumerate(rows)
    ]


EARLY = [(300.0 + s, 300.0 + s) for s in (0, 10, -10, 5, -5)]
LATE = [(900.0 + s, INF) for s in (0, 7, -7, 3, -3)]
SOON = [(s, INF) for s, _ in EARLY]


@pytest.mark.parametrize(
    ("better", "rows", "places"),
    [
        ("lower", (EARLY, LATE), ("1", "2")),
        ("higher", (EARLY, LATE), ("2", "1")),
        ("lower", (LATE, LATE), ("1–2", "1–2")),
        ("lower", ([(700.0 + s, 700.0 + s) for s in range(5)], SOON), ("1–2", "1–2")),
        ("higher", ([(700.0 + s, 700.0 + s) for s in range(5)], SOON), ("1–2", "1–2")),
        ("zero", (EARLY, LATE), ("1", "2")),
        ("zero", ([(-low, -low) for low, _ in EARLY], LATE), ("1", "2")),
        ("zero", ([(-INF, -low) for low, _ in LATE], EARLY), ("2", "1")),
        ("lower", ([(-INF, high) for _, high in EARLY], [(900.0 + s, 900.0 + s) for s in range(5)]), ("1", "2")),
    ],
)
def test_places_are_what_the_bounds_leave_open(better: Better, rows: Sequence[Any], places: tuple[str, str]) -> None:
    found = standings(contenders(*rows), better)
    assert (str(found["0"]), str(found["1"])) == places
    turned = standings(contenders(*reversed(rows)), better)
    assert (str(turned["1"]), str(turned["0"])) == places
    exact = standings(contenders(*rows), better, exact=True)
    assert (str(exact["0"]), str(exact["1"])) == places


def figured(folder: Path, widths: Sequence[int], reach: Callable[[TrialSpec], dict[str, float]]) -> tuple[Series, Plot, str]:
    """The line of `fast`, the figure and what matplotlib was told, of steps against width."""
    figure = Figure(id="steps", title="Steps", x="width", y="steps")
    task = task_of(
        methods=METHODS[:2], metrics=[STEPS], seeds=5, figures=[figure], grids=lambda train: [Grid(train, axes={"width": widths})]
    )
    evidence = Evidence(study_of(folder, task, reach), task, "laptop")
    found = line_figure(evidence, task.experiments[0], figure)
    (plot,) = plots_of(evidence)["train"]
    return found.series[0], plot, line_svg(found, ["fast", "slow"])


def test_a_figure_draws_bounds_as_open_triangles_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def reach(trial: TrialSpec) -> dict[str, float]:
        steps = 300.0 * trial.params["width"] + 10 * trial.seed
        return reached("steps", min(steps, 610.0), steps > 610.0) if trial.method == "fast" else reached("steps", 400.0 + trial.seed, False)

    drawn: list[tuple[str, list[float]]] = []
    plot_ = Axes.plot

    def spied(axes: Axes, x: Any, y: Any, **look: Any) -> Any:
        drawn.append((f"{look.get('marker')} {look.get('markerfacecolor')}", list(x)))
        return plot_(axes, x, y, **look)

    monkeypatch.setattr(Axes, "plot", spied)
    series, plot, _ = figured(tmp_path, (1, 2, 3), reach)
    assert (series.bounded, series.high[0] < INF, series.high[1:]) == ([0, 3, 5], True, [INF, INF])
    assert series.mean[1] == pytest.approx((600 + 4 * 610) / 5)
    triangles = [x for kind, x in drawn if kind == f"^ {PAGE}"]
    assert any(len(x) == 2 for x in triangles), "two of three widths of fast"
    assert not any(len(x) == 3 for kind, x in drawn if kind.startswith("o")), "a bound is no point"
    assert "Open triangles: some seeds did not reach it" in plot.caption
    assert [row[2] for row in plot.rows if row[0] == "fast"][1:] == ["≥ 608.0 [601.0, ∞]", "≥ 610 [610, ∞]"]
    _, without, _ = figured(tmp_path / "all", (1, 2), lambda trial: reached("steps", 300.0 + trial.seed, False))
    assert "triangles" not in without.caption


def test_a_dense_figure_marks_its_bounds_too(tmp_path: Path) -> None:
    series, plot, svg = figured(
        tmp_path, range(1, 46), lambda trial: reached("steps", min(trial.params["width"], 30.0) + trial.seed, trial.params["width"] > 30)
    )
    assert sum(map(bool, series.bounded)) == 15
    assert "Open triangles" in plot.caption
    assert svg


def test_pages_and_terminals_show_bounds_as_markdown_does(tmp_path: Path) -> None:
    judgement = judged(tmp_path)
    page = render(judgement, [{"train": []}]).replace("\u00a0", " ")
    said = io.StringIO()
    show(judgement, Console(file=said, width=200))
    for text in (page, said.getvalue()):
        assert "≥ 1,000 [1,000, ∞] (5/5 not reached)" in text
        assert HOW_CENSORED in " ".join(text.split())
        assert "_censored" not in text
