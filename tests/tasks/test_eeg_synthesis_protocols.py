"""Windows without a network, and the two evaluations, on signals whose answer is known."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import signal
from torch import Tensor

from harness.errors import UsageError
from tasks.blocks.training import generator
from tasks.datasets.eeg.halving import halved
from tasks.eeg.eeg_artifact_synthesis import published
from tasks.eeg.eeg_artifact_synthesis.common_scale import augmentation_gain
from tasks.eeg.eeg_artifact_synthesis.labelled_windows import (
    Labelled,
    Problem,
    asked_for,
    channel_indices,
    class_counts,
    drawn,
    halves,
    resampled,
)
from tasks.eeg.spectra import mean_welch
from tasks.eeg.surrogates import (
    fit_autoregression,
    phase_randomised,
    simulate_autoregression,
    stabilised,
)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=generator(seed))


def sines(frequency: float, rate: float, samples: int, *, amplitude: float = 1.0, count: int = 6) -> Tensor:
    """(count, 2, samples): sinusoids of one frequency with phases of their own."""
    phases = 2 * math.pi * torch.rand((count, 2, 1), generator=generator(5))
    return amplitude * torch.sin(2 * math.pi * frequency * torch.arange(samples) / rate + phases)


def peak(x: Tensor, rate: float) -> float:
    spectrum = mean_welch(x, rate, segment=128)
    return float(spectrum.frequencies[spectrum.density.mean(0).argmax()])


def made(labels: list[int], classes: int = 2) -> Labelled:
    y = torch.tensor(labels)
    return Labelled(torch.arange(len(labels), dtype=torch.float32).reshape(-1, 1, 1).expand(-1, 2, 8).clone(), y)


def problem(train: Labelled, val: Labelled, test: Labelled) -> Problem:
    return Problem(train, val, test, torch.zeros(2, 1), torch.ones(2, 1), 100.0, ("A", "B"), ("one", "two"))


@pytest.mark.parametrize("samples", [64, 65])
def test_surrogates_keep_spectra_and_cross_spectra_and_nothing_of_the_waveform(samples: int) -> None:
    x = noise(5, 3, samples).double()
    x[:, 1] += 0.8 * x[:, 0]
    turned = phase_randomised(x, 1)
    before, after = torch.fft.rfft(x), torch.fft.rfft(turned)
    torch.testing.assert_close(after.abs(), before.abs())
    cross = [s[:, 0] * s[:, 1].conj() for s in (before, after)]
    torch.testing.assert_close(cross[1], cross[0])
    torch.testing.assert_close(turned.mean(-1), x.mean(-1))
    assert float((turned - x).norm() / x.norm()) > 0.5
    assert not torch.equal(phase_randomised(x, 2), turned)
    assert torch.equal(phase_randomised(x, 1), turned)


def test_a_planted_autoregression_is_found_and_its_spectrum_comes_back() -> None:
    planted = torch.tensor([[[0.5, 0.3], [0.0, -0.4]], [[-0.3, 0.0], [0.2, 0.1]]], dtype=torch.float64)
    covariance = torch.tensor([[1.0, 0.5], [0.5, 2.0]], dtype=torch.float64)
    windows = simulate_autoregression(planted, covariance, 150, 300, generator(0))
    found, residual = fit_autoregression(windows, 2)
    torch.testing.assert_close(found, planted, atol=0.02, rtol=0.0)
    torch.testing.assert_close(residual, covariance, atol=0.05, rtol=0.0)
    longer, _ = fit_autoregression(windows, 4)
    torch.testing.assert_close(longer[2:], torch.zeros(2, 2, 2, dtype=torch.float64), atol=0.03, rtol=0.0)


def test_the_density_of_a_simulated_process_is_the_closed_form() -> None:
    """|1 - a e^{-iw}|^-2 for x_t = a x_{t-1} + e_t, one-sided at 1 Hz: twice that."""
    windows = simulate_autoregression(
        torch.full((1, 1, 1), 0.7, dtype=torch.float64), torch.eye(1, dtype=torch.float64), 400, 256, generator(1)
    )
    spectrum = mean_welch(windows, 1.0, segment=64)
    angle = 2 * math.pi * spectrum.frequencies
    density = 2.0 / (1.0 - 2.0 * 0.7 * torch.cos(angle) + 0.49)
    torch.testing.assert_close(spectrum.density[0, 4:-1], density[4:-1], rtol=0.06, atol=0.0)


def test_an_explosive_fit_is_drawn_in_and_a_stable_one_is_left() -> None:
    stable = torch.full((1, 1, 1), 0.9, dtype=torch.float64)
    assert torch.equal(stabilised(stable), stable)
    growing = torch.tensor([[[1.9]], [[-0.88]]], dtype=torch.float64)  # poles 1.1 and 0.8
    drawn_in = stabilised(growing)
    poles = np.roots([1.0, *(-drawn_in.flatten()).tolist()])
    np.testing.assert_allclose(sorted(np.abs(poles)), [0.8 * 0.995 / 1.1, 0.995], rtol=1e-9)
    with pytest.raises(ValueError, match="2 samples do not hold 2 lags"):
        fit_autoregression(noise(3, 1, 2), 2)


@pytest.mark.parametrize(("have", "want"), [(100, 200), (125, 250), (128, 320), (250, 500), (200, 100), (251, 500)])
def test_stretching_is_scipy_s_resampling(have: int, want: int) -> None:
    x = noise(3, 2, have).double()
    np.testing.assert_allclose(published.stretched(x, want).numpy(), signal.resample(x.numpy(), want, axis=-1), atol=1e-12)


def test_a_stretched_second_moves_down_by_an_octave() -> None:
    """A real 20 Hz is read as 10 Hz: beta becomes alpha. Diffusion windows stay where they are, the GAN's move too."""
    rate, samples = 250.0, 500
    real = sines(20.0, rate, samples)
    assert peak(real, rate) == pytest.approx(20.0, abs=2.0)
    for method, expected in (("ddpm-v", 20.0), ("held-out", 20.0), ("wgan-gp", 10.0)):
        sides = published.compared(method, real, sines(20.0, rate, samples), rate)
        assert peak(sides.real, rate) == pytest.approx(10.0, abs=2.0)
        assert peak(sides.fake, rate) == pytest.approx(expected, abs=2.0)


