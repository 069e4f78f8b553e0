"""Where the optimiser starts from: a grid that follows the data, so that it means the same in every unit."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Literal

import numpy as np
from scipy import optimize

from harness.errors import UsageError, unknown
from harness.laws.design import Design
from harness.laws.law import Law, Shape
from harness.laws.solver import Array
from harness.laws.terms import Bend

_LEAST_SHARE = 1e-3
"""Share of y at which a term starts that the best levels would leave out: it must be able to come back."""


def data_grid(design: Design) -> Array:
    """(B, p): every combination of the law's starting exponents, with the best levels for each. A law of one term is convex: one start."""
    law = design.law
    exponents = [name for name in law.exponents if name in law.free]
    levels = dict.fromkeys(law.levels, 0.0)
    grid = law.exponent_starts if len(law.terms) > 1 or law.shapes else law.exponent_starts[:1]
    shapes = [(name, starts) for name, starts in _shape_starts(design).items() if name in law.free]
    combinations = itertools.product(*[grid] * len(exponents), *(starts for _, starts in shapes))
    names = [*exponents, *(name for name, _ in shapes)]
    return project(design, np.array([design.start(dict(zip(names, values, strict=True)) | levels) for values in combinations]))


def _shape_starts(design: Design) -> dict[str, list[float]]:
    """Parameter of a shape -> logs of the values that it starts from."""
    found = {}
    for bend, shape in _bends(design):
        for name, starts in shape.parameters.items():
            values = np.quantile(bend.data[0], starts) if name == shape.place else np.log(starts)
            found[name] = values.tolist()
    return found


def _bends(design: Design) -> list[tuple[Bend, Shape]]:
    shapes = [power.shape for term in design.law.terms for power in term.powers if power.shape]
    return list(zip(design.terms.bends, shapes, strict=False))


def project(design: Design, theta: Array) -> Array:
    """(B, p): the same exponents and efficiencies, levels replaced by the best ones for them.

    Given the exponents a law is linear in its levels, so the best are a non-negative least-squares problem of relative errors
    (variable projection). Starts that differ in levels alone become one start.
    """
    slots = [slot for (name, _), slot in design.slots.items() if name in design.law.levels]
    if not slots:
        return theta
    shape, found = np.delete(np.arange(theta.shape[1]), slots), theta.copy()
    distinct, which = np.unique(theta[:, shape], axis=0, return_inverse=True)
    levels = np.array([_best_levels(design, slots, values) for values in distinct])
    found[:, slots] = levels[which.ravel()]
    return found


def _best_levels(design: Design, slots: list[int], values: Array) -> Array:
    logs = design.terms.without(slots).logs(values[None])[0] - design.log_y * design.terms.spread
    members = design.terms.linear[:, :, slots]
    top = np.array([logs[members[:, :, j] > 0].max() for j in range(len(slots))])
    # Columns are scaled to at most one, so that steep exponents do not overflow.
    signs = design.terms.signs[:, None, None]
    columns = (np.exp(np.minimum(logs[:, :, None] - top, 0.0)) * members * signs).sum(axis=0)
    given = members.any(axis=2)
    # What terms of a fixed level leave of y; never nothing, so that a level of its own has something to explain.
    left = np.maximum(1.0 - np.where(given, 0.0, np.exp(np.minimum(logs, 0.0)) * signs[:, 0]).sum(axis=0), _LEAST_SHARE)
    weights, _ = optimize.nnls(columns, left)
    return np.asarray(np.log(np.maximum(weights, _LEAST_SHARE)) - top)


def given(design: Design, starts: tuple[Mapping[str, float], ...] | Literal["published"]) -> Array:
    """(B, p): the user's starts as they are, or the grid of the law's paper with the best levels for its exponents."""
    law = design.law
    values = _published(law) if starts == "published" else [_logged(law, start) for start in starts]
    found = np.array([design.start(value) for value in values]).reshape(-1, design.terms.shape[2])
    return project(design, found) if starts == "published" else found


def _published(law: Law) -> list[dict[str, float]]:
    if not law.published_starts:
        raise UsageError(f"law {law.name} has no published grid of starts")
    names, grids = zip(*((name, grid) for name, grid in law.published_starts.items() if name in law.free), strict=True)
    return [dict(zip(names, map(float, values), strict=True)) for values in itertools.product(*grids)]


def _logged(law: Law, start: Mapping[str, float]) -> dict[str, float]:
    levels = law.positive
    free = [name for name in law.free if name not in law.efficiencies]
    for name in start:
        if name not in law.parameters:
            raise unknown(f"parameter of law {law.name}", name, law.parameters)
    for name in free:
        if name not in start:
            raise UsageError(f"a start of law {law.name} needs {name}")
    for name in levels & set(start):
        if not start[name] > 0:
            raise UsageError(f"a start needs {name} > 0, not {start[name]}")
    return {name: math.log(value) if name in levels else value for name, value in start.items()}
