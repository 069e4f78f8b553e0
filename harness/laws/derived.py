"""What follows from the parameters of a law: how a compute budget is best divided between model and data.

At C = 6 n d (Kaplan et al., 2001.08361) the loss A / n^alpha + B / d^beta + E is least at N* = G (C/6)^a and D* = (C/6)^b / G with
a = beta / (alpha + beta), b = alpha / (alpha + beta) and G = (alpha A / (beta B))^(1 / (alpha + beta)) (Hoffmann et al., 2203.15556, eq.
4).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.laws.design import Affine, Design, Quantity, Reported, Rows
from harness.laws.law import Law
from harness.laws.solver import Array

FLOPS = 6.0
"""Of a parameter and a token: two forwards, four backwards."""
_DECADES = 3


@dataclass(frozen=True)
class Derived(Reported):
    """A function of a few parameters."""

    meaning: str
    inputs: Sequence[Affine]
    function: Callable[[Sequence[Array]], tuple[Array, Sequence[Array]]]
    """(B,) of each input -> (B,) value and its derivative with respect to each."""

    def fitted(self, theta: Array) -> Array:
        """(B,): the number, or its log; NaN where there is none."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.function([one(theta) for one in self.inputs])[0]

    def gradient(self, theta: Array) -> Array:
        """(B, p): derivative of `fitted`."""
        with np.errstate(invalid="ignore", divide="ignore"):
            partials = self.function([one(theta) for one in self.inputs])[1]
        return np.asarray(sum(partial[:, None] * one.slope for partial, one in zip(partials, self.inputs, strict=True)))


def allocation(design: Design, rows: Rows, budgets: Sequence[float]) -> list[Derived]:
    """a and b, and for each budget N*, D* and tokens per parameter, of every group; nothing for laws without such a split.

    Without `budgets` they are the powers of ten from the largest 6 n d of the rows on.
    """
    found = _by_ratio(design, rows, budgets) if design.law.ratio else _by_terms(design, rows, budgets)
    return [one for one in found if any(known.slope.any() for known in one.inputs)]


def _by_ratio(design: Design, rows: Rows, budgets: Sequence[float]) -> list[Derived]:
    """Of (a m^eta + b m^-eta) flops^-eta: the best m is (b / a)^(1 / (2 eta)) at every budget, and n = (C / (6 m))^(1/2)."""
    law = design.law
    assert law.ratio is not None
    rising, falling = (next(term for term in law.terms if term.level == level) for level in law.ratio)
    eta, m = rising.powers[-1].exponent, rising.powers[-1].column
    owner, found = dict(zip(rows.group, rows.family, strict=True)), list[Derived]()
    for group, family in owner.items():
        sources = [design.parameter(name, family) for name in (rising.level, falling.level, eta)]
        inputs, label = [one.numerator for one in sources], group if len(owner) > 1 else ""
        found.append(Derived("D*/N*", label, True, f"{m} of least loss at every C", inputs, _ratio(0.0, 1.0), sources=sources))
        for budget in budgets or _decades(float(rows.x[rising.powers[0].column].max())):
            half, words = 0.5 * math.log(budget / FLOPS), f"of least loss at C = {budget:g}"
            found += [
                Derived(f"{name}({budget:g})", label, True, f"{what} {words}", inputs, _ratio(half, factor), sources=sources)
                for name, what, factor in (("N*", "parameters", -0.5), ("D*", "tokens", 0.5))
            ]
    return found


