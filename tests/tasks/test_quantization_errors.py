"""The error decomposition against its formulas written out, and outlier statistics of known rows."""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.errors import UsageError
from tasks.blocks.decoder import Decoder, DecoderConfig
from tasks.blocks.olmo import OlmoDecoder, initialize_olmo
from tasks.blocks.training import generator
from tasks.llm.optimizers_under_quantization.decomposition import LayerError, decompose
from tasks.llm.optimizers_under_quantization.outliers import activation_statistics, row_statistics
from tasks.llm.optimizers_under_quantization.ptq import SCHEMES, Scheme, quantized

CONFIG = DecoderConfig(vocab_size=40, width=32, depth=2, head_dim=8, length=16)


def gaussian(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def tokens() -> Tensor:
    return torch.randint(40, (4, 16), generator=generator(2))


def decoder() -> OlmoDecoder:
    model = OlmoDecoder(CONFIG)
    initialize_olmo(model, generator(0))
    return model.double()


def chain(*widths: int) -> nn.Sequential:
    """Linear layers without biases, one after the other, N(0, 1) weights."""
    model = nn.Sequential(*(nn.Linear(i, o, bias=False) for i, o in itertools.pairwise(widths))).double()
    with torch.no_grad():
        for index, linear in enumerate(model):
            linear.weight.copy_(gaussian(*linear.weight.shape, seed=10 + index))
    return model


def by_name(errors: list[LayerError]) -> dict[str, LayerError]:
    return {error.name: error for error in errors}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_terms_add_up_to_the_error(scheme: str) -> None:
    model = decoder()
    for error in decompose(model, quantized(model, SCHEMES[scheme], [tokens()]), tokens()):
        assert abs(error.A + error.B + error.C - error.R) < 1e-10
        assert error.R > 0


@pytest.mark.parametrize("scheme", [Scheme(4, 4), Scheme(4, 4, rotate=True), Scheme(3, None)], ids=["w4a4", "rotated", "w3"])
def test_every_term_is_the_published_formula(scheme: Scheme) -> None:
    """The second of two layers, in NumPy: four evaluations, a, b, and every ratio from a full decomposition."""
    model, x = chain(16, 12, 10), gaussian(6, 7, 16)
    twin = quantized(model, scheme)
    found = decompose(model, twin, x)[1]

    def evaluate(layer: nn.Module, x: Tensor) -> np.ndarray:
        with torch.no_grad():
            return layer(x).flatten(0, -2).numpy()

    h, hq = model[0](x).detach(), twin[0](x)
    f_h, f_hq, q_h, q_hq = evaluate(model[1], h), evaluate(model[1], hq), evaluate(twin[1], h), evaluate(twin[1], hq)
    a = ((q_hq - q_h) + (f_hq - f_h)) / 2
    b = ((q_hq - f_hq) + (q_h - f_h)) / 2
    unit = (f_h**2).sum()
    assert pytest.approx((a**2).sum() / unit, rel=1e-10) == found.A
    assert pytest.approx((b**2).sum() / unit, rel=1e-10) == found.B
    assert pytest.approx(2 * (a * b).sum() / unit, rel=1e-8) == found.C
    assert pytest.approx(((q_hq - f_h) ** 2).sum() / unit, rel=1e-10) == found.R
    h, dh = h.flatten(0, 1).numpy(), (hq - h).flatten(0, 1).numpy()
    weight = model[1].weight.detach().numpy()
    middle = weight + (twin[1].effective_weight().numpy() - weight) / 2
    top, top_middle = np.linalg.norm(weight, 2), np.linalg.norm(middle, 2)
    cos_phi = np.linalg.norm(dh @ middle.T) / (top_middle * np.linalg.norm(dh))
    cos_psi = np.linalg.norm(h @ weight.T) / (top * np.linalg.norm(h))
    assert pytest.approx(found.A / ((dh**2).sum() / (h**2).sum()), rel=1e-10) == found.G
    assert pytest.approx((top_middle / top) ** 2, rel=1e-7) == found.G1
    assert pytest.approx((cos_phi / cos_psi) ** 2, rel=1e-7) == found.G2
    assert pytest.approx((a**2).sum() / ((dh @ middle.T) ** 2).sum(), rel=1e-7) == found.G3


@pytest.mark.parametrize("scheme", ["w4a16", "w4a16_gptq"])
def test_the_gain_of_a_linear_layer_is_spectral_times_alignment(scheme: str) -> None:
    """Exactly, where only weights are quantized; rounded inputs add a third factor."""
    model = decoder()
    linears = [
        e for e in decompose(model, quantized(model, SCHEMES[scheme], [tokens()]), tokens()) if e.kind == "linear" and e.G is not None
    ]
    assert len(linears) == 9, "all twelve but the three that read the exact embedding"
    for error in linears:
        assert pytest.approx(error.G1 * error.G2, rel=1e-9) == error.G
    rounded = [e for e in decompose(model, quantized(model, SCHEMES["w4a4"]), tokens()) if e.kind == "linear" and e.G is not None]
    assert all(pytest.approx(error.G1 * error.G2 * error.G3, rel=1e-9) == error.G for error in rounded)
    assert any(abs(error.G3 - 1) > 0.01 for error in rounded)


def test_a_layer_without_an_error_of_its_own_only_carries() -> None:
    model, x = chain(16, 12, 10), gaussian(5, 16)
    twin = quantized(model, Scheme(4, None))
    twin[1].weight.copy_(model[1].weight.detach())
    first, second = decompose(model, twin, x)
    assert (first.A, first.C, first.G) == (0, 0, None)
    assert first.B == first.R > 0
    assert (second.B, second.C) == (0, 0)
    assert second.A == second.R > 0
    assert pytest.approx(1) == second.G1


def test_a_known_error() -> None:
    """h = (3, 4) through the identity: an input error of half its length across it, and a weight error of a tenth."""
    model = chain(2, 2)
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(2))
    twin = copy.deepcopy(model)
    both, changed = nn.Sequential(nn.Identity(), model), nn.Sequential(Added(torch.tensor([-2.0, 1.5]).double()), twin)
    with torch.no_grad():
        twin[0].weight.mul_(1.1)
    (error,) = decompose(both, changed, torch.tensor([[3.0, 4.0]]).double())
    # a = 1.05 Dh; b = .05 (h + h^q), where |h + h^q|^2 = 4 |h|^2 + |Dh|^2; <Dh, h + h^q> = |Dh|^2.
    assert pytest.approx((1.05**2 * 0.25, 0.05**2 * 4.25)) == (error.A, error.B)
    assert pytest.approx(2 * 1.05 * 0.05 * 0.25) == error.C
    assert pytest.approx(0.25 * 1.21 + 0.01) == error.R
    assert pytest.approx((1.05**2, 1.05**2, 1, 1)) == (error.G, error.G1, error.G2, error.G3)


