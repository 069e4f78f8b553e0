"""Trials of one seed as rows, in several replicates: seeds of a study, or studies redrawn from noise. What estimates are computed on.

The rows are the same in all replicates (experiment, method, parameters, views); metrics and statuses are arrays (replicates, rows).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from harness.kinds import cell

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Index = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Source:
    """Where a table's numbers come from; each is read when it is asked for, once."""

    names: frozenset[str]
    """Columns that there are: `experiment`, `method`, `status`, `param.<name>`, `view.<name>`, `metric.<name>`."""
    replicates: int
    rows: int
    fixed: Callable[[str], npt.NDArray[Any]]
    """A column that all replicates share, (rows,)."""
    varying: Callable[[str], npt.NDArray[Any]]
    """A metric, or `status`, (replicates, rows)."""
    frame: Callable[[int], pd.DataFrame]
    """The records of one replicate, for estimates that read frames."""
    kinds: Index | None = None
    """Where many rows are alike: of each row its place in what `of_kinds` gives."""
    of_kinds: Callable[[str], npt.NDArray[Any] | None] = lambda _: None
    """A shared column as one value a kind; None of a column that rows of a kind do not share."""
    _read: dict[str, npt.NDArray[Any]] = field(default_factory=dict)

    def column(self, name: str) -> npt.NDArray[Any]:
        """A shared column."""
        if name not in self._read:
            self._read[name] = self.fixed(name)
        return self._read[name]

    def metric(self, name: str) -> Floats:
        """A metric, NaN where the trial did not end ok."""
        if name not in self._read:
            values = np.asarray(self.varying(name), dtype=float)
            self._read[name] = values if self.ok.all() else np.where(self.ok, values, np.nan)
        return self._read[name]

    @cached_property
    def ok(self) -> Bools:
        """Trials that ended ok; all, where no status is kept."""
        return self._ended("ok") if "status" in self.names else np.ones((self.replicates, self.rows), dtype=bool)

    @cached_property
    def diverged(self) -> Bools:
        """Trials that diverged."""
        return self._ended("diverged") if "status" in self.names else np.zeros((self.replicates, self.rows), dtype=bool)

    def _ended(self, status: str) -> Bools:
        return np.asarray(self.varying("status") == status, dtype=bool)


