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
from harness.estimates import Mean, Of
from harness.judgement import judge
from harness.plan import DataRef, TrialSpec
from harness.report.html import trial_rows, verdict_bar
from harness.report.origins import failures, provenance, warnings
from harness.report.verdicts import estimate
from harness.study import Study
from harness.task import Above, Claim, Experiment, Figure, Grid, Metric, Paper, Within
from harness.verdict import Verdict
from tests.harness.fabricated import DATA, difference_claim, experiment_of, noise, realistic_study, study_of, task_of, verdicts_of

FILES = {"leaderboard.md", "leaderboard.csv", "verdicts.md", "verdicts.csv", "report.html"}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return realistic_study(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def files(study: Study) -> dict[str, str]:
    return {name: Path(path).read_text() for name, path in written(study).items()}


def written(study: Study) -> dict[str, str]:
    return report.write(study.store, report.files(judge(study)))


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_every_file_is_written(files: dict[str, str]) -> None:
    assert set(files) > FILES
    assert {name for name in files if name.startswith("plots/")} == {
        f"plots/mup-weight-decay-transfer-laptop-{figure}.svg" for figure in ("gain", "loss", "curve")
    }


def test_verdicts_csv_is_what_was_decided_at_full_precision(study: Study, files: dict[str, str]) -> None:
    found = {row["claim"]: row for row in rows(files["verdicts.csv"])}
    for verdict in verdicts_of(study):
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
    assert [(row["experiment"], row["method"], row["statistic"], row["rank_low"], row["rank_high"]) for row in found][:2] == [
        ("train", "sqrt-width", "gain exponent", "1", "1"),
        ("train", "sqrt-width", "loss at 512", "1", "1"),
    ]
    second = [row for row in found if row["method"] == "constant"]
    assert [row["difference"] != "" for row in second] == [True, False], "of the statistic that ranks"
    assert float(second[0]["difference_low"]) < 0.15 - 0.01 < float(second[0]["difference_high"]), "distances from zero"
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
    task = task_of(claims=[difference_claim()], grids=lambda train: [Grid(train, data="corpus")], scale="paper")
    found = study_of(tmp_path, task, lambda _: {"loss": 1.0}, scale="paper", data={"corpus": DataRef("corpus", "", "real", "f00")})
    text = Path(written(found)["verdicts.md"]).read_text()
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
        self.loads += [str(given[key]) for key in ("src", "srcset", "data") if key in given] + ([tag] if tag == "link" else [])
        self.ids += [str(given["id"])] if "id" in given else []
        self.unlabelled += given.get("role") == "img" and not given.get("aria-label")
        if tag not in ("meta", "br", "input", "rect", "line", "circle", "path", "use"):
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
    files = written(found)
    page = Path(files["report.html"]).read_text()
    assert "<script>alert" not in page
    assert re.findall(r"<script[^>]*>", page) == ['<script id="trial-rows" type="application/json">', "<script>"]
    assert "&lt;script&gt;alert(1)" in page


def test_the_report_is_the_same_on_every_run(tmp_path: Path, study: Study, files: dict[str, str]) -> None:
    again = realistic_study(tmp_path)
    again = replace(again, store=study.store)
    assert {name: Path(path).read_text() for name, path in written(again).items()} == files


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
    assert set(written(found)) >= FILES
    report.terminal(judge(found), Console(file=io.StringIO(), width=140))


def test_each_experiment_has_its_own_leaderboard_and_figures(tmp_path: Path) -> None:
    figures = [Figure(id="times", title="Time of a step", x="width", y="ms")]
    train = experiment_of(summary="A network is trained.")
    time = experiment_of(name="time", metrics=[Metric("ms", "ms", "lower")], figures=figures)
    claims = [difference_claim(estimate=train.within(difference_claim().estimate))]
    task = task_of(experiment=train, experiments=[train, time], grids=lambda _: [Grid(train), Grid(time)], claims=claims)
    study = study_of(tmp_path, task, lambda t: {"loss": 1.0} if t.experiment == "train" else {"ms": 2.0 + t.seed})
    files = {name: Path(path).read_text() for name, path in written(study).items()}
    page = files["report.html"]
    order = [
        "<h3>The paper&#39;s claims",
        ">Experiment train<",
        "A network is trained.",
        ">loss (nats) ↓<",
        ">Experiment time<",
        ">ms (ms) ↓<",
        "Time of a step",
    ]
    assert [page.index(text) for text in order] == sorted(page.index(text) for text in order)
    assert page.count("<h3>The paper&#39;s claims</h3>") == 1
    assert Page(page).open == []
    assert [row["experiment"] for row in rows(files["leaderboard.csv"])] == ["train", "train", "time", "time"]
    for heading in ("## toy, experiment train, scale laptop", "## toy, experiment time, scale laptop"):
        assert heading in files["leaderboard.md"]
    sink = io.StringIO()
    report.terminal(judge(study), Console(file=sink, width=140))
    assert sink.getvalue().index("The paper's claims") < sink.getvalue().index("experiment train"), "verdicts come first"


def test_a_board_says_why_numbers_are_missing(tmp_path: Path) -> None:
    metrics = [Metric(f"m{i}", "", "lower") for i in range(6)]

    def grids(train: Experiment) -> list[Grid]:
        return [Grid(train, methods=("left",), axes={"width": [8]}), Grid(train, methods=("right",), axes={"width": [16]})]

    study = study_of(tmp_path, task_of(metrics=metrics, grids=grids), lambda _: {metric.name: 1.0 for metric in metrics})
    text = Path(written(study)["leaderboard.md"]).read_text()
    assert "methods were planned at different parameters" in text
    assert "6 statistics have no number at this scale (unequal cells)" in text


def test_several_tasks_have_a_section_each(tmp_path: Path) -> None:
    other = task_of(id="other", claims=[difference_claim(id="other-gap")], paper=Paper(arxiv="2401.00001", title="Another", year=2024))
    files = written(study_of(tmp_path, [task_of(claims=[difference_claim()]), other], lambda t: {"loss": 1.0 + t.seed}))
    text = Path(files["report.html"]).read_text()
    assert 'id="toy-laptop"' in text
    assert 'id="other-laptop"' in text
    assert "arXiv 2401.00001" in text
    assert {row["task"] for row in rows(Path(files["leaderboard.csv"]).read_text())} == {"toy", "other"}


def test_claims_that_a_scale_cannot_test_are_folded_away(tmp_path: Path) -> None:
    claims = [difference_claim(id="here"), difference_claim(id="elsewhere", scales=("paper",))]
    mixed = written(study_of(tmp_path / "mixed", task_of(claims=claims), lambda _: {"loss": 1.0}))
    text = Path(mixed["report.html"]).read_text()
    folded = "".join(re.findall(r"<details>.*?</details>", text, flags=re.DOTALL))
    assert 'id="toy-laptop-elsewhere"' in folded
    assert 'id="toy-laptop-here"' in text.replace(folded, "")
    assert 'id="toy-laptop-here"' not in folded
    alone = written(study_of(tmp_path / "alone", task_of(claims=claims[1:]), lambda _: {"loss": 1.0}))
    assert "<details open><summary>1 claim not tested" in Path(alone["report.html"]).read_text(), "nothing else to show"


def verdict_with(values: list[float], published: float | None, folder: Path, *, exact: bool = False) -> Verdict:
    claim = Claim(id="c", statement="", source="", estimate=Of("left", Mean("loss")), holds=Above(0.0), published=published, exact=exact)
    task = task_of(claims=[claim])
    (found,) = verdicts_of(study_of(folder, task, lambda t: {"loss": values[t.seed]}, seeds=len(values)))
    return found


def test_the_verdict_bar_keeps_the_order_of_its_marks(tmp_path: Path) -> None:
    drawn = verdict_bar(verdict_with([0.1, 0.2, 0.3], 0.5, tmp_path), Above(0.0))
    assert drawn is not None
    assert drawn.interval is not None
    assert drawn.published is not None
    assert 0 < drawn.interval[0] < drawn.marks[0][0] < drawn.estimate < drawn.interval[1] < drawn.published < 100
    assert drawn.region == (drawn.marks[0][0], 100.0)
    assert not drawn.published_beyond


def test_a_far_published_value_does_not_squash_the_verdict_bar(tmp_path: Path) -> None:
    drawn = verdict_bar(verdict_with([0.1, 0.2, 0.3], 1e4, tmp_path), Above(0.0))
    assert drawn is not None
    assert drawn.interval is not None
    assert drawn.published_beyond
    assert drawn.interval[1] - drawn.interval[0] > 50


def test_edges_of_a_narrow_region_are_written_apart(tmp_path: Path) -> None:
    wide = verdict_with([0.0, 100.0, 200.0], None, tmp_path)
    narrow, broad = verdict_bar(wide, Within(-1.0, 1.0)), verdict_bar(wide, Within(-100.0, 100.0))
    assert narrow is not None
    assert broad is not None
    assert (narrow.close, broad.close) == (True, False)


def test_an_exact_verdict_has_no_interval(tmp_path: Path) -> None:
    verdict = verdict_with([0.5], None, tmp_path, exact=True)
    drawn = verdict_bar(verdict, Above(0.0))
    assert (verdict.verdict, estimate(verdict)) == ("reproduced", "0.500 (exact)")
    assert drawn is not None
    assert drawn.interval is None
    assert estimate(verdict_with([0.4, 0.5, 0.6], None, tmp_path / "interval")).startswith("0.50 [0.25, ")
    assert estimate(replace(verdict, n=0)) == "–"


def test_provenance_warns_of_mixtures(tmp_path: Path) -> None:
    def change(trial: TrialSpec) -> dict[str, Any]:
        versions = {"torch": "2.12.0" if trial.seed else "2.13.0"}
        return {"source_digest": f"digest-{trial.seed % 2}", "versions": versions, "git_dirty": trial.seed == 1}

    text = " ".join(warnings(study_of(tmp_path, task_of(), lambda _: {"loss": 1.0}, change=change)))
    assert "2 different versions of its source (digest-0, digest-1)" in text
    assert "different library versions" in text
    assert "uncommitted changes" in text
    assert warnings(study_of(tmp_path, task_of(), lambda _: {"loss": 1.0})) == []


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


def test_failed_trials_show_what_they_said(study: Study) -> None:
    found, count = failures(study)
    assert count == 2
    assert [(f.status, f.seed, f.params, f.error) for f in found] == [
        ("diverged", 1, "width = 512, setting = lm", "RuntimeError: made to end diverged"),
        ("oom", 3, "width = 512, setting = lm", "RuntimeError: made to end oom"),
    ]


def test_an_error_of_many_words_does_not_fill_the_page(study: Study) -> None:
    study.frame.loc[study.frame["status"] == "oom", "error"] = "RuntimeError: " + "long " * 2000
    found, _ = failures(study)
    assert len(found[1].error) < 800
    assert found[1].error.endswith("long ...")
    study.frame.loc[study.frame["status"] == "oom", "error"] = "SaidError: run returned no loss\nTraceback (most recent call last):\n  x"
    found, _ = failures(study)
    assert found[1].error == "run returned no loss"
    assert found[1].traceback.endswith("  x")


def test_the_terminal_shows_the_paper_beside_ours(study: Study) -> None:
    sink = io.StringIO()
    report.terminal(judge(study), Console(file=sink, width=140))
    line = next(line for line in sink.getvalue().splitlines() if "constant-decay-keeps-gain" in line and "not reproduced" in line)
    assert "0.48" in line
    assert "synthetic" in line
    assert "The paper's claims, scale laptop: 4 of 5 tested" in sink.getvalue()
    assert "never the paper's number" in " ".join(sink.getvalue().split())


def test_eighty_columns_cut_no_number_and_full_shows_every_column(study: Study) -> None:
    judgement = judge(study)
    narrow, whole = io.StringIO(), io.StringIO()
    report.terminal(judgement, Console(file=narrow, width=80))
    report.terminal(judgement, Console(file=whole, width=400), full=True)
    assert max(len(line) for line in narrow.getvalue().splitlines()) <= 80
    assert "…" not in narrow.getvalue()
    for board in judgement.boards:
        for row in board.rows:
            assert row.entries[board.ranked_by].text in narrow.getvalue()
            assert all(entry.text in whole.getvalue() for entry in row.entries.values())
    claims = [v for v in judgement.verdicts if v.n]
    assert claims
    assert all(str(v.interval) in narrow.getvalue() for v in claims)


def test_the_terminal_names_what_is_not_tested_in_one_line(tmp_path: Path) -> None:
    claims = [difference_claim(id="here"), *(difference_claim(id=f"elsewhere-{i}", scales=("paper",), note="long") for i in range(9))]
    sink = io.StringIO()
    report.terminal(judge(study_of(tmp_path, task_of(claims=claims), lambda _: {"loss": 1.0})), Console(file=sink, width=140))
    lines = [line for line in sink.getvalue().splitlines() if "elsewhere-" in line]
    assert len(lines) <= 2
    assert "long" not in sink.getvalue()
    alone = io.StringIO()
    report.terminal(judge(study_of(tmp_path, task_of(claims=claims[1:2]), lambda _: {"loss": 1.0})), Console(file=alone, width=140))
    assert "elsewhere-0: " in alone.getvalue(), "with nothing else to show, the reason is"


def test_verdicts_say_whose_they_are_where_a_study_is_of_several_papers(tmp_path: Path) -> None:
    tasks = [task_of(id=name, claims=[difference_claim()]) for name in ("first", "second")]
    for own, named in ((tasks, True), (tasks[:1], False)):
        sink = io.StringIO()
        report.terminal(judge(study_of(tmp_path, own, lambda t: {"loss": 1.0 + 0.1 * noise(t)})), Console(file=sink, width=140))
        headings = [line for line in sink.getvalue().splitlines() if "The paper's claims, scale laptop" in line]
        assert [line.split(":")[0] for line in headings] == (["first", "second"] if named else ["The paper's claims, scale laptop"])


def test_a_board_over_several_cells_has_its_aggregates_everywhere(tmp_path: Path) -> None:
    study = study_of(
        tmp_path,
        task_of(grids=lambda train: [Grid(train, axes={"width": [8, 16, 32]})]),
        lambda t: {"loss": t.params["width"] + (t.method == "left") + 0.01 * t.seed},
    )
    files = {name: Path(path).read_text() for name, path in written(study).items()}
    sink = io.StringIO()
    report.terminal(judge(study), Console(file=sink, width=140))
    for text in (files["leaderboard.md"], files["report.html"], " ".join(sink.getvalue().split())):
        assert "loss over 3 cells" in text
        assert re.search(r"P\(improvement\)", text)
        assert text.count("Agarwal et al. 2021") == 1
    assert Page(files["report.html"]).open == []


def test_the_list_of_trials_says_of_each_how_it_ended(tmp_path: Path) -> None:
    def left(trial: TrialSpec) -> dict[str, float] | str | None:
        return {0: None, 1: "oom"}.get(trial.seed, {"loss": 0.5})

    task = task_of(grids=lambda train: [Grid(train, axes={"width": (8, 16)})], seeds=3)
    study = study_of(tmp_path, task, left, change=lambda trial: {"seconds": 2.0 * trial.seed + trial.params["width"]})
    found = trial_rows(judge(study))
    shown = [[found["words"][part] if place in (1, 2, 4, 6) else part for place, part in enumerate(row)] for row in found["rows"]]
    assert [row[0] for row in shown] == [trial.id for trial in study.plan]
    assert shown[0][1:] == ["train", "left", 0, "waiting", None, "width = 8"]
    assert shown[5][1:] == ["train", "right", 1, "oom", 10.0, "width = 8"]
    assert shown[10][1:] == ["train", "left", 2, "ok", 20.0, "width = 16"]
