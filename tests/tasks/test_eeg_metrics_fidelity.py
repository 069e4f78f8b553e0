"""Distances between real and generated windows: known values, what must not change them, and what they must find."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from kernels.gram_matmul.reference import BLOCK_ELEMENTS
from tasks.eeg import manifold, spectra
from tasks.eeg.features import FeatureSpace, features
from tasks.eeg.fidelity import (
    autocorrelation_distance,
    band_errors,
    covariance_distance,
    discrepancy,
    diversity,
    mean_covariance,
    median_distance,
    psd_distance,
)
from tasks.eeg.manifold import prdc

RATE = 250.0

MEASURES: dict[str, Callable[[Tensor, Tensor], float]] = {
    "band": lambda real, fake: float(band_errors(real, fake, RATE).mean()),
    "psd": lambda real, fake: psd_distance(real, fake, RATE),
    "covariance": covariance_distance,
    "autocorrelation": autocorrelation_distance,
    "diversity": lambda real, fake: diversity(fake),
    "mmd": lambda real, fake: discrepancy(real, fake, 0, stream(0), sigmas=(40.0,))[0],
    "prdc": lambda real, fake: sum(prdc(real.flatten(1), fake.flatten(1))),
}


def stream(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=stream(seed), dtype=dtype)


class Largest(TorchDispatchMode):
    """The number of elements of the largest tensor that any operation gave."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.elements = max(self.elements, result.numel())
        return result


@pytest.mark.parametrize("name", MEASURES)
def test_the_order_of_windows_does_not_matter(name: str) -> None:
    real, fake = noise(40, 3, 260), 1.3 * noise(33, 3, 260, seed=1) + 0.2
    order = torch.randperm(33, generator=stream(2))
    true = MEASURES[name](real, fake)
    assert MEASURES[name](real, fake[order]) == pytest.approx(true, rel=1e-9)
    assert MEASURES[name](real.flip(0), fake) == pytest.approx(true, rel=1e-9)


@pytest.mark.parametrize("name", MEASURES)
def test_one_window_that_is_not_finite_makes_a_measure_nan(name: str) -> None:
    real, fake = noise(20, 2, 260), noise(20, 2, 260, seed=1)
    fake[3, 1, 100] = math.nan
    assert math.isnan(MEASURES[name](real, fake))


@pytest.mark.parametrize("name", ["band", "psd", "covariance", "autocorrelation", "diversity", "prdc"])
def test_the_unit_does_not_matter(name: str) -> None:
    real, fake = noise(30, 3, 260), 1.3 * noise(30, 3, 260, seed=1)
    assert MEASURES[name](1e-6 * real, 1e-6 * fake) == pytest.approx(MEASURES[name](real, fake), rel=1e-9)


@pytest.mark.parametrize("name", ["band", "psd", "covariance", "autocorrelation"])
def test_windows_are_at_no_distance_from_themselves(name: str) -> None:
    real = noise(30, 3, 260)
    assert MEASURES[name](real, real.clone()) == 0.0


@pytest.mark.parametrize("name", ["band", "psd", "covariance", "autocorrelation", "diversity"])
def test_pieces_give_what_the_whole_gives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = noise(30, 3, 260, dtype=torch.float32), 1.3 * noise(31, 3, 260, seed=1, dtype=torch.float32)
    whole = MEASURES[name](real, fake)
    monkeypatch.setitem(spectra.CHUNK_BYTES, "cpu", 4 * 3 * 260 * 4)
    assert MEASURES[name](real, fake) == pytest.approx(whole, rel=1e-5)


def test_windows_twice_as_large_have_four_times_the_power() -> None:
    real = noise(20, 2, 300)
    assert band_errors(real, 2.0 * real, RATE).tolist() == pytest.approx([3.0] * 5)
    assert band_errors(real, 0.0 * real, RATE).tolist() == pytest.approx([1.0] * 5)
    assert psd_distance(real, 2.0 * real, RATE) == pytest.approx(3.0)
    assert covariance_distance(real, 2.0 * real) == pytest.approx(3.0)
    assert autocorrelation_distance(real, 2.0 * real) == pytest.approx(0.0, abs=1e-12)