def _by_terms(design: Design, rows: Rows, budgets: Sequence[float]) -> list[Derived]:
    law = design.law
    if not law.allocation:
        return []
    size, data = (next(term for term in law.terms if term.level == level) for level in law.allocation)
    (n,), (d,) = ([power.column for power in term.powers] for term in (size, data))
    budgets = budgets_of(law, rows, budgets)
    found: list[Derived] = []
    owner = dict(zip(rows.group, rows.family, strict=True))
    for group, family in owner.items():
        alpha, beta = (design.parameter(term.powers[0].exponent, family) for term in (size, data))
        a, b = (design.parameter(term.level, family) for term in (size, data))
        level, sources = a.numerator, [alpha, beta, a, b]
        if size.efficiency:
            # The coordinate of an efficiency is what it adds to the log of its term.
            rho = design.parameter(size.efficiency, family, group)
            level = Affine(level.slope + rho.numerator.slope, level.constant + rho.numerator.constant)
            sources.append(rho)
        inputs = (alpha.numerator, beta.numerator, level, b.numerator)
        shared = {one.group for one in (alpha, beta)} == {""}
        label = group if len(owner) > 1 else ""
        shares = (("a", _a, f"N* grows as C^a, C = 6 {n} {d}"), ("b", _b, "D* grows as C^b"))
        for name, function, words in shares if _estimated(law, alpha, beta) else ():
            one = Derived(name, "" if shared else label, False, words, inputs[:2], function, sources=sources[:2])
            found += [] if one.label in {other.label for other in found} else [one]
        for budget in budgets:
            log_c, at = math.log(budget / FLOPS), f"({budget:g})"
            words = f"at C = {budget:g}"
            found += [
                Derived(f"{what}{at}", label, True, f"{of} of least loss {words}", inputs, _optimum(log_c, c, factor), sources=sources)
                for what, of, c, factor in (("N*", n, 0.0, 1.0), ("D*", d, log_c, -1.0), ("D*/N*", f"{d} per {n}", log_c, -2.0))
            ]
    return found


def budgets_of(law: Law, rows: Rows, budgets: Sequence[float]) -> Sequence[float]:
    """`budgets`, or the powers of ten from the largest 6 n d of the rows on."""
    columns = [power.column for term in law.terms for power in term.powers if law.allocation and term.level in law.allocation]
    return budgets or _decades(FLOPS * float(np.prod([rows.x[name] for name in columns], axis=0).max()))


def _estimated(law: Law, alpha: Quantity, beta: Quantity) -> bool:
    """Whether the ratio of the exponents is: neither two constants nor one exponent twice."""
    return law.root(alpha.name) != law.root(beta.name) and (alpha.slot >= 0 or beta.slot >= 0)


def _decades(largest: float) -> list[float]:
    first = math.ceil(math.log10(largest) - 1e-9)
    return [10.0 ** (first + i) for i in range(_DECADES)]


def _a(inputs: Sequence[Array]) -> tuple[Array, Sequence[Array]]:
    alpha, beta = inputs
    total = alpha + beta
    return beta / total, (-beta / total**2, alpha / total**2)


def _b(inputs: Sequence[Array]) -> tuple[Array, Sequence[Array]]:
    beta, alpha = _a(inputs)
    return 1 - beta, tuple(-one for one in alpha)


def _ratio(constant: float, factor: float) -> Callable[[Sequence[Array]], tuple[Array, Sequence[Array]]]:
    """constant + factor log m*, of log a, log b and eta; NaN where eta is not positive."""

    def function(inputs: Sequence[Array]) -> tuple[Array, Sequence[Array]]:
        a, b, eta = inputs
        twice = 2 * np.where(eta > 0, eta, np.nan)
        log_m = (b - a) / twice
        return constant + factor * log_m, (-factor / twice, factor / twice, -factor * log_m / eta)

    return function


def _optimum(log_c: float, constant: float, factor: float) -> Callable[[Sequence[Array]], tuple[Array, Sequence[Array]]]:
    """constant + factor log N*, of alpha, beta, log A and log B; NaN where an exponent is not positive."""

    def function(inputs: Sequence[Array]) -> tuple[Array, Sequence[Array]]:
        alpha, beta, a, b = inputs
        total = alpha + beta
        log_n = (np.log(alpha) - np.log(beta) + a - b + beta * log_c) / total
        partials = ((1 / alpha - log_n) / total, (log_c - 1 / beta - log_n) / total, 1 / total, -1 / total)
        return constant + factor * log_n, tuple(factor * one for one in partials)

    return function
