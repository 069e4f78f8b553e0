"""`papertrial list` and `papertrial show`: what is on trial. Imports nothing heavy."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
from pathlib import Path

from rich.console import Console
from rich.table import Table

from harness import params, registry
from harness.console import console as make_console
from harness.errors import PapertrialError, unknown
from harness.plan import DataRef, Overrides, data_names, expand
from harness.task import SCALES, Claim, Task
from harness.wording import duration

_VERDICTS = ("reproduced", "not reproduced", "inconclusive")


def run(options: argparse.Namespace) -> int:
    """The table of tasks. A task that cannot be loaded keeps its row, with the reason."""
    entries = registry.tasks()
    fields = sorted({entry.field for entry in entries.values()})
    if options.field and options.field not in fields:
        raise unknown("field", options.field, fields)
    table = Table("task", "field", "paper", "claims", "verdicts at the largest scale run")
    for entry in entries.values():
        if options.field in (None, entry.field):
            try:
                task = registry.task(entry.name)
            except PapertrialError as error:
                table.add_row(entry.name, entry.field, f"[red]{error}[/]", "", "")
                continue
            paper = f"{task.paper.title} ({task.paper.year}, arXiv {task.paper.arxiv})"
            table.add_row(task.id, entry.field, paper, str(len(task.claims)), _best(task, options.store))
    make_console().print(table)
    return 0


def _best(task: Task, store: str) -> str:
    """Counts of verdicts at the largest scale that a local study of this task has."""
    found: dict[str, dict[str, int]] = {}
    for file in sorted([*Path(store).glob("*/verdicts.csv"), *Path(store).glob("reference/*/verdicts.csv")]):
        rows = [row for row in csv.DictReader(io.StringIO(file.read_text())) if row["task"] == task.id]
        for scale in {row["scale"] for row in rows}:
            verdicts = [row["verdict"] for row in rows if row["scale"] == scale]
            found[scale] = {name: verdicts.count(name) for name in _VERDICTS}
    largest = next((scale for scale in reversed(SCALES) if scale in found), None)
    if largest is None:
        return "none yet"
    return f"{largest}: " + ", ".join(f"{count} {name}" for name, count in found[largest].items() if count)


def show(options: argparse.Namespace) -> int:
    """Everything a task declares."""
    task = registry.task(options.task)
    console = make_console()
    if options.claim:
        _claim(console, task.claim(options.claim))
        return 0
    paper = task.paper
    console.print(f"[bold]{task.id}[/] version {task.version}: {paper.title} ({paper.year}), https://arxiv.org/abs/{paper.arxiv}")
    if task.summary:
        console.print(task.summary)
    _methods(console, task)
    _parameters(console, task)
    _scales(console, task)
    for claim in task.claims:
        _claim(console, claim)
    return 0


def _methods(console: Console, task: Task) -> None:
    stands_on = {method.name: _stands_on(task, method.name) for method in task.methods}
    shared = any(stands_on.values())
    table = Table("method", "role", *(["stands on"] if shared else []), "what it does", title="methods")
    for method in task.methods:
        table.add_row(method.name, method.role, *([stands_on[method.name]] if shared else []), method.description)
    console.print(table)


def _stands_on(task: Task, method: str) -> str:
    """The method whose trial comes first, at the default parameters."""
    needed = task.requires(method, params.resolve(task, {})) if task.requires else None
    return needed.method if needed else ""


def _parameters(console: Console, task: Task) -> None:
    table = Table("parameter", "default", "unit", "meaning", title="parameters (--set name=value)")
    for field in dataclasses.fields(task.params):
        table.add_row(field.name, str(field.default), field.metadata.get("unit", ""), field.metadata.get("help", ""))
    console.print(table)


def _scales(console: Console, task: Task) -> None:
    table = Table("scale", "trials", "seeds", "data", "each trial takes", "trial time", "what it is", title="scales (--scale)")
    for name, scale in task.scales.items():
        data = {key: DataRef(key, "", "synthetic", "") for key in data_names(task, name)}
        trials = expand(task, name, Overrides(), data)
        seconds = sum(trial.expected_s for trial in trials)
        cost = f"about {duration(seconds)}" if seconds else "unknown"
        table.add_row(name, str(len(trials)), str(scale.seeds), ", ".join(data) or "none", str(scale.resources), cost, scale.description)
    console.print(table)


def _claim(console: Console, claim: Claim) -> None:
    published = f"; the paper: {claim.published:g}" if claim.published is not None else ""
    unit = f" {claim.unit}" if claim.unit else ""
    console.print(f"[bold]{claim.id}[/] {claim.statement}")
    console.print(f"    holds where the estimate is {claim.holds}{unit}{published} [dim]({claim.source})[/]")
    console.print(f"    tested at: {', '.join(claim.scales)}" + (f". {claim.note}" if claim.note else ""))
