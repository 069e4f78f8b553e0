"""`papertrial plan`: what would run, and what it would cost."""

from __future__ import annotations

import argparse
import itertools
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness import ledger, memory, registry
from harness import looks as looking
from harness.commands.selection import Selection, select
from harness.console import console as make_console
from harness.console import emit, styled, warn
from harness.data import state
from harness.durations import duration
from harness.engine import left_to_do
from harness.plan import TrialSpec
from harness.plans import plan_if_readable
from harness.record import Record
from harness.task import Hardware


def run(options: argparse.Namespace) -> int:
    """Print the plan of a selection; nothing is run or written."""
    selection = select(options, data_optional=True)
    contents = ledger.read(selection.store)
    damages = contents.damages
    kept = plan_if_readable(selection.store, damages.append)
    done = contents.records
    left = left_to_do(selection.store, selection.trials, done, retry=False)
    rows = _rows(selection, done, left)
    if options.json:
        emit(_fields(selection, rows, left, damages))
        return 0
    console = make_console()
    console.print(Text.assemble("study ", styled(selection.store.name, "bold"), styled(f" in {selection.store.store_uri}")))
    table = Table("task", "experiment", "method", "trials", "done", "not ok", "left", "cost left", title=f"plan at scale {selection.scale}")
    for row in rows:
        numbers = (row.trials, row.done, row.not_ok, row.left)
        table.add_row(row.task, row.experiment, row.method, *map(str, numbers), _cost(row.left, row.expected_s))
    console.print(table)
    looks = selection.looks or kept.looks
    planned = kept.trials or selection.up_to({task.id: looks[0].seeds if selection.looks else math.inf for task in selection.tasks})
    for sentence in looking.standings(looks, planned, done):
        console.print(sentence, markup=False, soft_wrap=True)
    for damage in damages:
        warn(console, damage)
    _totals(console, selection, left)
    return 0


@dataclass(frozen=True)
class _Row:
    """How far one method of an experiment is."""

    task: str
    experiment: str
    method: str
    trials: int
    done: int
    not_ok: int
    left: int
    expected_s: float
    """Of what is left; 0 where the task says nothing."""


def _rows(selection: Selection, done: Mapping[str, Record], left: Sequence[TrialSpec]) -> list[_Row]:
    def own(trials: Sequence[TrialSpec]) -> dict[tuple[str, str, str], list[TrialSpec]]:
        found: dict[tuple[str, str, str], list[TrialSpec]] = {}
        for trial in trials:
            found.setdefault((trial.task, trial.experiment, trial.method), []).append(trial)
        return found

    planned, waiting = own(selection.trials), own(left)
    rows = []
    for task in selection.tasks:
        for experiment, method in itertools.product(task.experiments, task.methods):
            key = task.id, experiment.name, method.name
            if trials := planned.get(key):
                states = [done[trial.id].status for trial in trials if trial.id in done]
                ok, mine = states.count("ok"), waiting.get(key, [])
                rows.append(_Row(*key, len(trials), ok, len(states) - ok, len(mine), sum(trial.expected_s for trial in mine)))
    return rows


def _fields(selection: Selection, rows: Sequence[_Row], left: Sequence[TrialSpec], damages: Sequence[str]) -> dict[str, Any]:
    sets = {trial.data for trial in selection.trials if trial.data}
    return {
        "study": selection.store.name,
        "store": selection.store.store_uri,
        "scale": selection.scale,
        "trials": len(selection.trials),
        "seeds": len({trial.seed for trial in selection.trials}),
        "left": len(left),
        "expected_s": sum(trial.expected_s for trial in left) or None,
        "data": [{"name": data.name, "kind": data.kind, "fingerprint": data.fingerprint or None} for data in sets],
        "rows": rows,
        "damages": damages,
    }


def _totals(console: Console, selection: Selection, left: list[TrialSpec]) -> None:
    seeds = len({trial.seed for trial in selection.trials})
    cost = _cost(len(left), sum(trial.expected_s for trial in left))
    console.print(f"{len(selection.trials)} trials over {seeds} seeds, {len(left)} left, {cost} of trial time")
    for data in {trial.data for trial in selection.trials if trial.data}:
        if data.fingerprint:
            console.print(f"data {data.name}: {data.source} ({data.kind}), fingerprint {data.fingerprint}")
        else:
            console.print(f"data {data.name} is not here yet: {state(registry.dataset(data.name))}", style="yellow")
    for sentence in _over_limit(selection.trials):
        console.print(sentence, style="yellow")
    machine = memory.here(selection.trials)
    for sentence in memory.too_large(selection.trials, selection.tasks, machine):
        console.print(sentence, style="yellow", markup=False, soft_wrap=True)
    for shape in {trial.resources for trial in left}:
        seconds = sum(trial.expected_s for trial in left if trial.resources == shape)
        if shape.gpus:
            at_once = max(1, int(1 / shape.gpus))
            cards = "one GPU" if shape.gpus <= 1 else f"{shape.gpus:g} GPUs"
            console.print(f"each trial takes {shape}: about {duration(seconds / at_once)} on {cards} ({at_once} at a time)")
        else:
            cpus = os.cpu_count() or 1
            at_once = max(1, int(cpus / shape.cpus))
            console.print(f"each trial takes {shape}: about {duration(seconds / at_once)} on these {cpus} CPUs ({at_once} at a time)")
        _peak(console, selection, [trial for trial in left if trial.resources == shape], machine)


def _peak(console: Console, selection: Selection, trials: Sequence[TrialSpec], machine: Hardware) -> None:
    """The largest expectation of trials of one shape, and what as many as run side by side take of the memory."""
    largest = max(trials, key=lambda trial: trial.expected_gib)
    if not largest.expected_gib:
        return
    found = memory.room_of(largest, {task.id: task for task in selection.tasks}, machine)
    standing = f"; {memory.standing(largest.expected_gib, found)}" if found else ""
    console.print(f"peak memory of a trial: {largest.expected_gib:.3g} GiB ({largest.method}){standing}", markup=False, soft_wrap=True)


def _over_limit(trials: Sequence[TrialSpec]) -> list[str]:
    """A sentence for each experiment and method whose estimate passes its limit."""
    worst: dict[tuple[str, str, str], TrialSpec] = {}
    for trial in trials:
        key = trial.task, trial.experiment, trial.method
        if trial.expected_s > trial.time_limit_s and trial.expected_s > (worst[key].expected_s if key in worst else 0.0):
            worst[key] = trial
    return [
        f"{task}, experiment {experiment}: a trial of {method} is expected to take {duration(t.expected_s)}, over its limit of "
        f"{duration(t.time_limit_s)}"
        for (task, experiment, method), t in worst.items()
    ]


def _cost(left: int, seconds: float) -> str:
    return f"about {duration(seconds)}" if seconds else ("-" if not left else "unknown")
