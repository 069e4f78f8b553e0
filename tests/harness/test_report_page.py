"""The report in a browser: at the width of a phone and of a desk, what its buttons do, and how large it grows."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness import report
from harness.estimates import Difference, Mean, Of
from harness.judgement import judge
from harness.plan import TrialSpec
from harness.report import site
from harness.report.board import APART, view
from harness.report.html import MOST_DOTS
from harness.report.verdicts import CHANCE, RULE
from harness.task import Above, Below, Claim, Grid, Method, Metric
from tests.harness.browser import OVERFLOW, look, needs_chromium
from tests.harness.fabricated import Outcome, difference_claim, realistic_study, study_of, task_of

METHODS = [
    Method("left", "proposed"),
    Method("right", "baseline"),
    Method("a-rival-with-a-name-that-is-far-longer-than-others", "rival"),
    Method("ablated", "control"),
    Method("do-nothing", "floor"),
]


def reading(metric: str) -> Claim:
    """A claim on one metric of the two first methods."""
    return difference_claim(estimate=Difference(Of("left", Mean(metric)), Of("right", Mean(metric))))


def name_of(cell: str) -> str:
    """A method's name without what marks the best."""
    return cell.removesuffix("best").removesuffix("tied for ")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with claims of every verdict, figures, failures."""
    study = realistic_study(tmp_path_factory.mktemp("study"))
    return Path(report.write(study.store, report.files(judge(study)))["report.html"])


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board of many statistics, with ties, controls, floors and a failed trial."""
    metrics = [Metric(f"selected_rise_of_kind_{i}", "nats/byte", "lower", f"number {i}") for i in range(12)]
    task = task_of(methods=METHODS, metrics=metrics, claims=[reading("selected_rise_of_kind_7")])

    def measured(trial: Any) -> Any:
        if trial.method == "right" and trial.seed == 0:
            return "failed"
        worse = {"left": 0.0, "a-rival-with-a-name-that-is-far-longer-than-others": 0.001}.get(trial.method, 3.0)
        return {metric.name: i + worse + 0.3 * math.sin(7 * trial.seed + i) for i, metric in enumerate(metrics)}

    study = study_of(tmp_path_factory.mktemp("wide"), task, measured)
    return Path(report.write(study.store, report.files(judge(study)))["report.html"])


def test_the_rule_stands_beside_the_counts(page: Path) -> None:
    text = page.read_text()
    glance = text[text.index('id="glance"') : text.index("</section>", text.index('id="glance"'))]
    assert f"{RULE} {CHANCE} Filled" in glance
    assert '<a href="#how">' in glance
    assert f'title="{RULE}"' in glance
    assert '<h2 id="how">' in text


def paged(folder: Path, claims: list[Claim], scale: str = "laptop") -> str:
    """The text of a report in which `left` is worse than `right` by 1 nat."""
    task = task_of(claims=claims, scale=scale)
    study = study_of(folder, task, lambda t: {"loss": 2.0 + (t.method == "left") * (1 + 0.1 * math.sin(7 * t.seed))}, scale=scale)
    return report.files(judge(study))["report.html"]


def glance_of(text: str) -> str:
    return text[text.index('id="glance"') : text.index("</section>", text.index('id="glance"'))]


def test_a_sentence_made_of_several_claims_is_seen_as_one_and_counted_as_one(tmp_path: Path) -> None:
    claims = [
        difference_claim(id="alone", primary=True, null=0.0),
        *(difference_claim(id=f"S-{i}", group="S", holds=holds) for i, holds in enumerate((Above(0.0), Above(5.0)))),
        difference_claim(id="S-far", group="S", scales=["paper"]),
    ]
    text = paged(tmp_path, claims)
    glance = glance_of(text)
    assert "2 of 2 sentences (4 claims) tested, 1 reproduced, 1 not reproduced" in re.sub(r"<.*?>", "", glance)
    (sentence,) = re.findall(r"<li class=\"sentence\" data-sentence>(.*?)</ul></li>", glance, re.S)
    said = re.sub(r"\s+", " ", re.sub(r"<.*?>", " ", sentence))
    assert said.startswith(" ✗ not reproduced sentence S , made up of 3 claims")
    assert "1 of them not tested" in said
    assert re.findall(r'<b class="id">(S-.*?)</b>', sentence) == ["S-0", "S-1"]
    assert text.count("one of the 3 claims that make up sentence <b>S</b>") == 3
    assert len(re.findall(r'>primary</span> <a href="#toy-laptop-alone"', glance)) == 1
    assert glance.count('class="primary"') == 1
    assert "1 claim not tested at scale laptop" in glance
    buttons = re.findall(r'<button type="button" data-filter="(.*?)".*?<b>(\d+)</b>', glance)
    assert buttons == [("reproduced", "2"), ("not reproduced", "1"), ("not tested", "1")], "a filter counts the claims that it shows"


