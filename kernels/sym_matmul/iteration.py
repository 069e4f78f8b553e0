"""The Newton-Schulz iteration, on any symmetric product."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

FORMS = ("auto", "plain", "gram")
_GRAM_ASPECT = 2.0
_SEGMENT = 3

Product = Callable[[Tensor, Tensor | None, float, float, Tensor | None], Tensor]
"""(a, b, alpha, beta, addend) -> alpha A B^T + beta addend, symmetric; b None is A itself."""


def pick_form(shape: Sequence[int], form: str) -> str:
    """`gram` for auto where one side is at least twice the other.

    Multiplications in m^3 at m x em and five steps: plain 5 (3e + 1), Gram 6e + 14.
    """
    if form != "auto":
        return form
    short, long = sorted(shape[-2:])
    return "gram" if long >= _GRAM_ASPECT * short else "plain"


def iterate(g: Tensor, coefficients: Sequence[Sequence[float]], form: str, eps: float, product: Product) -> Tensor:
    """p_k(... p_1(g / (||g||_F + eps))), p(X) = a X + b (X X^T) X + c (X X^T)^2 X, in g's dtype; tall matrices are transposed first.

    The Gram form works on bfloat16 in float16: what it rounds are m x m matrices of norm about 1, and a small eigenvalue of X X^T that
    rounding has made negative grows with every step.
    """
    form = pick_form(g.shape, form)
    tall = g.shape[-2] > g.shape[-1]
    wide = torch.promote_types(g.dtype, torch.float32)
    inner = torch.float16 if form == "gram" and g.dtype == torch.bfloat16 else g.dtype
    norm = torch.linalg.vector_norm(g, dim=(-2, -1), keepdim=True, dtype=torch.float64).to(wide)
    # Dividing by an infinite norm would give finite zeros.
    norm = torch.where(norm.isfinite(), norm, float("nan"))
    # One pass: computed in `wide`, rounded once as it is written.
    x = torch.div(g, norm + eps, out=torch.empty(g.shape, dtype=inner, device=g.device))
    x = x.mT.contiguous() if tall else x
    x = _gram(x, coefficients, product) if form == "gram" else _plain(x, coefficients, product)
    return (x.mT if tall else x).to(g.dtype).contiguous()


def _plain(x: Tensor, coefficients: Sequence[Sequence[float]], product: Product) -> Tensor:
    for a, b, c in coefficients:
        gram = product(x, None, 1.0, 0.0, None)
        x = _apply(product(gram, None, c, b, gram), x, a)
    return x


def _apply(update: Tensor, x: Tensor, a: float) -> Tensor:
    """a X + U X."""
    batch = x.shape[:-2]
    flat = x.reshape(-1, *x.shape[-2:])
    return torch.baddbmm(flat, update.reshape(-1, *update.shape[-2:]), flat, beta=a).reshape(*batch, *x.shape[-2:])


def _gram(x: Tensor, coefficients: Sequence[Sequence[float]], product: Product) -> Tensor:
    """The same polynomials on R = X X^T, with X <- Q X once every three steps: by then rounding errors in R have grown and R is made anew.

    All factors are polynomials of one R, so that they commute: with Z = b R + c R^2, Q <- a Q + Z Q and R <- (a + Z)^2 R are symmetric.
    """
    for start in range(0, len(coefficients), _SEGMENT):
        segment = coefficients[start : start + _SEGMENT]
        gram = product(x, None, 1.0, 0.0, None)
        transform: Tensor | None = None
        for step, (a, b, c) in enumerate(segment):
            update = product(gram, None, c, b, gram)
            if transform is None:
                transform = update + a * torch.eye(x.shape[-2], dtype=x.dtype, device=x.device)
            else:
                transform = product(update, transform, 1.0, a, transform)
            if step < len(segment) - 1:
                half = product(update, gram, 1.0, a, gram)
                gram = product(update, half, 1.0, a, half)
        if transform is not None:
            x = transform @ x
    return x
