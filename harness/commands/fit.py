"""`papertrial fit`: a scaling law from anyone's table or from a study."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from harness.commands.publish import check
from harness.console import console as make_console
from harness.errors import DataError, UsageError, unknown
from harness.masking import mask
from harness.shown import markdown_table, reason_of
from harness.store import write_file
from harness.tabular import print_table, words

if TYPE_CHECKING:
    import pandas as pd

    from harness.laws import Fit, Options
    from harness.laws.render import More

COLUMNS = ("x", "x1", "x2", "n", "d", "u", "un", "flops", "m", "s1", "s2", "active", "experts", "loss", "y")


def run(options: argparse.Namespace) -> int:
    """Fit, print, and write what was asked for. Exit code 1 when the optimum was not reached from any start."""
    from harness.laws import table
    from harness.laws.catalogue import LAWS

    console = make_console()
    if options.law == "help":
        _laws(console)
        return 0
    if options.law not in (*LAWS, *PROCEDURES):
        raise unknown("law", options.law, [*LAWS, *PROCEDURES])
    if options.source is None:
        raise UsageError("fit needs a file (CSV, TSV, JSONL or Parquet) or a study after the law")
    check(options)
    if options.holdout is not None and not options.compare and options.law != "pareto":
        raise UsageError("--holdout is for --compare")
    _check_targets(options)
    columns = {name: value for name in COLUMNS if (value := getattr(options, name))}
    wanted = [*columns.values(), *table.names(options.group)]
    frame, notes = table.read(options.source, lambda source: study_rows(source, options.store, wanted))
    options.source = mask(options.source)
    frame = table.where(frame, options.where, options.source)
    mixed = table.mixed(frame, table.names(options.group))
    for note in (*notes, *mixed):
        console.print(f"mind: {note}", style="yellow")
    if options.law in PROCEDURES:
        _refuse_bounds(options, frame, columns)
    try:
        return PROCEDURES.get(options.law, _fit)(options, frame, columns, console)
    except DataError as error:
        raise DataError("; ".join([str(error), *mixed])) from None


def study_rows(source: str, store: str, wanted: Sequence[str] = ()) -> tuple[pd.DataFrame, list[str]]:
    """The records of a study (its name in `store`, folder or URI) as a table, and notes on what was left out.

    Columns are `experiment`, `method`, `seed`, `param.<name>`, `metric.<name>`, and `view.<name>`: whether a view holds the trial. Records
    that did not end ok are left out. Of `wanted` those are added that `short_names` knows, such as a leaderboard's statistic.
    """
    from harness.commands import short_names
    from harness.frames import texts
    from harness.laws.facts import number
    from harness.store import open_study
    from harness.study import load

    study = load(open_study(source, store))
    views = {trial.id: trial.views for trial in study.plan}
    names = dict.fromkeys(view for found in views.values() for view in found)
    frame = study.frame.assign(**{f"view.{name}": [name in views[id] for id in study.frame["trial_id"]] for name in names})
    lost = int((frame["status"] != "ok").sum())
    notes = [f"{lost} records that did not end ok are left out"] if lost else []
    good = frame[frame["status"] == "ok"]
    named, more = short_names.named(study, good, wanted) if wanted else (good, [])
    return number(texts(named)), [*study.damages, *notes, *more]


def _refuse_bounds(options: argparse.Namespace, frame: pd.DataFrame, columns: Mapping[str, str]) -> None:
    """UsageError where a procedure that has no likelihood would take a bound for a value."""
    from harness.laws import bounds

    try:
        found = [name for name in columns.values() if bounds.censoring(frame, name, (), options.source)]
    except DataError as error:
        raise UsageError(str(error)) from None
    if found:
        raise UsageError(f"{options.law} takes no bounds, and {found[0]} was not reached in some rows: fit power-law to it")


def _check_targets(options: argparse.Namespace) -> None:
    """UsageError where a result would be written over the table or over another result."""
    seen = {os.path.realpath(options.source): "the table that is fitted"}
    for name in ("json", "markdown"):
        path = getattr(options, name)
        if path:
            before = seen.setdefault(os.path.realpath(path), f"what --{name} writes")
            if before != f"what --{name} writes" and not Path(path).is_char_device():
                raise UsageError(f"--{name} {path} would replace {before}")


def _fit(options: argparse.Namespace, frame: pd.DataFrame, columns: Mapping[str, str], console: Console) -> int:
    from harness.laws import fit

    if options.better != "higher":
        raise UsageError("--better is for pareto")
    if options.through:
        return _through(options, frame, columns, console)
    if options.isoflop:
        return _both_roads(options, frame, columns, console)
    return _finish(options, fit(options.law, frame, columns, fit_options(options), source=options.source), frame, console)


def _both_roads(options: argparse.Namespace, frame: pd.DataFrame, columns: Mapping[str, str], console: Console) -> int:
    """A law, and beside it the optima of the isoFLOP curves."""
    from harness.laws import approaches, fit, render

    wishes, used = fit_options(options), dict(columns)
    flops = used.pop("flops", "")
    found = fit(options.law, frame, used, wishes, source=options.source)
    roads, notes = approaches.compare(found, frame, used, wishes, flops)
    tables = [(render.APPROACHES, render.approaches(roads))]
    data = {"approaches": [road.to_json() for road in roads]}
    return _finish(options, found, frame, console, render.More(tables, data, [*notes, *approaches.notes(roads)]))


def _through(options: argparse.Namespace, frame: pd.DataFrame, columns: Mapping[str, str], console: Console) -> int:
    """Two fits, loss from scale and a response from loss, and what follows for `--predict`."""
    from harness.laws import downstream, fit, render
    from harness.laws.fit import named

    _refuse(options, "isoflop", "errors", "weights", "tie", "budget", "prior", "censored")
    first, second = named(options.through), named(options.law)
    downstream.check(first, second)
    wishes = fit_options(options)
    early, late = downstream.constraints(second, wishes.fixed)
    ours, loss = {column.name for column in first.columns}, columns.get(downstream.LOSS, downstream.LOSS)
    upstream = {name: theirs for name, theirs in columns.items() if name in ours} | {first.y.name: loss}
    # Huber's delta and the starting grid of the command are the second law's.
    scale = fit(first, frame, upstream, replace(wishes, fixed=early, delta=None, starts=()), source=options.source)
    rest = {name: theirs for name, theirs in columns.items() if name not in ours}
    found = fit(second, frame, rest, replace(wishes, fixed=late, predict=()), source=options.source)
    predictions = downstream.through(scale, found)
    tables = [*render.tables(scale), (render.PREDICTIONS, render.predicted(predictions))]
    data = {"through": scale.to_json(), "predictions_through": [one.to_json() for one in predictions]}
    notes = [*render.reasons(scale), *dict.fromkeys(f"no interval: {one.reason}" for one in predictions if one.reason)]
    return _finish(options, found, frame, console, render.More(tables, data, notes))


def _isoflop(options: argparse.Namespace, frame: pd.DataFrame, columns: Mapping[str, str], console: Console) -> int:
    """The optima of the budgets, then a power law on them."""
    from harness.laws import fit, formula, isoflop
    from harness.laws.facts import number
    from harness.laws.rows import complete

    _refuse(options, "cluster", "reference", "budget", "weights", "errors", "isoflop", "through", "prior", "censored")
    used, wishes = {name: columns.get(name, name) for name in isoflop.COLUMNS}, fit_options(options)
    for name in columns:
        if name not in used:
            raise unknown("column of law isoflop", name, isoflop.COLUMNS)
    frame = formula.columns(frame, used.values(), options.source)
    frame = complete(frame, used.values(), options.source) if options.skip_empty else frame
    found, notes = isoflop.optima(frame, used, wishes.group, options.source)
    for line in notes:
        console.print(line, style="yellow")
    names = {"x": used["flops"], "y": isoflop.OPTIMUM}
    optima = number(found)
    return _finish(options, fit("power-law", optima, names, wishes, source=f"optima of {options.source}"), optima, console)


def _pareto(options: argparse.Namespace, frame: pd.DataFrame, columns: Mapping[str, str], console: Console) -> int:
    import json

    from harness.laws import pareto

    _refuse(
        options,
        "compare",
        "holdout",
        "plots",
        "separate",
        "share",
        "reference",
        "huber",
        "fix",
        "tie",
        "budget",
        "predict",
        "weights",
        "errors",
        "isoflop",
        "through",
        "prior",
        "censored",
    )
    used = {name: columns.get(name, name) for name in ("flops", "y")}
    for name in columns:
        if name not in used:
            raise unknown("column of law pareto", name, list(used))
    found = pareto.fit(frame, used, fit_options(options), better=options.better, source=options.source)
    _show(console, pareto.HEADINGS, found.rows())
    for line in found.notes:
        console.print(line, style="yellow")
    text = f"# pareto: {options.source}\n\n{markdown_table(pareto.HEADINGS, found.rows())}\n"
    text += "".join(f"\n- {line}\n" for line in found.notes)
    _publish(options, found.to_json(), _write(options, json.dumps(found.to_json(), indent=2, allow_nan=False) + "\n", text), console)
    return 0


PROCEDURES = {"isoflop": _isoflop, "pareto": _pareto}


def _finish(options: argparse.Namespace, found: Fit, frame: pd.DataFrame, console: Console, more: More | None = None) -> int:
    from harness.laws import plots, render, selection

    more = more or render.More()
    for what, given in (("--prior", options.prior), ("--censored", options.censored), (f"bounds ({found.censored})", found.censored)):
        if options.compare and given:
            raise UsageError(f"--compare scores laws by exact rows alone: it does not go with {what}")
    scores = selection.compare(found, _held(options, frame)) if options.compare else []
    console.print(f"{found.law.formula}\n{render.about(found)}")
    for headings, rows in (*render.tables(found), *more.tables):
        if rows:
            _show(console, headings, rows)
    if scores:
        _show(console, render.SCORES, render.comparison(scores))
    for line in (*more.notes, *render.reasons(found), *render.about_scores(scores)):
        console.print(line, style="yellow")
    files = _write(options, render.to_json(found, scores, more), render.to_markdown(found, scores, more))
    if options.plots:
        try:
            files += plots.write(found, options.plots)
        except OSError as error:
            raise UsageError(f"{options.plots} cannot be written: {reason_of(error)}") from None
    _publish(options, found.to_json(), files, console)
    return 0 if found.converged else 1


def _held(options: argparse.Namespace, frame: pd.DataFrame) -> float | frozenset[int]:
    from harness.laws import holdout

    return holdout.LARGEST if options.holdout is None else holdout.parse(options.holdout, frame, options.source)


def _publish(options: argparse.Namespace, found: Mapping[str, Any], files: Sequence[str], console: Console) -> None:
    for path in files:
        console.print(path, soft_wrap=True)
    if options.tracking_uri in (None, "none"):
        return
    from harness import mlflow_fit

    mlflow_fit.publish(options.law, found, files, options.tracking_uri)
    console.print(f"{'mlflow':<15} {mask(options.tracking_uri)}", soft_wrap=True)


def fit_options(options: argparse.Namespace) -> Options:
    """The command line's wishes."""
    from harness.laws import table
    from harness.laws.rows import Options

    for name in ("resamples", "seed"):
        if getattr(options, name) < 0:
            raise UsageError(f"--{name} must be at least 0, not {getattr(options, name)}")
    return Options(
        group=table.names(options.group),
        reference=options.reference,
        share=None if options.share is None else table.names(options.share),
        separate=options.separate,
        delta=_delta(options.huber),
        fixed=dict(_numbers("--fix", options.fix)),
        ties=dict(_pairs("--tie", options.tie)),
        priors={name: _gaussian(name, value) for name, value in _pairs("--prior", options.prior)},
        budgets=_budgets(options.budget),
        predict=[dict(_numbers("--predict", [point])) for point in options.predict],
        starts="published" if options.starts == "published" else (),
        resamples=options.resamples,
        cluster=options.cluster,
        censored=options.censored,
        weights=options.weights,
        errors=options.errors,
        seed=options.seed,
        skip_empty=options.skip_empty,
        allow_gap=options.allow_gap,
    )