def test_real_windows_are_pressed_by_one_outlier_and_gan_windows_are_not() -> None:
    real = sines(20.0, 250.0, 500)
    real[0, 0, 10] = 100.0
    sides = published.compared("wgan-gp", real, sines(20.0, 250.0, 500, amplitude=7.0, count=16), 250.0)
    assert float(sides.real[1:, 0].std()) < 0.03, "the outlier's channel"
    assert float(sides.real[1:, 1].std()) == pytest.approx(math.sqrt(0.5), rel=0.05)
    assert len(sides.fake) == 4, "a quarter as many"
    assert float(sides.fake.std()) == pytest.approx(math.sqrt(0.5), rel=0.05), "whatever their amplitude was"


def test_scaling_to_plus_minus_one() -> None:
    x = noise(4, 3, 50)
    together, apart = published.scaled_together(x), published.scaled_apart(x)
    for extremes in (together.amax((0, 2)), -together.amin((0, 2)), apart.amax((1, 2)), -apart.amin((1, 2))):
        torch.testing.assert_close(extremes, torch.ones_like(extremes))
    torch.testing.assert_close(published.scaled_apart(3.0 * x + 5.0), apart)


def test_the_published_evaluation_needs_a_band_that_is_there() -> None:
    windows = sines(10.0, 128.0, 256)
    with pytest.raises(UsageError, match="as if it ended at 32 Hz: 150 Hz is the least"):
        published.compared("ddpm-v", windows, windows, 128.0)


def test_published_band_errors_are_means_over_channels() -> None:
    """Twice the amplitude in channel 0 is 4 times the power: error 3; half in channel 1: error 0.75."""
    real = noise(40, 2, 500)
    fake = real * torch.tensor([2.0, 0.5]).reshape(1, 2, 1)
    torch.testing.assert_close(published.band_errors(real, fake, 250.0), torch.full((5,), (3.0 + 0.75) / 2).double(), rtol=1e-4, atol=0.0)


def test_the_biased_discrepancy_is_the_plain_sum() -> None:
    x, y = noise(7, 2, 30, seed=1).double() * 9, noise(5, 2, 30, seed=2).double() * 9 + 1.0

    def mean(a: Tensor, b: Tensor) -> float:
        squared = torch.cdist(a.flatten(1), b.flatten(1)).square()
        return float(torch.stack([(-squared / (2 * s**2)).exp().mean() for s in (10.0, 20.0, 40.0, 80.0)]).mean())

    assert published.biased_mmd2(x, y) == pytest.approx(mean(x, x) + mean(y, y) - 2 * mean(x, y), rel=1e-9)
    assert published.biased_mmd2(x, x) == pytest.approx(0.0, abs=1e-12)
    assert math.isnan(published.biased_mmd2(x, y * math.nan))


def test_classes_are_drawn_in_equal_number_and_never_twice_without_replacement() -> None:
    splits = problem(made([0, 0, 0, 1]), made([0, 1, 1, 1]), made([1, 1, 0, 1, 0, 1, 0]))
    counts = class_counts(splits, 5, 0)
    assert counts == [1, 2]
    assert class_counts(splits, 1, 0) == [1, 1]
    assert asked_for(counts).tolist() == [0, 1, 1]
    taken = drawn(splits.val, counts, 3)
    assert taken.y.tolist() == [0, 1, 1]
    assert len(taken.x.unique(dim=0)) == 3
    many = drawn(splits.train, [5, 5], 3, replacement=True)
    assert many.y.tolist() == [0] * 5 + [1] * 5
    with pytest.raises(UsageError, match="class two has 1 training and 0 validation windows, and 2 and 2 in the halves of test: it needs"):
        class_counts(dataclasses.replace(splits, val=made([0, 0])), 5, 0)
    with pytest.raises(UsageError, match="class one has 3 training and 1 validation windows, and 1 and 0 in the halves"):
        class_counts(dataclasses.replace(splits, test=made([0, 1, 1])), 5, 0)


