"""Reads the rows of a fit and refuses what no fit should see; every complaint names row and column."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import DataError, UsageError, unknown
from harness.kinds import NONE, split, unquoted
from harness.kinds import text as written_out
from harness.laws.solver import Array
from harness.shown import sentence

if TYPE_CHECKING:
    import pandas as pd

LARGEST_GAP = 1e4
"""Neighbouring values of a column further apart than this factor are taken for different units (millions beside units)."""
LEAST_SPREAD = 1e-9
"""Spread of a log below which a column is constant."""
ROW = "row"
"""Index name that keeps the row numbers of the file, from 1, through every selection."""


def read(source: str, store: str = "results") -> tuple[pd.DataFrame, list[str]]:
    """The table behind a CSV, a Parquet file or a study (its name in `store`, folder or URI), and notes on what was left out.

    A study's rows are its records: `experiment`, `method`, `seed`, `param.<name>`, `metric.<name>`, and whether a view holds them as
    `view.<name>`; those that did not end ok are left out.
    """
    import pandas as pd

    path, notes = Path(source), list[str]()
    if path.suffix.lower() in (".csv", ".parquet"):
        if not path.is_file():
            raise DataError(f"there is no file {source}")
        try:
            frame = _read_csv(path) if path.suffix.lower() == ".csv" else pd.read_parquet(path)
        except (ValueError, OSError) as error:
            raise DataError(f"{source} cannot be read: {sentence(error)}") from None
    else:
        frame, notes = _read_study(source, store)
    repeated = list(frame.columns[frame.columns.duplicated()])
    if repeated:
        raise DataError(f"{source} has column {repeated[0]!r} more than once")
    if frame.empty:
        raise DataError(f"{source} has no rows")
    return numbered(frame), notes


def numbered(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its rows numbered from 1."""
    copy = frame.reset_index(drop=True)
    copy.index = copy.index + 1
    copy.index.name = ROW
    return copy


def _read_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    text = path.read_text(encoding="utf-8-sig")
    header = next(csv.reader(io.StringIO(text)), [])
    for name in header:
        if header.count(name) > 1:
            raise DataError(f"{path} has column {name!r} more than once")
    return pd.read_csv(io.StringIO(text))


def _read_study(source: str, store: str) -> tuple[pd.DataFrame, list[str]]:
    from harness.store import open_study
    from harness.study import load

    study = load(open_study(source, store))
    views = {trial.id: trial.views for trial in study.plan}
    names = dict.fromkeys(view for found in views.values() for view in found)
    frame = study.frame.assign(**{f"view.{name}": [name in views[id] for id in study.frame["trial_id"]] for name in names})
    lost = int((frame["status"] != "ok").sum())
    return frame[frame["status"] == "ok"], [f"{lost} records that did not end ok are left out"] if lost else []


def where(frame: pd.DataFrame, conditions: Mapping[str, str], source: str) -> pd.DataFrame:
    """The rows whose columns, as text, are among the comma-separated values of `conditions`; 1, 1.0 and 1e0 are one number.

    `none` stands for an empty cell, which is what a parameter that is None leaves.
    """
    for name, value in conditions.items():
        cells = column(frame, name, source)
        texts = cells.map(text).mask(cells.isna(), NONE)
        present = set(texts)
        wanted = [one if one in present else _plain(one) for one in _values(name, value)]
        for one in wanted:
            if one not in present:
                raise unknown(f"value of column {name}", one, sorted(present)[:30])
        frame = frame[texts.isin(wanted)]
        if frame.empty:
            raise DataError(f"{source}: no row has {', '.join(f'{k}={v}' for k, v in conditions.items())}")
    return frame


def text(value: Any) -> str:
    """A cell as people write it: 16 for 16.0."""
    return f"{value:.15g}" if isinstance(value, float | np.floating) else str(value)


def _values(name: str, written: str) -> list[str]:
    """The values of a condition, as `--set` lists them: a value with commas stands in quotes, a tuple in brackets."""
    try:
        return split(written)
    except ValueError as error:
        raise UsageError(f"--where {name}: {error}") from None