def _delta(text: str | None) -> float | None:
    if text is None:
        return None
    if text == "none":
        return math.inf
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise UsageError(f"--huber takes a positive number or `none`, not {text!r}")
    return value


def _pairs(flag: str, written: Sequence[str]) -> list[tuple[str, str]]:
    """`NAME=VALUE[,NAME=VALUE...]`, each name once."""
    found: dict[str, str] = {}
    for pair in (pair.strip() for text in written for pair in text.split(",")):
        name, separator, value = (part.strip() for part in pair.partition("="))
        if not (name and separator and value):
            raise UsageError(f"{flag} takes NAME=VALUE[,NAME=VALUE...], not {pair!r}")
        if name in found:
            raise UsageError(f"{flag} {name} is given twice")
        found[name] = value
    return list(found.items())


def _numbers(flag: str, written: Sequence[str]) -> list[tuple[str, float]]:
    return [(name, _number(f"{flag} {name}", value)) for name, value in _pairs(flag, written)]


def _number(what: str, written: str) -> float:
    try:
        return float(written)
    except ValueError:
        raise UsageError(f"{what} takes a number such as 1.69 or 7e9, not {written!r}") from None


def _gaussian(name: str, written: str) -> tuple[float, float]:
    """`0.34+-0.05`, or with the sign for it."""
    mean, separator, sd = written.replace("±", "+-").partition("+-")
    if not separator:
        raise UsageError(f"--prior takes NAME=VALUE+-SPREAD, such as alpha=0.34+-0.05, not {name}={written}")
    return _number(f"--prior {name}", mean), _number(f"--prior {name}", sd)


