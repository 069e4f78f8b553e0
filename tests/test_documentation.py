"""What `make docs` builds: every page has its place, every module of the API can be imported and says what it is, the picture is whole."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from xml.etree import ElementTree

DOCS = Path(__file__).parents[1] / "docs"
API = re.findall(r"^\.\. automodule:: (\S+)$", (DOCS / "api.md").read_text(), re.MULTILINE)


def test_nothing_that_people_read_shows_a_number_that_is_none() -> None:
    root = DOCS.parent
    pages = [path for pattern in ("*.md", "docs/*.md", "tasks/**/*.md", "results/reference/**/*.md") for path in root.glob(pattern)]
    assert len(pages) > 80
    assert [str(path) for path in pages if re.search(r"\bnan\b|\bnan \[", path.read_text())] == []


def test_every_page_stands_in_the_index_once() -> None:
    trees = re.findall(r"```\{toctree\}\n:caption: .+\n([\w\n-]+)```", (DOCS / "index.md").read_text())
    listed = [page for tree in trees for page in tree.split()]
    assert sorted(listed) == sorted(path.stem for path in DOCS.glob("*.md") if path.stem != "index")


def test_the_api_is_of_modules_that_have_public_names() -> None:
    assert len(API) == len(set(API)) >= 15
    for name in API:
        module = importlib.import_module(name)
        own = [found for found in vars(module).values() if getattr(found, "__module__", "") == name]
        assert module.__doc__
        assert any(not found.__name__.startswith("_") for found in own), name


def test_the_picture_of_the_rooms_is_read_in_light_and_dark() -> None:
    root = ElementTree.parse(DOCS / "architecture.svg").getroot()
    words = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"Task", "trials", "engine", "ledger", "frame", "verdicts", "leaderboards", "laws", "report", "harness", "kernels"} <= words
    style = next(root.iter("{http://www.w3.org/2000/svg}style")).text or ""
    light, dark = style.split("@media (prefers-color-scheme: dark)")
    assert set(re.findall(r"\.(\w+)[ ,]", dark)) >= {"sub", "box", "end", "room", "road", "tip"} & set(re.findall(r"\.(\w+)[ ,]", light))
