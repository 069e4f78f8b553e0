"""PAPERS.md and the front page say what the committed verdicts say: counts of the papers' own claims, every interval, every word."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from harness import registry
from harness.cli import main
from harness.tally import Line, sentences

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "results" / "reference"
ROW = re.compile(r"^\| \[.*?`(?P<task>[a-z0-9-]+)` \| (?P<counts>\d+ / \d+ / \d+ / \d+) \| (?P<words>.*) \|$", re.M)
QUOTED = re.compile(r"(?<![\d.])(-?\d+(?:\.\d+)?) \[(-?\d+(?:\.\d+)?), (-?\d+(?:\.\d+)?)\]")
CITED = re.compile(r"<sub>([^<]*)</sub>")
UNDECIDED = re.compile(r"\b(undecided|not told apart|not separated|open)\b", re.I)
UNTESTED = re.compile(r"\bnot tested\b", re.I)
DENIED = re.compile(r"\b(not|no|nor|never|neither|hardly|loses?|costs?|misses|breaks|worse|less|below)\b", re.I)
ROWS = list(ROW.finditer((ROOT / "PAPERS.md").read_text()))


def table(task: str, name: str, scale: str = "laptop") -> list[dict[str, str]]:
    with (REFERENCE / f"{task}-{scale}" / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


def cited(task: str, pattern: str) -> list[dict[str, str]]:
    """The lines of the verdicts that a citation names: at laptop scale, or after `gpu:` at that one."""
    scale, _, name = pattern.rpartition(":")
    return [line for line in table(task, "verdicts", scale or "laptop") if fnmatchcase(line["claim"], name)]


def test_the_table_of_papers_is_what_the_command_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(registry.TASK_PATHS, raising=False)
    monkeypatch.chdir(ROOT)
    written = tmp_path / "PAPERS.md"
    assert main(["list", "--store", "results/reference", "--markdown", str(written)]) == 0
    found = written.read_text().replace(f"]({os.path.relpath(ROOT, tmp_path)}/", "](")
    assert found == (ROOT / "PAPERS.md").read_text()


def test_the_front_page_has_the_counts_of_every_field() -> None:
    papers = (ROOT / "PAPERS.md").read_text()
    table = papers[papers.index("| field |") : papers.index("\n\n## ")]
    assert table in (ROOT / "README.md").read_text()


def test_every_paper_with_a_committed_study_is_in_the_table() -> None:
    assert {row["task"] for row in ROWS} == {path.name.removesuffix("-laptop") for path in REFERENCE.glob("*-laptop")}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["task"])
def test_the_counts_are_those_of_the_papers_own_claims(row: re.Match[str]) -> None:
    own = [Line.of(line) for line in table(row["task"], "verdicts") if line["kind"] == "paper"]
    found = sentences(own)
    assert row["counts"] == " / ".join(str(found.count(name)) for name in ("reproduced", "not reproduced", "inconclusive", "not tested"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["task"])
def test_every_statement_cites_claims_whose_verdicts_allow_its_words(row: re.Match[str]) -> None:
    assert CITED.split(row["words"])[-1].strip(" .") == "", "a statement without a claim behind it"
    for words, patterns in statements(row["words"]):
        for pattern in patterns:
            found = cited(row["task"], pattern)
            assert found, f"{pattern}: no such claim"
            for line in found:
                assert not (wrong := contradiction(words, line["verdict"])), f"{line['claim']} is {line['verdict']}, {wrong}: {words}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["task"])
def test_every_interval_is_of_a_claim_that_its_statement_cites(row: re.Match[str]) -> None:
    for words, patterns in statements(row["words"]):
        found = [line for pattern in patterns for line in cited(row["task"], pattern)]
        known = _signs([_of(line) for line in [*found, *table(row["task"], "leaderboard")]])
        known += [tuple(10.0**value for value in _of(line)) for line in found if line["unit"].startswith("log10")]
        for texts in QUOTED.findall(words):
            assert any(all(_rounds(value, text) for value, text in zip(sides, texts, strict=True)) for sides in known), (words, texts)


@pytest.mark.parametrize(
    ("words", "verdict", "allowed"),
    [
        ("it gains on the baseline", "reproduced", True),
        ("it gains on the baseline", "not reproduced", False),
        ("it gains on the baseline", "inconclusive", False),
        ("it gains on the baseline", "not tested", False),
        ("it does not gain", "not reproduced", True),
        ("it does not gain", "inconclusive", False),
        ("whether it gains is undecided", "inconclusive", True),
        ("whether it gains is undecided", "reproduced", False),
        ("whether it gains is undecided", "not tested", False),
        ("the ranking is not tested", "not tested", True),
        ("the ranking is not tested", "not reproduced", False),
    ],
)
def test_what_words_a_verdict_allows(words: str, verdict: str, allowed: bool) -> None:
    assert (not contradiction(words, verdict)) is allowed


def statements(cell: str) -> Iterator[tuple[str, list[str]]]:
    """What a cell says, each statement with the claims that it cites; `*` stands for any letters."""
    pieces = CITED.split(cell)
    for words, cited in zip(pieces[::2], pieces[1::2], strict=False):
        yield words, [name.strip() for name in cited.split(",")]


def contradiction(words: str, verdict: str) -> str:
    """Why a statement may not rest on a claim of that verdict; empty where it may."""
    wanted = "not tested" if UNTESTED.search(words) else "inconclusive" if UNDECIDED.search(words) else ""
    if wanted:
        return "" if verdict == wanted else f"but the words say {wanted}"
    if verdict in ("inconclusive", "not tested"):
        return "but the words decide"
    return "but nothing is denied" if verdict == "not reproduced" and not DENIED.search(words) else ""


def _of(line: dict[str, str]) -> tuple[float, ...]:
    return tuple(float(line[name] or "nan") for name in ("estimate", "low", "high"))


def _signs(known: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
    """What may be quoted the other way round too: "nearer by 0.48 [0.39, 0.57]"."""
    return [*known, *((-estimate, -high, -low) for estimate, low, high in known)]


def _rounds(value: float, text: str) -> bool:
    digits = len(text.partition(".")[2])
    return abs(value - float(text)) <= 0.5001 * 10.0**-digits