def test_a_sinusoid_too_much_is_an_error_of_its_band_alone() -> None:
    """10 Hz of amplitude 8 on 40 Hz of amplitude 2 that real windows have too, in bins of 1 Hz."""
    times = torch.arange(250, dtype=torch.float64) / RATE
    phases = 6.28 * torch.rand(50, 1, 1, generator=stream(1), dtype=torch.float64)
    real = sum(2.0 * torch.sin(2 * math.pi * f * times + phases) for f in (2.0, 6.0, 10.0, 20.0, 40.0))
    fake = real + 2.0 * torch.sin(2 * math.pi * 10.0 * times + phases)
    assert band_errors(real, fake, RATE, segment=250).tolist() == pytest.approx([0.0, 0.0, 3.0, 0.0, 0.0], abs=1e-6)


def test_channels_exchanged_are_seen_where_band_power_sees_nothing() -> None:
    real = noise(400, 2, 250) * torch.tensor([1.0, 3.0]).reshape(1, 2, 1)
    fake = real.flip(1)
    assert band_errors(real, fake, RATE).max() < 1e-9
    assert psd_distance(real, fake, RATE) == pytest.approx(math.sqrt(2) * 8 / math.sqrt(82), rel=0.02)
    assert covariance_distance(real, fake) == pytest.approx(math.sqrt(2) * 8 / math.sqrt(82), rel=0.02)


def test_covariance_is_numpys_mean_over_windows() -> None:
    x = noise(12, 4, 90) + 5.0
    true = np.mean([np.cov(window) for window in x.numpy()], axis=0)
    np.testing.assert_allclose(mean_covariance(x).numpy(), true, rtol=1e-12)


def test_autocorrelation_distance_is_the_norm_over_lags_averaged_over_channels() -> None:
    """Flat windows have no autocorrelation at all, so that their distance is the norm of the real one."""
    real = noise(50, 2, 2000)
    assert autocorrelation_distance(real, torch.zeros_like(real), lags=30) == pytest.approx(1.0, abs=0.01)
    walk = real.cumsum(-1)
    assert autocorrelation_distance(real, walk, lags=4) == pytest.approx(2.0, abs=0.02)


def test_diversity_is_one_less_the_mean_correlation_of_pairs() -> None:
    x = noise(25, 2, 100) + noise(1, 2, 100, seed=5) + 3.0
    correlations = np.corrcoef(x.flatten(1).numpy())
    pairs = correlations[np.triu_indices(25, 1)]
    assert diversity(x) == pytest.approx(1.0 - pairs.mean(), rel=1e-12)
    assert diversity(x * torch.rand(25, 1, 1, generator=stream(0)) - 8.0) == pytest.approx(diversity(x), rel=1e-9)


def test_diversity_of_copies_is_none_and_of_opposites_two() -> None:
    window = noise(1, 2, 100)
    assert diversity(window.repeat(9, 1, 1)) == pytest.approx(0.0, abs=1e-12)
    assert diversity(torch.cat([window, -window])) == pytest.approx(2.0)
    assert math.isnan(diversity(torch.ones(3, 2, 10)))
    with pytest.raises(ValueError, match="no pair"):
        diversity(window)


def test_mmd_is_the_mean_over_pairs_and_bandwidths() -> None:
    real, fake, sigmas = noise(9, 2, 10), noise(7, 2, 10, seed=1) + 0.5, (2.0, 5.0)

    def mean(a: Tensor, b: Tensor, *, same: bool) -> float:
        values = [
            sum(math.exp(-float((p - q).square().sum()) / (2 * s * s)) for s in sigmas) / len(sigmas)
            for i, p in enumerate(a)
            for j, q in enumerate(b)
            if not (same and i == j)
        ]
        return sum(values) / len(values)

    true = mean(real, real, same=True) + mean(fake, fake, same=True) - 2.0 * mean(real, fake, same=False)
    value, p = discrepancy(real, fake, 0, stream(0), sigmas=sigmas)
    assert value == pytest.approx(true, rel=1e-9)
    assert math.isnan(p)


def test_median_distance_is_that_of_the_pairs() -> None:
    x = noise(40, 2, 30)
    assert median_distance(x) == pytest.approx(float(torch.pdist(x.flatten(1)).median()), rel=1e-9)


