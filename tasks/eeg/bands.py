"""The frequency bands in which EEG power is reported."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Band:
    """The frequencies from `low` up to, but not with, `high`, in Hz."""

    name: str
    low: float
    high: float


BANDS = (Band("delta", 0.5, 4.0), Band("theta", 4.0, 8.0), Band("alpha", 8.0, 13.0), Band("beta", 13.0, 30.0), Band("gamma", 30.0, 45.0))
"""Edges as in ArtifactGen (arXiv 2509.08188): bands that touch and do not overlap, so that a frequency counts once."""


def band_error(band: Band) -> str:
    """Name of the metric that is the relative error of a band's power."""
    return f"band_error_{band.name}"
