"""Mixing against closed forms, networks against hand counts, the gate, the adversary and the filters on planted signals."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from harness.errors import UsageError
from tasks.blocks.complexity import parameters
from tasks.blocks.training import generator
from tasks.eeg.eeg_denoising_atat.claims import floor_correlation
from tasks.eeg.eeg_denoising_atat.classical import band_pass, eemd, wavelet
from tasks.eeg.eeg_denoising_atat.cleaning import multiply_adds
from tasks.eeg.eeg_denoising_atat.experiment import area_under_roc, per_window
from tasks.eeg.eeg_denoising_atat.methods import LEVELS
from tasks.eeg.eeg_denoising_atat.mixing import cut, mix, mixed, rms, scoring_pairs, training_pairs
from tasks.eeg.eeg_denoising_atat.networks import NETWORKS, Dropout
from tasks.eeg.eeg_denoising_atat.targeted import (
    Autoencoder,
    Discriminator,
    Targeted,
    Transformer,
    budget_threshold,
    check_lengths,
    correlation,
    fooling_loss,
    telling_loss,
)

RATE = 256.0


def tone(frequency: float, samples: int = 256, amplitude: float = 1.0, phase: float = 0.0) -> Tensor:
    """A sinusoid at 256 Hz, (1, samples), float64."""
    seconds = torch.arange(samples, dtype=torch.float64) / RATE
    return amplitude * torch.sin(2 * math.pi * frequency * seconds + phase)[None]


def levels_of(snr: float, count: int) -> tuple[Tensor, Tensor]:
    return torch.full((count,), snr, dtype=torch.float64), torch.ones(count, dtype=torch.bool)


@pytest.mark.parametrize("snr", LEVELS)
def test_doing_nothing_has_a_closed_form(snr: float) -> None:
    """Whole periods of different frequencies are uncorrelated exactly."""
    noisy, clean = mix(tone(10, amplitude=7.0), tone(33, amplitude=100.0), *levels_of(snr, 1))
    rho = 10.0 ** (snr / 10.0)
    scores = per_window(noisy, clean, RATE)
    assert float(scores["cc"]) == pytest.approx(1.0 / math.sqrt(1.0 + rho**-2), abs=1e-12)
    assert float(scores["cc"]) == pytest.approx(floor_correlation(snr), abs=1e-12)
    assert float(scores["rrmse_temporal"]) == pytest.approx(1.0 / rho, rel=1e-12)
    assert 10.0 * math.log10(float(rms(clean) / rms(noisy - clean))) == pytest.approx(snr, abs=1e-9)
    power = 10.0 * math.log10(float(clean.square().mean() / (noisy - clean).square().mean()))
    assert power == pytest.approx(2.0 * snr, abs=1e-9), "their dB are of amplitudes"


def test_the_floor_that_the_catalogue_names() -> None:
    assert [round(floor_correlation(snr), 3) for snr in (2.0, 0.0, -7.0)] == [0.846, 0.707, 0.196]


def test_both_are_divided_by_the_deviation_of_the_noisy_window_and_clean_windows_stay_clean() -> None:
    stream = generator(0)
    eeg, artifact = (scale * torch.randn(6, 128, generator=stream, dtype=torch.float64) + 3.0 for scale in (5.0, 80.0))
    contaminated = torch.tensor([True, False, True, False, True, True])
    noisy, clean = mix(eeg, artifact, torch.linspace(-7, 2, 6, dtype=torch.float64), contaminated)
    assert noisy.std(1, correction=0).tolist() == pytest.approx([1.0] * 6)
    assert torch.equal(noisy[~contaminated], clean[~contaminated])
    assert correlation(clean, eeg).tolist() == pytest.approx([1.0] * 6), "clean windows are scaled, nothing else"
    louder = mix(eeg, 9.0 * artifact, torch.linspace(-7, 2, 6, dtype=torch.float64), contaminated)
    torch.testing.assert_close(louder, (noisy, clean))


def test_training_pairs_use_every_artifact_once_a_pairing_and_eeg_evenly() -> None:
    pairs = training_pairs(30, 70, 10, 0.2, generator(1))
    assert len(pairs) == 700
    for pairing in range(10):
        part = slice(70 * pairing, 70 * (pairing + 1))
        assert sorted(pairs.artifact[part].tolist()) == list(range(70))
        used = torch.bincount(pairs.eeg[part], minlength=30)
        assert int(used.max() - used.min()) <= 1
    assert -7.0 <= float(pairs.snr.min()) < -6.8
    assert 1.8 < float(pairs.snr.max()) <= 2.0
    assert float((~pairs.contaminated).double().mean()) == pytest.approx(0.2, abs=0.05)
    assert not torch.equal(pairs.eeg[:70], pairs.eeg[70:140])


def test_scoring_pairs_are_the_same_at_every_level_and_nested_over_mixes() -> None:
    drawn = {mix: scoring_pairs(50, 20, 40, snr, mix, generator(2)) for snr, mix in ((-7.0, 1.0), (2.0, 0.5), (0.0, 0.25))}
    full, half, quarter = drawn[1.0], drawn[0.5], drawn[0.25]
    for other in (half, quarter):
        assert torch.equal(full.eeg, other.eeg)
        assert torch.equal(full.artifact, other.artifact)
    assert len(set(full.eeg.tolist())) == 40, "no clean window twice"
    assert [int(pairs.contaminated.sum()) for pairs in (full, half, quarter)] == [40, 20, 10]
    assert bool((half.contaminated | ~quarter.contaminated).all())
    assert len(scoring_pairs(50, 20, 0, 0.0, 1.0, generator(2))) == 50


def test_windows_are_cut_in_order_and_a_rest_is_left_out() -> None:
    epochs = torch.arange(20.0).reshape(2, 10)
    assert cut(epochs, 4).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [10, 11, 12, 13], [14, 15, 16, 17]]
    assert torch.equal(cut(epochs, 0), epochs)
    with pytest.raises(UsageError, match="windows of 11 samples do not fit into epochs of 10"):
        cut(epochs, 11)


def test_scores_of_what_is_known() -> None:
    clean = tone(10) + tone(21, phase=0.4)
    perfect, doubled, off = (per_window(cleaned, clean, RATE) for cleaned in (clean, 2.0 * clean, -clean))
    assert [float(perfect[name]) for name in ("cc", "rrmse_temporal", "rrmse_spectral")] == pytest.approx([1.0, 0.0, 0.0])
    assert [float(doubled[name]) for name in ("cc", "rrmse_temporal", "rrmse_spectral")] == pytest.approx([1.0, 1.0, 3.0])
    assert [float(off[name]) for name in ("cc", "rrmse_temporal", "rrmse_spectral")] == pytest.approx([-1.0, 2.0, 0.0])


def test_correlation_is_pearsons() -> None:
    stream = generator(3)
    x, y = torch.randn(2, 5, 64, generator=stream, dtype=torch.float64)
    wanted = [np.corrcoef(a, b)[0, 1] for a, b in zip(x.numpy(), y.numpy(), strict=True)]
    assert correlation(x, y).tolist() == pytest.approx(wanted)
    assert correlation(3.0 * x + 1.0, y - 7.0).tolist() == pytest.approx(wanted)
    assert math.isnan(float(correlation(torch.ones(64), x[0])))


def test_area_under_the_roc_curve_counts_pairs() -> None:
    low, high = torch.tensor([0.1, 0.5, 0.5, 0.9]), torch.tensor([0.5, 0.7, 0.05])
    by_hand = sum((a < b) + 0.5 * (a == b) for a in low.tolist() for b in high.tolist()) / 12
    assert area_under_roc(low, high) == pytest.approx(by_hand)
    assert area_under_roc(torch.tensor([1.0, 2.0]), torch.tensor([3.0])) == 1.0


def _convolutions(*layers: tuple[int, int, int]) -> int:
    """Weights, biases and both BatchNorm vectors of (inputs, outputs, kernel)."""
    return sum(inputs * outputs * kernel + 3 * outputs for inputs, outputs, kernel in layers)


def test_parameters_at_the_published_length() -> None:
    """The counts of EEGdenoiseNet at 1,024 samples: 4.20, 67.1, 33.6 and 3.15 million."""
    dense = 1024 * 1024 + 1024
    branches = [layer for kernel in (3, 5, 7) for _ in range(2) for layer in ((32, 32, kernel), (32, 16, kernel), (16, 32, kernel))]
    by_hand = {
        "fcnn": 4 * dense,
        "cnn": _convolutions((1, 64, 3), (64, 64, 3), (64, 64, 3), (64, 64, 3)) + 64 * 1024 * 1024 + 1024,
        "complex-cnn": _convolutions((1, 32, 5), *branches, (96, 32, 1)) + 32 * 1024 * 1024 + 1024,
        "rnn": 3 * dense + 4 * (1 + 1 + 2),
    }
    published = {"fcnn": 4.20, "cnn": 67.1, "complex-cnn": 33.6, "rnn": 3.15}
    for name, make in NETWORKS.items():
        with torch.device("meta"):
            count = parameters(make(1024, nn.Identity))
        assert count == by_hand[name], name
        assert count / 1e6 == pytest.approx(published[name], rel=5e-3), name


def test_parameters_and_multiply_adds_of_the_targeted_pair() -> None:
    autoencoder, transformer = Autoencoder(), Transformer(256)
    assert parameters(autoencoder) == 4769
    assert parameters(transformer) == 10_376
    encoder_decoder = 128 * 16 * 9 + 64 * 16 * 16 * 9 + 64 * 16 * 16 * 8 + 128 * 16 * 8
    layer = 32 * (16 * 32 + 4 * 32 * 32 + 2 * 32 * 64 + 32 * 8) + 2 * 32 * 32 * 32
    network = Targeted(autoencoder, transformer, 256, 0.9)
    assert multiply_adds(autoencoder, 256) == encoder_decoder
    assert multiply_adds(network, 256) == encoder_decoder + layer
    assert multiply_adds(network, 512, 0.25) == 2 * encoder_decoder + 0.25 * 2 * layer
    assert multiply_adds(NETWORKS["rnn"](256, nn.Identity), 256) == 3 * 256 * 256 + 256 * 4 * 2
    assert parameters(Autoencoder(2.0)) > 3 * 4769


@pytest.mark.parametrize("name", list(NETWORKS))
def test_networks_keep_the_windows_shape(name: str) -> None:
    assert NETWORKS[name](32, nn.Identity)(torch.randn(3, 32, generator=generator(0))).shape == (3, 32)


def _pair(threshold: float) -> Targeted:
    torch.manual_seed(0)
    return Targeted(Autoencoder(), Transformer(64), 64, threshold).eval()


def test_the_transformer_touches_what_is_sent_and_nothing_else() -> None:
    noisy = torch.randn(6, 256, generator=generator(4))
    network = _pair(float("inf"))
    with torch.no_grad():
        coarse = network.autoencoder(noisy)
        everywhere = network.clean(noisy)
        network.threshold = float(everywhere.proxy.median())
        gated = network.clean(noisy)
        nowhere = _pair(-1.0).clean(noisy)
    assert bool(everywhere.sent.all())
    assert not nowhere.sent.any()
    torch.testing.assert_close(nowhere.cleaned, coarse)
    assert gated.sent.shape == (6, 4)
    assert 0 < int(gated.sent.sum()) < 24
    sent = gated.sent.flatten()
    pieces, coarse_pieces, full = (network.segments(windows) for windows in (gated.cleaned, coarse, everywhere.cleaned))
    torch.testing.assert_close(pieces[sent], full[sent])
    assert torch.equal(pieces[~sent], coarse_pieces[~sent])
    assert not torch.allclose(full[sent], coarse_pieces[sent])
    wanted = correlation(noisy.reshape(-1, 64), coarse.reshape(-1, 64)).reshape(6, 4)
    torch.testing.assert_close(gated.proxy, wanted)


def test_a_proxy_that_is_no_number_is_sent() -> None:
    network = _pair(-1.0)
    proxy, sent = network.gate(torch.zeros(1, 64), torch.ones(1, 64))
    assert math.isnan(float(proxy))
    assert sent.tolist() == [True]


def test_a_budget_is_met_up_to_ties() -> None:
    proxy = torch.rand(1000, generator=generator(5))
    for budget in (0.1, 0.5, 0.9):
        assert float((proxy < budget_threshold(proxy, budget)).double().mean()) == pytest.approx(budget, abs=2e-3)


def test_lengths_that_do_not_fit_are_refused() -> None:
    check_lengths(512, 256)
    for samples, segment in ((500, 256), (96, 12), (64, 128)):
        with pytest.raises(UsageError, match=f"windows of {samples} samples need a segment that divides them"):
            check_lengths(samples, segment)


def test_each_player_gets_its_own_gradient_in_one_backward_pass() -> None:
    torch.manual_seed(0)
    discriminator, stream = Discriminator(), generator(6)
    clean = torch.randn(4, 64, generator=stream)
    filtered = torch.randn(4, 64, generator=stream, requires_grad=True)

    def gradients(loss: Tensor) -> tuple[Tensor, Tensor]:
        discriminator.zero_grad(set_to_none=True)
        filtered.grad = None
        loss.backward()
        weights = [torch.zeros_like(p) if p.grad is None else p.grad for p in discriminator.parameters()]
        return (torch.zeros(4, 64) if filtered.grad is None else filtered.grad), torch.cat([weight.flatten() for weight in weights])

    fooled = gradients(fooling_loss(discriminator, filtered).sum())
    told = gradients(telling_loss(discriminator, clean, filtered).sum())
    both = gradients((fooling_loss(discriminator, filtered) + telling_loss(discriminator, clean, filtered)).sum())
    assert bool(fooled[0].any())
    assert not fooled[1].any()
    assert not told[0].any()
    assert bool(told[1].any())
    torch.testing.assert_close(both, (fooled[0], told[1]))
    stepped = filtered.detach() - 0.1 * fooled[0]
    assert float(fooling_loss(discriminator, stepped).sum().detach()) < float(fooling_loss(discriminator, filtered).sum().detach())


def test_an_indifferent_discriminator_loses_what_it_must() -> None:
    discriminator = Discriminator()
    nn.init.zeros_(discriminator.head.weight)
    nn.init.zeros_(discriminator.head.bias)
    windows = torch.randn(3, 64, generator=generator(0))
    assert fooling_loss(discriminator, windows).tolist() == pytest.approx([math.log(2)] * 3)
    assert telling_loss(discriminator, windows, windows).tolist() == pytest.approx([2 * math.log(2)] * 3)


def test_dropout_keeps_the_mean_and_draws_from_its_own_stream() -> None:
    ones, before = torch.ones(100_000), torch.get_rng_state()
    first, again = (Dropout(0.3, generator(1))(ones) for _ in range(2))
    assert torch.equal(first, again)
    assert float(first.mean()) == pytest.approx(1.0, abs=0.01)
    assert set(first.tolist()) == {0.0, float(torch.tensor(1.0) / 0.7)}
    assert torch.equal(Dropout(0.3, generator(1)).eval()(ones), ones)
    assert torch.equal(torch.get_rng_state(), before)


def _kept(cleaned: npt.NDArray[np.float64], part: Tensor) -> float:
    """How much of a component is left: its coefficient, away from the edges."""
    inside = slice(part.shape[1] // 8, -part.shape[1] // 8)
    wanted = part[0].numpy()[inside]
    return float(cleaned[0, inside] @ wanted / (wanted @ wanted))


def test_the_band_pass_keeps_10_hz_and_removes_100_and_a_quarter_hz() -> None:
    parts = {frequency: tone(frequency, 2048) for frequency in (0.25, 10.0, 40.0, 110.0)}
    cleaned = band_pass(torch.cat(list(parts.values())).sum(0, keepdim=True).numpy(), RATE)
    kept = {frequency: _kept(cleaned, part) for frequency, part in parts.items()}
    assert kept[10.0] == pytest.approx(1.0, abs=0.02)
    assert kept[40.0] == pytest.approx(1.0, abs=0.02)
    assert abs(kept[110.0]) < 0.02
    assert abs(kept[0.25]) < 0.05
    assert _kept(band_pass(tone(55, 2048).numpy(), 128.0), tone(55, 2048)) == pytest.approx(1.0, abs=0.02), "64 Hz have no 80"


def test_wavelets_shrink_white_noise_and_leave_a_slow_wave() -> None:
    draw, slow = np.random.default_rng(0), tone(1, 512, amplitude=4.0).numpy()
    noise = draw.normal(size=(20, 512))
    cleaned = wavelet(slow + noise, RATE)
    assert cleaned.shape == (20, 512)
    assert np.sqrt(np.mean((cleaned - slow) ** 2)) < 0.35, "of noise with deviation 1"
    np.testing.assert_allclose(wavelet(noise, RATE) * 5.0, wavelet(5.0 * noise, RATE), atol=1e-9)


def test_eemd_drops_the_modes_of_the_artifact_it_is_told() -> None:
    alpha, muscle, blink = tone(10, 512), tone(70, 512), tone(1.5, 512)
    without_muscle = eemd((alpha + muscle).numpy(), RATE, artifact="emg", seed=1)
    assert _kept(without_muscle, alpha) == pytest.approx(1.0, abs=0.2)
    assert abs(_kept(without_muscle, muscle)) < 0.15
    without_blink = eemd((alpha + 3.0 * blink).numpy(), RATE, artifact="eog", seed=1)
    assert _kept(without_blink, alpha) == pytest.approx(1.0, abs=0.2)
    assert abs(_kept(without_blink, blink)) < 0.3
    np.testing.assert_array_equal(without_muscle, eemd((alpha + muscle).numpy(), RATE, artifact="emg", seed=1))


def test_mixed_takes_the_windows_that_the_pairs_name() -> None:
    eeg, artifacts = torch.cat([tone(5), tone(9)]), torch.cat([tone(40), tone(60), tone(80)])
    pairs = scoring_pairs(2, 3, 0, 0.0, 1.0, generator(0))
    noisy, clean = mixed(eeg, artifacts, pairs)
    for row in range(2):
        assert float(correlation(clean[row], eeg[pairs.eeg[row]])) == pytest.approx(1.0)
        assert float(correlation(noisy[row] - clean[row], artifacts[pairs.artifact[row]])) == pytest.approx(1.0)
