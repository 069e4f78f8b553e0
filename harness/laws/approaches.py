"""How a budget is divided by two roads from the same rows: the parametric law, and the optima of the isoFLOP curves.

Where they disagree, one of their assumptions is wrong: the form of the law, or the parabola (Hoffmann et al., 2203.15556, approaches 2
and 3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError
from harness.formula import is_formula
from harness.laws import derived, formula, isoflop
from harness.laws.fit import fit
from harness.laws.prediction import Prediction
from harness.laws.result import Estimate, Fit
from harness.laws.rows import Options, complete

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Approach:
    """One number by both roads."""

    name: str
    group: str
    parametric: Estimate
    isoflop: Estimate | Prediction

    @property
    def apart(self) -> bool:
        """Whether both have intervals, and these do not meet."""
        one, other = self.parametric, self.isoflop
        if one.low is None or one.high is None or other.low is None or other.high is None:
            return False
        return one.high < other.low or other.high < one.low

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        roads = {"parametric": self.parametric, "isoflop": self.isoflop}
        values = {road: {"value": one.value, "low": one.low, "high": one.high} for road, one in roads.items()}
        return {"name": self.name, "group": self.group, **values, "apart": self.apart}


def compare(
    found: Fit, frame: pd.DataFrame, columns: Mapping[str, str], options: Options, flops: str = ""
) -> tuple[list[Approach], list[str]]:
    """a and N* of every group by both roads, and what the isoFLOP curves left out.

    `flops` is a column or a formula; without it the budgets are 6 n d. Raises UsageError for a law without such a division, DataError
    where there are no curves.
    """
    if not found.law.allocation:
        raise UsageError(f"--isoflop is for laws that divide compute between model and data, such as chinchilla, not {found.law.name}")
    used = {"n": columns.get("n", "n"), "y": columns.get("y", "y"), "flops": flops or f"6*{_name(columns, 'n')}*{_name(columns, 'd')}"}
    frame = formula.columns(frame, used.values(), found.source)
    frame = complete(frame, used.values(), found.source) if options.skip_empty else frame
    optima, notes = isoflop.optima(frame, used, options.group, found.source)
    at = sorted({budget for part in found.parts for budget in derived.budgets_of(part.design.law, part.rows, options.budgets)})
    plain = Options(group=options.group, resamples=options.resamples, confidence=options.confidence, seed=options.seed)
    names = {"x": used["flops"], "y": isoflop.OPTIMUM}
    curve = fit("power-law", optima, names, replace(plain, predict=[{"x": budget} for budget in at]), source=f"optima of {found.source}")
    rows = []
    for part in curve.parts:
        label = part.group
        pairs: list[tuple[str, Estimate | Prediction]] = [("a", next(one for one in part.estimates if one.name == "a"))]
        pairs += [(f"N*({one.at['x']:g})", one) for one in part.predictions]
        known = {(one.name, one.group or own.group): one for own in found.parts for one in own.derived}
        rows += [Approach(name, label, known[key], other) for name, other in pairs if (key := _key(known, name, label))]
    return rows, notes


def _key(known: Mapping[tuple[str, str], Estimate], name: str, label: str) -> tuple[str, str] | None:
    return next((key for key in ((name, label), (name, "")) if key in known), None)


def _name(columns: Mapping[str, str], name: str) -> str:
    """A column inside a formula: in backquotes, or as the formula that it is."""
    theirs = columns.get(name, name)
    return f"({theirs})" if is_formula(theirs) else f"`{theirs}`"


def notes(rows: Sequence[Approach]) -> list[str]:
    """A sentence on the numbers whose intervals do not meet."""
    names = [f"{row.name}[{row.group}]" if row.group else row.name for row in rows if row.apart]
    return [f"parametric and isoFLOP intervals do not meet: {', '.join(names)}"] if names else []
