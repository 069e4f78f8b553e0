"""A newcomer's first page: its example runs as it stands, its commands are commands, its links lead somewhere."""

from __future__ import annotations

import csv
import re
import shlex
from pathlib import Path

import pytest

from harness import registry
from harness.cli import main, parser

ROOT = Path(__file__).parents[1]
FOLDERS = ("", "docs/", "kernels/", "tests/**/", "tasks/**/", "results/reference/*/", "deploy/", "examples/")
PAGES = sorted(path for folder in FOLDERS for path in ROOT.glob(f"{folder}*.md") if path.name not in ("leaderboard.md", "verdicts.md"))
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")
MOST_WORDS = 900


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= MOST_WORDS


def test_the_example_of_the_readme_runs_and_decides_its_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [text for kind, text in FENCED.findall((ROOT / "README.md").read_text()) if kind == "python"]
    for text in files:
        path = tmp_path / text.partition("\n")[0].removeprefix("# ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert len(files) == 2
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(registry.TASK_PATHS, "my_tasks")
    assert main(["run", "median", "--scale", "smoke", "--local", "--tracking-uri", "none"]) == 0
    with (tmp_path / "results" / "median-smoke" / "verdicts.csv").open() as file:
        assert [line["verdict"] for line in csv.DictReader(file)] == ["reproduced"]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(FENCED.sub("", page.read_text())):
        if not re.match(r"[a-z]+:", target):
            name, _, anchor = target.partition("#")
            found = (page.parent / name).resolve() if name else page
            assert found.exists(), f"{page.name}: {target}"
            assert not anchor or found.suffix != ".md" or anchor in _anchors(found), f"{page.name}: {target}"


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda path: path.name)
def test_the_commands_of_a_page_are_commands(page: Path) -> None:
    for kind, text in FENCED.findall(page.read_text()):
        for line in text.replace("\\\n", " ").splitlines() if kind == "sh" else ():
            words = shlex.split(line, comments=True)
            if words[:1] == ["papertrial"]:
                parser().parse_args(words[1:])


def _anchors(page: Path) -> set[str]:
    """The names that headings get: lower case, words joined by dashes, punctuation gone."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