@dataclass(frozen=True, eq=False)
class Table:
    """Some rows of a source."""

    source: Source
    rows: Index

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Table:
        """One replicate: the records of a frame."""
        return cls.stacked([frame])

    @classmethod
    def stacked(cls, frames: Sequence[pd.DataFrame]) -> Table:
        """A replicate for each frame; they have the same columns, and rows that agree in all but metrics and status."""
        first = frames[0]
        names = frozenset(str(name) for name in first)
        source = Source(
            names,
            len(frames),
            len(first),
            fixed=lambda name: first[name].to_numpy(),
            varying=lambda name: np.stack([frame[name].to_numpy() for frame in frames]),
            frame=lambda replicate: frames[replicate],
        )
        return cls(source, np.arange(len(first)))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def replicates(self) -> int:
        """How many there are."""
        return self.source.replicates

    def has(self, name: str) -> bool:
        """Whether there is a column of this name."""
        return name in self.source.names

    @property
    def parameters(self) -> list[str]:
        """Names of the parameters' columns."""
        return [name for name in self.source.names if name.startswith("param.")]

    def column(self, name: str) -> npt.NDArray[Any]:
        """What the rows are, by the name of a column: (rows,)."""
        return self.source.column(name)[self.rows]

    def metric(self, name: str) -> Floats:
        """A metric by its bare name, (replicates, rows): NaN where a trial did not end ok, and throughout where none returned it."""
        if not self.has(f"metric.{name}"):
            return np.full((self.replicates, len(self)), math.nan)
        return self.source.metric(f"metric.{name}")[:, self.rows]

    @property
    def ok(self) -> Bools:
        """(replicates, rows): trials that ended ok."""
        return self.source.ok[:, self.rows]

    @property
    def diverged(self) -> Bools:
        """(replicates, rows): trials that diverged."""
        return self.source.diverged[:, self.rows]

    def of_replicates(self, places: Sequence[int]) -> Table:
        """Some of the replicates, all of the rows."""
        if len(places) == self.replicates:
            return self
        whole, at = self.source, list(places)
        source = Source(
            whole.names,
            len(at),
            whole.rows,
            fixed=whole.column,
            varying=lambda name: whole.varying(name)[at],
            frame=lambda replicate: whole.frame(at[replicate]),
        )
        return Table(source, self.rows)

    def _few(self, name: str) -> tuple[npt.NDArray[Any], Index | None]:
        """A column's values, and of each row which one it has; None where each has its own."""
        if self.source.kinds is not None and (found := self.source.of_kinds(name)) is not None:
            return found, self.source.kinds[self.rows]
        return self.column(name), None

    def _having(self, name: str, value: Any) -> Bools:
        """Rows with a value in a column; with an empty cell, where it is None."""
        found, places = self._few(name)
        same = missing(found) if value is None else equal(found, value)
        return same if places is None else same[places]

    def alike(self, names: Sequence[str]) -> list[Index]:
        """Places of the rows that agree in some columns, for each that differs; that of the first row first. Empty cells agree."""
        columns = [self._few(name) for name in names]
        places = columns[0][1] if columns else None
        if places is None or any(own is None for _, own in columns):
            columns, places = [(self.column(name), None) for name in names], None
        keys = zip(*([None if value != value else value for value in found.tolist()] for found, _ in columns), strict=True)
        known: dict[tuple[Any, ...], int] = {}
        numbers = [known.setdefault(key, len(known)) for key in (keys if columns else [()] * len(self))]
        of_rows = np.array(numbers, dtype=np.intp) if places is None else np.array(numbers, dtype=np.intp)[places]
        order = np.argsort(of_rows, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(of_rows[order])) + 1) if len(order) else []
        return sorted(groups, key=lambda group: int(group[0]))

    def take(self, rows: Index | Bools) -> Table:
        """Some of the rows, by place or mask."""
        return Table(self.source, self.rows[rows])

    def select(self, where: Mapping[str, Any], *, experiment: str = "", view: str = "", method: str | None = None) -> Table:
        """The rows of an experiment, a view of it and a method (empty, None: of all) whose parameters equal `where`.

        A parameter that is None has an empty cell, or no column where all of its cells are empty.
        """
        kept = np.ones(len(self), dtype=bool)
        for name, value in wanted(where, experiment, view, method).items():
            if self.has(name):
                kept &= self._having(name, value)
            elif value is not None:
                return self.take(np.arange(0))
        return self if kept.all() else self.take(kept)

    def groups(self, name: str) -> dict[Any, Table]:
        """The rows by their value of a column, smallest value first; those without one are left out, and all without the column."""
        if not self.has(name):
            return {}
        found, places = self._few(name)
        found = found if places is None else found[np.unique(places)]
        values = sorted(set(found[~missing(found)].tolist()))
        return {value: self.take(self._having(name, value)) for value in values}

    def nothing(self) -> Floats:
        """NaN in each replicate."""
        return np.full(self.replicates, math.nan)

    def places(self, places: Sequence[int]) -> Table:
        """The rows at these places, in this order."""
        return self.take(np.array(places, dtype=np.intp))

    def numbers(self, name: str) -> Floats:
        """A metric or a parameter by the full name of its column, (replicates, rows)."""
        if name.startswith("metric."):
            return self.metric(name.removeprefix("metric."))
        return np.broadcast_to(self.column(name).astype(float), (self.replicates, len(self)))

    def frame(self, replicate: int) -> pd.DataFrame:
        """The records of one replicate."""
        whole = self.source.frame(replicate)
        return whole if len(self) == len(whole) else whole.iloc[self.rows]


def wanted(where: Mapping[str, Any], experiment: str, view: str, method: str | None) -> dict[str, Any]:
    """Columns and what they have to hold in the rows that a selection keeps."""
    asked = {"experiment": experiment or None, "method": method, f"view.{view}": True if view else None}
    named = {name: value for name, value in asked.items() if value is not None}
    return named | {f"param.{name}": cell(value) for name, value in where.items()}


def equal(values: npt.NDArray[Any], value: Any) -> Bools:
    """Which of a column's cells hold a value, also where they are of several kinds."""
    return np.asarray(values == value, dtype=bool) & np.ones(len(values), dtype=bool)


def missing(values: npt.NDArray[Any]) -> Bools:
    """Which cells are empty: None and what does not equal itself."""
    if values.dtype.kind != "O":
        return np.asarray(values != values, dtype=bool)
    return np.array([value is None or value != value for value in values], dtype=bool)


def best(usable: Bools, competing: Bools, keys: Sequence[Floats]) -> Index:
    """Place of the row with the largest `keys`, compared one by one, in each replicate: the first of several, -1 where none is chosen.

    `competing`: (replicates, rows), the trials that ended ok; `usable` those that may be left out too, because they diverged. Nothing is
    chosen where another one is missing, where a competing one has a key that is NaN, or where none competes.
    """
    candidates = competing.copy()
    whole = (competing | usable).all(axis=1) & competing.any(axis=1)
    for key in keys:
        whole &= ~(competing & np.isnan(key)).any(axis=1)
        of_candidates = np.where(candidates, key, -np.inf)
        candidates &= of_candidates == of_candidates.max(axis=1, keepdims=True, initial=-np.inf)
    return np.where(whole, candidates.argmax(axis=1) if candidates.shape[1] else 0, -1).astype(np.intp)


def picked(values: Floats, places: Index) -> Floats:
    """`values` (replicates, rows) at one row a replicate; NaN where it is -1."""
    at = np.take_along_axis(values, np.maximum(places, 0)[:, None], axis=1)[:, 0]
    return np.where(places >= 0, at, np.nan)
