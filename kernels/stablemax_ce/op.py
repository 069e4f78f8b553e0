"""`stablemax_ce`: the public function, and the torch operators behind it."""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.backend import choose, evaluate
from kernels.batching import register_leading_vmap
from kernels.stablemax_ce.reference import softmax_form, stablemax_ce_reference
from kernels.stablemax_ce.tiles import FORWARD

REDUCTIONS = ("mean", "none")
_FLOATS = (torch.bfloat16, torch.float16, torch.float32, torch.float64)


def stablemax_ce(logits: Tensor, labels: Tensor, *, reduction: str = "mean", backend: str | None = None) -> Tensor:
    """StableMax cross-entropy, log sum_k s(x_k) - log s(x_y) with s(x) = x + 1 for x >= 0 and 1/(1 - x) for x < 0 (arXiv 2501.04697).

    Args:
        logits: (..., R, C), bfloat16, float16, float32 or float64; leading axes are members, each with rows of its own.
        labels: (..., R), int64, or (R,) shared by all members.
        reduction: `mean` over the rows of each member, or `none`.
        backend: auto, reference, compile or triton; default $KERNELS_BACKEND, else auto, which takes Triton only from the smallest size on
            that was measured on the device, so nowhere until `tune` has run there.

    Returns:
        (...) for `mean`, (..., R) for `none`, in float32 (float64 for float64). The reference computes in float64, the compiled form in
        float32 as a softmax cross-entropy of log s(x), the kernels in float32 with a compensated sum: their losses keep relative precision
        however small they are, where that of the compiled form ends near 1e-7. All compute float64 in float64. Sums of s past 3.4e38
        overflow in float32. A logit of -inf is no class; other infinities and NaN make the loss of their row not finite.

    A label that is no class is an error of torch in the reference and a NaN in the kernels, which do not wait for the device to tell.

    Raises:
        ValueError, TypeError: shapes, dtypes, devices or a reduction that do not fit.
        BackendError: an explicit backend that cannot run here.
    """
    labels = _checked(logits, labels, reduction)
    chosen = choose("stablemax_ce", logits, backend=backend, small=logits.numel() < FORWARD.measured_from(logits.device))
    if chosen != "triton":
        form = softmax_form if chosen == "compile" else stablemax_ce_reference
        return evaluate(chosen, form, logits, labels, reduction)
    loss: Tensor = torch.ops.kernels.stablemax_ce(logits, labels)[0]
    return loss.mean(-1) if reduction == "mean" else loss


def _checked(logits: Tensor, labels: Tensor, reduction: str) -> Tensor:
    """The labels of every member, or an error that names what does not fit."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"stablemax_ce: unknown reduction {reduction!r}; choose one of {', '.join(REDUCTIONS)}")
    if logits.dtype not in _FLOATS:
        raise TypeError(f"stablemax_ce: logits must be a floating-point tensor, not {logits.dtype}")
    if labels.dtype != torch.int64:
        raise TypeError(f"stablemax_ce: labels must be int64, not {labels.dtype}")
    if labels.device != logits.device:
        raise ValueError(f"stablemax_ce: labels are on {labels.device}, logits on {logits.device}")
    if logits.ndim < 2 or not logits.shape[-1]:
        raise ValueError(f"stablemax_ce: logits must be (..., rows, classes) with a class or more, not {tuple(logits.shape)}")
    wanted = logits.shape[:-1]
    if labels.shape not in (wanted, wanted[-1:]):
        raise ValueError(f"stablemax_ce: labels must be {tuple(wanted)} or {tuple(wanted[-1:])}, not {tuple(labels.shape)}")
    return labels.expand(wanted)


def _per_row(logits: Tensor) -> Tensor:
    """An empty number a row, of the kernels' arithmetic."""
    return torch.empty(logits.shape[:-1], dtype=torch.promote_types(logits.dtype, torch.float32), device=logits.device)


def _flat(logits: Tensor, *others: Tensor) -> list[Tensor]:
    return [logits.contiguous().view(-1, logits.shape[-1]), *(tensor.contiguous().view(-1) for tensor in others)]


@torch.library.custom_op("kernels::stablemax_ce", mutates_args=())
def _forward(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The losses, 1 / S and the share of S that is not the label's, which the backward pass takes."""
    from kernels.stablemax_ce.triton import launch_forward

    results = _per_row(logits), _per_row(logits), _per_row(logits)
    if logits.numel():
        launch_forward(*_flat(logits, labels, *results))
    return results


@_forward.register_fake
def _(logits: Tensor, _labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return _per_row(logits), _per_row(logits), _per_row(logits)


@torch.library.custom_op("kernels::stablemax_ce_backward", mutates_args=())
def _backward(dloss: Tensor, logits: Tensor, labels: Tensor, inverse_total: Tensor, wrong: Tensor) -> Tensor:
    from kernels.stablemax_ce.triton import launch_backward

    dlogits = torch.empty_like(logits, memory_format=torch.contiguous_format)
    if logits.numel():
        flat, *rows = _flat(logits, dloss, labels, inverse_total, wrong)
        launch_backward(flat, *rows, dlogits.view(-1, logits.shape[-1]))
    return dlogits


@_backward.register_fake
def _(_dloss: Tensor, logits: Tensor, _labels: Tensor, _inverse_total: Tensor, _wrong: Tensor) -> Tensor:
    return torch.empty_like(logits, memory_format=torch.contiguous_format)


def _save(ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*inputs, *output[1:])
    ctx.mark_non_differentiable(*output[1:])


def _differentiate(ctx: torch.autograd.function.FunctionCtx, dloss: Tensor, *_: Tensor | None) -> tuple[Tensor, None]:
    return torch.ops.kernels.stablemax_ce_backward(dloss, *ctx.saved_tensors), None  # type: ignore[attr-defined]


torch.library.register_autograd("kernels::stablemax_ce", _differentiate, setup_context=_save)
register_leading_vmap("kernels::stablemax_ce")
register_leading_vmap("kernels::stablemax_ce_backward")
