"""Signal and artifact at a stated ratio."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def power(x: npt.NDArray[np.floating[Any]]) -> float:
    """Mean square over channels and samples, each channel (the last axis) without its mean. Unit of x, squared."""
    centred = x - x.mean(-1, keepdims=True)
    return float((centred**2).mean())


def mixed(background: npt.NDArray[np.float64], artifact: npt.NDArray[np.float64], snr: float) -> npt.NDArray[np.float64]:
    """background + a * artifact, with a such that 10 log10(power(background) / power(a * artifact)) = snr, in decibels of power.

    Power counts all channels: an artifact of one channel is as strong there as one of all channels is everywhere together.
    """
    scale = np.sqrt(power(background) / power(artifact) / 10 ** (snr / 10))
    mixture: npt.NDArray[np.float64] = background + scale * artifact
    return mixture
