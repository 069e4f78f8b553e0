"""QuEST and row-wise absmax quantization: the public functions, and QuEST's torch operators."""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.backend import choose, evaluate
from kernels.fake_quant import grid
from kernels.fake_quant.hadamard import BLOCK
from kernels.fake_quant.reference import (
    quest_quantize_reference,
    rowwise_absmax_fake_quant_reference,
    rowwise_absmax_quantize_reference,
)

_FLOATS = (torch.bfloat16, torch.float16, torch.float32, torch.float64)


def quest_fake_quant(x: Tensor, bits: float, *, backend: str | None = None) -> Tensor:
    """QuEST's quantizer: the block-Hadamard transform of x on a grid of 2^bits points, with a trust-masked straight-through gradient.

    The result stays in Hadamard space. A linear layer multiplies two such results, q(x) q(w)^T, an estimate of x w^T because H is
    orthogonal; `block_hadamard` maps a result back to the space of x.

    Args:
        x: (..., K), K a multiple of 128; bfloat16, float16, float32 or float64; computed in float32 (float64 for float64).
        bits: 1 to 8, or 1.585 for three levels.
        backend: auto, reference, compile or triton; default $KERNELS_BACKEND, else auto.

    Returns:
        (..., K) in x's dtype. Each row has its own scale, from its root mean square (not its standard deviation) over all K columns.
        Gradient: (dq * mask) H by blocks; the scale has none. A row of zeros comes out within 1e-8 of zero and passes no gradient. A row
        that holds NaN or infinity comes out without a finite entry.

    Raises:
        ValueError, TypeError: shapes, dtypes or bits that do not fit.
        BackendError: an explicit backend that cannot run here.
    """
    return quest_quantize(x, bits, backend=backend)[0]


def quest_quantize(x: Tensor, bits: float, *, backend: str | None = None) -> tuple[Tensor, Tensor]:
    """(q, mask) with q as `quest_fake_quant` gives it, gradient included, and the boolean trust mask: where that gradient passes."""
    _check("quest_fake_quant", x)
    grid.levels(bits)
    if x.shape[-1] % BLOCK:
        raise ValueError(f"quest_fake_quant: the last axis of x {tuple(x.shape)} is not a multiple of {BLOCK}")
    chosen = choose("quest_fake_quant", x, backend=backend, dot=True)
    if chosen != "triton":
        return evaluate(chosen, quest_quantize_reference, x, bits)
    q, mask = torch.ops.kernels.quest_fake_quant(x, bits)
    return q, mask


def rowwise_absmax_quantize(x: Tensor, bits: int, *, backend: str | None = None) -> tuple[Tensor, Tensor]:
    """Symmetric round-to-nearest of each row: levels = rne(x / scale), scale = max|row| / (2^(bits-1) - 1).

    Args:
        x: (..., K), bfloat16, float16, float32 or float64. It must not require a gradient: there is none.
        bits: 2 to 8.
        backend: auto, reference or compile; default $KERNELS_BACKEND, else auto, which is the reference. There is no Triton kernel: the
            compiler is at the roof.

    Returns:
        levels (..., K), int8, and scale (..., 1), float32. A row of zeros has scale 0 and levels 0. A row that holds NaN or infinity has
        scale NaN and levels 0: it dequantizes to NaN.

    Raises:
        ValueError, TypeError, RuntimeError: shapes, dtypes or bits that do not fit; x requires a gradient.
        BackendError: an explicit backend that cannot run here.
    """
    _check_rowwise("rowwise_absmax_quantize", x, bits)
    chosen = choose("rowwise_absmax_quantize", x, backend=backend, has_kernel=False)
    return evaluate(chosen, rowwise_absmax_quantize_reference, x, bits)


def rowwise_absmax_fake_quant(x: Tensor, bits: int, *, backend: str | None = None) -> Tensor:
    """levels * scale of `rowwise_absmax_quantize` in x's dtype. Arguments and errors are the same."""
    _check_rowwise("rowwise_absmax_fake_quant", x, bits)
    chosen = choose("rowwise_absmax_fake_quant", x, backend=backend, has_kernel=False)
    return evaluate(chosen, rowwise_absmax_fake_quant_reference, x, bits)


def _check(name: str, x: Tensor) -> None:
    if x.dtype not in _FLOATS:
        raise TypeError(f"{name}: x must be a floating-point tensor, not {x.dtype}")
    if x.ndim < 1 or not x.shape[-1]:
        raise ValueError(f"{name}: x {tuple(x.shape)} has no columns")


def _check_rowwise(name: str, x: Tensor, bits: int) -> None:
    """An error that names what does not fit."""
    _check(name, x)
    if torch.is_grad_enabled() and x.requires_grad:
        raise RuntimeError(f"{name} has no gradient: call it under torch.no_grad() or on x.detach()")
    grid.largest_level(bits)


def _rows(x: Tensor) -> Tensor:
    """(M, K) with contiguous rows, without a copy where strides allow."""
    flat = x.reshape(-1, x.shape[-1])
    return flat if flat.stride(-1) == 1 else flat.contiguous()


def _like(x: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.empty(x.shape, dtype=dtype, device=x.device)


@torch.library.custom_op("kernels::quest_fake_quant", mutates_args=())
def _quest(x: Tensor, bits: float) -> tuple[Tensor, Tensor]:
    from kernels.fake_quant.triton import launch_quest_forward

    q, mask = _like(x, x.dtype), _like(x, torch.bool)
    if x.numel():
        width = x.shape[-1]
        steps = grid.levels(bits) - 1
        launch_quest_forward(_rows(x), grid.CLIPS[bits], steps, grid.offset(bits), q.view(-1, width), mask.view(-1, width))
    return q, mask


@_quest.register_fake
def _(x: Tensor, _bits: float) -> tuple[Tensor, Tensor]:
    return _like(x, x.dtype), _like(x, torch.bool)


@torch.library.custom_op("kernels::quest_fake_quant_backward", mutates_args=())
def _quest_backward(dq: Tensor, mask: Tensor) -> Tensor:
    from kernels.fake_quant.triton import launch_quest_backward

    dx = _like(dq, dq.dtype)
    if dq.numel():
        width = dq.shape[-1]
        launch_quest_backward(_rows(dq), mask.contiguous().view(-1, width), dx.view(-1, width))
    return dx


@_quest_backward.register_fake
def _(dq: Tensor, _mask: Tensor) -> Tensor:
    return _like(dq, dq.dtype)


def _save(
    ctx: torch.autograd.function.FunctionCtx,
    inputs: tuple[Tensor, float],  # noqa: ARG001 - torch passes it by name
    output: tuple[Tensor, Tensor],
) -> None:
    ctx.save_for_backward(output[1])
    ctx.mark_non_differentiable(output[1])


def _differentiate(ctx: torch.autograd.function.FunctionCtx, dq: Tensor, _: Tensor | None) -> tuple[Tensor, None]:
    (mask,) = ctx.saved_tensors  # type: ignore[attr-defined]
    return torch.ops.kernels.quest_fake_quant_backward(dq, mask), None


torch.library.register_autograd("kernels::quest_fake_quant", _differentiate, setup_context=_save)
