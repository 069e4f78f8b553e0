"""The group sparse envelope S_k and its proximal operator, on the norms n_j = ||theta_j|| of m disjoint groups.

S_k is the tightest convex lower-semicontinuous function under s_k(theta) = ||theta||^2 / 2 where at most k groups are non-zero, infinite
elsewhere (arXiv 2212.12921). It is half the squared k-support norm (Argyriou, Foygel, Srebro 2012) of the group norms:

    S_k(theta) = 1/2 min { sum_j n_j^2 / u_j : 0 <= u_j <= 1, sum_j u_j <= k }

and its prox only rescales groups: theta_j u_j / (u_j + lam), u_j = clip(tau n_j - lam, 0, 1), tau such that sum_j u_j = k.

A weight d_j >= 0 a group can mean two things, and the paper's text was not at hand to say which. "budget": a group costs d_j of the
budget, sum_j d_j u_j <= k. "quadratic": a group costs d_j ||theta_j||^2 / 2. A group of weight 0 is free in both: it is not counted, and in
"quadratic" not shrunk either. All weights 1, the default, is the same in both.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from harness.errors import UsageError, unknown
from tasks.pruning.group_sparsity_wgsef import water_filling

Reading = Literal["budget", "quadratic"]
READINGS: tuple[Reading, ...] = ("budget", "quadratic")
Budget = float | Tensor
"""k: a number, or one for each row of the norms."""


def value(norms: Tensor, k: Budget, *, weights: Tensor | None = None, reading: Reading = "budget") -> Tensor:
    """S_k of every row of `norms` (..., m), as (...,) in float64."""
    n, curvature, u = _shares(norms, k, 0.0, weights, reading)
    return 0.5 * torch.where(n > 0, curvature * n.square() / u, 0.0).sum(-1)


def shares(norms: Tensor, k: Budget, *, weights: Tensor | None = None, reading: Reading = "budget") -> Tensor:
    """The minimising u of S_k, (..., m) in float64: where group j is non-zero, the gradient of S_k to it is theta_j / u_j."""
    return _shares(norms, k, 0.0, weights, reading)[2]


def value_sorted(norms: Tensor, k: int) -> Tensor:
    """S_k of unit weights in closed form, (...,) in float64: the k - r - 1 largest norms squared, the rest as one l1 norm, O(m log m)."""
    n, _, _ = _checked(norms, k, None, "budget")
    n = n.sort(-1, descending=True).values
    tails = n.flip(-1).cumsum(-1).flip(-1)
    r = torch.arange(k, device=n.device)
    first = k - 1 - r
    mean = tails[..., first] / (r + 1)
    before = torch.where(first > 0, n[..., (first - 1).clamp_min(0)], math.inf)
    found = ((before > mean) & (mean >= n[..., first])).to(torch.int64)
    r_found = found.argmax(-1, keepdim=True)
    heads = torch.nn.functional.pad(n.square().cumsum(-1), (1, 0))
    head = heads.gather(-1, k - 1 - r_found)
    tail = tails.gather(-1, k - 1 - r_found).square() / (r_found + 1)
    return 0.5 * (head + tail).squeeze(-1)


def conjugate(norms: Tensor, k: int, *, weights: Tensor | None = None, reading: Reading = "budget") -> Tensor:
    """S_k*(y) of every row of ||y_j||, (...,) in float64: half the sum of the k largest squares with unit weights.

    With weights the groups of most square a unit of cost come first, and the last one may be taken in part.
    """
    n, given, budget = _checked(norms, k, weights, reading)
    d = torch.ones_like(n) if given is None else given
    squares = n.square() if reading == "budget" else torch.where(n > 0, n.square() / d, 0.0)
    cost = d if reading == "budget" else (d > 0).to(d.dtype)
    order = torch.where(cost > 0, squares / cost, math.inf).argsort(-1, descending=True)
    squares, cost = squares.gather(-1, order), cost.gather(-1, order)
    left = budget.unsqueeze(-1) - (cost.cumsum(-1) - cost)
    taken = torch.where(cost > 0, (left / cost).clamp(0.0, 1.0), 1.0)
    return 0.5 * (taken * squares).sum(-1)


def factors(norms: Tensor, k: Budget, lam: float, *, weights: Tensor | None = None, reading: Reading = "budget") -> Tensor:
    """What prox_{lam S_k} multiplies every group by, (..., m) in the dtype of `norms`; exactly 0 where it removes the group."""
    if not (lam >= 0 and math.isfinite(lam)):
        raise UsageError(f"lam must be a finite number at or above 0, not {lam}")
    if lam == 0:
        return torch.ones_like(norms)
    _, curvature, u = _shares(norms, k, lam, weights, reading)
    return (u / (lam * curvature).add(u)).to(norms.dtype)


def prox(groups: Tensor, k: int, lam: float, *, weights: Tensor | None = None, reading: Reading = "budget") -> Tensor:
    """prox_{lam S_k} of m groups of n numbers, (m, n) -> (m, n)."""
    scale = factors(groups.norm(dim=1), k, lam, weights=weights, reading=reading)
    return groups * scale.unsqueeze(1)


def _shares(norms: Tensor, k: Budget, lam: float, weights: Tensor | None, reading: Reading) -> tuple[Tensor, Tensor, Tensor]:
    """Norms, what a group's square costs beside 1/2, and u, all (..., m) in float64."""
    n, d, budget = _checked(norms, k, weights, reading)
    one = torch.ones((), dtype=n.dtype, device=n.device).expand_as(n)
    if d is None:
        return n, one, water_filling.shares(n, (lam * one[..., :1]).expand_as(n), one, budget)
    if reading == "budget":
        curvature, cost, a = one, d, torch.where(d > 0, n / d.sqrt(), n)
    else:
        curvature, cost, a = d, one, d.sqrt() * n
    u = water_filling.shares(a, lam * curvature, cost, budget)
    return n, curvature, torch.where(d > 0, u, 1.0)


def _checked(norms: Tensor, k: Budget, weights: Tensor | None, reading: Reading) -> tuple[Tensor, Tensor | None, Tensor]:
    """Norms, weights and budget of every row in float64; UsageError for what cannot be."""
    groups = norms.shape[-1]
    if reading not in READINGS:
        raise unknown("reading of the weights", reading, READINGS)
    if not isinstance(k, Tensor) and not 1 <= k <= groups:
        raise UsageError(f"k is the number of groups to keep, 1 to {groups} of the {groups} here, not {k}")
    n = norms.to(torch.float64)
    budget = torch.as_tensor(k, dtype=torch.float64, device=n.device).expand(n.shape[:-1])
    if weights is None:
        return n, None, budget
    if weights.shape[-1:] != norms.shape[-1:]:
        raise UsageError(f"{groups} groups need {groups} weights, not {weights.shape[-1] if weights.ndim else 'one number'}")
    if not bool((weights >= 0).all()):
        raise UsageError("weights of groups must be at or above 0")
    return n, weights.to(n.device, torch.float64).expand_as(n), budget
