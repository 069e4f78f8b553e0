"""A fit as Markdown and as JSON text."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.laws.approaches import Approach
from harness.laws.prediction import Prediction
from harness.laws.result import Estimate, Fit
from harness.laws.selection import Score
from harness.shown import markdown_table
from harness.stats import decimals, number

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Headings and rows."""


@dataclass(frozen=True)
class More:
    """What a procedure has to say besides its fit."""

    tables: Sequence[Table] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    """Plain data, added to the fit's."""
    notes: Sequence[str] = ()


def to_json(fit: Fit, scores: Sequence[Score], more: More) -> str:
    """The fit and, where asked for, the comparison and what there is more."""
    found: dict[str, Any] = fit.to_json() | dict(more.data)
    if scores:
        found["comparison"] = [score.to_json() for score in scores]
    return json.dumps(found, indent=2, allow_nan=False) + "\n"


def to_markdown(fit: Fit, scores: Sequence[Score], more: More) -> str:
    """Estimates, how the optimum was reached, and the comparison, as tables."""
    found = [(headings, rows) for headings, rows in (*tables(fit), *more.tables) if rows]
    text = f"# {fit.law.name}: `{fit.law.formula}`\n\n{about(fit)}\n\n"
    text += "\n\n".join(markdown_table(headings, rows) for headings, rows in found) + "\n"
    if said := [*more.notes, *reasons(fit)]:
        text += "\n" + "\n".join(f"- {line}" for line in said) + "\n"
    if scores:
        text += f"\n{markdown_table(SCORES, comparison(scores))}\n"
    return text + "".join(f"\n- {line}\n" for line in about_scores(scores))


def tables(fit: Fit) -> list[Table]:
    """Headings and rows of what there is to say of a fit, in order; some have no rows."""
    return [(ESTIMATES, estimates(fit)), (DERIVED, derived(fit)), (PREDICTIONS, predictions(fit)), (OPTIMA, optima(fit))]


def about(fit: Fit) -> str:
    """What was fitted to what, in one line."""
    columns = ", ".join(f"{name} = {theirs}" for name, theirs in fit.columns.items())
    shared = f"; shared by all families: {', '.join(fit.shared)}" if fit.shared else ""
    weighting = f"; rows weigh by {fit.weighting}" if fit.weighting else ""
    skipped = f"; {fit.rows_skipped} rows with an empty cell left out" if fit.rows_skipped else ""
    censored = f"; y is only a bound where {fit.censored} says so" if fit.censored else ""
    return f"{fit.source}: {columns}{shared}; {_scheme(fit)}{weighting}{censored}{skipped}"


def _scheme(fit: Fit) -> str:
    """How the intervals were found."""
    schemes = list(dict.fromkeys(part.scheme for part in fit.parts if part.scheme))
    if not schemes:
        return "no intervals"
    said = {
        "rows": "bootstrap of rows (percentile)",
        "runs": f"bootstrap of runs, all rows of one {fit.cluster} together (percentile)",
        "repetitions": f"wild bootstrap-t over repetitions, all rows of one {fit.cluster} together",
        "residuals": "bootstrap-t of residuals, taken as of one size: rows are too few to be drawn, or more is known than they say",
    }
    return f"{100 * fit.confidence:g} % intervals by the " + " or ".join(said[scheme] for scheme in schemes)


ESTIMATES = ("parameter", "group", "estimate", "interval", "meaning")
DERIVED = ("derived", "group", "estimate", "interval", "meaning")
APPROACHES = ("divided", "group", "parametric", "interval", "isoFLOP", "interval")
PREDICTIONS = ("at", "group", "predicted", "the law's interval", "a new run's interval", "beyond the rows")
OPTIMA = ("fit", "rows", "objective", "converged", "starts at it", "condition", "rms log residual", "resamples not converged")
SCORES = ("fit", "law", "parameters", "objective", "AICc", "BIC", "leave-one-out rms", "held-out rows", "bias", "rms", "in their interval")


def estimates(fit: Fit) -> list[tuple[str, ...]]:
    """Rows under `ESTIMATES`."""
    return [(e.name, e.group or part, *_value(e), e.meaning) for part, e in fit.estimates]


def derived(fit: Fit) -> list[tuple[str, ...]]:
    """Rows under `DERIVED`."""
    return [(e.name, e.group or part.group, *_value(e), e.meaning) for part in fit.parts for e in part.derived]


def approaches(rows: Sequence[Approach]) -> list[tuple[str, ...]]:
    """Rows under `APPROACHES`."""
    return [(row.name, row.group, *_shown(row.parametric), *_shown(row.isoflop)) for row in rows]


