"""A law on the rows of a table: which parameter each row reads, in coordinates that no change of units can touch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.errors import DataError, UsageError
from harness.laws.law import Law, Term
from harness.laws.solver import Array, Problem

Kind = Literal["level", "exponent", "efficiency"]


@dataclass(frozen=True)
class Quantity:
    """A number that the fit reports: `numerator @ theta`, over `denominator @ theta` where there is one.

    A level or an efficiency is the exponential of that.
    """

    name: str
    group: str
    """The family or group that it belongs to; empty where all rows share it."""
    kind: Kind
    slot: int
    """The coordinate of theta that carries it."""
    numerator: Array
    denominator: Array | None = None

    @property
    def logarithmic(self) -> bool:
        """Whether the fitted number is the log of the reported one."""
        return self.kind != "exponent"

    @property
    def label(self) -> str:
        """`rho[4]`, `alpha`."""
        return f"{self.name}[{self.group}]" if self.group else self.name

    def fitted(self, theta: Array) -> Array:
        """(B,): the exponent, or the log of a level or an efficiency."""
        top = theta @ self.numerator
        return np.asarray(top if self.denominator is None else top / (theta @ self.denominator))

    def gradient(self, theta: Array) -> Array:
        """(B, p): derivative of `fitted`."""
        if self.denominator is None:
            return np.broadcast_to(self.numerator, theta.shape)
        bottom = theta @ self.denominator
        return np.asarray((self.numerator - self.fitted(theta)[:, None] * self.denominator) / bottom[:, None])

    def reported(self, fitted: Array) -> Array:
        """`fitted` on the scale that people read."""
        if not self.logarithmic:
            return fitted
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(fitted))


@dataclass(frozen=True)
class Rows:
    """What a fit reads: positive columns by the law's names, and the family and group of each row."""

    x: Mapping[str, Array]
    y: Array
    family: Sequence[str]
    group: Sequence[str]
    reference: frozenset[str]
    """Groups whose efficiency is 1."""
    weights: Array | None = None
    """(n,), mean 1: how many rows of the table each stands for, over the mean of that; None where each stands for itself."""


@dataclass(frozen=True)
class Design:
    """The coordinates theta of one joint fit: levels at the centre of the data, exponents per standard deviation of log x."""

    law: Law
    terms: Array
    """(K, n, p), see `solver.Problem`."""
    log_y: Array
    quantities: list[Quantity]
    slots: Mapping[tuple[str, str], int]
    """(parameter, family or group; empty where shared) -> coordinate."""
    centres: Mapping[str, float]
    """Column -> mean of its log."""
    scales: Mapping[str, float]
    """Column -> standard deviation of its log."""
    shared: frozenset[str]
    weights: Array
    """(n,): see `Rows`."""

    def problem(self, delta: float) -> Problem:
        """The fit with Huber's `delta`."""
        return Problem(self.terms, delta)

    def start(self, values: Mapping[str, float]) -> Array:
        """(p,): theta of raw parameter values (levels and efficiencies as logs), the same for every family."""
        theta = np.zeros(self.terms.shape[2])
        for term in self.law.terms:
            centre = sum(power.sign * values[power.exponent] * self._centre(term, power.column) for power in term.powers)
            for (name, _), slot in self.slots.items():
                if name == term.level:
                    theta[slot] = values[name] + centre
                elif name == term.efficiency:
                    theta[slot] = term.powers[0].sign * values[term.powers[0].exponent] * values.get(name, 0.0)
        for power in (power for term in self.law.terms for power in term.powers):
            for (name, _), slot in self.slots.items():
                if name == power.exponent:
                    theta[slot] = values[name] * self.scales[power.column]
        return theta

    def _centre(self, term: Term, column: str) -> float:
        return _centre(term, column, self.centres, self.shared)


def build(
    law: Law,
    rows: Rows,
    shared: frozenset[str],
    *,
    centres: Mapping[str, float] | None = None,
    scales: Mapping[str, float] | None = None,
) -> Design:
    """The joint design of all rows. Parameters in `shared` have one value; others one a family; efficiencies one a group.

    `centres` and `scales` of another design carry its coordinates over.
    """
    logs = {column.name: np.log(rows.x[column.name]) for column in law.columns}
    centres = centres or {name: float(values.mean()) for name, values in logs.items()}
    scales = scales or {name: float(values.std()) for name, values in logs.items()}
    for name, scale in scales.items():
        if not scale > 0:
            raise DataError(f"{name} is {rows.x[name][0]:g} in all {len(rows.y)} rows: nothing can be fitted along it")
    families, owner = list(dict.fromkeys(rows.family)), dict(zip(rows.group, rows.family, strict=True))
    slots: dict[tuple[str, str], int] = {}
    for name in law.parameters:
        owners = [""] if name in shared else families
        if name in law.efficiencies:
            owners = [group for group in owner if group not in rows.reference]
            if len(owners) == len(owner):
                raise UsageError(f"law {law.name} needs a reference group, in which {name} is 1 (--reference)")
        for group in owners:
            slots[name, group] = len(slots)

    def slot(name: str, group: str) -> int:
        return slots[name, "" if name in shared else group]

    terms = np.zeros((len(law.terms), len(rows.y), len(slots)))
    for k, term in enumerate(law.terms):
        for i, (family, group) in enumerate(zip(rows.family, rows.group, strict=True)):
            terms[k, i, slot(term.level, family)] = 1.0
            for power in term.powers:
                centred = logs[power.column][i] - _centre(term, power.column, centres, shared)
                terms[k, i, slot(power.exponent, family)] = power.sign * centred / scales[power.column]
            if term.efficiency and group not in rows.reference:
                terms[k, i, slots[term.efficiency, group]] = 1.0
    quantities = [_quantity(law, name, group, slots, shared, owner, centres, scales) for name, group in slots]
    weights = np.ones(len(rows.y)) if rows.weights is None else rows.weights
    return Design(law, terms, np.log(rows.y), quantities, slots, centres, scales, shared, weights)


def _centre(term: Term, column: str, centres: Mapping[str, float], shared: frozenset[str]) -> float:
    """A level that families with different exponents share is shared at x = 1, not at the centre of the data."""
    apart = term.level in shared and any(power.exponent not in shared for power in term.powers)
    return 0.0 if apart else centres[column]


def _quantity(
    law: Law,
    name: str,
    group: str,
    slots: Mapping[tuple[str, str], int],
    shared: frozenset[str],
    owner: Mapping[str, str],
    centres: Mapping[str, float],
    scales: Mapping[str, float],
) -> Quantity:
    size, own = len(slots), slots[name, group]
    numerator = np.zeros(size)
    for term in law.terms:
        if name == term.level:
            numerator[own] = 1.0
            for power in term.powers:
                # A shared level whose exponents are not shared stands at x = 1: there is nothing to carry back.
                if centre := _centre(term, power.column, centres, shared):
                    at = slots[power.exponent, "" if power.exponent in shared else group]
                    numerator[at] -= power.sign * centre / scales[power.column]
            return Quantity(name, group, "level", own, numerator)
        if name == term.efficiency:
            power = term.powers[0]
            denominator = np.zeros(size)
            denominator[slots[power.exponent, "" if power.exponent in shared else owner[group]]] = power.sign / scales[power.column]
            numerator[own] = 1.0
            return Quantity(name, group, "efficiency", own, numerator, denominator)
        for power in term.powers:
            if name == power.exponent:
                numerator[own] = 1.0 / scales[power.column]
                return Quantity(name, group, "exponent", own, numerator)
    raise KeyError(name)
