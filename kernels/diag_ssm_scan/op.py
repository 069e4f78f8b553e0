"""`diag_ssm_scan`: the public function, and the torch operators behind it."""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.backend import choose, evaluate
from kernels.diag_ssm_scan.reference import diag_ssm_scan_reference

_COMPLEX = (torch.complex64, torch.complex128)
"""The third axis of a CUDA grid."""


def diag_ssm_scan(lam: Tensor, u: Tensor, x0: Tensor | None = None, *, backend: str | None = None) -> Tensor:
    """The diagonal linear recurrence of state-space models, x_k = lam x_{k-1} + u_k for k = 1 to L (S4D, S5: lam is discretised).

    Args:
        lam: (P,), complex64 or complex128, the same at every step. |lam| > 1 is computed like any other and may overflow.
        u: (B, L, P) of the same dtype; L may be 0.
        x0: (B, P), the state before the first step; None: zeros.
        backend: auto, reference, compile or triton; default $KERNELS_BACKEND, else auto.

    Returns x, (B, L, P). Differentiable in lam, u and x0, with torch's convention for complex gradients (that of steepest ascent). An entry
    of u that is not finite spreads to the later steps of its channel only.

    Raises:
        ValueError, TypeError: shapes, dtypes or devices that do not fit.
        BackendError: an explicit backend that cannot run here.
    """
    _check(lam, u, x0)
    chosen = choose("diag_ssm_scan", u, backend=backend)
    if chosen != "triton":
        return evaluate(chosen, diag_ssm_scan_reference, lam, u, x0)
    start = u.new_zeros(u.shape[0], u.shape[2]) if x0 is None else x0
    x: Tensor = torch.ops.kernels.diag_ssm_scan(lam, u, start)
    return x


def _check(lam: Tensor, u: Tensor, x0: Tensor | None) -> None:
    """An error that names what does not fit."""
    if lam.dtype not in _COMPLEX:
        raise TypeError(f"diag_ssm_scan: lam must be complex64 or complex128, not {lam.dtype}")
    if lam.ndim != 1 or u.ndim != 3 or u.shape[2] != len(lam):
        raise ValueError(f"diag_ssm_scan: lam must be (P,) and u (B, L, P), not {tuple(lam.shape)} and {tuple(u.shape)}")
    if x0 is not None and x0.shape != (u.shape[0], u.shape[2]):
        raise ValueError(f"diag_ssm_scan: x0 must be {(u.shape[0], u.shape[2])}, not {tuple(x0.shape)}")
    for name, tensor in (("u", u), ("x0", x0)):
        if tensor is None:
            continue
        if tensor.dtype != lam.dtype:
            raise TypeError(f"diag_ssm_scan: {name} is {tensor.dtype}, lam {lam.dtype}: they must be the same")
        if tensor.device != lam.device:
            raise ValueError(f"diag_ssm_scan: {name} is on {tensor.device}, lam on {lam.device}")


def _compact(tensor: Tensor) -> Tensor:
    """Contiguous, and not a lazy conjugate: kernels read the memory."""
    return tensor.resolve_conj().contiguous()


@torch.library.custom_op("kernels::diag_ssm_scan", mutates_args=())
def _forward(lam: Tensor, u: Tensor, x0: Tensor) -> Tensor:
    from kernels.diag_ssm_scan.triton import launch_forward

    if not u.numel():
        return torch.empty_like(u, memory_format=torch.contiguous_format)
    return launch_forward(_compact(lam), _compact(u), _compact(x0))


@_forward.register_fake
def _(_lam: Tensor, u: Tensor, _x0: Tensor) -> Tensor:
    return torch.empty_like(u, memory_format=torch.contiguous_format)


@torch.library.custom_op("kernels::diag_ssm_scan_backward", mutates_args=())
def _backward(dx: Tensor, lam: Tensor, x0: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(dlam, du, dx0): du_k = dx_k + conj(lam) du_{k+1}, dlam = sum_{b,k} du_k conj(x_{k-1}), dx0 = conj(lam) du_1."""
    from kernels.diag_ssm_scan.triton import launch_backward

    if not x.numel():
        return torch.zeros_like(lam), torch.empty_like(x), torch.zeros_like(x0, memory_format=torch.contiguous_format)
    du, later = launch_backward(_compact(dx), _compact(lam), _compact(x))
    # Physical: a lazy conjugate is forgotten in operators that compiled graphs call.
    first = du[:, 0]
    return later + (first * torch.conj_physical(x0)).sum(0), du, first * torch.conj_physical(lam)


@_backward.register_fake
def _(_dx: Tensor, lam: Tensor, x0: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(lam), torch.empty_like(x), torch.empty_like(x0, memory_format=torch.contiguous_format)


def _save(ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
    lam, _, x0 = inputs
    ctx.save_for_backward(lam, x0, output)


def _differentiate(ctx: torch.autograd.function.FunctionCtx, dx: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    dlam, du, dx0 = torch.ops.kernels.diag_ssm_scan_backward(dx, *ctx.saved_tensors)  # type: ignore[attr-defined]
    return dlam, du, dx0


torch.library.register_autograd("kernels::diag_ssm_scan", _differentiate, setup_context=_save)
