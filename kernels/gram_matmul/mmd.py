"""The unbiased squared maximum mean discrepancy and its permutation test, in memory linear in the samples."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kernels.backend import choose, foreseen
from kernels.gram_matmul.op import gram_matmul
from kernels.gram_matmul.pointwise import gaussian
from kernels.gram_matmul.reference import compute_dtype, prepared
from kernels.gram_matmul.tiles import HELD, SUMS

COLUMNS = 128
"""Relabellings that one pass over the pooled sample treats."""


@dataclass(frozen=True, kw_only=True)
class Mmd:
    """`value` is MMD^2 (float64, no axes, differentiable in the samples); `null` has its value under each random relabelling."""

    value: Tensor
    gammas: tuple[float, ...]
    null: Tensor | None = None
    p_value: float | None = None

    def threshold(self, level: float = 0.05) -> float:
        """The value that a share `level` of the relabellings exceeds; ValueError when there were none."""
        if self.null is None:
            raise ValueError("mmd2: a threshold needs permutations")
        return float(torch.quantile(self.null, 1.0 - level))


def mmd2(
    x: Tensor,
    y: Tensor,
    *,
    gammas: Sequence[float] | None = None,
    weights: Sequence[float] | None = None,
    permutations: int = 0,
    generator: torch.Generator | None = None,
    backend: str | None = None,
) -> Mmd:
    """Unbiased MMD^2 of two samples for a mixture of Gaussian kernels, and a permutation test that they share a distribution.

    mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{ij} k(x_i, y_j); it can be negative (Gretton et al., JMLR 2012, eq. 3).
    The p-value is (1 + #{null >= value}) / (1 + permutations), where differences within rounding count as ties.

    Args:
        x: (n, D) and y: (m, D), at least two rows each, of the dtypes of `gram_matmul`.
        gammas: 1 / (2 sigma^2) of each bandwidth; None: the median heuristic, see `median_gamma`.
        weights: of each bandwidth; default ones.
        permutations: random relabellings of the pooled sample; 0: no test. Each 128 cost one pass over the pooled kernel matrix.
        generator: draws the relabellings; default torch's own.
        backend: as in `gram_matmul`, which does the work and is what `recording` shows.

    Raises:
        ValueError, TypeError: samples or numbers that do not fit.
        BackendError: an explicit backend that cannot run here.
    """
    for name, sample in (("x", x), ("y", y)):
        if sample.ndim != 2 or len(sample) < 2:
            raise ValueError(f"mmd2: {name} must be (at least 2 rows, D), not {tuple(sample.shape)}")
    if x.shape[1] != y.shape[1] or x.dtype != y.dtype:
        raise ValueError(f"mmd2: x is {tuple(x.shape)} {x.dtype} and y {tuple(y.shape)} {y.dtype}; width and dtype must be the same")
    if permutations < 0:
        raise ValueError(f"mmd2: permutations must be >= 0, not {permutations}")
    n, m = len(x), len(y)
    gammas = (median_gamma(x, y),) if gammas is None else tuple(gammas)
    weights = (1.0,) * len(gammas) if weights is None else tuple(weights)
    dtype = compute_dtype(x, y)
    # Widened first: the gradient is a difference of two that must not be rounded apart.
    pooled = torch.cat([x, y]).to(dtype)
    signs = torch.cat([torch.ones(n, dtype=dtype), -torch.ones(m, dtype=dtype)]).to(x.device)
    kernel = gaussian(gammas, weights)

    @functools.cache
    def points() -> tuple[Tensor, Tensor]:
        """Centred, and their squared norms: the same for all relabellings."""
        centred, _, norms, _ = prepared(pooled.detach(), pooled.detach(), dtype, kernel)
        return centred, norms

    def sums(columns: Tensor) -> tuple[Tensor, Tensor]:
        """(1'K c, c'K c) of each column c of +-1 in float64."""
        if _by_symmetry(pooled, backend):
            from kernels.gram_matmul.triton_sums import launch_sums

            choose("gram_matmul", pooled, backend="triton", dot=True)
            return launch_sums(*points(), columns, kernel)
        products = gram_matmul(pooled, pooled, columns, kernel=kernel, backend=backend).double()
        return products.sum(0), (columns.double() * products).sum(0)

    linear, quadratic = sums(torch.stack([torch.ones_like(signs), signs], 1))
    diagonal = (n + m) * sum(weights), (n - m) * sum(weights)
    total = linear[0] - diagonal[0]
    value = _statistic(total, linear[1] - diagonal[1], quadratic[1] - diagonal[0], n, m)
    if not permutations:
        return Mmd(value=value, gammas=gammas)
    drawn = []
    with torch.no_grad():
        for labels in relabellings(signs, permutations, generator):
            linear, quadratic = sums(labels)
            drawn.append(_statistic(total.detach(), linear - diagonal[1], quadratic - diagonal[0], n, m))
    null = torch.cat(drawn)
    slack = 8.0 * torch.finfo(dtype).eps * sum(abs(weight) for weight in weights)
    # NaN is no evidence against the null: what is not below the value counts.
    reached = int((~(null < value.detach() - slack)).sum())
    return Mmd(value=value, gammas=gammas, null=null, p_value=(1 + reached) / (1 + permutations))


def _by_symmetry(pooled: Tensor, backend: str | None) -> bool:
    """Whether half of K will do: without gradients, for points that a program holds, on Triton, under `auto` from measured sizes on."""
    size = len(pooled) ** 2
    if (torch.is_grad_enabled() and pooled.requires_grad) or pooled.shape[1] > HELD:
        return False
    small = size < SUMS.measured_from(pooled.device)
    return foreseen("gram_matmul", pooled, backend=backend, dot=True, small=small) == "triton"


def _statistic(total: Tensor, linear: Tensor, quadratic: Tensor, n: int, m: int) -> Tensor:
    """MMD^2 from T = 1'K1, S = s'K1 and Q = s'Ks without the diagonal, s = +1 on the n rows of one sample and -1 on the m of the other.

    With a = (1 + s)/2 and b = (1 - s)/2: a'Ka = (T + 2S + Q)/4, b'Kb = (T - 2S + Q)/4, a'Kb = (T - Q)/4. Collected by T, S and Q, because T
    is large and its coefficient small: the three means would cancel.
    """
    within_x, within_y, between = 0.25 / (n * (n - 1)), 0.25 / (m * (m - 1)), 0.5 / (n * m)
    return total * (within_x + within_y - between) + 2.0 * linear * (within_x - within_y) + quadratic * (within_x + within_y + between)


def relabellings(signs: Tensor, count: int, generator: torch.Generator | None = None) -> Iterator[Tensor]:
    """`count` random permutations of `signs` (N,) as columns (N, <= 128), one `torch.randperm` each."""
    device = generator.device if generator is not None else torch.device("cpu")
    for start in range(0, count, COLUMNS):
        width = min(COLUMNS, count - start)
        orders = [torch.randperm(len(signs), generator=generator, device=device).to(signs.device) for _ in range(width)]
        yield signs[torch.stack(orders, 1)]


def median_gamma(x: Tensor, y: Tensor, *, points: int = 1000, seed: int = 0) -> float:
    """1 / (2 sigma^2), sigma the median distance between points of the pooled sample (Gretton et al., JMLR 13, 2012, section 8).

    Pools of more than `points` rows are subsampled without replacement by `seed`. ValueError when the median distance is 0 or not finite.
    """
    pooled = torch.cat([x.detach(), y.detach()])
    if len(pooled) > points:
        chosen = torch.randperm(len(pooled), generator=torch.Generator().manual_seed(seed))[:points]
        pooled = pooled[chosen.to(pooled.device)]
    squared = float(torch.pdist(pooled.double()).median()) ** 2
    if not 0.0 < squared < float("inf"):
        raise ValueError(f"mmd2: the median distance of the pooled sample is {squared**0.5:g}: give gammas")
    return 0.5 / squared
