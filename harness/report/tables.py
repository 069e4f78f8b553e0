"""Leaderboards as text: how they are laid out, what they say about themselves, as Markdown and as CSV (full precision)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.leaderboard import UNEQUAL, Board, Row
from harness.shown import markdown, markdown_table
from harness.stats import Interval, number
from harness.task import Statistic

LEADERBOARD_COLUMNS = (
    *("task", "scale", "experiment", "method", "role", "statistic", "estimate", "low", "high", "n", "lost", "unit", "better", "rank"),
    *("trials_ok", "trials_failed", "data_kind", "note"),
)
WIDE = 5
"""More statistics than this are read down, not across."""


@dataclass(frozen=True)
class Layout:
    """A leaderboard as text. The first cell of a row is its heading; the others belong to the columns in order."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    transposed: bool = False
    """A row a statistic, because there are too many to read across."""
    left_out: str = ""
    """What a transposed board does not show: statistics that no method has a number for, and why."""


def layout(board: Board) -> Layout:
    """The cells of a board, best method first."""
    if len(board.statistics) <= WIDE:
        heads = ["method", "rank", "role", *(_heading(s) for s in board.statistics), "trials ok", "not ok"]
        numbers = {row.method: [row.entries[s.name].text for s in board.statistics] for row in board.rows}
        return Layout(heads, [[row.method, *_facts(row)[:2], *numbers[row.method], *_facts(row)[2:]] for row in board.rows])
    shown = [s for s in board.statistics if any(row.entries[s.name].interval.n or row.entries[s.name].lost for row in board.rows)]
    facts = [[name, *(_facts(row)[i] for row in board.rows)] for i, name in enumerate(("rank", "role", "trials ok", "not ok"))]
    cells = [[_heading(s), *(row.entries[s.name].text for row in board.rows)] for s in shown]
    return Layout(["", *(row.method for row in board.rows)], facts + cells, True, _left_out(board, [s.name for s in shown]))


def _left_out(board: Board, shown: Sequence[str]) -> str:
    hidden = [s.name for s in board.statistics if s.name not in shown]
    why = sorted({row.entries[name].note for name in hidden for row in board.rows} - {""})
    because = f" ({', '.join(why)})" if why else ""
    return f"{len(hidden)} statistics have no number at this scale{because}" if hidden else ""


def _heading(statistic: Statistic) -> str:
    return heading(statistic.name, statistic.unit, statistic.better)


def _facts(row: Row) -> list[str]:
    return ["–" if row.rank is None else number(row.rank, 0), row.role, str(row.trials_ok), str(row.trials_failed)]


def heading(name: str, unit: str, better: str) -> str:
    """A column's heading: name, unit and which way is good."""
    arrow = {"lower": " ↓", "higher": " ↑", "zero": " →0"}.get(better, "")
    return f"{name}{f' ({unit})' if unit else ''}{arrow}"


def progress(board: Board, laid: Layout) -> str:
    """How much of the plan is behind a board, what ranks its methods, and what is left out."""
    unequal = any(entry.note == UNEQUAL for row in board.rows for entry in row.entries.values())
    parts = [
        f"{board.recorded:,} of {board.planned:,} planned trials recorded",
        f"data: {board.data_kind}",
        f"ranked by {board.ranked_by}" if board.ranked_by else "not ranked",
        "methods were planned at different parameters, so that their means do not compare" if unequal else "",
        laid.left_out,
    ]
    return "; ".join(filter(None, parts))


def leaderboard_markdown(name: str, boards: Sequence[Board]) -> str:
    """One table an experiment and scale."""
    parts = [f"# Leaderboard of {markdown(name)}\n"]
    for board in boards:
        laid = layout(board)
        parts += [f"## {board.label}, scale {board.scale}\n", f"{markdown(progress(board, laid))}.\n"]
        parts += [f"{markdown_table(laid.headings, laid.rows)}\n"]
    return "\n".join([*parts, "Brackets: 95 % Student-t interval over seeds.\n"])


def leaderboard_csv(boards: Sequence[Board]) -> str:
    """Long form: a line for every statistic of every method of every experiment."""
    return csv_text(
        LEADERBOARD_COLUMNS,
        (
            (
                *(board.task, board.scale, board.experiment, row.method, row.role, statistic.name),
                *(*interval_cells(entry.interval), entry.lost, statistic.unit, statistic.better, "" if row.rank is None else row.rank),
                *(row.trials_ok, row.trials_failed, board.data_kind, entry.note),
            )
            for board in boards
            for row in board.rows
            for statistic in board.statistics
            for entry in [row.entries[statistic.name]]
        ),
    )


def interval_cells(interval: Interval) -> tuple[float, float, float, int]:
    """Estimate, low, high, n."""
    return interval.estimate, interval.low, interval.high, interval.n


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A CSV file with a header."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return sink.getvalue()
