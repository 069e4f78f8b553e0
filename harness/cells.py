"""A plan by its cells: trials that differ in the seed alone are of one cell. A large plan has few cells and many trials."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from harness.kinds import cell

if TYPE_CHECKING:
    import pandas as pd

    from harness.plan import TrialSpec

Index = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Cells:
    """Which cell and seed each trial of a plan is of; trials are known by their places in the plan."""

    firsts: Sequence[TrialSpec]
    """The first trial of each cell, in the plan's order."""
    numbers: Index
    """(trials,): the cell of each trial, by its place in `firsts`."""
    seeds: npt.NDArray[np.int64]
    """(trials,)."""

    @classmethod
    def of(cls, trials: Sequence[TrialSpec]) -> Cells:
        """The cells of some trials."""
        # Trials of a cell mostly share their parameters and data, which live as long as they do: what these hold is looked at once.
        counted: defaultdict[tuple[Any, ...], int] = defaultdict(itertools.count().__next__)
        shared = (map(id, map(attrgetter(name), trials)) for name in ("params", "data"))
        keys = zip(map(_NAMES, trials), *shared, strict=True)
        numbers = np.fromiter(map(counted.__getitem__, keys), dtype=np.intp, count=len(trials))
        # They are counted as they come, so that a cell's first trial is where the largest number so far rises.
        places = np.flatnonzero(np.diff(np.maximum.accumulate(numbers), prepend=-1)) if len(numbers) else numbers
        firsts: dict[tuple[Any, ...], TrialSpec] = {}
        same = np.empty(len(places), dtype=np.intp)
        known: dict[tuple[Any, ...], int] = {}
        for number, trial in enumerate(trials[place] for place in places.tolist()):
            key = (*_NAMES(trial), _spelled(trial.params), trial.data)
            firsts.setdefault(key, trial)
            same[number] = known.setdefault(key, len(known))
        seeds = np.fromiter(map(attrgetter("seed"), trials), dtype=np.int64, count=len(trials))
        return cls([*firsts.values()], same[numbers], seeds)

    def frame(self, numbers: Index | None = None) -> pd.DataFrame:
        """One row a cell: `experiment`, `method`, `kind` and `data_name` of its data, `param.` and `view.` columns; text as objects.

        Of those with these numbers, or of all.
        """
        import pandas as pd

        firsts = self.firsts if numbers is None else [self.firsts[number] for number in numbers.tolist()]
        columns: dict[str, Any] = {
            "experiment": [t.experiment for t in firsts],
            "method": [t.method for t in firsts],
            "kind": [t.data.kind if t.data else "synthetic" for t in firsts],
            "data_name": [t.data.source if t.data else "" for t in firsts],
        }
        for name in dict.fromkeys(name for t in firsts for name in t.params):
            columns[f"param.{name}"] = [cell(t.params.get(name)) for t in firsts]
        for view in dict.fromkeys(view for t in firsts for view in t.views):
            columns[f"view.{view}"] = [view in t.views for t in firsts]
        return plain(pd.DataFrame(columns))


_NAMES = attrgetter("task", "scale", "experiment", "method", "views")


def _spelled(params: Mapping[str, Any]) -> str:
    return repr(sorted(params.items()))


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Text as plain objects in one block: who takes many small selections would else copy every column each time."""
    texts = {name: object for name, kind in frame.dtypes.items() if str(kind).startswith("str") or str(kind) == "category"}
    return frame.astype(texts).copy() if texts else frame
