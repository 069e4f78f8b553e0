"""Post-training quantization: a copy of a network whose linear layers round their weights, their inputs or both.

Rotation by a block Hadamard matrix spreads an outlier over its block and changes no product (x H)(W H)^T.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import torch
import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn

from harness.errors import UsageError, unknown
from kernels import hadamard_128, rowwise_absmax_fake_quant
from kernels.fake_quant.hadamard import BLOCK
from tasks.llm.optimizers_under_quantization.gptq import blockwise, gptq, hessians
from tasks.llm.optimizers_under_quantization.linears import linear_layers, replace
from tasks.llm.optimizers_under_quantization.qat import QuestLinear

Method = Literal["rtn", "gptq"]


@dataclass(frozen=True)
class Scheme:
    """How linear layers are quantized: symmetric absmax grids of 2 to 8 bits, one scale a row of the weight and one a token.

    None bits leave weights or activations as they are. `method` rounds the weights: to the nearest level, or by GPTQ. `rotate` turns
    inputs and weights by a block Hadamard matrix first. UsageError: bits or a method that do not fit.
    """

    weight_bits: int | None
    activation_bits: int | None
    method: Method = "rtn"
    rotate: bool = False

    def __post_init__(self) -> None:
        for what, bits in (("weights", self.weight_bits), ("activations", self.activation_bits)):
            if bits is not None and bits not in range(2, 9):
                raise UsageError(f"{what} can have 2 to 8 bits, or None for unquantized, not {bits!r}")
        if self.method not in get_args(Method):
            raise unknown("method of weight rounding", self.method, get_args(Method))
        if self.method == "gptq" and self.weight_bits is None:
            raise UsageError("GPTQ rounds weights: give it weight_bits")


SCHEMES: Mapping[str, Scheme] = {
    "w4a4": Scheme(4, 4),
    "w8a8": Scheme(8, 8),
    "w4a16": Scheme(4, None),
    "w4a4_rotated": Scheme(4, 4, rotate=True),
    "w4a16_gptq": Scheme(4, None, method="gptq"),
    "w4a4_gptq": Scheme(4, 4, method="gptq"),
}
"""w4a4 is the paper's (section on post-training quantization: row-wise absmax, no Hadamard, no calibration); the rest are its rivals."""


class QuantizedLinear(nn.Module):
    """F.linear(fake_quant(x H), weight, bias), for inference: `weight` (out, in) is quantized already and lies in the space of x H.

    `order` is that of the Hadamard blocks, None without rotation. Each token (row of x) has a scale of its own, found on the fly.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None, activation_bits: int | None, order: int | None) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.activation_bits = activation_bits
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        if self.order is not None:
            x = rotate(x, self.order)
        if self.activation_bits is not None:
            x = rowwise_absmax_fake_quant(x, self.activation_bits)
        return F.linear(x, self.weight, self.bias)

    def effective_weight(self) -> Tensor:
        """The weight (out, in) in the space of the layer's own inputs: what the original weight became."""
        return self.weight if self.order is None else rotate(self.weight, self.order)

    def extra_repr(self) -> str:
        """Sizes and bits, as nn.Linear prints its own."""
        out_features, in_features = self.weight.shape
        return f"in_features={in_features}, out_features={out_features}, activation_bits={self.activation_bits}, order={self.order}"


def quantized(model: nn.Module, scheme: Scheme, calibration: Sequence[Tensor] = ()) -> nn.Module:
    """A deep copy of the model, for inference, in which every nn.Linear is a `QuantizedLinear`; the model itself is left as it is.

    calibration: batches of token ids that the model can read, for GPTQ alone: one block of layers after the other is calibrated on what
    the quantized layers before it give, its own inputs unrounded. An embedding, and a head tied to it, stay in full precision.
    UsageError: no linear layer, GPTQ without calibration, an odd number of inputs to rotate, a model trained with quantization.
    """
    copied = copy.deepcopy(model).requires_grad_(False)
    layers = linear_layers(copied)
    for name, layer in layers.items():
        if isinstance(layer, QuestLinear):
            raise UsageError(f"the linear layer {name} was trained with quantization: it has a quantizer of its own")
    if scheme.method == "rtn":
        for layer in layers.values():
            replace(copied, layer, _quantize(layer, scheme, None))
        return copied
    for group in blockwise(copied, layers):
        seen = hessians(copied, group, calibration, partial(_rotated, scheme=scheme))
        for name, layer in group.items():
            replace(copied, layer, _quantize(layer, scheme, seen[name]))
    return copied


@torch.no_grad()
def _quantize(layer: nn.Linear, scheme: Scheme, hessian: Tensor | None) -> QuantizedLinear:
    weight, bits = _rotated(layer.weight.detach(), scheme), scheme.weight_bits
    if bits is not None:
        weight = rowwise_absmax_fake_quant(weight, bits) if hessian is None else gptq(weight, hessian, bits)
    order = hadamard_order(layer.in_features) if scheme.rotate else None
    return QuantizedLinear(weight, layer.bias, scheme.activation_bits, order)


def _rotated(x: Tensor, scheme: Scheme) -> Tensor:
    return rotate(x, hadamard_order(x.shape[-1])) if scheme.rotate else x


def hadamard_order(in_features: int) -> int:
    """The largest power of two, up to 128, that divides `in_features`; UsageError for an odd number: nothing would be rotated."""
    order = min(in_features & -in_features, BLOCK)
    if order < 2:
        raise UsageError(f"a rotation needs an even number of input features, not {in_features}")
    return order


def hadamard(order: int, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> Tensor:
    """The orthonormal, symmetric Hadamard matrix of a power of two up to 128: the leading block of Sylvester's matrix of order 128."""
    signs = hadamard_128(dtype=dtype, device=device)[:order, :order].sign()
    return signs * (1.0 / math.sqrt(order))


def rotate(x: Tensor, order: int) -> Tensor:
    """x H on each block of `order` neighbouring entries of the last axis, in x's dtype; it is its own inverse. `order` divides the axis."""
    blocks = x.reshape(*x.shape[:-1], x.shape[-1] // order, order)
    return (blocks @ hadamard(order, dtype=x.dtype, device=x.device)).flatten(-2)
