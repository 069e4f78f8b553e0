"""How a leaderboard is laid out: a row a method; turned over, a row a statistic, when there are too many to read across."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.leaderboard import Board, Row
from harness.report import sentences
from harness.task import Statistic

WIDE = 5
"""More statistics than this are read down, not across."""


@dataclass(frozen=True)
class Layout:
    """A leaderboard as text. The first cell of a row is its heading; the others belong to the columns in order."""

    turned: bool
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    empty: int
    """Statistics left out of a turned board because no method has a number for them."""


def leaderboard(board: Board) -> Layout:
    """The cells of a board, best method first."""
    if len(board.statistics) <= WIDE:
        heads = ["method", "rank", "role", *(_heading(s) for s in board.statistics), "trials ok", "not ok"]
        return Layout(
            False, heads, [[row.method, *_facts(row)[:2], *_numbers(row, board.statistics), *_facts(row)[2:]] for row in board.rows], 0
        )
    shown = [s for s in board.statistics if any(row.entries[s.name].interval.n or row.entries[s.name].lost for row in board.rows)]
    facts = [[name, *(_facts(row)[i] for row in board.rows)] for i, name in enumerate(("rank", "role", "trials ok", "not ok"))]
    numbers = [[_heading(s), *(row.entries[s.name].text for row in board.rows)] for s in shown]
    return Layout(True, ["", *(row.method for row in board.rows)], facts + numbers, len(board.statistics) - len(shown))


def _heading(statistic: Statistic) -> str:
    return sentences.heading(statistic.name, statistic.unit, statistic.better)


def _facts(row: Row) -> list[str]:
    return [sentences.rank(row.rank), row.role, str(row.trials_ok), str(row.trials_failed)]


def _numbers(row: Row, statistics: Sequence[Statistic]) -> list[str]:
    return [row.entries[s.name].text for s in statistics]
