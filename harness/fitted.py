"""Parameters of laws as estimates: what `papertrial fit` finds, seed by seed, is what a claim decides on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from harness.errors import DataError, TaskError, UsageError, unknown
from harness.estimates import Vectorised

if TYPE_CHECKING:
    from harness.laws.law import Law
    from harness.table import Floats, Table


@dataclass(frozen=True)
class Fitted(Vectorised):
    """The parameter `quantity` of a law of the law room, fitted to the trials of each seed.

    `along` says which column of the law each parameter of the trials is, such as `{"width": "x"}`; the law's `y` is `metric`. In a seed it
    is the number of `papertrial fit LAW STUDY --x param.width --y metric.loss --where seed=0`, `fixed` being its `--fix`. NaN where the law
    cannot be fitted: a number that is missing or not positive, or fewer points than the law has parameters.
    """

    law: str
    quantity: str
    metric: str
    along: Mapping[str, str]
    where: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, float] = field(default_factory=dict)

    def check(self) -> None:
        """TaskError where the law does not have what is asked of it. Done when a task is planned: the law room takes a second to load."""
        law = _law(self.law)
        for what, given, known in (
            ("parameter", [self.quantity, *self.fixed], law.parameters),
            ("column", [*self.along.values()], [column.name for column in law.columns]),
        ):
            for name in given:
                if name not in known:
                    raise unknown(f"{what} of law {self.law}", name, known, error=TaskError)
        missing = [column.name for column in law.columns if column.name not in self.along.values()]
        if missing:
            raise TaskError(f"law {self.law} is along {', '.join(missing)} too: say which parameter of the trials that is")

    def values(self, table: Table) -> Floats:
        """The parameter in each replicate, (replicates,)."""
        import numpy as np

        rows = table.select(self.where)
        if not len(rows) or any(not rows.has(f"param.{name}") for name in self.along):
            return table.nothing()
        columns = {column: rows.column(f"param.{name}").astype(float) for name, column in self.along.items()}
        points = np.unique(np.stack([*columns.values()]), axis=1).shape[1]
        if points < len(_law(self.law).parameters) - len(self.fixed):
            return table.nothing()
        given, fixed = tuple((column, x.tobytes()) for column, x in columns.items()), tuple(sorted(self.fixed.items()))
        found = [_parameters(self.law, fixed, given, y.astype(float).tobytes()) for y in rows.metric(self.metric)]
        return np.array([own.get(self.quantity, math.nan) for own in found])


@lru_cache(maxsize=1024)
def _parameters(law: str, fixed: tuple[tuple[str, float], ...], columns: tuple[tuple[str, bytes], ...], y: bytes) -> Mapping[str, float]:
    """Of one seed's fit, by name; empty where it cannot be fitted. Kept: claims on several parameters of a law ask for one fit."""
    import numpy as np

    from harness.laws import fit
    from harness.laws.rows import Options

    options = Options(fixed=dict(fixed), resamples=0, allow_gap=True)
    try:
        found = fit(law, {name: np.frombuffer(values) for name, values in (*columns, ("y", y))}, options=options)
    except (DataError, UsageError):
        return {}
    (part,) = found.parts
    return {own.name: own.value for own in part.estimates} if part.converged else {}


def _law(name: str) -> Law:
    from harness.laws.catalogue import LAWS

    if name not in LAWS:
        raise unknown("law", name, [*LAWS], error=TaskError)
    return LAWS[name]
