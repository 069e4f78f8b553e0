"""`sym_matmul` and `newton_schulz`: the public functions, and the torch operator behind them."""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.backend import choose, evaluate
from kernels.sym_matmul.coefficients import Coefficients, schedule
from kernels.sym_matmul.iteration import FORMS, iterate
from kernels.sym_matmul.reference import newton_schulz_reference, sym_matmul_reference

_FLOATS = (torch.bfloat16, torch.float16, torch.float32, torch.float64)
_WORTH, _ITERATION_WORTH = 8e9, 2e10
"""Multiplications of one A B^T from which half of them is worth a dearer launch: on an H100 plain torch took 0.6 of the time at 512^3, the
kernel 0.7 and, iterated, 0.5 at 4096^3. Between the two it is where eager torch, scaled, takes as long as the launches."""


def sym_matmul(
    a: Tensor,
    b: Tensor | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 0.0,
    addend: Tensor | None = None,
    backend: str | None = None,
) -> Tensor:
    """alpha A B^T + beta addend where that is symmetric, by half the multiplications; B is A unless given.

    Args:
        a: (..., m, n), bfloat16, float16, float32 or float64; sums are kept in float32 (float64 for float64).
        b: the shape of a, with A B^T symmetric: two symmetric matrices that commute, such as polynomials of one matrix (then it is A B).
        alpha, beta: factors.
        addend: (..., m, m), symmetric; not read where beta is 0.
        backend: auto, reference, compile or triton; default $KERNELS_BACKEND, else auto.

    Returns:
        (..., m, m) in a's dtype, symmetric to the last bit: the lower triangle is computed and mirrored. That b and addend keep their
        promises is not checked; where they do not, the lower triangle of the result is right and the upper one is its mirror image.

    There is no gradient. Leading axes are a batch, done in one launch.

    Raises:
        ValueError, TypeError, RuntimeError: shapes, dtypes or devices that do not fit; an input that requires a gradient.
        BackendError: an explicit backend that cannot run here.
    """
    _check_matrix("sym_matmul", "a", a)
    square = (*a.shape[:-1], a.shape[-2])
    for name, tensor, shape in (("b", b, tuple(a.shape)), ("addend", addend, square)):
        if tensor is None:
            continue
        if tuple(tensor.shape) != shape:
            raise ValueError(f"sym_matmul: {name} must be {shape} beside a {tuple(a.shape)}, not {tuple(tensor.shape)}")
        if tensor.dtype != a.dtype:
            raise TypeError(f"sym_matmul: {name} is {tensor.dtype}, a {a.dtype}")
        if tensor.device != a.device:
            raise ValueError(f"sym_matmul: {name} is on {tensor.device}, a on {a.device}")
        _check_matrix("sym_matmul", name, tensor)
    if addend is None and beta != 0.0:
        raise ValueError(f"sym_matmul: beta is {beta:g}, but there is no addend")
    chosen = choose("sym_matmul", a, backend=backend, dot=True, small=a.numel() * a.shape[-2] < _WORTH)
    if chosen != "triton":
        return evaluate(chosen, sym_matmul_reference, a, b, alpha, beta, addend)
    c: Tensor = torch.ops.kernels.sym_matmul(a, b, alpha, beta, addend)
    return c


def newton_schulz(
    g: Tensor,
    *,
    steps: int = 5,
    coefficients: Coefficients = "muon",
    form: str = "auto",
    eps: float = 1e-7,
    backend: str | None = None,
) -> Tensor:
    """Roughly the orthogonal factor U V^T of g = U S V^T: each singular value goes through the composed odd quintics a s + b s^3 + c s^5.

    Args:
        g: (..., m, n); tall matrices are worked on transposed. Computed in g's dtype, but the Gram form takes bfloat16 through float16.
        steps: quintics, one or more.
        coefficients: `muon` (the same in every step), `polar_express`, one triple (a, b, c), or a triple a step.
        form: `plain` multiplies X in every step; `gram` iterates on X X^T, with one restart in five steps, and pays where one side is at
            least twice the other; `auto` chooses by that.
        eps: added to the Frobenius norm that g is divided by.
        backend: auto, reference, compile or triton; default $KERNELS_BACKEND, else auto.

    Returns:
        g's shape and dtype. A zero matrix stays zero; one whose norm is infinite or NaN comes out NaN. There is no gradient.

    Raises:
        ValueError, TypeError, RuntimeError: shapes, dtypes, steps, coefficients or form that do not fit; g requires a gradient.
        BackendError: an explicit backend that cannot run here.
    """
    _check_matrix("newton_schulz", "g", g)
    if steps < 1:
        raise ValueError(f"newton_schulz: steps must be 1 or more, not {steps}")
    if form not in FORMS:
        raise ValueError(f"newton_schulz: unknown form {form!r}; choose one of {', '.join(FORMS)}")
    triples = schedule(coefficients, steps)
    chosen = choose("newton_schulz", g, backend=backend, dot=True, small=g.numel() * min(g.shape[-2:]) < _ITERATION_WORTH)
    if chosen != "triton":
        return evaluate(chosen, newton_schulz_reference, g, steps, coefficients, form, eps)
    return iterate(g, triples, form, eps, torch.ops.kernels.sym_matmul)


def _check_matrix(op: str, name: str, tensor: Tensor) -> None:
    if tensor.dtype not in _FLOATS:
        raise TypeError(f"{op}: {name} must be a floating-point tensor, not {tensor.dtype}")
    if tensor.ndim < 2:
        raise ValueError(f"{op}: {name} must be (..., m, n), not {tuple(tensor.shape)}")
    if torch.is_grad_enabled() and tensor.requires_grad:
        raise RuntimeError(f"{op} has no gradient: call it under torch.no_grad() or on {name}.detach()")


@torch.library.custom_op("kernels::sym_matmul", mutates_args=())
def _sym_matmul(a: Tensor, b: Tensor | None, alpha: float, beta: float, addend: Tensor | None) -> Tensor:
    from kernels.sym_matmul.triton import launch

    c = torch.empty((*a.shape[:-1], a.shape[-2]), dtype=a.dtype, device=a.device)
    if c.numel():
        first = _batched(a)
        second = first if b is None else _batched(b)
        launch(first, second, alpha, beta, None if addend is None or beta == 0.0 else _batched(addend), c.view(-1, *c.shape[-2:]))
    return c


@_sym_matmul.register_fake
def _(a: Tensor, _b: Tensor | None, _alpha: float, _beta: float, _addend: Tensor | None) -> Tensor:
    return torch.empty((*a.shape[:-1], a.shape[-2]), dtype=a.dtype, device=a.device)


def _batched(tensor: Tensor) -> Tensor:
    """(batch, m, n) with contiguous rows, without a copy where strides allow."""
    flat = tensor.reshape(-1, *tensor.shape[-2:]) if tensor.numel() else tensor.new_empty(tensor.shape[:-2].numel(), *tensor.shape[-2:])
    return flat if flat.stride(-1) == 1 else flat.contiguous()
