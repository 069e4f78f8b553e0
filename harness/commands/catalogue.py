"""`papertrial list` and `papertrial show`: what is on trial. Imports nothing heavy."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness import params, registry
from harness.console import console as make_console
from harness.console import styled, warn
from harness.durations import duration
from harness.errors import PapertrialError, unknown
from harness.kinds import text
from harness.plan import DataRef, Overrides, data_names, expand
from harness.shown import sentence
from harness.tally import KINDS, Line, counts, sentences
from harness.task import SCALES, Claim, Experiment, Task


def run(options: argparse.Namespace) -> int:
    """The table of tasks. A task that cannot be loaded keeps its row, with the reason."""
    entries = registry.tasks()
    fields = sorted({entry.field for entry in entries.values()})
    if options.field and options.field not in fields:
        raise unknown("field", options.field, fields)
    console = make_console()
    verdicts = _verdicts(options.store, console)
    table = Table("task", "field", "paper", "claims", "verdicts on them, by scale")
    for entry in entries.values():
        if options.field in (None, entry.field):
            try:
                task = registry.task_at(entry)
            except PapertrialError as error:
                table.add_row(entry.name, entry.field, styled(sentence(error), "red"), "", "")
                continue
            paper = f"{task.paper.title} ({task.paper.year}, arXiv {task.paper.arxiv})"
            own = {c.id: Line(task.id, "", c.id, "not tested", c.kind, c.group, 0.0) for c in task.claims if c.kind == "paper"}
            table.add_row(task.id, entry.field, paper, str(len(sentences(list(own.values())))), _found(own, verdicts.get(task.id, {})))
    console.print(table)
    return 0


def _verdicts(store: str, console: Console) -> dict[str, dict[str, list[Line]]]:
    """Task -> scale -> the verdicts of a local study; the study that is read last speaks for its scale."""
    found: dict[str, dict[str, list[Line]]] = {}
    for file in sorted([*Path(store).glob("*/verdicts.csv"), *Path(store).glob("reference/*/verdicts.csv")]):
        lines: dict[tuple[str, str], list[Line]] = {}
        try:
            for row in csv.DictReader(io.StringIO(file.read_text())):
                line = Line.of(row)
                lines.setdefault((line.task, line.scale), []).append(line)
        except (OSError, ValueError, KeyError, csv.Error) as error:
            warn(console, f"{file} cannot be read ({type(error).__name__}): its verdicts are not shown")
            continue
        for (task, scale), verdicts in lines.items():
            found.setdefault(task, {})[scale] = verdicts
    return found


def _found(own: Mapping[str, Line], scales: Mapping[str, Sequence[Line]]) -> str:
    """Counts of the verdicts on the paper's claims that the task makes today, a line a scale."""
    lines = []
    for scale in (name for name in SCALES if name in scales):
        of = {line.claim: line for line in scales[scale] if line.claim in own}
        judged = [replace(claim, verdict=of[id].verdict, by_chance=of[id].by_chance) if id in of else claim for id, claim in own.items()]
        lines.append(f"{scale}: {counts('paper', judged)}")
    return "\n".join(lines) or "none yet"


def show(options: argparse.Namespace) -> int:
    """Everything a task declares."""
    task = registry.task(options.task)
    console = make_console()
    if options.claim:
        _claim(console, task.claim(options.claim))
        return 0
    paper = task.paper
    about = f" version {task.version}: {paper.title} ({paper.year}), https://arxiv.org/abs/{paper.arxiv}"
    console.print(Text.assemble((task.id, "bold"), styled(about)))
    if task.summary:
        console.print(task.summary)
    _methods(console, task)
    for experiment in task.experiments:
        _experiment(console, task, experiment)
    _scales(console, task)
    for claim in sorted(task.claims, key=lambda claim: KINDS.index(claim.kind)):
        _claim(console, claim)
    return 0


def _methods(console: Console, task: Task) -> None:
    needed = {method.name: _needed(task, method.name) for method in task.methods}
    shared = any(needed.values())
    table = Table("method", "role", *(["needs"] if shared else []), "what it does", title="methods")
    for method in task.methods:
        table.add_row(method.name, method.role, *([needed[method.name]] if shared else []), method.description)
    console.print(table)


def _needed(task: Task, method: str) -> str:
    """The methods whose trials come first, at the default parameters."""
    found = [
        requirement.method
        for experiment in task.experiments
        if experiment.requires and (not experiment.methods or method in experiment.methods)
        if (requirement := experiment.requires(method, params.resolve(experiment, {})))
    ]
    return ", ".join(dict.fromkeys(found))


def _experiment(console: Console, task: Task, experiment: Experiment) -> None:
    said = [experiment.summary] if experiment.summary else []
    said += [f"views: {', '.join(task.views(experiment.name))}"] if task.views(experiment.name) else []
    said += [f"swept: {', '.join(experiment.tuned.over)}, selected by {', '.join(experiment.tuned.by)}"] if experiment.tuned else []
    console.print(Text.assemble("\nexperiment ", (experiment.name, "bold"), *(styled(f"; {part}") for part in said)))
    table = Table("parameter", "default", "values", "unit", "meaning", title=f"parameters of {experiment.name} (--set name=value)")
    for field in dataclasses.fields(experiment.params):
        values = params.allowed_values(field, params.kind(experiment, field.name))
        table.add_row(field.name, text(field.default), values, field.metadata.get("unit", ""), field.metadata.get("help", ""))
    console.print(table)
    console.print(f"metrics: {', '.join(f'{m.name} ({m.unit})' if m.unit else m.name for m in experiment.metrics)}")


def _scales(console: Console, task: Task) -> None:
    table = Table("scale", "trials", "seeds", "data", "each trial takes", "trial time", "what it is", title="scales (--scale)")
    for name, scale in task.scales.items():
        data = {key: DataRef(key, "", "synthetic", "") for key in data_names(task, name)}
        trials = expand(task, name, Overrides(), data)
        seconds = sum(trial.expected_s for trial in trials)
        cost = f"about {duration(seconds)}" if seconds else "unknown"
        shapes = ", ".join(dict.fromkeys(str(trial.resources) for trial in trials))
        table.add_row(name, str(len(trials)), str(scale.seeds), ", ".join(data) or "none", shapes, cost, scale.description)
    console.print(table)


def _claim(console: Console, claim: Claim) -> None:
    published = f"; the paper: {claim.published:g}" if claim.published is not None else ""
    unit = f" {claim.unit}" if claim.unit else ""
    whose = {"paper": "primary, the paper's" if claim.primary else "the paper's", "check": "a check of ours"}
    kind = whose.get(claim.kind, f"{'an' if claim.kind == 'extension' else 'a'} {claim.kind}")
    console.print(Text.assemble(styled(claim.id, "bold"), styled(f" ({kind}) {claim.statement}")))
    console.print(
        Text.assemble(styled(f"    holds where the estimate is {claim.holds}{unit}{published} "), styled(f"({claim.source})", "dim"))
    )
    console.print(f"    tested at: {', '.join(claim.scales)}" + (f". {claim.note}" if claim.note else ""))
