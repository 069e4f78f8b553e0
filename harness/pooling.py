"""What a column is a mean over: the parameters and data that its trials vary, and that it does not name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.coverage import needs
from harness.estimates import Difference, Estimate, In, Mean, Of, Reading
from harness.evidence import Evidence
from harness.kinds import text
from harness.task import Experiment, Statistic
from harness.trial_rows import Cell

if TYPE_CHECKING:
    import pandas as pd

DATA = "data_name"
MOST = 6
"""Cells that a board has rows for, and values that its line lists."""


@dataclass(frozen=True)
class Pool:
    """The cells over which a column is a mean."""

    over: tuple[str, ...]
    """Columns that tell the cells apart."""
    along: tuple[str, ...]
    """Columns that change with those."""
    cells: tuple[Cell, ...]

    def __str__(self) -> str:
        names, others = [_name(column) for column in self.over], [_name(column) for column in self.along]
        changing = f" (with {_and(others)})" if others else ""
        if len(names) > 1:
            return f"mean over {len(self.cells)} cells of {_and(names)}{changing}"
        values = [cell[self.over[0]] for cell in self.cells]
        if len(values) > MOST:
            return f"mean over {len(values)} values of {names[0]}{_range(values)}{changing}"
        return f"mean over {names[0]} = {', '.join(map(text, values))}{changing}"

    def label(self, cell: Cell) -> str:
        """`width = 64`."""
        return ", ".join(f"{_name(column)} = {text(cell[column])}" for column in self.over)


def pool(evidence: Evidence, experiment: Experiment, column: Statistic) -> Pool | None:
    """What a column averages over beside a sweep, in any method's trials; None where it names all that varies, or does not average."""
    read_by = needs(column.estimate)
    if not averages(column.estimate) or any(need.experiment not in ("", experiment.name) for need in read_by):
        return None
    planned = evidence.cells_of(experiment.name)
    read = [(need, need.rows(planned)) for need in read_by]
    varied: dict[str, None] = {}
    for need, rows in read:
        named = {f"param.{name}" for name in (*(need.sweep.over if need.sweep else ()), *need.parameters)}
        free = [str(name) for name in rows if (str(name).startswith("param.") or name == DATA) and name not in named]
        counts = rows.groupby("method")[free].nunique(dropna=False).max()
        varied |= dict.fromkeys(name for name in free if counts[name] > 1)
    if not varied:
        return None
    rows = planned.loc[sorted(set().union(*(own.index for _, own in read)))]
    return _pool(rows[list(varied)].drop_duplicates())


def _pool(cells: pd.DataFrame) -> Pool:
    names = [str(name) for name in cells]
    alone = next((name for name in names if cells[name].nunique(dropna=False) == len(cells)), None)
    over = (alone,) if alone else tuple(names)
    try:
        ordered = cells.sort_values(list(over))
    except TypeError:
        ordered = cells
    return Pool(over, tuple(name for name in names if name not in over), tuple(ordered.to_dict("records")))  # type: ignore[arg-type]


def chosen_values(evidence: Evidence, estimate: Estimate) -> str:
    """`size = 2, 8`: parameters that an estimate averages over and that the task's own scale holds at one value; nothing otherwise.

    `--set` made several trials of what the task has as one, so that the number is none that the task speaks of.
    """
    found: dict[str, str] = {}
    for need in needs(estimate) if evidence.chosen else ():
        rows = need.rows(evidence.cells)
        named = {*(need.sweep.over if need.sweep else ()), *need.parameters, *need.where}
        for experiment, names in evidence.chosen.items():
            own = rows[rows["experiment"] == experiment]
            for name in names:
                values = own[f"param.{name}"].unique() if name not in named and len(own) else ()
                if len(values) > 1:
                    found[name] = f"{name} = {', '.join(map(text, values))}"
    return " and ".join(found.values())


def averages(estimate: Estimate) -> bool:
    """Whether an estimate is a mean over its trials, or a difference of such; others have their own use for what varies."""
    if isinstance(estimate, In | Of):
        return averages(estimate.estimate)
    if isinstance(estimate, Difference):
        return averages(estimate.left) and averages(estimate.right)
    return isinstance(estimate, Reading | Mean)


def pooled_text(pools: Mapping[str, Pool | None]) -> str:
    """What the columns of a board are means over, by column: said once where all say the same."""
    groups: dict[str, list[str]] = {}
    for column, found in pools.items():
        groups.setdefault(str(found) if found else "", []).append(column)
    said = [(words, columns) for words, columns in groups.items() if words]
    if len(said) == len(groups) == 1:
        return said[0][0]
    return "; ".join(f"{_and(columns)}: {words}" for words, columns in said)


def _name(column: str) -> str:
    return "data" if column == DATA else column.removeprefix("param.")


def _and(names: Sequence[str]) -> str:
    if len(names) > 3:
        return f"{names[0]}, {names[1]} and {len(names) - 2} others"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _range(values: Sequence[Any]) -> str:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return f" ({text(min(values))} to {text(max(values))})" if numbers else ""
