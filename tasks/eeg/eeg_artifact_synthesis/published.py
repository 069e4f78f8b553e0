"""The published evaluation, re-enacted on anyone's windows: what is done to them, and the four numbers that follow.

Source: the released `notebooks/model_comparison.ipynb`. Done here as there: real windows of one second, rescaled by one minimum and one
maximum a channel over all of them; synthetic ones left in their own units; everything stretched to two seconds' samples while the
sampling rate is taken to be the old one; 512 real, 512 diffusion and 128 GAN windows; the kernel's mean with its diagonal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.errors import UsageError
from kernels.gram_matmul.op import gram_matmul
from tasks.eeg.bands import BANDS, band_error
from tasks.eeg.eeg_artifact_synthesis.methods import GAN
from tasks.eeg.fidelity import diversity, psd_distance
from tasks.eeg.spectra import Spectrum, band_power, mean_welch

SIGMAS = (10.0, 20.0, 40.0, 80.0)
GAN_SHARE = 128 / 512
"""Windows of the GAN for one real window."""
_SEGMENT = 128
_LEAST = (BANDS[-1].low + BANDS[-1].high) / 2.0
"""Hz, the middle of the highest band."""


@dataclass(frozen=True)
class Compared:
    """Both sides as the published numbers see them, (n, channels, samples) of two nominal seconds, without a common unit."""

    real: Tensor
    fake: Tensor


def compared(method: str, real_microvolts: Tensor, fake: Tensor, rate: float) -> Compared:
    """Real windows in microvolts and synthetic ones in z-scores, as the published notebook compares them.

    The GAN's windows become what its training data were, each scaled to -1 to 1 by its own extremes, one second long and a quarter in
    number (spread over all classes); all other windows stay z-scores of full length. UsageError at a rate whose stretched second, which
    ends at a quarter of it, leaves the highest band half empty: its published error would be one of division.
    """
    if rate / 4.0 < _LEAST:
        raise UsageError(
            f"the paper's evaluation reads a second at {rate:g} Hz as if it ended at {rate / 4.0:g} Hz: {4.0 * _LEAST:g} Hz is the least"
        )
    samples = real_microvolts.shape[-1]
    real = stretched(scaled_together(first_second(real_microvolts, rate)), samples)
    if method != GAN:
        return Compared(real, fake)
    count = max(2, round(GAN_SHARE * len(fake)))
    chosen = fake[torch.linspace(0, len(fake) - 1, count, device=fake.device).round().long()]
    return Compared(real, stretched(scaled_apart(first_second(chosen, rate)), samples))


def first_second(x: Tensor, rate: float) -> Tensor:
    """The first second of windows (..., samples)."""
    return x[..., : round(rate)]


def scaled_together(x: Tensor) -> Tensor:
    """Every channel to -1 to 1 by its extremes over all windows (n, channels, samples): one outlier presses all others together."""
    low, high = x.amin((0, 2), keepdim=True), x.amax((0, 2), keepdim=True)
    return 2.0 * (x - low) / (high - low + 1e-9) - 1.0


def scaled_apart(x: Tensor) -> Tensor:
    """Every window to -1 to 1 by its own extremes over channels and time."""
    low, high = x.amin((1, 2), keepdim=True), x.amax((1, 2), keepdim=True)
    return 2.0 * (x - low) / (high - low + 1e-9) - 1.0


def stretched(x: Tensor, samples: int) -> Tensor:
    """As many samples by padding or cutting the Fourier transform, as `scipy.signal.resample`: read at the old rate, frequencies change."""
    have = x.shape[-1]
    if have == samples:
        return x
    spectrum = torch.fft.rfft(x.double())
    shared = min(have, samples)
    resized = spectrum.new_zeros((*x.shape[:-1], samples // 2 + 1))
    resized[..., : shared // 2 + 1] = spectrum[..., : shared // 2 + 1]
    if shared % 2 == 0:  # the highest frequency of the shorter side stands for two of the longer one
        resized[..., shared // 2] *= 0.5 if samples > have else 2.0
    longer: Tensor = torch.fft.irfft(resized, n=samples) * (samples / have)
    return longer.to(x.dtype)


def band_errors(real: Tensor, fake: Tensor, rate: float) -> Tensor:
    """|P_fake - P_real| / P_real of each channel and band, mean over the channels: (5,)."""
    true, found = (band_power(mean_welch(x, rate, segment=_SEGMENT)) for x in (real, fake))
    return ((found - true).abs() / (true + 1e-9)).mean(0)


def biased_mmd2(real: Tensor, fake: Tensor) -> float:
    """Mean kernel inside each side, diagonal included, less twice the mean between them; averaged over `SIGMAS`. NaN if not finite.

    Never negative, and above 0 for equal distributions, by about (1 - mean k) (1 / n + 1 / m).
    """
    x, y = real.flatten(1), fake.flatten(1)
    if not bool(x.isfinite().all() and y.isfinite().all()):
        return math.nan
    gammas = [0.5 / sigma**2 for sigma in SIGMAS]
    weights = [1.0 / len(SIGMAS)] * len(SIGMAS)

    def mean(a: Tensor, b: Tensor) -> float:
        ones = a.new_ones((len(b), 1))
        return float(gram_matmul(a, b, ones, gammas=gammas, weights=weights).double().mean()) / len(b)

    return mean(x, x) + mean(y, y) - 2.0 * mean(x, y)


def measured(sides: Compared, rate: float) -> dict[str, float]:
    """The published numbers."""
    errors = band_errors(sides.real, sides.fake, rate)
    return {
        "band_error": float(errors.mean()),
        **{band_error(band): float(error) for band, error in zip(BANDS, errors, strict=True)},
        "psd_distance": psd_distance(sides.real, sides.fake, rate, segment=_SEGMENT),
        "mmd2": biased_mmd2(sides.real, sides.fake),
        "diversity": diversity(sides.fake),
    }


def spectra(sides: Compared, rate: float) -> tuple[Spectrum, Spectrum]:
    """Mean density of the real and of the synthetic side at the nominal rate, (channels, f)."""
    return mean_welch(sides.real, rate, segment=_SEGMENT), mean_welch(sides.fake, rate, segment=_SEGMENT)