def test_a_space_of_features_is_in_units_of_its_reference() -> None:
    reference = noise(200, 2, 256) * 5.0
    space = FeatureSpace.of(reference, RATE)
    points = space(reference)
    torch.testing.assert_close(points.mean(0), torch.zeros_like(points[0]), atol=1e-9, rtol=0.0)
    torch.testing.assert_close(points.std(0), torch.ones_like(points[0]), atol=1e-9, rtol=0.0)
    raw = features(reference[:7] * 2.0, RATE)
    torch.testing.assert_close(space(reference[:7] * 2.0), (raw - features(reference, RATE).mean(0)) / features(reference, RATE).std(0))
    flat = FeatureSpace.of(torch.ones(4, 2, 256), RATE)(reference[:3])
    assert bool(flat.isfinite().all()), "a reference without spread has a unit all the same"


def test_between_raw_windows_noise_is_nearer_than_another_stretch_and_between_features_it_is_not() -> None:
    """Waves of 3 Hz, twice as large on the other side: still the same kind of signal. White noise of the first side's variance is none."""
    time = torch.arange(256) / RATE

    def waves(scale: float, seed: int) -> Tensor:
        phase = 2 * math.pi * torch.rand(100, 1, 1, generator=stream(seed), dtype=torch.float64)
        size = scale * (0.5 * noise(100, 1, 1, seed=200 + seed)).exp()
        return size * torch.sin(2 * math.pi * 3.0 * time + phase) + noise(100, 1, 256, seed=100 + seed)

    reference, real, other = waves(1.0, 0), waves(1.0, 1), waves(2.0, 2)
    white = noise(100, 1, 256, seed=5) * real.std()

    def distances(at: Callable[[Tensor], Tensor]) -> list[float]:
        sigmas = [median_distance(at(reference))]
        return [discrepancy(at(real), at(fake), 0, stream(0), sigmas=sigmas)[0] for fake in (other, white)]

    raw, described = distances(lambda x: x), distances(FeatureSpace.of(reference, RATE))
    assert raw[0] > 3.0 * raw[1]
    assert described[1] > 3.0 * described[0]


def test_equal_distributions_lie_inside_the_permutation_null() -> None:
    """Under the null p <= a has probability at most a: of 300 draws at a = 0.1, 48 or more come once in 1,400 times."""
    p_values, values = [], []
    for seed in range(300):
        x = noise(24, 1, 12, seed=seed, dtype=torch.float32)
        value, p = discrepancy(x[:14], x[14:], 49, stream(seed))
        p_values.append(p)
        values.append(value)
    found = np.array(p_values)
    assert (found <= 0.1).sum() < 48
    assert 0.43 < found.mean() < 0.58
    # Unbiased: the mean over draws is 0.
    assert abs(np.mean(values)) < 4.0 * np.std(values) / math.sqrt(300)


def test_a_planted_shift_is_found_with_the_smallest_p() -> None:
    real, fake = noise(60, 2, 50), noise(50, 2, 50, seed=1)
    shifted = fake + 0.35
    assert discrepancy(real, fake, 199, stream(0))[1] > 0.01
    value, p = discrepancy(real, shifted, 199, stream(0))
    assert p == pytest.approx(1 / 200)
    assert value > 0.0


def test_the_same_stream_gives_the_same_p() -> None:
    real, fake = noise(30, 2, 50), noise(30, 2, 50, seed=1) + 0.05
    assert discrepancy(real, fake, 99, stream(4)) == discrepancy(real, fake, 99, stream(4))


def test_no_matrix_of_pairs_is_formed(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 2100
    real, fake = noise(count, 1, 8, dtype=torch.float32), noise(count, 1, 8, seed=1, dtype=torch.float32)
    assert (2 * count) ** 2 > BLOCK_ELEMENTS
    with Largest() as seen:
        discrepancy(real, fake, 1, stream(0))
    assert seen.elements <= BLOCK_ELEMENTS
    monkeypatch.setattr(manifold, "BLOCK_ELEMENTS", 50_000)
    with Largest() as seen:
        prdc(real[:600].flatten(1), fake[:600].flatten(1))
    assert seen.elements <= 50_000
    with Largest() as seen:
        diversity(real)
    assert seen.elements <= real.numel()


POINTS = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[0.5], [4.0], [10.0]])


