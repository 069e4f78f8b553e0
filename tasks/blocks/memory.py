"""Peak memory of a training, from its sizes: what `Experiment.memory` of a task says. Imports no torch, as a plan must not wait for it.

The coefficients are bytes that the real networks keep, counted at small sizes by `tasks.blocks.counting`; a test counts them again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

GIB = 1024.0**3
PROCESS_GIB = 0.6
"""Of a process without any data: torch in main memory, or a CUDA context and its workspaces on a card."""
MOST_KEPT_GIB = 24.0
"""What one part of a batch may keep for the backward pass: a third of an 80 GB card. The rest is left to weights and their optimizer."""

Precision = Literal["float32", "bfloat16"]


class _Bytes(NamedTuple):
    """Of one token: in a block per feature, per hidden feature, per head and at all; outside of blocks per feature and at all."""

    feature: float
    hidden: float
    head: float
    block: float
    outside: float
    token: float
    weight: float
    """And of one weight matrix' entry: the copy that autocast makes."""


_DECODER = {
    "float32": _Bytes(52.0, 16.0, 4.0, 8.0, 12.0, 20.0, 0.0),
    "bfloat16": _Bytes(36.0, 8.0, 4.0, 8.0, 10.0, 20.0, 2.0),
}
_LOGIT, _LOGIT_BACKWARD = 4.0, 8.0
"""Cross-entropy keeps log-probabilities in single precision; at its backward pass two more of that size are there."""
_EVALUATED_LOGIT = 10.0


_BLOCK = {
    "identity": (48.0, 28.0),
    "activation": (64.0, 36.0),
    "swiglu": (75.0, 44.0),
    "crrelu": (112.0, 60.0),
    "rational": (268.0, 248.0),
    "rational-kernel": (72.0, 44.0),
    "spline": (224.0, 166.0),
}
"""Bytes of a block of a vision transformer that backward keeps for one feature of one token, in single precision and bfloat16, by what
stands between the attentions: a hidden layer of four times the width with that activation. The kernel keeps its inputs alone."""
_ROTARY_BLOCK = (20.0, 14.0)
"""What a decoder's attention and norms keep beyond that."""
_AROUND = {True: ((12.0, 20.0), (10.0, 20.0)), False: ((4.25, 204.0), (4.25, 108.0))}
"""Outside of blocks, for a feature and at all, of a decoder and of a vision transformer on patches of 4 x 4 pixels in three channels."""


def transformer_kept(
    tokens: float, width: int, depth: int, mlp: str, precision: Precision, *, decoder: bool = False, logits: int = 0
) -> float:
    """Bytes that the backward pass of a transformer keeps, its `mlp` one of `_BLOCK`; `logits` of each token, where each has a loss."""
    column = 0 if precision == "float32" else 1
    feature = _BLOCK[mlp][column] + (_ROTARY_BLOCK[column] if decoder else 0.0)
    weights = 2.0 * 12.0 * depth * width**2 if precision == "bfloat16" else 0.0
    around, least = _AROUND[decoder][column]
    return tokens * (depth * (feature * width + 24.0) + around * width + least + _LOGIT * logits) + weights


def parts_of(batch: int, kept: float, most_gib: float = MOST_KEPT_GIB) -> int:
    """In how many parts a batch is trained whose backward pass keeps so many bytes, each at most `most_gib`; 1 where all of it fits.

    It follows from sizes alone, not from the machine, so that a trial means the same everywhere.
    """
    parts = 1
    while parts < batch and kept / batch * -(-batch // parts) > most_gib * GIB:
        parts *= 2
    return min(parts, batch)


@dataclass(frozen=True, kw_only=True)
class DecoderSize:
    """What of a `tasks.blocks.decoder.Decoder` decides its memory. `hidden` is 11/4 of the width unless given."""

    width: int
    depth: int
    head_dim: int
    vocab_size: int
    hidden: int = 0

    @property
    def inner(self) -> int:
        """Inner width of SwiGLU."""
        return self.hidden or 11 * self.width // 4

    @property
    def parameters(self) -> int:
        """All of them."""
        return self.depth * (self._block + 2 * self.width) + 2 * self.vocab_size * self.width + self.width

    @property
    def _block(self) -> int:
        return 4 * self.width**2 + 3 * self.width * self.inner

    def kept(self, tokens: float, precision: Precision = "float32") -> float:
        """Bytes that the backward pass of so many tokens keeps."""
        own = _DECODER[precision]
        block = own.feature * self.width + own.hidden * self.inner + own.head * self.width / self.head_dim + own.block
        token = self.depth * block + own.outside * self.width + own.token + _LOGIT * self.vocab_size
        return tokens * token + own.weight * (self.depth * self._block + self.vocab_size * self.width)

    def parts(self, batch: int, length: int, precision: Precision = "float32", most_gib: float = MOST_KEPT_GIB) -> int:
        """`parts_of` a batch of sequences."""
        return parts_of(batch, self.kept(batch * length, precision), most_gib)

    def training(self, tokens: float, precision: Precision = "float32", state: float = 2.0) -> float:
        """Peak bytes of a step on `tokens` at once: weights, gradients, `state` numbers a weight of the optimizer, what backward keeps."""
        return 4.0 * (2.0 + state) * self.parameters + self.kept(tokens, precision) + _LOGIT_BACKWARD * tokens * self.vocab_size

    def evaluation(self, tokens: float, state: float = 2.0) -> float:
        """Peak bytes of a forward pass on `tokens` at once beside a trained network: logits of both precisions, log-probabilities."""
        widest = 12.0 * self.inner + 16.0 * self.width
        return 4.0 * (2.0 + state) * self.parameters + tokens * (_EVALUATED_LOGIT * self.vocab_size + widest)


def gib(bytes_: float) -> float:
    """GiB of a process whose tensors take `bytes_` at their peak; a tenth more for what the allocator cannot use."""
    return PROCESS_GIB + 1.1 * bytes_ / GIB
