"""Quantization-aware training: the quantizer and its gradient in closed form, and that a network learns through them."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.errors import UsageError
from tasks.blocks.decoder import DecoderConfig
from tasks.blocks.olmo import OlmoDecoder, initialize_olmo
from tasks.blocks.training import generator
from tasks.llm.optimizers_under_quantization.qat import QuestLinear, quantize_linears

CLIP_4_BITS = 2.5139


def gaussian(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=generator(seed))


def layer(in_features: int, out_features: int, *, bias: bool = True) -> nn.Sequential:
    model = nn.Sequential(nn.Linear(in_features, out_features, bias=bias))
    with torch.no_grad():
        model[0].weight.copy_(gaussian(out_features, in_features, seed=7) / in_features**0.5)
    return model


def rotation(width: int) -> np.ndarray:
    """diag(H, ..., H) with H Sylvester's orthonormal matrix of order 128."""
    sylvester = np.ones((1, 1))
    for _ in range(7):
        sylvester = np.kron([[1, 1], [1, -1]], sylvester)
    return np.kron(np.eye(width // 128), sylvester / 128**0.5)


def quest(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(levels in Hadamard space, trust mask) at 4 bits, from the published formulas."""
    turned = x @ rotation(x.shape[-1])
    std = np.sqrt((turned**2).mean(-1, keepdims=True))
    scale = CLIP_4_BITS * std
    step = 2 * scale / 15
    rounded = np.rint(np.clip(turned, -scale, scale) / step + 0.5) * step - step / 2
    return rounded, np.abs(rounded - turned) <= scale / 15


def test_forward_and_gradients_are_the_published_formulas() -> None:
    model, x, upstream = layer(256, 12).double(), gaussian(9, 256).double().requires_grad_(), gaussian(9, 12, seed=3).double()
    quantize_linears(model, 4)
    output = model(x)
    output.backward(upstream)
    linear = model[0]
    (qx, trusted_x), (qw, trusted_w) = quest(x.detach().numpy()), quest(linear.weight.detach().numpy())
    assert 0.95 < trusted_x.mean() < 1, "a mask that never or always holds tests nothing"
    turn, g = rotation(256), upstream.numpy()
    np.testing.assert_allclose(output.detach().numpy(), qx @ qw.T + linear.bias.detach().numpy(), rtol=0, atol=1e-4)
    np.testing.assert_allclose(x.grad.numpy(), (g @ qw * trusted_x) @ turn, rtol=0, atol=1e-4)
    np.testing.assert_allclose(linear.weight.grad.numpy(), (g.T @ qx * trusted_w) @ turn, rtol=0, atol=1e-3)
    np.testing.assert_allclose(linear.bias.grad.numpy(), g.sum(0))


def test_parameters_stay_the_very_same_objects() -> None:
    model = OlmoDecoder(DecoderConfig(vocab_size=11, width=128, depth=1, head_dim=32, length=8))
    before = dict(model.named_parameters())
    state = torch.get_rng_state()
    quantize_linears(model, 4)
    assert torch.equal(torch.get_rng_state(), state)
    after = dict(model.named_parameters())
    assert list(after) == list(before)
    assert all(after[name] is before[name] for name in before)
    linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
    assert len(linears) == 6
    assert all(isinstance(module, QuestLinear) and module.bits == 4 for module in linears)


def test_eight_bits_are_near_full_precision_and_fewer_are_further() -> None:
    model, x = layer(256, 64), gaussian(64, 256)
    exact = model(x).detach()
    errors = []
    for bits in (8, 6, 4, 3, 2):
        made = copy.deepcopy(model)
        quantize_linears(made, bits)
        errors.append(float((made(x).detach() - exact).norm() / exact.norm()))
    assert errors[0] < 0.02
    assert errors == sorted(errors)
    # Two factors of 4 bits, each with the squared error of the best uniform grid of 16 points on a Gaussian, .01154 (Max 1960).
    assert errors[2] == pytest.approx((2 * 0.01154) ** 0.5, rel=0.05)


def test_training_through_four_bits_learns() -> None:
    model = OlmoDecoder(DecoderConfig(vocab_size=11, width=128, depth=1, head_dim=32, length=12))
    initialize_olmo(model, generator(0))
    quantize_linears(model, 4)
    optimizer = torch.optim.AdamW([p for name, p in model.named_parameters() if name.startswith("blocks")], lr=3e-3)
    sequence = (torch.arange(13)[None] * torch.arange(1, 11)[:, None]) % 11
    losses = []
    for _ in range(30):
        loss = nn.functional.cross_entropy(model(sequence[:, :-1]).flatten(0, 1), sequence[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


def test_what_does_not_fit_is_named_before_anything_changes() -> None:
    model = nn.Sequential(nn.Linear(128, 64), nn.Linear(64, 2))
    with pytest.raises(UsageError, match="linear layer 1 has 64 inputs, which is not a multiple of 128"):
        quantize_linears(model, 4)
    assert type(model[0]) is nn.Linear
    with pytest.raises(UsageError, match=r"bits must be one of 1, 1\.585, 2, .*, 8, not 16"):
        quantize_linears(nn.Sequential(nn.Linear(128, 2)), 16)
    with pytest.raises(UsageError, match="is itself a linear layer"):
        quantize_linears(nn.Linear(128, 2), 4)
