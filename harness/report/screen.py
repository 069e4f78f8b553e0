"""Verdicts and leaderboards on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.console import console as make_console
from harness.console import styled
from harness.judgement import Judgement
from harness.report import tables
from harness.report import verdicts as verdict_text
from harness.report.board import BoardView, view
from harness.report.origins import warnings
from harness.report.tables import Layout
from harness.tally import tally, was_tried
from harness.verdict import Verdict

_STYLES = {"reproduced": "green", "not reproduced": "red", "inconclusive": "yellow", "not tested": "dim"}
_GAP, _EDGES = 2, 2
"""Columns between two cells, and at both ends of a line."""
ROOMY = 110
"""Columns from which on verdicts are a table."""


def show(judgement: Judgement, console: Console | None = None, *, full: bool = False) -> None:
    """For every (task, scale): the verdicts with their reasons, then the leaderboards; last, what the verdicts may decide.

    A board shows what ranks and what claims read, all of its columns with `full`.
    """
    console = console or make_console()
    for ruling in judgement.rulings:
        _show_verdicts(ruling.verdicts, console)
        for board in ruling.boards:
            shown = view(ruling, board)
            for table in _leaderboard(shown, f"{board.label}, scale {board.scale}", console.width, full=full):
                console.print(table)
            folded = "" if full or not shown.folded else f"; {shown.folded} more columns with `papertrial report --full`"
            console.print(styled(tables.progress(board) + folded, "dim"))
            if found := ruling.aggregates.get(board.experiment):
                for table in _tables(tables.over_cells(found), tables.over_cells_title(found), console.width):
                    console.print(table)
        how = [*tables.HOW_RANKED, *([tables.HOW_CENSORED] if any(map(tables.has_bounds, ruling.boards)) else [])]
        how += [tables.HOW_OVER_CELLS] if ruling.aggregates else []
        if any(board.standings for board in ruling.boards):
            console.print(styled(f"\n{' '.join(how)}", "dim"))
    _conclude(judgement, console)
    for warning in warnings(judgement.study):
        console.print(Text.assemble(("mind", "yellow"), styled(f": {warning}")))


def _conclude(judgement: Judgement, console: Console) -> None:
    console.print(Text.assemble("\n", styled(tally(judgement.verdicts), "bold"), styled(f". {verdict_text.caution(judgement.verdicts)}")))


def show_verdicts(judgement: Judgement, console: Console) -> None:
    """The verdicts alone, the paper's claims first, and what they may decide."""
    for ruling in judgement.rulings:
        _show_verdicts(ruling.verdicts, console)
    _conclude(judgement, console)


def show_verdict(verdict: Verdict, console: Console) -> None:
    """One verdict as a row, with its reasons."""
    console.print(_verdicts("", [verdict]) if console.width >= ROOMY else _lines(verdict))
    console.print(Text.assemble(styled(verdict_text.word(verdict), _STYLES[verdict.verdict]), styled(f": {verdict_text.reasons(verdict)}")))


def _show_verdicts(verdicts: Sequence[Verdict], console: Console) -> None:
    """Claims that are not tested are only named, unless nothing else is there to show."""
    tested = [v for v in verdicts if v.verdict != "not tested"]
    for heading, counted, group in verdict_text.by_kind(verdicts):
        shown = [v for v in group if v.verdict != "not tested"] if tested else group
        title = f"{heading}, scale {group[0].scale}: {counted}"
        if shown and console.width >= ROOMY:
            console.print(_verdicts(title, shown))
        elif shown:
            console.print(styled(f"\n{title}", "bold"))
            for v in shown:
                console.print(_lines(v))
    for verdict in filter(was_tried, verdicts) if tested else verdicts:
        console.print(Text.assemble(styled(verdict.claim, _STYLES[verdict.verdict]), styled(f": {verdict_text.reasons(verdict)}")))
    untested = [v.claim for v in verdicts if not was_tried(v)]
    if tested and untested:
        console.print(styled(f"not tested (reasons in verdicts.md): {', '.join(untested)}", _STYLES["not tested"]))


def _leaderboard(shown: BoardView, title: str, room: int, *, full: bool) -> Iterator[Table]:
    """A row a method, in as many tables below each other as the columns need: cells that are wrapped cannot be compared."""
    kept = [place for place, heading in enumerate(shown.headings) if full or heading.first]
    rows = []
    for group, methods in shown.groups:
        rows += [[f"({group})", *("" for _ in kept)]] if group else []
        for row in methods:
            rows.append([row.method, *(row.cells[place] for place in kept)])
            rows += [[f"{tables.INNER}{label}", *(cells[place] for place in kept)] for label, cells in row.inner]
    yield from _tables(Layout(["method", *(shown.headings[place].text for place in kept)], rows), title, room)


def _tables(laid: Layout, heading_of_all: str, room: int) -> Iterator[Table]:
    (heading, methods), *columns = _columns(laid)
    title: str | None = heading_of_all
    for block in _blocks(columns, room - _EDGES - _width(heading, methods)):
        table = _plain(title)
        title = None
        table.add_column(styled(heading), no_wrap=True)
        for name, _ in block:
            table.add_column(styled(name), justify="right")
        for method, *cells in zip(methods, *(own for _, own in block), strict=True):
            if any(cells):
                table.add_row(method, *cells)
        yield table


def _columns(laid: Layout) -> list[tables.Column]:
    return [(name, [row[i] for row in laid.rows]) for i, name in enumerate(laid.headings)]


def _blocks(columns: Sequence[tables.Column], room: int) -> list[list[tables.Column]]:
    """The columns in their order, as many together as there is room for."""
    blocks: list[list[tables.Column]] = [[]]
    left = room
    for column in columns:
        left -= _width(*column)
        if left < 0 and blocks[-1]:
            blocks.append([])
            left = room - _width(*column)
        blocks[-1].append(column)
    return blocks


def _width(heading: str, cells: Sequence[str]) -> int:
    """With the gap behind it. A heading may be wrapped between words, a cell not."""
    return max(map(cell_len, [*heading.split(), *cells])) + _GAP


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


def _lines(v: Verdict) -> Text:
    """A verdict where a table would cut its cells: what was decided, the number, and what it is held against."""
    paper = f"; the paper: {verdict_text.published(v)}" if v.published is not None else ""
    seeds = f"{verdict_text.seeds(v)} seeds, {v.data_kind} data" if v.n else "no seeds"
    return Text.assemble(
        styled(f"{verdict_text.word(v):<15}", _STYLES[v.verdict]),
        styled(f"{verdict_text.label(v)}\n    {verdict_text.ours(v)}\n"),
        styled(f"    holds {v.holds}{paper}; effect {verdict_text.effect(v)}; {seeds}", "dim"),
    )


def _plain(title: str | None) -> Table:
    return Table(
        title=title and f"\n{title}",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
