"""The OLMo2-style decoder against its formulas in double precision."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tasks.blocks.decoder import DecoderConfig
from tasks.blocks.layers import rotate
from tasks.blocks.olmo import OlmoBlock, OlmoDecoder, QKNormAttention, initialize_olmo
from tasks.blocks.training import generator

CONFIG = DecoderConfig(vocab_size=11, width=16, depth=2, head_dim=8, length=12)


def decoder(config: DecoderConfig = CONFIG) -> OlmoDecoder:
    model = OlmoDecoder(config)
    initialize_olmo(model, generator(0))
    return model.double()


def normed(x: Tensor, gain: Tensor, eps: float = 1e-6) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + eps).sqrt() * gain


def attention_by_hand(layer: QKNormAttention, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """One sequence (length, width): explicit scores, mask and softmax, head by head."""
    query = normed(x @ layer.query.weight.T, layer.query_norm.gain)
    key = normed(x @ layer.key.weight.T, layer.key_norm.gain)
    value, heads = x @ layer.value.weight.T, []
    for first in range(0, x.shape[-1], layer.head_dim):
        part = slice(first, first + layer.head_dim)
        scores = rotate(query[:, part], cos, sin) @ rotate(key[:, part], cos, sin).T / math.sqrt(layer.head_dim)
        scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -math.inf)
        heads.append(scores.softmax(-1) @ value[:, part])
    return torch.cat(heads, -1) @ layer.out.weight.T


def test_the_whole_decoder_by_hand() -> None:
    model = decoder()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator(parameter.numel())))  # gains and all
    tokens = torch.randint(0, 11, (9,), generator=generator(1))
    cos, sin = model.cos[:9], model.sin[:9]
    x = model.embedding.weight[tokens]
    for block in model.blocks:
        assert isinstance(block, OlmoBlock)
        x = x + normed(attention_by_hand(block.attention, x, cos, sin), block.attention_norm.gain)
        inner = (x @ block.mlp.up.weight.T).clamp_min(0) ** 2 @ block.mlp.down.weight.T
        x = x + normed(inner, block.mlp_norm.gain)
    expected = normed(x, model.norm.gain) @ model.embedding.weight.T
    torch.testing.assert_close(model(tokens[None])[0], expected, rtol=1e-9, atol=1e-9)


def test_the_future_is_not_read() -> None:
    model, tokens = decoder(), torch.randint(0, 11, (1, 12), generator=generator(2))
    changed = tokens.clone()
    changed[0, 7:] = (changed[0, 7:] + 1) % 11
    before, after = model(tokens), model(changed)
    torch.testing.assert_close(before[:, :7], after[:, :7])
    assert not torch.allclose(before[:, 7:], after[:, 7:])


def test_scaling_queries_and_keys_changes_nothing() -> None:
    """QK-norm: what the projections grow by, the norm takes away. One row alone is another matter."""
    model, tokens = decoder(), torch.randint(0, 11, (2, 12), generator=generator(3))
    attention = [block.attention for block in model.blocks]
    with torch.no_grad():
        for weight in (weight for layer in attention for weight in (layer.query.weight, layer.key.weight)):
            weight.mul_(1e6)  # far above the eps of the norm
        before = model(tokens)
        for layer in attention:
            layer.query.weight.mul_(7.0)
            layer.key.weight.mul_(0.3)
        torch.testing.assert_close(model(tokens), before, rtol=1e-6, atol=1e-9)
        for layer in attention:
            layer.query.weight[0].mul_(7.0)
    assert not torch.allclose(model(tokens), before, rtol=1e-4)


def test_head_and_embedding_are_one_and_there_are_no_biases() -> None:
    model = decoder()
    names = dict(model.named_parameters())
    assert not any("bias" in name or "head" in name for name in names)
    hidden = model.hidden_matrices()
    assert sum(weight.numel() for weight in hidden.values()) == 12 * CONFIG.depth * CONFIG.width**2
    assert set(names) - set(hidden) == {name for name in names if name == "embedding.weight" or name.endswith("gain")}
    with torch.no_grad():
        model.embedding.weight[5] = 0.0
    assert model(torch.tensor([[1, 2]]))[..., 5].abs().max() == 0.0


def test_the_initial_network_belongs_to_the_seed() -> None:
    wide = DecoderConfig(vocab_size=64, width=128, depth=1, head_dim=32, length=8)
    first, second = (OlmoDecoder(wide) for _ in range(2))
    for model in (first, second):
        initialize_olmo(model, generator(4))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    for name, weight in {**first.hidden_matrices(), "embedding": first.embedding.weight}.items():
        assert float(weight.detach().std()) == pytest.approx(1 / math.sqrt(128), rel=0.03), name


def test_a_width_that_does_not_fit_is_named() -> None:
    with pytest.raises(ValueError, match="width 20 is not a multiple of head_dim 8"):
        OlmoDecoder(DecoderConfig(vocab_size=3, width=20, depth=1, head_dim=8, length=4))
