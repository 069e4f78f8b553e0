"""The optimal model size at each compute budget: the vertex of a parabola in log N (Hoffmann et al., 2203.15556, approach 2).

What comes out is a table, and the law on it is an ordinary power law. The parabola is an approximation: away from the optimum, or
with exponents that differ, its vertex is biased (2603.22339), so budgets whose optimum the runs do not bracket are left out, by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError
from harness.laws import table
from harness.laws.solver import Array

if TYPE_CHECKING:
    import pandas as pd

Index = NDArray[np.intp]
FORMULA = "n* = argmin of a parabola in log n at each flops; n* = c · flops^a"
SUMMARY = "optimal model size at each compute budget, then a power law on the optima"
COLUMNS = ("flops", "n", "y")
OPTIMUM = "n_star"
_SAME_BUDGET = 0.01
"""Runs within one percent of each other's FLOPs share a budget."""


def optima(frame: pd.DataFrame, used: Mapping[str, str], group: Sequence[str], source: str) -> tuple[pd.DataFrame, list[str]]:
    """One row a group and budget: the group's columns, `flops` (the table's own name), `n_star`, `runs`; and what was left out.

    DataError when a column is bad or fewer than three budgets are left in a group.
    """
    import pandas as pd

    flops, n, y = (table.positive(frame, used[name], source) for name in COLUMNS)
    table.one_decimal_mark(frame, list(used.values()), source)
    labels = table.labels(frame, group, source)
    rows = []
    notes = table.repeated(frame, [*used.values(), *group], "they weigh in their parabola, and count in no interval")
    for label in dict.fromkeys(labels):
        own = np.flatnonzero([other == label for other in labels])
        keys = dict(zip(group, frame.iloc[own[0]][list(group)], strict=True)) if group else {}
        found = 0
        for budget, index in _budgets(flops, own):
            best, why = vertex(np.log(n[index]), y[index])
            if why:
                notes.append(f"{label + ', ' if label else ''}{used['flops']} {budget:.3g}: left out, {why}")
                continue
            found += 1
            rows.append(keys | {used["flops"]: budget, OPTIMUM: float(np.exp(best)), "runs": len(index)})
        if found < 3:
            where = f"{source}, {label}" if label else source
            reasons = "; ".join(note for note in notes if note.startswith(label))
            raise DataError(f"{where}: {found} budgets have an optimum, a power law needs 3 ({reasons or 'too few budgets'})")
    return pd.DataFrame(rows), notes


def _budgets(flops: Array, own: Index) -> list[tuple[float, Index]]:
    ordered = own[np.argsort(flops[own], kind="stable")]
    cuts = np.flatnonzero(np.diff(np.log(flops[ordered])) > _SAME_BUDGET) + 1
    return [(float(np.exp(np.log(flops[index]).mean())), index) for index in np.split(ordered, cuts)]


def vertex(log_n: Array, y: Array) -> tuple[float, str]:
    """The minimiser of the least-squares parabola, or the reason why the runs do not show one."""
    if len(np.unique(log_n)) < 3:
        return float("nan"), f"{len(np.unique(log_n))} model sizes do not make a parabola"
    centre = log_n.mean()
    curvature, slope, _ = np.polyfit(log_n - centre, y, 2)
    if curvature <= 0:
        return float("nan"), "its parabola has no minimum"
    best = float(centre - slope / (2 * curvature))
    if not log_n.min() < best < log_n.max():
        return float("nan"), "its optimum lies outside the sizes that were run"
    return best, ""
