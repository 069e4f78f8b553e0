"""Leaderboards and verdicts as text: how they are laid out, what they say about themselves, as Markdown and as CSV (full precision)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.leaderboard import UNEQUAL, Board, Row
from harness.shown import markdown, markdown_cell
from harness.stats import Interval, number
from harness.task import Statistic
from harness.verdict import OUTCOMES, Verdict

LEADERBOARD_COLUMNS = (
    *("task", "scale", "experiment", "method", "role", "statistic", "estimate", "low", "high", "n", "lost", "unit", "better", "rank"),
    *("trials_ok", "trials_failed", "data_kind", "note"),
)
VERDICT_COLUMNS = (
    *("task", "claim", "verdict", "estimate", "low", "high", "n", "lost", "scale", "data_kind", "published", "unit", "holds", "decides"),
    *("source", "reason", "statement", "note"),
)
WIDE = 5
"""More statistics than this are read down, not across."""
HOW = (
    "An estimate is computed once per seed, from the records of that seed alone, so that methods that share a seed are compared in pairs.",
    "The number shown is the mean over seeds; brackets hold its 95 % Student-t interval over seeds.",
    "Where an experiment sweeps a parameter, a number is that of the trial which is best on validation, unless its name says otherwise.",
    "A claim is reproduced when the whole interval lies in the region where it holds, not reproduced when the whole interval lies "
    "outside, and inconclusive when the interval straddles the edge.",
    "A claim marked exact leaves nothing to chance: one seed whose value lies outside the region refutes it.",
    "A seed with a trial that diverged or failed is lost. A claim that lost a seed is inconclusive: the others do not decide alone.",
    "On the leaderboard a method that lost seeds ranks below all that lost none; its number is the mean over the seeds that are left.",
    "Claims are judged one by one: of twenty true nulls, about one interval misses by chance.",
)


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


def caution(verdicts: Sequence[Verdict]) -> str:
    """What these verdicts may decide: the paper's numbers, or directions only."""
    tested = [v for v in verdicts if v.verdict != "not tested"]
    if not tested:
        return "No claim has been tested yet."
    if all(v.decides == "value" for v in tested):
        return "Run at the paper's scale on real data: these verdicts decide the paper's own numbers."
    reduced = [v for v in tested if v.decides == "direction"]
    where = "; ".join(dict.fromkeys(f"scale {v.scale}, {v.data_kind or 'no'} data" for v in reduced))
    subject = "These verdicts decide" if len(reduced) == len(tested) else f"{len(reduced)} of {len(tested)} verdicts decide"
    return f"{subject} a direction, never the paper's number ({where}): only the paper's scale on real data could decide that."


def tally(verdicts: Sequence[Verdict]) -> str:
    """`2 reproduced, 1 inconclusive`."""
    counts = {outcome: sum(v.verdict == outcome for v in verdicts) for outcome in OUTCOMES}
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count) or "no claims"


def estimate(verdict: Verdict) -> str:
    """Our estimate with its interval, or `exact` where no interval decided."""
    if not verdict.n:
        return "–"
    return f"{number(verdict.interval.estimate)} (exact)" if verdict.exact else str(verdict.interval)


def ours(verdict: Verdict) -> str:
    """Our estimate with its interval and unit."""
    return _with_unit(estimate(verdict), verdict.unit) if verdict.n else "–"


def published(verdict: Verdict) -> str:
    """The paper's own value, as precisely as it was given."""
    return "–" if verdict.published is None else _with_unit(f"{verdict.published:.6g}", verdict.unit)


def _with_unit(text: str, unit: str) -> str:
    return f"{text} {unit}" if unit else text


def seeds(verdict: Verdict) -> str:
    """`5`, or `4 (1 lost)`."""
    return f"{verdict.n} ({verdict.lost} lost)" if verdict.lost else str(verdict.n)


def reasons(verdict: Verdict) -> str:
    """Why the verdict is what it is, and what to know before believing it."""
    return " ".join(filter(None, [verdict.reason, verdict.note]))


def leaderboard_markdown(name: str, boards: Sequence[Board]) -> str:
    """One table an experiment and scale."""
    parts = [f"# Leaderboard of {markdown(name)}\n"]
    for board in boards:
        laid = layout(board)
        parts += [f"## {board.label}, scale {board.scale}\n", f"{markdown(progress(board, laid))}.\n", _table(laid.headings, laid.rows)]
    return "\n".join([*parts, "Brackets: 95 % Student-t interval over seeds.\n"])


def verdicts_markdown(name: str, verdicts: Sequence[Verdict]) -> str:
    """A table a (task, scale), then what each claim says and why its verdict is what it is."""
    parts = [f"# Verdicts of {markdown(name)}\n", f"{tally(verdicts)}. {caution(verdicts)}\n"]
    head = ["verdict", "claim", "estimate [95 % interval]", "holds", "the paper", "seeds", "scale", "data", "decides"]
    for task, scale in dict.fromkeys((v.task, v.scale) for v in verdicts):
        group = [v for v in verdicts if (v.task, v.scale) == (task, scale)]
        rows = [[v.verdict, v.claim, ours(v), v.holds, published(v), seeds(v), v.scale, v.data_kind, v.decides] for v in group]
        parts += [f"## {task}, scale {scale}\n", _table(head, rows)]
        parts += [f"- **{v.claim}**: {markdown(f'{v.statement} ({v.source})')}  \n  {v.verdict}: {markdown(reasons(v))}" for v in group]
        parts.append("")
    return "\n".join(parts)


def leaderboard_csv(boards: Sequence[Board]) -> str:
    """Long form: a line for every statistic of every method of every experiment."""
    return _csv(
        LEADERBOARD_COLUMNS,
        (
            (
                *(board.task, board.scale, board.experiment, row.method, row.role, statistic.name),
                *(*_interval(entry.interval), entry.lost, statistic.unit, statistic.better, "" if row.rank is None else row.rank),
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


def _interval(interval: Interval) -> tuple[float, float, float, int]:
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
    return "| " + " | ".join(markdown_cell(str(cell)) for cell in cells) + " |"
