"""A law on the rows of a table: which parameter each row reads, in coordinates that no change of units can touch."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError, UsageError
from harness.laws.law import Law, Power, Term
from harness.laws.solver import Array, Penalty, Problem
from harness.laws.terms import Affine as Affine
from harness.laws.terms import Bend, Terms


@dataclass(frozen=True)
class Reported(ABC):
    """A number that the fit reports with an interval: a function of theta, or the exponential of one."""

    name: str
    group: str
    """The family or group that it belongs to; empty where all rows share it."""
    logarithmic: bool
    """Whether the fitted number is the log of the reported one."""
    sources: Sequence[Quantity] = field(default=(), kw_only=True)
    """The parameters that it is made of and unknown without."""

    @abstractmethod
    def fitted(self, theta: Array) -> Array:
        """(B,): the number, or its log."""

    @abstractmethod
    def gradient(self, theta: Array) -> Array:
        """(B, p): derivative of `fitted`."""

    @property
    def label(self) -> str:
        """`rho[4]`, `alpha`."""
        return f"{self.name}[{self.group}]" if self.group else self.name

    def reported(self, fitted: Array) -> Array:
        """`fitted` on the scale that people read."""
        if not self.logarithmic:
            return fitted
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(fitted))


@dataclass(frozen=True)
class Quantity(Reported):
    """A parameter: `numerator`, over `denominator` where there is one; of a level or an efficiency the log is fitted."""

    slot: int
    """The coordinate of theta that carries it."""
    numerator: Affine
    denominator: Affine | None = None

    def fitted(self, theta: Array) -> Array:
        """(B,): the exponent, or the log of a level or an efficiency."""
        top = self.numerator(theta)
        return top if self.denominator is None else np.asarray(top / self.denominator(theta))

    def gradient(self, theta: Array) -> Array:
        """(B, p): derivative of `fitted`."""
        if self.denominator is None:
            return np.broadcast_to(self.numerator.slope, theta.shape)
        bottom = self.denominator(theta)
        return np.asarray((self.numerator.slope - self.fitted(theta)[:, None] * self.denominator.slope) / bottom[:, None])


@dataclass(frozen=True)
class Rows:
    """What a fit reads: positive columns by the law's names, and the family and group of each row."""

    x: Mapping[str, Array]
    y: Array
    family: Sequence[str]
    group: Sequence[str]
    reference: frozenset[str]
    """Groups whose efficiency is 1."""
    spread: Array | None = None
    """(n,): the size of the error of log y relative to a typical row; None where all are taken for equal."""
    weights: Array | None = None
    """(n,), mean 1: how many rows of the table each stands for, over the mean of that; None where each stands for itself."""
    side: Array | None = None
    """(n,): 1 where y is only a lower bound, -1 where an upper one, otherwise 0; None where all are exact."""