def _budgets(written: str) -> list[float]:
    found = [_number("--budget", one.strip()) for one in written.split(",") if one.strip()]
    for value in found:
        if not 0 < value < math.inf:
            raise UsageError(f"--budget takes positive FLOPs, not {value:g}")
    return found


def _refuse(options: argparse.Namespace, *names: str) -> None:
    for name in names:
        if getattr(options, name):
            raise UsageError(f"--{name.replace('_', '-')} means nothing to {options.law}")


def _write(options: argparse.Namespace, json_text: str, markdown_text: str) -> list[str]:
    files = []
    for name, text in ((options.json, json_text), (options.markdown, markdown_text)):
        if name:
            files.append(write_file(Path(name), text))
    return files


_PROSE = ("meaning", "beyond the rows", "formula", "columns", "what it is")


def _show(console: Console, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print_table(console, [words(heading) if heading in _PROSE else heading for heading in headings], rows)
    console.print()


def _laws(console: Console) -> None:
    from harness.laws import isoflop, pareto
    from harness.laws.catalogue import LAWS

    rows = [(law.name, law.formula, " ".join(f"--{c.name}" for c in (*law.columns, law.y)), law.summary) for law in LAWS.values()]
    rows += [("isoflop", isoflop.FORMULA, "--flops --n --y", isoflop.SUMMARY), ("pareto", pareto.FORMULA, "--flops --y", pareto.SUMMARY)]
    _show(console, ("law", "formula", "columns", "what it is"), rows)
