"""An OLMo2-style decoder: reordered norms, QK-norm, rotary positions, a squared-ReLU mlp, tied embeddings, no biases.

Walsh et al. 2024 ("2 OLMo 2 Furious", arXiv 2501.00656) for the blocks; squared ReLU after So et al. 2021 ("Primer", arXiv 2109.08668).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn

from tasks.blocks.decoder import DecoderConfig
from tasks.blocks.layers import RMSNorm, rotary_angles, rotate


class QKNormAttention(nn.Module):
    """Causal multi-head attention whose queries and keys are normalised over the whole width before the rotation.

    Each projection is a matrix of its own: methods that work on whole matrices would see another gradient in a joint one.
    """

    def __init__(self, width: int, head_dim: int) -> None:
        super().__init__()
        if width % head_dim or head_dim % 2:
            raise ValueError(f"width {width} is not a multiple of head_dim {head_dim}, or head_dim is odd")
        self.head_dim = head_dim
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.query_norm = RMSNorm(width)
        self.key_norm = RMSNorm(width)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """(batch, length, width) -> (batch, length, width)."""
        query = rotate(self._heads(self.query_norm(self.query(x))), cos, sin)
        key = rotate(self._heads(self.key_norm(self.key(x))), cos, sin)
        value = self._heads(self.value(x))
        mixed = F.scaled_dot_product_attention(query.to(value.dtype), key.to(value.dtype), value, is_causal=True)
        mapped: Tensor = self.out(mixed.transpose(1, 2).reshape(x.shape))
        return mapped

    def _heads(self, x: Tensor) -> Tensor:
        """(batch, length, width) -> (batch, heads, length, head_dim)."""
        return x.view(*x.shape[:2], -1, self.head_dim).transpose(1, 2)


class SquaredReLU(nn.Module):
    """down(relu(up x)^2)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> (..., width)."""
        mapped: Tensor = self.down(F.relu(self.up(x)).square())
        return mapped


class OlmoBlock(nn.Module):
    """x + norm(attention(x)), then x + norm(mlp(x)): the norm stands behind the sublayer, inside the residual branch."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.attention = QKNormAttention(config.width, config.head_dim)
        self.attention_norm = RMSNorm(config.width)
        self.mlp = SquaredReLU(config.width, config.hidden or 4 * config.width)
        self.mlp_norm = RMSNorm(config.width)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """(batch, length, width) -> (batch, length, width)."""
        x = x + self.attention_norm(self.attention(x, cos, sin))
        mapped: Tensor = x + self.mlp_norm(self.mlp(x))
        return mapped


class OlmoDecoder(nn.Module):
    """Token ids -> next-token logits; the embedding is the head. The mlp's inner width is `config.hidden`, or four times the width."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.width)
        self.blocks = nn.ModuleList(OlmoBlock(config) for _ in range(config.depth))
        self.norm = RMSNorm(config.width)
        cos, sin = rotary_angles(config.length, config.head_dim)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids, int64 (batch, length) -> logits (batch, length, vocab_size)."""
        x = self.embedding(tokens)
        cos, sin = self.cos[: tokens.shape[1]], self.sin[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x, cos, sin)
        return F.linear(self.norm(x), self.embedding.weight)

    def hidden_matrices(self) -> dict[str, nn.Parameter]:
        """The weights of the linear layers by name: everything but the embedding and the gains of the norms."""
        return {name: parameter for name, parameter in self.named_parameters() if name.startswith("blocks.") and parameter.ndim == 2}


@torch.no_grad()
def initialize_olmo(model: OlmoDecoder, generator: torch.Generator) -> None:
    """Matrices and embedding N(0, 1/width), gains one; drawn on the CPU so that a seed means the same network on every device.

    OLMo 2's 0.02 is this at a width of 2500; kept fixed, it cost narrow networks 0.1 nats and more under every optimizer tried.
    """
    for parameter in model.parameters():
        if parameter.ndim < 2:
            parameter.fill_(1.0)
        else:
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / math.sqrt(model.config.width))