class Added(nn.Module):
    """x + what it is made with."""

    def __init__(self, extra: Tensor) -> None:
        super().__init__()
        self.extra = extra

    def forward(self, x: Tensor) -> Tensor:
        return x + self.extra


@pytest.mark.parametrize("at_once", [1, 32, 33])
def test_tokens_are_read_in_parts_and_nothing_changes(at_once: int) -> None:
    model = decoder()
    rounded, read = quantized(model, SCHEMES["w4a4"]), tokens()
    whole, parts = (decompose(model, rounded, read, size) for size in (read.numel(), at_once))
    for one, other in zip(whole, parts, strict=True):
        for term, value in vars(one).items():
            assert getattr(other, term) == (pytest.approx(value, rel=1e-9) if isinstance(value, float) else value)


def test_an_exact_copy_has_no_error() -> None:
    model = decoder()
    for error in decompose(model, copy.deepcopy(model), tokens()):
        assert (error.A, error.B, error.C, error.R, error.G) == (0, 0, 0, 0, None)


def test_modules_come_in_the_order_in_which_they_finish() -> None:
    model = decoder()
    errors = decompose(model, quantized(model, SCHEMES["w4a4"]), tokens())
    inner = ["attention.query", "attention.key", "attention.value", "attention.out", "mlp.up", "mlp.down"]
    expected = [f"blocks.{index}{name}" for index in (0, 1) for name in [f".{module}" for module in inner] + [""]]
    assert [error.name for error in errors] == [*expected, "norm"]
    assert [error.kind for error in errors] == [*(["linear"] * 6 + ["block"]) * 2, "end"]
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("kind", [OlmoDecoder, Decoder])
def test_the_last_error_is_that_of_the_end_of_the_network(kind: type[nn.Module]) -> None:
    """From the networks' own outputs: the logits where the head is a layer, else what the tied embedding was multiplied with."""
    torch.manual_seed(0)
    model = kind(CONFIG).double()
    twin = quantized(model, SCHEMES["w4a4"])
    with torch.no_grad():
        exact, rounded = (network(tokens()).flatten(0, 1) for network in (model, twin))
        if kind is OlmoDecoder:
            exact, rounded = (torch.linalg.lstsq(model.embedding.weight, logits.T).solution for logits in (exact, rounded))
    last = decompose(model, twin, tokens())[-1]
    assert last.name == ("norm" if kind is OlmoDecoder else "head")
    assert pytest.approx(float((rounded - exact).norm() / exact.norm()) ** 2, rel=1e-8) == last.R


