"""Spectra, band power, autocorrelation and windows: against scipy, against closed forms, and in pieces as in one go."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.signal
import torch
from torch import Tensor

from tasks.datasets.eeg.cutting import extract
from tasks.eeg import spectra
from tasks.eeg.bands import BANDS
from tasks.eeg.spectra import autocorrelation, band_power, chunks, mean_autocorrelation, mean_welch, welch

RATE = 250.0


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def sinusoid(frequency: float, amplitude: float, *, rate: float, seconds: float, phase: float = 0.3) -> Tensor:
    times = torch.arange(int(rate * seconds), dtype=torch.float64) / rate
    return amplitude * torch.sin(2.0 * math.pi * frequency * times + phase)


def autoregression(coefficients: tuple[float, ...], *shape: int, seed: int = 0) -> Tensor:
    """x_t = sum_k a_k x_{t-k} + e_t with unit-variance e, started long before the first sample."""
    burn = 2000
    drawn = noise(*shape[:-1], shape[-1] + burn, seed=seed).numpy()
    return torch.from_numpy(scipy.signal.lfilter([1.0], [1.0, *(-a for a in coefficients)], drawn)[..., burn:].copy())


@pytest.mark.parametrize(
    ("length", "segment", "overlap"), [(500, 128, 0.5), (250, 128, 0.5), (301, 127, 0.5), (300, 64, 0.75), (200, 500, 0.5), (129, 128, 0.0)]
)
def test_welch_is_scipys(length: int, segment: int, overlap: float) -> None:
    x = 40.0 * noise(5, 3, length) + 7.0
    nperseg = min(segment, length)
    frequencies, density = scipy.signal.welch(x.numpy(), RATE, nperseg=nperseg, noverlap=int(overlap * nperseg))
    found = welch(x, RATE, segment=segment, overlap=overlap)
    np.testing.assert_allclose(found.frequencies.numpy(), frequencies, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.density.numpy(), density, rtol=1e-10, atol=1e-10)
    single = welch(x.float(), RATE, segment=segment, overlap=overlap).density
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single.numpy(), density, rtol=1e-3, atol=1e-5 * density.max())


@pytest.mark.parametrize("bad", [{"overlap": 1.0}, {"overlap": -0.1}, {"segment": 0}, {"rate": 0.0}])
def test_segments_without_meaning_are_refused(bad: dict[str, float]) -> None:
    settings = {"rate": RATE, "segment": 128, "overlap": 0.5} | bad
    with pytest.raises(ValueError, match="welch"):
        welch(noise(2, 300), settings["rate"], segment=int(settings["segment"]), overlap=settings["overlap"])


@pytest.mark.parametrize("rate", [250.0, 256.0, 200.0])
def test_a_sinusoid_has_half_its_squared_amplitude_in_its_band(rate: float) -> None:
    """Segments of four seconds: bins of a quarter of a hertz, so that every band holds the three of a Hann window."""
    amplitudes = {2.0: 30.0, 6.0: 8.0, 10.0: 21.0, 20.0: 5.0, 40.0: 3.0}
    x = sum((sinusoid(f, a, rate=rate, seconds=12.0) for f, a in amplitudes.items()), start=torch.zeros(int(12 * rate)))
    power = band_power(welch(x, rate, segment=int(4 * rate)))
    assert power.tolist() == pytest.approx([a**2 / 2 for a in amplitudes.values()], rel=1e-9)


@pytest.mark.parametrize("frequency", [15.0, 17.3, 21.111, 27.0, 34.2, 40.9])
def test_between_bins_a_sinusoid_keeps_its_power_to_a_percent(frequency: float) -> None:
    """With the paper's segments of 128 samples a bin is 1.95 Hz wide; beta and gamma hold a main lobe wherever it falls inside."""
    power = band_power(welch(sinusoid(frequency, 10.0, rate=RATE, seconds=20.0), RATE))
    assert float(power[3:].sum()) == pytest.approx(50.0, rel=0.01)
    assert float(power[:3].sum()) < 0.5


def test_bands_part_the_spectrum() -> None:
    spectrum = welch(noise(4, 2, 500), RATE)
    edges = (spectrum.frequencies >= 0.5) & (spectrum.frequencies < 45.0)
    whole = spectrum.density[..., edges].sum(-1) * RATE / 128
    torch.testing.assert_close(band_power(spectrum).sum(-1), whole)
    assert all(below.high == above.low for below, above in itertools.pairwise(BANDS))


def test_white_noise_has_its_variance_spread_evenly() -> None:
    power = band_power(mean_welch(3.0 * noise(3000, 1, 500), RATE, segment=500)).squeeze()
    shares = torch.tensor([(band.high - band.low) / (RATE / 2) for band in BANDS], dtype=torch.float64)
    # Taking each segment's mean away takes some of delta's lowest bin with it.
    torch.testing.assert_close(power[1:], 9.0 * shares[1:], rtol=0.01, atol=0.0)
    assert 0.9 < float(power[0] / (9.0 * shares[0])) < 1.0


