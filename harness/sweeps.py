"""What a sweep selects: the trial that is best on validation, never on test."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from harness.errors import TaskError
from harness.estimates import Row, rows_of, select

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Sweep:
    """Trials that differ in the parameters `over` compete; the best in the metric `by` is selected, a further metric breaks its ties.

    A diverged trial is infinitely bad. Nothing is selected while another one is missing its numbers, or when all diverged: a sweep
    never chooses among survivors. Of trials that agree in every metric the one with the largest values of `over` is selected where
    `ties` says so, else the one that the grid names first.
    """

    over: Sequence[str]
    by: Sequence[str] = ("val_loss",)
    ties: Literal["first", "largest"] = "first"
    better: Sequence[str] = ()
    """Which way is better, one of `by` each: filled in from the experiment's metrics."""

    def __init__(
        self,
        over: str | Sequence[str],
        by: str | Sequence[str] = "val_loss",
        ties: Literal["first", "largest"] = "first",
        better: Sequence[str] = (),
    ) -> None:
        object.__setattr__(self, "over", (over,) if isinstance(over, str) else tuple(over))
        object.__setattr__(self, "by", (by,) if isinstance(by, str) else tuple(by))
        if not (self.over and self.by):
            raise TaskError("a sweep names at least one parameter, and a metric that selects")
        object.__setattr__(self, "ties", ties)
        object.__setattr__(self, "better", tuple(better))

    def directed(self, better: Mapping[str, str]) -> Sweep:
        """The same with the direction of each metric in `by`."""
        for name in self.by:
            if better[name] not in ("lower", "higher"):
                raise TaskError(f"a sweep selects on a metric that is better lower or higher; {name} is {better[name]}")
        return dataclasses.replace(self, better=tuple(better[name] for name in self.by))

    def selected(self, rows: Sequence[Row]) -> Row | None:
        """The trial that is selected among `rows`, which differ in nothing but the swept parameters."""
        if any(row["status"] not in ("ok", "diverged") for row in rows):
            return None
        ranked = [(self._merit(row), row) for row in rows if row["status"] == "ok"]
        if any(math.isnan(number) for numbers, _ in ranked for number in numbers):
            return None
        return max(ranked, key=lambda pair: pair[0], default=(None, None))[1]

    def _merit(self, row: Row) -> tuple[float, ...]:
        if len(self.better) != len(self.by):
            raise TaskError(f"a sweep by {', '.join(self.by)} does not say which way is better: take it from the experiment as `tuned`")
        signs = [1.0 if better == "higher" else -1.0 for better in self.better]
        merits = [sign * float(row.get(f"metric.{name}", math.nan)) for sign, name in zip(signs, self.by, strict=True)]
        return (*merits, *(float(row[f"param.{name}"]) for name in self.over)) if self.ties == "largest" else tuple(merits)

    def cells(self, rows: pd.DataFrame) -> list[list[Row]]:
        """Trials of one method and seed, those together that compete: all other parameters agree."""
        trials = rows_of(rows)
        swept = {f"param.{name}" for name in self.over}
        fixed = [str(name) for name in rows if str(name).startswith("param.") and name not in swept]
        others = [name for name in fixed if len({_key(trial[name]) for trial in trials}) > 1]
        found: dict[tuple[Any, ...], list[Row]] = {}
        for trial in trials:
            found.setdefault(tuple(_key(trial[name]) for name in others), []).append(trial)
        return list(found.values())

    def mean(self, rows: pd.DataFrame, name: str) -> float:
        """The column `name` of the selected trial of each cell, mean over the cells; NaN where a cell selects none."""
        if rows.empty or name not in rows:
            return math.nan
        chosen = [self.selected(cell) for cell in self.cells(rows)]
        values = [math.nan if row is None else float(row[name]) for row in chosen]
        return math.fsum(values) / len(values)


def _is_number(value: Any) -> bool:
    """Words, tuples as text and None have no smallest and no largest."""
    return not isinstance(value, str | None) and not math.isnan(value)


def _key(value: Any) -> Any:
    """A value that equals itself: NaN, the parameter of another experiment, does not."""
    return None if isinstance(value, float) and math.isnan(value) else value


@dataclass(frozen=True)
class Chosen:
    """The value of a swept parameter that validation selects, mean over the cells: NaN for a method that is not swept."""

    parameter: str
    sweep: Sweep
    where: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def reads(self) -> tuple[()]:
        """It has no parts: a sweep is no estimate."""
        return ()

    def __call__(self, frame: pd.DataFrame) -> float:
        """The parameter's value in the records of one method and seed."""
        rows, name = select(frame, self.where), f"param.{self.parameter}"
        return math.nan if name not in rows or rows[name].nunique(dropna=False) < 2 else self.sweep.mean(rows, name)


@dataclass(frozen=True)
class AtLargest:
    """A metric at the largest value of a parameter, mean over what else varies."""

    metric: str
    parameter: str
    where: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __call__(self, frame: pd.DataFrame) -> float:
        """The metric in the records of one method and seed; NaN when a trial there has none."""
        rows, name = select(frame, self.where), f"metric.{self.metric}"
        if rows.empty or name not in rows:
            return math.nan
        last = [max(cell, key=lambda row: float(row[f"param.{self.parameter}"])) for cell in Sweep(self.parameter).cells(rows)]
        values = [float(row[name]) for row in last]
        return math.fsum(values) / len(values)


def edges(sweep: Sweep, rows: pd.DataFrame) -> list[str]:
    """Swept parameters whose selected value is the smallest or largest of those that competed, as `lr at its largest (0.01)`.

    `rows` are the trials of one method and seed. An optimum at the edge is a sweep that is too short.
    """
    found: list[str] = []
    for cell in sweep.cells(rows) if len(rows) else []:
        chosen = sweep.selected(cell)
        for name in sweep.over if chosen is not None else ():
            numbers = sorted({row[f"param.{name}"] for row in cell if _is_number(row[f"param.{name}"])})
            value = chosen[f"param.{name}"]  # type: ignore[index]
            if len(numbers) > 1 and _is_number(value) and value in (numbers[0], numbers[-1]):
                found.append(f"{name} at its {'smallest' if value == numbers[0] else 'largest'} ({value:g})")
    return list(dict.fromkeys(found))
