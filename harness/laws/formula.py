"""Columns that are computed from others: `C/(6*N)`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from harness.formula import evaluate
from harness.laws import table

if TYPE_CHECKING:
    import pandas as pd


def columns(frame: pd.DataFrame, wanted: Iterable[str], source: str) -> pd.DataFrame:
    """The frame with a column more for each of `wanted` that is none of its columns but a formula over them.

    UsageError, in one sentence: what is no arithmetic, and a name that is no column, with the nearest that is.
    """
    for text in dict.fromkeys(wanted):
        if text in frame:
            continue
        values = evaluate(text, lambda name, frame=frame: table.numbers(frame, name, source, holes=True), source)  # type: ignore[misc]
        if values is not None:
            frame = frame.assign(**{text: np.broadcast_to(values, len(frame)).copy()})
    return frame