def _plain(written: str) -> str:
    """A number, a tuple or a truth value as a table holds it; what is none of these without its quotes."""
    bare = unquoted(written)
    if bare != written.strip():
        return bare
    if bare[:1] in ("(", "["):
        parts = split(bare[1:-1].removesuffix(","))
        return written_out(tuple(_plain(part) for part in parts))
    if bare.lower() in ("true", "false"):
        return bare.capitalize()
    try:
        return text(float(bare))
    except ValueError:
        return bare


def labels(frame: pd.DataFrame, names: Sequence[str], source: str) -> list[str]:
    """One label a row, `rw/base`, from the columns `names`; a missing cell is an error."""
    for name in names:
        missing = column(frame, name, source).isna()
        if missing.any():
            raise DataError(f"{source}, row {frame.index[int(missing.argmax())]}: column {name} is empty, so its group is unknown")
    return ["/".join(text(value) for value in row) for row in frame[list(names)].itertuples(index=False)] if names else [""] * len(frame)


def column(frame: pd.DataFrame, name: str, source: str) -> pd.Series[Any]:
    """A column, or the error that lists those that are there."""
    if name not in frame:
        raise unknown(f"column of {source}", name, [str(other) for other in frame.columns])
    found: pd.Series[Any] = frame[name]
    return found


def positive(frame: pd.DataFrame, name: str, source: str, *, allow_gap: bool = False) -> Array:
    """A column as positive, finite, varying numbers in one unit."""
    import pandas as pd

    cells = column(frame, name, source)
    missing = cells.isna()
    if missing.any():
        raise DataError(f"{source}, row {cells.index[int(missing.argmax())]}: column {name} is empty or NaN")
    if cells.dtype == bool:
        raise DataError(f"{source}: column {name} holds true and false, not numbers")
    values = pd.to_numeric(cells, errors="coerce")
    wrong = values.isna()
    if wrong.any():
        others = "" if wrong.all() else " beside numbers: one unit a column, without suffixes"
        at = int(wrong.argmax())
        raise DataError(f"{source}, row {cells.index[at]}: column {name} holds {text(cells.iloc[at])!r}, not a number{others}")
    numbers = values.to_numpy(dtype=float)
    for wrong_kind, bad in (("not finite", ~np.isfinite(numbers)), ("not positive, and the fit takes its log", numbers <= 0)):
        if bad.any():
            at = int(bad.argmax())
            raise DataError(f"{source}, row {cells.index[at]}: column {name} is {text(numbers[at])}, which is {wrong_kind}")
    if np.ptp(np.log(numbers)) < LEAST_SPREAD:
        raise DataError(f"{source}: column {name} is {text(numbers[0])} in all {len(numbers)} rows, so nothing can be fitted along it")
    if not allow_gap:
        _refuse_mixed_units(cells, numbers, name, source)
    return numbers


def _refuse_mixed_units(cells: pd.Series[Any], numbers: Array, name: str, source: str) -> None:
    order = np.sort(numbers)
    ratios = order[1:] / order[:-1]
    at = int(ratios.argmax())
    if ratios[at] < LARGEST_GAP:
        return
    low, high = cells.index[int((numbers <= order[at]).argmax())], cells.index[int((numbers > order[at]).argmax())]
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
    is_reference = frame[name].map(text) == value
    found = frozenset(label for label, is_one in zip(groups, is_reference, strict=True) if is_one)
    for label in dict.fromkeys(family):
        if not any(is_one and own == label for own, is_one in zip(family, is_reference, strict=True)):
            raise DataError(f"{source}: {label} has no row with {name}={value}, so its rho has no reference")
    return family, groups, found


def _reference(frame: pd.DataFrame, group: Sequence[str], reference: str) -> tuple[str, str]:
    name, separator, value = reference.partition("=")
    if separator and name in group:
        candidates = [name]
    else:
        value = reference
        candidates = [name for name in group if value in set(frame[name].map(text))]
    if len(candidates) > 1:
        raise UsageError(f"--reference {value} is found in {' and '.join(candidates)}: say COLUMN={value}")
    if not candidates or value not in set(frame[candidates[0]].map(text)):
        named = candidates or list(group)
        raise unknown("reference", value, sorted({text(cell) for name in named for cell in frame[name]})[:30])
    return candidates[0], value


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
