"""Squared distances between the channels of coupled layers, kept up to date while channels merge.

The features of a channel are its incoming and its outgoing weights. Merging two channels of one axis changes its own distances (two rows
of inner products, linear in the old ones: O(n)) and those of the axes before and behind it, which share a tensor with it (a low-rank term:
O(n^2 r) for kernels of r entries, against O(n^2 m r) for recomputing them from m channels).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

TIE = 1e-10
"""Pairs this close, in units of the largest squared norm, count as equally distant and the first is taken: rounding decides nothing."""


@dataclass(frozen=True)
class Carrier:
    """A weight tensor and the axes whose channels it carries; None where its rows or columns are no axis that merges."""

    weight: Tensor
    """(rows, columns, rest): outputs, inputs, entries of a kernel (or of the positions that a flattened channel covers)."""
    rows: str | None
    columns: str | None


class Pair(NamedTuple):
    """Two channels, i < j, and their squared distance."""

    i: int
    j: int
    distance: float


class Recomputed:
    """The published way, which is the reference: all inner products of an axis anew from the weights, whenever they are asked for.

    Merged channels live on at the smaller index; the other one's weights are zero from then on.
    """

    def __init__(self, carriers: Mapping[str, Carrier], dtype: torch.dtype = torch.float64) -> None:
        self.weights = {name: carrier.weight.to("cpu", dtype, copy=True) for name, carrier in carriers.items()}
        self.rows: dict[str, list[str]] = {}
        """Tensors that carry the axis in their rows: its incoming weights."""
        self.columns: dict[str, list[str]] = {}
        """Tensors that carry it in their columns: its outgoing weights."""
        self.axes_of = {name: (carrier.rows, carrier.columns) for name, carrier in carriers.items()}
        sizes: dict[str, set[int]] = {}
        for name, carrier in carriers.items():
            for axis, table, size in (
                (carrier.rows, self.rows, carrier.weight.shape[0]),
                (carrier.columns, self.columns, carrier.weight.shape[1]),
            ):
                if axis is not None:
                    table.setdefault(axis, []).append(name)
                    sizes.setdefault(axis, set()).add(size)
        for axis, found in sizes.items():
            if len(found) > 1:
                raise ValueError(f"axis {axis} has {' and '.join(map(str, sorted(found)))} channels in different tensors")
        self.counts = {axis: torch.ones(found.pop(), dtype=torch.float64) for axis, found in sizes.items()}
        """Channels that each one stands for, 0 once it is gone."""

    def neighbours(self, axis: str) -> set[str]:
        """The axes that share a tensor with it, whose distances its merges change."""
        names = (*self.rows.get(axis, ()), *self.columns.get(axis, ()))
        return {other for name in names for other in self.axes_of[name] if other is not None} - {axis}

    def left(self, axis: str) -> int:
        """Channels that are left."""
        return int((self.counts[axis] > 0).sum())

    def squared(self, axis: str) -> Tensor:
        """Squared distances (n, n), infinite on the diagonal and at channels that are gone."""
        alive = torch.nonzero(self.counts[axis])[:, 0]
        products = torch.zeros(len(alive), len(alive), dtype=torch.float64)
        for features in self._features(axis):
            chosen = features[alive].flatten(1)
            products += chosen @ chosen.T  # in the weights' precision
        out = torch.full((len(self.counts[axis]),) * 2, torch.inf, dtype=torch.float64)
        norms = products.diagonal()
        out[alive[:, None], alive] = norms[:, None] + norms - 2.0 * products
        return out.fill_diagonal_(torch.inf)

    def scale(self, axis: str) -> float:
        """The largest squared norm of a channel's weights."""
        norms = torch.zeros_like(self.counts[axis])
        for features in self._features(axis):
            norms += features.flatten(1).square().sum(1)
        return float(norms.max())

    def closest(self, axis: str) -> Pair:
        """The first of the closest pairs. At least two channels have to be left."""
        table = self.squared(axis).numpy()
        smallest = float(table.min())
        i, j = divmod(int(np.argmax(table <= smallest + TIE * self.scale(axis))), len(table))
        return Pair(i, j, float(table[i, j]))

    def farthest(self, axis: str) -> float:
        """The largest squared distance of any pair."""
        table = self.squared(axis)
        return float(table[torch.isfinite(table)].max())

    def merge(self, axis: str, i: int, j: int) -> None:
        """Channel j joins channel i: incoming weights are added, of outgoing ones the mean is taken, each weighted with its count."""
        counts = self.counts[axis]
        share = float(counts[i] / (counts[i] + counts[j]))
        for name in self.rows.get(axis, ()):
            weight = self.weights[name]
            weight[i] += weight[j]
            weight[j] = 0.0
        for name in self.columns.get(axis, ()):
            weight = self.weights[name]
            weight[:, i] = share * weight[:, i] + (1.0 - share) * weight[:, j]
            weight[:, j] = 0.0
        counts[i] += counts[j]
        counts[j] = 0.0

    def _features(self, axis: str) -> Iterator[Tensor]:
        """The tensors of the axis with its channels first."""
        yield from (self.weights[name] for name in self.rows.get(axis, ()))
        yield from (self.weights[name].transpose(0, 1) for name in self.columns.get(axis, ()))


