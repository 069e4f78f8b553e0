"""A plain vision transformer: patches, learned positions, pre-norm blocks, mean over the patches, a linear head.

Without a class token, as in "Better plain ViT baselines" (Beyer, Zhai & Kolesnikov 2022).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class ViTConfig:
    """Sizes of a vision transformer. `shape` is (channels, height, width) of an image; `patch` divides height and width."""

    shape: tuple[int, int, int]
    patch: int
    num_classes: int
    width: int
    depth: int
    head_dim: int

    def __post_init__(self) -> None:
        _, height, width = self.shape
        if height % self.patch or width % self.patch:
            raise ValueError(f"patches of {self.patch} do not divide an image of {height} x {width}")
        if self.width % self.head_dim:
            raise ValueError(f"width {self.width} is not a multiple of head_dim {self.head_dim}")

    @property
    def patches(self) -> int:
        """Patches of an image: the length of the sequence."""
        return self.shape[1] // self.patch * (self.shape[2] // self.patch)


class PatchEmbedding(nn.Module):
    """One linear map of each patch, plus a learned vector for its place."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.patch = config.patch
        self.project = nn.Linear(config.shape[0] * config.patch**2, config.width)
        self.positions = nn.Parameter(torch.zeros(config.patches, config.width))

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channels, height, width) -> (batch, patches, width), rows of patches one after the other."""
        batch, channels, height, width = images.shape
        p = self.patch
        cut = images.view(batch, channels, height // p, p, width // p, p).permute(0, 2, 4, 1, 3, 5)
        projected: Tensor = self.project(cut.reshape(batch, -1, channels * p * p))
        return projected + self.positions


class SelfAttention(nn.Module):
    """Multi-head self-attention of every token to every token. `qkv` holds the three projections, rows in the order q, k, v."""

    def __init__(self, width: int, head_dim: int) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, width) -> (batch, length, width)."""
        batch, length, width = x.shape
        heads = self.qkv(x).view(batch, length, 3, width // self.head_dim, self.head_dim).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(heads[0], heads[1], heads[2])
        mapped: Tensor = self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return mapped


class ViTBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)). `mlp` maps (..., width) to (..., width)."""

    def __init__(self, config: ViTConfig, mlp: nn.Module) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.width, eps=1e-6)
        self.attention = SelfAttention(config.width, config.head_dim)
        self.mlp_norm = nn.LayerNorm(config.width, eps=1e-6)
        self.mlp = mlp

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, width) -> (batch, length, width)."""
        x = x + self.attention(self.attention_norm(x))
        mapped: Tensor = x + self.mlp(self.mlp_norm(x))
        return mapped


class ViT(nn.Module):
    """Images -> class logits. `make_mlp` builds the mlp of each block."""

    def __init__(self, config: ViTConfig, make_mlp: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.config = config
        self.embedding = PatchEmbedding(config)
        self.blocks = nn.ModuleList(ViTBlock(config, make_mlp()) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        self.head = nn.Linear(config.width, config.num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channels, height, width) -> logits (batch, num_classes)."""
        x = self.embedding(images)
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x).mean(1))
        return logits
