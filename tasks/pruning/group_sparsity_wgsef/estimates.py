"""The numbers that claims and leaderboard columns are made of: one a seed. Validation chooses lam; test only reports."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.estimates import Difference, Of, Row, rows_of, select, selected

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
    swept: bool = False
    """Whether a method without a sweep has no number: its lam says nothing."""

    def __call__(self, frame: pd.DataFrame) -> float:
        """The estimate in the records of one method and seed."""
        rows = select(frame, self.where)
        if self.swept and (rows.empty or rows["param.lam"].nunique() < 2):
            return math.nan
        return _mean_over_cells(rows, self.column, _best)


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
    """Accuracy of the best network with at most k groups an axis on average that a method's sweep offers, mean over architectures and k.

    Offered are, at every lam, the network whose k largest groups an axis are kept, and the one that training left where that has so few
    groups already, wherever they lie. The highest validation accuracy of its own selects.
    """

    split: str
    """Whose accuracy is reported: val or test."""
    where: Mapping[str, Any]

    def __call__(self, frame: pd.DataFrame) -> float:
        """The estimate in the records of one method and seed."""
        rows = select(frame, self.where)
        if "metric.nonzero_groups" not in rows or not rows["metric.nonzero_groups"].notna().any():
            return math.nan
        few = rows[rows["metric.nonzero_groups"] <= 1.0]
        sparse = few.assign(**{f"metric.{split}_accuracy": few[f"metric.{split}_accuracy_untruncated"] for split in ("val", "test")})
        return _mean_over_cells(_joined([rows, sparse]), f"metric.{self.split}_accuracy", _best)


def _mean_over_cells(rows: pd.DataFrame, column: str, choose: Callable[[Sequence[Row]], Row | None]) -> float:
    if rows.empty or not {*_CELL, "metric.val_accuracy", "metric.val_loss", column} <= set(rows):
        return math.nan
    values = []
    for _, group in rows.groupby(list(_CELL)):
        chosen = choose(rows_of(group))
        values.append(math.nan if chosen is None else float(chosen[column]))
    return math.fsum(values) / len(values)


def _best(rows: Sequence[Row]) -> Row | None:
    """The selected trial of one cell with its k largest groups kept."""
    return selected(rows, lambda row: (row["metric.val_accuracy"], -row["metric.val_loss"], row["param.lam"]))


def _joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat(frames, ignore_index=True)


def _largest(rows: Sequence[Row]) -> Row | None:
    return selected(rows, lambda row: (row["param.lam"],))


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
    """Test accuracy of the best network with at most k groups an axis on average, `method` minus `other`, in the same seed."""
    accuracy = AtSparsity("test", trained(setting))
    return Difference(Of(method, accuracy), Of(other, accuracy))
