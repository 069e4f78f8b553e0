"""Windows that a trial generated and kept, and their way into an EDF or FIF file that mne and other EEG tools open."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.errors import UsageError

FORMATS = ("edf", "fif")
MICROVOLT = 1e-6
EDF_LABEL = 16
"""Characters that EDF gives a channel's name."""


@dataclass(frozen=True)
class Generated:
    """Labelled windows in microvolts."""

    windows: NDArray[np.float32]
    """(n, channels, samples)."""
    labels: NDArray[np.int64]
    """(n,) index into `classes`."""
    rate: float
    """Hz."""
    channels: tuple[str, ...]
    classes: tuple[str, ...]

    @classmethod
    def from_kept(cls, state: Any, owner: str) -> Generated:
        """The windows in what `owner` kept: a mapping with this class's fields, arrays as tensors. UsageError where it is none."""
        wanted = ("windows", "labels", "rate", "channels", "classes")
        missing = [name for name in wanted if not isinstance(state, Mapping) or name not in state]
        if missing:
            raise UsageError(f"what {owner} kept are no labelled windows: {', '.join(missing)} missing")
        kept = cls(
            torch.as_tensor(state["windows"]).float().numpy(),
            torch.as_tensor(state["labels"]).long().numpy(),
            float(state["rate"]),
            tuple(state["channels"]),
            tuple(state["classes"]),
        )
        kept._check(owner)
        return kept

    def _check(self, owner: str) -> None:
        if self.windows.ndim != 3 or not self.windows.size or self.windows.shape[1] != len(self.channels):
            shape = " x ".join(map(str, self.windows.shape))
            raise UsageError(f"{owner} kept windows of shape {shape} for {len(self.channels)} channels: not one window to export")
        if self.labels.shape != self.windows.shape[:1] or not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise UsageError(
                f"{owner} kept {len(self.windows)} windows with labels that do not name one of {len(self.classes)} classes each"
            )


def write_recording(target: Path, generated: Generated, *, file_format: str, origin: str) -> None:
    """One recording of the windows in their order, an annotation over each with its class, written whole or not at all.

    FIF holds float32 volts. EDF holds 16 bits a sample over each channel's own range (an error of at most range / 131,068), and whole
    seconds: the last values are repeated to fill one, under an annotation BAD_ACQ_SKIP. `origin` goes into the header of a FIF.
    UsageError when mne is missing, the format cannot hold the windows, or the target exists.
    """
    try:
        import mne
    except ImportError:
        raise UsageError("EDF and FIF are written with mne, which is not installed: pip install 'papertrial[eeg]'") from None
    if target.exists():
        raise UsageError(f"{target} exists: delete it or name another file")
    if file_format == "edf":
        _check_edf(generated)
    count, channels, samples = generated.windows.shape
    info = mne.create_info(list(generated.channels), generated.rate, "eeg", verbose="ERROR")
    info["description"], info["device_info"] = origin, {"type": "papertrial"}
    volts = generated.windows.transpose(1, 0, 2).reshape(channels, count * samples).astype(np.float64) * MICROVOLT
    raw = mne.io.RawArray(volts, info, verbose="ERROR")
    seconds = samples / generated.rate
    raw.set_annotations(mne.Annotations(np.arange(count) * seconds, seconds, [generated.classes[label] for label in generated.labels]))
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as folder:
        written = Path(folder) / target.name
        if file_format == "edf":
            mne.export.export_raw(written, raw, fmt="edf", physical_range="channelwise", verbose="ERROR")
        else:
            raw.save(written, fmt="single", verbose="ERROR")
        # mne continues a FIF of more than 2 GB in further files, whose names the first one holds.
        for part in sorted(Path(folder).iterdir(), reverse=True):
            part.replace(target.parent / part.name)


def _check_edf(generated: Generated) -> None:
    """UsageError for what 16-bit integers or 16 characters cannot hold."""
    bad = np.argwhere(~np.isfinite(generated.windows))
    if len(bad):
        window, channel, _ = bad[0]
        raise UsageError(f"window {window} is not finite in {generated.channels[channel]}: EDF cannot hold it, --format fif can")
    long = [name for name in generated.channels if len(name) > EDF_LABEL]
    if long:
        raise UsageError(f"EDF names a channel in {EDF_LABEL} characters, too few for {long[0]!r}: --format fif can")
