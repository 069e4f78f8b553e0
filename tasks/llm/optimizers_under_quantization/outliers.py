"""How far the activations of a network stick out: max-to-median ratio, max-to-mean ratio and kurtosis, row by row."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tasks.llm.optimizers_under_quantization.linears import linear_layers


@torch.no_grad()
def activation_statistics(model: nn.Module, tokens: Tensor) -> dict[str, float]:
    """mmr_median, mmr_mean and kurtosis of what enters the linear layers while the model reads `tokens` once.

    Each is a mean over the rows (tokens) of an input, then over the layers: projections that share an input count it once each. The
    paper's body has the median, its abstract the mean. See `row_statistics` for what a row gives. Only nn.Linear is looked at, trained
    with quantization (before its own rounding) or not. A value that is not finite means activations that are not.
    """
    seen: list[Tensor] = []

    def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append(torch.stack([_mean_of_defined(values) for values in row_statistics(inputs[0]).values()]))

    handles = [layer.register_forward_pre_hook(hook) for layer in linear_layers(model).values()]
    try:
        model(tokens)
    finally:
        for handle in handles:
            handle.remove()
    return dict(zip(("mmr_median", "mmr_mean", "kurtosis"), torch.stack(seen).mean(0).tolist(), strict=True))


def row_statistics(x: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """(values, defined) by name, over the rows of x (..., K) flattened to (M, K); computed in float64.

    mmr_median: max|h| / median of the |h| that are not zero (ReLU^2 makes half of them zero, and a plain median infinite ratios).
    mmr_mean: max|h| / mean|h|. kurtosis: fourth central moment over the squared variance; 3 for a Gaussian, not 0. A row of zeros has no
    ratio and a constant one no kurtosis: `defined` is False there.
    """
    rows = x.detach().flatten(0, -2).double()
    size = rows.abs()
    peak = size.amax(-1)
    centred = rows - rows.mean(-1, keepdim=True)
    variance = centred.square().mean(-1)
    spread = variance > 1e-20 * peak.square()
    return {
        "mmr_median": (peak / _median_of_nonzero(size), peak != 0),
        "mmr_mean": (peak / size.mean(-1), peak != 0),
        "kurtosis": (centred.pow(4).mean(-1) / variance.square(), spread | ~peak.isfinite()),
    }


def _median_of_nonzero(size: Tensor) -> Tensor:
    """The median of the positive entries of each row (M, K): the mean of the two in the middle where their number is even."""
    ordered = size.sort(-1).values
    zeros = (size == 0).sum(-1, keepdim=True)
    count = size.shape[-1] - zeros
    middle = torch.cat((zeros + (count - 1).clamp_min(0) // 2, zeros + count // 2), dim=-1)
    return ordered.gather(-1, middle.clamp_max(size.shape[-1] - 1)).mean(-1)


def _mean_of_defined(pair: tuple[Tensor, Tensor]) -> Tensor:
    values, defined = pair
    return values[defined].mean()
