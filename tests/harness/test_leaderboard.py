"""Ranks, unequal cells, lost seeds."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.bounds import POSITIVE
from harness.estimates import Mean, Slope
from harness.judgement import judge
from harness.leaderboard import UNEQUAL, Board
from harness.plan import TrialSpec
from harness.report.tables import progress
from harness.sweeps import Sweep
from harness.task import Experiment, Grid, Method, Metric, Scale, Statistic
from tests.harness.fabricated import experiment_of, study_of, task_of

LEVEL = {"a": 0.3, "b": -0.1, "c": 0.2}
WOBBLE = {"a": (0, 1, 0, 1), "b": (0, 0, 1, 1), "c": (0, 1, 1, 0)}
"""So that no two methods differ by the same in every seed, which would decide nothing."""


def board_of(folder: Path, outcome: Any = None, better: str = "lower", **changes: Any) -> Board:
    fields: dict[str, Any] = {
        "methods": [Method("a", "baseline"), Method("b", "proposed"), Method("c", "rival"), Method("d", "floor")],
        "grids": lambda train: [Grid(train, methods=["a", "b", "c"])],
        "seeds": 4,
        "metrics": [Metric("loss", "nats", better)],  # type: ignore[arg-type]
    }
    (found,) = judge(study_of(folder, task_of(**(fields | changes)), outcome or level)).boards
    return found


def unequal(train: Experiment) -> list[Grid]:
    return [Grid(train, methods=["a", "b"], axes={"width": [1, 2]}), Grid(train, methods=["c"], axes={"width": [1]})]


def level(trial: TrialSpec) -> dict[str, float]:
    return {"loss": LEVEL[trial.method] + 0.01 * trial.seed + 0.002 * WOBBLE[trial.method][trial.seed]}


def ranks(board: Board) -> list[tuple[str | None, str]]:
    return [(str(row.standing) if row.standing else None, row.method) for row in board.rows]


@pytest.mark.parametrize(("better", "order"), [("lower", "bca"), ("higher", "acb"), ("zero", "bca")])
def test_methods_are_ranked_by_what_is_better(tmp_path: Path, better: str, order: str) -> None:
    found = board_of(tmp_path, better=better)
    assert ranks(found) == list(zip("123", order, strict=True))
    assert found.ranked_by == "loss"


def test_the_first_statistic_that_has_a_better_end_ranks(tmp_path: Path) -> None:
    statistics = [Statistic(name="size", estimate=Mean("loss")), Statistic(name="score", estimate=Mean("loss"), better="higher")]
    found = board_of(tmp_path, statistics=statistics)
    assert found.ranked_by == "score"
    assert [row.method for row in found.rows] == ["a", "c", "b"]


def test_without_a_better_end_nothing_is_ranked(tmp_path: Path) -> None:
    found = board_of(tmp_path, better="none")
    assert ranks(found) == [(None, "a"), (None, "b"), (None, "c")]


def test_numbers_are_the_mean_over_seeds_with_its_interval(tmp_path: Path) -> None:
    entry = board_of(tmp_path).rows[0].entries["loss"]
    # Seeds give -0.100, -0.090, -0.078, -0.068: standard deviation 0.0139523, t(.975, 3) = 3.18245.
    assert entry.interval.estimate == pytest.approx(-0.084)
    assert entry.interval.high == pytest.approx(-0.084 + 3.18245 * 0.0139523 / 2, rel=1e-4)
    assert entry.text == "-0.084 [-0.106, -0.062]"


def test_equal_numbers_tie(tmp_path: Path) -> None:
    found = board_of(tmp_path, lambda t: {"loss": 1.0 + 0.1 * t.seed**2 if t.method != "b" else 2.0 + 0.2 * t.seed})
    assert ranks(found) == [("1–2", "a"), ("1–2", "c"), ("3", "b")]
    assert [row.standing.p_best for row in found.rows if row.standing] == [0.5, 0.5, 0.0]


def test_controls_and_floors_are_shown_in_their_place_and_have_no_rank(tmp_path: Path) -> None:
    methods = [Method("a", "baseline"), Method("b", "floor"), Method("c", "proposed"), Method("d", "control")]
    assert ranks(board_of(tmp_path, methods=methods)) == [(None, "b"), ("1", "c"), ("2", "a")]


def test_seeds_that_do_not_vary_rank_an_exact_experiment_alone(tmp_path: Path) -> None:
    constant = lambda t: {"loss": LEVEL[t.method]}  # noqa: E731
    assert ranks(board_of(tmp_path / "seeds", constant)) == [("1–3", "b"), ("1–3", "c"), ("1–3", "a")]
    assert ranks(board_of(tmp_path / "exact", constant, exact=True)) == [("1", "b"), ("2", "c"), ("3", "a")]


def test_a_method_that_lost_seeds_does_not_win_by_failing(tmp_path: Path) -> None:
    found = board_of(tmp_path, lambda t: "diverged" if (t.method, t.seed) == ("b", 3) else level(t))
    assert [row.method for row in found.rows] == ["c", "a", "b"]
    last = found.rows[-1]
    assert ranks(found)[-1] == ("3", "b")
    assert (last.trials_ok, last.trials_failed) == (3, 1)
    assert last.entries["loss"].text.endswith("(3/4 seeds)")
    assert "below all that lost no seed, whatever the number: b (1 lost)" in progress(found), "its mean is the best"
    worst = board_of(tmp_path / "worst", lambda t: "diverged" if (t.method, t.seed) == ("a", 3) else level(t))
    assert "below all" not in progress(worst), "where its number puts it"


def test_a_method_with_no_number_has_no_rank(tmp_path: Path) -> None:
    found = board_of(tmp_path, lambda t: "failed" if t.method == "b" else level(t))
    assert ranks(found) == [("1", "c"), ("2", "a"), (None, "b")]
    assert found.rows[-1].entries["loss"].text == "– (4/4 seeds lost)"


def test_an_unfinished_seed_is_left_out_without_being_lost(tmp_path: Path) -> None:
    found = board_of(tmp_path, lambda t: None if (t.method, t.seed) == ("b", 3) else level(t))
    entry = found.rows[0].entries["loss"]
    assert (entry.interval.n, entry.lost) == (3, 0)
    assert (found.recorded, found.planned) == (11, 12)


def test_unequal_cells_are_not_averaged(tmp_path: Path) -> None:
    found = board_of(tmp_path, grids=unequal)
    assert {row.entries["loss"].text for row in found.rows} == {f"– ({UNEQUAL})"}
    assert all(row.standing is None and math.isnan(row.entries["loss"].interval.estimate) for row in found.rows)


def test_declared_statistics_may_read_unequal_cells(tmp_path: Path) -> None:
    statistics = [Statistic(name="loss at 1", estimate=Mean("loss", {"width": 1}), better="lower")]
    found = board_of(tmp_path, grids=unequal, statistics=statistics)
    assert [rank for rank, _ in ranks(found)] == ["1", "2", "3"]


def test_no_records_leave_an_empty_board(tmp_path: Path) -> None:
    found = board_of(tmp_path, lambda _: None)
    assert [(row.standing, row.entries["loss"].text) for row in found.rows] == [(None, "– (not recorded yet)")] * 3


def test_a_statistic_that_a_methods_cells_do_not_define_is_not_called_lost(tmp_path: Path) -> None:
    # One size has no slope, and nothing went wrong.
    statistics = [Statistic(name="slope", estimate=Slope("loss", over="width"), better="lower")]
    for row in board_of(tmp_path, statistics=statistics).rows:
        assert (row.standing, row.entries["slope"].lost, row.entries["slope"].text) == (None, 0, "– (undefined)")


def test_unequal_cells_are_those_of_a_columns_view(tmp_path: Path) -> None:
    found = board_of(
        tmp_path,
        grids=lambda train: [
            Grid(train, view="shared", axes={"width": [8, 16]}, methods=["a", "b"]),
            Grid(train, view="own", points=[{"width": 4}], methods=["a"]),
            Grid(train, view="own", points=[{"width": 2}], methods=["c"]),
        ],
    )
    notes = {row.method: {name: entry.note for name, entry in row.entries.items()} for row in found.rows}
    assert {method: own["loss_shared"] for method, own in notes.items()} == {"a": "", "b": "", "c": "not in view shared"}
    assert {own["loss_own"] for own in notes.values()} == {UNEQUAL}
    assert (found.ranked_by, [row.method for row in found.rows]) == ("loss_shared", ["b", "a", "c"])


def test_a_dash_of_declared_statistics_says_why(tmp_path: Path) -> None:
    train = experiment_of(metrics=[Metric("loss", "nats", "lower"), Metric("rank", "", "none", methods=["a"])])
    statistics = [
        Statistic(name="wide", estimate=train["loss"].at("wide"), better="lower"),
        Statistic(name="at 4", estimate=Mean("loss", {"width": 4})),
        Statistic(name="rank", estimate=train["rank"]),
    ]
    found = board_of(
        tmp_path,
        experiment=replace(train, statistics=statistics),
        grids=lambda own: [
            Grid(own, view="wide", axes={"width": [8, 16]}, methods=["a", "b"]),
            Grid(own, view="narrow", points=[{"width": 4}], methods=["a", "c"]),
        ],
        outcome=lambda t: level(t) | ({"rank": 1.0} if t.method == "a" else {}),
    )
    notes = {row.method: {name: entry.note for name, entry in row.entries.items()} for row in found.rows}
    assert notes["a"] == {"wide": "", "at 4": "", "rank": ""}
    assert notes["b"] == {"wide": "", "at 4": "not planned", "rank": "not measured"}
    assert notes["c"] == {"wide": "not in view wide", "at 4": "", "rank": "not measured"}


def test_each_experiment_has_its_board_and_its_methods(tmp_path: Path) -> None:
    train, time = experiment_of(), experiment_of(name="time", metrics=[Metric("seconds", "s", "lower")])
    task = task_of(
        experiments=[train, time],
        scales={"laptop": Scale(description="", grids=[Grid(train), Grid(time, methods=["left"])], seeds=2, time_limit_s=1.0)},
    )
    boards = judge(study_of(tmp_path, task, lambda t: {"loss": 1.0} if t.experiment == "train" else {"seconds": 2.0})).boards
    assert [(b.experiment, [r.method for r in b.rows], [s.name for s in b.statistics]) for b in boards] == [
        ("train", ["left", "right"], ["loss"]),
        ("time", ["left"], ["seconds"]),
    ]
    assert boards[1].rows[0].entries["seconds"].interval.estimate == 2.0


def test_a_swept_experiment_is_read_at_what_validation_selects(tmp_path: Path) -> None:
    metrics = [Metric("val_loss", "nats", "lower"), Metric("test_loss", "nats", "lower")]
    found = board_of(
        tmp_path,
        metrics=metrics,
        tuned=Sweep("width"),
        grids=lambda train: [Grid(train, axes={"width": [1, 2, 4]}, methods=["a"]), Grid(train, axes={"width": [2, 4]}, methods=["b"])],
        outcome=lambda t: {"val_loss": abs(t.params["width"] - 2.0), "test_loss": -float(t.params["width"])},
    )
    assert [row.entries["test_loss"].interval.estimate for row in found.rows] == [-2.0, -2.0], "test says 4 and does not select"


def test_intervals_keep_to_the_range_of_their_metric(tmp_path: Path) -> None:
    seconds = [0.01, 0.02, 0.5, 4.0]
    metrics = [Metric("loss", "s", "lower", bounds=POSITIVE)]
    interval = board_of(tmp_path, lambda t: {"loss": seconds[t.seed]}, metrics=metrics).rows[0].entries["loss"].interval
    assert interval.estimate == pytest.approx(math.prod(seconds) ** 0.25)
    assert 0.0 < interval.low < interval.high
    declared = [Statistic(name="loss", estimate=Mean("loss"), better="lower")]
    plain = board_of(tmp_path / "plain", lambda t: {"loss": seconds[t.seed]}, metrics=metrics, statistics=declared)
    assert plain.rows[0].entries["loss"].interval.low < 0.0, "a statistic says its range by itself"


def test_intervals_are_as_wide_as_one_example(tmp_path: Path) -> None:
    # 40 examples: a step is 2.5 percent. Seeds of b all agree; the step is told by the other methods' records.
    shares = {"a": (80.0, 85.0, 90.0, 95.0), "b": (90.0,) * 4, "c": (92.5, 90.0, 97.5, 95.0)}
    outcome = lambda t: {"loss": shares[t.method][t.seed]}  # noqa: E731
    found = board_of(tmp_path, outcome, metrics=[Metric("loss", "percent", "higher", counted=True)])
    of_b = next(row.entries["loss"].interval for row in found.rows if row.method == "b")
    assert (of_b.low, of_b.estimate, of_b.high) == (88.75, 90.0, 91.25)
    free = board_of(tmp_path / "free", outcome, metrics=[Metric("loss", "percent", "higher")])
    assert next(row.entries["loss"].interval.low for row in free.rows if row.method == "b") == 90.0