@dataclass(frozen=True)
class Design:
    """The coordinates theta of one joint fit: levels at the centre of the data, exponents per standard deviation of log x.

    Parameters that are fixed have no coordinate, and those that are tied share one.
    """

    law: Law
    terms: Terms
    log_y: Array
    """(n,): in units of the spread of `terms`."""
    quantities: Sequence[Reported]
    """The parameters that are free, and what else is asked for."""
    slots: Mapping[tuple[str, str], int]
    """(parameter, family or group; empty where shared) -> coordinate."""
    centres: Mapping[str, float]
    """Column -> mean of its log."""
    scales: Mapping[str, float]
    """Column -> standard deviation of its log."""
    shared: frozenset[str]
    weights: Array
    """(n,): see `Rows`."""
    penalties: tuple[Penalty, ...] = ()

    def problem(self, delta: float) -> Problem:
        """The fit with Huber's `delta`."""
        return Problem(self.terms, delta, self.penalties)

    def restricted(self, rows: NDArray[np.intp]) -> Design:
        """The same coordinates on some of the rows."""
        return replace(self, terms=self.terms.at(rows), log_y=self.log_y[rows], weights=self.weights[rows])

    def parameter(self, name: str, family: str, group: str = "") -> Quantity:
        """A parameter as rows of `family` and `group` read it."""
        for key in ((name, group), (name, family), (name, "")):
            for quantity in self.quantities:
                if isinstance(quantity, Quantity) and (quantity.name, quantity.group) == key:
                    return quantity
        law, slope = self.law, np.zeros(self.terms.shape[2])
        root = law.root(name)
        if name in law.efficiencies:
            return Quantity(name, group, True, -1, Affine(slope))
        if name in law.positive:
            return Quantity(name, "", True, -1, Affine(slope, math.log(law.fixed[name])))
        return Quantity(name, "", False, -1, Affine(slope, law.fixed[root]))

    def start(self, values: Mapping[str, float]) -> Array:
        """(p,): theta of raw parameter values (levels and efficiencies as logs), the same for every family."""
        law, theta = self.law, np.zeros(self.terms.shape[2])
        known = {name: math.log(value) if name in law.positive else value for name, value in law.fixed.items()} | dict(values)
        exponents = {"": 1.0} | {name: known[law.root(name)] for name in law.exponents}
        for term in law.terms:
            centre = sum(exponents[p.exponent] * p.sign * _centre(law, term, p, self.centres, self.shared) for p in term.powers)
            for (name, _), slot in self.slots.items():
                if name == term.level:
                    theta[slot] = known[name] + centre
                elif name == term.efficiency:
                    theta[slot] = term.powers[0].sign * exponents[term.powers[0].exponent] * known.get(name, 0.0)
        for (name, _), slot in self.slots.items():
            if name in law.exponents:
                theta[slot] = known[name] * self.scales[_unit(law, name)]
            elif name in law.shapes:
                theta[slot] = known[name] - _place(law, name, self.centres)
        return theta


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
    with np.errstate(divide="ignore"):
        logs = {column.name: np.log(rows.x[column.name]) for column in law.columns}
    for power in (power for term in law.terms for power in term.powers if power.times):
        logs[power.unit] = logs[power.column] * logs[power.times]
    centres = centres or {name: float(values[np.isfinite(values)].mean()) for name, values in logs.items()}
    scales = scales or {name: float(values[np.isfinite(values)].std()) for name, values in logs.items()}
    for name in (power.unit for term in law.terms for power in term.powers if power.exponent):
        if not scales[name] > 0:
            raise DataError(f"{name} is {rows.x[name][0]:g} in all {len(rows.y)} rows: nothing can be fitted along it")
    owner = dict(zip(rows.group, rows.family, strict=True))
    frame = _Frame(law, _slots(law, rows, shared, owner), centres, scales, shared)
    linear, offset = np.zeros((len(law.terms), len(rows.y), len(frame.slots))), np.zeros((len(law.terms), len(rows.y)))
    bends: list[Bend] = []
    groups = np.array(rows.group, dtype=object)
    for group, family in owner.items():
        own = np.flatnonzero(groups == group)
        for k, term in enumerate(law.terms):
            level = frame.level(term.level, family)
            linear[k, own] += level.slope
            offset[k, own] += level.constant
            for power in term.powers:
                exponent = frame.exponent(power.exponent, family)
                centre = power.sign * _centre(law, term, power, centres, shared)
                if power.shape:
                    bends.append(frame.bend(k, power, family, logs, (groups == group).astype(float)))
                    centred = np.full(len(own), -centre)
                else:
                    centred = power.sign * logs[power.unit][own] - centre
                linear[k, own] += np.multiply.outer(centred, exponent.slope) if exponent.slope.any() else 0.0
                offset[k, own] += centred * exponent.constant if exponent.constant else 0.0
            if term.efficiency and group not in rows.reference:
                linear[k, own, frame.slots[term.efficiency, group]] = 1.0
    quantities = [
        frame.quantity(name, group, owner)
        for name in law.parameters
        if name not in law.fixed
        for root, group in frame.slots
        if root == law.root(name) and law.root(name) not in law.fixed
    ]
    weights = np.ones(len(rows.y)) if rows.weights is None else rows.weights
    spread = np.ones(len(rows.y)) if rows.spread is None else rows.spread
    terms = Terms(linear, offset, spread, np.array([float(term.sign) for term in law.terms]), tuple(bends))
    return Design(law, terms, np.log(rows.y) / spread, quantities, frame.slots, centres, scales, shared, weights)


def _slots(law: Law, rows: Rows, shared: frozenset[str], owner: Mapping[str, str]) -> dict[tuple[str, str], int]:
    families, slots = list(dict.fromkeys(rows.family)), dict[tuple[str, str], int]()
    for name in law.free:
        owners = [""] if name in shared else families
        if name in law.efficiencies:
            owners = [group for group in owner if group not in rows.reference]
            if len(owners) == len(owner):
                raise UsageError(f"law {law.name} needs a reference group, in which {name} is 1 (--reference)")
        for group in owners:
            slots[name, group] = len(slots)
    return slots


