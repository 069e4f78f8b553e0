"""What commands print in terminals of any width: every name and number is whole."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from harness.cli import main
from harness.console import _Plain
from harness.stats import Interval
from harness.tabular import Column, below_each_other, print_table, whole, words
from tests.harness.conftest import Command

WIDTHS = (60, 80, 100, 160)
TASK = "names-that-are-longer-than-half-a-terminal"
BEFORE, AFTER = "a-study-before-somebody-changed-the-source-of-the-task", "a-study-after-somebody-changed-the-source-of-the-task"
CLAIM = "C1-loss-of-the-baseline-exceeds-that-of-the-rule"
LOSS = "validation_loss_after_the_last_step"
COMMANDS = (
    ("trials", BEFORE),
    ("trials", BEFORE, "--claim", CLAIM),
    ("verdicts", BEFORE),
    ("verdicts", BEFORE, "--claim", CLAIM),
    ("status", BEFORE),
    ("plan", TASK, "--scale", "smoke", "--study", BEFORE),
    ("ls",),
    ("show", TASK),
    ("show", TASK, "--claim", CLAIM),
    ("list", "--field", "wide"),
    ("compare", BEFORE, AFTER),
    ("report", BEFORE),
    ("report", BEFORE, "--full"),
    ("fit", "power-law", BEFORE, "--x", "width", "--y", LOSS, "--group", "method", "--predict", "x=1e9", "--compare"),
    ("fit", "help"),
    ("data", "list"),
)
_NAMES = ("trial", "study", "claim", "method", "id", "name", "arxiv")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two studies of the task with long names; in the second each loss is worse."""
    folder = tmp_path_factory.mktemp("store")
    run = ["run", TASK, "--scale", "smoke", "--local", "--tracking-uri", "none", "--store", str(folder), "--study"]
    assert main([*run, BEFORE]) == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THROWAWAY_WORSE", "0.25")
        assert main([*run, AFTER]) == 0
    return folder


def names_and_numbers(text: str) -> set[str]:
    """Words with a digit, a hyphen or an underscore inside."""
    found = {word.strip(",;:.()") for word in text.replace("[95 %]", "").split()}
    return {word for word in found if re.search(r"\d|\w[-_]\w", word)}


