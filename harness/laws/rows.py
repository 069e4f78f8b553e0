"""From a table and the user's wishes to the rows of a fit: which column is which, which rows belong together, what they share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from harness.errors import DataError, UsageError, unknown
from harness.laws import bounds, table
from harness.laws.design import Rows
from harness.laws.law import Column, Law
from harness.laws.solver import Array

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to fit; the defaults are those of `papertrial fit`."""

    group: Sequence[str] = ()
    """Table columns that make the groups."""
    reference: str | None = None
    """`VALUE` or `COLUMN=VALUE` of a group column: where efficiencies are 1."""
    share: Sequence[str] | None = None
    """Parameters with one value for all families. None: all but levels where the law has efficiencies, otherwise none."""
    separate: bool = False
    """Nothing is shared between families."""
    delta: float | None = None
    """Huber's delta in log y; infinite is least squares. None: the law's."""
    fixed: Mapping[str, float] = field(default_factory=dict)
    """Parameters that keep a value, in raw units."""
    ties: Mapping[str, str] = field(default_factory=dict)
    """Exponents that equal another."""
    priors: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Parameter -> mean and standard deviation of what is known of it, in raw units; see `harness.laws.prior`."""
    censored: str | None = None
    """Table column that says where y is a bound: `>` where the truth is above it, `<` below; see `harness.laws.bounds`."""
    budgets: Sequence[float] = ()
    """Compute budgets, 6 n d, whose best division is reported; none: powers of ten from the largest of the rows on."""
    predict: Sequence[Mapping[str, float]] = ()
    """Points at which the law is reported: a value of each of its columns."""
    starts: tuple[Mapping[str, float], ...] | Literal["published"] = ()
    """Starts besides the law's own: raw parameter values, or the grid of the law's paper."""
    resamples: int = 1000
    cluster: str | None = None
    """Table column whose values (seeds) are resampled as wholes."""
    weights: str | None = None
    """Table column, or formula, of weights: a row of weight 4 has an error half as large."""
    errors: str | None = None
    """Table column, or formula, of the standard error of y in each row."""
    confidence: float = 0.95
    seed: int = 0
    skip_empty: bool = False
    """Leave out rows with an empty cell in a fitted column (and say how many) instead of refusing them."""
    allow_gap: bool = False
    """Accept columns that look as if they mixed units."""


def constrained(law: Law, options: Options) -> Law:
    """The law with what the options fix and tie."""
    return replace(law, fixed={**law.fixed, **options.fixed}, ties={**law.ties, **options.ties})


def checked_points(law: Law, points: Sequence[Mapping[str, float]], used: Mapping[str, str]) -> list[dict[str, float]]:
    """The points by the law's columns; the table's names for them, and upper case, are understood."""
    names, zero = [column.name for column in law.columns], {column.name for column in law.columns if column.zero}
    known = {theirs.lower(): name for name, theirs in used.items() if name in names} | {name.lower(): name for name in names}
    found = []
    for point in points:
        for name, value in point.items():
            if name.lower() not in known:
                raise unknown(f"column of law {law.name}", name, names)
            if not (0 < value < float("inf") or (value == 0 and known[name.lower()] in zero)):
                raise UsageError(f"--predict {name}={value:g}: the law is for positive numbers")
        own = {known[name.lower()]: float(value) for name, value in point.items()}
        missing = [name for name in names if name not in own]
        if missing or len(own) < len(point):
            raise UsageError(f"--predict takes one value of each of {', '.join(names)}" + (f": {missing[0]} is missing" if missing else ""))
        found.append({name: own[name] for name in names})
    return found


def used_columns(law: Law, columns: Mapping[str, str]) -> dict[str, str]:
    """Law column -> table column, for all columns of the law; each table column once."""
    names = [column.name for column in (*law.columns, law.y)]
    for name in columns:
        if name not in names:
            raise unknown(f"column of law {law.name}", name, names)
    used = {name: columns.get(name, name) for name in names}
    for name, theirs in used.items():
        for other, also in used.items():
            if also == theirs and other != name:
                raise UsageError(f"column {theirs} cannot be both {name} and {other}")
    return used


def complete(frame: pd.DataFrame, used: Iterable[str], source: str) -> pd.DataFrame:
    """The rows without an empty cell in the columns `used`."""
    names = [table.column(frame, theirs, source).name for theirs in used]
    found = frame.dropna(subset=names)
    if found.empty:
        raise DataError(f"{source}: every row has an empty cell in {', '.join(map(str, names))}")
    return found


def read_rows(law: Law, frame: pd.DataFrame, used: Mapping[str, str], options: Options, source: str) -> Rows:
    """The checked rows; DataError names row and column."""
    for name in options.group:
        if name in used.values():
            raise UsageError(f"column {name} cannot be both fitted and a group")
    for theirs in used.values():
        table.column(frame, theirs, source)
    family, group, reference = table.families(frame, options.group, options.reference, source, efficiency=bool(law.efficiencies))
    kinds = {column.name: column for column in (*law.columns, law.y)}
    values = {name: _column(frame, kinds[name], theirs, source, options) for name, theirs in used.items()}
    table.one_decimal_mark(frame, list(used.values()), source)
    y = values.pop(law.y.name)
    side = bounds.sides(frame, options.censored, source)
    return Rows(values, y, family, group, reference, stated_errors(frame, y, options, source), side=side)


def _column(frame: pd.DataFrame, kind: Column, theirs: str, source: str, options: Options) -> Array:
    if kind.zero:
        return table.positive_numbers(frame, theirs, source, "and it is nothing or positive", zero=True)
    if not kind.varies:
        return table.positive_numbers(frame, theirs, source, "and the fit takes its log")
    return table.positive(frame, theirs, source, allow_gap=options.allow_gap)


def stated_errors(frame: pd.DataFrame, y: Array, options: Options, source: str) -> Array | None:
    """(n,): standard errors of log y, known up to a factor where weights are given; None where the rows do not say."""
    if options.weights and options.errors:
        raise UsageError("--weights and --errors say the same thing twice: weights are 1/errors^2")
    if name := options.errors or options.weights:
        values = table.positive_numbers(frame, name, source, "a row without a positive one weighs nothing or everything")
        return values / y if options.errors else 1 / np.sqrt(values)
    return None


def shared_parameters(law: Law, families: int, options: Options) -> frozenset[str]:
    """Parameters with one value for all of `families` families."""
    free = [name for name in law.parameters if name not in law.efficiencies]
    if options.separate and options.share is not None:
        raise UsageError("--separate and --share contradict each other")
    for name in options.share or ():
        if name not in free:
            raise unknown(f"parameter of law {law.name} that families can share", name, free)
    if options.separate and law.efficiencies and families == 1:
        raise UsageError(f"--separate needs a group column besides the reference's: law {law.name} compares groups of one fit")
    if families == 1:
        return frozenset(free)
    if options.share is not None:
        return frozenset(options.share)
    if options.separate or not law.efficiencies:
        return frozenset()
    return frozenset(free) - {term.level for term in law.terms if term.powers}


def split(rows: Rows, shared: frozenset[str]) -> list[tuple[str, np.ndarray]]:
    """(family, its rows) for each independent fit: everything at once where anything is shared, and then the name is empty."""
    families = list(dict.fromkeys(rows.family))
    if shared and len(families) > 1:
        return [("", np.arange(len(rows.y)))]
    return [(family, np.flatnonzero([own == family for own in rows.family])) for family in families]


def distinct(rows: Rows, index: np.ndarray, cluster: Sequence[str] | None) -> tuple[np.ndarray, np.ndarray]:
    """The first of equal rows among `index`, and how many it stands for.

    Rows are equal when the fit cannot tell them apart: in every fitted column, the group and the cluster. One measurement that is
    in the table twice is no second measurement, so it must not narrow an interval.
    """
    found: dict[tuple[object, ...], list[int]] = {}
    for i in index.tolist():
        found.setdefault((_key(rows, i), cluster[i] if cluster else ""), []).append(i)
    return np.array([own[0] for own in found.values()], dtype=np.intp), np.array([len(own) for own in found.values()], dtype=float)


def repeats(rows: Rows, numbers: Sequence[int], cluster: Sequence[str] | None) -> list[str]:
    """Sentences on the rows, numbered `numbers` in the table, that equal an earlier one."""
    whole = np.arange(len(rows.y))
    apart, alike = (len(distinct(rows, whole, own)[0]) for own in (cluster, None))
    if alike == len(whole):
        return []
    first: dict[object, int] = {}
    earlier = [first.setdefault(_key(rows, i), i) for i in range(len(whole))]
    i = next(i for i, before in enumerate(earlier) if before != i)
    example = f"in all that is fitted (row {numbers[i]} is row {numbers[earlier[i]]} again)"
    found = []
    if apart < len(whole):
        found.append(f"{len(whole) - apart} of {len(whole)} rows equal another {example}: intervals count equal rows once")
    if alike < apart:
        found.append(f"{apart - alike} rows equal one of another cluster {example}: intervals count both")
    return found


def _key(rows: Rows, i: int) -> tuple[object, ...]:
    spread = [float(values[i]) for values in (rows.spread, rows.side) if values is not None]
    return (*(float(values[i]) for values in rows.x.values()), float(rows.y[i]), rows.group[i], *spread)


def take(rows: Rows, index: np.ndarray, counts: np.ndarray) -> Rows:
    """The rows at `index`, each standing for `counts` of them, their spreads relative to each other."""
    family, group = ([labels[i] for i in index] for labels in (rows.family, rows.group))
    x = {name: values[index] for name, values in rows.x.items()}
    spread = None if rows.spread is None else rows.spread[index] / np.exp(np.log(rows.spread[index]).mean())
    side = None if rows.side is None else rows.side[index]
    return Rows(x, rows.y[index], family, group, rows.reference, spread, counts / counts.mean(), side)


def check_columns(law: Law, rows: Rows, columns: Mapping[str, str], where: str) -> None:
    """Refuse an independent fit in which a column does not vary."""
    for name, values in ((column.name, rows.x[column.name]) for column in law.columns if column.varies and not column.zero):
        if np.ptp(np.log(values)) < table.LEAST_SPREAD:
            raise DataError(f"{where}: column {columns[name]} is {values[0]:g} in all {len(values)} rows: nothing can be fitted along it")


def check_count(law: Law, rows: Rows, size: int, where: str) -> None:
    """Refuse an independent fit of fewer rows than its `size` parameters."""
    if len(rows.y) < size:
        raise DataError(f"{where}: {len(rows.y)} rows cannot determine the {size} parameters of {law.name}")


def check_clusters(cluster: Sequence[str] | None, name: str | None, where: str) -> None:
    """Refuse an independent fit whose rows are all of one cluster."""
    if cluster is not None and len(set(cluster)) < 2:
        raise DataError(f"{where}: column {name} is {cluster[0]} in all rows, so there is nothing to resample over")
