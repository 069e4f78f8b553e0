"""`papertrial show`: all that a task declares, on the terminal or as JSON. Imports nothing heavy."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from harness import params, registry
from harness.console import console as make_console
from harness.console import emit, styled, warn
from harness.durations import span
from harness.errors import quiet
from harness.kinds import text
from harness.papers import Judged, found_by, verdicts_in
from harness.plan import Overrides, TrialSpec, data_names, expand, placeholders
from harness.rerun import Rerun, of_plan, usual
from harness.store import StudyStore
from harness.tabular import Column, print_table, words
from harness.tally import KINDS, Line, number_or_none, outcome
from harness.task import SCALES, Claim, Experiment, Task
from harness.timing import DECLARED


def run(options: argparse.Namespace) -> int:
    """Everything a task declares."""
    task = registry.task(options.task)
    if options.claim:
        _one_claim(task, task.claim(options.claim), options)
        return 0
    if options.json:
        emit(_fields(task))
        return 0
    planned = {name: _trials(task, name) for name in task.scales}  # what is wrong with any of them is said before half a page
    console = make_console()
    paper = task.paper
    about = f" version {task.version}: {paper.title} ({paper.year}), https://arxiv.org/abs/{paper.arxiv}"
    console.print(Text.assemble((task.id, "bold"), styled(about)))
    if task.summary:
        console.print(task.summary)
    _methods(console, task)
    for experiment in task.experiments:
        _experiment(console, task, experiment)
    _scales(console, task, planned)
    for claim in _in_order(task):
        _claim(console, task, claim)
    return 0


def _one_claim(task: Task, claim: Claim, options: argparse.Namespace) -> None:
    """A claim with what the studies that speak for its scales decided, and how to run it again."""
    judged, unread = verdicts_in(options.store, {task.id: task})
    of_scale = judged.get(task.id, {})
    found = [(of_scale[scale], line) for scale in SCALES if scale in of_scale for line in of_scale[scale].lines if line.claim == claim.id]
    beside = [(other, line) for study, own in found for other in study.others for line in other.lines if _has_other_values(line, own)]
    tried = [_rerun(task, study, line) for study, line in found if line.scale in claim.scales]
    scales = task.tested_at(claim)
    untried = [Rerun(task, usual(scales), "", options.store)] if scales else []
    again = [rerun.claim(claim.id) for rerun in tried or untried]
    if options.json:
        told = {"verdicts": [_verdict_fields(*own) for own in found], "beside": [_verdict_fields(*own) for own in beside], "again": again}
        emit(_claim_fields(task, claim) | told)
        return
    console = make_console()
    for file in unread:
        warn(console, f"{file.name} cannot be read ({file.why}): its verdicts are not shown")
    _claim(console, task, claim)
    for study, line in found:
        console.print(Text.assemble(styled("    "), styled(outcome(line.kind, line.verdict), "bold"), styled(_decided(study, line))))
    for study, line in beside:
        words = f"    What study {study.study} {found_by(line.before or line)} is {line.outdated}."
        console.print(words, markup=False, soft_wrap=True)
    if not found:
        console.print(f"    no study in {options.store} has a verdict on it", markup=False, soft_wrap=True)
    for study, line in found:
        if line.outdated and not line.settings and line.cells["version"] in ("", str(task.version)):
            words = f"    judge its trials by what is claimed now: papertrial report {study.folder} --tables"
            console.print(words, markup=False, soft_wrap=True)
    for command in again:
        console.print(f"    again: {command}" if found else f"    run it: {command}", markup=False, soft_wrap=True)


def _has_other_values(line: Line, own: Line) -> bool:
    """Whether a line of another study is on the same claim, with other values than the scale's."""
    return line.claim == own.claim and bool(line.outdated and line.settings)


def _rerun(task: Task, judged: Judged, line: Line) -> Rerun:
    """How the trials behind a study's verdict run again; those that the scale plans, where it is on other values than these.

    What is read of a study is not a task's declaration, and imported where it is needed.
    """
    if line.outdated and line.settings:
        return Rerun(task, line.scale, "", str(Path(judged.folder).parent))
    from harness.cells import Cells
    from harness.plans import plan_if_readable
    from harness.study import load_env

    folder = Path(judged.folder)
    study = StudyStore(str(folder.parent), folder.name)
    plan, env = plan_if_readable(study, quiet), load_env(study)
    return of_plan(study.name, study.parent_uri, Cells.of(plan.trials), task, line.scale, env.get("command", ()), plan.looks)


def _decided(study: Judged, line: Line) -> str:
    """What of a verdict does not fit into its word."""
    cells = line.cells
    if not line.n:
        return f" (scale {line.scale}; study {study.study}). {line.reason}"
    seeds = f"{line.n} seeds" + (f", {line.lost} lost" if line.lost else "")
    said = f"holds {cells.get('holds', '')}; {seeds}; scale {line.scale}; {cells.get('data_kind') or 'no'} data; study {study.study}"
    return f": {line.estimate} ({said})" + (f". {line.reason}" if line.reason else "")


def _verdict_fields(study: Judged, line: Line) -> dict[str, Any]:
    cells = line.cells
    numbers = {name: number_or_none(cells.get(name, "")) for name in ("estimate", "low", "high")}
    named = {"scale": line.scale, "study": study.study, "folder": study.folder, "verdict": line.verdict}
    found = {"n": line.n, "lost": line.lost, "data_kind": cells.get("data_kind", ""), "reason": line.reason}
    of = {"version": cells.get("version", ""), "statement": cells.get("statement", ""), "outdated": line.outdated}
    of |= {"settings": line.settings}
    return named | numbers | found | of | {"before": line.before and _verdict_fields(study, line.before)}


