"""`gram_matmul`: the public function, and the torch operators behind it."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from kernels.backend import choose, evaluate
from kernels.gram_matmul.pointwise import Pointwise, gaussian
from kernels.gram_matmul.reference import compute_dtype, gram_matmul_reference, kernel_block, prepared, unit_rows

_WORTH = 4e6
"""Entries of K from which not storing it is worth dearer launches: on an H100 eager torch was faster at 1000^2 (1.1 times, with gradients
1.4 times), the kernel at 65536^2 (16 times)."""
_FLOATS = (torch.bfloat16, torch.float16, torch.float32, torch.float64)


def gram_matmul(
    x: Tensor,
    y: Tensor,
    v: Tensor,
    *,
    kernel: Pointwise | None = None,
    gammas: Sequence[float] | None = None,
    weights: Sequence[float] | None = None,
    backend: str | None = None,
) -> Tensor:
    """K v for a kernel matrix K_ij = k(x_i, y_j) that is never stored, in memory O((N + M)(D + P)).

    Args:
        x: (N, D), bfloat16, float16, float32 or float64. Computed in float32, in float64 when any of the three is float64.
        y: (M, D).
        v: (M, P); 128 columns cost one pass over K.
        kernel: `gaussian`, `laplace`, `arc_cosine`, `relu_ntk` or `dual_polynomial` of `kernels.gram_matmul.pointwise`. The last three
            act on correlations <x, y> / (|x| |y|), 0 for a row of zeros; in float32 those round by 1e-7, which near +-1 is 1e-4 in
            `arc_cosine(0)` and `relu_ntk`.
        gammas: short for `kernel=gaussian(gammas, weights)`. A doubling ladder (up to 6) costs one exponential an entry instead of one
            a term.
        weights: one number for each gamma; default ones.
        backend: auto, reference, compile or triton; default $KERNELS_BACKEND, else auto.

    Returns (N, P) in v's dtype. Differentiable in x, y and v; numbers of the kernel have no gradients. Squared distances are clamped at 0
    after the data were centred. A row of x or y that is not finite (or whose square overflows) gives NaN wherever it enters.

    Raises:
        ValueError, TypeError: shapes, dtypes, devices or numbers that do not fit.
        BackendError: an explicit backend that cannot run here.
    """
    _check(x, y, v)
    if (kernel is None) == (gammas is None) or (kernel is not None and weights is not None):
        raise ValueError("gram_matmul: give either a kernel or gammas, and weights only with gammas")
    kernel = gaussian(gammas or (), weights) if kernel is None else kernel
    # `auto` leaves maps without a measurement on a GPU to the reference.
    small = len(x) * len(y) < _WORTH or kernel.kind != "gaussian"
    chosen = choose("gram_matmul", x, backend=backend, dot=True, small=small)
    if chosen == "triton":
        dtype = compute_dtype(x, y, v)
        if kernel.of_correlations:
            x, y = unit_rows(x, dtype), unit_rows(y, dtype)
        out: Tensor = torch.ops.kernels.gram_matmul(x, y, v, kernel.kind, kernel.gammas, kernel.weights, kernel.layers)
        return out
    # Compiled a block at a time: the loop over blocks would be unrolled otherwise.
    block = functools.partial(evaluate, chosen, kernel_block)
    return gram_matmul_reference(x, y, v, kernel, block=block)


def _check(x: Tensor, y: Tensor, v: Tensor) -> None:
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


def _prepared(kernel: Pointwise, x: Tensor, y: Tensor, *columns: Tensor) -> list[Tensor]:
    """What the launches take: x, y and their squared norms, and matrices of columns, contiguous, in the arithmetic's dtype."""
    dtype = compute_dtype(x, y, *columns)
    return [tensor.to(dtype).contiguous() for tensor in (*prepared(x.contiguous(), y.contiguous(), dtype, kernel), *columns)]


@torch.library.custom_op("kernels::gram_matmul", mutates_args=())
def _forward(x: Tensor, y: Tensor, v: Tensor, kind: str, gammas: Sequence[float], weights: Sequence[float], layers: int) -> Tensor:
    from kernels.gram_matmul.triton import launch_forward

    if not (len(x) and len(y) and v.shape[1]):
        return v.new_zeros(len(x), v.shape[1])
    kernel = Pointwise(kind, tuple(gammas), tuple(weights), layers)
    xs, ys, x_norms, y_norms, columns = _prepared(kernel, x, y, v)
    return launch_forward(xs, ys, x_norms, y_norms, columns, kernel).to(v.dtype)


@_forward.register_fake
def _(x: Tensor, _y: Tensor, v: Tensor, _kind: str, _gammas: Sequence[float], _weights: Sequence[float], _layers: int) -> Tensor:
    return v.new_empty(x.shape[0], v.shape[1])


@torch.library.custom_op("kernels::gram_matmul_backward", mutates_args=())
def _backward(
    dout: Tensor,
    x: Tensor,
    y: Tensor,
    v: Tensor,
    kind: str,
    gammas: Sequence[float],
    weights: Sequence[float],
    layers: int,
    needs: Sequence[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    """(dx, dy, dv); one that is not needed comes back empty."""
    from kernels.gram_matmul.triton import launch_forward, launch_gradient

    if not (len(x) and len(y) and v.shape[1]):
        zeros = [tensor.new_zeros(tensor.shape if needed else 0) for tensor, needed in zip((x, y, v), needs, strict=True)]
        return zeros[0], zeros[1], zeros[2]
    kernel = Pointwise(kind, tuple(gammas), tuple(weights), layers)
    xs, ys, x_norms, y_norms, columns, pulled = _prepared(kernel, x, y, v, dout)
    dx, dy, dv = x.new_empty(0), y.new_empty(0), v.new_empty(0)
    if needs[0]:
        dx = launch_gradient(xs, ys, x_norms, y_norms, pulled, columns, kernel).to(x.dtype)
    if needs[1]:
        dy = launch_gradient(ys, xs, y_norms, x_norms, columns, pulled, kernel).to(y.dtype)
    if needs[2]:
        dv = launch_forward(ys, xs, y_norms, x_norms, pulled, kernel).to(v.dtype)
    return dx, dy, dv


@_backward.register_fake
def _(
    _dout: Tensor,
    x: Tensor,
    y: Tensor,
    v: Tensor,
    _kind: str,
    _gammas: Sequence[float],
    _weights: Sequence[float],
    _layers: int,
    needs: Sequence[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    empty = [tensor.new_empty(tensor.shape if needed else 0) for tensor, needed in zip((x, y, v), needs, strict=True)]
    return empty[0], empty[1], empty[2]


def _save(
    ctx: torch.autograd.function.FunctionCtx,
    inputs: tuple[Tensor, Tensor, Tensor, str, list[float], list[float], int],
    output: Tensor,  # noqa: ARG001 - torch passes it by name
) -> None:
    x, y, v, *ctx.kernel = inputs  # type: ignore[attr-defined]
    ctx.save_for_backward(x, y, v)


def _differentiate(
    ctx: torch.autograd.function.FunctionCtx, dout: Tensor
) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None, None, None]:
    needs = list(ctx.needs_input_grad[:3])  # type: ignore[attr-defined]
    gradients = torch.ops.kernels.gram_matmul_backward(dout, *ctx.saved_tensors, *ctx.kernel, needs)  # type: ignore[attr-defined]
    dx, dy, dv = (gradient if needed else None for gradient, needed in zip(gradients, needs, strict=True))
    return dx, dy, dv, None, None, None, None


torch.library.register_autograd("kernels::gram_matmul", _differentiate, setup_context=_save)
