"""Leaderboard and verdicts on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.console import console as make_console
from harness.console import styled
from harness.judgement import Judgement
from harness.leaderboard import Board
from harness.report import tables
from harness.report.html import warnings
from harness.report.tables import Layout
from harness.verdict import Verdict

_STYLES = {"reproduced": "green", "not reproduced": "red", "inconclusive": "yellow", "not tested": "dim"}


def show(judgement: Judgement, console: Console | None = None) -> None:
    """For every (task, scale): the leaderboards, then the verdicts with their reasons; last, what the verdicts may decide."""
    console = console or make_console()
    for ruling in judgement.rulings:
        for board in ruling.boards:
            laid = tables.layout(board)
            console.print(_leaderboard(board, laid))
            console.print(styled(tables.progress(board, laid), "dim"))
        _show_verdicts(ruling.verdicts, console)
    console.print(Text.assemble("\n", styled(tables.tally(judgement.verdicts), "bold"), styled(f". {tables.caution(judgement.verdicts)}")))
    for warning in warnings(judgement.study):
        console.print(Text.assemble(("mind", "yellow"), styled(f": {warning}")))


def _show_verdicts(verdicts: Sequence[Verdict], console: Console) -> None:
    """Claims that are not tested are only named, unless nothing else is there to show."""
    tested = [v for v in verdicts if v.verdict != "not tested"]
    if verdicts:
        console.print(_verdicts(tested or verdicts))
    for verdict in tested or verdicts:
        console.print(Text.assemble(styled(verdict.claim, _STYLES[verdict.verdict]), styled(f": {tables.reasons(verdict)}")))
    untested = [v.claim for v in verdicts if v.verdict == "not tested"]
    if tested and untested:
        console.print(styled(f"not tested (reasons in verdicts.md): {', '.join(untested)}", _STYLES["not tested"]))


def _leaderboard(board: Board, laid: Layout) -> Table:
    table = _plain(f"{board.label}, scale {board.scale}")
    for index, heading in enumerate(laid.headings):
        table.add_column(styled(heading), justify="left" if index == 0 else "right", no_wrap=index == 0)
    for row in laid.rows:
        table.add_row(*row)
    return table


def _verdicts(verdicts: Sequence[Verdict]) -> Table:
    table = _plain("verdicts")
    table.add_column("verdict", no_wrap=True)
    table.add_column("claim", overflow="fold")
    for heading in ("estimate [95 %]", "the paper", "unit", "holds", "seeds"):
        table.add_column(heading, justify="left" if heading == "unit" else "right", no_wrap=heading.startswith("estimate"))
    for heading in ("scale", "data"):
        table.add_column(heading)
    for v in verdicts:
        paper = "–" if v.published is None else f"{v.published:.6g}"
        cells = (v.claim, tables.estimate(v), paper, v.unit, v.holds, tables.seeds(v), v.scale, v.data_kind)
        table.add_row(styled(v.verdict, _STYLES[v.verdict]), *cells)
    return table


def _plain(title: str) -> Table:
    return Table(
        title=f"\n{title}",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
