"""Run the tests that `docs/faults.md` names, many times in a row: `python -m tests.faults --times 20 [--section "Object stores" ...]`."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs" / "faults.md"


class Again:
    """A plugin: every test runs `times` times, one whole round after the other."""

    def __init__(self, times: int) -> None:
        self.times = times

    @pytest.fixture
    def round_of_faults(self, request: pytest.FixtureRequest) -> int:
        return int(request.param)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        metafunc.fixturenames.append("round_of_faults")
        metafunc.parametrize("round_of_faults", range(1, self.times + 1), indirect=True, ids=lambda number: f"round-{number}")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: item.callspec.params["round_of_faults"])  # type: ignore[attr-defined]


def named(sections: Sequence[str] = ()) -> list[str]:
    """The pytest nodes of the tables' last columns, once each, in their order, as paths from the root of the tree.

    Those of all tables, or of the `sections` with these headings. ValueError for a heading that is not there.
    """
    text = TABLE.read_text()
    parts = {heading: body for heading, _, body in (part.partition("\n") for part in text.split("\n## ")[1:])}
    if missing := [name for name in sections if name not in parts]:
        raise ValueError(f"{TABLE.name} has no section {missing[0]!r}; there are: {', '.join(parts)}")
    lines = "\n".join(parts[name] for name in sections or parts).splitlines()
    cells = [line.rstrip(" |").rpartition("|")[2] for line in lines if line.startswith("| ")]
    return list(dict.fromkeys(f"tests/{node}" for cell in cells for node in re.findall(r"`([^`]+\.py::[^`]+)`", cell)))


def main() -> int:
    """0 when every round was green. Each of `--jobs` processes takes its share of the tests and stops at its first red one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--section", action="append", default=[], help="a heading of the page, once or more; default: all of them")
    parser.add_argument("--part", type=int, help="run this share only, in this process")
    options = parser.parse_args()
    try:
        found = sorted(named(options.section))
    except ValueError as error:
        parser.error(str(error))
    if options.part is None:
        words = ["-m", "tests.faults", *sys.argv[1:], "--part"]
        running = [subprocess.Popen([sys.executable, *words, str(part)], cwd=ROOT) for part in range(options.jobs)]
        return max(abs(process.wait()) for process in running)
    words = ["-q", "-x", "-p", "no:cacheprovider", "--rootdir", str(ROOT)]
    nodes = found[options.part :: options.jobs]
    return int(pytest.main([*words, *(str(ROOT / node) for node in nodes)], plugins=[Again(options.times)]))


if __name__ == "__main__":
    sys.exit(main())
