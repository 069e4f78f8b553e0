"""Leaderboards as text: how they are laid out, what they say about themselves, as Markdown and as CSV (full precision)."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.aggregates import Aggregate
from harness.cost import Cost
from harness.judgement import Ruling
from harness.leaderboard import UNEQUAL, WIDE, Board, Row
from harness.pooling import pooled_text
from harness.ranking import DRAWS
from harness.shown import markdown, markdown_table
from harness.stats import Interval, number
from harness.tally import BOUNDS
from harness.task import Statistic

LEADERBOARD_COLUMNS = (
    *("task", "scale", "experiment", "method", "role", "statistic", "cell", "estimate", "low", "high", "n", "lost"),
    *("bound", "censored", "unit", "better"),
    *("rank_low", "rank_high", "p_best", "difference", "difference_low", "difference_high"),
    *("trial_seconds", "peak_memory_mib", "trial_energy_j", "tuning_trials", "trials_ok", "trials_failed", "data_kind", "note"),
)
_HOW = {
    "rank": "A rank such as 2–4 holds all places that chance leaves open: all pairs are compared by paired t tests over seeds, together "
    "at 5 % (Holm). Overlapping ranks are ties; controls and floors, such as held-out data, have none.",
    "P(best)": f"P(best) is the share of {DRAWS:,} bootstrap draws of the seeds in which a method is the best: rough where seeds are few.",
    "to the best": "The difference to the best is paired by seed, and not corrected for choosing the best.",
    "s/trial": "Seconds are means over trials.",
    "J/trial": "Joules are means over trials.",
    "peak MiB": "MiB are the largest peak of one trial.",
    "tuning trials": "Tuning trials are those among which the sweep selects, a cell and seed.",
}
"""What a column says, by its heading without unit."""
HOW_RANKED = tuple(_HOW.values())


@dataclass(frozen=True)
class Layout:
    """A leaderboard as text. The first cell of a row is its heading; the others belong to the columns in order."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    transposed: bool = False
    """A row a statistic, because there are too many to read across."""
    left_out: str = ""
    """What a transposed board does not show: statistics that no method has a number for, and why."""


def layout(board: Board, most: int = WIDE) -> Layout:
    """The cells of a board, best method first; read down where it has more statistics than `most`."""
    if len(board.statistics) <= most:
        columns = [*facts(board), *numbers(board, board.statistics)]
        inner = [(label, of_cell(board, label)) for label in board.cells]
        rows = []
        for i, row in enumerate(board.rows):
            rows.append([row.method, *(cells[i] for _, cells in columns)])
            of_cells = [[f"{INNER}{label}", *(own[name][i] if name in own else "" for name, _ in columns)] for label, own in inner]
            rows += [cells for cells in of_cells if any(cells[1:])]
        return Layout(["method", *(name for name, _ in columns)], rows)
    shown = [s for s in board.statistics if any(row.entries[s.name].interval.n or row.entries[s.name].lost for row in board.rows)]
    cells = [[name, *own] for name, own in facts(board)]
    for name, own in numbers(board, shown):
        cells.append([name, *own])
        found = {label: of_cell(board, label).get(name) for label in board.cells}
        cells += [[f"{INNER}{label}", *inner] for label, inner in found.items() if inner]
    return Layout(["", *(row.method for row in board.rows)], cells, True, _left_out(board, [s.name for s in shown]))


def of_cell(board: Board, label: str) -> dict[str, list[str]]:
    """Heading -> a number a method, in one cell of what the board's numbers are means over."""
    found = {s.name: s for s in board.statistics if any(s.name in row.cells[label] for row in board.rows)}
    entries = {_heading(s): [row.cells[label][name] for row in board.rows] for name, s in found.items()}
    return {name: [own.text if own.interval.n or own.lost else "" for own in column] for name, column in entries.items()}


Column = tuple[str, Sequence[str]]
"""A heading, and a cell a method."""


def facts(board: Board) -> list[Column]:
    """Place, role, cost and trials; what no method has is left out."""
    ranks = ["–" if row.standing is None else str(row.standing) for row in board.rows]
    chances = [number(row.standing.p_best, 2) if row.standing else "–" for row in board.rows]
    trials = [f"{row.trials_ok} of {row.trials_ok + row.trials_failed}" if row.trials_failed else str(row.trials_ok) for row in board.rows]
    costs: list[tuple[str, Callable[[Cost], str]]] = [
        ("s/trial", lambda cost: number(cost.seconds)),
        ("peak MiB", lambda cost: number(cost.memory, 0)),
        ("J/trial", lambda cost: number(cost.energy)),
        ("FLOPs", lambda cost: "–" if math.isnan(cost.flops) else f"{cost.flops:.2e}"),
        ("tuning trials", lambda cost: f"{cost.tuning:.3g}" if cost.tuning > 1 or (board.unequal_tuning and cost.tuning >= 1) else "–"),
    ]
    found: list[Column] = [
        *(("rank", ranks), ("P(best)", chances), ("role", [row.role for row in board.rows])),
        *((name, [said(row.cost) for row in board.rows]) for name, said in costs),
        ("trials ok", trials),
    ]
    return [(name, cells) for name, cells in found if set(cells) != {"–"}]


