"""Precision, recall, density and coverage of generated samples: what lies inside the neighbourhoods of the other side's samples."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

BLOCK_ELEMENTS = 1 << 24
"""Distances that are held at a time."""


class Prdc(NamedTuple):
    """Shares of samples, 0 to 1; density is a mean count over k and may exceed 1."""

    precision: float
    """Of the fakes, those inside the neighbourhood of some real sample."""
    recall: float
    """Of the reals, those inside the neighbourhood of some fake sample."""
    density: float
    """Real neighbourhoods that a fake lies in, over k, on average: near 1 for equal distributions, more where fakes crowd the middle."""
    coverage: float
    """Of the reals, those with a fake inside their neighbourhood."""


def prdc(real: Tensor, fake: Tensor, k: int = 5) -> Prdc:
    """The four of real (n, D) and fake (m, D); a sample's neighbourhood is the open ball to its k-th nearest sample of its own side.

    Precision and recall as in Kynkäänniemi et al. (NeurIPS 2019), density and coverage as in Naeem et al. (ICML 2020, eq. 3 to 6).
    Euclidean, in float64, a block of rows at a time: memory is linear in n and m. All four are NaN when a sample is not finite.
    ValueError for fewer than k + 1 samples on a side, or for widths that differ.
    """
    if min(len(real), len(fake)) <= k or k < 1 or real.shape[1] != fake.shape[1]:
        raise ValueError(f"prdc: {tuple(real.shape)} real and {tuple(fake.shape)} fake samples for {k} neighbours")
    if not all(bool(x.isfinite().all()) for x in (real, fake)):
        return Prdc(math.nan, math.nan, math.nan, math.nan)
    centre = real.double().mean(0)
    x, y = real.double() - centre, fake.double() - centre
    real_radii, fake_radii = _radii(x, k), _radii(y, k)
    holders = torch.zeros(len(y), dtype=torch.int64, device=y.device)
    recalled = covered = 0
    for rows, distances in _blocks(x, y):
        inside = distances < real_radii[rows, None]
        holders += inside.sum(0)
        covered += int(inside.any(1).sum())
        recalled += int((distances < fake_radii).any(1).sum())
    return Prdc(
        precision=float((holders > 0).double().mean()),
        recall=recalled / len(x),
        density=float(holders.double().mean()) / k,
        coverage=covered / len(x),
    )


def _radii(samples: Tensor, k: int) -> Tensor:
    """Distance of each sample to its k-th nearest other one, (n,)."""
    radii = []
    for rows, distances in _blocks(samples, samples):
        places = torch.arange(len(distances), device=samples.device)
        distances[places, places + rows.start] = math.inf
        radii.append(distances.kthvalue(k, dim=1).values)
    return torch.cat(radii)


def _blocks(x: Tensor, y: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Rows of x and their distances to all of y, (rows, m)."""
    height = max(1, BLOCK_ELEMENTS // len(y))
    for start in range(0, len(x), height):
        rows = slice(start, start + height)
        yield rows, torch.cdist(x[rows], y)
