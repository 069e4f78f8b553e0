"""Fits a law to a table: from many starts, robustly, with what the data cannot say said beside what they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import unknown
from harness.laws import bootstrap, bounds, derived, formula, prediction, prior, starts, table
from harness.laws.catalogue import LAWS
from harness.laws.design import Design, Quantity, build
from harness.laws.facts import ROW, number
from harness.laws.identify import identify
from harness.laws.law import Law
from harness.laws.reported import Findings
from harness.laws.result import Fit, Part
from harness.laws.rows import (
    Options,
    check_clusters,
    check_columns,
    check_count,
    checked_points,
    complete,
    constrained,
    distinct,
    read_rows,
    repeats,
    shared_parameters,
    split,
    take,
    used_columns,
)
from harness.laws.solver import Array, Penalty, Solutions, objective, predict, solve
from harness.laws.terms import Terms
from harness.laws.units import FEW_RUNS, Units, cautions, units

if TYPE_CHECKING:
    import pandas as pd

    from harness.laws.design import Rows

MOST_LOST = 0.05
"""Share of resamples that may fail to converge before their quantiles are no interval."""
MOST_APART = 1.3
"""Ratio of robust to plain standard errors, either way, from which errors are said to differ in size."""
MOST_BY_CHANCE = 0.05
"""Share of tables with the residuals in other places that may show as large a ratio."""
SAME_OBJECTIVE = 1e-6
"""Share of the objective by which starts that end at one optimum may differ."""


def fit(
    law: str | Law,
    data: pd.DataFrame | Mapping[str, Any],
    columns: Mapping[str, str] | None = None,
    options: Options | None = None,
    *,
    source: str = "table",
) -> Fit:
    """Fit `law`, by name or one's own, to the rows of `data`.

    `columns` maps the law's columns (`n`, `d`, `y`) to those of `data` where the names differ; `source` is what errors call the data.
    Raises DataError, naming row and column, and UsageError. A parameter that the data cannot pin down gets no interval but a reason.
    """
    import pandas as pd

    options = options or Options()
    law = constrained(law if isinstance(law, Law) else named(law), options)
    frame = data if isinstance(data, pd.DataFrame) else pd.DataFrame(dict(data))
    frame = frame if frame.index.name == ROW else number(frame)
    used, whole = used_columns(law, columns or {}), len(frame)
    prior.check(law, options.priors)
    wanted = checked_points(law, options.predict, used)
    read = [*used.values(), *(name for name in (options.weights, options.errors) if name)]
    if options.censored is None:
        y = used[law.y.name]
        options = replace(options, censored=bounds.censoring(frame, y, [name for name in read if name != y], source))
    frame = formula.columns(frame, read, source)
    frame = complete(frame, read, source) if options.skip_empty else frame
    rows = read_rows(law, frame, used, options, source)
    cluster = table.clusters(frame, options.cluster, source)
    families = len(set(rows.family))
    shared = shared_parameters(law, families, options)
    parts = []
    for group, index in split(rows, shared):
        own = shared if not group and families > 1 else frozenset(law.parameters) - set(law.efficiencies)
        where = f"{source}, {group}" if group else source
        index, counts = distinct(rows, index, cluster)
        clusters = None if cluster is None else [cluster[i] for i in index]
        check_clusters(clusters, options.cluster, where)
        numbers = [int(frame.index[i]) for i in index]
        chosen = take(rows, index, counts)
        check_columns(law, chosen, used, where)
        design = build(law, chosen, own)
        check_count(law, chosen, design.terms.shape[2], where)
        more = [*derived.allocation(design, chosen, options.budgets), *prediction.points(design, chosen, wanted)]
        design = replace(design, quantities=[*design.quantities, *more])
        kept, count, told, limits = np.arange(len(index)), int(counts.sum()), list[str](), None
        if chosen.side is not None and chosen.side.any():
            told = [bounds.note(chosen.side.tolist())]
            design, limits, kept = bounds.apart(design, chosen.side)
            chosen, numbers = take(chosen, kept, counts[kept]), [numbers[i] for i in kept]
            clusters = None if clusters is None else [clusters[i] for i in kept]
            check_count(law, chosen, design.terms.shape[2], f"{where}, exact rows")
        part = _part(group, design, chosen, numbers, count, units(chosen.x, clusters), options, limits)
        stated = None if rows.spread is None or not options.errors else rows.spread[index[kept]]
        parts.append(replace(part, stated=stated, notes=[*told, *part.notes]))
    return Fit(
        law=law,
        source=source,
        columns=used,
        group=options.group,
        shared=sorted(shared) if families > 1 else [],
        cluster=options.cluster,
        censored=options.censored or "",
        weighting=next((f"{kind} {name}" for kind in ("weights", "errors") if (name := getattr(options, kind))), ""),
        confidence=options.confidence,
        seed=options.seed,
        rows_skipped=whole - len(frame),
        repeats=repeats(rows, [int(row) for row in frame.index], cluster),
        cautions=[*cautions(frame, rows, used, options), *(line for part in parts for line in _doubts(part, options))],
        parts=parts,
    )


def named(name: str) -> Law:
    """The law of that name, or the error that lists them."""
    if name not in LAWS:
        raise unknown("law", name, list(LAWS))
    return LAWS[name]


def optimum(design: Design, delta: float, extra: Array | None = None) -> tuple[Solutions, int]:
    """The end of every start (equal starts are followed once), and the best that converged (of all, where none did)."""
    grid = starts.data_grid(design)
    tried = grid if extra is None else np.concatenate([grid, extra])
    different, which = np.unique(tried, axis=0, return_inverse=True)
    ends_of = solve(design.problem(delta), different, design.log_y, design.weights)
    found = Solutions(*(getattr(ends_of, name)[which.ravel()] for name in Solutions.__dataclass_fields__))
    ends = np.where(found.converged, found.objective, np.inf) if found.converged.any() else found.objective
    return found, int(ends.argmin())


def _part(
    group: str,
    design: Design,
    rows: Rows,
    numbers: Sequence[int],
    count: int,
    drawn_as: Units,
    options: Options,
    limits: tuple[Terms, Array, Array] | None,
) -> Part:
    delta = design.law.delta if options.delta is None else options.delta
    design, notes = _with_knowledge(design, delta, options, limits)
    problem = design.problem(delta)
    extra = starts.given(design, options.starts)
    found, best = optimum(design, delta, extra)
    theta, converged = found.theta[best], bool(found.converged[best])
    spread = bootstrap.covariance(problem, theta[None], design.log_y, design.weights, drawn_as)[0]
    identification = identify(design, theta, np.sqrt(np.maximum(np.diagonal(spread), 0.0)))
    drawn = None
    if options.resamples and problem.points > problem.size:
        rng = np.random.default_rng(options.seed)
        drawn = bootstrap.resample(design, delta, theta, options.resamples, rng, drawn_as)
    residual = design.log_y - predict(design.terms, theta[None])[0][0]
    degrees = float(problem.points - problem.size) if drawn is None else bootstrap.degrees_of_freedom(problem, residual, drawn, drawn_as)
    lows, highs, errors, general = _intervals(design, delta, theta, drawn, drawn_as, degrees, options, converged=converged)
    findings = Findings(
        design=design,
        rows=rows,
        theta=theta,
        lows=lows,
        highs=highs,
        errors=errors,
        reasons=[reason or general for reason in identification.reasons],
        drawn=drawn,
        degrees=degrees,
        units=drawn_as.count,
        confidence=options.confidence,
    )
    return Part(
        group=group,
        design=design,
        rows=rows,
        numbers=numbers,
        count=count,
        delta=delta,
        theta=theta,
        objective=float(found.objective[best]),
        gradient=float(found.gradient[best]),
        converged=converged,
        starts=len(found.objective),
        reached=int((found.objective <= found.objective[best] * (1 + SAME_OBJECTIVE)).sum()),
        given=objective(problem, extra, design.log_y, design.weights).tolist() if 0 < len(extra) <= 100 else [],
        condition=identification.condition,
        estimates=findings.parameters(),
        derived=findings.derived(),
        predictions=findings.predictions(np.random.default_rng(options.seed)),
        units=drawn_as,
        degrees=degrees,
        resamples=drawn,
        notes=notes,
    )


def _with_knowledge(design: Design, delta: float, options: Options, limits: tuple[Terms, Array, Array] | None) -> tuple[Design, list[str]]:
    """The design with the options' priors and with bounds, weighed by the errors of the fit without either, and what to say of priors."""
    if not options.priors and limits is None:
        return design, []
    found, best = optimum(design, delta)
    alone, penalties = found.theta[best], list[Penalty]()
    spread, scale = prior.error_scale(design, delta, alone)
    priors = prior.known(design, options.priors)
    if priors:
        penalties.append(prior.penalty(scale, priors))
    if limits is not None:
        penalties.append(bounds.Bounds(*limits, spread, scale))
    return replace(design, penalties=tuple(penalties)), prior.notes(priors, alone)


