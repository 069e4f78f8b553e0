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
from harness.laws.shapes import Function

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
    varies: bool = True
    """Whether it must: the law has an exponent along it."""
    zero: bool = False
    """Whether it may be zero."""


@dataclass(frozen=True)
class Shape:
    """What stands for the column of a power: a function of columns with positive parameters of its own."""

    function: Function
    columns: tuple[str, ...]
    parameters: Mapping[str, Sequence[float]]
    """Parameter -> where its fit starts: values, or for that in `place` quantiles of the first column. All are positive."""
    text: str
    """As the formula shows it."""
    place: str = ""
    """The parameter that is a value of the first column."""
    centred: bool = True
    """Whether its log moves with that of the first column all along."""


@dataclass(frozen=True)
class Power:
    """`column ** (sign * exponent)`: sign -1 for losses that fall, +1 for quantities that grow; without an exponent its power is 1.

    With `times` it is exp(sign * exponent * log column * log times), an interaction.
    """

    column: str
    exponent: str
    sign: int
    times: str = ""
    shape: Shape | None = None

    @property
    def plain(self) -> bool:
        """Whether it is the column itself to a free power."""
        return bool(self.exponent) and not self.times and self.shape is None

    @property
    def unit(self) -> str:
        """The key of what the exponent is counted in."""
        return f"{self.column} {self.times}".strip()


@dataclass(frozen=True)
class Term:
    """`level` times its powers. With `efficiency`, the first power's column is multiplied by that parameter, 1 in the reference group."""

    level: str
    powers: tuple[Power, ...] = ()
    efficiency: str = ""
    sign: int = 1
    """-1 for a term that is subtracted."""

    @property
    def exponents(self) -> list[str]:
        """Of its powers."""
        return [power.exponent for power in self.powers if power.exponent]

    @property
    def shapes(self) -> list[str]:
        """Parameters of the shapes of its powers."""
        return [name for power in self.powers if power.shape for name in power.shape.parameters]

    @property
    def parameters(self) -> list[str]:
        """Its level, exponents, shapes' parameters and efficiency."""
        return [self.level, *self.exponents, *self.shapes, *([self.efficiency] if self.efficiency else [])]


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

    ratio: tuple[str, str] | None = None
    """The same where tokens per parameter are a column: levels of the terms that rise and that fall with it."""

    def __post_init__(self) -> None:
        known = {column.name for column in self.columns}
        for power in (power for term in self.terms for power in term.powers):
            for name in (power.column, *([power.times] if power.times else []), *(power.shape.columns if power.shape else ())):
                if name not in known:
                    raise unknown(f"column of law {self.name}", name, sorted(known), error=TaskError)
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
            if not math.isfinite(value) or (name in self.positive and not value > 0):
                raise UsageError(f"{name} cannot be fixed at {value:g}: it is {'positive' if name in self.positive else 'a number'}")
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
        return list(dict.fromkeys(name for term in self.terms for name in term.exponents))

    @property
    def shapes(self) -> list[str]:
        """Parameters of the shapes that stand for columns."""
        return list(dict.fromkeys(name for term in self.terms for name in term.shapes))

    @property
    def positive(self) -> set[str]:
        """Parameters whose log is fitted."""
        return {*self.levels, *self.shapes, *self.efficiencies}

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
        names = [name for term in self.terms for name in (term.level, *term.exponents, *term.shapes)]
        return list(dict.fromkeys(names + self.efficiencies))

    @property
    def efficiencies(self) -> list[str]:
        """Parameters that differ between the groups of one family, relative to its reference group."""
        return list(dict.fromkeys(term.efficiency for term in self.terms if term.efficiency))

    @property
    def formula(self) -> str:
        """`L = A / (N rho)^alpha + E`, with the columns' names."""
        text = "".join(f" {'-' if term.sign < 0 else '+'} {_term(term)}" for term in self.terms)
        return f"{self.y.name} ={text.removeprefix(' +')}"

    def without(self, level: str) -> Law:
        """The nested law that lacks the term of `level`."""
        terms = tuple(term for term in self.terms if term.level != level)
        used = {
            name
            for term in terms
            for power in term.powers
            for name in (power.column, power.times, *(power.shape.columns if power.shape else ()))
        }
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
    left = {name for term in terms for name in term.parameters}
    ties = {name: other for name, other in law.ties.items() if {name, other} <= left}
    return {"fixed": {name: value for name, value in law.fixed.items() if name in left}, "ties": ties, "allocation": allocation}


def _term(term: Term) -> str:
    text = term.level
    for i, power in enumerate(term.powers):
        base = f"({power.column} {term.efficiency})" if term.efficiency and i == 0 else power.column
        base = power.shape.text if power.shape else base
        if power.times:
            text += f" · exp({'-' if power.sign < 0 else ''}{power.exponent} log {power.column} log {power.times})"
        else:
            text += f" {'/' if power.sign < 0 else '·'} {base}" + (f"^{power.exponent}" if power.exponent else "")
    return text
