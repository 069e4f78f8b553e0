"""Scaling laws as declarations: a response that is a sum of terms, each a level times powers of the columns.

The log of such a law is log sum_k exp(linear in the parameters), so value, gradient and Hessian are derived once, for all laws
(`harness.laws.solver`), and a law of one's own needs no calculus.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.errors import TaskError, UsageError, unknown

HUBER = 1e-3
"""Huber's delta in units of log y, as Hoffmann et al. (2203.15556, section 3.3) use it."""
HUBER_FEW_RUNS = 1e-2
"""Where a law meets a few dozen runs: below the spread of seeds delta makes a median of few numbers, above it guards against outliers."""
LEAST_SQUARES = math.inf


@dataclass(frozen=True)
class Column:
    """A positive column that a law reads."""

    name: str
    meaning: str


@dataclass(frozen=True)
class Power:
    """`column ** (sign * exponent)`: sign -1 for losses that fall, +1 for quantities that grow."""

    column: str
    exponent: str
    sign: int


@dataclass(frozen=True)
class Term:
    """`level` times its powers. With `efficiency`, the first power's column is multiplied by that parameter, 1 in the reference group."""

    level: str
    powers: tuple[Power, ...] = ()
    efficiency: str = ""


@dataclass(frozen=True)
class Law:
    """y = sum of the terms. Levels and efficiencies are positive (fitted as logs); exponents are free."""

    name: str
    summary: str
    columns: tuple[Column, ...]
    y: Column
    terms: tuple[Term, ...]
    meanings: Mapping[str, str]
    """Parameter -> what it means."""
    delta: float = HUBER
    """Huber's delta that the fit uses unless told otherwise; infinite is least squares."""
    exponent_starts: Sequence[float] = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
    published_starts: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """The starting grid of the law's paper in raw units, levels as logs; empty where there is none."""
    fixed: Mapping[str, float] = field(default_factory=dict)
    """Parameter -> the value that it keeps, in raw units: it leaves the optimisation."""
    ties: Mapping[str, str] = field(default_factory=dict)
    """Exponent -> the exponent that it equals."""
    allocation: tuple[str, str] | None = None
    """Levels of the model-size and of the data term, where a compute budget is divided between these two; see `harness.laws.derived`."""

    def __post_init__(self) -> None:
        known = {column.name for column in self.columns}
        for term in self.terms:
            for power in term.powers:
                if power.column not in known:
                    raise unknown(f"column of law {self.name}", power.column, sorted(known), error=TaskError)
        missing = [name for name in self.parameters if name not in self.meanings]
        if missing:
            raise TaskError(f"law {self.name} gives no meaning for {', '.join(missing)}")
        self._check_fixed()
        self._check_ties()

    def _check_fixed(self) -> None:
        for name, value in self.fixed.items():
            if name not in self.parameters:
                raise unknown(f"parameter of law {self.name}", name, self.parameters)
            if name in self.efficiencies:
                raise UsageError(f"{name} differs between groups: it cannot be fixed at one value")
            if not math.isfinite(value) or (name in self.levels and not value > 0):
                raise UsageError(f"{name} cannot be fixed at {value:g}: it is {'positive' if name in self.levels else 'a number'}")
        if not set(self.parameters) - set(self.fixed) - set(self.ties):
            raise UsageError(f"every parameter of law {self.name} is fixed: nothing is left to fit")

    def _check_ties(self) -> None:
        for name, other in self.ties.items():
            for one in (name, other):
                if one not in self.exponents:
                    raise unknown(f"exponent of law {self.name}", one, self.exponents)
            if name == other or other in self.ties:
                raise UsageError(f"{name} cannot be tied to {other}: tie each exponent to one that is free")
            if name in self.fixed:
                raise UsageError(f"{name} cannot be both fixed and tied")

    @property
    def levels(self) -> list[str]:
        """The level of each term."""
        return list(dict.fromkeys(term.level for term in self.terms))

    @property
    def exponents(self) -> list[str]:
        """Every exponent once, in the order of the formula."""
        return list(dict.fromkeys(power.exponent for term in self.terms for power in term.powers))

    @property
    def free(self) -> list[str]:
        """The parameters that are fitted: neither fixed nor tied to another."""
        return [name for name in self.parameters if name not in self.fixed and name not in self.ties]

    def root(self, exponent: str) -> str:
        """The exponent that stands for this one: itself unless it is tied."""
        return self.ties.get(exponent, exponent)

    @property
    def parameters(self) -> list[str]:
        """Names, in the order of the formula; efficiencies last."""
        names = [name for term in self.terms for name in (term.level, *(power.exponent for power in term.powers))]
        return list(dict.fromkeys(names + self.efficiencies))

    @property
    def efficiencies(self) -> list[str]:
        """Parameters that differ between the groups of one family, relative to its reference group."""
        return list(dict.fromkeys(term.efficiency for term in self.terms if term.efficiency))

    @property
    def formula(self) -> str:
        """`L = A / (N rho)^alpha + E`, with the columns' names."""
        return f"{self.y.name} = " + " + ".join(map(_term, self.terms))

    def without(self, level: str) -> Law:
        """The nested law that lacks the term of `level`."""
        terms = tuple(term for term in self.terms if term.level != level)
        used = {power.column for term in terms for power in term.powers}
        return Law(
            name=f"{self.name} without {level}",
            summary=f"{self.summary}, without {level}",
            columns=tuple(column for column in self.columns if column.name in used),
            y=self.y,
            terms=terms,
            meanings=self.meanings,
            delta=self.delta,
            **_constraints(self, terms),
        )