def test_what_chance_alone_gives_is_explained_where_it_stands(tmp_path: Path) -> None:
    text = paged(tmp_path, [difference_claim(id=f"C{i}", null=0.0) for i in range(3)])
    assert f'<abbr title="{CHANCE}">by chance alone 0.075</abbr>' in glance_of(text)


def test_a_smoke_study_does_not_look_as_if_it_had_found_what_another_one_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.report.html.in_short", lambda _: "It works <sub>gap</sub>.")
    own = paged(tmp_path / "own", [difference_claim()], "smoke")
    assert own.index("What the README of toy says in short") < own.index("It works") < own.index('id="glance"')
    assert "committed" not in own
    monkeypatch.setattr("harness.report.html.committed", lambda _: True)
    laptop, smoke = (paged(tmp_path / scale, [difference_claim()], scale) for scale in ("laptop", "smoke"))
    assert laptop.index("What is known of this paper at scale laptop") < laptop.index("It works") < laptop.index('id="glance"')
    assert "What is known" not in smoke
    assert smoke.index("</ul>", smoke.index('id="glance"')) < smoke.index("It works")
    (summary,) = re.findall(r"<details><summary>([^<]*)</summary><p>It works", smoke)
    assert "another study" in summary
    assert "laptop" in summary
    assert "smoke" in summary


def test_a_claim_on_a_logarithm_is_shown_as_a_ratio_too(tmp_path: Path) -> None:
    text = paged(tmp_path, [difference_claim(unit="log10 of a ratio", holds=Below(-math.log10(2)), published=-1.0)])
    assert "&lt; -0.30103 (ratio below 0.5)" in text
    assert "-1 log10 of a ratio (ratio 0.1)" in text
    assert re.search(r'<div class="small">ratio (9|1\d)\.\d', text)
    assert ">ratio 0.5</text>" in text, "the edge on the bar"


def test_no_page_and_no_table_shows_nan(tmp_path: Path) -> None:
    """A scale that does not test a claim, a method without a number, a trial without seconds."""
    claims = [
        difference_claim(),
        difference_claim(id="elsewhere", scales=["paper"], unit="nats"),
        difference_claim(id="control", kind="control"),
    ]
    metrics = [Metric("loss", "nats", "lower"), Metric("other", "s", "lower", optional=True)]
    left: dict[str, Callable[[TrialSpec], Outcome]] = {
        "lost": lambda _: "failed",
        "waiting": lambda _: None,
        "one": lambda t: None if t.seed else {"loss": 1.0},
    }
    for name, outcome in left.items():
        study = study_of(tmp_path / name, task_of(claims=claims, metrics=metrics, statistics=()), outcome)
        judgement = judge(study)
        texts = {file: re.sub(r"<(script|style)\b.*?</\1>", "", text, flags=re.S) for file, text in report.files(judgement).items()}
        said = io.StringIO()
        for width in (80, 160):
            report.terminal(judgement, Console(file=said, width=width), full=True)
        texts["terminal"] = said.getvalue()
        for path in report.write(study.store, report.files(judgement)):
            assert path
        study.store.write_text("plan.json", json.dumps({"trials": [{"id": trial.id, "seed": trial.seed} for trial in study.plan]}))
        site.build(site.gather([study.store.uri]), tmp_path / name / "out")
        texts |= {path.name: path.read_text() for path in (tmp_path / name / "out").rglob("*.html")}
        shown = {file: text for file, text in texts.items() if not file.endswith((".csv", ".js", ".css"))}
        assert len(shown) >= 7
        assert [file for file, text in shown.items() if re.search(r"\bnan\b", text, re.I)] == [], name