def _in_order(task: Task) -> list[Claim]:
    return sorted(task.claims, key=lambda claim: KINDS.index(claim.kind))


def _fields(task: Task) -> dict[str, Any]:
    return {
        "task": task.id,
        "version": task.version,
        "summary": task.summary,
        "paper": task.paper,
        "methods": [asdict(method) | {"needs": _needed(task, method.name)} for method in task.methods],
        "experiments": [_experiment_fields(task, experiment) for experiment in task.experiments],
        "scales": {name: _scale_fields(task, name) for name in task.scales},
        "claims": [_claim_fields(task, claim) for claim in _in_order(task)],
    }


def _experiment_fields(task: Task, experiment: Experiment) -> dict[str, Any]:
    return {
        "name": experiment.name,
        "summary": experiment.summary,
        "views": task.views(experiment.name),
        "swept": list(experiment.tuned.over) if experiment.tuned else [],
        "selected_by": list(experiment.tuned.by) if experiment.tuned else [],
        "parameters": [
            {"name": name, "default": default, "values": values, "unit": unit, "meaning": meaning}
            for name, default, values, unit, meaning in _parameters(experiment)
        ],
        "metrics": [
            {"name": m.name, "unit": m.unit, "better": m.better, "split": m.measured_on, "description": m.description}
            for m in experiment.metrics
        ],
    }


def _scale_fields(task: Task, name: str) -> dict[str, Any]:
    scale, trials = task.scales[name], _trials(task, name)
    return {
        "description": scale.description,
        "trials": len(trials),
        "seeds": scale.seeds,
        "data": data_names(task, name),
        "resources": list(dict.fromkeys(str(trial.resources) for trial in trials)),
        "expected_s": sum(trial.expected_s for trial in trials) or None,
        "time_limit_s": scale.time_limit_s,
        "hardware": scale.hardware,
    }


def _claim_fields(task: Task, claim: Claim) -> dict[str, Any]:
    return {
        "id": claim.id,
        "statement": claim.statement,
        "kind": claim.kind,
        "primary": claim.primary,
        "sentence": claim.group or claim.id,
        "source": claim.source,
        "holds_where": str(claim.holds),
        "unit": claim.unit,
        "published": claim.published,
        "scales": task.tested_at(claim),
        "note": claim.note,
    }


def _methods(console: Console, task: Task) -> None:
    needed = {method.name: _needed(task, method.name) for method in task.methods}
    shared = any(needed.values())
    headings: list[str | Column] = ["method", "role", words("what it does")]
    headings[2:2] = [words("needs")] if shared else []
    rows = [[method.name, method.role, *([needed[method.name]] if shared else []), method.description] for method in task.methods]
    print_table(console, headings, rows, "methods")


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
    headings = ("parameter", words("default"), words("values"), "unit", words("meaning"))
    if rows := _parameters(experiment):
        print_table(console, headings, rows, f"parameters of {experiment.name} (--set name=value)")
    console.print(f"metrics: {', '.join(f'{m.name} ({m.unit})' if m.unit else m.name for m in experiment.metrics)}")


def _parameters(experiment: Experiment) -> list[tuple[str, str, str, str, str]]:
    """(name, default, values, unit, meaning) of each."""
    return [
        (
            field.name,
            text(field.default),
            params.allowed_values(field, params.kind(experiment, field.name)),
            field.metadata.get("unit", ""),
            field.metadata.get("help", ""),
        )
        for field in dataclasses.fields(experiment.params)
    ]


def _trials(task: Task, scale: str) -> list[TrialSpec]:
    """What the scale plans, whatever data there is."""
    return expand(task, scale, Overrides(), placeholders(task, scale))


def _scales(console: Console, task: Task, planned: Mapping[str, Sequence[TrialSpec]]) -> None:
    rows = []
    for name, scale in task.scales.items():
        trials = planned[name]
        seconds = sum(trial.expected_s for trial in trials)
        cost = span(*(share * seconds for share in DECLARED)) if seconds else "unknown"
        shapes = ", ".join(dict.fromkeys(str(trial.resources) for trial in trials))
        rows.append(
            [name, str(len(trials)), str(scale.seeds), ", ".join(data_names(task, name)) or "none", shapes, cost, scale.description]
        )
    headings = ("scale", "trials", "seeds", words("data"), words("each trial takes"), "trial time", words("what it is"))
    print_table(console, headings, rows, "scales (--scale)")


def _claim(console: Console, task: Task, claim: Claim) -> None:
    published = f"; the paper: {claim.published:g}" if claim.published is not None else ""
    unit = f" {claim.unit}" if claim.unit else ""
    whose = {"paper": "primary, the paper's" if claim.primary else "the paper's", "check": "a check of ours"}
    kind = whose.get(claim.kind, f"{'an' if claim.kind == 'extension' else 'a'} {claim.kind}")
    console.print(Text.assemble(styled(claim.id, "bold"), styled(f" ({kind}) {claim.statement}")))
    console.print(
        Text.assemble(styled(f"    holds where the estimate is {claim.holds}{unit}{published} "), styled(f"({claim.source})", "dim"))
    )
    console.print(f"    tested at: {', '.join(task.tested_at(claim)) or 'no scale'}" + (f". {claim.note}" if claim.note else ""))
