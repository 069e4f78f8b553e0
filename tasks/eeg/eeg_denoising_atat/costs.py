"""What cleaning a window costs: multiply-adds, counted by torch.utils.flop_counter."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tasks.eeg.eeg_denoising_atat.targeted import Targeted


def multiply_adds(network: nn.Module, samples: int, share_sent: float = 1.0) -> float:
    """Of the convolutions and matrix products for one window; of the transformer, for the share of segments that it is sent."""
    if isinstance(network, Targeted):
        transformer = _counted(network.transformer, network.segment, inputs=2)
        return _counted(network.autoencoder, samples) + share_sent * (samples // network.segment) * transformer
    return _counted(network, samples)


def _counted(module: nn.Module, length: int, inputs: int = 1) -> float:
    """For one series. Shapes are enough, and without storage an LSTM falls apart into matrix products, which are counted.

    In training mode, because evaluation takes a fused attention that is not.
    """
    ghost = copy.deepcopy(module).to("meta").train()
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        ghost(*(torch.empty(1, length, device="meta") for _ in range(inputs)))
    return counter.get_total_flops() / 2
