"""Symmetric products and Newton-Schulz in plain torch: the truth that the kernels are held to."""

from __future__ import annotations

from torch import Tensor

from kernels.sym_matmul.coefficients import Coefficients, schedule
from kernels.sym_matmul.iteration import iterate


def sym_matmul_reference(a: Tensor, b: Tensor | None = None, alpha: float = 1.0, beta: float = 0.0, addend: Tensor | None = None) -> Tensor:
    """alpha A B^T + beta addend, made symmetric by mirroring its lower triangle; B = A where b is None.

    a, b (..., m, n), addend and result (..., m, m). The promise is that A B^T is symmetric: B = A, or A and B symmetric and commuting.
    """
    product = alpha * (a @ (a if b is None else b).mT)
    if addend is not None and beta != 0.0:
        product = product + beta * addend
    return product.tril() + product.tril(-1).mT


def newton_schulz_reference(
    g: Tensor, steps: int = 5, coefficients: Coefficients = "muon", form: str = "auto", eps: float = 1e-7
) -> Tensor:
    """The composed odd polynomials of g / (||g||_F + eps); see `kernels.newton_schulz`."""
    return iterate(g, schedule(coefficients, steps), form, eps, sym_matmul_reference)