class Incremental(Recomputed):
    """The same distances from inner products that are updated with each merge, incoming and outgoing ones apart."""

    def __init__(self, carriers: Mapping[str, Carrier]) -> None:
        super().__init__(carriers)
        self.incoming = {axis: self._products(axis, self.rows, 0) for axis in self.counts}
        self.outgoing = {axis: self._products(axis, self.columns, 1) for axis in self.counts}
        self._table = {axis: torch.empty_like(products) for axis, products in self.incoming.items()}

    def _products(self, axis: str, table: Mapping[str, list[str]], dim: int) -> Tensor:
        size = len(self.counts[axis])
        total = torch.zeros(size, size, dtype=torch.float64)
        for name in table.get(axis, ()):
            features = self.weights[name].transpose(0, dim).flatten(1)
            total += features @ features.T
        return total

    def squared(self, axis: str) -> Tensor:
        """Squared distances (n, n) as in `Recomputed`, valid until the next call for this axis."""
        table = torch.add(self.incoming[axis], self.outgoing[axis], out=self._table[axis]).mul_(-2.0)
        norms = -0.5 * table.diagonal()
        norms[self.counts[axis] == 0] = torch.inf
        return table.add_(norms[:, None]).add_(norms).fill_diagonal_(torch.inf)

    def scale(self, axis: str) -> float:
        """The largest squared norm of a channel's weights."""
        return float((self.incoming[axis].diagonal() + self.outgoing[axis].diagonal()).max())

    def merge(self, axis: str, i: int, j: int) -> None:
        """As in `Recomputed`; the inner products of this axis and of its neighbours follow."""
        share = float(self.counts[axis][i] / (self.counts[axis][i] + self.counts[axis][j]))
        for name, dim in self._shared(axis):
            first, second = (self.weights[name].select(dim, channel) for channel in (i, j))
            p, q = (share, 1.0 - share) if dim else (1.0, 1.0)
            # (p f + q g)(p f + q g)^T - f f^T - g g^T, whose left factors are gathered to one product of rank 2 r.
            mixed = torch.cat([(p * p - 1.0) * first + p * q * second, p * q * first + (q * q - 1.0) * second], 1)
            products = (self.incoming if dim else self.outgoing)[str(self.axes_of[name][1 - dim])]
            products.addmm_(mixed, torch.cat([first, second], 1).T)
        super().merge(axis, i, j)
        _combine(self.incoming[axis], i, j, 1.0, 1.0)
        _combine(self.outgoing[axis], i, j, share, 1.0 - share)

    def _shared(self, axis: str) -> Iterator[tuple[str, int]]:
        """Tensors that carry another axis too, with the dimension (0 rows, 1 columns) of this one."""
        for dim, table in enumerate((self.rows, self.columns)):
            yield from ((name, dim) for name in table.get(axis, ()) if self.axes_of[name][1 - dim] is not None)


def _combine(products: Tensor, i: int, j: int, p: float, q: float) -> None:
    """Inner products after features i and j have become p f_i + q f_j at i and zero at j."""
    products[i] = p * products[i] + q * products[j]
    products[:, i] = p * products[:, i] + q * products[:, j]
    products[j] = 0.0
    products[:, j] = 0.0
