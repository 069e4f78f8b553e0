"""What a bootstrap may draw: rows, runs of several rows, or repetitions of the whole design."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.laws import table

if TYPE_CHECKING:
    import pandas as pd

    from harness.laws.design import Rows
    from harness.laws.rows import Options

Kind = Literal["rows", "runs", "repetitions"]
FEW_RUNS = 15
"""Below this many runs the intervals miss 95 % in one direction or the other (`docs/calibration-laws.md`)."""
_CHECKPOINTS = 3
"""Rows of one n, each with a d of its own, that look like checkpoints of one run."""


@dataclass(frozen=True)
class Units:
    """The rows in the groups that are drawn, and left out, as wholes.

    A *run* has a column that never changes within it, such as n along its checkpoints: what that column says, only runs can say. A
    *repetition* such as a seed holds the design itself, so it must not be lost.
    """

    kind: Kind
    codes: NDArray[np.intp]
    """(n,): the unit of each row, from 0."""

    @property
    def count(self) -> int:
        """How many units there are."""
        return int(self.codes.max()) + 1

    def at(self, kept: NDArray[np.bool_]) -> Units:
        """The units of some of the rows."""
        return Units(self.kind, np.unique(self.codes[kept], return_inverse=True)[1])


def units(x: Mapping[str, Any], cluster: Sequence[str] | None) -> Units:
    """Of the rows with columns `x` (n,) each; every row is its own without `cluster`."""
    if cluster is None:
        return Units("rows", np.arange(len(next(iter(x.values())))))
    codes = np.unique(list(cluster), return_inverse=True)[1]
    members = [np.flatnonzero(codes == code) for code in range(codes.max() + 1)]
    constant = any(all(np.ptp(np.log(values[own])) < table.LEAST_SPREAD for own in members) for values in x.values())
    return Units("runs" if constant else "repetitions", codes)


def cautions(frame: pd.DataFrame, rows: Rows, used: Mapping[str, str], options: Options) -> list[str]:
    """Sentences on rows that look like parts of one run, where `options` names no cluster."""
    if options.cluster is not None:
        return []
    count = len(rows.y)
    for name in map(str, frame.columns):
        if name in (*used.values(), *options.group) or "run" not in name.lower().replace("-", "_").replace(".", "_").split("_"):
            continue
        different = frame[name].nunique()
        if different < count:
            said = f"{count} rows are of {different} values of {name}: checkpoints of one run are no runs"
            return [f"{said}, and intervals over rows are too short; --cluster {name} resamples runs"]
    if {"n", "d"} <= set(rows.x) and (sizes := _sizes_with_checkpoints(rows)):
        said = f"{count} rows share {sizes} values of {used['n']}, with several of {used['d']} each: if those are checkpoints of one run"
        return [f"{said}, intervals over rows are too short; --cluster {used['n']} resamples runs"]
    return []


def _sizes_with_checkpoints(rows: Rows) -> int:
    """How many sizes there are, if most rows share theirs with rows of another d; else 0."""
    tokens: dict[tuple[str, float], set[float]] = {}
    for group, n, d in zip(rows.group, rows.x["n"].tolist(), rows.x["d"].tolist(), strict=True):
        tokens.setdefault((group, n), set()).add(d)
    shared = sum(len(found) for found in tokens.values() if len(found) >= _CHECKPOINTS)
    return len(tokens) if 2 * shared > len(rows.y) else 0
