"""Cells of a table as numbers and as text: what a cell may mean is decided by its whole column, and never guessed."""

from __future__ import annotations

import math
import numbers as kinds
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.laws.solver import Array

if TYPE_CHECKING:
    import pandas as pd

MISSING = frozenset(
    {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN"}
    | {"NAN", "None", "n/a", "nan", "null"}
)
"""What stands for no value in a column of numbers; in a column of text only the empty cell does."""
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:inf|infinity)", re.ASCII | re.IGNORECASE)
_INTEGER = re.compile(r"[+-]?\d{1,40}", re.ASCII)
_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?", re.ASCII)
_THOUSAND = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:([.,'’_ \u00a0\u2009\u202f])\d{3})(?:\1\d{3})*(?:[.,]\d+)?", re.ASCII)
_BOOLEANS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}
_EXACT = 2**53


@dataclass(frozen=True)
class Style:
    """How the numbers of a column of text are written."""

    mark: str = ""
    """The decimal mark that was seen: a point, a comma, or none."""
    doubt: str = ""
    """Why the column cannot be read as numbers, although each of its cells looks like one."""
    at: int = 0
    """The place of the cell that says so."""
    thousands: bool = False
    """Whether every point that was seen could group thousands as well."""


def style(cells: Sequence[str]) -> Style | None:
    """How a column writes its numbers; None where some cell is no number at all."""
    odd = [i for i, cell in enumerate(cells) if cell not in MISSING and not _NUMBER.fullmatch(cell)]
    pointed = [cell for cell in cells if "." in cell and _NUMBER.fullmatch(cell)]
    if not odd:
        at = next((i for i, cell in enumerate(cells) if "." in cell), 0)
        thousands = all(_THOUSAND.fullmatch(cell) for cell in pointed)
        whole = next((cell for cell in cells if _INTEGER.fullmatch(cell)), "")
        # Digits of one number write 1.5, a fixed number of digits writes 500.000.
        if thousands and whole and any(cell.endswith("0") for cell in pointed):
            return Style(
                doubt=f"holds {cells[at]!r} beside {whole!r}, a thousand or one: write numbers without thousands separators", at=at
            )
        return Style("." if pointed else "", at=at, thousands=thousands)
    grouped = [i for i in odd if not _COMMA.fullmatch(cells[i])]
    if not all(_GROUPED.fullmatch(cells[i]) for i in grouped):
        return None
    if grouped:
        return Style(doubt=f"holds {cells[grouped[0]]!r}: write numbers without thousands separators", at=grouped[0])
    first = cells[odd[0]]
    if pointed:
        return Style(doubt=f"holds {first!r}, and {pointed[0]!r} elsewhere: one decimal mark a column", at=odd[0])
    if all(_THOUSAND.fullmatch(cells[i]) for i in odd):
        return Style(doubt=f"holds {first!r}, a thousand or a decimal comma: write it without a comma, or with a point", at=odd[0])
    return Style(",")


def style_of(cells: pd.Series[Any]) -> Style | None:
    """The style of a column in memory; None for what is not all text."""
    if cells.dtype.kind in "biufcmM":
        return None
    found = ["" if missing else cell for cell, missing in zip(cells.astype(object), cells.isna(), strict=True)]
    return style([cell.strip() for cell in found]) if all(isinstance(cell, str) for cell in found) and any(found) else None


def typed(cells: Sequence[str]) -> tuple[Any, Style | None]:
    """A column of a text file, stripped cells, as numbers, booleans or text; and how its numbers are written.

    Integers stay exact at any size. Numbers with a decimal comma stay text, so that labels are what the file says.
    """
    import pandas as pd

    found = style(cells)
    if found is not None and not found.doubt:
        if found.mark == ",":
            return pd.array([None if cell in MISSING else cell for cell in cells], dtype=object), found
        return _plain(cells), found
    if all(cell in _BOOLEANS or not cell for cell in cells):
        whole = all(cells)
        return pd.array([_BOOLEANS.get(cell) for cell in cells], dtype=bool if whole else object), None
    return pd.array([cell or None for cell in cells], dtype=object), found


def _plain(cells: Sequence[str]) -> Any:
    filled = [cell for cell in cells if cell not in MISSING]
    if filled and all(_INTEGER.fullmatch(cell) for cell in filled):
        integers = [None if cell in MISSING else int(cell) for cell in cells]
        if len(filled) == len(cells) and all(-(2**63) <= value < 2**63 for value in integers if value is not None):
            return np.array(integers, dtype=np.int64)
        if any(abs(value) > _EXACT for value in integers if value is not None):
            return np.array(integers, dtype=object)
    return np.array([math.nan if cell in MISSING else float(cell) for cell in cells], dtype=np.float64)


def numbers(cells: pd.Series[Any], mark: str = "") -> tuple[Array, int | None]:
    """(n,) float64, NaN where a cell is missing; and the place of the first cell that is no number, None if there is none.

    Dates, durations, booleans and complex numbers are no numbers.
    """
    import pandas as pd

    kind = cells.dtype
    if pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind) and not pd.api.types.is_complex_dtype(kind):
        return cells.to_numpy(dtype=np.float64, na_value=math.nan), None
    found, wrong = np.full(len(cells), math.nan), None
    for i, cell in enumerate(cells.astype(object)):
        value = _number(cell, mark)
        if value is None:
            wrong = i if wrong is None else wrong
        else:
            found[i] = value
    return found, wrong


def _number(cell: Any, mark: str) -> float | None:
    import pandas as pd

    if isinstance(cell, str):
        written = cell.strip()
        if written in MISSING:
            return math.nan
        written = written.replace(",", ".") if mark == "," else written
        return float(written) if _NUMBER.fullmatch(written) else None
    if cell is None or cell is pd.NA or cell is pd.NaT:
        return math.nan
    if isinstance(cell, bool | np.bool_ | np.timedelta64) or not isinstance(cell, kinds.Real | Decimal):
        return None
    try:
        return float(cell)
    except OverflowError:
        return math.inf
    except ValueError:  # a signalling NaN of Decimal
        return math.nan


def text(value: Any) -> str:
    """A cell as people write it: 16 for 16.0."""
    if isinstance(value, Decimal):
        return f"{value.normalize():f}" if value.is_finite() else str(value)
    if not isinstance(value, float | np.floating):
        return str(value)
    shown = f"{value:.15g}"
    # Beyond 15 digits an identifier that became a float would be taken for its neighbour.
    return str(int(value)) if math.isfinite(value) and value == int(value) and float(shown) != value else shown


def texts(cells: pd.Series[Any]) -> list[str]:
    """Every cell as `text`; float32 in the digits that it has."""
    short = cells.dtype in (np.float16, np.float32)
    return [text(float(str(cell))) if short else text(cell) for cell in (cells.to_numpy() if short else cells.astype(object))]


def same_number(written: str) -> float | int | None:
    """The number that a user wrote, integers exactly; None for what is no number."""
    if _INTEGER.fullmatch(written):
        return int(written)
    return float(written) if _NUMBER.fullmatch(written) else None