def test_a_board_shows_first_what_ranks_and_what_claims_read(tmp_path: Path) -> None:
    metrics = [Metric(f"m_{i}", "s", "lower") for i in range(8)]
    task = task_of(methods=METHODS, metrics=metrics, claims=[reading("m_5")])
    judgement = judge(
        study_of(
            tmp_path, task, lambda t: {f"m_{i}": 1.0 + t.seed + (t.method != "left") * (1 + 0.01 * math.sin(9 * t.seed)) for i in range(8)}
        )
    )
    (ruling,) = judgement.rulings
    shown = view(ruling, ruling.boards[0])
    first = [heading.text for heading in shown.headings if heading.first]
    assert first == ["rank", "m 0 (s) ↓", "to the best (s)", "m 5 (s) ↓", "s/trial", "trials ok"]
    assert shown.folded == len(shown.headings) - len(first) > 5
    assert [title for title, _ in shown.groups] == ["", APART]
    contenders, apart = ({row.method: row for row in rows} for _, rows in shown.groups)
    assert apart.keys() == {"ablated", "do-nothing"}
    assert contenders["left"].place == "best"
    assert contenders["right"].place == ""


@needs_chromium
@pytest.mark.parametrize("width", [400, 1400])
def test_nothing_sticks_out_at_any_width_and_the_console_is_silent(page: Path, wide: Path, tmp_path: Path, width: int) -> None:
    for file in (page, wide):
        seen = look(file, OVERFLOW.replace('"svg, .scroll,', '"svg, .scroll, .board, figure > [role=img],'), tmp_path, width=width)
        assert seen.found == {"wide": 0, "out": []}
        assert seen.console == []


@needs_chromium
def test_a_phone_shows_a_card_a_method_with_its_name_and_numbers(wide: Path, tmp_path: Path) -> None:
    script = """
    const rows = [...document.querySelectorAll(".board tr[data-m]")];
    const seen = (e) => { const box = e.getBoundingClientRect(); return box.width > 0 && box.left >= 0 && box.right <= 400; };
    return rows.map((row) => [row.cells[0].textContent, seen(row.cells[0]),
      [...row.cells].slice(1).filter((cell) => cell.offsetParent).every(seen), row.cells[1].dataset.label]);
    """
    found = look(wide, script, tmp_path, width=400).found
    assert all(named and numbers for _, named, numbers, _ in found)
    assert {name_of(row[0]) for row in found} == {method.name for method in METHODS}
    assert {row[3] for row in found} == {"rank"}


@needs_chromium
def test_columns_unfold_methods_hide_and_boards_sort(wide: Path, tmp_path: Path) -> None:
    script = """
    const board = document.querySelector(".board");
    const count = () => [...board.querySelectorAll("thead th")].filter((head) => head.offsetParent).length;
    const few = count(); document.querySelector("[data-full]").click(); const all = count();
    const heads = [...board.querySelectorAll("thead th")];
    const column = heads.findIndex((head) => head.textContent.startsWith("selected rise of kind 7"));
    const rows = () => [...board.querySelector("tbody").querySelectorAll("tr[data-m]")];
    const values = () => rows().map((row) => parseFloat(row.cells[column].textContent));
    heads[column].querySelector("button").click(); const up = values();
    heads[column].querySelector("button").click(); const down = values();
    const row = board.querySelector("tr[data-m='0']"), before = row.offsetParent !== null;
    document.querySelector("[data-hide='0']").click();
    return { few, all, up, down, before, after: row.offsetParent !== null, pressed: document.querySelector("[data-hide='0']").ariaPressed };
    """
    found = look(wide, script, tmp_path).found
    assert found["few"] == 7
    assert found["all"] > 15
    assert found["up"] == sorted(found["up"])
    assert found["down"] == sorted(found["up"], reverse=True)
    assert (found["before"], found["after"], found["pressed"]) == (True, False, "false")


