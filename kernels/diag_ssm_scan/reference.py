"""The diagonal state-space scan in plain torch: the truth that the kernels are held to."""

from __future__ import annotations

import torch
from torch import Tensor


def diag_ssm_scan_reference(lam: Tensor, u: Tensor, x0: Tensor | None = None) -> Tensor:
    """x_k = lam x_{k-1} + u_k along axis 1; lam (P,), u (B, L, P), x0 (B, P) or zeros, all complex; the result is (B, L, P).

    Doubling: after the pass with shift d, x_k holds the last 2d terms of sum_j lam^(k-j) u_j, so that ceil(log2 L) passes suffice and
    autograd keeps as many copies of u. Nothing is divided by a power of lam: |lam| <= 1 cannot overflow, and an entry that is not finite
    spreads to later steps only.
    """
    length = u.shape[1]
    start = u.new_zeros(u.shape[0], u.shape[2]) if x0 is None else x0
    if not length:
        return u + lam * start[:, None]
    x = torch.cat([(u[:, 0] + lam * start)[:, None], u[:, 1:]], 1)
    # In double precision: the error of lam^1024 is a thousand times that of lam.
    power, shift = lam.to(torch.complex128), 1
    while shift < length:
        x = torch.cat([x[:, :shift], x[:, shift:] + power.to(x.dtype) * x[:, :-shift]], 1)
        power, shift = power * power, 2 * shift
    return x
