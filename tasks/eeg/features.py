"""What describes an EEG window in a few numbers: band power, variance, smoothness and the channels' correlations."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.eeg.spectra import autocorrelation, band_power, chunks, welch

FLOOR = 1e-9
"""Power below this (in the windows' unit squared) counts as this: a flat channel has a logarithm."""


def features(windows: Tensor, rate: float) -> Tensor:
    """Windows (n, channels, samples) at `rate` Hz as (n, 7 channels + channels (channels - 1) / 2) numbers, in this order.

    Natural logarithm of each channel's band powers (5 a channel, `welch` with its defaults), of its variance, its autocorrelation at lag 1,
    and the correlation of each pair of channels (0 with a constant one). Taken in chunks; rows do not depend on each other.
    """
    return torch.cat([_of_chunk(part, rate) for part in chunks(windows)])


@dataclass(frozen=True)
class FeatureSpace:
    """Windows as points whose distances mean something: features, each in deviations of `reference` windows from their mean.

    Between raw windows noise is nearer to a recording than another stretch of that recording is: phases differ, and what is large counts.
    """

    rate: float
    mean: Tensor
    """(features,)."""
    deviation: Tensor
    """(features,), at least 1e-6."""

    @classmethod
    def of(cls, reference: Tensor, rate: float) -> FeatureSpace:
        """The space in which windows `reference` (n, channels, samples) have mean 0 and deviation 1."""
        known = features(reference, rate)
        return cls(rate, known.mean(0), known.std(0).clamp_min(1e-6))

    def __call__(self, windows: Tensor) -> Tensor:
        """Windows (n, channels, samples) as points (n, features); of a window that is not finite the point is not finite."""
        return (features(windows, self.rate) - self.mean) / self.deviation


def _of_chunk(windows: Tensor, rate: float) -> Tensor:
    power = band_power(welch(windows, rate))
    centred = windows - windows.mean(-1, keepdim=True)
    covariance = centred @ centred.transpose(1, 2) / windows.shape[-1]
    variance = covariance.diagonal(dim1=1, dim2=2)
    deviations = variance.clamp(min=FLOOR).sqrt()
    correlation = covariance / (deviations[:, :, None] * deviations[:, None, :])
    first, second = torch.triu_indices(windows.shape[1], windows.shape[1], offset=1, device=windows.device)
    parts = (
        power.clamp(min=FLOOR).log().flatten(1),
        variance.clamp(min=FLOOR).log(),
        autocorrelation(windows, 1)[..., 1],
        correlation[:, first, second],
    )
    return torch.cat(parts, 1)
