"""What a sweep goes over, and what it selects: the trial that is best on validation, never on test."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from harness.censoring import companion
from harness.errors import TaskError
from harness.estimates import Vectorised

if TYPE_CHECKING:
    from harness.table import Floats, Index, Table


def powers(base: float, low: int, high: int, each: int = 1) -> list[float]:
    """base^low, ..., base^high, `each` steps between neighbouring powers, with both ends."""
    return [float(base) ** (place / each) for place in range(low * each, high * each + 1)]


@dataclass(frozen=True)
class Sweep:
    """Trials that differ in the parameters `over` compete; the best in the metric `by` is selected, a further metric breaks its ties.

    A diverged trial is infinitely bad. Nothing is selected while another one is missing its numbers, or when all diverged: a sweep
    never chooses among survivors. A bound of a censored metric competes as its value, and is larger than an equal number. Of trials
    that agree in every metric the one with the largest values of `over` is selected where `ties` says so, else the first of the grid.
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

    def chosen(self, competing: Table) -> Index:
        """Place of the selected trial among rows that compete, in each replicate; -1 where none is."""
        import numpy as np

        from harness.table import best

        if len(self.better) != len(self.by):
            raise TaskError(f"a sweep by {', '.join(self.by)} does not say which way is better: take it from the experiment as `tuned`")
        signs = [1.0 if better == "higher" else -1.0 for better in self.better]
        keys = []
        for sign, name in zip(signs, self.by, strict=True):
            keys.append(sign * competing.metric(name))
            if competing.has(f"metric.{companion(name)}"):
                # The truth lies above a bound: of equal numbers the bound is the larger one.
                keys.append(sign * (np.nan_to_num(competing.metric(companion(name)), nan=1.0) != 0))
        if self.ties == "largest":
            shape = (competing.replicates, len(competing))
            keys += [np.broadcast_to(competing.column(f"param.{name}").astype(float), shape) for name in self.over]
        return best(competing.diverged, competing.ok, keys)

    def cells(self, table: Table) -> list[Table]:
        """Trials of one method and seed, those together that compete: all other parameters agree."""
        swept = {f"param.{name}" for name in self.over}
        return [table.take(places) for places in table.alike([name for name in table.parameters if name not in swept])]

    def means(self, table: Table, name: str) -> Floats:
        """The column `name` of the selected trial of each cell, mean over the cells, in each replicate; NaN where a cell selects none."""
        import numpy as np

        from harness.table import picked

        if not len(table) or not table.has(name):
            return table.nothing()
        return np.asarray(np.mean([picked(cell.numbers(name), self.chosen(cell)) for cell in self.cells(table)], axis=0))


def _is_number(value: Any) -> bool:
    """Words, tuples as text and None have no smallest and no largest."""
    return not isinstance(value, str | None) and not math.isnan(value)


def _key(value: Any) -> Any:
    """A value that equals itself: NaN, the parameter of another experiment, does not."""
    return None if isinstance(value, float) and math.isnan(value) else value


@dataclass(frozen=True)
class Chosen(Vectorised):
    """The value of a swept parameter that validation selects, mean over the cells: NaN for a method that is not swept."""

    parameter: str
    sweep: Sweep
    where: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def reads(self) -> tuple[()]:
        """It has no parts: a sweep is no estimate."""
        return ()

    def values(self, table: Table) -> Floats:
        """The parameter's value in the records of one method."""

        rows, name = table.select(self.where), f"param.{self.parameter}"
        swept = rows.has(name) and len({_key(value) for value in rows.column(name).tolist()}) > 1
        return self.sweep.means(rows, name) if swept else table.nothing()


@dataclass(frozen=True)
class AtLargest(Vectorised):
    """A metric at the largest value of a parameter, mean over what else varies."""

    metric: str
    parameter: str
    where: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def values(self, table: Table) -> Floats:
        """The metric in the records of one method; NaN when a trial there has none."""
        import numpy as np

        rows, name = table.select(self.where), f"param.{self.parameter}"
        if not len(rows) or not rows.has(f"metric.{self.metric}"):
            return table.nothing()
        cells = Sweep(self.parameter).cells(rows)
        last = [cell.metric(self.metric)[:, np.argmax(cell.column(name).astype(float))] for cell in cells]
        return np.asarray(np.mean(last, axis=0))


def edges(sweep: Sweep, table: Table) -> dict[int, list[str]]:
    """Swept parameters whose selected value is the smallest or largest of those that competed, as `lr at its largest (0.01)`.

    By replicate, where there is one; the rows are trials of one method. An optimum at the edge is a sweep that is too short.
    """
    import numpy as np

    found: dict[int, dict[str, None]] = {}
    for cell in sweep.cells(table) if len(table) else []:
        chosen = sweep.chosen(cell)
        for name in sweep.over:
            competing = cell.column(f"param.{name}").tolist()
            numbers = sorted({value for value in competing if _is_number(value)})
            for place, value in enumerate(competing) if len(numbers) > 1 else ():
                if _is_number(value) and value in (numbers[0], numbers[-1]):
                    edge = f"{name} at its {'smallest' if value == numbers[0] else 'largest'} ({value:g})"
                    for replicate in np.flatnonzero(chosen == place).tolist():
                        found.setdefault(replicate, {})[edge] = None
    return {replicate: [*own] for replicate, own in found.items()}
