"""`group_rational`: the public function, and the torch operators behind it."""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.backend import choose, evaluate
from kernels.group_rational.reference import group_rational_reference

SCHEDULES = ("two_stage", "per_element_atomic", "per_tile_atomic")
_FLOATS = (torch.bfloat16, torch.float16, torch.float32, torch.float64)


def group_rational(x: Tensor, numerator: Tensor, denominator: Tensor, *, backend: str | None = None, schedule: str = "two_stage") -> Tensor:
    """The group-wise rational activation of KAT: y = P(x)/Q(x), P = sum_i a_i x^i, Q = 1 + sum_j |b_j| |x|^j, coefficients by group.

    Args:
        x: (..., D), bfloat16, float16, float32 or float64; computed in float32 (float64 for float64), returned in its own dtype.
        numerator: a_0 to a_5, (G, 6), or (6,) or (1, 6) shared by all groups.
        denominator: b_1 to b_4, (G, 4); G divides D, a group is D/G neighbouring channels.
        backend: auto, reference, compile or triton; default $KERNELS_BACKEND, else auto.
        schedule: how the Triton backward sums the coefficient gradients: `two_stage` (no atomics, same bits every run), or one of the
            published ones, `per_element_atomic` and `per_tile_atomic`, which exist to be compared with.

    Subgradients at zero: d|b|/db = +1, d|x|/dx = 0. |x| above about 4e7 overflows x^5 in float32 and gives infinity or NaN, as in plain
    torch.

    Raises:
        ValueError, TypeError: shapes, dtypes or devices that do not fit.
        BackendError: an explicit backend that cannot run here.
    """
    numerator = _checked(x, numerator, denominator, schedule)
    chosen = choose("group_rational", x, backend=backend)
    if chosen != "triton":
        if schedule != "two_stage":
            raise ValueError(f"group_rational: schedule {schedule!r} is a Triton schedule; the backend here is {chosen}")
        return evaluate(chosen, group_rational_reference, x, numerator, denominator)
    y: Tensor = torch.ops.kernels.group_rational(x, numerator, denominator, schedule)
    return y


def _checked(x: Tensor, numerator: Tensor, denominator: Tensor, schedule: str) -> Tensor:
    """The numerator as (G, 6), or an error that names what does not fit."""
    if schedule not in SCHEDULES:
        raise ValueError(f"group_rational: unknown schedule {schedule!r}; choose one of {', '.join(SCHEDULES)}")
    for name, tensor in (("x", x), ("numerator", numerator), ("denominator", denominator)):
        if tensor.dtype not in _FLOATS:
            raise TypeError(f"group_rational: {name} must be a floating-point tensor, not {tensor.dtype}")
        if tensor.device != x.device:
            raise ValueError(f"group_rational: {name} is on {tensor.device}, x on {x.device}")
    if denominator.ndim != 2 or denominator.shape[1] != 4 or not len(denominator):
        raise ValueError(f"group_rational: denominator must be (groups, 4), not {tuple(denominator.shape)}")
    groups = len(denominator)
    if numerator.ndim == 1:
        numerator = numerator[None]
    if numerator.ndim != 2 or numerator.shape[1] != 6 or numerator.shape[0] not in (1, groups):
        raise ValueError(f"group_rational: numerator must be (6,), (1, 6) or ({groups}, 6), not {tuple(numerator.shape)}")
    if x.ndim < 1 or x.shape[-1] % groups:
        raise ValueError(f"group_rational: the last axis of x {tuple(x.shape)} is not a multiple of the {groups} groups")
    return numerator.expand(groups, 6)


@torch.library.custom_op("kernels::group_rational", mutates_args=())
def _forward(x: Tensor, numerator: Tensor, denominator: Tensor, schedule: str) -> Tensor:  # noqa: ARG001 - the backward's
    from kernels.group_rational.triton import launch_forward

    y = torch.empty_like(x, memory_format=torch.contiguous_format)
    if x.numel():
        width = x.shape[-1]
        launch_forward(x.contiguous().view(-1, width), numerator.contiguous(), denominator.contiguous(), y.view(-1, width))
    return y


@_forward.register_fake
def _(x: Tensor, _numerator: Tensor, _denominator: Tensor, _schedule: str) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@torch.library.custom_op("kernels::group_rational_backward", mutates_args=())
def _backward(dy: Tensor, x: Tensor, numerator: Tensor, denominator: Tensor, schedule: str) -> tuple[Tensor, Tensor, Tensor]:
    from kernels.group_rational.triton import launch_backward

    dx = torch.empty_like(x, memory_format=torch.contiguous_format)
    if not x.numel():
        return dx, torch.zeros_like(numerator), torch.zeros_like(denominator)
    width = x.shape[-1]
    flat = (dy.contiguous().view(-1, width), x.contiguous().view(-1, width), numerator.contiguous(), denominator.contiguous())
    sums = launch_backward(*flat, dx.view(-1, width), schedule)
    signs = torch.where(denominator >= 0, -1.0, 1.0).to(sums.dtype)
    d_numerator = torch.empty(numerator.shape, dtype=numerator.dtype, device=x.device).copy_(sums[:, :6])
    return dx, d_numerator, (signs * sums[:, 6:]).to(denominator.dtype)


@_backward.register_fake
def _(_dy: Tensor, x: Tensor, numerator: Tensor, denominator: Tensor, _schedule: str) -> tuple[Tensor, Tensor, Tensor]:
    return (
        torch.empty_like(x, memory_format=torch.contiguous_format),
        torch.empty(numerator.shape, dtype=numerator.dtype, device=x.device),
        torch.empty(denominator.shape, dtype=denominator.dtype, device=x.device),
    )


def _save(ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor, Tensor, Tensor, str], output: Tensor) -> None:  # noqa: ARG001 - torch passes it by name
    x, numerator, denominator, ctx.schedule = inputs  # type: ignore[attr-defined]
    ctx.save_for_backward(x, numerator, denominator)


def _differentiate(ctx: torch.autograd.function.FunctionCtx, dy: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
    dx, d_numerator, d_denominator = torch.ops.kernels.group_rational_backward(dy, *ctx.saved_tensors, ctx.schedule)  # type: ignore[attr-defined]
    return dx, d_numerator, d_denominator, None


torch.library.register_autograd("kernels::group_rational", _differentiate, setup_context=_save)
