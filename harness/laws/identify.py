"""What the data cannot pin down: parameters for which an interval would be a false promise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.laws.design import Design, Quantity, Reported
from harness.laws.solver import Array, Prior, jacobian, predict

MOST_CONDITION = 1e7
MOST_COLLINEAR = 0.999
LEAST_SHARE = 1e-6
MOST_ERROR = 1.0
"""Standard error, in e-folds of a level at the centre of the data or of a term across one standard deviation of log x."""


@dataclass(frozen=True)
class Identification:
    """How well the optimum is determined."""

    condition: float
    """Largest over smallest singular value of the Jacobian of log y, its columns scaled to length one."""
    reasons: list[str]
    """A sentence a quantity of the design; empty where the data pin it down."""


def identify(design: Design, theta: Array, errors: Array) -> Identification:
    """`theta` is (p,), `errors` the (p,) standard errors of its coordinates."""
    shares = predict(design.terms, theta[None])[1]
    slope = jacobian(design.terms, shares, theta[None])[0]
    for prior in _priors(design):
        slope = np.concatenate([slope, prior.slopes.T * np.sqrt(prior.weights)], axis=1)
    lengths = np.linalg.norm(slope, axis=1)
    scaled = slope / np.where(lengths > 0, lengths, 1.0)[:, None]
    _, singular, directions = np.linalg.svd(scaled.T, full_matrices=False)
    condition = float(singular[0] / singular[-1]) if singular[-1] > 0 and (lengths > 0).all() else float("inf")
    loose = directions[singular * MOST_CONDITION < singular[0]]
    swapped = _exchangeable(design)
    gone = {term.level: float(np.abs(shares[0, k]).max()) < LEAST_SHARE for k, term in enumerate(design.law.terms)}

    def reason(one: Reported) -> str:
        if isinstance(one, Quantity):
            return _reason(design, one, errors, np.abs(loose), swapped, gone) if one.slot >= 0 else ""
        for source in one.sources:
            if said := reason(source):
                return f"it is made of {source.label}, and {said}" if source.label not in said else said
        pull = one.gradient(theta[None])[0] / np.where(lengths > 0, lengths, 1.0)
        if len(loose) and np.abs(loose @ pull).max() > 0.1 * np.linalg.norm(pull):
            return "parameters that these rows do not determine change it"
        return ""

    return Identification(condition, [reason(one) for one in design.quantities])


def _reason(design: Design, quantity: Quantity, errors: Array, loose: Array, swapped: dict[str, str], gone: dict[str, bool]) -> str:
    for term in design.law.terms:
        if quantity.name not in term.parameters:
            continue
        if gone[term.level]:
            return f"the term of {term.level} vanishes at the optimum: its level is at its bound, 0"
        if term.level in swapped:
            return swapped[term.level]
    if len(loose) and loose[:, quantity.slot].max() > 0.1:
        return "changing it together with other parameters leaves every fitted value as it is"
    if not errors[quantity.slot] <= MOST_ERROR:
        return f"its standard error is {errors[quantity.slot]:.2g} e-folds: these points hold almost no information on it"
    return ""


def _priors(design: Design) -> list[Prior]:
    return [penalty for penalty in design.penalties if isinstance(penalty, Prior)]


def _exchangeable(design: Design) -> dict[str, str]:
    """Terms whose columns move together: nothing in the data tells which of the two a change belongs to."""
    found = {}
    law = design.law
    powered = [(k, term) for k, term in enumerate(law.terms) if len(term.powers) == 1 and term.powers[0].plain]
    held = {slot for prior in _priors(design) for slot in np.flatnonzero(prior.slopes.any(axis=0)).tolist()}
    told = {name for (name, _), slot in design.slots.items() if slot in held}
    powered = [(k, term) for k, term in powered if not told & {term.level, law.root(term.powers[0].exponent)}]
    powered = [(k, term) for k, term in powered if {term.level, law.root(term.powers[0].exponent)} <= set(law.free)]
    for i, (first, one) in enumerate(powered):
        for second, other in powered[i + 1 :]:
            x, z = (_log_column(design, k, term.powers[0].exponent) for k, term in ((first, one), (second, other)))
            if abs(np.corrcoef(x, z)[0, 1]) > MOST_COLLINEAR:
                columns = f"{other.powers[0].column} moves with {one.powers[0].column}"
                sentence = f"{columns} in these rows, so the terms of {one.level} and {other.level} cannot be told apart"
                found[one.level] = found[other.level] = sentence
    return found


def _log_column(design: Design, k: int, exponent: str) -> Array:
    own = [slot for (name, _), slot in design.slots.items() if name == design.law.root(exponent)]
    return np.asarray(design.terms.linear[k][:, own].sum(axis=1))
