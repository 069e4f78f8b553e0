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
from harness.report import verdicts as verdict_text
from harness.report.html import warnings
from harness.report.tables import Layout
from harness.tally import tally
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
    console.print(Text.assemble("\n", styled(tally(judgement.verdicts), "bold"), styled(f". {verdict_text.caution(judgement.verdicts)}")))
    for warning in warnings(judgement.study):
        console.print(Text.assemble(("mind", "yellow"), styled(f": {warning}")))


def _show_verdicts(verdicts: Sequence[Verdict], console: Console) -> None:
    """Claims that are not tested are only named, unless nothing else is there to show."""
    tested = [v for v in verdicts if v.verdict != "not tested"]
    for heading, counted, group in verdict_text.by_kind(verdicts):
        shown = [v for v in group if v.verdict != "not tested"] if tested else group
        if shown:
            console.print(_verdicts(f"{heading}, scale {group[0].scale}: {counted}", shown))
    for verdict in tested or verdicts:
        console.print(Text.assemble(styled(verdict.claim, _STYLES[verdict.verdict]), styled(f": {verdict_text.reasons(verdict)}")))
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


def _verdicts(title: str, verdicts: Sequence[Verdict]) -> Table:
    table = _plain(title)
    table.add_column("verdict", no_wrap=True)
    table.add_column("claim", overflow="fold")
    for heading in ("estimate [95 %]", "the paper", "unit", "holds", "effect", "seeds"):
        table.add_column(heading, justify="left" if heading == "unit" else "right", no_wrap=heading.startswith("estimate"))
    table.add_column("data")
    for v in verdicts:
        paper = "–" if v.published is None else f"{v.published:.6g}"
        cells = (verdict_text.label(v), verdict_text.estimate(v), paper, v.unit, v.holds, verdict_text.effect(v), verdict_text.seeds(v))
        table.add_row(styled(verdict_text.word(v), _STYLES[v.verdict]), *cells, v.data_kind)
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
