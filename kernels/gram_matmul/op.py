"""`gram_matmul`: the public function, and the torch operators behind it."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from kernels.backend import choose, evaluate
from kernels.gram_matmul.reference import centred, compute_dtype, gram_matmul_reference, kernel_block

MOST_TERMS = 16
_WORTH = 4e6
"""Entries of K from which not storing it is worth dearer launches: on an H100 eager torch was faster at 1000^2 (1.1 times, with gradients
1.4 times), the kernel at 65536^2 (16 times)."""
_FLOATS = (torch.bfloat16, torch.float16, torch.float32, torch.float64)


def gram_matmul(
    x: Tensor, y: Tensor, v: Tensor, *, gammas: Sequence[float], weights: Sequence[float] | None = None, backend: str | None = None
) -> Tensor:
    """K v for a mixture of Gaussian kernels, K_ij = sum_q w_q exp(-gamma_q ||x_i - y_j||^2), in memory O((N + M)(D + P)).

    Args:
        x: (N, D), bfloat16, float16, float32 or float64. Computed in float32, in float64 when any of the three is float64.
        y: (M, D).
        v: (M, P); 128 columns cost one pass over K.
        gammas: 1 to 16 numbers >= 0; a bandwidth sigma is gamma = 1 / (2 sigma^2). A doubling ladder (up to 6) costs one exponential
            an entry instead of one a term.
        weights: one number for each gamma; default ones.
        backend: auto, reference, compile or triton; default $KERNELS_BACKEND, else auto.

    Returns (N, P) in v's dtype. Differentiable in x, y and v; gammas and weights are plain numbers without gradients. Squared distances are
    clamped at 0 after the data were centred. A row of x or y that is not finite (or whose square overflows) gives NaN wherever it enters.

    Raises:
        ValueError, TypeError: shapes, dtypes, devices or numbers that do not fit.
        BackendError: an explicit backend that cannot run here.
    """
    weights = [1.0] * len(gammas) if weights is None else weights
    _check(x, y, v, gammas, weights)
    numbers = [[float(number) for number in listed] for listed in (gammas, weights)]
    chosen = choose("gram_matmul", x, backend=backend, dot=True, small=len(x) * len(y) < _WORTH)
    if chosen == "triton":
        out: Tensor = torch.ops.kernels.gram_matmul(x, y, v, *numbers)
        return out
    # Compiled a block at a time: the loop over blocks would be unrolled otherwise.
    block = functools.partial(evaluate, chosen, kernel_block)
    return gram_matmul_reference(x, y, v, *numbers, block=block)


def _check(x: Tensor, y: Tensor, v: Tensor, gammas: Sequence[float], weights: Sequence[float]) -> None:
    """An error that names what does not fit."""
    for name, tensor in (("x", x), ("y", y), ("v", v)):
        if tensor.dtype not in _FLOATS:
            raise TypeError(f"gram_matmul: {name} must be a floating-point tensor, not {tensor.dtype}")
        if tensor.device != x.device:
            raise ValueError(f"gram_matmul: {name} is on {tensor.device}, x on {x.device}")
        if tensor.ndim != 2:
            raise ValueError(f"gram_matmul: {name} must have two axes, not shape {tuple(tensor.shape)}")
    if x.shape[1] != y.shape[1] or not x.shape[1]:
        raise ValueError(f"gram_matmul: x {tuple(x.shape)} and y {tuple(y.shape)} must have the same number of columns, at least 1")
    if len(v) != len(y):
        raise ValueError(f"gram_matmul: v {tuple(v.shape)} must have a row for each of the {len(y)} rows of y")
    if not 1 <= len(gammas) <= MOST_TERMS or len(weights) != len(gammas):
        raise ValueError(f"gram_matmul: 1 to {MOST_TERMS} gammas and as many weights, not {len(gammas)} and {len(weights)}")
    for gamma, weight in zip(gammas, weights, strict=True):
        if not (math.isfinite(gamma) and gamma >= 0 and math.isfinite(weight)):
            raise ValueError(f"gram_matmul: gammas must be finite and >= 0 and weights finite, not {gamma} and {weight}")


def _prepared(x: Tensor, y: Tensor, *columns: Tensor) -> list[Tensor]:
    """What the launches take: centred x and y, their squared norms, and matrices of columns, contiguous, in the arithmetic's dtype."""
    dtype = compute_dtype(x, y, *columns)
    return [tensor.to(dtype).contiguous() for tensor in (*centred(x.contiguous(), y.contiguous(), dtype), *columns)]


