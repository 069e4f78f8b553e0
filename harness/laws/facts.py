"""What a frame knows of the file that it came from, carried along through every selection of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from harness.laws.cells import Style

ROW = "row"
"""Index name that keeps the row numbers of the file, from 1, through every selection."""
_KEY = "papertrial.facts"


@dataclass(frozen=True)
class Facts:
    """Kept in `frame.attrs`."""

    styles: Mapping[str, Style] = field(default_factory=dict)
    """Of the columns of text, judged on all rows: a selection does not change what a cell means."""
    lines: Sequence[int] | None = None
    """The line of the text file on which each row begins."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Facts:
        return self  # pandas copies attrs with every operation

    @classmethod
    def of(cls, styles: Mapping[str, Style | None], lines: Sequence[int] | None) -> Facts:
        """Of the columns that have a style."""
        return cls({name: style for name, style in styles.items() if style is not None}, lines)


def facts(frame: pd.DataFrame) -> Facts:
    """What is known of the frame's file; nothing for a frame that was made in memory."""
    found = frame.attrs.get(_KEY)
    return found if isinstance(found, Facts) else Facts()


def number(frame: pd.DataFrame, known: Facts | None = None) -> pd.DataFrame:
    """The frame with its rows numbered from 1."""
    copy = frame.reset_index(drop=True)
    copy.index = copy.index + 1
    copy.index.name = ROW
    copy.attrs[_KEY] = known or Facts(facts(frame).styles)
    return copy


def wrong(source: str, row: int, sentence: str, frame: pd.DataFrame) -> DataError:
    """The error for a row by its number, with its line where the frame is of a text file."""
    lines = facts(frame).lines
    return DataError(f"{source}, row {row}: {sentence}" + (f" (line {lines[row - 1]} of the file)" if lines else ""))
