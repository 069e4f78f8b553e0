"""Which trials an estimate needs, and what it gives seed by seed: the step between records and intervals."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from harness.errors import TaskError
from harness.estimates import Estimate, select
from harness.task import DATA_KINDS, Task

if TYPE_CHECKING:
    import pandas as pd

    from harness.study import Study


_COLUMNS = ("trial_id", "method", "seed", "status", "data_kind")


@dataclass(frozen=True)
class Need:
    """Trials that one leaf of an estimate reads: those of `method` (None: of every method) whose parameters equal `where`."""

    method: str | None
    where: Mapping[str, Any]

    def rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of `frame` that this leaf reads."""
        return select(frame if self.method is None else frame[frame["method"] == self.method], self.where)

    def __str__(self) -> str:
        values = ", ".join(f"{name} = {value}" for name, value in self.where.items())
        return " with ".join(filter(None, (f"method {self.method}" if self.method else "any method", values)))


def needs(estimate: Estimate, method: str | None = None, where: Mapping[str, Any] | None = None) -> list[Need]:
    """The leaves of an estimate, found by walking its dataclass fields, or what it names as `reads`, a sequence of estimates.

    A part that is not a dataclass, such as a plain function, may read anything its parent passes it, so it counts as a leaf.
    """
    inner = getattr(estimate, "where", None)
    own = getattr(estimate, "method", None)
    method = own if isinstance(own, str) else method
    where = {**(where or {}), **(inner if isinstance(inner, Mapping) else {})}
    found = [need for part in _parts(estimate) for need in needs(part, method, where)]
    return found or [Need(method, where)]


def _parts(estimate: Any) -> Iterator[Estimate]:
    """Estimates inside an estimate."""
    if hasattr(estimate, "reads"):
        yield from estimate.reads
    elif dataclasses.is_dataclass(estimate):
        for f in dataclasses.fields(estimate):
            value = getattr(estimate, f.name)
            yield from (part for part in (value if isinstance(value, tuple | list) else [value]) if callable(part))


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Text as plain objects in one block: estimates take many small selections, each of which would copy every Arrow column."""
    return frame.astype({name: object for name, kind in frame.dtypes.items() if str(kind).startswith("str")}).copy()


@dataclass(frozen=True)
class SeedValues:
    """What an estimate gave: a number per usable seed, and the seeds that will never give one."""

    values: Mapping[int, float]
    lost: Mapping[int, Mapping[str, int]]
    """Lost seed -> how many of its trials ended in each status that is not `ok`; empty when all did well."""
    waiting: frozenset[int]
    """Seeds of which a needed trial has left no record yet."""


@dataclass(frozen=True)
class Evidence:
    """The plan and the records of one task at one scale, ready to be asked."""

    study: Study = field(repr=False)
    task: Task
    scale: str

    @cached_property
    def records(self) -> pd.DataFrame:
        """One row a record, with the columns that an estimate may read and `trial_id` and `data_kind`."""
        frame = self.study.records(self.task, self.scale)
        kept = [name for name in frame if name in _COLUMNS or str(name).startswith(("param.", "metric."))]
        return _plain(frame[kept].reset_index(drop=True))

    @cached_property
    def planned(self) -> pd.DataFrame:
        """One row a planned trial: `trial_id`, `method`, `seed`, `kind` and `param.<name>` columns; `recorded` tells what is there."""
        import pandas as pd

        trials = [t for t in self.study.plan if t.task == self.task.id and t.scale == self.scale]
        columns: dict[str, Any] = {
            "trial_id": [t.id for t in trials],
            "method": [t.method for t in trials],
            "seed": [t.seed for t in trials],
            "kind": [t.data.kind if t.data else "synthetic" for t in trials],
        }
        for name in dict.fromkeys(name for t in trials for name in t.params):
            columns[f"param.{name}"] = [t.params.get(name) for t in trials]
        frame = _plain(pd.DataFrame(columns))
        return frame.assign(recorded=frame["trial_id"].isin(self.records["trial_id"]))

    @cached_property
    def _by_seed(self) -> dict[Any, pd.DataFrame]:
        return dict(iter(self.records.groupby("seed")))

    def touched(self, estimate: Estimate, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of `frame` (records or planned) that `estimate` reads, each once."""
        leaves = [need.rows(frame).index for need in needs(estimate)]
        index = leaves[0]
        for leaf in leaves[1:]:
            index = index.union(leaf)
        return frame if len(index) == len(frame) else frame.loc[index]

    def absent(self, estimate: Estimate) -> list[Need]:
        """What `estimate` reads that the plan does not hold at all."""
        return [need for need in needs(estimate) if need.rows(self.planned).empty]

    def per_seed(self, estimate: Estimate, method: str | None = None) -> SeedValues:
        """`estimate` on each seed's records (of one method, if given), once all trials that it needs have left a record."""
        planned, frames = self.touched(estimate, self.planned), self._by_seed
        if method is not None:
            planned = planned[planned["method"] == method]
            frames = dict(iter(self.records[self.records["method"] == method].groupby("seed")))
        complete = planned.groupby("seed")["recorded"].all()
        values: dict[int, float] = {}
        lost: dict[int, Mapping[str, int]] = {}
        for seed in complete.index[complete]:
            value = self._call(estimate, frames[seed])
            if math.isfinite(value):
                values[int(seed)] = value
            else:
                status = self.touched(estimate, frames[seed])["status"]
                lost[int(seed)] = {str(name): int(count) for name, count in status[status != "ok"].value_counts().items()}
        return SeedValues(values, lost, frozenset(int(seed) for seed in complete.index[~complete]))

    def data_kind(self, estimate: Estimate | None = None) -> str:
        """Kinds of the data behind the records (of the plan, before there are any) that `estimate` reads, joined with ` + `."""
        kinds = self.records if estimate is None else self.touched(estimate, self.records)
        found = set(kinds["data_kind"])
        if not found:
            found = set((self.planned if estimate is None else self.touched(estimate, self.planned))["kind"])
        return " + ".join([kind for kind in DATA_KINDS if kind in found] + sorted(found - set(DATA_KINDS)))

    def _call(self, estimate: Estimate, frame: pd.DataFrame) -> float:
        try:
            return float(estimate(frame))
        except Exception as error:
            raise TaskError(f"task {self.task.id}: an estimate raised {type(error).__name__}: {error} ({estimate!r})") from error