def test_halves_share_no_window_and_hold_as_many_of_each_class() -> None:
    split = made([0] * 7 + [1] * 10)
    first, second = halves(split, 3)
    dealt = torch.cat([first.x, second.x])[:, 0, 0]
    assert sorted(dealt.tolist()) == list(range(17)), "each window once"
    for half, counts in ((first, [4, 5]), (second, [3, 5])):
        assert torch.bincount(half.y).tolist() == counts
        assert torch.equal(half.y, split.y[half.x[:, 0, 0].long()]), "labels go with their windows"
    assert torch.equal(halves(split, 3)[0].x, first.x)
    assert not torch.equal(halves(split, 4)[0].x, first.x)
    positions = torch.stack([halves(split, seed)[0].x[:, 0, 0].mean() for seed in range(200)])
    assert abs(float(positions.mean()) - 8.0) < 0.5, "neither half is the earlier one"


def test_halves_share_no_event_where_overlaps_are_known() -> None:
    """Class one: five events of 1 to 4 windows. Class two: one event of five windows, cut in its middle."""
    events = torch.tensor([0, 1, 1, 2, 2, 2, 3, 3, 3, 3, 4, 5, 5, 5, 5, 5])
    split = dataclasses.replace(made([0] * 11 + [1] * 5), events=events)
    seen = set()
    for seed in range(20):
        first, second = halves(split, seed)
        places = [half.x[:, 0, 0].long() for half in (first, second)]
        assert not set(places[0].tolist()) & set(places[1].tolist())
        mine, others = (set(events[place[half.y == 0]].tolist()) for place, half in zip(places, (first, second), strict=True))
        assert not mine & others
        assert mine | others == {0, 1, 2, 3, 4}
        assert abs(int((first.y == 0).sum()) - int((second.y == 0).sum())) <= 1
        parts = [sorted(place[half.y == 1].tolist()) for place, half in zip(places, (first, second), strict=True)]
        assert sorted(parts) == [[11, 12], [14, 15]]
        seen.add(tuple(parts[0]))
        seen.add(tuple(sorted(mine)))
        counts = class_counts(problem(made([0, 1]), made([0] * 9 + [1] * 9), split), 50, seed)
        assert counts == [5, 2], "the smaller half decides"
    assert len(seen) >= 4, "the seed says which half has which event, and which part of the only one"
    pair = dataclasses.replace(made([0, 0]), events=torch.tensor([7, 7]))
    assert [len(half.y) for half in halves(pair, 0)] == [1, 1]


def test_an_event_of_more_than_half_of_a_class_is_cut_in_its_middle() -> None:
    windows = [(place, 3) for place in (4, 2, 6, 5, 3, 7)] + [(9, 8)]
    assert [sorted(half) for half in halved(windows)] == [[2, 3, 4], [6, 7, 9]]
    assert [sorted(half) for half in halved(windows, 1)] == [[6, 7, 9], [2, 3, 4]]
    assert halved([(1, 0), (2, 0), (3, 1)]) == ([1, 2], [3]), "two windows are not cut where another event is there"
    assert halved([]) == ([], [])


def test_channels_by_name() -> None:
    assert channel_indices(("A", "B", "C"), "C, A") == [2, 0]
    assert channel_indices(("A", "B"), "") == [0, 1]
    with pytest.raises(UsageError, match="'X'"):
        channel_indices(("A", "B"), "A,X")


def test_resampling_keeps_what_fits_and_folds_nothing() -> None:
    """10 Hz stays; 100 Hz, above the new Nyquist frequency of 80, is gone instead of turning up at 60."""
    x = torch.cat([sines(10.0, 250.0, 500), sines(100.0, 250.0, 500)]).numpy()
    changed = resampled(x, 250.0, 160.0)
    assert changed.shape == (12, 2, 320)
    inner = changed[..., 40:-40]
    torch.testing.assert_close(inner[:6], sines(10.0, 160.0, 320)[..., 40:-40], atol=0.02, rtol=0.0)
    assert float(inner[6:].abs().max()) < 0.02
    assert torch.equal(resampled(x, 250.0, 250.0), torch.tensor(x))


def test_synthetic_windows_help_where_training_windows_lack_a_class_s_range() -> None:
    """Class 1 is louder in the real windows than it ever was in training; fakes that know it raise accuracy, copies do not."""

    def labelled(loud: float, seed: int) -> Labelled:
        y = torch.arange(60) % 2
        return Labelled(noise(60, 2, 128, seed=seed) * (1.0 + (loud - 1.0) * y).reshape(-1, 1, 1), y)

    train, real = labelled(1.05, 1), labelled(4.0, 2)
    settings: dict[str, Any] = {"rate": 128.0, "seed": 0}
    assert augmentation_gain(train, real, labelled(4.0, 3), **settings) > 0.1
    assert augmentation_gain(real, real, real, **settings) == pytest.approx(0.0)
