"""A leaderboard as people read it: a row a method, first what ranks and what claims read, contenders apart from controls and floors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.coverage import needs
from harness.judgement import Ruling
from harness.leaderboard import UNRANKED, Board, Row
from harness.report import tables
from harness.task import Statistic

APART = "controls and floors, which are not ranked"


@dataclass(frozen=True)
class Heading:
    """A column."""

    text: str
    described: str = ""
    first: bool = True
    """Whether it is shown before a reader asks for all columns."""


@dataclass(frozen=True)
class MethodRow:
    """A method's cells in the order of the headings, and those of each cell that its numbers are means over."""

    method: str
    place: str
    """`best`, `tied for best`, or nothing."""
    cells: Sequence[str]
    inner: Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True)
class BoardView:
    """A board by groups of methods, best first."""

    headings: Sequence[Heading]
    groups: Sequence[tuple[str, Sequence[MethodRow]]]
    """(title, rows); the contenders' title is empty."""

    @property
    def folded(self) -> int:
        """Columns that are not shown at first."""
        return sum(not heading.first for heading in self.headings)


def read_by_claims(ruling: Ruling, board: Board) -> list[str]:
    """Names of statistics that claims of this scale read: the one that ranks first, then those of the paper's primary claims."""
    claims = sorted(
        (claim for claim in ruling.evidence.task.claims if board.scale in claim.scales),
        key=lambda claim: (claim.kind != "paper", not claim.primary),
    )
    read = [need for claim in claims for need in needs(claim.estimate) if need.experiment in ("", board.experiment)]
    found = [board.ranked_by] if board.ranked_by else []
    for need in read:
        found += [column.name for column in board.statistics if _shows(column, need.metric, need.view)]
    return list(dict.fromkeys(found))


def _shows(column: Statistic, metric: str, view: str) -> bool:
    return any(own.metric == metric and (not view or not own.view or own.view == view) for own in needs(column.estimate))


def view(ruling: Ruling, board: Board) -> BoardView:
    """The board of one experiment."""
    first = read_by_claims(ruling, board)
    order = {name: place for place, name in enumerate(first)}
    statistics = sorted(board.statistics, key=lambda column: order.get(column.name, len(order)))
    described = {tables.heading(s.name, s.unit, s.better): s.description for s in statistics}
    shown = {tables.heading(s.name, s.unit, s.better) for s in statistics if s.name in order or not order}
    numbers = tables.numbers(board, statistics)
    facts = tables.facts(board)
    ranks = [column for column in facts if column[0] == "rank"]
    columns = [*ranks, *numbers, *(column for column in facts if column[0] not in ("rank", "role"))]
    early = {"rank", "s/trial", "trials ok", *(name for name, _ in numbers if name.startswith("to the best"))}
    headings = [Heading(name, described.get(name, ""), name in early or name in shown) for name, _ in columns]
    inner = {label: tables.of_cell(board, label) for label in board.cells}
    rows = []
    for i, row in enumerate(board.rows):
        own = [(label, [cells[name][i] if name in cells else "" for name, _ in columns]) for label, cells in inner.items()]
        rows.append(
            MethodRow(row.method, _place(board, row), [cells[i] for _, cells in columns], [found for found in own if any(found[1])])
        )
    apart = {row.method for row in board.rows if row.role in UNRANKED}
    groups = [("", [row for row in rows if row.method not in apart]), (APART, [row for row in rows if row.method in apart])]
    return BoardView(headings, [(title, own) for title, own in groups if own])


def _place(board: Board, row: Row) -> str:
    if row.standing is None or row.standing.low > 1:
        return ""
    tied = sum(place.low == 1 for place in board.standings) > 1
    return "tied for best" if tied else "best"
