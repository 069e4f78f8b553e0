"""`papertrial plan`: what would run, and what it would cost."""

from __future__ import annotations

import argparse
import os

from rich.console import Console
from rich.table import Table

from harness import ledger, registry
from harness.commands.selection import Selection, select
from harness.console import console as make_console
from harness.data import state
from harness.engine import left_to_do
from harness.plan import TrialSpec
from harness.wording import duration


def run(options: argparse.Namespace) -> int:
    """Print the plan of a selection; nothing is run or written."""
    selection = select(options, data_optional=True)
    done = ledger.read(selection.store).records
    console = make_console()
    console.print(f"study [bold]{selection.store.name}[/] in {selection.store.parent_uri}")
    left = left_to_do(selection.store, selection.trials, done, retry=False)
    table = Table("task", "method", "trials", "done", "not ok", "left", "cost left", title=f"plan at scale {selection.scale}")
    for task in selection.tasks:
        for method in task.methods:
            trials = [trial for trial in selection.trials if (trial.task, trial.method) == (task.id, method.name)]
            if not trials:
                continue
            states = [done[trial.id].status for trial in trials if trial.id in done]
            mine = [trial for trial in left if (trial.task, trial.method) == (task.id, method.name)]
            not_ok = sum(state != "ok" for state in states)
            table.add_row(task.id, method.name, str(len(trials)), str(states.count("ok")), str(not_ok), str(len(mine)), _cost(mine))
    console.print(table)
    _totals(console, selection, left)
    return 0


def _totals(console: Console, selection: Selection, left: list[TrialSpec]) -> None:
    seeds = len({trial.seed for trial in selection.trials})
    console.print(f"{len(selection.trials)} trials over {seeds} seeds, {len(left)} left, {_cost(left)} of trial time")
    for data in {trial.data for trial in selection.trials if trial.data}:
        if data.fingerprint:
            console.print(f"data {data.name}: {data.source} ({data.kind}), fingerprint {data.fingerprint}")
        else:
            console.print(f"data {data.name} is not here yet: {state(registry.dataset(data.name))}", style="yellow")
    for shape in {trial.resources for trial in left}:
        seconds = sum(trial.expected_s for trial in left if trial.resources == shape)
        if shape.gpus:
            at_once = max(1, int(1 / shape.gpus))
            console.print(f"each trial takes {shape}: about {duration(seconds / at_once)} on one GPU ({at_once} at a time)")
        else:
            cpus = os.cpu_count() or 1
            at_once = max(1, int(cpus / shape.cpus))
            console.print(f"each trial takes {shape}: about {duration(seconds / at_once)} on these {cpus} CPUs ({at_once} at a time)")


def _cost(trials: list[TrialSpec]) -> str:
    seconds = sum(trial.expected_s for trial in trials)
    return f"about {duration(seconds)}" if seconds else ("-" if not trials else "unknown")
