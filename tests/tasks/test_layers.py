"""Layers of the decoder against closed forms in double precision."""

from __future__ import annotations

import math

import pytest
import torch

from tasks.blocks.decoder import Decoder, DecoderConfig, next_token_loss
from tasks.blocks.layers import Attention, RMSNorm, SwiGLU, rotary_angles, rotate
from tasks.blocks.parametrization import initialize
from tasks.blocks.training import generator

TINY = DecoderConfig(vocab_size=11, width=16, depth=2, head_dim=8, length=12)


def tiny_decoder(*, zero_head: bool = False) -> Decoder:
    model = Decoder(TINY)
    initialize(model, generator(0), zero_head=zero_head)
    return model.double()


def test_rms_norm_is_the_closed_form() -> None:
    norm = RMSNorm(5, eps=1e-3).double()
    torch.nn.init.uniform_(norm.gain)
    x = torch.randn(3, 4, 5, dtype=torch.float64)
    expected = torch.stack([row / math.sqrt(float(row @ row) / 5 + 1e-3) for row in x.flatten(0, 1)]).view(3, 4, 5) * norm.gain
    torch.testing.assert_close(norm(x), expected, rtol=1e-12, atol=0)


def test_swiglu_is_the_closed_form() -> None:
    mlp = SwiGLU(3, 4).double()
    x = torch.randn(7, 3, dtype=torch.float64)
    gate, up = x @ mlp.gate.weight.T, x @ mlp.up.weight.T
    torch.testing.assert_close(mlp(x), (gate / (1 + torch.exp(-gate)) * up) @ mlp.down.weight.T, rtol=1e-12, atol=1e-14)


def test_rotary_angles_are_position_times_frequency() -> None:
    cos, sin = rotary_angles(6, 4)
    assert cos.shape == (6, 2)
    assert float(cos[5, 1]) == pytest.approx(math.cos(5 * 10_000 ** (-2 / 4)), rel=1e-6)
    assert float(sin[3, 0]) == pytest.approx(math.sin(3.0), rel=1e-6)


def test_rotated_scores_depend_on_the_distance_alone() -> None:
    cos, sin = (angles.double() for angles in rotary_angles(40, 8))
    query, key = torch.randn(2, 8, dtype=torch.float64)

    def score(at: int, other: int) -> float:
        return float(rotate(query, cos[at], sin[at]) @ rotate(key, cos[other], sin[other]))

    assert score(5, 2) == pytest.approx(score(33, 30), abs=1e-5)
    assert score(5, 2) != pytest.approx(score(5, 3), abs=1e-3)


def test_attention_is_the_closed_form() -> None:
    attention = Attention(16, 8).double()
    cos, sin = (angles.double() for angles in rotary_angles(5, 8))
    x = torch.randn(1, 5, 16, dtype=torch.float64)
    query, key, value = (x[0] @ part.T for part in attention.qkv.weight.chunk(3))
    heads = []
    for head in (slice(0, 8), slice(8, 16)):
        scores = rotate(query[:, head], cos, sin) @ rotate(key[:, head], cos, sin).T / math.sqrt(8)
        scores = scores.masked_fill(torch.ones(5, 5).triu(1).bool(), -math.inf)
        heads.append(scores.softmax(-1) @ value[:, head])
    expected = torch.cat(heads, -1) @ attention.out.weight.T
    torch.testing.assert_close(attention(x, cos, sin)[0], expected, rtol=1e-9, atol=1e-12)


def test_an_uneven_head_is_refused() -> None:
    with pytest.raises(ValueError, match="not a multiple"):
        Attention(20, 8)


def test_the_decoder_does_not_see_the_future() -> None:
    model = tiny_decoder()
    tokens = torch.randint(0, 11, (2, 12), generator=generator(1))
    changed = tokens.clone()
    changed[:, 7] = (changed[:, 7] + 1) % 11
    before, after = model(tokens), model(changed)
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.allclose(before[:, 7:], after[:, 7:])


def test_positions_matter() -> None:
    model = tiny_decoder()
    tokens = torch.randint(0, 11, (1, 12), generator=generator(1))
    swapped = tokens[:, [1, 0, *range(2, 12)]]
    assert not torch.allclose(model(tokens)[:, 5], model(swapped)[:, 5])


def test_gradients_are_those_of_finite_differences() -> None:
    model = tiny_decoder()
    tokens = torch.randint(0, 11, (1, 4), generator=generator(2))
    names = ["embedding.weight", "blocks.0.attention.qkv.weight", "blocks.1.mlp.gate.weight", "blocks.1.mlp_norm.gain", "head.weight"]
    parameters = dict(model.named_parameters())

    def loss(*values: torch.Tensor) -> torch.Tensor:
        logits = torch.func.functional_call(model, dict(zip(names, values, strict=True)), (tokens,))
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens.flatten())

    inputs = tuple(parameters[name].detach().clone().requires_grad_() for name in names)
    assert torch.autograd.gradcheck(loss, inputs, fast_mode=True)


def test_a_zero_head_predicts_the_uniform_distribution() -> None:
    model = tiny_decoder(zero_head=True)
    tokens = torch.randint(0, 11, (2, 12), generator=generator(3))
    assert next_token_loss(model(tokens), tokens).item() == pytest.approx(math.log(11), rel=1e-6)


def test_matrices_are_named_by_class_and_layer() -> None:
    shapes = {name: [tuple(matrix.shape) for matrix in group] for name, group in tiny_decoder().matrices().items()}
    assert shapes == {"qkv": [(16, 16)] * 6, "o": [(16, 16)] * 2, "gate": [(44, 16)] * 2, "up": [(44, 16)] * 2, "down": [(16, 44)] * 2}
