"""The site over many studies: what stands on its pages, that broken studies hide nothing, and how it looks in a browser."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from harness.papers import speaking
from harness.report import site
from harness.report.pages import SHADES
from harness.report.site.build import _ranking
from harness.report.tables import csv_text
from harness.report.verdicts import CHANCE, HOW, RULE
from harness.tally import Line
from harness.task import SCALES
from tests.harness.browser import OVERFLOW, look, needs_chromium
from tests.harness.conftest import Command

REFERENCE = Path(__file__).parents[2] / "results" / "reference"
STUDIES = ("crrelu-laptop", "mup-weight-decay-transfer-laptop", "mup-weight-decay-transfer-gpu", "grokking-stablemax-laptop")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("studies")
    for name in STUDIES:
        shutil.copytree(REFERENCE / name, store / name)
    return store


@pytest.fixture(scope="module")
def pages(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    site.build(site.gather([str(store)]), out)
    return out


def verdicts(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((REFERENCE / name / "verdicts.csv").read_text())))


def test_every_claim_of_every_study_is_in_the_list_and_in_the_flat_table(pages: Path) -> None:
    text = (pages / "claims.html").read_text()
    rows = json.loads(re.search(r'<script id="rows"[^>]*>(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]
    expected = [(line["task"], line["scale"], line["claim"]) for name in STUDIES for line in verdicts(name)]
    in_order = sorted(expected, key=lambda key: (key[0], SCALES.index(key[1])))
    assert [(row[0], row[1], row[2]) for row in rows] == in_order, "by paper and scale, then as the task makes its claims"
    flat = pd.read_parquet(pages / "claims.parquet")
    assert sorted(zip(flat["task"], flat["scale"], flat["claim"], strict=True)) == sorted(expected)
    by_key = flat.set_index(["task", "scale", "claim"])
    for name in STUDIES:
        for line in verdicts(name):
            row = by_key.loc[(line["task"], line["scale"], line["claim"])]
            assert row["verdict"] == line["verdict"]
            estimate = float(line["estimate"] or "nan")
            assert row["estimate"] == estimate or (math.isnan(estimate) and pd.isna(row["estimate"]))
            assert len(row["commit"]) == 40
            assert row["study"] == name
    with (pages / "claims.csv").open() as file:
        assert csv.DictReader(file).fieldnames == list(flat.columns)


def test_a_paper_has_a_page_over_its_scales_with_hardware_and_code(pages: Path) -> None:
    text = (pages / "papers" / "mup-weight-decay-transfer.html").read_text()
    assert text.index('id="laptop"') < text.index('id="gpu"')
    assert "NVIDIA H100" in text
    for line in verdicts("mup-weight-decay-transfer-gpu"):
        assert f'id="gpu-{line["claim"]}"' in text


def test_the_rule_stands_beside_the_counts(pages: Path) -> None:
    index, paper = ((pages / name).read_text() for name in ("index.html", "papers/crrelu.html"))
    for text, link in ((index, '"#how"'), (paper, '"../index.html#how"')):
        assert RULE in text
        assert f"href={link}" in text
    assert re.search(f'title="{re.escape(RULE)}">[0-9]+ of [0-9]+ sentences ', paper)
    assert CHANCE in paper
    assert 'id="how"' in index
    assert HOW[3] in index


def test_a_sentence_made_of_several_claims_stands_over_them_and_the_count_says_both(pages: Path) -> None:
    text = (pages / "papers" / "crrelu.html").read_text()
    own = [line for line in verdicts("crrelu-laptop") if line["kind"] == "paper"]
    groups: dict[str, list[str]] = {}
    for line in own:
        groups.setdefault(line["group"] or line["claim"], []).append(line["claim"])
    heading, counted = re.findall(r'<h3>(.*?) <span class="soft small" title="[^"]*">(.*?)</span></h3>', text)[0]
    assert heading == "The paper&#39;s claims"
    assert f"{len(groups)} of {len(groups)} sentences ({len(own)} claims) tested" in counted
    heads = re.split(r'<tr class="sentence">', text[: text.index("<h3>Controls")])[1:]
    assert len(heads) == sum(len(parts) > 1 for parts in groups.values()) == 2
    for head, (name, parts) in zip(heads, groups.items(), strict=True):
        assert f"sentence <b>{name}</b>, made up of the next {len(parts)} claims" in head
        assert re.findall(r'<tr id="laptop-([^"]*)" class="part">', head) == parts


def test_primary_claims_are_marked_and_each_claim_has_its_command(pages: Path) -> None:
    for task, name in (("crrelu", "crrelu-laptop"), ("grokking-stablemax", "grokking-stablemax-laptop")):
        text = (pages / "papers" / f"{task}.html").read_text()
        rows = {found[1]: found[0] for found in re.finditer(r'<tr id="laptop-([^"]*)".*?</tr>', text, re.S)}
        assert any(line["primary"] == "True" for line in verdicts(name))
        for line in verdicts(name):
            row = rows[line["claim"]]
            assert ('class="primary"' in row) == (line["primary"] == "True"), line["claim"]
            said = re.sub(r"</?(code|span)[^>]*>", "", row)
            command = f"again: papertrial run {task} --scale laptop --claim {line['claim']}</td>"
            assert (command in said) == (line["verdict"] != "not tested"), line["claim"]


def test_a_study_says_how_many_of_its_trials_there_are_and_which_seeds_run_it_again(tmp_path: Path) -> None:
    shutil.copytree(REFERENCE / "crrelu-laptop", tmp_path / "store" / "crrelu-laptop")
    file = tmp_path / "store" / "crrelu-laptop" / "plan.json"
    plan = json.loads(file.read_text())
    plan["trials"] = [trial for trial in plan["trials"] if trial["seed"] in (2, 3)]
    file.write_text(json.dumps(plan))
    found = site.gather([str(tmp_path / "store")])
    (run,) = found.runs
    assert (run.seeds, run.recorded) == ({2, 3}, run.trials), "records of trials that are not planned any more are not counted"
    assert run.trials == len(plan["trials"])
    site.build(found, tmp_path / "out")
    said = re.sub(r"</?(code|span)[^>]*>", "", (tmp_path / "out" / "papers" / "crrelu.html").read_text())
    assert "All of it again: papertrial run crrelu --scale laptop --first-seed 2 --seeds 2<" in said
    assert "again: papertrial run crrelu --scale laptop --first-seed 2 --seeds 2 --claim C1-relu<" in said


def test_what_the_readme_says_names_its_scale_and_does_not_top_another_ones_page(store: Path, pages: Path, tmp_path: Path) -> None:
    text = (pages / "papers" / "mup-weight-decay-transfer.html").read_text()
    assert text.index("<h2>In short, at scale laptop</h2>") < text.index('id="laptop"')
    site.build(site.gather([str(store / "mup-weight-decay-transfer-gpu")]), tmp_path / "out")
    gpu = (tmp_path / "out" / "papers" / "mup-weight-decay-transfer.html").read_text()
    assert "<h2>In short" not in gpu
    assert gpu.index("In short, of another study, the committed one at scale laptop") > gpu.index('id="gpu"')


def test_a_region_of_a_logarithm_is_also_said_as_a_ratio(tmp_path: Path) -> None:
    name, task = "singular-dist-likelihood-laptop", "singular-dist-likelihood"
    site.build(site.gather([str(REFERENCE / name)]), tmp_path)
    logged = [line for line in verdicts(name) if line["unit"] == "log10 of a ratio"]
    assert logged
    text = (tmp_path / "papers" / f"{task}.html").read_text()
    shown = json.loads(re.search(r'<script id="rows"[^>]*>(.*?)</script>', (tmp_path / "claims.html").read_text(), re.DOTALL)[1])  # type: ignore[index]
    holds = {row[2]: row[6] for row in shown}
    for line in logged:
        assert re.search(r"\(ratio (below|above|between) ", holds[line["claim"]])
        assert text.count(holds[line["claim"]].replace("<", "&lt;").replace(">", "&gt;")) >= 1


def test_one_palette_colours_verdicts_in_reports_and_on_the_site() -> None:
    rule = re.compile(r"\.(?:not-)?(?:reproduced|inconclusive|undecided|tested|does-not-hold)\b[^{]*\{[^}]*\b(?:color|background)")
    assert len(rule.findall(SHADES.read_text())) >= 3
    for page in ("template.html", "site/style.css"):
        assert not rule.search((SHADES.parent / page).read_text()), page


def test_own_claims_and_controls_are_counted_apart(pages: Path) -> None:
    text = (pages / "index.html").read_text()
    part = text[text.index("papers/crrelu.html") :].split("</li>")[0]
    assert 'aria-label="1 reproduced, 1 inconclusive"' in part
    assert "ours: 1 does not hold, 3 undecided" in part


def test_a_claim_shows_what_it_was_in_earlier_studies_and_the_fullest_speaks(store: Path, tmp_path: Path) -> None:
    stores = tmp_path / "both"
    for name, turned in (("old", True), ("new", False)):
        shutil.copytree(store / "crrelu-laptop", stores / name)
        table = stores / name / "verdicts.csv"
        if turned:
            table.write_text(table.read_text().replace("inconclusive", "reproduced"))
    trials = stores / "old" / "trials" / "crrelu.parquet"
    frame = pd.read_parquet(trials)
    frame["started"] = "2020-01-02T03:04:05+00:00"
    frame.to_parquet(trials)
    found = site.gather([str(stores)])
    key = ("crrelu", "laptop", "C1-relu")
    assert [row.run.study for row in found.histories[key]] == ["old", "new"]
    assert found.latest[key].line.verdict == "inconclusive"
    site.build(found, tmp_path / "out")
    assert "before: 2020-01-02 reproduced" in (tmp_path / "out" / "papers" / "crrelu.html").read_text()
    table = stores / "new" / "verdicts.csv"
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    for row in rows:
        row["n"] = str(int(row["n"]) // 2)
    table.write_text(csv_text(list(rows[0]), [list(row.values()) for row in rows]))
    assert site.gather([str(stores)]).latest[key].run.study == "old", "a part of a run never hides a whole one"


def test_one_rule_says_which_study_speaks(papertrial: Command, store: Path, tmp_path: Path) -> None:
    """A newer study of one claim, whose whole plan is recorded, hides none of the claims that an older one tests."""
    stores = tmp_path / "both"
    for name in ("a-whole", "b-claim"):
        shutil.copytree(store / "crrelu-laptop", stores / name)
    table = stores / "b-claim" / "verdicts.csv"
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    for row in rows:
        row |= {"verdict": "reproduced"} if row["claim"] == "C1-relu" else {"verdict": "not tested", "n": "0", "estimate": "nan"}
    table.write_text(csv_text(list(rows[0]), [list(row.values()) for row in rows]))
    trials = stores / "b-claim" / "trials" / "crrelu.parquet"
    frame = pd.read_parquet(trials)
    frame["started"] = "2030-01-02T03:04:05+00:00"
    frame.to_parquet(trials)
    os.utime(stores / "b-claim", (4e9, 4e9))
    found = site.gather([str(stores)])
    assert {row.run.study for row in found.latest.values()} == {"a-whole"}
    listed = {row["task"]: row for row in json.loads(papertrial("list", "--json", "--store", str(stores)).out)}
    (paper,) = found.papers
    assert listed["crrelu"]["verdicts"]["laptop"] == paper.counts("laptop")
    assert paper.counts("laptop")["inconclusive"] == 1


def test_places_of_methods_are_those_of_the_study_that_speaks(store: Path, tmp_path: Path) -> None:
    stores = tmp_path / "some"
    for name in ("grokking-stablemax-laptop", "optimizers-under-quantization-laptop"):
        shutil.copytree(REFERENCE / name, stores / name)
    part = shutil.copytree(stores / "grokking-stablemax-laptop", stores / "a-part")
    (part / "leaderboard.csv").write_text((part / "leaderboard.csv").read_text().replace("accuracy", "accuracy_of_a_part"))
    rows = list(csv.DictReader(io.StringIO((part / "verdicts.csv").read_text())))
    untested = [list((row | {"verdict": "not tested", "n": "0"}).values()) for row in rows]
    (part / "verdicts.csv").write_text(csv_text(list(rows[0]), untested))
    site.build(site.gather([str(stores)]), tmp_path / "out")
    text = (tmp_path / "out" / "methods.html").read_text()
    assert 'id="adamw"' in text
    assert text.count("papers/grokking-stablemax.html") > 0
    assert "accuracy_of_a_part" not in text


def test_a_place_of_a_method_has_the_ranking_number_with_unit_direction_and_interval(tmp_path: Path) -> None:
    names = ("grokking-stablemax-laptop", "optimizers-under-quantization-laptop")
    site.build(site.gather([str(REFERENCE / name) for name in names]), tmp_path)
    text = (tmp_path / "methods.html").read_text()
    part = text[text.index('<h2 id="adamw">') :].split("</table>")[0]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r'<tr><td data-label="rank">.*?</tr>', part)]
    assert len(rows) >= 2
    for rank, _, _, _, statistic, estimate, seeds, data in rows:
        assert re.fullmatch(r"\d+(–\d+)? of \d+", rank)
        assert re.search(r"[↓↑]|→0", statistic), statistic
        assert "_" not in statistic
        assert re.fullmatch(r"\S+ \[\S+, \S+\]", estimate), estimate
        assert int(seeds) > 1
        assert data
    assert any("(nats" in row[4] for row in rows)


def test_the_number_that_ranks_says_how_far_behind_a_method_is_or_can_be_better() -> None:
    def row(statistic: str, better: str, difference: str = "") -> dict[str, str]:
        return {"statistic": statistic, "better": better, "difference": difference}

    assert _ranking([row("width", "none"), row("loss", "lower"), row("error", "lower", "0.2")]) == "error"
    assert _ranking([row("width", "none"), row("loss", "lower"), row("error", "lower")]) == "loss"
    assert _ranking([row("width", "none")]) == "width"


def test_the_study_that_speaks_tests_most_then_has_most_seeds_then_is_the_newest() -> None:
    def study(*ns: int) -> list[Line]:
        return [Line("toy", "laptop", f"C{i}", "inconclusive" if n else "not tested", n=n) for i, n in enumerate(ns)]

    assert speaking([study(3, 3), study(99, 0)]) == 0
    assert speaking([study(3, 3), study(3, 4), study(3, 3)]) == 1
    assert speaking([study(3, 3), study(3, 3)]) == 1


def test_a_study_that_cannot_be_read_is_named_and_hides_no_other(papertrial: Command, store: Path, tmp_path: Path) -> None:
    stores = tmp_path / "some"
    shutil.copytree(store / "crrelu-laptop", stores / "whole")
    shutil.copytree(store / "crrelu-laptop", stores / "torn")
    (stores / "torn" / "plan.json").write_text("{")
    shutil.copytree(store / "crrelu-laptop", stores / "unjudged")
    (stores / "unjudged" / "verdicts.csv").unlink()
    said = papertrial("site", str(stores), "--out", "out")
    assert said.code == 0
    assert "torn is not shown" in said.out
    assert "unjudged is not shown" in said.out
    text = Path("out/index.html").read_text()
    assert "papers/crrelu.html" in text
    assert "torn" in text[text.index("Not shown") :]
    assert papertrial("site", "nowhere", "--out", "out").code == 2


def test_a_report_is_drawn_when_asked_and_linked(papertrial: Command, store: Path) -> None:
    assert papertrial("site", str(store / "grokking-stablemax-laptop"), "--out", "out", "--reports").code == 0
    assert Path("out/studies/grokking-stablemax-laptop.html").exists()
    assert "../studies/grokking-stablemax-laptop.html" in Path("out/papers/grokking-stablemax.html").read_text()


def test_words_of_a_study_are_never_markup(store: Path, tmp_path: Path) -> None:
    stores = tmp_path / "planted"
    shutil.copytree(store / "crrelu-laptop", stores / "s")
    table = stores / "s" / "verdicts.csv"
    table.write_text(table.read_text().replace("crrelu has a higher", "</script><script>alert(1)</script> has a higher"))
    site.build(site.gather([str(stores)]), tmp_path / "out")
    for page in (tmp_path / "out").rglob("*.html"):
        assert "<script>alert" not in page.read_text()


@needs_chromium
@pytest.mark.parametrize("width", [400, 1400])
def test_no_page_is_wider_than_its_window_or_says_an_error(pages: Path, tmp_path: Path, width: int) -> None:
    for name in ("index.html", "claims.html", "methods.html", "papers/mup-weight-decay-transfer.html"):
        seen = look(pages / name, OVERFLOW, tmp_path, width=width)
        assert seen.found == {"wide": 0, "out": []}, name
        assert seen.console == [], name


@needs_chromium
def test_claims_are_filtered_sorted_and_linked(pages: Path, tmp_path: Path) -> None:
    script = """
    const rows = () => [...document.querySelectorAll("#claims tbody tr")].map((row) => [...row.cells].map((cell) => cell.textContent));
    const set = (id, value) => { const field = document.getElementById(id); field.value = value; field.dispatchEvent(new Event("input")); };
    const all = rows().length;
    set("verdict", "not reproduced"); const wrong = rows().map((row) => row[0]);
    set("verdict", ""); set("words", "muP nothing-of-that-name"); const none = rows().length;
    set("words", "crrelu gelu"); const words = rows().map((row) => row[1]);
    set("words", ""); set("paper", "crrelu");
    document.querySelectorAll("#claims th button")[4].click(); const up = rows().map((row) => row[4]);
    document.querySelectorAll("#claims th button")[4].click(); const down = rows().map((row) => row[4]);
    const link = document.querySelector("#claims tbody a").getAttribute("href");
    set("paper", ""); set("sort", "6"); const published = rows().map((row) => row[6]);
    set("sort", "2"); const papers = rows().map((row) => row[2]);
    const sorted = [...document.querySelectorAll("#claims th[aria-sort]")].map((head) => head.textContent);
    return { all, wrong, none, words, up, down, link, published, papers, sorted };
    """
    found = look(pages / "claims.html", script, tmp_path).found
    total = [line for name in STUDIES for line in verdicts(name)]
    assert found["all"] == len(total)
    assert found["papers"] == sorted(found["papers"])
    assert found["sorted"] == ["paper"]
    known = [text for text in found["published"] if text != "–"]
    assert len(known) == sum(bool(line["published"]) for line in total) > 1
    assert found["published"][: len(known)] == known, "claims without a number come last"
    values = [float(text.split()[0]) for text in known]
    assert values == sorted(values)
    assert set(found["wrong"]) == {"not reproduced"}
    assert len(found["wrong"]) == sum(line["verdict"] == "not reproduced" and line["kind"] == "paper" for line in total)
    assert found["none"] == 0
    assert found["words"]
    assert all("gelu" in words for words in found["words"])
    numbers = [float(text.split()[0]) for text in found["up"] if text != "–"]
    assert numbers == sorted(numbers)
    assert [float(text.split()[0]) for text in found["down"] if text != "–"] == sorted(numbers, reverse=True)
    assert (pages / found["link"].partition("#")[0]).exists()
