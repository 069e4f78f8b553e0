"""Quantization-aware training with QuEST (arXiv 2502.05003): weights and inputs pass its quantizer in every forward pass."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 - the field's own name for it
from torch import Tensor, nn

from harness.errors import UsageError
from kernels import quest_fake_quant
from kernels.fake_quant.grid import CLIPS
from kernels.fake_quant.hadamard import BLOCK
from tasks.llm.optimizers_under_quantization.linears import linear_layers, replace


class QuestLinear(nn.Linear):
    """A linear layer over quantized inputs and weights, with the very parameters of the layer it is made from.

    Both are quantized in Hadamard space, where their product is that of the originals; gradients are straight-through where the trust
    mask holds and zero elsewhere.
    """

    def __init__(self, linear: nn.Linear, bits: float) -> None:
        # On the meta device nothing is drawn: the parameters, and the random numbers of whoever comes next, stay as they are.
        super().__init__(linear.in_features, linear.out_features, bias=linear.bias is not None, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        self.bits = bits

    def forward(self, input: Tensor) -> Tensor:
        """(..., in_features) -> (..., out_features)."""
        return F.linear(quest_fake_quant(input, self.bits), quest_fake_quant(self.weight, self.bits), self.bias)

    def extra_repr(self) -> str:
        """Sizes, as nn.Linear prints them, and bits."""
        return f"{super().extra_repr()}, bits={self.bits:g}"


def quantize_linears(model: nn.Module, bits: float) -> None:
    """Replace every nn.Linear by a `QuestLinear` in place; names and parameters stay the same objects.

    bits: 1 to 8, or 1.585 for three levels, of weights and activations alike. UsageError, before anything is replaced: bits that QuEST
    has no clip for, no linear layer, or one whose number of inputs is not a multiple of 128, the order of the Hadamard blocks.
    """
    if bits not in CLIPS:
        raise UsageError(f"QuEST: bits must be one of {', '.join(f'{known:g}' for known in CLIPS)}, not {bits!r}")
    layers = linear_layers(model)
    for name, layer in layers.items():
        if layer.in_features % BLOCK:
            raise UsageError(f"QuEST: the linear layer {name} has {layer.in_features} inputs, which is not a multiple of {BLOCK}")
    for layer in layers.values():
        replace(model, layer, QuestLinear(layer, bits))
