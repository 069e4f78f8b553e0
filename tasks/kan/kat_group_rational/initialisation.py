"""How every method starts: the same random numbers wherever the shapes agree, so that methods of one seed differ by design alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tasks.blocks.layers import Attention
from tasks.blocks.training import generator
from tasks.blocks.vit import SelfAttention
from tasks.kan.kat_group_rational.mlp import GroupRational, preserve_variance

STD = 0.02
"""Of every weight, as the released code trains (its truncation at +-2 is a hundred standard deviations away)."""


@torch.no_grad()
def initialize(model: nn.Module, seed_for: Callable[[str], int], *, attention: str, variance_preserving: bool) -> None:
    """Weights N(0, 0.02^2) from a stream of their own name, gains one, biases zero, rationals as they are; then the two variants.

    Numbers are drawn on the CPU, so that a seed means the same network on every device.
    """
    coefficients = {id(p) for module in model.modules() if isinstance(module, GroupRational) for p in module.parameters()}
    for name, parameter in model.named_parameters():
        if id(parameter) in coefficients:
            continue
        if parameter.ndim < 2:
            parameter.fill_(0.0 if name.endswith("bias") else 1.0)
        else:
            parameter.copy_(STD * torch.randn(parameter.shape, generator=generator(seed_for(f"init/{name}"))))
    for name, module in model.named_modules():
        if attention == "mimetic" and isinstance(module, Attention | SelfAttention):
            mimetic(module, generator(seed_for(f"init/{name}/mimetic")))
        if variance_preserving and name.endswith(".mlp"):
            preserve_variance(module, STD)


@torch.no_grad()
def mimetic(attention: Attention | SelfAttention, stream: torch.Generator) -> None:
    """Weights whose products look like those of trained transformers (Trockman & Kolter 2023, arXiv 2305.09828).

    W_q^T W_k of each head is the best rank-head_dim approximation of 0.7 Z + 0.7 I, W_out W_v equals 0.4 Z - 0.4 I, Z ~ N(0, 1/d).
    """
    width, head_dim = attention.out.in_features, attention.head_dim
    query, key, value = attention.qkv.weight.view(3, width, width)
    for head in range(width // head_dim):
        rows = slice(head * head_dim, (head + 1) * head_dim)
        left, right = _factors(0.7, 0.7, width, head_dim, stream)
        query[rows], key[rows] = left.T, right
    left, right = _factors(0.4, -0.4, width, width, stream)
    attention.out.weight.copy_(left)
    value.copy_(right)


def _factors(noise: float, identity: float, width: int, rank: int, stream: torch.Generator) -> tuple[Tensor, Tensor]:
    """(width, rank) and (rank, width) whose product is noise Z + identity I, cut to its `rank` largest singular values."""
    target = noise * torch.randn(width, width, generator=stream) / width**0.5 + identity * torch.eye(width)
    left, values, right = torch.linalg.svd(target)
    root = values[:rank].sqrt()
    return left[:, :rank] * root, root[:, None] * right[:rank]
