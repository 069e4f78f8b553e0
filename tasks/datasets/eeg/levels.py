"""How large a signal is: what no electrode gives was recorded in another unit than the file says."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

LEVELS = (0.05, 10_000.0)
"""Microvolts. An amplifier's own noise is ten times the first; hum on a loose wire stays below the second."""
_SECONDS = 2.0
_MOST = 1e9
"""Microvolts beyond which nothing is computed any more."""


def absurd_level(row: npt.NDArray[np.float64], rate: float) -> str | None:
    """What is wrong with the level of (samples,) microvolts, the median deviation within two seconds; None for a signal that can be EEG."""
    finite = row[np.isfinite(row)]
    if not len(finite):
        return None
    if (peak := float(np.abs(finite).max())) > _MOST:
        return f"reaches {peak / 1e6:.3g} V, which is no EEG: its unit or its range is wrong"
    samples = min(len(finite), max(2, round(_SECONDS * rate)))
    pieces = finite[: len(finite) // samples * samples].reshape(-1, samples).std(1)
    if not (pieces > 0).any():
        return None
    level = float(np.median(pieces[pieces > 0]))
    if LEVELS[0] <= level <= LEVELS[1]:
        return None
    return f"varies by {level:.3g} uV (rms within {_SECONDS:g} s), which is no EEG: its unit or its range is wrong"