@needs_chromium
def test_a_table_over_cells_does_not_stop_the_script(tmp_path: Path) -> None:
    task = task_of(methods=METHODS, grids=lambda train: [Grid(train, axes={"width": (64, 128)})])
    study = study_of(tmp_path, task, lambda t: {"loss": 1.0 + math.sin(7 * t.seed + len(t.method))})
    text = report.files(judge(study))["report.html"]
    assert "over 2 cells" in text
    file = tmp_path / "page.html"
    file.write_text(text)
    seen = look(file, "return document.querySelectorAll('table.trials tbody tr').length;", tmp_path)
    assert seen.console == []
    assert seen.found == 50


@needs_chromium
def test_paper_shows_what_is_folded_and_no_buttons(page: Path, tmp_path: Path) -> None:
    printed = tmp_path / "printed.html"
    printed.write_text(page.read_text().replace("@media print", "@media all"))
    script = """
    const shown = (query) => [...document.querySelectorAll(query)].map((one) => one.checkVisibility({ contentVisibilityAuto: true }));
    return { folded: shown("details:not([open]) > :not(summary)"), tools: shown(".tools"), nav: shown("nav") };
    """
    found, on_screen = (look(file, script, tmp_path).found for file in (printed, page))
    assert set(found["folded"]) == {True}
    assert set(on_screen["folded"]) == {False}
    assert set(found["tools"]) == set(found["nav"]) == {False}
    assert set(on_screen["tools"]) == {True}


@needs_chromium
def test_claims_are_filtered_and_a_hidden_method_leaves_the_figures(page: Path, tmp_path: Path) -> None:
    script = """
    const cards = () => [...document.querySelectorAll("article.card")].filter((card) => !card.hidden).map((card) => card.dataset.verdict);
    const listing = [...document.querySelectorAll(".glance [data-verdict]")];
    const lines = () => listing.filter((line) => line.getClientRects().length).map((line) => line.dataset.verdict);
    const all = cards().length, listed = lines().length;
    const button = document.querySelector("[data-filter='not reproduced']");
    button.click(); const some = cards(), seen = lines(); button.click(); const again = cards().length;
    const marks = () => [...document.querySelectorAll("figure [data-m='1']")].filter((mark) => mark.getClientRects().length).length;
    const drawn = marks(); document.querySelector("[data-hide='1']").click();
    const tips = [...document.querySelectorAll("figure .tip title")].map((tip) => tip.textContent);
    return { all, listed, some, seen, again, drawn, left: marks(), tips };
    """
    found = look(page, script, tmp_path).found
    assert set(found["some"]) == set(found["seen"]) == {"not reproduced"}
    assert 0 < len(found["seen"]) < found["listed"]
    assert 0 < len(found["some"]) < found["all"] == found["again"]
    assert found["drawn"] > 0
    assert found["left"] == 0
    assert any(re.match(r"sqrt-width, 128: .*\[.*\]", tip) for tip in found["tips"])


@needs_chromium
def test_a_filter_leaves_a_sentence_by_its_claims_and_unfolds_what_it_finds(tmp_path: Path) -> None:
    claims = [
        *(difference_claim(id=f"S-{i}", group="S", holds=Above(at)) for i, at in enumerate((0.0, 5.0))),
        *(difference_claim(id=f"T-{i}", group="T") for i in range(2)),
        difference_claim(id="ours", kind="control"),
    ]
    file = tmp_path / "page.html"
    file.write_text(paged(tmp_path, claims))
    script = """
    const seen = (query) => [...document.querySelectorAll(query)].filter((one) => one.checkVisibility()).length;
    const all = () => [seen(".sentence"), seen(".sentence [data-verdict]"), seen("#glance ~ details [data-verdict]")];
    const press = (word) => { document.querySelector(`[data-filter='${word}']`).click(); return all(); };
    return { all: all(), bad: press("not reproduced"), ours: press("holds"), good: press("reproduced"), none: press("reproduced") };
    """
    found = look(file, script, tmp_path).found
    assert found == {"all": [2, 4, 0], "bad": [1, 1, 0], "ours": [0, 0, 1], "good": [2, 3, 0], "none": [2, 4, 0]}


