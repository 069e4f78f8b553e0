"""The numbers that claims and leaderboard columns are made of: one a seed. Validation chooses lam; test only reports."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.estimates import Difference, Of, select

if TYPE_CHECKING:
    import pandas as pd

_CELL = ("param.arch", "param.width", "param.keep")
"""What lam is chosen for: every architecture and every k has its own."""


@dataclass(frozen=True)
class AtChosen:
    """`column` of the trial that the sweep over lam selects, mean over architectures and k.

    Selected is the highest `val_accuracy` once the k largest groups are kept, then the lowest `val_loss`, then the largest lam. A diverged
    lam counts as infinitely bad; any other trial without an accuracy, and a cell where all diverged, makes it NaN.
    """

    column: str
    where: Mapping[str, Any]

    def __call__(self, frame: pd.DataFrame) -> float:
        """The estimate in the records of one method and seed."""
        return _mean_over_cells(select(frame, self.where), self.column, _best)


@dataclass(frozen=True)
class AtLargest:
    """`column` of the trial with the largest lam of the sweep, mean over architectures and k."""

    column: str
    where: Mapping[str, Any]

    def __call__(self, frame: pd.DataFrame) -> float:
        """The estimate in the records of one method and seed."""
        return _mean_over_cells(select(frame, self.where), self.column, _largest)


@dataclass(frozen=True)
class AtSparsity:
    """`column` of the trial with at most k non-zero groups (all axes together, wherever they lie) that validation selects.

    Selected is the highest `val_accuracy_untruncated`: nothing was truncated here. Mean over architectures and k; NaN where no lam of the
    sweep reached the sparsity.
    """

    column: str
    where: Mapping[str, Any]

    def __call__(self, frame: pd.DataFrame) -> float:
        """The estimate in the records of one method and seed."""
        return _mean_over_cells(select(frame, self.where), self.column, _sparse)


Record = Mapping[str, Any]
"""A row of the frame."""


def _mean_over_cells(rows: pd.DataFrame, column: str, choose: Callable[[Sequence[Record]], Record | None]) -> float:
    if rows.empty or not {*_CELL, "metric.val_accuracy", "metric.val_loss", column} <= set(rows):
        return math.nan
    values = []
    for _, group in rows.groupby(list(_CELL)):
        chosen = choose([{str(name): value for name, value in row.items()} for row in group.to_dict("records")])
        values.append(math.nan if chosen is None else float(chosen[column]))
    return math.fsum(values) / len(values)


def _best(rows: Sequence[Record]) -> Record | None:
    """The selected trial of one cell with its k largest groups kept."""
    return max(_well(rows), key=lambda row: (row["metric.val_accuracy"], -row["metric.val_loss"], row["param.lam"]), default=None)


def _sparse(rows: Sequence[Record]) -> Record | None:
    """The selected trial of one cell among those that are sparse enough as they are."""
    enough = [row for row in _well(rows) if row["metric.nonzero_groups"] <= 1.0]
    return max(enough, key=lambda row: (row["metric.val_accuracy_untruncated"], row["param.lam"]), default=None)


def _largest(rows: Sequence[Record]) -> Record | None:
    return max(_well(rows), key=lambda row: float(row["param.lam"]), default=None)


def _well(rows: Sequence[Record]) -> list[Record]:
    """The trials that ended ok; none while one is missing its numbers for another reason than divergence."""
    if any(row["status"] not in ("ok", "diverged") for row in rows):
        return []
    return [row for row in rows if row["status"] == "ok"]


def trained(setting: str) -> dict[str, Any]:
    """The trials that train, in one setting."""
    return {"part": "train", "setting": setting}


TIMED: Mapping[str, Any] = {"part": "cost"}
"""The trials that time prox and value."""


def chosen(setting: str, metric: str) -> AtChosen:
    """`metric` at the lam that validation chooses in the seed."""
    return AtChosen(f"metric.{metric}", trained(setting))


def gap(setting: str, method: str, other: str, metric: str = "test_accuracy") -> Difference:
    """`metric` of `method` minus that of `other`, each at its own chosen lam, in the same seed."""
    return Difference(Of(method, chosen(setting, metric)), Of(other, chosen(setting, metric)))


def sparse_gap(setting: str, method: str, other: str) -> Difference:
    """The same with at most k non-zero groups in all and nothing truncated."""
    accuracy = AtSparsity("metric.test_accuracy_untruncated", trained(setting))
    return Difference(Of(method, accuracy), Of(other, accuracy))