def numbers(board: Board, statistics: Sequence[Statistic]) -> list[Column]:
    """Statistics, behind the one that ranks the difference to the best."""
    found: list[Column] = []
    for statistic in statistics:
        found.append((_heading(statistic), [row.entries[statistic.name].text for row in board.rows]))
        if statistic.name == board.ranked_by and any(place.behind for place in board.standings):
            found.append((f"to the best{f' ({statistic.unit})' if statistic.unit else ''}", [_behind(row) for row in board.rows]))
    return found


def _behind(row: Row) -> str:
    if row.standing is None or (row.standing.behind is None and row.standing.low > 1):
        return "–"
    if row.standing.behind is None:
        return "best"
    text = str(row.standing.behind)
    if not row.standing.behind.estimate > 0:
        return text
    # The sign belongs to the number, not to the bound before it.
    return f"{text[:2]}+{text[2:]}" if text[:1] in "≥≤" else f"+{text}"


HOW_CENSORED = (
    "≥ and ≤ stand before a mean that is only a bound, because so many seeds did not reach it. Such numbers are compared by what no number "
    "behind a bound could overturn; who is the best of a draw they do not say."
)
HOW_OVER_CELLS = (
    "Over cells: the mean of the middle half of all runs, in the metric's unit; the probability that a run is better than one of another "
    "contender in the same cell; and the share of runs that reach a threshold (Agarwal et al. 2021). Intervals by bootstrap over seeds."
)
INNER = "· "
"""Before the label of a row that shows one cell of the row above it."""


def _left_out(board: Board, shown: Sequence[str]) -> str:
    hidden = [s.name for s in board.statistics if s.name not in shown]
    why = sorted({row.entries[name].note for name in hidden for row in board.rows} - {""})
    because = f" ({', '.join(why)})" if why else ""
    return f"{len(hidden)} statistics have no number at this scale{because}" if hidden else ""


def _heading(statistic: Statistic) -> str:
    return heading(statistic.name, statistic.unit, statistic.better)


def heading(name: str, unit: str, better: str) -> str:
    """A column's heading: name in words, unit and which way is good."""
    arrow = {"lower": " ↓", "higher": " ↑", "zero": " →0"}.get(better, "")
    return f"{name.replace('_', ' ')}{f' ({unit})' if unit else ''}{arrow}"


def progress(board: Board, laid: Layout | None = None) -> str:
    """How much of the plan is behind a board, what ranks its methods, and what is left out."""
    unequal = any(entry.note == UNEQUAL for row in board.rows for entry in row.entries.values())
    parts = [
        f"{board.recorded:,} of {board.planned:,} planned trials recorded",
        f"data: {board.data_kind}",
        f"ranked by {board.ranked_by}" if board.ranked_by else "not ranked",
        pooled_text(board.pools),
        below_for_lost_seeds(board),
        board.unequal_tuning,
        "methods were planned at different parameters, so that their means do not compare" if unequal else "",
        laid.left_out if laid else "",
    ]
    return "; ".join(filter(None, parts))


def below_for_lost_seeds(board: Board) -> str:
    """Which methods have a better number than one above them, since they lost seeds; empty where none has."""
    ranking = next((column for column in board.statistics if column.name == board.ranked_by), None)
    if ranking is None:
        return ""
    merits = {
        row.method: (own.merit(ranking.better)[0], own.lost) for row in board.rows if (own := row.entries[ranking.name].seeds) is not None
    }
    least = min((merit for merit, lost in merits.values() if not lost and not math.isnan(merit)), default=math.inf)
    below = [f"{method} ({lost} lost)" for method, (merit, lost) in merits.items() if lost and merit > least]
    return f"below all that lost no seed, whatever the number: {', '.join(below)}" if below else ""


def explained(headings: Iterable[str]) -> list[str]:
    """A sentence for each of the columns that are shown and do not say themselves what they are."""
    shown = {heading.partition(" (")[0] for heading in headings}
    return [sentence for heading, sentence in _HOW.items() if heading in shown]