def _doubts(part: Part, options: Options) -> list[str]:
    """Sentences on what the errors of a part are like."""
    where = f"{part.group}: " if part.group else ""
    if part.units.kind == "runs" and part.units.count < FEW_RUNS:
        return [f"{where}{part.units.count} values of {options.cluster} are few: the coverage of intervals over them is uncertain"]
    if part.units.kind != "rows" or len(part.numbers) <= len(part.theta) or part.design.penalties:
        return []
    ratios, chance = bootstrap.unlike_errors(part.design, part.delta, part.theta, np.random.default_rng(options.seed))
    wanted = part.resamples is not None
    reasons = {(estimate.name, estimate.group): estimate.reason for estimate in part.estimates}
    known = [
        i
        for i, one in enumerate(part.design.quantities)
        if isinstance(one, Quantity) and not (wanted and reasons[one.name, one.group]) and np.isfinite(ratios[i]) and ratios[i] > 0
    ]
    if not known:
        return []
    with np.errstate(divide="ignore"):
        found, by_chance = np.abs(np.log(ratios[known])), np.abs(np.log(chance[:, known])).max(axis=1)
    if found.max() < np.log(MOST_APART) or (by_chance >= found.max()).mean() > MOST_BY_CHANCE:
        return []
    worst = known[int(found.argmax())]
    allowed = {"rows": "; the intervals allow for that", "residuals": "; the intervals do not allow for that"}.get(part.scheme, "")
    return [
        f"{where}rows have errors of different size: the robust standard error of {part.design.quantities[worst].label} is "
        f"{ratios[worst]:.2g} times the plain one{allowed}"
    ]


def _intervals(
    design: Design,
    delta: float,
    theta: Array,
    drawn: bootstrap.Resamples | None,
    drawn_as: Units,
    degrees: float,
    options: Options,
    *,
    converged: bool,
) -> tuple[Array, Array, Array, str]:
    """Lows, highs, standard errors, and a reason why there are none for the whole fit."""
    nothing = np.full(len(design.quantities), np.nan)
    problem = design.problem(delta)
    if problem.points <= problem.size:
        return nothing, nothing, nothing, f"{problem.points} rows for {problem.size} parameters leave no error to estimate"
    if drawn is None:
        return nothing, nothing, nothing, "no resamples were asked for"
    if not converged:
        return nothing, nothing, nothing, "no start converged"
    lost = int((~drawn.converged).sum())
    if lost > MOST_LOST * len(drawn.converged):
        return nothing, nothing, nothing, f"{lost} of {len(drawn.converged)} resamples did not converge"
    error = bootstrap.standard_errors(design, problem, theta[None], design.log_y, drawn_as)[0]
    estimate = bootstrap.quantities(design, theta[None])[0]
    return *bootstrap.intervals(estimate, error, drawn, degrees, drawn_as.count, options.confidence), error, ""
