"""Which of two laws the values of an estimate along a parameter follow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.errors import TaskError, UsageError, unknown
from harness.estimates import Estimate, Vectorised, along
from harness.formula import evaluate, names

if TYPE_CHECKING:
    from harness.ends import Ends
    from harness.table import Floats, Table

LEAST_POINTS = 4
"""Values of the parameter: AICc of a model of two parameters (a factor, a spread) has no value under four."""


@dataclass(frozen=True)
class AiccGain(Vectorised):
    """AICc of `rival` minus AICc of `law` for an estimate along the parameter `over`: positive where the seed's values favour `law`.

    Both are formulas over the parameter, such as `log(M)/M` and `1/M`, each with one free factor c, fitted by least squares in
    log estimate = log c + log law + error. With Gaussian errors of unknown spread, AICc = n log(RSS / n) + 2 k + 2 k (k + 1) / (n - k - 1)
    up to a constant of the data (Hurvich & Tsai, Biometrika 76, 1989), k = 2 in both, so that the gain is n log(RSS_rival / RSS_law).
    NaN under four values of the parameter, and when one of them has no positive number.
    """

    over: str
    estimate: Estimate
    law: str
    rival: str
    where: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for text in (self.law, self.rival):
            try:
                found = names(text, "a study")
            except UsageError as error:
                raise TaskError(str(error)) from None
            for name in found:
                if name != self.over:
                    raise unknown(f"name in the law {text!r}", name, [self.over], error=TaskError)

    def values(self, table: Table) -> Floats:
        """AICc gained in each replicate, (replicates,)."""
        import numpy as np

        found = along(self.over, self.estimate, table.select(self.where))
        if len(found) < LEAST_POINTS:
            return table.nothing()
        places, values = np.array([*found], dtype=float), np.stack([*found.values()], axis=1)
        positive = np.isfinite(values) & (values > 0)
        logs = np.log(np.where(positive, values, 1.0))
        best, other = (np.square(_centred(logs - np.log(_shape(text, self.over, places)))).sum(axis=1) for text in (self.law, self.rival))
        with np.errstate(divide="ignore", invalid="ignore"):
            gain = len(places) * (np.log(other) - np.log(best))
        return np.where(positive.all(axis=1), gain, math.nan)

    def ends(self, table: Table) -> Ends:
        """AICc gained in each replicate; any number where a value of the estimate is only a bound."""
        import numpy as np

        from harness import ends

        values, (_, curves) = self.values(table), ends.along(self, table)
        unsure = ~curves.exact.all(axis=1) & ~np.isnan(curves.low).any(axis=1) & (curves.low.shape[1] >= LEAST_POINTS)
        return ends.Ends(np.where(unsure, -math.inf, values), np.where(unsure, math.inf, values))


def _centred(values: Floats) -> Floats:
    """What a free factor leaves of log residuals, (replicates, points)."""
    centred: Floats = values - values.mean(axis=1, keepdims=True)
    return centred


def _shape(text: str, over: str, places: Floats) -> Floats:
    """A law at values of its parameter, (points,); TaskError where it is not positive."""
    import numpy as np

    found = evaluate(text, lambda _: places, over)
    value: Floats = np.broadcast_to(places if found is None else found, places.shape)
    for place in places[~(np.isfinite(value) & (value > 0))].tolist():
        raise TaskError(f"the law {text!r} is not a positive number where {over} is {place:g}")
    return value
