"""Which electrodes of the recording stand for which places of the 10-20 system."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

PLACES: Mapping[str, tuple[float, float, float]] = {
    "Fp1": (-31.0, 115.0, 28.0),
    "Fp2": (28.0, 115.0, 28.0),
    "C3": (-67.0, 23.0, 105.0),
    "C4": (65.0, 24.0, 104.0),
    "O1": (-32.0, -81.0, 55.0),
    "O2": (28.0, -80.0, 55.0),
    "T3": (-86.0, 15.0, 31.0),
    "T4": (83.0, 15.0, 31.0),
}
"""Millimetres in the head frame: the 10-20 template of mne (`colin27_1020`) after `transform_to_head`."""
CENTRE = (0.0, 0.0, 40.0)
"""Of a sphere about the size of the head, in that frame."""


def directions(places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(count, 3) unit vectors from the centre: heads and caps differ in size, so places are compared by direction."""
    away = places - np.array(CENTRE)
    unit: npt.NDArray[np.float64] = away / np.linalg.norm(away, axis=-1, keepdims=True)
    return unit


def nearest(positions: npt.NDArray[np.float64], count: int = 3) -> npt.NDArray[np.int64]:
    """(places, count): the electrodes nearest to each of `PLACES`, nearest first.

    An electrode serves only the place that it is nearest to, so no two channels of a window can be the same electrode.
    """
    cosine = directions(np.array(list(PLACES.values()))) @ directions(positions).T
    own = cosine.argmax(0)
    cosine[own != np.arange(len(PLACES))[:, None]] = -2.0
    return np.argsort(-cosine, axis=1, kind="stable")[:, :count]
