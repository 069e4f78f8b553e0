"""The real background of the semi-synthetic sets: 24 s of EEG that the sdist of eeglabio holds among its tests.

It is MNE's sample acquisition (one person, 60 electrodes and an EOG, 600.6 Hz, 0.1 to 172 Hz, four blinks). It is cut into blocks of
time first; everything else (resampling, filters, re-referencing, windows) happens inside a block.
"""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from tasks.datasets.eeg.resampling import resample
from tasks.datasets.text_splits import Split

Signals = npt.NDArray[np.float64]

_MEMBER = "eeglabio-0.1.4/eeglabio/tests/data/test_raw.fif"
LICENCE = "BSD-3-Clause (eeglabio 0.1.4: MNE's sample acquisition); simulated artifacts: Apache-2.0"

BLINKS = (0.0, 4.0)
"""Seconds that hold three of the blinks (0.50, 2.31 and 3.67 s). They shape the simulated ones and give no background."""
BLOCKS: Mapping[Split, tuple[tuple[float, float], ...]] = {
    "train": ((4.2, 9.0), (9.0, 13.7)),
    "val": ((15.3, 18.2),),
    "test": ((18.2, 23.9),),
}
"""Seconds. Between 13.7 and 15.3 lies the fourth blink with the slow waves around it."""
_MARGIN = 0.1
"""Seconds cut off at both ends of a resampled block: no sample there can owe anything to a neighbouring block."""
_DEAD = ("EEG 053",)
"""Marked bad in MNE's sample set too: a third of its neighbours' amplitude, all of it below 1 Hz."""


@dataclass(frozen=True)
class Recording:
    """Microvolts as they were recorded."""

    eeg: Signals
    """(electrodes, samples)"""
    eog: Signals
    """(samples,)"""
    positions: Signals
    """(electrodes, 3): digitised places in the head frame (x to the right ear, y to the nose, z up), millimetres."""
    rate: float

    def between(self, start: float, stop: float) -> Recording:
        """The stretch from `start` to `stop`, seconds."""
        part = slice(round(start * self.rate), round(stop * self.rate))
        return Recording(self.eeg[:, part], self.eog[part], self.positions, self.rate)


def read_recording(archive: Path) -> Recording:
    """The recording out of the sdist, none of whose code is imported. DataError where mne is missing."""
    with tempfile.TemporaryDirectory(prefix="papertrial-") as scratch:
        with tarfile.open(archive) as packed:
            packed.extract(_MEMBER, scratch, filter="data")
        return _read_fif(Path(scratch) / _MEMBER)


def _read_fif(file: Path) -> Recording:
    try:
        import mne
    except ImportError:
        raise DataError("the EEG recording is read with mne, which is not installed: pip install 'papertrial[eeg]'") from None
    raw = mne.io.read_raw_fif(file, verbose="ERROR")
    names = [name for name in raw.ch_names if name.startswith("EEG ") and name not in _DEAD]
    positions = np.array([raw.info["chs"][raw.ch_names.index(name)]["loc"][:3] for name in names]) * 1e3
    return Recording(raw.get_data(names) * 1e6, raw.get_data(["EOG 061"])[0] * 1e6, positions, float(raw.info["sfreq"]))


def resampled(block: Recording, rate: float) -> Recording:
    """A block at another rate, out of the block alone, its margins cut off."""
    out = resample(np.concatenate([block.eeg, block.eog[None]]), block.rate, rate)
    margin = round(_MARGIN * rate)
    kept = out[:, margin : out.shape[1] - margin]
    return Recording(kept[:-1], kept[-1], block.positions, rate)