def _unit(law: Law, exponent: str) -> str:
    """What an exponent is counted in: the spread of the first column that it, or one tied to it, is a power of."""
    powers = (power for term in law.terms for power in term.powers if power.exponent)
    return next(power.unit for power in powers if law.root(power.exponent) == law.root(exponent))


def _place(law: Law, name: str, centres: Mapping[str, float]) -> float:
    """Where a parameter of a shape is zero: the centre of the column that it is a value of, otherwise 1."""
    shapes = (power.shape for term in law.terms for power in term.powers if power.shape)
    return next((centres[shape.columns[0]] for shape in shapes if shape.place == name), 0.0)


def _centre(law: Law, term: Term, power: Power, centres: Mapping[str, float], shared: frozenset[str]) -> float:
    """A level that is fixed, or shared by families with different exponents, stands at x = 1, not at the centre of the data."""
    apart = term.level in shared and any(law.root(name) not in shared | set(law.fixed) for name in term.exponents)
    plain = not power.times and (power.shape is None or power.shape.centred)
    return centres[power.column] if plain and not apart and term.level not in law.fixed else 0.0


@dataclass(frozen=True)
class _Frame:
    """Where each parameter is found in theta."""

    law: Law
    slots: Mapping[tuple[str, str], int]
    centres: Mapping[str, float]
    scales: Mapping[str, float]
    shared: frozenset[str]

    def _slot(self, name: str, family: str) -> int:
        return self.slots[name, "" if name in self.shared else family]

    def level(self, name: str, family: str) -> Affine:
        """The log of a level where the columns of its term are at their centres."""
        slope = np.zeros(len(self.slots))
        if name in self.law.fixed:
            return Affine(slope, math.log(self.law.fixed[name]))
        slope[self._slot(name, family)] = 1.0
        return Affine(slope)

    def exponent(self, name: str, family: str) -> Affine:
        """An exponent as it stands in the formula."""
        slope, root = np.zeros(len(self.slots)), self.law.root(name)
        if not name or root in self.law.fixed:
            return Affine(slope, self.law.fixed[root] if name else 1.0)
        slope[self._slot(root, family)] = 1.0 / self.scales[_unit(self.law, root)]
        return Affine(slope)

    def shaping(self, name: str, family: str) -> Affine:
        """The log of a parameter of a shape."""
        slope = np.zeros(len(self.slots))
        if name in self.law.fixed:
            return Affine(slope, math.log(self.law.fixed[name]))
        slope[self._slot(name, family)] = 1.0
        return Affine(slope, _place(self.law, name, self.centres))

    def bend(self, term: int, power: Power, family: str, logs: Mapping[str, Array], mask: Array) -> Bend:
        """A power whose column is a shape."""
        shape, exponent = power.shape, self.exponent(power.exponent, family)
        assert shape is not None
        signed = Affine(power.sign * exponent.slope, power.sign * exponent.constant)
        parameters = tuple(self.shaping(name, family) for name in shape.parameters)
        return Bend(term, shape.function, tuple(logs[name] for name in shape.columns), mask, signed, parameters)

    def quantity(self, name: str, group: str, owner: Mapping[str, str]) -> Quantity:
        """A parameter as the fit reports it."""
        law, slot = self.law, self.slots[self.law.root(name), group]
        if name in law.exponents:
            return Quantity(name, group, False, slot, self.exponent(name, group))
        if name in law.shapes:
            return Quantity(name, group, True, slot, self.shaping(name, group))
        for term in law.terms:
            if name == term.level:
                slope, constant = self.level(name, group).slope, 0.0
                for power in term.powers:
                    # A level that stands at x = 1 may be shared by families whose exponents are not.
                    if centre := power.sign * _centre(law, term, power, self.centres, self.shared):
                        at = self.exponent(power.exponent, group)
                        slope, constant = slope - centre * at.slope, constant - centre * at.constant
                return Quantity(name, group, True, slot, Affine(slope, constant))
            if name == term.efficiency:
                power = term.powers[0]
                below = self.exponent(power.exponent, owner[group])
                above = np.zeros(len(self.slots))
                above[slot] = 1.0
                scaled = Affine(power.sign * below.slope, power.sign * below.constant)
                return Quantity(name, group, True, slot, Affine(above), scaled)
        raise KeyError(name)