def predictions(fit: Fit) -> list[tuple[str, ...]]:
    """Rows under `PREDICTIONS`."""
    return [row for part in fit.parts for row in predicted(part.predictions, part.group)]


def predicted(found: Sequence[Prediction], group: str = "") -> list[tuple[str, ...]]:
    """Rows under `PREDICTIONS`; `group` is that of those that name none."""
    at = [", ".join(f"{name} = {value:g}" for name, value in one.at.items()) for one in found]
    return [(where, one.group or group, *_bands(one), one.beyond or "inside") for where, one in zip(at, found, strict=True)]


def _bands(one: Prediction) -> tuple[str, str, str]:
    if one.low is None or one.high is None or one.new_low is None or one.new_high is None:
        return number(one.value), "none", "none"
    digits = decimals(one.value, (one.high - one.low) / 2)
    law, run = (f"[{number(low, digits)}, {number(high, digits)}]" for low, high in ((one.low, one.high), (one.new_low, one.new_high)))
    return number(one.value, digits), law, run


def optima(fit: Fit) -> list[tuple[str, ...]]:
    """Rows under `OPTIMA`."""
    found: list[tuple[str, ...]] = []
    for part in fit.parts:
        drawn = 0 if part.resamples is None else len(part.resamples.converged)
        rms = math.sqrt(float((part.residuals**2).mean()))
        reached = f"{part.reached} of {part.starts}"
        counts = (f"{part.objective:.6g}", "yes" if part.converged else "NO", reached, f"{part.condition:.3g}", f"{rms:.2g}")
        found.append((part.group or "all", str(part.count), *counts, f"{part.not_converged} of {drawn}"))
    return found


def comparison(scores: Sequence[Score]) -> list[tuple[str, ...]]:
    """Rows under `SCORES`."""
    return [
        (
            s.group or "all",
            s.candidate,
            str(s.parameters),
            f"{s.objective:.4g}",
            f"{s.aicc:.1f}",
            f"{s.bic:.1f}",
            _error(s.left_out),
            str(s.held_out.rows),
            "–" if math.isnan(s.held_out.bias) else f"{s.held_out.bias:+.2g}",
            _error(s.held_out.rms),
            "–" if math.isnan(s.held_out.covered) else f"{100 * s.held_out.covered:.0f} %",
        )
        for s in scores
    ]


def _error(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3g}"


def about_scores(scores: Sequence[Score]) -> list[str]:
    """What is left out, and why a candidate has no held-out score."""
    units = list(dict.fromkeys(score.left_out_unit for score in scores))
    said = [f"leave-one-out leaves out a {' or a '.join(units)} at a time"] if units not in ([], ["row"]) else []
    grouped: dict[str, list[str]] = {}
    for score in scores:
        if score.held_out.reason:
            grouped.setdefault(score.held_out.reason, []).append(f"{score.group}, {score.candidate}" if score.group else score.candidate)
    return said + [f"no held-out score for {'; '.join(names)}: {reason}" for reason, names in grouped.items()]


def reasons(fit: Fit) -> list[str]:
    """A line for every parameter that has no interval, and on rows that are no runs of their own."""
    grouped: dict[str, list[str]] = {}
    for family, estimate in fit.estimates:
        if estimate.reason:
            label = estimate.label if estimate.group or not family else f"{estimate.name}[{family}]"
            grouped.setdefault(estimate.reason, []).append(label)
    for part in fit.parts:
        for one in part.derived:
            if one.reason and one.reason not in grouped:
                grouped.setdefault(one.reason, []).append(one.label)
        for point in part.predictions:
            if point.reason and point.reason not in grouped:
                grouped.setdefault(point.reason, []).append(", ".join(f"{name} = {value:g}" for name, value in point.at.items()))
    stated = [
        f"residuals{' of ' + part.group if part.group else ''} are {part.over_stated:.2g} times the errors that the table states"
        for part in fit.parts
        if part.over_stated is not None
    ]
    told = [f"{part.group}: {note}" if part.group else note for part in fit.parts for note in part.notes]
    return [
        *fit.repeats,
        *fit.cautions,
        *told,
        *stated,
        *(f"no interval for {', '.join(labels)}: {reason}" for reason, labels in grouped.items()),
    ]


def _value(estimate: Estimate) -> tuple[str, str]:
    return (number(estimate.value), "fixed") if estimate.fixed else _shown(estimate)


def _shown(estimate: Estimate | Prediction) -> tuple[str, str]:
    if estimate.low is None or estimate.high is None:
        return number(estimate.value), "none"
    digits = decimals(estimate.value, (estimate.high - estimate.low) / 2)
    return number(estimate.value, digits), f"[{number(estimate.low, digits)}, {number(estimate.high, digits)}]"