def test_a_band_that_no_frequency_reaches_is_named() -> None:
    with pytest.raises(ValueError, match=r"gamma .* up to 25 Hz"):
        band_power(welch(noise(100), 50.0))
    with pytest.raises(ValueError, match=r"delta .* up to 125 Hz"):
        band_power(welch(noise(300), RATE, segment=20))


@pytest.mark.parametrize("coefficients", [(0.8,), (-0.5,), (1.6, -0.9), (0.3, 0.4)])
def test_autoregressions_have_their_closed_spectrum(coefficients: tuple[float, ...]) -> None:
    """S(f) = 2 / (rate |1 - sum_k a_k exp(-2 pi i f k / rate)|^2), one-sided; bins at 0 and half the rate are folded otherwise."""
    count, segment = 4000, 512
    found = mean_welch(autoregression(coefficients, count, 1, 1024), RATE, segment=segment)
    turns = np.exp(-2j * np.pi * found.frequencies.numpy() / RATE)
    true = 2.0 / (RATE * np.abs(1.0 - sum(a * turns ** (k + 1) for k, a in enumerate(coefficients))) ** 2)
    error = found.density.squeeze().numpy()[2:-1] / true[2:-1] - 1.0
    # Three half-overlapping Hann segments a window: the relative sampling error of a bin is about 1 / sqrt(2.6 count).
    sampling = 1.0 / math.sqrt(2.6 * count)
    assert np.abs(error).max() < 5.0 * sampling
    assert np.sqrt(np.mean(error**2)) > 0.5 * sampling, "no sampling error: not an estimate"


def test_autocorrelation_is_the_sum_of_its_definition() -> None:
    x = noise(3, 2, 90) + 4.0
    centred = (x - x.mean(-1, keepdim=True)).numpy()
    for series, found in zip(centred.reshape(-1, 90), autocorrelation(x, 89).reshape(-1, 90).numpy(), strict=True):
        full = np.correlate(series, series, "full")[89:]
        np.testing.assert_allclose(found, full / full[0], atol=1e-12)


def test_autocorrelation_of_an_ar1_decays_as_its_powers() -> None:
    found = mean_autocorrelation(autoregression((0.7,), 200, 1, 5000), 10).squeeze()
    torch.testing.assert_close(found, 0.7 ** torch.arange(11.0, dtype=torch.float64), atol=0.005, rtol=0.0)


def test_constant_series_have_no_autocorrelation_and_nan_stays() -> None:
    x = noise(3, 20, dtype=torch.float32)
    x[0] = 0.1
    x[1, 7] = math.nan
    found = autocorrelation(x, 3)
    assert found[0].tolist() == [0.0] * 4
    assert bool(found[1].isnan().all())
    assert float(found[2, 0]) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="lags 0 to 19, not 20"):
        autocorrelation(x, 20)


def test_means_over_many_windows_are_means_over_each(monkeypatch: pytest.MonkeyPatch) -> None:
    x = noise(37, 3, 300, dtype=torch.float32)
    density, correlation = welch(x, RATE).density.double().mean(0), autocorrelation(x, 20).double().mean(0)
    for size in (1, 10 * 3 * 300 * 4, 1 << 30):
        monkeypatch.setitem(spectra.CHUNK_BYTES, "cpu", size)
        torch.testing.assert_close(mean_welch(x, RATE).density, density, rtol=1e-6, atol=0.0)
        torch.testing.assert_close(mean_autocorrelation(x, 20), correlation, rtol=0.0, atol=1e-6)


def test_chunks_hold_every_window_once_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.arange(60.0).reshape(10, 2, 3)
    monkeypatch.setitem(spectra.CHUNK_BYTES, "cpu", 80)
    parts = list(chunks(x))
    assert [len(part) for part in parts] == [3, 3, 3, 1]
    torch.testing.assert_close(torch.cat(parts), x)


def test_extracted_windows_are_slices() -> None:
    recording = noise(4, 1000)
    starts = torch.tensor([0, 900, 3, 3, 450])
    found = extract(recording, starts, 100)
    torch.testing.assert_close(found, torch.stack([recording[:, s : s + 100] for s in starts.tolist()]), rtol=0.0, atol=0.0)
    found[0] = 0.0
    assert float(recording[:, :100].abs().min()) > 0.0, "windows are copies"
    assert extract(recording, starts[:0], 100).shape == (0, 4, 100)


@pytest.mark.parametrize(
    ("starts", "samples", "said"), [([0, 901], 100, "starts at sample 901"), ([5, -1], 100, "-1"), ([0], 0, "one sample")]
)
def test_windows_outside_the_recording_are_named(starts: list[int], samples: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        extract(noise(2, 1000), torch.tensor(starts), samples)
