"""Coefficients (a, b, c) of the odd quintics x <- a x + b x^3 + c x^5 that Newton-Schulz composes."""

from __future__ import annotations

from collections.abc import Sequence

Triple = tuple[float, float, float]
Coefficients = str | Sequence[float] | Sequence[Sequence[float]]

MUON: Triple = (3.4445, -4.7750, 2.0315)
"""Muon's: the steepest at zero, at the price of singular values that end anywhere between 0.7 and 1.2."""

POLAR_EXPRESS: tuple[Triple, ...] = (
    (8.2872120181, -23.5958865191, 17.3003873125),
    (4.1070591115, -2.9478499167, 0.5448431083),
    (3.9486908535, -2.9089021160, 0.5518191394),
    (3.3184196574, -2.4884880243, 0.5100489401),
    (2.3006520200, -1.6689039846, 0.4188073120),
    (1.8913014074, -1.2679958272, 0.3768040895),
    (1.8750014808, -1.2500016454, 0.3750001645),
)
"""Polar Express (arXiv 2505.16932, algorithm 1): each step is the quintic nearest to 1 on [max(l, 0.02407 u), u] where the steps before it
left the singular values, from l = 0.001, scaled so that l and u end equally far from 1. The tests derive these numbers again."""

_LIMIT: Triple = (1.875, -1.25, 0.375)
_HEADROOM = 1.01


def schedule(coefficients: Coefficients, steps: int) -> list[list[float]]:
    """One triple a step. `polar_express` divides x by 1.01 in each step before the limit, as its authors do: rounding may push x past 1.

    ValueError for a name that is none, for triples that are none, and for a list of another length than `steps`.
    """
    if isinstance(coefficients, str):
        if coefficients == "muon":
            return [list(MUON)] * steps
        if coefficients == "polar_express":
            made = [[a / _HEADROOM, b / _HEADROOM**3, c / _HEADROOM**5] for a, b, c in POLAR_EXPRESS[:steps]]
            return made + [list(_LIMIT)] * (steps - len(made))
        raise ValueError(
            f"newton_schulz: unknown coefficients {coefficients!r}; choose muon, polar_express, (a, b, c) or one triple a step"
        )
    if all(isinstance(value, int | float) for value in coefficients):
        triples = [[float(value) for value in coefficients]] * steps  # type: ignore[arg-type]
    else:
        triples = [[float(value) for value in triple] for triple in coefficients]  # type: ignore[union-attr]
    if len(triples) != steps or any(len(triple) != 3 for triple in triples):
        raise ValueError(f"newton_schulz: coefficients must be (a, b, c) or {steps} such triples, one a step, not {coefficients!r}")
    return triples
