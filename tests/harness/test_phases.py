"""Phase diagrams: cells and boundaries of planted studies, and where they are drawn."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import report
from harness.bounds import SHARE
from harness.censoring import reached
from harness.coverage import check
from harness.errors import TaskError
from harness.evidence import Evidence
from harness.judgement import judge
from harness.plan import TrialSpec
from harness.report.heat_maps import phase_svg
from harness.report.phases import BoundaryPoint, PhaseGrid, phase_grid
from harness.report.plots import Plot, plots_of
from harness.task import Grid, Metric, Phase, param
from tests.harness.fabricated import experiment_of, study_of, task_of

PARAMS = dataclasses.make_dataclass(
    "Params",
    [
        ("share", float, param(0.5, "share of the pairs to train on")),
        ("noise", float, param(0.0, "share of false labels")),
        ("rate", float, param(0.1, "learning rate")),
        ("word", str, param("a", "a word")),
        ("maybe", float | None, param(None, "a number or none")),
    ],
    frozen=True,
)
ACCURACY = Metric("accuracy", "share", "higher", bounds=SHARE)
SHARES, NOISES = (0.1, 0.3, 0.5, 0.7, 0.9), (0.0, 0.1, 0.2, 0.4)
GRID: dict[str, Any] = {"share": SHARES, "noise": NOISES}
PHASE = Phase(id="phase", title="Phases", x="share", y="noise", z="accuracy")


def evidence_of(
    folder: Path, figure: Phase, outcome: Callable[[TrialSpec], Any], axes: Any = None, seeds: int = 3, **grid: Any
) -> Evidence:
    experiment = experiment_of(params=PARAMS, metrics=[ACCURACY, Metric("steps", "steps", "lower")], figures=[figure])
    grids = [Grid(experiment, axes=axes or ({} if "points" in grid else GRID), **grid)]
    task = task_of(experiment=experiment, grids=lambda _: grids, seeds=seeds)

    def left(trial: TrialSpec) -> Any:
        found = outcome(trial)
        return found if isinstance(found, str) or found is None else {"accuracy": float(found), "steps": 1.0}

    return Evidence(study_of(folder, task, left), task, "laptop")


def grid_of(folder: Path, figure: Phase, outcome: Callable[[TrialSpec], Any], **about: Any) -> PhaseGrid:
    evidence = evidence_of(folder, figure, outcome, **about)
    return phase_grid(evidence, evidence.task.experiments[0], figure)


def plot_of(folder: Path, figure: Phase, outcome: Callable[[TrialSpec], Any], **about: Any) -> Plot:
    (plot,) = plots_of(evidence_of(folder, figure, outcome, **about))["train"]
    return plot


def step(threshold: Callable[[TrialSpec], float], name: str = "share") -> Callable[[TrialSpec], float]:
    return lambda trial: float(trial.params[name] > threshold(trial))


def first(grid: PhaseGrid, panel: int = 0, boundary: int = 0) -> list[BoundaryPoint]:
    return list(grid.panels[panel].boundaries[boundary])


def test_a_cell_is_the_mean_over_seeds_at_its_place(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, PHASE, lambda t: t.params["share"] * (1 - t.params["noise"]) * (0.9 + 0.1 * t.seed) / 1.1)
    assert [panel.method for panel in grid.panels] == ["left", "right"]
    assert {(cell.x, cell.y) for cell in grid.panels[0].cells} == {(x, y) for x in SHARES for y in NOISES}
    for cell in grid.panels[0].cells:
        assert cell.mean == pytest.approx(cell.x * (1 - cell.y) / 1.1)
        assert (cell.seeds, cell.planned, cell.diverged) == (3, 3, 0)
    assert (grid.low, grid.high) == (0.0, 1.0), "the metric's range"
    assert (grid.x_label, grid.y_label, grid.z_label) == ("share", "noise", "accuracy (share)")


def test_the_boundary_is_the_median_over_seeds_of_each_seeds_crossing(tmp_path: Path) -> None:
    # Of the pooled cells it would be 0.2 + 1/4 of a step at noise 0; a mean over seeds would be 0.4.
    at = {0: 0.15, 1: 0.15, 2: 0.75}
    points = first(grid_of(tmp_path, PHASE, step(lambda t: at[t.seed] + t.params["noise"] / 2)))
    assert [point.y for point in points] == list(NOISES)
    assert [point.at for point in points] == pytest.approx([0.2, 0.2, 0.2, 0.4])
    assert (points[0].low, points[0].high, points[0].seeds, points[0].confidence) == (pytest.approx(0.2), pytest.approx(0.8), 3, 0.75)
    assert (points[-1].low, points[-1].high, points[-1].beyond) == (pytest.approx(0.4), math.inf, 1)


@pytest.mark.parametrize(
    ("seeds", "rank", "confidence"),
    [(1, 0, 0.0), (5, 0, 1 - 2 / 32), (6, 0, 1 - 2 / 64), (8, 0, 1 - 2 / 256), (10, 1, 1 - 22 / 1024)],
)
def test_the_band_is_the_interval_of_the_median_by_order_statistics(tmp_path: Path, seeds: int, rank: int, confidence: float) -> None:
    axes = {"share": [i / 50 for i in range(51)], "noise": [0.0]}
    figure = dataclasses.replace(PHASE, y="rate")
    (point,) = first(grid_of(tmp_path, figure, step(lambda t: 0.2 + 0.04 * t.seed), axes=axes, seeds=seeds))
    at = [0.21 + 0.04 * seed for seed in range(seeds)]
    assert point.at == pytest.approx(np.median(at))
    assert (point.low, point.high) == pytest.approx((at[rank], at[seeds - 1 - rank]))
    assert point.confidence == pytest.approx(confidence)


def test_the_level_and_the_other_axis_count(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, dataclasses.replace(PHASE, level=0.25), lambda t: t.params["share"] - t.params["noise"] / 2)
    assert [point.at for point in first(grid)] == pytest.approx([0.25, 0.3, 0.35, 0.45])
    swapped = dataclasses.replace(PHASE, x="noise", y="share", level=0.25)
    points = first(grid_of(tmp_path / "swapped", swapped, lambda t: t.params["share"] - t.params["noise"] / 2))
    assert [point.y for point in points] == list(SHARES)
    assert [str(point) for point in points] == ["<= 0", "0.1", ">= 0.4", ">= 0.4", ">= 0.4"], "it falls along the noise"


def test_what_is_never_crossed_is_a_bound(tmp_path: Path) -> None:
    figure = dataclasses.replace(PHASE, methods=("left",))
    plot = plot_of(tmp_path, figure, step(lambda t: {0.0: -1.0, 0.1: 0.4, 0.2: 0.6, 0.4: 2.0}[t.params["noise"]]))
    assert [row[2] for row in plot.rows] == ["<= 0.1", "0.4", "0.6", ">= 0.9"]
    assert [row[3] for row in plot.rows][::3] == ["[beyond the grid, beyond the grid]"] * 2
    assert "whose edge is a bound (2 of 4)" in plot.caption


def test_a_method_that_never_generalises_is_bounded_on_the_side_of_the_others(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    threshold = step(lambda t: 0.4 if t.method == "right" else 9.0)
    grid = grid_of(tmp_path, PHASE, lambda t: 0.9 * threshold(t) + 0.05 * noise.random() - 0.02 * t.params["share"])
    assert {point.side for point in first(grid)} == {1}
    assert {point.at for point in first(grid)} == {0.9}


def test_rows_may_have_values_of_their_own(tmp_path: Path) -> None:
    own = {0.0: (0.1, 0.2, 0.4), 0.1: (0.3, 0.5)}
    points = [{"noise": noise, "share": share} for noise, shares in own.items() for share in shares]
    grid = grid_of(tmp_path, PHASE, step(lambda t: 0.15 + 2 * t.params["noise"]), points=points)
    assert [point.at for point in first(grid)] == pytest.approx([0.15, 0.4])
    assert len(grid.panels[0].cells) == 5
    assert phase_svg(grid)


def test_a_lost_trial_empties_its_cell_and_a_crossing_beside_it(tmp_path: Path) -> None:
    def outcome(trial: TrialSpec) -> Any:
        at = trial.params["share"], trial.params["noise"], trial.method
        if at == (0.9, 0.0, "left"):
            return "diverged"
        if at == (0.3, 0.1, "left"):
            return None if trial.seed else "failed"
        if at == (0.5, 0.2, "left") and trial.seed == 0:
            return "failed"
        return step(lambda _: 0.4)(trial)

    figure = dataclasses.replace(PHASE, methods=("left",))
    grid = grid_of(tmp_path, figure, outcome)
    cells = {(cell.x, cell.y): cell for cell in grid.panels[0].cells}
    assert (cells[0.9, 0.0].seeds, cells[0.9, 0.0].diverged) == (0, 3)
    assert (cells[0.3, 0.1].seeds, cells[0.3, 0.1].diverged, math.isnan(cells[0.3, 0.1].mean)) == (0, 0, True)
    assert cells[0.5, 0.2].seeds == 2
    assert [(point.y, point.seeds, point.planned) for point in first(grid)] == [(0.0, 3, 3), (0.2, 2, 3), (0.4, 3, 3)]
    assert all(point.at == pytest.approx(0.4) for point in first(grid))
    caption = plot_of(tmp_path / "again", figure, outcome).caption
    assert "Hatched: no trial gave a number (2 of 20 cells)." in caption
    assert "Crosses: a trial diverged (1 of 20 cells)." in caption
    assert "Some seeds are lost or not there yet in 1 of 20 cells." in caption
    assert "leaves out seeds without a number beside the crossing at 1 of 3 places" in caption


def test_a_seed_that_lost_one_of_a_cells_trials_is_left_out_of_it(tmp_path: Path) -> None:
    def outcome(trial: TrialSpec) -> Any:
        return "failed" if trial.seed == 1 and trial.params["rate"] == 1.0 else 0.2 * trial.seed + 0.1 * trial.params["rate"]

    axes = {"share": [0.1, 0.9], "noise": [0.0, 0.1], "rate": [0.0, 1.0]}
    cells = grid_of(tmp_path, PHASE, outcome, axes=axes).cells
    assert {(cell.seeds, cell.planned) for cell in cells} == {(2, 3)}
    assert [cell.mean for cell in cells] == pytest.approx([(0.05 + 0.45) / 2] * len(cells))


def test_a_logarithmic_axis_crosses_on_it_and_keeps_zero_apart(tmp_path: Path) -> None:
    figure = dataclasses.replace(PHASE, x="rate", log_x=True)
    axes = {"rate": [0.0, 1e-4, 1e-2, 1.0], "noise": [0.0, 0.1, 0.2]}
    threshold = {0.0: 1e-3, 0.1: 0.1, 0.2: 1e-9}
    grid = grid_of(tmp_path, figure, step(lambda t: threshold[t.params["noise"]], "rate"), axes=axes)
    points = first(grid)
    assert [(point.at, point.side) for point in points] == [(pytest.approx(1e-3), 0), (pytest.approx(0.1), 0), (pytest.approx(1e-4), -1)]
    ticks = re.findall(r">([0-9.e-]+)</text>", phase_svg(grid))
    assert {"0", "0.0001", "0.01", "1"} <= set(ticks)


def test_a_peak_has_a_boundary_on_both_sides(tmp_path: Path) -> None:
    figure = dataclasses.replace(PHASE, along="peak")
    ends = {0.0: (0.2, 0.8), 0.1: (0.4, 2.0), 0.2: (3.0, 2.0), 0.4: (-1.0, 0.6)}

    def outcome(trial: TrialSpec) -> float:
        low, high = ends[trial.params["noise"]]
        return 0.9 * float(low < trial.params["share"] < high) + 0.1 * (1 - abs(trial.params["share"] - 0.5))

    grid = grid_of(tmp_path, figure, outcome)
    left, right = first(grid), first(grid, boundary=1)
    assert [(point.y, point.side) for point in left] == [(0.0, 0), (0.1, 0), (0.4, -1)]
    assert [(point.y, point.side) for point in right] == [(0.0, 0), (0.1, 1), (0.4, 0)]
    assert [point.at for point in (left[0], left[1], right[0], right[2])] == pytest.approx([0.2, 0.4, 0.8, 0.6], abs=0.01)


def _lines(text: str, colour: str, width: float) -> list[list[tuple[float, float]]]:
    """Corners of the paths of a colour and width, in the units of the drawing."""
    found = []
    for data, style in re.findall(r'<path d="([^"]*)"[^>]*style="([^"]*)"', text):
        if f"stroke: var(--{colour}" in style and re.search(rf"stroke-width: {width:g}(;|$)", style):
            numbers = [float(number) for number in re.findall(r"-?[0-9.]+", data)]
            found.append(list(zip(numbers[::2], numbers[1::2], strict=True)))
    return found


def test_the_boundary_is_drawn_where_it_lies(tmp_path: Path) -> None:
    figure = dataclasses.replace(PHASE, methods=("left",))
    threshold = {0.0: 0.2, 0.1: 0.4, 0.2: 0.6, 0.4: 0.8}
    text = phase_svg(grid_of(tmp_path, figure, step(lambda t: threshold[t.params["noise"]])))
    (line,) = _lines(text, "m1", 2)[:1]
    box = re.search(r'<path d="M ([0-9.]+) ([0-9.]+) \nL ([0-9.]+) ([0-9.]+) \n" style="fill: none; stroke: var\(--grid', text)
    assert box is not None
    marks = [float(x) for x in re.findall(r'<use[^>]* x="([0-9.]+)" y="[0-9.]+" style="[^"]*stroke: var\(--ink', text)]
    columns = sorted(set(marks))[1:6]
    scale = (columns[4] - columns[0]) / 0.8
    for (x, _), share in zip(line, threshold.values(), strict=True):
        assert x == pytest.approx(columns[0] + (share - 0.1) * scale, abs=0.05)
    heights = [y for _, y in line]
    assert np.diff(heights) / (heights[1] - heights[0]) == pytest.approx([1.0, 1.0, 2.0], rel=1e-3), "noise rises upwards, to scale"
    assert heights[1] < heights[0]


def test_the_band_is_drawn_between_its_ends(tmp_path: Path) -> None:
    figure = dataclasses.replace(PHASE, methods=("left",))
    text = phase_svg(grid_of(tmp_path, figure, step(lambda t: (0.2, 0.4, 0.8)[t.seed])))
    (line,) = _lines(text, "m1", 2)[:1]
    (shape,) = re.findall(r'xlink:href="#(\w+)"[^>]*style="fill: var\(--m1, #c2500a\); fill-opacity: 0.3', text)
    (band,) = re.findall(rf'<path id="{shape}" d="([^"]*)"', text)
    across = [float(x) for x in re.findall(r"[ML] (-?[0-9.]+)", band)]
    middle = line[0][0]
    assert (max(across) - middle) / (middle - min(across)) == pytest.approx(2.0, rel=1e-3)


def test_a_triangle_an_empty_cell_and_a_diverged_one_are_drawn(tmp_path: Path) -> None:
    figure = dataclasses.replace(PHASE, methods=("left",))
    plain = plot_of(tmp_path / "plain", figure, step(lambda _: 0.4))
    assert "<pattern" not in plain.svg
    lost = plot_of(tmp_path / "lost", figure, lambda t: "failed" if t.params["share"] == 0.9 else step(lambda _: 0.4)(t))
    assert lost.svg.count("<pattern") == 1
    assert "fill: url(#" in lost.svg
    crossed = plot_of(tmp_path / "crossed", figure, lambda t: "diverged" if t.params["share"] == 0.9 else step(lambda _: 0.4)(t))
    assert crossed.svg.count("<use") == lost.svg.count("<use") + len(NOISES)
    beyond = plot_of(tmp_path / "beyond", figure, step(lambda t: 9.0 if t.params["noise"] == 0.4 else 0.4))
    assert "fill: var(--page" in beyond.svg
    assert "fill: var(--page" not in plain.svg


def test_a_bound_is_no_number_beside_the_boundary(tmp_path: Path) -> None:
    figure = dataclasses.replace(PHASE, z="steps", level=100.0, methods=("left",))
    experiment = experiment_of(params=PARAMS, metrics=[Metric("steps", "steps", "lower", censored=True)], figures=[figure])
    task = task_of(experiment=experiment, grids=lambda train: [Grid(train, axes=GRID)], seeds=3)
    budget = {0.0: 500.0, 0.1: 80.0, 0.2: 500.0, 0.4: 500.0}

    def outcome(trial: TrialSpec) -> dict[str, float]:
        late = trial.params["share"] < 0.4
        return reached("steps", budget[trial.params["noise"]] if late else 50.0, late)

    evidence = Evidence(study_of(tmp_path, task, outcome), task, "laptop")
    grid = phase_grid(evidence, experiment, figure)
    assert {cell.bounds for cell in grid.cells if cell.x < 0.4} == {3}
    assert {cell.bounds for cell in grid.cells if cell.x > 0.4} == {0}
    assert [(point.y, point.side) for point in first(grid)] == [(0.0, 0), (0.1, -1), (0.2, 0), (0.4, 0)]
    assert first(grid)[1].at == 0.5, "80 steps or more may be 100"
    (plot,) = plots_of(evidence)["train"]
    assert "Dots: the mean is only a lower bound (8 of 20 cells)." in plot.caption


def test_a_phase_diagram_is_in_the_report_and_repeats(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path, PHASE, step(lambda t: 0.4 if t.method == "left" else 0.6))
    first, second = (plots_of(evidence)["train"][0] for _ in range(2))
    assert first == second
    assert not first.wide
    files = report.write(evidence.study.store, report.files(judge(evidence.study)))
    assert "plots/toy-laptop-phase.svg" in files
    page = Path(files["report.html"]).read_text()
    assert "phase diagram of accuracy (share) over share and noise for left, right" in page
    assert "share at accuracy (share) = 0.5" in page
    assert re.search(r"<td[^>]*>right</td><td[^>]*>0.2</td><td[^>]*>0.6</td><td[^>]*>\[0.6, 0.6\]</td><td[^>]*>3/3</td>", page)
    words = set(re.findall(r">([^<>]+)</text>", first.svg))
    assert {"left", "right", "share", "noise", "accuracy (share)", "0.0", "1.0", "0.1", "0.9"} <= words


def test_nothing_measured_is_an_empty_figure(tmp_path: Path) -> None:
    plot = plot_of(tmp_path, PHASE, lambda _: None)
    assert (plot.svg, plot.planned, list(plot.rows)) == ("", True, [])


def test_a_fine_grid_stays_a_small_file(tmp_path: Path) -> None:
    axes = {"share": [i / 40 for i in range(41)], "noise": [i / 80 for i in range(41)]}
    plot = plot_of(tmp_path, PHASE, step(lambda t: 0.3 + t.params["noise"]), axes=axes, seeds=1)
    assert len(plot.svg) < 80_000


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"x": "word"}, "figure phase: an axis of a phase diagram is a number, and parameter word is a word"),
        ({"y": "maybe"}, "parameter maybe is a number or none"),
        ({"y": "share"}, "both axes are share"),
        ({"x": "shore"}, "did you mean 'share'"),
        ({"z": "acuracy"}, "did you mean 'accuracy'"),
        ({"level": 1.0}, "accuracy lies between 0 and 1 and never crosses 1"),
        ({"along": "sideways"}, "way of accuracy along share: 'sideways'"),
    ],
)
def test_a_phase_diagram_that_cannot_be_is_refused_at_its_declaration(changes: dict[str, Any], says: str) -> None:
    figure = dataclasses.replace(PHASE, **changes)
    with pytest.raises(TaskError, match=re.escape(says)):
        experiment_of(params=PARAMS, metrics=[ACCURACY], figures=[figure])


def test_a_phase_diagram_that_no_grid_fills_is_refused() -> None:
    experiment = experiment_of(params=PARAMS, metrics=[ACCURACY], figures=[dataclasses.replace(PHASE, where={"rate": 9.0})])
    with pytest.raises(TaskError, match="figure phase: no grid of any scale plans any method with rate = 9"):
        check(task_of(experiment=experiment, grids=lambda train: [Grid(train, axes=GRID)]), "laptop")
