"""Post-training quantization: round-to-nearest, rotation and GPTQ against formulas of their own."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.errors import UsageError
from kernels import block_hadamard
from tasks.blocks.decoder import DecoderConfig
from tasks.blocks.olmo import OlmoDecoder, initialize_olmo
from tasks.blocks.training import generator
from tasks.llm.optimizers_under_quantization.gptq import DAMPING, blockwise, gptq, hessians
from tasks.llm.optimizers_under_quantization.linears import linear_layers
from tasks.llm.optimizers_under_quantization.ptq import SCHEMES, QuantizedLinear, Scheme, hadamard, hadamard_order, quantized, rotate
from tasks.llm.optimizers_under_quantization.qat import quantize_linears


def affine(x: np.ndarray, bits: int) -> np.ndarray:
    """Affine quantization by row with a zero point of 0 and the range +-(2^(bits-1) - 1): quantize to integers, clip, dequantize."""
    low, high = -(2 ** (bits - 1)) + 1, 2 ** (bits - 1) - 1
    scale = np.abs(x).max(-1, keepdims=True) / high
    integers = np.clip(np.rint(x / np.where(scale > 0, scale, 1)), low, high).astype(np.int8)
    return integers * scale


def network(*layers: nn.Module, seed: int = 0) -> nn.Sequential:
    model = nn.Sequential(*layers)
    stream = generator(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=stream))
    return model


def gaussian(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=generator(seed))


def decoder(seed: int = 0) -> OlmoDecoder:
    model = OlmoDecoder(DecoderConfig(vocab_size=31, width=32, depth=2, head_dim=8, length=16))
    initialize_olmo(model, generator(seed))
    return model


def tokens(batch: int = 8, seed: int = 2) -> Tensor:
    return torch.randint(31, (batch, 16), generator=generator(seed))


def correlated(rows: int, width: int, seed: int) -> Tensor:
    """Inputs that lie near a space of a quarter of their dimensions, as activations do."""
    low = gaussian(rows, width // 4, seed=seed) @ gaussian(width // 4, width, seed=seed + 100)
    return low + 0.1 * gaussian(rows, width, seed=seed + 200)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_a_quantized_layer_is_affine_quantization_of_both_factors(bits: int) -> None:
    model, x = network(nn.Linear(48, 20)).double(), gaussian(3, 5, 48).double()
    weight, bias = model[0].weight.detach().numpy(), model[0].bias.detach().numpy()
    expected = affine(x.numpy(), bits) @ affine(weight, bits).T + bias
    np.testing.assert_allclose(quantized(model, Scheme(bits, bits))(x).numpy(), expected, rtol=1e-5, atol=1e-5)
    only_weights = x.numpy() @ affine(weight, bits).T + bias
    np.testing.assert_allclose(quantized(model, Scheme(bits, None))(x).numpy(), only_weights, rtol=1e-5, atol=1e-5)
    assert np.abs(expected - only_weights).max() > 1e-3


def test_a_known_row() -> None:
    """Scale 1: rounded to even, the largest entry kept, one scale a row."""
    model = network(nn.Linear(4, 2, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[7.0, 2.5, -3.5, 0.4], [0.7, 0.06, -0.34, 0.0]]))
    made = quantized(model, SCHEMES["w4a4"])[0].weight
    torch.testing.assert_close(made, torch.tensor([[7.0, 2.0, -4.0, 0.0], [0.7, 0.1, -0.3, 0.0]]))


@pytest.mark.parametrize("bits", [4, 8])
def test_rounding_moves_no_weight_by_more_than_half_a_step(bits: int) -> None:
    model = network(nn.Linear(64, 32, bias=False))
    weight = model[0].weight.detach()
    step = weight.abs().amax(-1, keepdim=True) / (2 ** (bits - 1) - 1)
    moved = (quantized(model, Scheme(bits, None))[0].weight - weight).abs() / step
    assert float(moved.max()) <= 0.5 + 1e-4
    assert float(moved.max()) > 0.45, "the bound is met, or the grid is finer than it says"


def test_without_bits_nothing_changes() -> None:
    model = decoder()
    assert torch.equal(quantized(model, Scheme(None, None))(tokens()), model(tokens()).detach())


def test_the_model_is_left_alone_and_every_linear_layer_is_replaced() -> None:
    model = decoder()
    before = copy.deepcopy(model.state_dict())
    made = quantized(model, SCHEMES["w4a4_gptq"], [tokens()])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(isinstance(module, nn.Linear) for module in made.modules())
    assert {name for name, module in made.named_modules() if isinstance(module, QuantizedLinear)} == set(linear_layers(model))
    assert torch.equal(made.get_parameter("embedding.weight"), model.embedding.weight)
    assert not any(parameter.requires_grad for parameter in made.parameters())


def test_a_layer_that_is_used_twice_is_quantized_in_both_places() -> None:
    shared = nn.Linear(8, 8)
    made = quantized(network(shared, nn.ReLU(), shared), SCHEMES["w4a4"])
    assert isinstance(made[0], QuantizedLinear)
    assert made[0] is made[2]


def test_more_bits_lose_less() -> None:
    model = decoder()
    exact = model(tokens()).detach()
    losses = [float((quantized(model, Scheme(bits, bits))(tokens()) - exact).norm() / exact.norm()) for bits in (3, 4, 6, 8)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.05 < losses[0]


@pytest.mark.parametrize(("width", "order"), [(2, 2), (12, 4), (96, 32), (128, 128), (384, 128), (1024, 128)])
def test_rotations_are_sylvesters_and_keep_products(width: int, order: int) -> None:
    assert hadamard_order(width) == order
    sylvester = np.ones((1, 1))
    while len(sylvester) < order:
        sylvester = np.kron([[1, 1], [1, -1]], sylvester)
    np.testing.assert_allclose(hadamard(order, dtype=torch.float64).numpy(), sylvester / order**0.5, rtol=1e-15)
    x, w = gaussian(5, width).double(), gaussian(7, width, seed=2).double()
    torch.testing.assert_close(rotate(x, order) @ rotate(w, order).T, x @ w.T, rtol=0, atol=1e-12 * width)
    torch.testing.assert_close(rotate(rotate(x, order), order), x, rtol=0, atol=1e-14 * width)
    if order == 128:
        torch.testing.assert_close(rotate(x, order), block_hadamard(x), rtol=0, atol=1e-14 * width)


def test_rotation_alone_preserves_the_function() -> None:
    model = decoder().double()
    made = quantized(model, Scheme(None, None, rotate=True))
    torch.testing.assert_close(made(tokens()), model(tokens()).detach(), rtol=0, atol=1e-12)
    for name, layer in linear_layers(model).items():
        torch.testing.assert_close(made.get_submodule(name).effective_weight(), layer.weight.detach(), rtol=0, atol=1e-14)
        assert not torch.allclose(made.get_submodule(name).weight, layer.weight.detach(), atol=1e-3)


def test_rotation_tames_planted_outliers_and_only_those() -> None:
    """One channel fifty times the rest eats 4 bits; rotated, its block shares it. Without it a rotation has nothing to win."""
    model, calm = network(nn.Linear(128, 64, bias=False)), gaussian(256, 128)
    spiked = calm.clone()
    spiked[:, 17] *= 50

    def error(scheme: Scheme, x: Tensor) -> float:
        exact = model(x).detach()
        return float((quantized(model, scheme)(x) - exact).norm() / exact.norm())

    plain, rotated = Scheme(None, 4), Scheme(None, 4, rotate=True)
    assert error(rotated, spiked) < 0.6 * error(plain, spiked)
    assert error(rotated, calm) == pytest.approx(error(plain, calm), rel=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_gptq_beats_rounding_on_correlated_inputs(seed: int) -> None:
    weight, x = gaussian(40, 64, seed=seed + 300).double(), correlated(512, 64, seed).double()
    rounded = quantized_weight(weight, 4)
    mended = gptq(weight, x.T @ x, 4)
    assert float((x @ (mended - weight).T).norm()) < 0.7 * float((x @ (rounded - weight).T).norm())
    assert float((mended - weight).norm()) > float((rounded - weight).norm()), "rounding is nearest in weights, not in outputs"


def quantized_weight(weight: Tensor, bits: int) -> Tensor:
    return torch.from_numpy(affine(weight.numpy(), bits))


@pytest.mark.parametrize("bits", [3, 4, 8])
@pytest.mark.parametrize("factor", [0.0, 1e-3, 512.0])
def test_gptq_is_rounding_where_inputs_are_white(bits: int, factor: float) -> None:
    weight = gaussian(20, 200)
    torch.testing.assert_close(gptq(weight, factor * torch.eye(200), bits), quantized_weight(weight, bits))


def test_gptq_stays_on_the_grid_of_rounding() -> None:
    weight, x = gaussian(24, 160).double(), correlated(300, 160, 7).double()
    levels = gptq(weight, x.T @ x, 4) / (weight.abs().amax(-1, keepdim=True) / 7)
    torch.testing.assert_close(levels, levels.round(), rtol=0, atol=1e-5)
    assert float(levels.abs().max()) <= 7 + 1e-5


def test_gptq_is_optimal_brain_quantization_column_by_column() -> None:
    """The same answer from the definition: after each column, the best correction of those that are left given the damped Hessian."""
    weight, x = gaussian(6, 150).double(), correlated(400, 150, 3).double()
    hessian = x.T @ x
    damped = (hessian + DAMPING * hessian.diagonal().mean() * torch.eye(150)).numpy()
    left, scale = weight.numpy().copy(), np.abs(weight.numpy()).max(-1) / 7
    for j in range(150):
        error = np.clip(np.rint(left[:, j] / scale), -7, 7) * scale - left[:, j]
        left[:, j] += error
        if j < 149:
            # argmin over d of the error (error, d) H (error, d)^T with the columns up to j fixed.
            left[:, j + 1 :] -= np.outer(error, np.linalg.solve(damped[j + 1 :, j + 1 :], damped[j + 1 :, j]))
    torch.testing.assert_close(gptq(weight, hessian, 4), torch.from_numpy(left), rtol=0, atol=1e-5)


def test_a_zero_row_and_a_broken_hessian() -> None:
    weight = gaussian(3, 8)
    weight[1] = 0
    assert not gptq(weight, torch.eye(8), 4)[1].any()
    assert gptq(weight, torch.full((8, 8), torch.inf), 4).isnan().all()


def test_hessians_are_sums_over_batches_of_what_enters_a_layer() -> None:
    model = network(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4))
    first, second = gaussian(2, 3, 6), gaussian(4, 6, seed=2)
    made = hessians(model, linear_layers(model), [first, second], lambda x: x)
    rows = torch.cat((first.flatten(0, 1), second)).double()
    hidden = torch.tanh(model[0](rows.float())).double().detach()
    torch.testing.assert_close(made["0"], rows.T @ rows, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(made["2"], hidden.T @ hidden, rtol=1e-5, atol=1e-5)
    assert not model[0]._forward_pre_hooks


def test_gptq_calibrates_a_block_on_the_quantized_ones_before_it() -> None:
    model, batch = decoder(), tokens()
    groups = list(blockwise(model, linear_layers(model)))
    assert [{name.split(".")[1] for name in group} for group in groups] == [{"0"}, {"1"}]
    made = quantized(model, SCHEMES["w4a16_gptq"], [batch])
    half = quantized(model, SCHEMES["w4a16_gptq"], [batch])
    half.blocks[1] = copy.deepcopy(model.blocks[1])
    name = "blocks.1.mlp.up"
    second = {layer: half.get_submodule(layer) for layer in groups[1]}
    hessian = hessians(half, second, [batch], lambda x: x)[name]
    other = hessians(model, groups[1], [batch], lambda x: x)[name]
    weight = model.get_parameter(f"{name}.weight")
    torch.testing.assert_close(made.get_buffer(f"{name}.weight"), gptq(weight, hessian, 4))
    assert not torch.equal(gptq(weight, hessian, 4), gptq(weight, other, 4))


def test_layers_outside_of_blocks_are_groups_of_their_own() -> None:
    model = nn.Module()
    model.first, model.blocks, model.head = nn.Linear(4, 4), nn.ModuleList([nn.Linear(4, 4), network(nn.Linear(4, 4))]), nn.Linear(4, 4)
    assert [list(group) for group in blockwise(model, linear_layers(model))] == [["first"], ["blocks.0"], ["blocks.1.0"], ["head"]]


def test_gptq_rotates_the_hessian_with_the_weights() -> None:
    model, x = network(nn.Linear(64, 40, bias=False)), correlated(512, 64, 5)
    exact = model(x).detach()
    errors = {}
    for method in ("rtn", "gptq"):
        made = quantized(model, Scheme(4, None, method=method, rotate=True), [x])
        errors[method] = float((made(x) - exact).norm())
    assert errors["gptq"] < 0.7 * errors["rtn"]


def test_gptq_helps_a_whole_network() -> None:
    model, batch = decoder(), tokens(batch=32)
    exact = model(batch).detach()

    def error(scheme: str) -> float:
        return float((quantized(model, SCHEMES[scheme], [batch])(batch) - exact).norm() / exact.norm())

    assert error("w4a16_gptq") < error("w4a16")
    assert error("w4a4_gptq") < error("w4a4")


@pytest.mark.parametrize(
    ("scheme", "message"),
    [
        ({"weight_bits": 1, "activation_bits": 4}, "weights can have 2 to 8 bits.*not 1"),
        ({"weight_bits": 4, "activation_bits": 16}, "activations can have 2 to 8 bits.*not 16"),
        ({"weight_bits": 4, "activation_bits": 4, "method": "gtpq"}, "did you mean 'gptq'"),
        ({"weight_bits": None, "activation_bits": 4, "method": "gptq"}, "give it weight_bits"),
    ],
)
def test_schemes_that_do_not_fit(scheme: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Scheme(**scheme)


def test_networks_that_do_not_fit() -> None:
    with pytest.raises(UsageError, match="needs calibration batches"):
        quantized(decoder(), SCHEMES["w4a16_gptq"])
    with pytest.raises(UsageError, match="Tanh has no linear layer"):
        quantized(nn.Tanh(), SCHEMES["w4a4"])
    with pytest.raises(UsageError, match="is itself a linear layer"):
        quantized(nn.Linear(4, 4), SCHEMES["w4a4"])
    with pytest.raises(UsageError, match="even number of input features, not 5"):
        quantized(network(nn.Linear(5, 4)), SCHEMES["w4a4_rotated"])
    trained = network(nn.Linear(128, 4))
    quantize_linears(trained, 4)
    with pytest.raises(UsageError, match="linear layer 0 was trained with quantization"):
        quantized(trained, SCHEMES["w4a4"])
    unused = nn.Sequential(nn.Identity())
    unused[0].spare = nn.Linear(4, 4)
    with pytest.raises(UsageError, match=r"no calibration batch reaches the linear layer 0\.spare"):
        quantized(unused, SCHEMES["w4a16_gptq"], [gaussian(2, 4)])
