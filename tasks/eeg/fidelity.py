"""How far generated windows lie from real ones: spectra, covariance, autocorrelation, diversity, maximum mean discrepancy.

Windows are (n, channels, samples), in one unit on both sides; n may differ. Of windows that are not finite a measure is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from kernels.gram_matmul.mmd import median_gamma, mmd2
from tasks.eeg.spectra import band_power, chunks, mean_autocorrelation, mean_welch


def band_errors(real: Tensor, fake: Tensor, rate: float, segment: int = 128) -> Tensor:
    """|P_fake - P_real| / P_real of each band of `BANDS`, (5,): P is the band power's mean over windows and channels.

    A ratio, not percent; `segment` as in `welch`. (ArtifactGen, arXiv 2509.08188, table of band power.)
    """
    true, found = (band_power(mean_welch(x, rate, segment=segment)).mean(0) for x in (real, fake))
    return (found - true).abs() / true


def psd_distance(real: Tensor, fake: Tensor, rate: float, segment: int = 128) -> float:
    """||S_real - S_fake|| / ||S_real||, S (channels, f) the mean density of each channel."""
    return _relative(*(mean_welch(x, rate, segment=segment).density for x in (real, fake)))


def covariance_distance(real: Tensor, fake: Tensor) -> float:
    """||C_real - C_fake||_F / ||C_real||_F, C the mean over windows of the channels' covariance inside a window."""
    return _relative(mean_covariance(real), mean_covariance(fake))


def autocorrelation_distance(real: Tensor, fake: Tensor, lags: int = 64) -> float:
    """The L2 norm over lags 0 to `lags` of the difference of the windows' mean autocorrelations, averaged over channels."""
    return float((mean_autocorrelation(real, lags) - mean_autocorrelation(fake, lags)).norm(dim=1).mean())


def diversity(windows: Tensor) -> float:
    """1 less the mean correlation between two different windows, each flattened: 1 when they have nothing in common, 0 when all are alike.

    From the length of the mean of the standardised windows, sum_{i != j} z_i.z_j = |sum_i z_i|^2 - n: no pair is formed. NaN when a window
    is constant; ValueError for fewer than two.
    """
    count = len(windows)
    if count < 2:
        raise ValueError(f"diversity: {count} windows make no pair")
    total = windows.new_zeros((), dtype=torch.float64)
    for part in chunks(windows):
        flat = part.flatten(1)
        centred = flat - flat.mean(1, keepdim=True)
        total = total + (centred.T @ (1.0 / centred.norm(dim=1))).double()
    return float(1.0 - (total.square().sum() - count) / (count * (count - 1)))


def discrepancy(
    real: Tensor, fake: Tensor, permutations: int, generator: torch.Generator, *, sigmas: Sequence[float] | None = None
) -> tuple[float, float]:
    """Unbiased MMD^2 of two samples (n, ...), flattened, and its permutation p-value (`mmd2`), in memory linear in the samples.

    Give windows as points of a `FeatureSpace`: between raw windows a Gaussian kernel hardly tells white noise from a recording.

    `sigmas`: bandwidths in the samples' unit, whose Gaussian kernels are averaged; None is the median distance in the pooled samples, which
    moves with `fake`. To compare several fakes by value give all the same, such as `median_distance` of points that are in neither sample.
    Both numbers are NaN when a point is not finite.
    """
    if not all(bool(x.isfinite().all()) for x in (real, fake)):
        return math.nan, math.nan
    gammas = None if sigmas is None else [0.5 / sigma**2 for sigma in sigmas]
    weights = None if sigmas is None else [1.0 / len(sigmas)] * len(sigmas)
    found = mmd2(real.flatten(1), fake.flatten(1), gammas=gammas, weights=weights, permutations=permutations, generator=generator)
    return float(found.value), math.nan if found.p_value is None else found.p_value


def median_distance(points: Tensor) -> float:
    """The median Euclidean distance between two of the points, each flattened (of 1,000 drawn by a fixed seed where there are more)."""
    flat = points.flatten(1)
    return math.sqrt(0.5 / median_gamma(flat[::2], flat[1::2]))


def mean_covariance(windows: Tensor) -> Tensor:
    """The mean over windows of the covariance of their channels (channels, channels), float64; the divisor is samples - 1."""
    total = windows.new_zeros((), dtype=torch.float64)
    for part in chunks(windows):
        centred = (part - part.mean(-1, keepdim=True)).transpose(0, 1).flatten(1)
        total = total + (centred @ centred.T).double()
    return total / (len(windows) * (windows.shape[-1] - 1))


def _relative(true: Tensor, found: Tensor) -> float:
    return float((true - found).norm() / true.norm())