@needs_chromium
def test_trials_are_searched_sorted_and_say_how_they_ended(wide: Path, tmp_path: Path) -> None:
    script = """
    const rows = () => [...document.querySelectorAll("table.trials tbody tr")].map((row) => [...row.cells].map((cell) => cell.textContent));
    const all = rows().length, status = document.getElementById("trial-status"), words = document.getElementById("trial-words");
    status.value = "failed"; status.dispatchEvent(new Event("input")); const failed = rows();
    status.value = ""; words.value = "do-nothing"; words.dispatchEvent(new Event("input")); const named = rows();
    document.querySelectorAll("table.trials th button")[3].click(); document.querySelectorAll("table.trials th button")[3].click();
    const trace = document.querySelector("#failed").parentNode.textContent;
    return { all, failed, named: named.map((row) => row[2]), seeds: rows().map((row) => Number(row[3])), trace };
    """
    found = look(wide, script, tmp_path).found
    assert found["all"] == 25
    assert [(row[2], row[3], row[4]) for row in found["failed"]] == [("right", "0", "failed")]
    assert set(found["named"]) == {"do-nothing"}
    assert found["seeds"] == sorted(found["seeds"], reverse=True)
    assert "made to end failed" in found["trace"]


@needs_chromium
def test_a_dark_page_is_dark_and_text_in_figures_is_readable_on_a_phone(page: Path, tmp_path: Path) -> None:
    script = """
    const sizes = [...document.querySelectorAll("figure svg text")].map((text) => {
      const svg = text.ownerSVGElement, scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
      return scale * parseFloat(getComputedStyle(text).fontSize);
    });
    return { least: Math.min(...sizes), page: getComputedStyle(document.body).backgroundColor };
    """
    assert look(page, script, tmp_path, width=400).found["least"] >= 10
    assert look(page, script, tmp_path, width=1400).found["least"] >= 8


def listed_in(text: str) -> list[list[Any]]:
    """The trials of a page with their words in place."""
    found = json.loads(re.search(r'<script id="trial-rows"[^>]*>(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]
    return [[row[0], *(found["words"][row[place]] for place in (1, 2)), row[3], found["words"][row[4]]] for row in found["rows"]]


def test_a_report_of_ten_thousand_trials_stays_below_three_megabytes(tmp_path: Path) -> None:
    study = study_of(
        tmp_path, task_of(claims=[difference_claim()]), lambda t: {"loss": (t.method == "left") + math.sin(t.seed)}, seeds=5000
    )
    text = report.files(judge(study))["report.html"]
    assert len(listed_in(text)) == 10_000
    assert "are listed (at most" not in text
    assert len(text.encode()) < 1_500_000
    assert text.count('class="seed"') == MOST_DOTS


def test_of_more_trials_those_that_failed_and_those_that_claims_read_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def left(trial: TrialSpec) -> Outcome:
        return "failed" if (trial.method, trial.seed) in (("ablated", 7), ("left", 59)) else {"loss": 1.0 + trial.seed}

    study = study_of(tmp_path, task_of(methods=METHODS, claims=[reading("loss")]), left, seeds=60)
    sizes = {}
    for most in (300, 130, 40):
        monkeypatch.setattr("harness.report.html.MOST_TRIALS", most)
        text = report.files(judge(study))["report.html"]
        found = listed_in(text)
        sizes[most] = len(found)
        bad = {(row[2], row[3]) for row in found if row[4] == "failed"}
        assert bad == {("ablated", 7), ("left", 59)}, "whatever failed comes first"
        assert (f"Of 300 trials {len(found)} are listed (at most {most})" in text) == (most < 300)
        if most < 300:
            assert {row[2] for row in found if row[4] == "ok"} == {"left", "right"}
            assert "papertrial trials" in text
    assert sizes == {300: 300, 130: 121, 40: 40}


def test_a_trial_costs_a_report_a_hundred_bytes(tmp_path: Path) -> None:
    def size(seeds: int) -> int:
        study = study_of(tmp_path / str(seeds), task_of(), lambda t: {"loss": 1.0 + t.seed}, seeds=seeds)
        return len(report.files(judge(study))["report.html"].encode())

    assert (size(250) - size(50)) / 400 < 200, "10,000 trials stay far below 3 MB"