def over_cells(found: Aggregate) -> Layout:
    """Contenders over several cells: interquartile mean, probability of improvement, and three points of the performance profile."""
    reach = [f"runs {'≥' if found.thresholds[0] <= found.thresholds[-1] else '≤'} {number(at)}" for at in found.thresholds]
    unit = f" ({found.unit})" if found.unit else ""
    rows = [[own.method, str(own.iqm), str(own.improvement), *(f"{100 * share:.0f} %" for share in own.profile)] for own in found.summaries]
    return Layout(["method", f"{found.metric}, interquartile mean{unit}", "P(improvement)", *reach], rows)


def over_cells_title(found: Aggregate) -> str:
    """What an aggregate is over, and whom it leaves out."""
    lost = f", without {', '.join(found.left_out)}, which lost seeds" if found.left_out else ""
    return f"{found.metric} over {found.cells} cells (data and parameters that are not swept), {found.seeds} seeds each{lost}"


def has_bounds(board: Board) -> bool:
    """Whether a number of it is only a bound."""
    return any(entry.censored for row in board.rows for entry in row.entries.values())


def leaderboard_markdown(name: str, rulings: Sequence[Ruling]) -> str:
    """One table an experiment and scale, and one over its cells where there are several."""
    parts = [f"# Leaderboard of {markdown(name)}\n"]
    headings: list[str] = []
    how: list[str] = []
    for ruling in rulings:
        for board in ruling.boards:
            laid = layout(board)
            parts += [f"## {board.label}, scale {board.scale}\n", f"{markdown(progress(board, laid))}.\n"]
            parts += [f"{markdown_table(laid.headings, laid.rows)}\n"]
            headings += [row[0] for row in laid.rows] if laid.transposed else laid.headings
            if found := ruling.aggregates.get(board.experiment):
                inner = over_cells(found)
                parts += [f"{markdown(over_cells_title(found))}:\n", f"{markdown_table(inner.headings, inner.rows)}\n"]
        how += [HOW_CENSORED] if any(map(has_bounds, ruling.boards)) and HOW_CENSORED not in how else []
        how += [HOW_OVER_CELLS] if ruling.aggregates and HOW_OVER_CELLS not in how else []
    how = ["Brackets: 95 % Student-t interval over seeds.", *explained(headings), *how]
    return "\n".join([*parts, *(f"{sentence}\n" for sentence in how)])


def leaderboard_csv(boards: Sequence[Board]) -> str:
    """Long form: a line for every statistic of every method of every experiment, and for each cell that it is a mean over."""
    return csv_text(LEADERBOARD_COLUMNS, (line for board in boards for row in board.rows for line in _lines(board, row)))


def _lines(board: Board, row: Row) -> Iterator[tuple[Any, ...]]:
    for statistic in board.statistics:
        name = statistic.name
        entries = {"": row.entries[name], **{label: own[name] for label, own in row.cells.items() if name in own}}
        for cell, entry in entries.items():
            yield (
                *(board.task, board.scale, board.experiment, row.method, row.role, name, cell),
                *(*interval_cells(entry.interval), entry.interval.n, entry.lost, bound(entry.interval), entry.censored),
                *(statistic.unit, statistic.better),
                *_standing_cells(row if not cell else None, ranks=name == board.ranked_by),
                *(blank(row.cost.seconds), blank(row.cost.memory), blank(row.cost.energy), blank(row.cost.tuning)),
                *(row.trials_ok, row.trials_failed, board.data_kind, entry.note),
            )


def _standing_cells(row: Row | None, *, ranks: bool) -> tuple[float | str, ...]:
    """Places and the probability of the best one; on the line of the statistic that ranks the difference to the best too."""
    if row is None or row.standing is None:
        return ("",) * 6
    behind = row.standing.behind if ranks else None
    difference = ("", "", "") if behind is None else (behind.estimate, behind.low, behind.high)
    return row.standing.low, row.standing.high, blank(row.standing.p_best), *difference


def blank(value: float) -> float | str:
    """Nothing for what is no number."""
    return "" if math.isnan(value) else value


def interval_cells(interval: Interval) -> tuple[float, float, float]:
    """Estimate, low, high."""
    return interval.estimate, interval.low, interval.high


def bound(interval: Interval) -> str:
    """`>=` where the estimate is at least so large, `<=` at most, `range` between two bounds, `?` unknown; nothing where it is the mean."""
    return BOUNDS.get(interval.side, "")


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A CSV file with a header."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return sink.getvalue()