@torch.library.custom_op("kernels::gram_matmul", mutates_args=())
def _forward(x: Tensor, y: Tensor, v: Tensor, gammas: Sequence[float], weights: Sequence[float]) -> Tensor:
    from kernels.gram_matmul.triton import launch_forward

    if not (len(x) and len(y) and v.shape[1]):
        return v.new_zeros(len(x), v.shape[1])
    xs, ys, x_norms, y_norms, columns = _prepared(x, y, v)
    return launch_forward(xs, ys, x_norms, y_norms, columns, gammas, weights).to(v.dtype)


@_forward.register_fake
def _(x: Tensor, _y: Tensor, v: Tensor, _gammas: Sequence[float], _weights: Sequence[float]) -> Tensor:
    return v.new_empty(x.shape[0], v.shape[1])


@torch.library.custom_op("kernels::gram_matmul_backward", mutates_args=())
def _backward(
    dout: Tensor, x: Tensor, y: Tensor, v: Tensor, gammas: Sequence[float], weights: Sequence[float], needs: Sequence[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """(dx, dy, dv); one that is not needed comes back empty."""
    from kernels.gram_matmul.triton import launch_forward, launch_gradient

    if not (len(x) and len(y) and v.shape[1]):
        zeros = [tensor.new_zeros(tensor.shape if needed else 0) for tensor, needed in zip((x, y, v), needs, strict=True)]
        return zeros[0], zeros[1], zeros[2]
    xs, ys, x_norms, y_norms, columns, pulled = _prepared(x, y, v, dout)
    dx, dy, dv = x.new_empty(0), y.new_empty(0), v.new_empty(0)
    if needs[0]:
        dx = launch_gradient(xs, ys, x_norms, y_norms, pulled, columns, gammas, weights).to(x.dtype)
    if needs[1]:
        dy = launch_gradient(ys, xs, y_norms, x_norms, columns, pulled, gammas, weights).to(y.dtype)
    if needs[2]:
        dv = launch_forward(ys, xs, y_norms, x_norms, pulled, gammas, weights).to(v.dtype)
    return dx, dy, dv


@_backward.register_fake
def _(
    _dout: Tensor, x: Tensor, y: Tensor, v: Tensor, _gammas: Sequence[float], _weights: Sequence[float], needs: Sequence[bool]
) -> tuple[Tensor, Tensor, Tensor]:
    empty = [tensor.new_empty(tensor.shape if needed else 0) for tensor, needed in zip((x, y, v), needs, strict=True)]
    return empty[0], empty[1], empty[2]


def _save(
    ctx: torch.autograd.function.FunctionCtx,
    inputs: tuple[Tensor, Tensor, Tensor, list[float], list[float]],
    output: Tensor,  # noqa: ARG001 - torch passes it by name
) -> None:
    x, y, v, ctx.gammas, ctx.weights = inputs  # type: ignore[attr-defined]
    ctx.save_for_backward(x, y, v)


def _differentiate(
    ctx: torch.autograd.function.FunctionCtx, dout: Tensor
) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
    needs = list(ctx.needs_input_grad[:3])  # type: ignore[attr-defined]
    numbers = (ctx.gammas, ctx.weights)  # type: ignore[attr-defined]
    gradients = torch.ops.kernels.gram_matmul_backward(dout, *ctx.saved_tensors, *numbers, needs)  # type: ignore[attr-defined]
    dx, dy, dv = (gradient if needed else None for gradient, needed in zip(gradients, needs, strict=True))
    return dx, dy, dv, None, None


torch.library.register_autograd("kernels::gram_matmul", _differentiate, setup_context=_save)
