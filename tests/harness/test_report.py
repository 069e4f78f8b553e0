"""What people and programs read: tables, figures, HTML and the terminal."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness import report
from harness.errors import UsageError
from harness.estimates import Mean, Of
from harness.evidence import Evidence
from harness.plan import DataRef, TrialSpec
from harness.report.drawings import drawings
from harness.report.figures import Plot, plot
from harness.report.plots import _look, svg
from harness.report.provenance import failures, provenance
from harness.report.strip import strip
from harness.stats import seed_interval
from harness.study import Study
from harness.task import Above, Claim, Figure, Grid, Paper, Scale
from harness.verdict import Verdict, decide
from tests.harness.fabricated import DATA, difference_claim, realistic_study, study_of, task_of

FILES = {"leaderboard.md", "leaderboard.csv", "verdicts.md", "verdicts.csv", "report.html"}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return realistic_study(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def files(study: Study) -> dict[str, str]:
    return {name: Path(path).read_text() for name, path in report.write(study).items()}


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_every_file_is_written(files: dict[str, str]) -> None:
    assert set(files) > FILES
    assert {name for name in files if name.startswith("plots/")} == {
        f"plots/mup-weight-decay-transfer-laptop-{figure}.svg" for figure in ("gain", "loss", "curve")
    }


def test_verdicts_csv_is_what_was_decided_at_full_precision(study: Study, files: dict[str, str]) -> None:
    found = {row["claim"]: row for row in rows(files["verdicts.csv"])}
    for verdict in decide(study):
        row = found.pop(verdict.claim)
        assert (row["verdict"], row["scale"], row["data_kind"]) == (verdict.verdict, "laptop", verdict.data_kind)
        assert [float(row[key]) for key in ("estimate", "low", "high")] == pytest.approx(
            [verdict.interval.estimate, verdict.interval.low, verdict.interval.high], nan_ok=True, rel=1e-15
        )
        assert row["published"] == ("" if verdict.published is None else str(verdict.published))
        assert {"task", "n", "unit", "holds", "decides", "source", "reason", "statement"} <= set(row)
    assert not found


def test_the_realistic_study_ends_in_every_verdict(files: dict[str, str]) -> None:
    assert {row["verdict"] for row in rows(files["verdicts.csv"])} == {"reproduced", "not reproduced", "inconclusive", "not tested"}


def test_leaderboard_csv_is_long(files: dict[str, str]) -> None:
    found = rows(files["leaderboard.csv"])
    assert [(row["method"], row["statistic"], row["rank"]) for row in found][:2] == [
        ("sqrt-width", "gain exponent", "1"),
        ("sqrt-width", "loss at 512", "1"),
    ]
    linear = next(row for row in found if (row["method"], row["statistic"]) == ("linear-width", "loss at 512"))
    assert (linear["n"], linear["lost"], linear["trials_ok"], linear["trials_failed"]) == ("3", "2", "38", "2")


def test_markdown_tables_have_as_many_cells_as_headings(files: dict[str, str]) -> None:
    for name in ("leaderboard.md", "verdicts.md"):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in files[name].splitlines() if line.startswith("|")}
        assert len(widths) == 1


def test_reports_say_that_a_reduced_scale_decides_a_direction(files: dict[str, str]) -> None:
    for name in ("verdicts.md", "report.html"):
        assert "decide a direction, never the paper" in files[name]


def test_the_papers_scale_on_real_data_may_decide_its_number(tmp_path: Path) -> None:
    scales = {"paper": Scale(description="", grids=[Grid(data="corpus")], seeds=3, time_limit_s=1.0)}
    task = task_of(claims=[difference_claim()], scales=scales)
    found = study_of(tmp_path, task, lambda _: {"loss": 1.0}, scale="paper", data={"corpus": DataRef("corpus", "", "real", "f00")})
    text = Path(report.write(found)["verdicts.md"]).read_text()
    assert "decide the paper's own numbers" in text
    assert "direction" not in text


class Page(HTMLParser):
    """Attributes that load something, ids, and whether tags close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.unlabelled = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.loads += [str(given[key]) for key in ("src", "srcset", "data") if key in given] + ([tag] if tag in ("link", "script") else [])
        self.ids += [str(given["id"])] if "id" in given else []
        self.unlabelled += given.get("role") == "img" and not given.get("aria-label")
        if tag not in ("meta", "br", "rect", "line", "circle", "path", "use"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in ("rect", "line", "circle", "path", "use"):
            return
        assert self.open.pop() == tag


def test_the_html_file_stands_alone_and_is_well_formed(files: dict[str, str]) -> None:
    page = Page(files["report.html"])
    assert page.open == []
    assert page.loads == []
    assert len(page.ids) == len(set(page.ids))
    assert page.unlabelled == 0
    assert not re.search(r"url\((?!#)|@import", files["report.html"])
    anchors = set(re.findall(r'(?<!xlink:)href="#([^"]+)"', files["report.html"]))
    assert anchors <= set(page.ids)


def test_verdicts_are_words_and_not_colours_alone(files: dict[str, str]) -> None:
    badges = re.findall(r'class="badge [a-z-]+"><span aria-hidden="true">.</span> ([a-z ]+)<', files["report.html"])
    assert len(badges) == 10
    assert set(badges) == {"reproduced", "not reproduced", "inconclusive", "not tested"}


def test_html_escapes_what_users_write(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script> & | more"
    paper = Paper(arxiv="1234.56789", title=evil, year=2025)
    figure = Figure(id="f", title=evil, x="width", y="loss", caption=evil)
    task = task_of(paper=paper, summary=evil, claims=[difference_claim(statement=evil, source=evil, unit=evil)], figures=[figure])
    change = lambda _: {"error": f"{evil}\nTraceback", "host": evil}  # noqa: E731
    found = study_of(tmp_path, task, lambda t: "failed" if t.seed == 0 else {"loss": 1.0}, change=change)
    files = report.write(found)
    assert "<script" not in Path(files["report.html"]).read_text()
    assert "&lt;script&gt;alert(1)" in Path(files["report.html"]).read_text()


def test_the_report_is_the_same_on_every_run(tmp_path: Path, study: Study, files: dict[str, str]) -> None:
    again = realistic_study(tmp_path)
    again = replace(again, store=study.store)
    assert {name: Path(path).read_text() for name, path in report.write(again).items()} == files


POOR = {
    "no records": (None, 5),
    "all failed": ("failed", 5),
    "one seed": ({"loss": 1.0}, 1),
    "no metrics": ({}, 5),
    "only NaN": ({"loss": math.nan}, 5),
}


@pytest.mark.parametrize(("left", "seeds"), POOR.values(), ids=POOR)
def test_poor_studies_still_have_a_report(tmp_path: Path, left: Any, seeds: int) -> None:
    figures = [Figure(id="f", title="f", x="width", y="loss", log_x=True, log_y=True), Figure(id="s", title="s", x="step", y="loss")]
    found = study_of(tmp_path, task_of(claims=[difference_claim()], figures=figures), lambda _: left, seeds=seeds)
    assert set(report.write(found)) >= FILES
    report.terminal(found, Console(file=io.StringIO(), width=140))


def test_several_tasks_have_a_section_each(tmp_path: Path) -> None:
    other = task_of(id="other", claims=[difference_claim(id="other-gap")], paper=Paper(arxiv="2401.00001", title="Another", year=2024))
    files = report.write(study_of(tmp_path, [task_of(claims=[difference_claim()]), other], lambda t: {"loss": 1.0 + t.seed}))
    text = Path(files["report.html"]).read_text()
    assert 'id="toy-laptop"' in text
    assert 'id="other-laptop"' in text
    assert "arXiv 2401.00001" in text
    assert {row["task"] for row in rows(Path(files["leaderboard.csv"]).read_text())} == {"toy", "other"}


def figure_of(folder: Path, figure: Figure, outcome: Any, **options: Any) -> Any:
    scales = {"laptop": Scale(description="", grids=[Grid(axes={"width": [8, 16], "setting": ["ffn", "lm"]})], seeds=3, time_limit_s=1.0)}
    task = task_of(figures=[figure], scales=scales)
    found = study_of(folder, task, outcome, **options)
    return plot(Evidence(found, task, "laptop"), figure, found.curves)


def loss(trial: TrialSpec) -> dict[str, float]:
    return {"loss": trial.params["width"] + (trial.params["setting"] == "lm") + 0.1 * trial.seed}


def test_a_figure_shows_the_mean_over_seeds_and_its_interval(tmp_path: Path) -> None:
    plot = figure_of(tmp_path, Figure(id="f", title="f", x="width", y="loss"), loss)
    left = plot.series[0]
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
    plot = figure_of(tmp_path, Figure(id="f", title="f", x="width", y="loss", where={"setting": "lm"}), loss)
    assert plot.series[0].mean[0] == pytest.approx(9.1)


def test_a_measured_axis_places_a_point_where_its_seeds_came_out(tmp_path: Path) -> None:
    def outcome(trial: TrialSpec) -> dict[str, float]:
        # What is asked for (8, 16) is reached at 80 and 40 by the left method: its points change their order.
        reached = {8: 80.0, 16: 40.0}[trial.params["width"]] if trial.method == "left" else 5.0 * trial.params["width"]
        return loss(trial) | {"reached": reached + trial.seed}

    figure = Figure(id="f", title="f", x="width", y="loss", at="reached", where={"setting": "ffn"}, methods=("left",))
    plot = figure_of(tmp_path, figure, outcome)
    (left,) = plot.series
    assert (left.x, plot.x_label) == ([41.0, 81.0], "reached")
    assert left.mean == pytest.approx([16.1, 8.1])
    assert ">41</text>" not in svg(plot, ["left", "right"]), "measured places are no ticks"


def test_claims_that_a_scale_cannot_test_are_folded_away(tmp_path: Path) -> None:
    claims = [difference_claim(id="here"), difference_claim(id="elsewhere", scales=("paper",))]
    mixed = report.write(study_of(tmp_path / "mixed", task_of(claims=claims), lambda _: {"loss": 1.0}))
    text = Path(mixed["report.html"]).read_text()
    folded = "".join(re.findall(r"<details>.*?</details>", text, flags=re.DOTALL))
    assert 'id="toy-laptop-elsewhere"' in folded
    assert 'id="toy-laptop-here"' in text.replace(folded, "")
    assert 'id="toy-laptop-here"' not in folded
    alone = report.write(study_of(tmp_path / "alone", task_of(claims=claims[1:]), lambda _: {"loss": 1.0}))
    assert "<details open><summary>1 not tested" in Path(alone["report.html"]).read_text(), "nothing else to show"


def test_many_methods_look_different() -> None:
    methods = [f"method-{i}" for i in range(24)]
    plot = Plot("id", "", "", "x", "y", False, False, False, False, [])
    looks = {tuple(_look(method, methods, plot, joined=True)[key] for key in ("color", "linestyle", "marker")) for method in methods}
    assert len(looks) == len(methods)


def test_a_figure_of_an_unknown_method_is_refused() -> None:
    with pytest.raises(UsageError, match="did you mean 'left'"):
        task_of(figures=[Figure(id="f", title="f", x="width", y="loss", methods=("lift",))])


def test_words_make_an_axis_too(tmp_path: Path) -> None:
    plot = figure_of(tmp_path, Figure(id="f", title="f", x="setting", y="loss"), loss)
    assert plot.series[0].x == ["ffn", "lm"]
    assert ">ffn</text>" in svg(plot, ["left", "right"])


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


def test_plots_carry_no_outside_reference_and_repeat_exactly(study: Study) -> None:
    first, second = ({d.id: d.svg for figures in drawings(study) for d in figures} for _ in range(2))
    assert first
    assert first == second
    for text in first.values():
        addresses = set(re.findall(r"https?://[^\"<\s]+", text))
        assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
        assert re.findall(r"fill: (?:#|var\(--m)", text)


def verdict_with(values: list[float], published: float | None, folder: Path) -> Verdict:
    claim = Claim(id="c", statement="", source="", estimate=Of("left", Mean("loss")), holds=Above(0.0), published=published)
    task = task_of(claims=[claim])
    (found,) = decide(study_of(folder, task, lambda t: {"loss": values[t.seed]}, seeds=len(values)))
    return found


def test_the_strip_keeps_the_order_of_its_marks(tmp_path: Path) -> None:
    drawn = strip(verdict_with([0.1, 0.2, 0.3], 0.5, tmp_path), Above(0.0))
    assert drawn is not None
    assert drawn.interval is not None
    assert drawn.published is not None
    assert 0 < drawn.interval[0] < drawn.marks[0][0] < drawn.estimate < drawn.interval[1] < drawn.published < 100
    assert drawn.region == (drawn.marks[0][0], 100.0)
    assert not drawn.published_beyond


def test_a_far_published_value_does_not_squash_the_strip(tmp_path: Path) -> None:
    drawn = strip(verdict_with([0.1, 0.2, 0.3], 1e4, tmp_path), Above(0.0))
    assert drawn is not None
    assert drawn.interval is not None
    assert drawn.published_beyond
    assert drawn.interval[1] - drawn.interval[0] > 50


def test_provenance_warns_of_mixtures(tmp_path: Path) -> None:
    def change(trial: TrialSpec) -> dict[str, Any]:
        versions = {"torch": "2.12.0" if trial.seed else "2.13.0"}
        return {"source_digest": f"digest-{trial.seed % 2}", "versions": versions, "git_dirty": trial.seed == 1}

    found = provenance(study_of(tmp_path, task_of(), lambda _: {"loss": 1.0}, change=change))
    text = " ".join(found.warnings)
    assert "2 different versions of its source (digest-0, digest-1)" in text
    assert "different library versions" in text
    assert "uncommitted changes" in text
    assert provenance(study_of(tmp_path, task_of(), lambda _: {"loss": 1.0})).warnings == []


def test_provenance_names_data_code_and_cost(study: Study) -> None:
    found = provenance(study)
    assert {(data.name, data.kind, data.fingerprint, data.trials) for data in found.data} == {
        ("made by the experiment", "synthetic", "", 60),
        ("tiny-stories", "stand-in", DATA["tiny-stories"].fingerprint, 60),
    }
    facts = dict(found.facts)
    assert facts["records"] == "120 of 120 planned trials (118 ok, 1 diverged, 1 oom)"
    assert facts["total trial time"] == "5 min"
    assert facts["commit"] == "7c0d9e1f4b2a"
    assert json.loads(study.frame["versions"].iloc[0])["torch"] in facts["versions"]


def test_failed_trials_show_their_first_line(study: Study) -> None:
    found, count = failures(study)
    assert count == 2
    assert [(f.status, f.seed, f.params, f.error) for f in found] == [
        ("diverged", 1, "width = 512, setting = lm", "RuntimeError: made to end diverged"),
        ("oom", 3, "width = 512, setting = lm", "RuntimeError: made to end oom"),
    ]


def test_the_terminal_shows_the_paper_beside_ours(study: Study) -> None:
    sink = io.StringIO()
    report.terminal(study, Console(file=sink, width=140))
    line = next(line for line in sink.getvalue().splitlines() if "constant-decay-keeps-gain" in line and "not reproduced" in line)
    assert "0.48" in line
    assert "laptop" in line
    assert "synthetic" in line
    assert "never the paper's number" in sink.getvalue()


def test_the_terminal_names_what_is_not_tested_in_one_line(tmp_path: Path) -> None:
    claims = [difference_claim(id="here"), *(difference_claim(id=f"elsewhere-{i}", scales=("paper",), note="long") for i in range(9))]
    sink = io.StringIO()
    report.terminal(study_of(tmp_path, task_of(claims=claims), lambda _: {"loss": 1.0}), Console(file=sink, width=140))
    lines = [line for line in sink.getvalue().splitlines() if "elsewhere-" in line]
    assert len(lines) <= 2
    assert "long" not in sink.getvalue()
    alone = io.StringIO()
    report.terminal(study_of(tmp_path, task_of(claims=claims[1:2]), lambda _: {"loss": 1.0}), Console(file=alone, width=140))
    assert "elsewhere-0: " in alone.getvalue(), "with nothing else to show, the reason is"
