"""A newcomer's first page: its example runs as it stands, its commands are commands, its links lead somewhere."""

from __future__ import annotations

import csv
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import registry
from harness.cli import parser

ROOT = Path(__file__).parents[1]
FOLDERS = ("", "docs/", "kernels/", "tests/**/", "tasks/**/", "results/reference/*/", "deploy/", "examples/")
PAGES = sorted(path for folder in FOLDERS for path in ROOT.glob(f"{folder}*.md") if path.name not in ("leaderboard.md", "verdicts.md"))
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[([^\]\n]*)\]\(([^)\s]+)\)")
"""An image is one too."""
MOST_WORDS = 900


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= MOST_WORDS


def test_the_example_of_the_readme_runs_and_decides_its_claim(tmp_path: Path) -> None:
    files = [text for kind, text in FENCED.findall((ROOT / "README.md").read_text()) if kind == "python"]
    for text in files:
        path = tmp_path / text.partition("\n")[0].removeprefix("# ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert len(files) == 2
    environment = os.environ | {registry.TASK_PATHS: "my_tasks"}

    def papertrial(*words: str) -> str:
        """In a process of its own: another test's package called `my_tasks` may be imported in this one."""
        done = subprocess.run([sys.executable, "-m", "harness", *words], cwd=tmp_path, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    papertrial("run", "median", "--scale", "smoke", "--local", "--tracking-uri", "none")
    with (tmp_path / "results" / "median-smoke" / "verdicts.csv").open() as file:
        assert [line["verdict"] for line in csv.DictReader(file)] == ["reproduced"]
    assert "tested at: smoke\n" in papertrial("show", "median", "--claim", "C1"), "its only scale"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    assert list(lost(page)) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    other, page = tmp_path / "other.md", tmp_path / "page.md"
    other.write_text("# Two [words](https://example.org)\n\n```sh\n# in code\n```\n\n## Two words\n\n## Snake_case, `code`: end\n")
    (tmp_path / "there.png").touch()
    good = [
        "other.md",
        "other.md#two-words",
        "other.md#two-words-1",
        "other.md#snake_case-code-end",
        "#own",
        "https://example.org/x#y",
        ".",
    ]
    bad = ["gone.md", "gone.png", "other.md#two-words-2", "other.md#in-code", "other.md#Two-words", "#gone", "there.png#part"]
    links = "\n".join(f"[x]({target})" for target in [*good, *bad])
    page.write_text(f"# Own\n{links}\n![y](there.png) ![z](gone.svg)\n```\n[x](no.md)\n```\n")
    assert list(lost(page)) == [*bad, "gone.svg"]


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda path: path.name)
def test_the_commands_of_a_page_are_commands(page: Path) -> None:
    for kind, text in FENCED.findall(page.read_text()):
        for line in text.replace("\\\n", " ").splitlines() if kind == "sh" else ():
            words = shlex.split(line, comments=True)
            if words[:1] == ["papertrial"]:
                parser().parse_args(words[1:])


def lost(page: Path) -> Iterator[str]:
    """Targets of a page's relative links and images that are not there: files, and headings of pages."""
    for _, target in LINK.findall(FENCE.sub("", page.read_text())):
        name, mark, anchor = target.partition("#")
        found = (page.parent / name).resolve() if name else page
        there = found.exists() and (not mark or (found.suffix == ".md" and anchor in _anchors(found)))
        if not there and not re.match(r"[a-z]+:", target):
            yield target


def _anchors(page: Path) -> set[str]:
    """The names that headings get: lower case, words joined by dashes, punctuation gone; of two alike the second ends in 1."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    names = [re.sub(r"[^\w\- ]", "", LINK.sub(r"\1", heading).lower()).replace(" ", "-") for heading in headings]
    return {f"{name}-{names[:place].count(name)}".removesuffix("-0") for place, name in enumerate(names)}