def promised(found: Any) -> Iterator[str]:
    """The names in what `--json` printed, and its numbers as they are shown to people."""
    if isinstance(found, list):
        for own in found:
            yield from promised(own)
    if isinstance(found, dict):
        yield from (str(found[name]) for name in _NAMES if isinstance(found.get(name), str))
        if "trial" in found:
            yield from (f"{value:.5g}" for value in list(found["metrics"].values())[:4])
        if found.get("published") is not None:
            yield f"{found['published']:.6g}"
        if found.get("low") is not None:
            yield str(Interval(found["estimate"], found["low"], found["high"], found["n"]))
        for own in found.values():
            yield from promised(own)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_width_cuts_a_name_or_a_number(
    papertrial: Command, store: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    asked = [*command, *([] if command[0] == "data" else ["--store", str(store)])]
    full = papertrial(*asked)
    assert full.code == 0, full.err
    has_json = command[0] in ("trials", "verdicts", "status", "plan", "ls", "show", "list")
    wanted = set(promised(json.loads(papertrial(*asked, "--json").out))) if has_json else set()
    assert wanted or not has_json
    for width in WIDTHS:
        monkeypatch.setenv("COLUMNS", str(width))
        said = papertrial(*asked).out
        assert names_and_numbers(full.out) - names_and_numbers(said) == set(), width
        assert {name for name in wanted if name not in said} == set(), width
        # Words alone go over the edge, and lines that are never wrapped, because they are copied.
        over = [line for line in said.splitlines() if cell_len(line.rstrip()) > width and " " in line.strip()]
        assert [line for line in over if line not in full.out.splitlines()] == [], width
        assert "…" not in said
        assert said != full.out or width > min(WIDTHS), "$COLUMNS says how wide it is"


def test_a_log_has_a_row_a_line(papertrial: Command, store: Path) -> None:
    said = papertrial("trials", BEFORE, "--store", str(store)).out.splitlines()
    trials = json.loads(papertrial("trials", BEFORE, "--store", str(store), "--json").out)
    rows = {line.split()[0]: line for line in said if line}
    for trial in trials:
        assert trial["method"] in rows[trial["trial"]]
        assert f"{trial['metrics']['perplexity_on_held_out_documents']:.5g}" in rows[trial["trial"]]


def test_a_paper_s_own_number_is_beside_ours_at_every_width(papertrial: Command, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for width in WIDTHS:
        monkeypatch.setenv("COLUMNS", str(width))
        assert "0.0123456" in papertrial("verdicts", BEFORE, "--store", str(store)).out


def test_notes_explain_the_columns_that_are_shown(papertrial: Command, store: Path) -> None:
    notes = ("A rank such as", "P(best) is", "Seconds are", "MiB are", "Joules are", "Tuning trials are")
    early, every = (papertrial("report", BEFORE, "--store", str(store), *more).out for more in ([], ["--full"]))
    assert [note in early for note in notes] == [True, False, True, False, False, False]
    assert [note in every for note in notes] == [True, True, True, True, False, False]


def shown(width: int, *columns: str | Column, rows: list[list[str]], keys: int = 1) -> list[str]:
    sink = io.StringIO()
    print_table(_Plain(file=sink, width=width), columns, rows, "studies", keys=keys)
    return [line.rstrip() for line in sink.getvalue().splitlines()]


ROWS = [["crrelu", "laptop", "12.5", "what the paper proposes"], ["relu", "laptop", "3", "what everybody uses"]]
COLUMNS = ("method", "scale", "seconds", words("what it does"))


def test_a_table_that_fits_has_a_row_a_line_and_prose_gives_way_first() -> None:
    assert shown(80, *COLUMNS, rows=ROWS)[-2:] == [
        "crrelu  laptop  12.5     what the paper proposes",
        "relu    laptop  3        what everybody uses",
    ]
    assert shown(44, *COLUMNS, rows=ROWS)[-4:] == [
        "crrelu  laptop  12.5     what the paper",
        "                         proposes",
        "relu    laptop  3        what everybody",
        "                         uses",
    ]


def test_what_all_rows_share_is_said_once_before_rows_become_cards() -> None:
    folded = shown(34, *COLUMNS, rows=ROWS)
    assert folded[:3] == ["", "studies", "every row: scale: laptop"]
    assert folded[-4:] == [
        "crrelu  12.5     what the paper",
        "                 proposes",
        "relu    3        what everybody",
        "                 uses",
    ]
    assert shown(24, *COLUMNS, rows=ROWS) == [
        *("", "studies", "every row: scale: laptop"),
        *("crrelu", "    seconds: 12.5", "    what it does: what", "    the paper proposes"),
        *("relu", "    seconds: 3", "    what it does: what", "    everybody uses"),
    ]
    assert shown(24, *COLUMNS, rows=ROWS[:1], keys=2)[2] == "crrelu, laptop"


def test_a_name_that_is_wider_than_the_terminal_goes_over_its_edge_whole() -> None:
    name, sink = "x" * 30, io.StringIO()
    assert f"    {name}" in shown(20, "study", "claim", rows=[["a", name]])
    printer = _Plain(file=sink, width=20)
    printer.print(f"the report is in /{name}/report.html, and nothing else is written")
    assert sink.getvalue().splitlines() == ["the report is in", f"/{name}/report.html,", "and nothing else is", "written"]


def test_columns_that_do_not_fit_go_below_with_the_names_of_the_rows() -> None:
    columns = [Column(heading) for heading in ("method", "train loss", "test loss")]
    rows = [["crrelu", "0.12 [0.1, 0.2]", "0.34 [0.3, 0.4]"], ["(controls, not ranked)"], ["relu", "0.5 [0.4, 0.6]", ""]]
    assert whole(columns, rows, 45) is not None
    assert whole(columns, rows, 44) is None
    two = below_each_other(columns, rows, 30)
    assert two is not None
    assert [[str(column.header) for column in table.columns] for table in two] == [["method", "train loss"], ["method", "test loss"]]
    assert [list(map(str, table.columns[0].cells)) for table in two] == [["crrelu", "(controls, not ranked)", "relu"], ["crrelu"]]
    assert below_each_other(columns, rows, 20) is None
