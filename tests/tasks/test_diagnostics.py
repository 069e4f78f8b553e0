"""Singular values, gains, spectrum shapes, participation ratios and bimodality against known values."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch
from torch import nn

from tasks.blocks.algorithmic import modular
from tasks.blocks.diagnostics import (
    bimodality_coefficient,
    correlation,
    frequency_power,
    frequency_use,
    geometric_mean,
    inverse_participation_ratio,
    neuron_periodicity,
    periodicity,
    rms,
    singular_values,
    spectrum_shape,
    sublayer_gains,
    without_neurons,
)
from tasks.blocks.small_members import Member
from tasks.blocks.supervision import PERIODICITY
from tasks.blocks.training import generator
from tasks.llm.mup_weight_decay_transfer.measure import finite, spectrum_metrics
from tests.tasks.planted import PERIODIC, remembering


@pytest.mark.parametrize("shape", [(40, 12), (12, 40), (30, 30)])
def test_singular_values_are_those_of_a_full_decomposition(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=generator(0))
    expected = torch.linalg.svdvals(matrix.double())
    torch.testing.assert_close(singular_values(matrix), expected, rtol=1e-9, atol=1e-8 * float(expected[0]))


def test_a_matrix_of_rank_one_has_one_singular_value() -> None:
    values = singular_values(torch.outer(torch.tensor([3.0, 4.0]), torch.tensor([1.0, 2.0, 2.0])))
    assert values.tolist() == pytest.approx([15.0, 0.0], abs=1e-6)


def test_the_geometric_mean_refuses_what_has_no_logarithm() -> None:
    assert geometric_mean([1.0, 4.0, 16.0]) == pytest.approx(4.0)
    assert all(math.isnan(geometric_mean(values)) for values in ([], [1.0, 0.0], [1.0, math.inf], [math.nan]))


def test_the_gain_of_a_scaling_is_its_factor() -> None:
    layer = nn.Linear(4, 4, bias=False)
    with torch.no_grad():
        layer.weight.copy_(-2.5 * torch.eye(4))
    x = torch.randn(6, 4)
    assert sublayer_gains({"layer": layer}, lambda: layer(x)) == pytest.approx({"layer": 2.5}, rel=1e-6)
    assert not layer._forward_hooks


def test_hooks_are_gone_after_an_error() -> None:
    layer = nn.Linear(4, 4)
    with pytest.raises(RuntimeError):
        sublayer_gains({"layer": layer}, lambda: layer(torch.ones(3)))
    assert not layer._forward_hooks


def test_a_shape_does_not_depend_on_the_scale_but_on_the_spread() -> None:
    flat, steep = torch.linspace(1, 2, 50).double(), torch.logspace(-2, 2, 50).double()
    assert spectrum_shape([flat]) == pytest.approx(spectrum_shape([7 * flat]))
    assert spectrum_shape([flat])["shape_top"] < spectrum_shape([steep])["shape_top"]
    assert spectrum_shape([torch.ones(9).double()]) == pytest.approx(dict.fromkeys(spectrum_shape([flat]), 1.0))


def test_spectrum_metrics_of_known_matrices() -> None:
    metrics = spectrum_metrics({"in": [2 * torch.eye(3)], "out": [8 * torch.eye(3), 0.5 * torch.eye(3)]}, lr=0.04, decay=0.01)
    assert metrics["sigma_top_in"] == pytest.approx(2.0)
    assert metrics["sigma_top_out"] == pytest.approx(2.0)
    assert metrics["sigma_top"] == pytest.approx(2.0)
    assert metrics["sigma_norm_out"] == pytest.approx(1.0)
    assert metrics["entry_norm"] == pytest.approx(metrics["entry_rms"] / 2)
    assert not any("norm" in name for name in spectrum_metrics({"in": [torch.eye(3)]}, lr=0.04, decay=0.0))


def test_finite_sees_one_bad_entry() -> None:
    bad = torch.zeros(3, 3)
    bad[1, 2] = math.inf
    assert finite({"in": [torch.zeros(3, 3)]})
    assert not finite({"in": [torch.zeros(3, 3)], "out": [bad]})
    assert rms(torch.tensor([3.0, 4.0])) == pytest.approx(math.sqrt(12.5))


def test_power_lies_at_the_frequencies_of_all_inputs() -> None:
    """A cosine of frequency k on p places has (p / 2)^2 there; its phase and a constant change nothing, other places do."""
    waves = [[torch.cos(2 * math.pi * k * torch.arange(7.0) / 7 + s) + 3.0 for s in (0.0, 1.0)] for k in (1, 3)]
    found = frequency_power(torch.stack([torch.cat(wave) for wave in waves], dim=1))
    torch.testing.assert_close(found, torch.tensor([[24.5, 0.0], [0.0, 0.0], [0.0, 24.5]]), rtol=1e-5, atol=1e-4)
    mixed = frequency_power(torch.stack([2.0 * waves[0][0], waves[1][0]]).reshape(14, 1))
    torch.testing.assert_close(mixed[:, 0], torch.tensor([49.0, 0.0, 12.25]), rtol=1e-5, atol=1e-4)
    assert frequency_power(torch.ones(15, 4), inputs=3).shape == (2, 4)


def test_units_that_hold_one_frequency_each_use_as_many() -> None:
    places = 2 * math.pi * torch.arange(7, dtype=torch.float64) / 7
    wave = torch.stack([torch.cat([torch.cos(k * places + s) for s in (0.0, 1.0)]) for k in (1, 3)], dim=1)
    assert frequency_use(wave) == pytest.approx({"frequency_share": 1.0, "frequencies": 2 / 3})
    mixed = frequency_use(wave @ torch.tensor([[1.0, 1.0], [0.5, 3.0]], dtype=torch.float64))
    assert mixed == pytest.approx({"frequency_share": (1 + 9) / (1 + 0.25 + 1 + 9), "frequencies": 100 / (1 + 81) / 3})


def test_a_participation_ratio_counts_frequencies() -> None:
    n = torch.arange(31, dtype=torch.float64)
    waves = [torch.cos(2 * math.pi * k * n / 31 + k) for k in (2, 5)]
    rows = torch.stack([waves[0], waves[0] + waves[1], torch.eye(31, dtype=torch.float64)[3], torch.zeros(31, dtype=torch.float64)])
    assert inverse_participation_ratio(rows, 1).tolist() == pytest.approx([1.0, 0.5, 1 / 16, 0.0], abs=1e-12)
    assert inverse_participation_ratio(rows.T, 0).tolist() == inverse_participation_ratio(rows, 1).tolist()
    assert inverse_participation_ratio((rows * 1e-30).float(), 1).tolist() == pytest.approx([1.0, 0.5, 1 / 16, 0.0], abs=1e-5)
    assert inverse_participation_ratio(torch.full((5,), math.nan), 0).isnan()


def test_a_participation_ratio_is_the_published_formula() -> None:
    rows = torch.randn(20, 23, generator=generator(4), dtype=torch.float64)
    spectrum = np.abs(np.fft.rfft(rows.numpy(), axis=1))
    published = (np.linalg.norm(spectrum, 4, axis=1) / np.linalg.norm(spectrum, 2, axis=1)) ** 4
    np.testing.assert_allclose(inverse_participation_ratio(rows, 1).numpy(), published, rtol=1e-12)


def test_a_neuron_is_as_periodic_as_the_mean_of_its_weights() -> None:
    wave = torch.cos(2 * math.pi * torch.arange(7, dtype=torch.float64) / 7)
    one, none = torch.eye(7, dtype=torch.float64)[2], torch.zeros(7, dtype=torch.float64)
    first = torch.stack([torch.cat([wave, wave]), torch.cat([wave, one]), torch.cat([one, none])], 1)
    last = torch.stack([wave, one, one])
    assert neuron_periodicity(first, last).tolist() == pytest.approx([1.0, (1 + 1 / 4 + 1 / 4) / 3, (1 / 4 + 0 + 1 / 4) / 3])
    packed = neuron_periodicity(torch.stack([first, first.flip(1)]), torch.stack([last, last.flip(0)]))
    assert packed[1].tolist() == pytest.approx(packed[0].flip(0).tolist())


def test_the_neurons_of_a_planted_network_are_periodic_or_memories() -> None:
    inputs, truth = modular(11, encoding="index")
    one = Member(seed=0, inputs=inputs, targets=torch.where(torch.arange(121) < 9, (truth + 1) % 11, truth), splits={}, lr=0.1, steps=1)
    weights = remembering(one)
    ipr = torch.tensor([1.0] * PERIODIC + [1 / 6] * 9)
    torch.testing.assert_close(neuron_periodicity(weights["weight0"], weights["weight1"]), ipr)
    found = {name: float(value) for name, value in periodicity(weights["weight0"], weights["weight1"]).items()}
    mean = (PERIODIC + 9 / 6) / (PERIODIC + 9)
    wanted = {"ipr_mean": mean, "ipr_q10": 1 / 6, "ipr_median": 1.0, "ipr_q90": 1.0, "ipr_bimodality": 1.0}  # two points
    assert found == pytest.approx(wanted, rel=1e-5)
    assert [metric.name for metric in PERIODICITY] == list(wanted)


def test_neurons_are_pruned_in_the_order_of_their_numbers_or_any() -> None:
    numbers, last = torch.tensor([0.2, 0.9, 0.2, 0.1, 0.5]), torch.ones(5, 2)
    for which, share, kept in (("lowest", 0.4, [0, 1, 1, 0, 1]), ("highest", 0.4, [1, 0, 1, 1, 0]), ("lowest", 0.0, [1] * 5)):
        assert without_neurons(last, numbers, share, which).tolist() == [[float(one)] * 2 for one in kept]  # type: ignore[arg-type]
    drawn = [without_neurons(torch.ones(40, 1), torch.arange(40.0), 0.3, "random", seed=seed) for seed in (0, 0, 1)]
    assert [int((one == 0).sum()) for one in drawn] == [12, 12, 12]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert last.all()


def test_a_correlation_is_numpys() -> None:
    x, y = torch.randn(2, 3, 20, generator=generator(2), dtype=torch.float64)
    assert correlation(x, y).tolist() == pytest.approx([np.corrcoef(a, b)[0, 1] for a, b in zip(x.numpy(), y.numpy(), strict=True)])
    assert float(correlation(x[0], -3.0 * x[0] + 5.0)) == pytest.approx(-1.0)


def test_bimodality_of_known_distributions() -> None:
    two, uniform = torch.tensor([0.0, 1.0, 0.0, 1.0], dtype=torch.float64), torch.linspace(0, 1, 10001, dtype=torch.float64)
    assert float(bimodality_coefficient(two)) == pytest.approx(1.0)
    assert float(bimodality_coefficient(uniform)) == pytest.approx(5 / 9, abs=1e-4)
    skewed = torch.rand(4, 200, generator=generator(1), dtype=torch.float64) ** 3
    expected = (scipy.stats.skew(skewed.numpy(), axis=1) ** 2 + 1) / scipy.stats.kurtosis(skewed.numpy(), axis=1, fisher=False)
    np.testing.assert_allclose(bimodality_coefficient(skewed).numpy(), expected, rtol=1e-10)
    assert float(bimodality_coefficient(torch.full((7,), 0.25))) == 0.0
    assert bimodality_coefficient(torch.tensor([0.0, math.nan])).isnan()
