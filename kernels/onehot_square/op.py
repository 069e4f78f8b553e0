"""`onehot_square`: the public function, and the torch operators behind it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from kernels.backend import choose, evaluate
from kernels.batching import register_leading_vmap
from kernels.onehot_square.reference import onehot_square_reference
from kernels.onehot_square.tiles import FORWARD

_FLOATS = (torch.bfloat16, torch.float16, torch.float32, torch.float64)


def onehot_square(pairs: Tensor, u: Tensor, v: Tensor, w: Tensor, *, backend: str | None = None) -> Tensor:
    """out_b = (u[m_b] + v[n_b])^2 w: a two-layer network with square activation, no bias, on pairs of one-hot inputs (modular arithmetic).

    Args:
        pairs: (..., B, 2), int64, rows of u and of v; or (B, 2) shared by all members.
        u, v: (..., P, N), the two halves of the first layer; leading axes are members. bfloat16, float16, float32 or float64.
        w: (..., N, C), of the same dtype.
        backend: auto, reference, compile or triton; default $KERNELS_BACKEND, else auto, which takes Triton only from the smallest size on
            that was measured on the device, so nowhere until `tune` has run there.

    Returns (..., B, C) in the dtype of u. Differentiable in u, v and w. The kernels add and square in float32 (float64 for float64) and
    multiply float32 with 22 bits; a gradient of u or v that is not finite reaches all rows of its hidden unit in its member.

    An index that is no row is an error of torch in the reference and NaN in the kernels, which do not wait for the device to tell.

    Raises:
        ValueError, TypeError: shapes, dtypes or devices that do not fit.
        BackendError: an explicit backend that cannot run here.
    """
    pairs = _checked(pairs, u, v, w)
    size = pairs.shape[:-1].numel() * w.shape[-2:].numel()
    chosen = choose("onehot_square", u, backend=backend, dot=True, small=size < FORWARD.measured_from(u.device))
    if chosen != "triton":
        return evaluate(chosen, onehot_square_reference, pairs, u, v, w)
    out: Tensor = torch.ops.kernels.onehot_square(pairs, u, v, w)
    return out


def _checked(pairs: Tensor, u: Tensor, v: Tensor, w: Tensor) -> Tensor:
    """The pairs of every member, or an error that names what does not fit."""
    if pairs.dtype != torch.int64:
        raise TypeError(f"onehot_square: pairs must be int64, not {pairs.dtype}")
    if u.dtype not in _FLOATS:
        raise TypeError(f"onehot_square: u must be a floating-point tensor, not {u.dtype}")
    for name, tensor in (("v", v), ("w", w)):
        if tensor.dtype != u.dtype:
            raise TypeError(f"onehot_square: {name} is {tensor.dtype}, u {u.dtype}: they must be the same")
    for name, tensor in (("pairs", pairs), ("v", v), ("w", w)):
        if tensor.device != u.device:
            raise ValueError(f"onehot_square: {name} is on {tensor.device}, u on {u.device}")
    if u.ndim < 2 or v.shape != u.shape or not u.shape[-2]:
        raise ValueError(
            f"onehot_square: u and v must be (..., rows, width) alike, with a row or more, not {tuple(u.shape)} and {tuple(v.shape)}"
        )
    members = u.shape[:-2]
    if w.ndim != u.ndim or w.shape[:-1] != (*members, u.shape[-1]):
        raise ValueError(f"onehot_square: w must be {(*members, u.shape[-1])} and classes, not {tuple(w.shape)}")
    if pairs.ndim < 2 or pairs.shape[-1] != 2 or pairs.shape[:-2] not in (members, ()):
        raise ValueError(f"onehot_square: pairs must be (..., examples, 2) for members {tuple(members)}, not {tuple(pairs.shape)}")
    return pairs.expand(*members, *pairs.shape[-2:])


def _members(*tensors: Tensor) -> list[Tensor]:
    """(M, ..., ...) of each, contiguous."""
    return [tensor.contiguous().view(-1, *tensor.shape[-2:]) for tensor in tensors]


def _member_pairs(pairs: Tensor) -> Tensor:
    """(M, B, 2), each member's contiguous; those that members share are not copied."""
    flat = pairs.reshape(-1, *pairs.shape[-2:])
    return flat if flat.stride()[1:] == (2, 1) else flat.contiguous()


def _out(pairs: Tensor, u: Tensor, w: Tensor) -> Tensor:
    return torch.empty((*u.shape[:-2], pairs.shape[-2], w.shape[-1]), dtype=u.dtype, device=u.device)


@torch.library.custom_op("kernels::onehot_square", mutates_args=())
def _forward(pairs: Tensor, u: Tensor, v: Tensor, w: Tensor) -> Tensor:
    from kernels.onehot_square.triton import launch_forward

    out = _out(pairs, u, w)
    if not w.numel():
        return out.zero_()
    if out.numel():
        launch_forward(_member_pairs(pairs), *_members(u, v, w, out))
    return out


@_forward.register_fake
def _(pairs: Tensor, u: Tensor, _v: Tensor, w: Tensor) -> Tensor:
    return _out(pairs, u, w)


def _gradients(needs: Sequence[bool], *tensors: Tensor) -> list[Tensor]:
    """Memory for the gradients that are needed; one that is not is empty."""
    return [torch.empty(t.shape if needed else (0,), dtype=t.dtype, device=t.device) for t, needed in zip(tensors, needs, strict=True)]


@torch.library.custom_op("kernels::onehot_square_backward", mutates_args=())
def _backward(dout: Tensor, pairs: Tensor, u: Tensor, v: Tensor, w: Tensor, tables: bool, readout: bool) -> tuple[Tensor, Tensor, Tensor]:
    """(du, dv, dw): the first two if `tables`, the last if `readout`; else they come back empty."""
    from kernels.onehot_square.triton import launch_readout, launch_tables

    du, dv, dw = _gradients((tables, tables, readout), u, v, w)
    if not (dout.numel() and u.numel()):
        return du.zero_(), dv.zero_(), dw.zero_()
    inputs = (*_members(dout), _member_pairs(pairs), *_members(u, v))
    if tables:
        launch_tables(*inputs, *_members(w, du, dv))
    if readout:
        launch_readout(*inputs, *_members(dw))
    return du, dv, dw


@_backward.register_fake
def _(_dout: Tensor, _pairs: Tensor, u: Tensor, v: Tensor, w: Tensor, tables: bool, readout: bool) -> tuple[Tensor, Tensor, Tensor]:
    du, dv, dw = _gradients((tables, tables, readout), u, v, w)
    return du, dv, dw


def _save(ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ARG001 - torch passes it by name
    ctx.save_for_backward(*inputs)


def _differentiate(ctx: torch.autograd.function.FunctionCtx, dout: Tensor) -> tuple[Tensor | None, ...]:
    _, first, second, readout = ctx.needs_input_grad  # type: ignore[attr-defined]
    du, dv, dw = torch.ops.kernels.onehot_square_backward(dout, *ctx.saved_tensors, first or second, readout)  # type: ignore[attr-defined]
    return None, du if first else None, dv if second else None, dw if readout else None


torch.library.register_autograd("kernels::onehot_square", _differentiate, setup_context=_save)
register_leading_vmap("kernels::onehot_square")
register_leading_vmap("kernels::onehot_square_backward")
