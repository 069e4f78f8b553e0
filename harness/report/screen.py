"""Leaderboard and verdicts on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from harness.console import console as make_console
from harness.leaderboard import Board, boards
from harness.report import sentences
from harness.report.layout import Layout, leaderboard
from harness.report.provenance import provenance
from harness.verdict import Verdict, decide

if TYPE_CHECKING:
    from harness.study import Study

_STYLES = {"reproduced": "green", "not reproduced": "red", "inconclusive": "yellow", "not tested": "dim"}


def show(study: Study, console: Console | None = None) -> None:
    """For every (task, scale): the leaderboard, then the verdicts with their reasons, then what they may decide.

    Claims that are not tested are only named, unless nothing else is there to show.
    """
    console = console or make_console()
    verdicts = decide(study)
    for board in boards(study):
        layout = leaderboard(board)
        console.print(_leaderboard(board, layout))
        console.print(f"[dim]{escape(sentences.progress(board) + sentences.empty(layout.empty))}[/]")
        own = [v for v in verdicts if (v.task, v.scale) == (board.task, board.scale)]
        tested = [v for v in own if v.verdict != "not tested"]
        if own:
            console.print(_verdicts(tested or own))
            for verdict in tested or own:
                reason = escape(" ".join(filter(None, [verdict.reason, verdict.note])))
                console.print(f"[{_STYLES[verdict.verdict]}]{escape(verdict.claim)}[/]: {reason}")
        untested = [v.claim for v in own if v.verdict == "not tested"]
        if tested and untested:
            console.print(f"[{_STYLES['not tested']}]not tested (reasons in verdicts.md): {escape(', '.join(untested))}[/]")
    console.print(f"\n[bold]{sentences.tally(verdicts)}[/]. {escape(sentences.caution(verdicts))}")
    for warning in provenance(study).warnings:
        console.print(f"[yellow]mind[/]: {escape(warning)}")


def _leaderboard(board: Board, layout: Layout) -> Table:
    table = _plain(f"{board.task} at scale {board.scale}")
    for index, heading in enumerate(layout.headings):
        table.add_column(Text(heading), justify="left" if index == 0 else "right", no_wrap=index == 0)
    for row in layout.rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _verdicts(verdicts: Sequence[Verdict]) -> Table:
    table = _plain("verdicts")
    table.add_column("verdict", no_wrap=True)
    table.add_column("claim", overflow="fold")
    for heading in ("estimate [95 %]", "the paper", "unit", "holds", "seeds"):
        table.add_column(Text(heading), justify="left" if heading == "unit" else "right", no_wrap=heading.startswith("estimate"))
    for heading in ("scale", "data"):
        table.add_column(heading)
    for v in verdicts:
        paper = "–" if v.published is None else f"{v.published:.6g}"
        cells = (v.claim, str(v.interval), paper, v.unit, v.holds, sentences.seeds(v), v.scale, v.data_kind)
        table.add_row(Text(v.verdict, style=_STYLES[v.verdict]), *(Text(cell) for cell in cells))
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
