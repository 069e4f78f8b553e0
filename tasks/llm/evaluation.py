"""Evaluation of language models, the same for every paper here: losses over fixed windows."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tasks.blocks.decoder import next_token_loss
from tasks.blocks.training import precision

EVAL_BATCH = 64
"""Windows read at once."""


@torch.no_grad()
def mean_loss(model: nn.Module, inputs: Tensor, targets: Tensor, arithmetic: str = "float32") -> float:
    """Mean loss over fixed windows, int64 (count, length), in nats a token, on the device of the model."""
    device = next(iter((*model.parameters(), *model.buffers()))).device
    total = 0.0
    for start in range(0, len(inputs), EVAL_BATCH):
        tokens, following = inputs[start : start + EVAL_BATCH].to(device), targets[start : start + EVAL_BATCH].to(device)
        with precision(device.type, arithmetic):
            loss = next_token_loss(model(tokens), following)
        total += float(loss) * len(tokens)
    return total / len(inputs)
