"""The one equation behind the envelope's value and prox: share a budget out over groups.

    u_j = clip(tau a_j - b_j, 0, 1),  tau > 0 such that  sum_j c_j u_j = k

The left side grows with tau and is linear between breakpoints: group j starts at b_j / a_j and is full at (1 + b_j) / a_j. The solvers find
the piece that holds k by comparisons alone and then solve it exactly, without subtracting sums of unlike size.

- `halve` looks at all m groups log2(2 m) times, in O(m log m), for many rows at once and without waiting for an accelerator.
- `newton` goes from piece to piece, O(m) a step. The start from a sample makes it three or four steps as a rule, but no bound holds.
- `narrow` drops at each look the groups that are decided, about half of them: O(m) expected operations for one row, as quickselect's,
  since the middle is guessed from a sample and a row that is laid out against the sample's stride can be guessed badly.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LARGE = 8192
"""Groups from which a single row goes to `newton`: below it `halve` takes less time."""
SAMPLE = 2048
"""Groups, or breakpoints, that guess where the middle lies."""
NEWTON_STEPS = 8
"""After so many `narrow` takes over, between the best bounds that were met."""
_EXACT = 1e-13
"""Relative error of the budget below which Newton's step is over: the rounding of a sum of a million numbers."""


def shares(a: Tensor, b: Tensor, c: Tensor, k: Tensor) -> Tensor:
    """The u of every group, (..., m) in float64; a, b, c >= 0 are (..., m), k is (...,).

    Where sum_j c_j over the groups with a_j > 0 is at most k, the budget does not bind: u_j = 1 on those groups. u_j = 0 where a_j = 0;
    a group with c_j = 0 takes nothing of the budget and has u_j = 1.
    """
    a, b, c, k = (x.to(torch.float64) for x in (a, b, c, k))
    counts = (a > 0) & (c > 0)
    if a.ndim == 1 and a.shape[-1] >= LARGE:
        return _large(a, b, c, k, counts)
    bound = torch.where(counts, c, 0.0).sum(-1) > k
    tau = halve(a, b, torch.where(counts, c, 0.0), k)
    u = (tau.unsqueeze(-1) * a - b).clamp(0.0, 1.0)
    return torch.where((a > 0) & ~(counts & bound.unsqueeze(-1)), 1.0, u)


def _large(a: Tensor, b: Tensor, c: Tensor, k: Tensor, counts: Tensor) -> Tensor:
    """The same for one long row."""
    usual = bool(counts.all())
    costly = (a, b, c) if usual else (a[counts], b[counts], c[counts])
    if not costly[2].sum() > k:
        return (a > 0).to(a.dtype)
    tau, lower, upper = newton(*costly, k)
    if lower < upper:
        tau = narrow(*costly, k, lower, upper)
    u = (tau * a).sub_(b).clamp_(0.0, 1.0)
    return u if usual else torch.where((a > 0) & ~counts, 1.0, u)


def halve(a: Tensor, b: Tensor, c: Tensor, k: Tensor) -> Tensor:
    """tau of every row, (...,): a binary search over the sorted breakpoints. Rows whose budget does not bind get some tau."""
    counts = (a > 0) & (c > 0)
    starts = torch.where(counts, b / a, math.inf)
    fulls = torch.where(counts, (1.0 + b) / a, math.inf)
    points = torch.cat([starts, fulls], -1).sort(-1).values
    # The wanted piece is [points[high - 1], points[high]]: `high` is the first point at which the budget is used up.
    low = torch.full_like(k, -1, dtype=torch.int64)
    high = torch.full_like(low, points.shape[-1] - 1)
    for _ in range(points.shape[-1].bit_length()):
        middle = ((low + high) // 2).clamp_min(0)
        tau = points.gather(-1, middle.unsqueeze(-1))
        used = torch.where(counts & tau.isfinite(), c * (tau * a - b).clamp(0.0, 1.0), c).sum(-1)
        enough = used >= k
        high = torch.where(enough, middle, high)
        low = torch.where(enough, low, middle)
    upper = points.gather(-1, high.unsqueeze(-1))
    lower = points.gather(-1, (high - 1).clamp_min(0).unsqueeze(-1))
    lower = torch.where(high.unsqueeze(-1) > 0, lower, 0.0)
    full, linear = counts & (fulls <= lower), counts & (starts <= lower) & (fulls >= upper)
    linear &= ~full
    slope = torch.where(linear, c * a, 0.0).sum(-1)
    level = torch.where(full, c, 0.0).sum(-1) - torch.where(linear, c * b, 0.0).sum(-1)
    return _solve(k, level, slope, lower.squeeze(-1), upper.squeeze(-1))


def newton(a: Tensor, b: Tensor, c: Tensor, k: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """tau of one row of positive a and c whose budget binds, and bounds: equal where tau is exact, else what is known of it so far."""
    some = slice(None, None, max(1, len(a) // SAMPLE))
    tau = halve(a[some], b[some], c[some], k * c[some].sum() / c.sum())
    lower, upper = torch.zeros_like(k), torch.full_like(k, math.inf)
    # One buffer for all passes: memory that is new to the process costs more than the arithmetic.
    u = torch.empty_like(a)
    for _ in range(NEWTON_STEPS):
        torch.mul(a, tau, out=u).sub_(b).clamp_(0.0, 1.0)
        linear = (u > 0) & (u < 1)
        missing = k - u.mul_(c).sum()
        if missing.abs() <= _EXACT * k:
            return tau, tau, tau
        lower, upper = (tau, upper) if missing > 0 else (lower, tau)
        slope = torch.mul(a, c, out=u).mul_(linear).sum()
        tau = tau + missing / slope
        if not lower < tau < upper:
            break
    return tau, lower, upper


def narrow(a: Tensor, b: Tensor, c: Tensor, k: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """tau of one row of positive a and c whose budget binds, from bounds: medians of the breakpoints that are still open."""
    starts, fulls = b / a, (1.0 + b) / a
    level, slope = torch.zeros_like(k), torch.zeros_like(k)
    while True:
        full = fulls <= lower
        linear = (starts <= lower) & (fulls >= upper) & ~full
        level = level + c[full].sum() - (c[linear] * b[linear]).sum()
        slope = slope + (c[linear] * a[linear]).sum()
        left = (~(full | linear | (starts >= upper))).nonzero().squeeze(1)
        a, b, c, starts, fulls = (x[left] for x in (a, b, c, starts, fulls))
        inside = torch.cat([points[(points > lower) & (points < upper)] for points in (starts, fulls)])
        if not len(inside):
            return _solve(k, level, slope, lower, upper)
        tau = inside[:: max(1, len(inside) // SAMPLE)].median()
        used = level + tau * slope + (c * (tau * a - b).clamp(0.0, 1.0)).sum()
        lower, upper = (lower, tau) if used >= k else (tau, upper)


def _solve(k: Tensor, level: Tensor, slope: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """tau on the piece [lower, upper], where `level + tau slope` of the budget is used; 0 where no piece is, since nothing binds."""
    tau = torch.where(slope > 0, (k - level) / slope, upper)
    tau = torch.maximum(torch.minimum(tau, upper), lower)
    return torch.where(tau.isfinite(), tau, 0.0)
