"""The rows of a fit: selected, labelled, and refused where no fit should see them; every complaint names row and column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import DataError, UsageError, unknown
from harness.kinds import NONE, split, unquoted
from harness.laws import cells, files
from harness.laws.facts import facts, wrong
from harness.laws.solver import Array
from harness.shown import reason_of

if TYPE_CHECKING:
    import pandas as pd

LARGEST_GAP = 1e4
"""Neighbouring values of a column further apart than this factor are taken for different units (millions beside units)."""
LEAST_SPREAD = 1e-9
"""Spread of a log below which a column is constant."""
_MOST_CHOICES = 30
Found = tuple["pd.DataFrame", list[str]]
"""A table, and notes on what was left out of it."""


def _no_file(source: str) -> Found:
    raise DataError(f"{source} is no CSV, TSV, JSONL or Parquet file")


def read(source: str, other: Callable[[str], Found] = _no_file) -> Found:
    """The table behind a CSV, TSV, JSONL or Parquet file, or what `other` finds behind the name of something else, such as a study."""
    path = Path(source)
    try:
        is_file = path.is_file() or bool(files.suffix(path))
    except OSError as error:
        raise DataError(f"{source} cannot be read: {reason_of(error)}") from None
    frame, notes = files.read(path) if is_file else other(source)
    repeated = list(frame.columns[frame.columns.duplicated()])
    if repeated:
        raise DataError(f"{source} has column {repeated[0]!r} more than once")
    if not len(frame):
        raise DataError(f"{source} has no rows")
    return frame, notes


def mixed(frame: pd.DataFrame, group: Sequence[str]) -> list[str]:
    """What to say when the records of a study are of several tasks or experiments, which measure different things."""
    found = []
    for name in ("task", "experiment"):
        if {"trial_id", name} <= set(frame.columns) and name not in group:
            kinds = list(dict.fromkeys(cells.texts(frame[name])))
            if len(kinds) > 1:
                found.append(f"rows of {len(kinds)} {name}s are mixed ({', '.join(kinds)}): --where {name}={kinds[0]} takes one of them")
    return found


def listed(written: str) -> list[str]:
    """`a,b` as two values, and `"a,b"` in quotes as one."""
    try:
        return [unquoted(value) for value in split(written)]
    except ValueError as error:
        raise UsageError(str(error)) from None


def names(written: str) -> list[str]:
    """The columns or parameters of a list."""
    return list(dict.fromkeys(name for name in listed(written) if name))


def where(frame: pd.DataFrame, conditions: Sequence[str], source: str) -> pd.DataFrame:
    """The rows that meet every condition `COLUMN=VALUE[,VALUE...]`; 1, 1.0 and 1e0 are one number, a value with commas stands in quotes."""
    for condition in conditions:
        name, value = _halves(frame, condition)
        own = column(frame, name, source)
        shown = cells.texts(own)
        kept = np.zeros(len(frame), dtype=bool)
        for wanted in listed(value):
            is_wanted = _equal(own, shown, wanted)
            if not is_wanted.any():
                if value in shown:
                    raise UsageError(f"--where {name}: a value with commas stands in quotes: --where '{name}=\"{value}\"'")
                raise unknown(f"value of column {name}", wanted, _choices(sorted(set(shown))[:_MOST_CHOICES]))
            kept |= is_wanted
        frame = frame[kept]
    return frame


def _halves(frame: pd.DataFrame, condition: str) -> tuple[str, str]:
    """Column and value: cut at the first `=`, or at a later one where only that names a column."""
    cuts = [at for at, character in enumerate(condition) if character == "="]
    if not cuts or not cuts[0]:
        raise UsageError(f"--where takes COLUMN=VALUE, not {condition!r}")
    at = next((at for at in cuts if condition[:at] in frame), cuts[0])
    return condition[:at], condition[at + 1 :]


def _equal(own: pd.Series[Any], shown: Sequence[str], wanted: str) -> Any:
    """(n,) booleans: which cells are what the user wrote, as text or as a number; nothing and `none` stand for the empty cells."""
    missing = own.isna().to_numpy(dtype=bool)
    if not wanted and missing.any():
        return missing
    found = np.array([one == wanted for one in shown], dtype=bool)
    if (found & ~missing).any():
        return found & ~missing
    if wanted.lower() == NONE and missing.any():
        return missing
    if wanted[:1] in ("(", "["):
        parts = _tuple(wanted)
        return np.array([one[:1] == "(" and _tuple(one) == parts for one in shown], dtype=bool)
    if wanted.lower() in ("true", "false"):
        return found | np.array([one.lower() == wanted.lower() for one in shown], dtype=bool)
    aimed = cells.same_number(wanted)
    if aimed is None or found.any():
        return found
    same = cells.text(aimed)
    return np.array([one == same or cells.same_number(one) == aimed for one in shown], dtype=bool)


def _tuple(written: str) -> tuple[Any, ...]:
    """The parts of a tuple in its text form, numbers as numbers."""
    parts = [unquoted(part) for part in listed(written[1:-1].strip().removesuffix(","))]
    return tuple(part if (number := cells.same_number(part)) is None else number for part in parts)


def labels(frame: pd.DataFrame, names: Sequence[str], source: str) -> list[str]:
    """One label a row, `rw/base`, from the columns `names`; a missing cell is an error."""
    for name in names:
        missing = column(frame, name, source).isna()
        if missing.any():
            raise wrong(source, frame.index[int(missing.argmax())], f"column {name} is empty, so its group is unknown", frame)
    if not names:
        return [""] * len(frame)
    parts = list(zip(*(cells.texts(frame[name]) for name in names), strict=True))
    found = ["/".join(part) for part in parts]
    called: dict[str, tuple[str, ...]] = {}
    for label, part in zip(found, parts, strict=True):
        if called.setdefault(label, part) != part:
            raise DataError(f"{source}: two groups of {', '.join(names)} would both be called {label}: write / as something else")
    return found


def column(frame: pd.DataFrame, name: str, source: str) -> pd.Series[Any]:
    """A column, or the error that lists those that are there."""
    if name not in frame:
        raise unknown(f"column of {source}", name, _choices(frame.columns))
    found: pd.Series[Any] = frame[name]
    return found


def _choices(found: Iterable[object]) -> list[str]:
    """Names as they are, those with line breaks and the like escaped: an error is one line."""
    return [name if name.isprintable() else repr(name) for name in map(str, found)]


def positive(frame: pd.DataFrame, name: str, source: str, *, allow_gap: bool = False) -> Array:
    """A column as positive, finite, varying numbers in one unit."""
    values = positive_numbers(frame, name, source, "and the fit takes its log")
    if np.ptp(np.log(values)) < LEAST_SPREAD:
        raise DataError(f"{source}: column {name} is {cells.text(values[0])} in all {len(values)} rows, so nothing can be fitted along it")
    if not allow_gap:
        _refuse_mixed_units(frame, values, name, source)
    return values


def positive_numbers(frame: pd.DataFrame, name: str, source: str, because: str, *, zero: bool = False) -> Array:
    """A column as positive, finite numbers, or with `zero` also zeros; `because` ends the sentence on one that is not."""
    values = numbers(frame, name, source)
    for wrong_kind, bad in (("not finite", ~np.isfinite(values)), (f"not positive, {because}", (values < 0) if zero else (values <= 0))):
        if bad.any():
            at = int(bad.argmax())
            raise wrong(source, frame.index[at], f"column {name} is {cells.text(values[at])}, which is {wrong_kind}", frame)
    return values


def numbers(frame: pd.DataFrame, name: str, source: str, *, holes: bool = False) -> Array:
    """(n,): a column as numbers; with `holes` NaN where a cell is empty, which is an error otherwise."""
    own = column(frame, name, source)
    known = facts(frame).styles.get(name)
    style = known or cells.style_of(own)
    if style is not None and style.doubt:
        raise wrong(source, style.at + 1 if known else frame.index[style.at], f"column {name} {style.doubt}", frame)
    if own.dtype == bool:
        raise DataError(f"{source}: column {name} holds true and false, not numbers")
    values, odd = cells.numbers(own, style.mark if style else "")
    missing = np.isnan(values) & (not holes)
    if odd is not None:
        missing[odd] = False
        others = " beside numbers: one unit a column, without suffixes" if np.isfinite(values).any() else ""
    if missing.any() and (odd is None or int(missing.argmax()) < odd):
        raise wrong(source, frame.index[int(missing.argmax())], f"column {name} is empty or NaN", frame)
    if odd is not None:
        raise wrong(source, frame.index[odd], f"column {name} holds {cells.text(own.iloc[odd])!r}, not a number{others}", frame)
    return values


def one_decimal_mark(frame: pd.DataFrame, names: Sequence[str], source: str) -> None:
    """Refuse columns of one fit that are written with different decimal marks: 1.000 beside 0,5 may be a thousand."""
    seen = {style.mark: name for name in names if (style := facts(frame).styles.get(name)) and style.mark}
    if len(seen) > 1:
        raise DataError(f"{source}: column {seen[',']} has decimal commas and column {seen['.']} has points: write both in one way")


def _refuse_mixed_units(frame: pd.DataFrame, numbers: Array, name: str, source: str) -> None:
    order = np.sort(numbers)
    with np.errstate(over="ignore"):
        ratios = order[1:] / order[:-1]
    at = int(ratios.argmax())
    if ratios[at] < LARGEST_GAP:
        return
    low, high = frame.index[int((numbers <= order[at]).argmax())], frame.index[int((numbers > order[at]).argmax())]
    raise DataError(
        f"{source}: column {name} mixes units: row {low} and {int((numbers <= order[at]).sum()) - 1} more hold at most {order[at]:g}, "
        f"row {high} and {int((numbers > order[at]).sum()) - 1} more at least {order[at + 1]:g}, with nothing between "
        f"(--allow-gap if this is meant)"
    )


def families(
    frame: pd.DataFrame, group: Sequence[str], reference: str | None, source: str, *, efficiency: bool
) -> tuple[list[str], list[str], frozenset[str]]:
    """Family and group of each row, and the groups in which efficiencies are 1.

    Without efficiencies a group is a family of its own. With them `reference` (`VALUE` or `COLUMN=VALUE`) names a value of one
    group column, and the other group columns make the families.
    """
    groups = labels(frame, group, source)
    if not efficiency:
        if reference is not None:
            raise UsageError("--reference is for laws with an efficiency, such as precision")
        return groups, groups, frozenset()
    if not group or reference is None:
        raise UsageError("this law needs --group COLUMN and --reference VALUE, the group in which rho is 1")
    name, value = _reference(frame, group, reference)
    family = labels(frame, [other for other in group if other != name], source)
    is_reference = [cell == value for cell in cells.texts(frame[name])]
    found = frozenset(label for label, is_one in zip(groups, is_reference, strict=True) if is_one)
    for label in dict.fromkeys(family):
        if not any(is_one and own == label for own, is_one in zip(family, is_reference, strict=True)):
            raise DataError(f"{source}: {label} has no row with {name}={value}, so its rho has no reference")
    return family, groups, found


def _reference(frame: pd.DataFrame, group: Sequence[str], reference: str) -> tuple[str, str]:
    """The group column and the value as its cells are shown."""
    name, separator, value = reference.partition("=")
    candidates, value = ([name], value) if separator and name in group else (list(group), reference)
    shown = {one: cells.texts(frame[one]) for one in candidates}
    found = {one: texts[int(same.argmax())] for one, texts in shown.items() if (same := _equal(frame[one], texts, value)).any()}
    if len(found) > 1:
        raise UsageError(f"--reference {value} is found in {' and '.join(found)}: say COLUMN={value}")
    if not found:
        raise unknown("reference", value, _choices(sorted({text for texts in shown.values() for text in texts})[:_MOST_CHOICES]))
    return next(iter(found.items()))


def repeated(frame: pd.DataFrame, columns: Sequence[str], so: str) -> list[str]:
    """What to say of rows that equal another in `columns`, and `so` what becomes of them."""
    again = frame[list(columns)].astype(str).duplicated()
    if not again.any():
        return []
    one = again.index[int(again.argmax())]
    return [f"{int(again.sum())} of {len(frame)} rows equal another in {', '.join(columns)} (such as row {one}): {so}"]


def clusters(frame: pd.DataFrame, name: str | None, source: str) -> list[str] | None:
    """The cluster of each row, None where every row is its own."""
    return None if name is None else labels(frame, [name], source)
