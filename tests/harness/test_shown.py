"""Text that people choose is shown as it is: not as markup, HTML, Markdown or mathematics, nor as a control sequence."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from harness import registry
from harness.console import _Plain, console
from harness.errors import TaskError
from harness.shown import failure, markdown, markdown_cell, markdown_table, reason_of
from harness.svg import svg_of
from harness.task import Experiment, Figure, Grid, Metric, Task
from tests.harness.conftest import Command
from tests.throwaway.demo.choosy.task import Params

ODD = ["[v2]", "[/b]", "[bold]x[/bold]", ":fire:", "[link=https://x]y[/link]", "\\[x]", "a|b", "<b>", "`x`"]


@pytest.mark.fuzz
@given(st.text(st.sampled_from("ab[]/:\\=#@ fire"), max_size=20) | st.sampled_from(ODD))
def test_a_console_shows_text_as_it_is(text: str) -> None:
    shown = io.StringIO()
    printer = _Plain(file=shown, width=200)
    table = Table(text, title=text)
    table.add_row(text)
    printer.print(text, style="yellow")
    printer.print(table)
    assert shown.getvalue().count(text.strip() or " ") >= 4 if text.strip() else True


def test_a_control_sequence_is_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    printer = console()
    printer.print("a\x1b[31mb\x00\udce9")
    assert capsys.readouterr().out == "a\\x1b[31mb\\x00\\udce9\n"


@pytest.mark.parametrize(
    ("error", "reason", "failed"),
    [
        (OSError(2, "No such file", "a\x1bb"), "No such file", "a\\x1bb: No such file"),
        (OSError(28, "No space"), "No space", "No space"),
        (OSError("AWS Error:\n no answer"), "AWS Error: no answer", "AWS Error: no answer"),
        (OSError(), "OSError", "OSError"),
    ],
    ids=["with a file", "without", "of a library", "of nothing"],
)
def test_errors_of_the_system_are_said_with_their_file_and_without(error: OSError, reason: str, failed: str) -> None:
    assert (reason_of(error), failure(error)) == (reason, failed)


class _Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text, self.tags = "", list[str]()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_every_command_and_report_shows_names_as_they_are(papertrial: Command, tmp_path: Path) -> None:
    name = "mine [v2] `x` $y$ [b]"
    words = ["run", "choosy", "--scale", "smoke", "--local", "--tracking-uri", "none", "--study", name, "--set", "name=x,raise"]
    ran = papertrial(*words)
    assert ran.code == 1, ran.err
    for said in (
        ran,
        papertrial("report", name),
        papertrial("status", name),
        papertrial("plan", *words[1:4], "--study", name),
        papertrial("show", "choosy"),
    ):
        assert "Traceback" not in said.err
        assert "[v2]" in said.out
        assert "\x1b" not in said.out
    assert "by [red]construction[/]" in papertrial("show", "choosy").out
    assert "'[/b]': it holds '/'" in papertrial("status", "[/b]").err
    assert f"did you mean {name!r}" in papertrial("status", f"x{name}").err
    study = tmp_path / "results" / name
    page = _Cells()
    text = (study / "report.html").read_text()
    page.feed(text)
    assert "\x1b" not in text
    assert "\\x1b[31m" in page.text
    assert "<b>always</b>" in page.text
    assert "Loss against $hidden$" in page.text
    lines = (study / "leaderboard.md").read_text().splitlines()
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in lines if line.startswith("|")}
    assert len(widths) == 1, "no name adds a cell"
    assert "`plain` | &lt;b>always&lt;/b>" in (study / "verdicts.md").read_text()


def test_a_markdown_table_keeps_its_columns_whatever_the_cells_hold() -> None:
    assert markdown_table(["a|b", "c"], [["`x`", "1\n2"], ["<b>", ""]]) == (
        "| a\\|b | c |\n| --- | --- |\n| \\`x\\` | 1 2 |\n| &lt;b> |  |"
    )


@pytest.mark.fuzz
@given(st.text(st.sampled_from("a|`\\<b/>\n !&"), max_size=12))
def test_a_markdown_cell_stays_one_cell(text: str) -> None:
    cell = markdown_cell(text)
    assert "\n" not in cell
    unescaped = re.sub(r"\\(.)", "", cell)
    assert not set("|`") & set(unescaped)
    assert not re.search(r"<[A-Za-z/!?]", markdown(text))


@pytest.mark.fuzz
@given(st.text(st.characters(exclude_categories=("Cs",)) | st.sampled_from("$\\{}^_\x1b<&\x00"), max_size=12))
def test_a_drawing_is_xml_whatever_its_words(text: str) -> None:
    def draw(figure: Any) -> None:
        figure.suptitle(f"$x_{text}$")

    svg = svg_of("x", 1, 1, draw)
    ET.fromstring(svg.partition("<svg")[1] + svg.partition("<svg")[2])


@pytest.mark.parametrize("odd", ["a\x1bb", "a\nb", "\udce9", " ", "", "a\u2028b", "a\u200b", "\u202ea", "\ufeffa"])
def test_a_name_that_nobody_can_read_is_refused_when_it_is_declared(odd: str) -> None:
    with pytest.raises(TaskError, match="a name is made of visible characters"):
        Experiment("train", params=Params, metrics=[Metric(odd, "", "lower")], run="a:b")


@pytest.mark.parametrize("odd", ["../../evil", "a/b", "a\\b", "x:y"])
def test_a_figure_or_view_that_leads_out_of_its_folder_is_refused(odd: str) -> None:
    from dataclasses import replace

    from harness import registry

    with pytest.raises(TaskError, match=r"figure .*without"):
        Experiment(
            "train", params=Params, metrics=[Metric("m", "", "lower")], run="a:b", figures=[Figure(id=odd, title="", x="step", y="m")]
        )
    task = registry.task("choosy")
    scale = task.scales["smoke"]
    with pytest.raises(TaskError, match=r"view .*without"):
        replace(task, scales={"smoke": replace(scale, grids=[Grid(task.experiments[0], view=odd)])})


def test_a_name_that_is_too_long_for_a_file_is_refused() -> None:
    with pytest.raises(TaskError, match="is a part of file names"):
        Experiment(
            "train", params=Params, metrics=[Metric("m", "", "lower")], run="a:b", figures=[Figure(id="x" * 65, title="", x="step", y="m")]
        )


def test_a_damaged_table_of_verdicts_costs_only_itself(papertrial: Command, tmp_path: Path) -> None:
    for study, text in {
        "a": b"task,scale\n1,2\n",
        "b": b"\xff\xfe",
        "c": b"task,scale,claim,verdict\nchoosy,smoke,C1,reproduced\n",
    }.items():
        (tmp_path / "results" / study).mkdir(parents=True)
        (tmp_path / "results" / study / "plan.json").write_text("{}")
        (tmp_path / "results" / study / "verdicts.csv").write_bytes(text)
    said = papertrial("list")
    assert (said.code, said.err) == (0, "")
    assert all(f"{study}/verdicts.csv cannot be read" in said.out for study in "ab")
    assert "smoke: 1 of 1 tested, 1 reproduced" in " ".join(said.out.split())


def test_claims_without_a_kind_are_of_the_kind_that_their_task_says(
    papertrial: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "results" / "old").mkdir(parents=True)
    (tmp_path / "results" / "old" / "plan.json").write_text("{}")
    lines = ["task,scale,claim,verdict", *(f"choosy,smoke,{claim},reproduced" for claim in ("C1", "C1-control", "dropped"))]
    (tmp_path / "results" / "old" / "verdicts.csv").write_text("\n".join(lines))
    loaded = registry.task_at

    def with_control(entry: registry.Entry) -> Task:
        task = loaded(entry)
        return replace(task, claims=[*task.claims, *(replace(c, id=f"{c.id}-control", kind="control") for c in task.claims)])

    monkeypatch.setattr(registry, "task_at", with_control)
    assert "smoke: 1 of 1 tested, 1 reproduced" in " ".join(papertrial("list").out.split())
