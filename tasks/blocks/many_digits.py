"""Least squares on sigmoid features in decimal arithmetic of any length: what float64 cannot tell from rank deficiency is solved here."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext

Row = Sequence[Decimal]


def sigmoid_fit(
    inputs: Sequence[float], targets: Sequence[float], parameters: Sequence[tuple[float, float]], fresh: Sequence[float], digits: int
) -> tuple[list[float], float]:
    """What sum_j c_j sigmoid(a_j x + b_j) predicts at `fresh`, c by least squares on (inputs, targets), and |c|.

    Normal equations square the condition number: `digits` has to be above twice its logarithm, which for n features in a unit box is about
    n^2 / 20. ZeroDivisionError or nonsense where it is not; ask with more digits whether the answer stays.
    """
    with localcontext() as context:
        context.prec = digits
        units = [(Decimal(a), Decimal(b)) for a, b in parameters]

        def features(points: Sequence[float]) -> list[list[Decimal]]:
            return [[1 / (1 + (-(a * Decimal(x) + b)).exp()) for a, b in units] for x in points]

        columns = [*zip(*features(inputs), strict=True)]
        wanted = [Decimal(y) for y in targets]
        lower = [[_dot(left, right) for right in columns[: place + 1]] for place, left in enumerate(columns)]
        gram = [[lower[max(i, j)][min(i, j)] for j in range(len(columns))] for i in range(len(columns))]
        weights = solved(gram, [_dot(column, wanted) for column in columns])
        predicted = [float(_dot(row, weights)) for row in features(fresh)]
        return predicted, float(_dot(weights, weights).sqrt())


def solved(matrix: Sequence[Row], right: Row) -> list[Decimal]:
    """x of A x = b for a positive definite (n, n) matrix, by elimination in the precision of the context."""
    rows = [[*row, end] for row, end in zip(matrix, right, strict=True)]
    size = len(rows)
    for place in range(size):
        for below in range(place + 1, size):
            share = rows[below][place] / rows[place][place]
            rows[below][place:] = [own - share * pivot for own, pivot in zip(rows[below][place:], rows[place][place:], strict=True)]
    found = [Decimal(0)] * size
    for place in reversed(range(size)):
        found[place] = (rows[place][-1] - _dot(rows[place][place + 1 : -1], found[place + 1 :])) / rows[place][place]
    return found


def _dot(left: Row, right: Row) -> Decimal:
    return sum((a * b for a, b in zip(left, right, strict=True)), Decimal(0))
