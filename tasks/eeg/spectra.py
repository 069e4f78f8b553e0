"""Power spectral densities by Welch's method, band power and autocorrelation, of many windows at once on the CPU or a GPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.eeg.bands import BANDS, Band

CHUNK_BYTES = {"cpu": 1 << 19, "cuda": 1 << 27}
"""Windows of one chunk: on the CPU what stays in the cache of a core through several passes, on a GPU what fills it."""


def chunks(windows: Tensor) -> Iterator[Tensor]:
    """`windows` (n, ...) in order, as views of at most `CHUNK_BYTES` of their device, at least one window each."""
    each = max(1, windows[:1].nelement() * windows.element_size())
    yield from torch.split(windows, max(1, CHUNK_BYTES.get(windows.device.type, CHUNK_BYTES["cuda"]) // each))


@dataclass(frozen=True)
class Spectrum:
    """A one-sided power spectral density."""

    frequencies: Tensor
    """(f,) in Hz, float64, evenly spaced from 0 to half the sampling rate."""
    density: Tensor
    """(..., f) in the signal's unit squared per Hz."""


def welch(x: Tensor, rate: float, *, segment: int = 128, overlap: float = 0.5) -> Spectrum:
    """Welch's estimate of the density of `x` (..., t), sampled at `rate` Hz: what `scipy.signal.welch` gives for the same segments.

    Hann-windowed segments of `segment` samples (of t, where t is less), each less its mean, that share the part `overlap` of their
    samples with the next; the mean of their periodograms. Computed in x's dtype. (Welch, IEEE Trans. Audio Electroacoust. 15, 1967.)
    ValueError for a segment, overlap or rate without meaning.
    """
    length = min(segment, x.shape[-1])
    if length < 1 or not 0.0 <= overlap < 1.0 or not rate > 0.0:
        raise ValueError(f"welch: {x.shape[-1]} samples at {rate:g} Hz in segments of {segment}, of which a share of {overlap:g} overlaps")
    taper = torch.hann_window(length, periodic=True, dtype=x.dtype, device=x.device)
    segments = x.unfold(-1, length, length - int(overlap * length))
    segments = (segments - segments.mean(-1, keepdim=True)) * taper
    density = _squared(torch.fft.rfft(segments)).mean(-2)
    return Spectrum(_frequencies(length, rate, x), density * (_sides(length, x) / (rate * taper.square().sum())))


def mean_welch(x: Tensor, rate: float, *, segment: int = 128) -> Spectrum:
    """The mean over the windows of `x` (n, channels, t) of their `welch` densities: (channels, f), float64. Memory does not grow with n."""
    total = x.new_zeros((), dtype=torch.float64)
    for part in chunks(x):
        total = total + welch(part, rate, segment=segment).density.sum(0).double()
    return Spectrum(_frequencies(min(segment, x.shape[-1]), rate, x), total / len(x))


def band_power(spectrum: Spectrum, bands: Sequence[Band] = BANDS) -> Tensor:
    """Power in each band, (..., len(bands)), the signal's unit squared: the sum of the density at its frequencies times their spacing.

    A sum and not a trapezium: the bands of a partition then add up to the whole, and a sinusoid of amplitude A gives A^2 / 2 to the band
    that holds its three Hann bins (at 250 Hz and segments of 128 a bin is 2 Hz wide, and delta and theta have two of them).
    ValueError for a band without a frequency: segments too short, or a rate below twice the band.
    """
    frequencies = spectrum.frequencies
    inside = torch.stack([(frequencies >= band.low) & (frequencies < band.high) for band in bands], 1)
    for band, any_inside in zip(bands, inside.any(0).tolist(), strict=True):
        if not any_inside:
            raise ValueError(
                f"band_power: {band.name} ({band.low:g} to {band.high:g} Hz) holds none of the {len(frequencies)} frequencies "
                f"up to {float(frequencies[-1]):g} Hz: longer segments or a higher rate give it some"
            )
    return spectrum.density @ inside.to(spectrum.density.dtype) * float(frequencies[1] - frequencies[0])


def autocorrelation(x: Tensor, lags: int) -> Tensor:
    """Autocorrelation of each series of `x` (..., t) at lags 0 to `lags`: (..., lags + 1), 1 at lag 0.

    The biased estimate, sum_i z_i z_{i+k} / sum_i z_i^2 with z = x less its mean (Box and Jenkins). A constant series, which has none, gets
    0 at every lag. ValueError unless 0 <= lags < t.
    """
    return _from_power(_power(x, lags), lags)


def mean_autocorrelation(x: Tensor, lags: int) -> Tensor:
    """The mean over the windows of `x` (n, channels, t) of their `autocorrelation`: (channels, lags + 1), float64, in chunks."""
    total = x.new_zeros((), dtype=torch.float64)
    for part in chunks(x):
        total = total + _power(part, lags).sum(0).double()
    return _from_power(total / len(x), lags)


def _power(x: Tensor, lags: int) -> Tensor:
    """Squared Fourier magnitudes of each series at unit sum of squares, padded so that `lags` do not wrap around."""
    if not 0 <= lags < x.shape[-1]:
        raise ValueError(f"autocorrelation: a series of {x.shape[-1]} samples has lags 0 to {x.shape[-1] - 1}, not {lags}")
    mean = x.mean(-1, keepdim=True)
    centred = x - mean
    squares = centred.square().sum(-1, keepdim=True)
    # The mean of a constant is itself only up to rounding. NaN is not below anything and stays.
    rounding = 8.0 * torch.finfo(x.dtype).eps * mean
    scale = torch.where(squares <= x.shape[-1] * rounding.square(), 0.0, squares.rsqrt())
    return _squared(torch.fft.rfft(centred * scale, n=_fast_length(x.shape[-1] + lags)))


def _from_power(power: Tensor, lags: int) -> Tensor:
    """The autocorrelations of which `power` is the transform (Wiener-Khinchin)."""
    length = 2 * (power.shape[-1] - 1)
    correlations: Tensor = torch.fft.irfft(power, n=length)[..., : lags + 1]
    return correlations


def _fast_length(least: int) -> int:
    """The shortest even 2^a 3^b 5^c that is not below `least`."""

    def smooth(n: int) -> bool:
        for prime in (2, 3, 5):
            while n % prime == 0:
                n //= prime
        return n == 1

    return next(n for n in range(least + least % 2, 4 * least + 4, 2) if smooth(n))


def _squared(transform: Tensor) -> Tensor:
    """|z|^2 without a square root; as a product it takes a tenth of the time of a sum over the parts of `view_as_real`."""
    return (transform * transform.conj()).real


def _frequencies(length: int, rate: float, x: Tensor) -> Tensor:
    return torch.arange(length // 2 + 1, dtype=torch.float64, device=x.device) * rate / length


def _sides(length: int, x: Tensor) -> Tensor:
    """2 where a negative frequency was folded in: everywhere but at 0 and, for an even length, at half the rate."""
    sides = torch.full((length // 2 + 1,), 2.0, dtype=x.dtype, device=x.device)
    sides[0] = 1.0
    if length % 2 == 0:
        sides[-1] = 1.0
    return sides
