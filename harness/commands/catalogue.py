"""`papertrial list` and `papertrial show`: what is on trial. Imports nothing heavy."""

from __future__ import annotations

import argparse
import dataclasses
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
from harness.errors import PapertrialError, UsageError, unknown
from harness.kinds import text
from harness.papers import OnTrial, Unread, by_field, by_paper, on_trial, verdicts_in
from harness.plan import DataRef, Overrides, data_names, expand
from harness.shown import sentence
from harness.store import write_file
from harness.tally import KINDS, Line, counts, sentences
from harness.task import SCALES, Claim, Experiment, Task

MARKDOWN_HEAD = """# Papers on trial

Written by `make papers`; a test keeps it true.

Verdicts are those of the committed studies at laptop scale: 5 or 10 seeds, minutes to half an hour on two CPU cores, real data that
stand in for the paper's, synthetic inputs where a row says so. They decide a direction, never a paper's number. The counts are of the
paper's own sentences: one that is tested by method or data counts once, as the part that serves it least; our controls, checks and
extensions are not counted. Small print names the claims behind a statement (`papertrial show TASK --claim C1`), and a test holds its
words to their verdicts. A paper's page has every claim with its interval and the published value, the controls, where paper and
released code disagree, what we believe, and a dated log of what failed.
"""


def run(options: argparse.Namespace) -> int:
    """The table of tasks, or the same as Markdown in a file. A task that cannot be loaded keeps its row, with the reason."""
    entries = registry.tasks()
    fields = sorted({entry.field for entry in entries.values()})
    if options.field and options.field not in fields:
        raise unknown("field", options.field, fields)
    console = make_console()
    verdicts, unread = verdicts_in(options.store)
    for file in unread:
        warn(console, f"{file.name} cannot be read ({file.why}): its verdicts are not shown")
    found: list[OnTrial | Unread] = []
    for entry in entries.values():
        if options.field in (None, entry.field):
            try:
                found.append(on_trial(entry, verdicts))
            except PapertrialError as error:
                found.append(Unread(entry.name, sentence(error)))
    if options.markdown:
        _write(Path(options.markdown), found, console)
    else:
        console.print(_table(found, entries))
    return 0


def _table(found: Sequence[OnTrial | Unread], entries: Mapping[str, registry.Entry]) -> Table:
    table = Table("task", "field", "paper", "claims", "verdicts on them, by scale")
    for row in found:
        if isinstance(row, Unread):
            table.add_row(row.name, entries[row.name].field, styled(row.why, "red"), "", "")
            continue
        paper = f"{row.paper.title} ({row.paper.year}, arXiv {row.paper.arxiv})"
        own = {line.claim: line for line in row.own}
        table.add_row(row.task, row.field, paper, str(len(sentences(row.own))), _found(own, row.verdicts))
    return table


def _write(file: Path, found: Sequence[OnTrial | Unread], console: Console) -> None:
    """All papers to a Markdown file, whose links are relative to it. UsageError where a task cannot be loaded: no row is left out."""
    if unread := [row for row in found if isinstance(row, Unread)]:
        raise UsageError(f"no table is written: task {unread[0].name} cannot be loaded: {unread[0].why}")
    papers = [row for row in found if isinstance(row, OnTrial)]
    write_file(file, f"{MARKDOWN_HEAD}\n{by_field(papers)}\n\n{by_paper(papers, file.resolve().parent)}")
    console.print(f"{len(papers)} papers in {file}", soft_wrap=True)


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
