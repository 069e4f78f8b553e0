"""Figures of a report: which trials they show, and what is drawn of them."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

from harness import report
from harness.errors import TaskError
from harness.evidence import Evidence
from harness.judgement import judge
from harness.plan import TrialSpec
from harness.report.figures import LineFigure, MatrixGrid, Series, TraceGrid, figures_of, line_figure, matrix_grid, metric_label, trace_grid
from harness.report.plots import _look, line_svg, matrix_svg, plots_of, trace_svg
from harness.stats import seed_interval
from harness.study import Study
from harness.sweeps import Sweep
from harness.task import Experiment, Figure, Grid, Matrix, Metric, Scale, Span, Traces
from tests.harness.fabricated import Outcome, experiment_of, realistic_study, study_of, task_of

SPECTRUM = Figure(
    id="spectrum",
    title="Spectra",
    x="step",
    y="psd",
    x_label="frequency (Hz)",
    y_label="power (uV^2/Hz)",
    spans=(Span(4.0, 8.0, "theta"), Span(8.0, 13.0, "alpha")),
    log_y=True,
    where={"width": 8},
)
EXAMPLES = Traces(id="examples", title="Examples", ys=(("eye", "trace_eye"), ("muscle", "trace_muscle")), x_label="s", where={"width": 8})
CONFUSION = Matrix(
    id="confusion",
    title="Confusion",
    rows=("eye", "muscle"),
    columns=(("eye", "as_eye"), ("muscle", "as_muscle")),
    where={"width": 8},
    x_label="found",
    y_label="asked for",
)


def curve(trial: TrialSpec) -> list[dict[str, float]]:
    """A spectrum, two traces and a confusion matrix, over axes that share their numbers."""
    shift = 10.0 * (trial.method == "right")
    share = 0.6 + 0.1 * trial.seed + (5.0 if trial.params["width"] == 16 else 0.0)
    rows = [{"step": float(f), "psd": 1.0 / (f + 1.0)} for f in range(20)]
    rows += [{"step": i / 10, "trace_eye": shift + trial.seed, "trace_muscle": math.sin(i)} for i in range(10)]
    return [*rows, {"step": 0.0, "as_eye": share, "as_muscle": 1.0 - share}, {"step": 1.0, "as_eye": 0.0, "as_muscle": 1.0}]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    task = task_of(figures=[SPECTRUM, EXAMPLES, CONFUSION], grids=lambda train: [Grid(train, axes={"width": [8, 16]})], seeds=3)
    return study_of(tmp_path, task, lambda _: {"loss": 1.0}, curve=curve)


def evidence(study: Study) -> Evidence:
    return Evidence(study, study.tasks["toy"], "laptop")


def train(study: Study) -> Experiment:
    return study.tasks["toy"].experiment("train")


def test_a_spectrum_has_its_bands_and_its_own_axis(study: Study) -> None:
    figure = line_figure(evidence(study), train(study), SPECTRUM)
    assert (figure.x_label, figure.y_label) == ("frequency (Hz)", "power (uV^2/Hz)")
    assert figure.series[0].x == [float(f) for f in range(20)]
    text = line_svg(figure, ["left", "right"])
    for word in ("theta", "alpha", "frequency (Hz)"):
        assert f">{word}</text>" in text


def test_traces_are_of_the_first_seed_and_never_averaged(study: Study) -> None:
    grid = trace_grid(evidence(study), train(study), EXAMPLES)
    assert grid.methods == ["left", "right"]
    assert set(grid.lines["eye", "left"][1]) == {0.0}
    assert set(grid.lines["eye", "right"][1]) == {10.0}
    assert grid.lines["muscle", "left"][0] == [i / 10 for i in range(10)]


def test_a_matrix_is_the_mean_over_seeds_of_the_trials_asked_for(study: Study) -> None:
    grid = matrix_grid(evidence(study), train(study), CONFUSION)
    cell = grid.cells["left", 0, 0]
    assert math.isclose(cell.estimate, 0.7)
    assert math.isclose(cell.high - cell.low, 2 * 4.302653 * 0.1 / math.sqrt(3), rel_tol=1e-6)
    assert cell.n == 3
    assert grid.cells["right", 1, 1].estimate == 1.0


def test_each_panel_is_named_and_a_matrix_says_its_shares(study: Study) -> None:
    methods = ["left", "right"]
    text = matrix_svg(matrix_grid(evidence(study), train(study), CONFUSION))
    for word in ("left", "right", "asked for", "found", "70", "30"):
        assert f">{word}</text>" in text
    text = trace_svg(trace_grid(evidence(study), train(study), EXAMPLES), methods)
    for word in ("left", "right", "eye", "muscle", "s"):
        assert f">{word}</text>" in text
    assert len(set(re.findall(r"var\(--m(\d)", text))) == len(methods), "a colour a method"


def test_figures_of_all_kinds_are_written_and_repeat(study: Study) -> None:
    first, second = (plots_of(evidence(study))["train"] for _ in range(2))
    assert [plot.svg for plot in first] == [plot.svg for plot in second]
    files = report.write(study.store, report.files(judge(study)))
    assert {name for name in files if name.startswith("plots/")} == {
        f"plots/toy-laptop-{name}.svg" for name in ("spectrum", "examples", "confusion")
    }
    page = Path(files["report.html"]).read_text()
    assert "0.70 [0.45, 0.95]" in page, "the numbers of a matrix are there as text"


@pytest.mark.parametrize("figure", [EXAMPLES, CONFUSION, SPECTRUM], ids=lambda figure: figure.id)
def test_nothing_logged_is_an_empty_figure(tmp_path: Path, figure: Any) -> None:
    task = task_of(figures=[figure], grids=lambda train: [Grid(train, axes={"width": [8]})], seeds=2)
    study = study_of(tmp_path, task, lambda _: {"loss": 1.0})
    (plot,) = plots_of(evidence(study))["train"]
    assert (plot.svg, plot.planned) == ("", True)
    assert "No records for this figure yet" in Path(report.write(study.store, report.files(judge(study)))["report.html"]).read_text()


def test_many_panels_take_the_page() -> None:
    many = [f"m{i}" for i in range(11)]
    grid = TraceGrid(id="g", rows=["a"], methods=many, lines={("a", name): ([0.0, 1.0], [0.0, 1.0]) for name in many}, x_label="s")
    width = float(re.findall(r'viewBox="0 0 ([0-9.]+)', trace_svg(grid, many))[0])
    assert width > 72 * 10
    empty = MatrixGrid(id="m", rows=["a"], columns=["b"], methods=many, cells={}, x_label="", y_label="")
    assert all(f">{name}</text>" in matrix_svg(empty) for name in many)


@pytest.mark.parametrize("kind", [lambda **f: Traces(ys=(), **f), lambda **f: Matrix(rows=(), columns=(), **f)], ids=["traces", "matrix"])
def test_a_grid_of_an_unknown_method_is_refused(kind: Any) -> None:
    with pytest.raises(TaskError, match="did you mean 'left'"):
        task_of(figures=[kind(id="f", title="f", methods=("lift",))])


def figure_of(folder: Path, figure: Figure, outcome: Any, **options: Any) -> Any:
    task = task_of(
        metrics=[Metric("loss", "nats", "lower"), Metric("reached", "", "none", optional=True)],
        figures=[figure],
        grids=lambda train: [Grid(train, axes={"width": [8, 16], "setting": ["ffn", "lm"]})],
        seeds=3,
    )
    (ruling,) = judge(study_of(folder, task, outcome, **options)).rulings
    return line_figure(ruling.evidence, task.experiments[0], figure)


def loss(trial: TrialSpec) -> dict[str, float]:
    return {"loss": trial.params["width"] + (trial.params["setting"] == "lm") + 0.1 * trial.seed}


def test_a_figure_shows_the_mean_over_seeds_and_its_interval(tmp_path: Path) -> None:
    drawn = figure_of(tmp_path, Figure(id="f", title="f", x="width", y="loss"), loss)
    left = drawn.series[0]
    expected = seed_interval([8.5, 8.6, 8.7])
    assert (left.method, left.x, left.seeds, left.planned) == ("left", [8, 16], [3, 3], [3, 3])
    assert (left.mean[0], left.low[0], left.high[0]) == pytest.approx((expected.estimate, expected.low, expected.high))


def test_a_figure_drops_a_seed_that_lost_a_cell_instead_of_averaging_the_rest(tmp_path: Path) -> None:
    def outcome(trial: TrialSpec) -> Any:
        lost = (trial.method, trial.params["width"], trial.params["setting"], trial.seed) == ("left", 16, "lm", 2)
        return "diverged" if lost else loss(trial)

    left = figure_of(tmp_path, Figure(id="f", title="f", x="width", y="loss"), outcome).series[0]
    assert left.seeds == [3, 2]
    assert left.mean[1] == pytest.approx(16.55)


def test_a_figure_keeps_to_its_rows(tmp_path: Path) -> None:
    drawn = figure_of(tmp_path, Figure(id="f", title="f", x="width", y="loss", where={"setting": "lm"}), loss)
    assert drawn.series[0].mean[0] == pytest.approx(9.1)


def test_a_measured_axis_places_a_point_where_its_seeds_came_out(tmp_path: Path) -> None:
    def outcome(trial: TrialSpec) -> dict[str, float]:
        # What is asked for (8, 16) is reached at 80 and 40 by the left method: its points change their order.
        reached = {8: 80.0, 16: 40.0}[trial.params["width"]] if trial.method == "left" else 5.0 * trial.params["width"]
        return loss(trial) | {"reached": reached + trial.seed}

    figure = Figure(id="f", title="f", x="width", y="loss", at="reached", where={"setting": "ffn"}, methods=("left",))
    drawn = figure_of(tmp_path, figure, outcome)
    (left,) = drawn.series
    assert (left.x, drawn.x_label) == ([41.0, 81.0], "reached")
    assert left.mean == pytest.approx([16.1, 8.1])
    assert ">41</text>" not in line_svg(drawn, ["left", "right"]), "measured places are no ticks"


@pytest.mark.parametrize("how", ["measured", "many values", "curves"])
def test_ticks_of_a_logarithmic_axis_are_plain_numbers(how: str) -> None:
    x = [10.0**i for i in range(3)] if how == "measured" else [2.0**i for i in range(12)]
    y = [1.0 + i for i in range(len(x))]
    series = Series("left", x, y, y, y, [3] * len(x), [3] * len(x))
    drawn = LineFigure(
        id="f",
        title="f",
        x_label="x",
        y_label="y",
        series=[series],
        log_x=True,
        log_y=True,
        measured_x=how == "measured",
        curves=how == "curves",
    )
    svg = line_svg(drawn, ["left"])
    assert "mathdefault" not in svg
    assert ">10</text>" in svg


def test_many_methods_look_different() -> None:
    methods = [f"method-{i}" for i in range(24)]
    figure = LineFigure(id="id", title="", x_label="x", y_label="y", series=[])
    looks = {tuple(_look(method, methods, figure, joined=True)[key] for key in ("color", "linestyle", "marker")) for method in methods}
    assert len(looks) == len(methods)


def test_a_figure_of_an_unknown_method_is_refused() -> None:
    with pytest.raises(TaskError, match="did you mean 'left'"):
        task_of(figures=[Figure(id="f", title="f", x="width", y="loss", methods=("lift",))])


def test_words_make_an_axis_too(tmp_path: Path) -> None:
    drawn = figure_of(tmp_path, Figure(id="f", title="f", x="setting", y="loss"), loss)
    assert drawn.series[0].x == ["ffn", "lm"]
    assert ">ffn</text>" in line_svg(drawn, ["left", "right"])


def test_a_curve_ends_where_its_first_trial_stopped(tmp_path: Path) -> None:
    def curve(trial: TrialSpec) -> list[dict[str, float]]:
        length = 2 if (trial.method, trial.seed) == ("left", 1) else 5
        return [{"step": float(step), "loss": step + trial.seed} for step in range(length)]

    figure = Figure(id="f", title="f", x="step", y="loss", where={"setting": "lm", "width": 8})
    left, right = figure_of(tmp_path, figure, loss, curve=curve).series
    assert (left.x, left.mean) == ([0.0, 1.0], [1.0, 2.0])
    assert right.x == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_long_curves_are_thinned_and_keep_their_ends(tmp_path: Path) -> None:
    curve = lambda _: [{"step": float(step), "loss": 1.0} for step in range(5000)]  # noqa: E731
    series = figure_of(tmp_path, Figure(id="f", title="f", x="step", y="loss", where={"width": 8}), loss, curve=curve).series[0]
    assert len(series.x) <= 240
    assert (series.x[0], series.x[-1]) == (0.0, 4999.0)


def test_plots_carry_no_outside_reference_and_repeat_exactly(tmp_path: Path) -> None:
    (ruling,) = judge(realistic_study(tmp_path)).rulings
    first, second = ({plot.id: plot.svg for plot in plots_of(ruling.evidence)["train"]} for _ in range(2))
    assert first
    assert first == second
    for text in first.values():
        addresses = set(re.findall(r"https?://[^\"<\s]+", text))
        assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
        assert re.findall(r"fill: (?:#|var\(--m)", text)


def sweep_study(folder: Path, views: bool) -> Study:
    """A sweep of the width over two settings; the right method diverges at the largest width in one seed."""

    def grids(train: Experiment) -> list[Grid]:
        axes: dict[str, list[Any]] = {"width": [8, 16, 32], "setting": ["ffn", "lm"]}
        single = Grid(train, view="one-width", axes={"width": [8]})
        return [Grid(train, view="all", axes=axes), single] if views else [Grid(train, axes=axes)]

    def outcome(trial: TrialSpec) -> Outcome:
        lost = (trial.method, trial.params["width"], trial.params["setting"], trial.seed) == ("right", 32, "lm", 0)
        return "diverged" if lost else loss(trial)

    return study_of(folder, task_of(tuned=Sweep("width", by="loss"), grids=grids, seeds=3), outcome)


def test_a_sweep_is_drawn_where_no_figure_is_declared(tmp_path: Path) -> None:
    study = sweep_study(tmp_path, views=False)
    (figure,) = figures_of(evidence(study), train(study))
    assert isinstance(figure, Figure)
    assert (figure.id, figure.x, figure.y, figure.log_x) == ("sweep-train-width", "width", "loss", True)
    assert "mean over setting" in figure.caption
    left, right = line_figure(evidence(study), train(study), figure).series
    assert (left.x, left.seeds) == ([8, 16, 32], [3, 3, 3])
    assert right.seeds == [3, 3, 2]
    (plot,) = plots_of(evidence(study))["train"]
    assert "Hollow" in plot.caption


def test_a_sweep_is_drawn_once_for_each_view_that_sweeps(tmp_path: Path) -> None:
    study = sweep_study(tmp_path, views=True)
    figures = figures_of(evidence(study), train(study))
    assert [(figure.id, figure.view) for figure in figures] == [("sweep-train-all-width", "all")]


def test_a_figure_shows_the_trials_of_its_view(tmp_path: Path) -> None:
    study = sweep_study(tmp_path, views=True)
    figure = Figure(id="f", title="f", x="width", y="loss", view="one-width")
    assert line_figure(evidence(study), train(study), figure).series[0].x == [8]


def test_a_figure_that_the_scale_does_not_plan_is_only_named(tmp_path: Path) -> None:
    absent = Figure(id="f", title="Large widths", x="width", y="loss", where={"width": 4096})
    train = experiment_of(figures=[absent])
    scales = {
        name: Scale(description="", grids=[Grid(train, axes={"width": [width]})], seeds=2, time_limit_s=1.0)
        for name, width in (("laptop", 8), ("paper", 4096))
    }
    study = study_of(tmp_path, task_of(experiment=train, scales=scales), lambda _: {"loss": 1.0})
    (plot,) = plots_of(evidence(study))["train"]
    assert not plot.planned
    text = Path(report.write(study.store, report.files(judge(study)))["report.html"]).read_text()
    assert "plans no trial: Large widths." in text
    assert "<figcaption>" not in text


def test_an_axis_does_not_say_a_unit_that_is_its_name() -> None:
    metrics = [Metric("bits", "bits", "lower"), Metric("test_loss", "nats", "lower"), Metric("share", "", "none")]
    experiment = experiment_of(metrics=metrics)
    assert [metric_label(experiment, name) for name in ("bits", "test_loss", "share")] == ["bits", "test loss (nats)", "share"]