def _constraints(law: Law, terms: Sequence[Term]) -> dict[str, Any]:
    """What `fixed` and `ties` keep when only `terms` are left."""
    allocation = law.allocation if law.allocation and set(law.allocation) <= {term.level for term in terms} else None
    left = {name for term in terms for name in (term.level, *(power.exponent for power in term.powers))}
    ties = {name: other for name, other in law.ties.items() if {name, other} <= left}
    return {"fixed": {name: value for name, value in law.fixed.items() if name in left}, "ties": ties, "allocation": allocation}


def _term(term: Term) -> str:
    text = term.level
    for i, power in enumerate(term.powers):
        base = f"({power.column} {term.efficiency})" if term.efficiency and i == 0 else power.column
        text += f" {'/' if power.sign < 0 else '·'} {base}^{power.exponent}"
    return text


_X, _N, _D = Column("x", "what is scaled up, such as FLOPs"), Column("n", "parameters"), Column("d", "training tokens")
_Y, _LOSS = Column("y", "the response, positive"), Column("y", "loss, positive")
_A, _B = Term("A", (Power("n", "alpha", -1),)), Term("B", (Power("d", "beta", -1),))
_MEANINGS = {
    "A": "level of the model-size term at n = 1",
    "alpha": "exponent of the model size",
    "B": "level of the data term at d = 1",
    "beta": "exponent of the data",
    "E": "loss that no scale removes",
    "rho": "effective over nominal parameters, relative to the reference group",
}

LAWS: Mapping[str, Law] = {
    law.name: law
    for law in (
        Law(
            name="power-law",
            summary="a straight line in log-log",
            columns=(_X,),
            y=_Y,
            terms=(Term("c", (Power("x", "a", 1),)),),
            meanings={"c": "response at x = 1", "a": "exponent"},
            delta=LEAST_SQUARES,
        ),
        Law(
            name="power-law-floor",
            summary="a falling power law above an irreducible floor",
            columns=(_X,),
            y=_LOSS,
            terms=(Term("A", (Power("x", "alpha", -1),)), Term("E")),
            meanings={"A": "level of the falling term at x = 1", "alpha": "exponent", "E": _MEANINGS["E"]},
            delta=HUBER_FEW_RUNS,
        ),
        Law(
            name="chinchilla",
            summary="loss from model size and data (Hoffmann et al., 2203.15556)",
            columns=(_N, _D),
            y=_LOSS,
            terms=(_A, _B, Term("E")),
            meanings=_MEANINGS,
            allocation=("A", "B"),
            published_starts={
                "A": (0, 5, 10, 15, 20, 25),
                "alpha": (0, 0.5, 1, 1.5, 2),
                "B": (0, 5, 10, 15, 20, 25),
                "beta": (0, 0.5, 1, 1.5, 2),
                "E": (-1, -0.5, 0, 0.5, 1),
            },
        ),
        Law(
            name="precision",
            summary="chinchilla with a parameter efficiency a group, such as a bit width (2411.04330, 2509.23500)",
            columns=(_N, _D),
            y=_LOSS,
            terms=(Term("A", _A.powers, efficiency="rho"), _B, Term("E")),
            meanings=_MEANINGS,
            allocation=("A", "B"),
            delta=HUBER_FEW_RUNS,
        ),
        Law(
            name="precision-collapsed",
            summary="precision where data grows in proportion to the model, so that one term holds both",
            columns=(_N,),
            y=_LOSS,
            terms=(Term("A", _A.powers, efficiency="rho"), Term("E")),
            meanings=_MEANINGS,
            delta=HUBER_FEW_RUNS,
        ),
        Law(
            name="log-linear",
            summary="a plane in logs: a power of each of two columns",
            columns=(Column("x1", "first factor"), Column("x2", "second factor")),
            y=_Y,
            terms=(Term("c", (Power("x1", "a", 1), Power("x2", "b", 1))),),
            meanings={"c": "response at x1 = x2 = 1", "a": "exponent of x1", "b": "exponent of x2"},
            delta=LEAST_SQUARES,
        ),
    )
}
