"""Least squares in many digits against rational arithmetic, against numpy where float64 suffices, and against more digits."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest

from tasks.blocks.many_digits import sigmoid_fit, solved


def test_a_hilbert_matrix_is_solved_as_fractions_say() -> None:
    size = 8
    exact = [[Fraction(1, i + j + 1) for j in range(size)] for i in range(size)]
    right = [sum(row) for row in exact]
    with localcontext() as context:
        context.prec = 60
        matrix = [[Decimal(entry.numerator) / Decimal(entry.denominator) for entry in row] for row in exact]
        found = solved(matrix, [Decimal(end.numerator) / Decimal(end.denominator) for end in right])
    assert [float(one) for one in found] == pytest.approx([1.0] * size, rel=1e-15)


def problem(bandwidth: float, count: int) -> tuple[np.ndarray, np.ndarray, list[tuple[float, float]], np.ndarray]:
    draw = np.random.default_rng(0)
    x, fresh = np.linspace(0.0, 1.0, 50), draw.uniform(size=20)
    return x, np.sin(5.0 * x) + x**2, [(a, b) for a, b in draw.uniform(-bandwidth, bandwidth, (count, 2)).tolist()], fresh


def test_where_float64_suffices_it_is_numpys() -> None:
    x, y, units, fresh = problem(20.0, 6)
    a, b = np.array(units).T
    train, test = (1.0 / (1.0 + np.exp(-(np.outer(points, a) + b))) for points in (x, fresh))
    weights = np.linalg.lstsq(train, y, rcond=None)[0]
    predicted, norm = sigmoid_fit(x.tolist(), y.tolist(), units, fresh.tolist(), 60)
    assert predicted == pytest.approx((test @ weights).tolist(), rel=1e-7)
    assert norm == pytest.approx(float(np.linalg.norm(weights)), rel=1e-7)


def test_more_digits_change_nothing_once_there_are_enough_of_them() -> None:
    x, y, units, fresh = problem(1.0, 14)
    least, more, few = (sigmoid_fit(x.tolist(), y.tolist(), units, fresh.tolist(), digits) for digits in (120, 200, 25))
    assert least[0] == pytest.approx(more[0], rel=1e-12)
    assert few[0] != pytest.approx(more[0], rel=1e-6)
    assert more[0] == pytest.approx((np.sin(5.0 * fresh) + fresh**2).tolist(), abs=1e-9)
    assert more[1] > 1e8, "what is this close to collinear is only told apart by huge coefficients"