def test_errors_grow_along_a_network_and_a_block_carries_them_on() -> None:
    model = decoder()
    errors = by_name(decompose(model, quantized(model, SCHEMES["w4a4"]), tokens()))
    assert errors["blocks.0"].A == 0, "the embedding is exact"
    assert errors["blocks.1"].A > 0
    assert pytest.approx(errors["blocks.1"].A / errors["blocks.0"].R, rel=1e-10) == errors["blocks.1"].G


class Pair(nn.Module):
    """Two layers, evaluated in the order of their names or against it."""

    def __init__(self, *, backwards: bool) -> None:
        super().__init__()
        self.a, self.b, self.backwards = nn.Linear(4, 4), nn.Linear(4, 4), backwards

    def forward(self, x: Tensor) -> Tensor:
        return self.a(self.b(x)) if self.backwards else self.b(self.a(x))


def test_networks_that_do_not_match() -> None:
    with pytest.raises(UsageError, match="same order"):
        decompose(Pair(backwards=False), Pair(backwards=True), gaussian(2, 4).float())


def test_known_rows() -> None:
    """Peak 8 over the median 2 of 1, 2, 8 and over the mean 2.2; signs and zeros do not matter to the median."""
    statistics = row_statistics(torch.tensor([[1.0, -2.0, 8.0, 0.0, 0.0], [0.0, 6.0, 2.0, -4.0, 8.0], [0.0, 0.0, 3.0, 0.0, 0.0]]))
    assert statistics["mmr_median"][0].tolist() == pytest.approx([4, 8 / 5, 1])
    assert statistics["mmr_mean"][0].tolist() == pytest.approx([8 / 2.2, 2, 5])
    # One entry of five: fourth moment p q (q^3 + p^3) over (p q)^2 with p = 1/5.
    assert float(statistics["kurtosis"][0][2]) == pytest.approx((0.8**3 + 0.2**3) / (0.2 * 0.8))


def test_the_kurtosis_of_a_gaussian_is_three_and_not_zero() -> None:
    """Pearson's, not the excess: 3 for a Gaussian, 9/5 for a uniform row, 1 for signs, 6 for a Laplacian."""
    uniform = torch.linspace(-1, 1, 200_001, dtype=torch.float64)[1:-1]
    rows = {3: torch.special.ndtri((uniform + 1) / 2), 1.8: uniform, 1: uniform.sign(), 6: -uniform.sign() * torch.log1p(-uniform.abs())}
    for expected, row in rows.items():
        assert float(row_statistics(5 * row[None] + 2)["kurtosis"][0]) == pytest.approx(expected, rel=1e-2)


def test_rows_without_a_ratio_are_left_out_and_broken_ones_are_not() -> None:
    model = nn.Sequential(nn.Linear(4, 2))
    rows = torch.tensor([[0.0, 0.0, 0.0, 0.0], [2.0, 2.0, 2.0, 2.0], [1.0, 1.0, 1.0, 5.0]])
    found = activation_statistics(model, rows)
    assert found["mmr_median"] == pytest.approx((1 + 5) / 2)
    assert found["mmr_mean"] == pytest.approx((1 + 2.5) / 2)
    assert found["kurtosis"] == pytest.approx((0.75**3 + 0.25**3) / (0.25 * 0.75))
    for bad in (math.nan, math.inf):
        broken = torch.cat((rows, torch.tensor([[1.0, bad, 3.0, 4.0]])))
        assert not any(math.isfinite(value) for value in activation_statistics(model, broken).values())


def test_statistics_are_means_over_rows_then_layers() -> None:
    model, x = chain(8, 6, 4), gaussian(3, 5, 8)
    rows = x.flatten(0, 1).numpy()
    expected = []
    for h in (rows, rows @ model[0].weight.detach().numpy().T):
        size, centred = np.abs(h), h - h.mean(-1, keepdims=True)
        peak = size.max(-1)
        kurtosis = (centred**4).mean(-1) / (centred**2).mean(-1) ** 2
        expected.append([(peak / np.median(size, -1)).mean(), (peak / size.mean(-1)).mean(), kurtosis.mean()])
    found = activation_statistics(model, x)
    assert list(found) == ["mmr_median", "mmr_mean", "kurtosis"]
    assert list(found.values()) == pytest.approx(np.mean(expected, 0).tolist())
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_a_planted_outlier_channel_raises_all_three() -> None:
    model, calm = chain(64, 4), gaussian(50, 64)
    spiked = calm.clone()
    spiked[:, 3] += 30
    before, after = activation_statistics(model, calm), activation_statistics(model, spiked)
    assert all(after[name] > 3 * before[name] for name in before)