def test_prdc_of_six_points_on_a_line() -> None:
    """Radii to the nearest: 1, 1, 2 of the reals and 3.5, 3.5, 6 of the fakes. In real balls lie 0.5 (twice), 4 (once), 10 (never)."""
    found = prdc(*POINTS, k=1)
    assert found == pytest.approx((2 / 3, 1.0, 1.0, 1.0))
    turned = prdc(*reversed(POINTS), k=1)
    assert (turned.precision, turned.recall) == pytest.approx((found.recall, found.precision))
    # The other way round: about 0.5 lie 0, 1 and 3, about 4 lie 1 and 3, about 10 lies none.
    assert turned.density == pytest.approx(5 / 3)
    assert turned.coverage == pytest.approx(2 / 3)


def test_balls_are_open_and_a_sample_is_no_neighbour_of_itself() -> None:
    """A fake at exactly the distance of the nearest neighbour lies outside."""
    real, fake = torch.tensor([[0.0], [1.0]]), torch.tensor([[2.0], [-1.0]])
    assert prdc(real, fake, k=1) == pytest.approx((0.0, 1.0, 0.0, 0.0))


def test_sides_far_apart_share_nothing_and_copies_share_all() -> None:
    real = noise(80, 6)
    assert prdc(real, real + 100.0) == (0.0, 0.0, 0.0, 0.0)
    same = prdc(real, real.clone())
    assert (same.precision, same.recall, same.coverage) == (1.0, 1.0, 1.0)
    # Each ball holds its own centre and the k - 1 samples nearer than the k-th.
    assert same.density == pytest.approx(1.0)


def test_a_collapsed_generator_is_precise_and_covers_little() -> None:
    real = noise(100, 4)
    fake = real.square().sum(1).argmin().expand(100)
    found = prdc(real, real[fake] + 1e-6 * noise(100, 4, seed=1))
    assert found.precision == 1.0
    assert found.recall <= 0.01
    assert found.density > 1.2
    assert found.coverage < 0.2


def test_coverage_of_equal_distributions_has_its_expectation() -> None:
    """1 - prod_{i=1..k} (n - i) / (n + m - i): the k nearest of a real among the n - 1 others and m fakes are all real (Naeem, 2020)."""
    n, m, k, draws = 120, 90, 3, 40
    found = [prdc(noise(n, 5, seed=seed), noise(m, 5, seed=1000 + seed), k=k) for seed in range(draws)]
    expected = 1.0 - math.prod((n - i) / (n + m - i) for i in range(1, k + 1))
    coverage = np.array([one.coverage for one in found])
    assert abs(coverage.mean() - expected) < 4.0 * coverage.std() / math.sqrt(draws)
    density = np.array([one.density for one in found])
    # A fake lies in a real's ball when it is nearer than the k-th of n - 1: k / n of the time.
    assert abs(density.mean() - 1.0) < 4.0 * density.std() / math.sqrt(draws)


@pytest.mark.parametrize("height", [1, 100, 1 << 24])
def test_blocks_of_any_height_give_the_same_prdc(height: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = noise(50, 4), 0.8 * noise(40, 4, seed=1)
    whole = prdc(real, fake)
    monkeypatch.setattr(manifold, "BLOCK_ELEMENTS", height)
    assert prdc(real, fake) == whole


def test_too_few_samples_for_their_neighbours_are_refused() -> None:
    with pytest.raises(ValueError, match="5 neighbours"):
        prdc(noise(5, 2), noise(9, 2))
    with pytest.raises(ValueError, match=r"\(9, 3\)"):
        prdc(noise(9, 2), noise(9, 3))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", MEASURES)
def test_a_gpu_gives_what_the_cpu_gives(name: str) -> None:
    real, fake = noise(300, 8, 250), 1.3 * noise(280, 8, 250, seed=1)
    assert MEASURES[name](real.cuda(), fake.cuda()) == pytest.approx(MEASURES[name](real, fake), rel=1e-9)
    single = MEASURES[name](real.float().cuda(), fake.float().cuda())
    assert single == pytest.approx(MEASURES[name](real.float(), fake.float()), rel=1e-3, abs=1e-5)
