"""Spectra, example traces and matrices in a report: what was logged, and from which trials."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

from harness import report
from harness.errors import UsageError
from harness.evidence import Evidence
from harness.plan import TrialSpec
from harness.report import figures, panels, plots
from harness.report.drawings import drawings
from harness.report.grids import MatrixGrid, TraceGrid, matrices, traces
from harness.study import Study
from harness.task import Figure, Grid, Matrix, Scale, Span, Traces
from tests.harness.fabricated import study_of, task_of

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
    scales = {"laptop": Scale(description="", grids=[Grid(axes={"width": [8, 16]})], seeds=3, time_limit_s=1.0)}
    task = task_of(figures=[SPECTRUM, EXAMPLES, CONFUSION], scales=scales)
    return study_of(tmp_path, task, lambda _: {"loss": 1.0}, curve=curve)


def evidence(study: Study) -> Evidence:
    return Evidence(study, study.tasks["toy"], "laptop")


def test_a_spectrum_has_its_bands_and_its_own_axis(study: Study) -> None:
    plot = figures.plot(evidence(study), SPECTRUM, study.curves)
    assert (plot.x_label, plot.y_label) == ("frequency (Hz)", "power (uV^2/Hz)")
    assert plot.series[0].x == [float(f) for f in range(20)]
    text = plots.svg(plot, ["left", "right"])
    for word in ("theta", "alpha", "frequency (Hz)"):
        assert f">{word}</text>" in text


def test_traces_are_of_the_first_seed_and_never_averaged(study: Study) -> None:
    grid = traces(evidence(study), EXAMPLES, study.curves)
    assert grid.methods == ["left", "right"]
    assert set(grid.lines["eye", "left"][1]) == {0.0}
    assert set(grid.lines["eye", "right"][1]) == {10.0}
    assert grid.lines["muscle", "left"][0] == [i / 10 for i in range(10)]


def test_a_matrix_is_the_mean_over_seeds_of_the_trials_asked_for(study: Study) -> None:
    grid = matrices(evidence(study), CONFUSION, study.curves)
    cell = grid.cells["left", 0, 0]
    assert math.isclose(cell.estimate, 0.7)
    assert math.isclose(cell.high - cell.low, 2 * 4.302653 * 0.1 / math.sqrt(3), rel_tol=1e-6)
    assert cell.n == 3
    assert grid.cells["right", 1, 1].estimate == 1.0


def test_each_panel_is_named_and_a_matrix_says_its_shares(study: Study) -> None:
    methods = ["left", "right"]
    text = panels.matrix_svg(matrices(evidence(study), CONFUSION, study.curves))
    for word in ("left", "right", "asked for", "found", "70", "30"):
        assert f">{word}</text>" in text
    text = panels.trace_svg(traces(evidence(study), EXAMPLES, study.curves), methods)
    for word in ("left", "right", "eye", "muscle", "s"):
        assert f">{word}</text>" in text
    assert len(set(re.findall(r"var\(--m(\d)", text))) == len(methods), "a colour a method"


def test_figures_of_all_kinds_are_written_and_repeat(study: Study) -> None:
    first, second = drawings(study)[0], drawings(study)[0]
    assert [drawing.svg for drawing in first] == [drawing.svg for drawing in second]
    files = report.write(study)
    assert {name for name in files if name.startswith("plots/")} == {
        f"plots/toy-laptop-{name}.svg" for name in ("spectrum", "examples", "confusion")
    }
    page = Path(files["report.html"]).read_text()
    assert "0.70 [0.45, 0.95]" in page, "the numbers of a matrix are there as text"


@pytest.mark.parametrize("figure", [EXAMPLES, CONFUSION, SPECTRUM], ids=lambda figure: figure.id)
def test_nothing_logged_is_an_empty_figure(tmp_path: Path, figure: Any) -> None:
    task = task_of(figures=[figure], scales={"laptop": Scale(description="", grids=[Grid()], seeds=2, time_limit_s=1.0)})
    study = study_of(tmp_path, task, lambda _: {"loss": 1.0})
    assert drawings(study)[0][0].svg == ""
    assert "No records for this figure yet" in Path(report.write(study)["report.html"]).read_text()


def test_many_panels_take_the_page() -> None:
    many = [f"m{i}" for i in range(11)]
    grid = TraceGrid(id="g", rows=["a"], methods=many, lines={("a", name): ([0.0, 1.0], [0.0, 1.0]) for name in many}, x_label="s")
    width = float(re.findall(r'viewBox="0 0 ([0-9.]+)', panels.trace_svg(grid, many))[0])
    assert width > 72 * 10
    empty = MatrixGrid(id="m", rows=["a"], columns=["b"], methods=many, cells={}, x_label="", y_label="")
    assert all(f">{name}</text>" in panels.matrix_svg(empty) for name in many)


@pytest.mark.parametrize("kind", [lambda **f: Traces(ys=(), **f), lambda **f: Matrix(rows=(), columns=(), **f)], ids=["traces", "matrix"])
def test_a_grid_of_an_unknown_method_is_refused(kind: Any) -> None:
    with pytest.raises(UsageError, match="did you mean 'left'"):
        task_of(figures=[kind(id="f", title="f", methods=("lift",))])
