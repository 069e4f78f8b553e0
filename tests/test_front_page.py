"""The front page says what the committed verdicts say: counts of the paper's own claims, and every interval that it quotes."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from harness.tally import Line, sentences

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "results" / "reference"
ROW = re.compile(r"^\| \[.*?`(?P<task>[a-z0-9-]+)`.*?\| (?P<counts>\d+ / \d+ / \d+) \| (?P<words>.*) \|$", re.M)
QUOTED = re.compile(r"(?<![\d.])(-?\d+(?:\.\d+)?) \[(-?\d+(?:\.\d+)?), (-?\d+(?:\.\d+)?)\]")
ROWS = list(ROW.finditer((ROOT / "README.md").read_text()))


def table(task: str, name: str) -> list[dict[str, str]]:
    with (REFERENCE / f"{task}-laptop" / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


def test_every_paper_with_a_committed_study_is_on_the_front_page() -> None:
    assert {row["task"] for row in ROWS} == {path.name.removesuffix("-laptop") for path in REFERENCE.glob("*-laptop")}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["task"])
def test_the_counts_are_those_of_the_papers_own_claims(row: re.Match[str]) -> None:
    own = [Line.of(line) for line in table(row["task"], "verdicts") if line["kind"] == "paper"]
    found = sentences(own)
    assert row["counts"] == " / ".join(str(found.count(name)) for name in ("reproduced", "not reproduced", "inconclusive"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["task"])
def test_every_interval_on_the_front_page_is_a_committed_one(row: re.Match[str]) -> None:
    lines = [*table(row["task"], "verdicts"), *table(row["task"], "leaderboard")]
    known = [_of(line) for line in lines]
    known += [tuple(10.0**value for value in _of(line)) for line in lines if line["unit"].startswith("log10")]
    quoted = QUOTED.findall(row["words"])
    for texts in quoted:
        assert any(all(_rounds(value, text) for value, text in zip(sides, texts, strict=True)) for sides in _signs(known)), texts


def _of(line: dict[str, str]) -> tuple[float, ...]:
    return tuple(float(line[name] or "nan") for name in ("estimate", "low", "high"))


def _signs(known: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
    """What may be quoted the other way round too: "nearer by 0.48 [0.39, 0.57]"."""
    return [*known, *((-estimate, -high, -low) for estimate, low, high in known)]


def _rounds(value: float, text: str) -> bool:
    digits = len(text.partition(".")[2])
    return abs(value - float(text)) <= 0.5001 * 10.0**-digits
