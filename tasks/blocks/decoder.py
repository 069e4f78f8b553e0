"""A LLaMA-style decoder: pre-norm blocks of attention and SwiGLU (or another mlp), an untied head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tasks.blocks.layers import Attention, RMSNorm, SwiGLU, rotary_angles


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """Sizes of a decoder. `hidden` is the inner width of SwiGLU, `length` the longest sequence it will read."""

    vocab_size: int
    width: int
    depth: int
    head_dim: int
    length: int
    hidden: int = 0

    @property
    def inner(self) -> int:
        """`hidden`, or 11/4 of the width: near LLaMA's 8/3 and the same ratio at every width that is a multiple of four."""
        return self.hidden or 11 * self.width // 4


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)). `mlp` maps (..., width) to (..., width)."""

    def __init__(self, config: DecoderConfig, mlp: nn.Module) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.width)
        self.attention = Attention(config.width, config.head_dim)
        self.mlp_norm = RMSNorm(config.width)
        self.mlp = mlp

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """(batch, length, width) -> (batch, length, width)."""
        x = x + self.attention(self.attention_norm(x), cos, sin)
        mapped: Tensor = x + self.mlp(self.mlp_norm(x))
        return mapped


class Decoder(nn.Module):
    """Token ids -> next-token logits. `make_mlp` builds the mlp of each block; SwiGLU of `config.inner` unless given."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: DecoderConfig, make_mlp: Callable[[], nn.Module] | None = None) -> None:
        super().__init__()
        make = make_mlp or (lambda: SwiGLU(config.width, config.inner))
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.width)
        self.blocks = nn.ModuleList(Block(config, make()) for _ in range(config.depth))
        self.norm = RMSNorm(config.width)
        self.head = nn.Linear(config.width, config.vocab_size, bias=False)
        cos, sin = rotary_angles(config.length, config.head_dim)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids, int64 (batch, length) -> logits (batch, length, vocab_size)."""
        x = self.embedding(tokens)
        cos, sin = self.cos[: tokens.shape[1]], self.sin[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x, cos, sin)
        logits: Tensor = self.head(self.norm(x))
        return logits

    def sublayers(self) -> dict[str, nn.Module]:
        """The residual branches by name ("0.attention", "0.mlp", ...): each maps a normalised input to what is added."""
        named: dict[str, nn.Module] = {}
        for index, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            named[f"{index}.attention"] = block.attention
            named[f"{index}.mlp"] = block.mlp
        return named

    def matrices(self) -> dict[str, list[Tensor]]:
        """Matrix-like weights of a SwiGLU decoder by class, one entry a layer: qkv (three matrices a layer), o, gate, up, down."""
        named: dict[str, list[Tensor]] = {name: [] for name in ("qkv", "o", "gate", "up", "down")}
        for block in self.blocks:
            assert isinstance(block, Block)
            assert isinstance(block.mlp, SwiGLU)
            named["qkv"] += block.attention.qkv.weight.detach().chunk(3)
            for name, linear in (("o", block.attention.out), ("gate", block.mlp.gate), ("up", block.mlp.up), ("down", block.mlp.down)):
                named[name].append(linear.weight.detach())
        return named


def next_token_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy in nats a token: logits (batch, length, vocab), targets (batch, length)."""
    return torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten())
