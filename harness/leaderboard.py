"""Methods ranked: per (task, scale) one row a method, one column a statistic, every number with its interval over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.estimates import Mean
from harness.evidence import Evidence
from harness.stats import Interval, seed_interval
from harness.task import Role, Statistic, Task

if TYPE_CHECKING:
    from harness.study import Study

UNEQUAL = "unequal cells"
_NONE = Interval(math.nan, math.nan, math.nan, 0)


@dataclass(frozen=True)
class Entry:
    """One statistic of one method."""

    interval: Interval
    lost: int = 0
    """Seeds that will never give a number."""
    note: str = ""

    @property
    def text(self) -> str:
        """The number with its interval, and how many seeds it stands on when some were lost."""
        if self.note:
            return self.note
        seeds = self.interval.n + self.lost
        if not self.interval.n:
            return f"– ({self.lost}/{self.lost} seeds lost)" if self.lost else "–"
        return f"{self.interval} ({self.interval.n}/{seeds} seeds)" if self.lost else str(self.interval)


@dataclass(frozen=True)
class Row:
    """One method. `rank` is None while the ranking statistic has no number."""

    method: str
    role: Role
    rank: int | None
    trials_ok: int
    trials_failed: int
    entries: Mapping[str, Entry]


@dataclass(frozen=True)
class Board:
    """The leaderboard of one task at one scale, best method first."""

    task: str
    scale: str
    statistics: Sequence[Statistic]
    rows: Sequence[Row]
    ranked_by: str
    """Name of the statistic that ranks, empty when none does."""
    data_kind: str
    planned: int
    recorded: int


def boards(study: Study) -> list[Board]:
    """One board for every (task, scale) of the study."""
    return [board(study, task, scale) for task, scale in study.groups()]


def board(study: Study, task: Task, scale: str) -> Board:
    """The leaderboard of one task at one scale; methods without a planned trial are left out."""
    evidence = Evidence(study, task, scale)
    shown, comparable = columns(evidence)
    ranking = next((column for column in shown if column.better != "none"), None) if comparable else None
    planned = set(evidence.planned["method"])
    rows = [_row(evidence, m.name, m.role, shown, comparable) for m in task.methods if m.name in planned]
    return Board(
        task=task.id,
        scale=scale,
        statistics=shown,
        rows=_ranked(rows, ranking),
        ranked_by=ranking.name if ranking else "",
        data_kind=evidence.data_kind(),
        planned=len(evidence.planned),
        recorded=len(evidence.records),
    )


def columns(evidence: Evidence) -> tuple[Sequence[Statistic], bool]:
    """The task's statistics, or else the means of its metrics, and whether those may be compared between methods."""
    if evidence.task.statistics:
        return evidence.task.statistics, True
    means = [Statistic(name=m.name, estimate=Mean(m.name), unit=m.unit, better=m.better) for m in evidence.task.metrics]
    return means, equal_cells(evidence)


def equal_cells(evidence: Evidence) -> bool:
    """Whether every method is planned at the same parameters: a mean over different cells compares the cells."""
    names = [str(column) for column in evidence.planned if str(column).startswith("param.")]
    cells = evidence.planned.drop_duplicates(["method", *names])
    methods = cells["method"].nunique()
    if not names:
        return True
    return bool((cells.groupby(names, dropna=False)["method"].nunique() == methods).all())


def _row(evidence: Evidence, method: str, role: Role, shown: Sequence[Statistic], comparable: bool) -> Row:
    status = evidence.records.loc[evidence.records["method"] == method, "status"]
    entries = {column.name: _entry(evidence, method, column) if comparable else Entry(_NONE, note=UNEQUAL) for column in shown}
    good = int((status == "ok").sum())
    return Row(method, role, None, good, len(status) - good, entries)


def _entry(evidence: Evidence, method: str, column: Statistic) -> Entry:
    found = evidence.per_seed(column.estimate, method)
    # With every trial ok and no seed giving a number, this method's cells do not define the statistic: nothing was lost.
    defined = bool(found.values) or any(found.lost.values())
    return Entry(seed_interval(list(found.values.values())), len(found.lost) if defined else 0)


def _ranked(rows: Sequence[Row], ranking: Statistic | None) -> list[Row]:
    """Best first, equal estimates sharing a rank. A method that lost seeds comes after all that lost none: it must not win by failing."""
    if ranking is None:
        return list(rows)
    keys = {row.method: _rank_key(row.entries[ranking.name], ranking) for row in rows}
    ordered = sorted(rows, key=lambda row: keys[row.method])
    ranks = {row.method: 1 + sum(keys[other.method] < keys[row.method] for other in rows) for row in rows}
    return [
        Row(
            row.method,
            row.role,
            None if math.isinf(keys[row.method][1]) else ranks[row.method],
            row.trials_ok,
            row.trials_failed,
            row.entries,
        )
        for row in ordered
    ]


def _rank_key(entry: Entry, ranking: Statistic) -> tuple[bool, float]:
    value = entry.interval.estimate
    if not math.isfinite(value):
        return True, math.inf
    return entry.lost > 0, {"lower": value, "higher": -value}.get(ranking.better, abs(value))
