"""GPTQ (Frantar et al., arXiv 2210.17323): round one input column after the other and let the columns that are left mend the error."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from harness.errors import UsageError
from kernels import rowwise_absmax_quantize
from kernels.fake_quant import grid

DAMPING = 0.01
"""What is added to the Hessian's diagonal, as a share of its mean: the paper's 1 %."""
_LAZY = 128


def gptq(weight: Tensor, hessian: Tensor, bits: int) -> Tensor:
    """The fake-quantized weight (out, in), in its dtype, on round-to-nearest's grid: one symmetric absmax scale a row.

    hessian (in, in) is X^T X over the calibration inputs, up to a factor. Columns go from left to right; each one's error, weighed by
    the Cholesky factor U of H^-1 = U^T U, is taken from the columns to its right. Levels are clipped, because a mended column may leave
    the grid. With a multiple of the identity (or a zero Hessian) this is round-to-nearest; a Hessian that is not finite gives NaN.
    """
    if not bool(torch.isfinite(hessian).all()):
        return torch.full_like(weight, torch.nan)
    largest = grid.largest_level(bits)
    scale = rowwise_absmax_quantize(weight.detach(), bits)[1].double().squeeze(-1)
    step = torch.where(scale > 0, scale, 1.0)
    columns = weight.detach().double().T.clone(memory_format=torch.contiguous_format)
    factor = _inverse_factor(hessian.double())
    for begin in range(0, len(columns), _LAZY):
        end = min(begin + _LAZY, len(columns))
        errors = torch.empty_like(columns[begin:end])
        for j in range(begin, end):
            rounded = torch.round(columns[j] / step).clamp_(-largest, largest) * scale
            error = (columns[j] - rounded) / factor[j, j]
            columns[j + 1 : end].addr_(factor[j, j + 1 : end], error, alpha=-1)
            columns[j], errors[j - begin] = rounded, error
        columns[end:] -= factor[begin:end, end:].T @ errors
    return columns.T.to(weight.dtype).contiguous()


def _inverse_factor(hessian: Tensor) -> Tensor:
    """U, upper triangular, with U^T U the inverse of the damped Hessian."""
    damp = DAMPING * hessian.diagonal().mean()
    damped = hessian + torch.eye(len(hessian), dtype=hessian.dtype, device=hessian.device) * (damp if damp > 0 else 1.0)
    factor: Tensor = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(damped)), upper=True)
    return factor


@torch.no_grad()
def hessians(
    model: nn.Module, layers: Mapping[str, nn.Linear], calibration: Sequence[Tensor], transform: Callable[[Tensor], Tensor]
) -> dict[str, Tensor]:
    """X^T X (in, in) of what enters each layer, summed over the calibration batches in float64; `transform` maps the inputs first.

    UsageError: no batch, or a layer that no batch reaches.
    """
    if not calibration:
        raise UsageError("GPTQ needs calibration batches: token ids, at least one tensor")
    sums: dict[str, Tensor] = {}

    def add(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            x = transform(inputs[0]).flatten(0, -2)
            x = x.to(torch.promote_types(x.dtype, torch.float32))
            sums[name] = sums.get(name, 0.0) + (x.T @ x).double()

        return hook

    handles = [layer.register_forward_pre_hook(add(name)) for name, layer in layers.items()]
    try:
        for tokens in calibration:
            model(tokens)
    finally:
        for handle in handles:
            handle.remove()
    for name in layers:
        if name not in sums:
            raise UsageError(f"GPTQ: no calibration batch reaches the linear layer {name}")
    return sums


def blockwise(model: nn.Module, layers: Mapping[str, nn.Linear]) -> Iterator[dict[str, nn.Linear]]:
    """The layers in groups that GPTQ quantizes together: those of one element of an nn.ModuleList; neighbours outside of any are a group.

    They come in order of registration, which must be that of evaluation: a group is calibrated on what the quantized ones before it give.
    """
    for _, names in itertools.groupby(layers, lambda name: _block(model, name)):
        yield {name: layers[name] for name in names}


def _block(model: nn.Module, name: str) -> str:
    """The outermost element of an nn.ModuleList that holds the module called `name`; empty if none does."""
    parts = name.split(".")
    for depth in range(1, len(parts)):
        if isinstance(model.get_submodule(".".join(parts[:depth])), nn.ModuleList):
            return ".".join(parts[: depth + 1])
    return ""
