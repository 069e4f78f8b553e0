"""Verdicts and leaderboards on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from harness.console import console as make_console
from harness.console import filled, styled
from harness.judgement import Judgement, Ruling
from harness.report import tables
from harness.report import verdicts as verdict_text
from harness.report.board import BoardView, view
from harness.report.origins import of_other_sources, warnings
from harness.tabular import INDENT, Column, Row, below_each_other, enumerated, print_cards, print_title, whole
from harness.tally import tally, was_tried
from harness.verdict import Verdict

_STYLES = {"reproduced": "green", "not reproduced": "red", "inconclusive": "yellow", "not tested": "dim"}
MOST_REASONS = 4
"""Why claims are not tested, on a terminal: the other reasons are in the study's table."""


def show(judgement: Judgement, console: Console | None = None, *, full: bool = False) -> None:
    """For every (task, scale): the verdicts with their reasons, then the leaderboards; last, what the verdicts may decide.

    A board shows what ranks and what claims read, all of its columns with `full`.
    """
    console = console or make_console()
    for ruling in judgement.rulings:
        _show_verdicts(ruling.verdicts, console, whose=_whose(judgement, ruling))
        headings: list[str] = []
        for board in ruling.boards:
            shown = view(ruling, board)
            headings += _show_board(shown, f"{board.label}, scale {board.scale}", console, full=full)
            folded = "" if full or not shown.folded else f"; {shown.folded} more columns with `papertrial report --full`"
            console.print(styled(tables.progress(board) + folded, "dim"))
            if found := ruling.aggregates.get(board.experiment):
                laid = tables.over_cells(found)
                _show_methods(laid.headings, laid.rows, tables.over_cells_title(found), console)
        how = tables.explained(headings)
        how += [tables.HOW_CENSORED] if any(map(tables.has_bounds, ruling.boards)) else []
        how += [tables.HOW_OVER_CELLS] if ruling.aggregates else []
        if how:
            console.print(styled(f"\n{' '.join(how)}", "dim"))
    _conclude(judgement, console)


def _conclude(judgement: Judgement, console: Console) -> None:
    console.print(Text.assemble("\n", styled(tally(judgement.verdicts), "bold"), styled(f". {verdict_text.caution(judgement.verdicts)}")))
    for warning in warnings(judgement.study):
        console.print(Text.assemble(("mind", "yellow"), styled(f": {warning}")))
    for sentence in of_other_sources(judgement.study):
        console.print(styled(f"{sentence}.", "dim"))


def show_verdicts(judgement: Judgement, console: Console) -> None:
    """The verdicts alone, the paper's claims first, what they may decide, and what makes them hard to compare."""
    for ruling in judgement.rulings:
        _show_verdicts(ruling.verdicts, console, whose=_whose(judgement, ruling))
    _conclude(judgement, console)


def _whose(judgement: Judgement, ruling: Ruling) -> str:
    """What a heading begins with where a study is of several tasks."""
    return f"{ruling.evidence.task.id}: " if len({own.evidence.task.id for own in judgement.rulings}) > 1 else ""


def show_verdict(verdict: Verdict, console: Console) -> None:
    """One verdict as a row, with its reasons."""
    _show_rows([verdict], console)
    console.print(Text.assemble(styled(verdict_text.word(verdict), _STYLES[verdict.verdict]), styled(f": {verdict_text.reasons(verdict)}")))


def _show_verdicts(verdicts: Sequence[Verdict], console: Console, *, whose: str) -> None:
    """Claims that are not tested are only named, unless nothing else is there to show."""
    tested = [v for v in verdicts if v.verdict != "not tested"]
    for heading, counted, group in verdict_text.by_kind(verdicts):
        shown = [v for v in group if v.verdict != "not tested"] if tested else group
        if shown:
            print_title(console, f"{whose}{heading}, scale {group[0].scale}: {counted}")
            _show_rows(shown, console)
    console.print()
    for verdict in filter(was_tried, verdicts) if tested else verdicts:
        console.print(Text.assemble(styled(verdict.claim, _STYLES[verdict.verdict]), styled(f": {verdict_text.reasons(verdict)}")))
    untested: dict[str, list[str]] = {}
    for verdict in verdicts if tested else ():
        if not was_tried(verdict):
            untested.setdefault(verdict.reason, []).append(verdict.claim)
    for place, (reason, claims) in enumerate(untested.items()):
        if place == MOST_REASONS:
            others = [claim for own in list(untested.values())[place:] for claim in own]
            console.print(styled(f"not tested: {', '.join(others)} (reasons in verdicts.md)", _STYLES["not tested"]))
            break
        console.print(styled(f"not tested: {', '.join(claims)}. {reason}", _STYLES["not tested"]))


def _show_board(shown: BoardView, title: str, console: Console, *, full: bool) -> list[str]:
    """A row a method. Returns the headings that are shown."""
    kept = [place for place, heading in enumerate(shown.headings) if full or heading.first]
    rows: list[Row] = []
    for group, methods in shown.groups:
        rows += [[f"({group.partition(',')[0]})"]] if group else []
        for row in methods:
            rows.append([row.method, *(row.cells[place] for place in kept)])
            rows += [[f"{tables.INNER}{label}", *(cells[place] for place in kept)] for label, cells in row.inner]
    headings = [shown.headings[place].text for place in kept]
    _show_methods(["method", *headings], rows, title, console)
    return headings


def _show_methods(headings: Sequence[str], rows: Sequence[Row], title: str, console: Console) -> None:
    """In as many tables below each other as the columns need: numbers of a column are compared."""
    columns = [Column(heading, justify="right" if place else "left") for place, heading in enumerate(headings)]
    print_title(console, title)
    laid = below_each_other(columns, rows, console.width)
    for place, table in enumerate(laid or []):
        if place:
            console.print()
        console.print(table)
    if laid is None:
        print_cards(console, columns, rows)


_VERDICTS = (
    *map(Column, ("verdict", "claim")),
    *(Column(heading, justify="right") for heading in ("estimate [95 %]", "the paper")),
    Column("unit"),
    *(Column(heading, justify="right") for heading in ("holds", "effect", "seeds")),
    Column("data"),
)


def _show_rows(verdicts: Sequence[Verdict], console: Console) -> None:
    """A row a verdict; where the terminal is too narrow for all of its cells, some lines."""
    rows: list[Row] = []
    for v in verdicts:
        paper = "–" if v.published is None else f"{v.published:.6g}"
        cells = (verdict_text.label(v), verdict_text.estimate(v), paper, v.unit, v.holds, verdict_text.effect(v), verdict_text.seeds(v))
        rows.append([styled(verdict_text.word(v), _STYLES[v.verdict]), *cells, v.data_kind])
    laid = whole(_VERDICTS, rows, console.width)
    if laid is not None:
        console.print(laid)
        return
    for v in verdicts:
        console.print(_lines(v, console.width), soft_wrap=True)


def _lines(v: Verdict, width: int) -> Text:
    """A verdict where a table would cut its cells: what was decided, the number, and what it is held against."""
    named = [styled(f"{verdict_text.word(v):<15}", _STYLES[v.verdict]), styled(verdict_text.label(v))]
    seeds = f"{verdict_text.seeds(v)} seeds, {v.data_kind} data" if v.n else "no seeds"
    held = (f"holds {v.holds}", f"the paper: {verdict_text.published(v)}", f"effect {verdict_text.effect(v)}", seeds)
    more = enumerated([styled(part, "dim") for part in held])
    return Text("\n").join([filled(named, width), filled([styled(verdict_text.ours(v))], width, INDENT), filled(more, width, INDENT)])
