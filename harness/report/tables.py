"""Leaderboard and verdicts as Markdown, for people, and as CSV, for programs (full precision, one number a cell)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from harness.leaderboard import Board
from harness.report import sentences
from harness.report.layout import leaderboard
from harness.verdict import Verdict

LEADERBOARD_COLUMNS = (
    *("task", "scale", "method", "role", "statistic", "estimate", "low", "high", "n", "lost", "unit", "better", "rank"),
    *("trials_ok", "trials_failed", "data_kind", "note"),
)
VERDICT_COLUMNS = (
    *("task", "claim", "verdict", "estimate", "low", "high", "n", "lost", "scale", "data_kind", "published", "unit", "holds", "decides"),
    *("source", "reason", "statement", "note"),
)


def leaderboard_markdown(name: str, boards: Sequence[Board]) -> str:
    """One table a (task, scale)."""
    parts = [f"# Leaderboard of {name}\n"]
    for board in boards:
        layout = leaderboard(board)
        parts += [f"## {board.task}, scale {board.scale}\n", f"{sentences.progress(board)}{sentences.empty(layout.empty)}.\n"]
        parts.append(_table(layout.headings, layout.rows))
    return "\n".join([*parts, "Brackets: 95 % Student-t interval over seeds.\n"])


def verdicts_markdown(name: str, verdicts: Sequence[Verdict]) -> str:
    """A table a (task, scale), then what each claim says and why its verdict is what it is."""
    parts = [f"# Verdicts of {name}\n", f"{sentences.tally(verdicts)}. {sentences.caution(verdicts)}\n"]
    for task, scale in dict.fromkeys((v.task, v.scale) for v in verdicts):
        group = [v for v in verdicts if (v.task, v.scale) == (task, scale)]
        rows = [
            [v.verdict, v.claim, sentences.ours(v), v.holds, sentences.published(v), sentences.seeds(v), v.scale, v.data_kind, v.decides]
            for v in group
        ]
        head = ["verdict", "claim", "estimate [95 % interval]", "holds", "the paper", "seeds", "scale", "data", "decides"]
        parts += [f"## {task}, scale {scale}\n", _table(head, rows)]
        parts += [
            f"- **{v.claim}**: {v.statement} ({v.source})  \n  {v.verdict}: {' '.join(filter(None, [v.reason, v.note]))}" for v in group
        ]
        parts.append("")
    return "\n".join(parts)


def leaderboard_csv(boards: Sequence[Board]) -> str:
    """Long form: a line for every statistic of every method."""
    return _csv(
        LEADERBOARD_COLUMNS,
        (
            (
                *(board.task, board.scale, row.method, row.role, statistic.name, *_interval(entry.interval), entry.lost),
                *(statistic.unit, statistic.better, "" if row.rank is None else row.rank),
                *(row.trials_ok, row.trials_failed, board.data_kind, entry.note),
            )
            for board in boards
            for row in board.rows
            for statistic in board.statistics
            for entry in [row.entries[statistic.name]]
        ),
    )


def verdicts_csv(verdicts: Sequence[Verdict]) -> str:
    """A line a verdict."""
    return _csv(
        VERDICT_COLUMNS,
        (
            (
                *(v.task, v.claim, v.verdict, *_interval(v.interval), v.lost, v.scale, v.data_kind),
                *("" if v.published is None else v.published, v.unit, v.holds, v.decides, v.source, v.reason, v.statement, v.note),
            )
            for v in verdicts
        ),
    )


def _interval(interval: Any) -> tuple[float, float, float, int]:
    return interval.estimate, interval.low, interval.high, interval.n


def _csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return sink.getvalue()


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [_line(head), _line(["---"] * len(head)), *(_line(row) for row in rows)]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[Any]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
